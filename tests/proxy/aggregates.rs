//! Groups of groups: whose turn it is, who is left out, and what the log says about it.

use serde_json::{Value, json};
use testkit::{MockUpstream, Play, TempServer};

use crate::support::{CHAT, NOBODY, ask, eventually_stored, post, records, request};

/// Members named `a`, `b`, … with one key of the same name each, and the aggregate `all` over them.
async fn members(weights: &[i64], upstreams: &[&str]) -> (TempServer, Vec<i64>, i64) {
    let server = TempServer::start().await;
    let mut shares = Vec::new();
    for ((name, weight), upstream) in ["a", "b", "c"].iter().zip(weights).zip(upstreams) {
        let group = server.create_group(name, "openai", upstream, json!({})).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        shares.push((group, *weight));
    }
    let all = server.create_aggregate("all", "openai", &shares).await;
    (server, shares.iter().map(|(group, _)| *group).collect(), all)
}

#[tokio::test]
async fn members_serve_by_their_weights() {
    let mock = MockUpstream::start().await;
    let url = mock.base_url();
    let (server, _, _) = members(&[5, 1, 1], &[&url, &url, &url]).await;
    for _ in 0..14 {
        assert_eq!(ask(&server, "all").await.status, 200);
    }
    let round = ["sk-a", "sk-a", "sk-b", "sk-a", "sk-c", "sk-a", "sk-a"];
    assert_eq!(mock.keys_seen(), [round, round].concat());
}

#[tokio::test]
async fn members_without_weight_or_active_keys_are_left_out_until_they_have_them() {
    let mock = MockUpstream::start().await;
    let url = mock.base_url();
    let (server, ids, all) = members(&[3, 0, 1], &[&url, &url, &url]).await;
    let keys = json!({ "group_id": ids[0], "keys_text": "sk-a" });
    server.managed("POST", "/api/keys/delete-multiple", Some(&keys)).await;
    for _ in 0..3 {
        assert_eq!(ask(&server, "all").await.status, 200);
    }
    assert_eq!(mock.keys_seen(), ["sk-c"; 3]);
    mock.reset();

    let weight = format!("/api/groups/{all}/sub-groups/{}/weight", ids[1]);
    server.managed("PUT", &weight, Some(&json!({ "weight": 1 }))).await;
    for _ in 0..2 {
        assert_eq!(ask(&server, "all").await.status, 200);
    }
    let mut seen = mock.keys_seen();
    seen.sort();
    assert_eq!(seen, ["sk-b", "sk-c"]);

    for id in [ids[1], ids[2]] {
        server.managed("POST", "/api/keys/clear-all", Some(&json!({ "group_id": id }))).await;
    }
    let answer = ask(&server, "all").await;
    assert_eq!((answer.status, &answer.json()["message"]), (503, &json!("No available sub-groups")));
    server.add_keys(ids[0], &["sk-new"]).await;
    assert_eq!(ask(&server, "all").await.status, 200);
}

/// proxy.md 24, 28: the client notices nothing, and the member that is down is not asked first again.
#[tokio::test]
async fn a_member_whose_key_is_refused_or_whose_upstream_is_down_hands_over() {
    let mock = MockUpstream::start().await;
    let url = mock.base_url();
    let (server, ids, all) = members(&[1, 1, 1], &[NOBODY, &url, &url]).await;
    mock.play_always("sk-b", Play::status(401));
    assert_eq!(ask(&server, "all").await.status, 200);
    assert_eq!(mock.keys_seen(), ["sk-b", "sk-c"]);

    let rows = records(&server, 3).await;
    let shown = |row: &Value| {
        ["attempt", "request_type", "status_code", "group_name", "group_id", "parent_group_name", "parent_group_id"]
            .map(|column| row[column].clone())
    };
    let expected = |attempt: i64, kind: &str, status: i64, name: &str, id: i64| {
        [json!(attempt), json!(kind), json!(status), json!(name), json!(id), json!("all"), json!(all)]
    };
    assert_eq!(shown(&rows[0]), expected(1, "retry", 502, "a", ids[0]));
    assert_eq!(shown(&rows[1]), expected(2, "retry", 401, "b", ids[1]));
    assert_eq!(shown(&rows[2]), expected(3, "final", 200, "c", ids[2]));
    assert!(rows.iter().all(|row| row["request_id"] == rows[0]["request_id"]), "{rows:#?}");

    // The hour counts what the client got, for the member that gave it and for the aggregate; and apart from that,
    // which member was tried in vain.
    let hours = eventually_stored(
        &server,
        "SELECT json_array(group_id, sum(success_count), sum(failure_count), sum(retry_count)) FROM group_hourly_stats \
         GROUP BY group_id ORDER BY group_id",
        |rows| rows.len() == 4,
    );
    let expected = [(ids[0], 0, 1), (ids[1], 0, 1), (ids[2], 1, 0), (all, 1, 2)];
    assert_eq!(hours.await, expected.map(|(id, successes, retries)| json!([id, successes, 0, retries])));
}

/// With no member left, the last word of an upstream is the answer.
#[tokio::test]
async fn when_every_member_fails_the_client_hears_the_last_one() {
    let mock = MockUpstream::start().await;
    let url = mock.base_url();
    let (server, _, _) = members(&[1, 1], &[&url, &url]).await;
    mock.play_always("sk-a", Play::status(401));
    mock.play_always("sk-b", Play::status(403).header("X-Request-Id", "last").body("{\"error\":{\"message\":\"no\"}}"));
    let answer = ask(&server, "all").await;
    assert_eq!((answer.status, answer.header("x-request-id")), (403, Some("last")));
    assert_eq!(answer.text(), "{\"error\":{\"message\":\"no\"}}");
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
}

/// proxy.md 25: a request that a member can serve never depends on whose turn it is.
#[tokio::test]
async fn a_member_that_does_not_serve_the_model_is_passed_over() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let mut shares = Vec::new();
    for (name, model) in [("a", "alpha"), ("b", "beta"), ("c", "gamma")] {
        let rules = json!({ "model_redirect_rules": { model: "mock-small" }, "model_redirect_strict": true });
        let group = server.create_group(name, "openai", &mock.base_url(), rules).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        shares.push((group, 1));
    }
    server.create_aggregate("all", "openai", &shares).await;
    let asked = async |model: &str| {
        let body = json!({ "model": model, "messages": [] }).to_string();
        server.exchange(post(&format!("/proxy/all{CHAT}"), "", body.as_bytes())).await
    };
    for _ in 0..4 {
        for (model, key) in [("beta", "sk-b"), ("alpha", "sk-a"), ("gamma", "sk-c")] {
            assert_eq!(asked(model).await.status, 200, "{model}");
            assert_eq!(mock.keys_seen().last().map(String::as_str), Some(key), "{model}");
        }
    }
    let answer = asked("delta").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("model 'delta' is not configured"), "{}", answer.text());
    let rows = records(&server, 13).await;
    assert!(rows.iter().all(|row| row["request_type"] == "final" && row["parent_group_name"] == "all"), "{rows:#?}");
    assert_eq!((&rows[12]["verdict"], &rows[12]["attempt"]), (&json!("client"), &json!(0)));
}

/// proxy.md 25: whoever asks twice sees the same models, those of every member.
#[tokio::test]
async fn the_models_of_an_aggregate_are_those_of_all_members_in_every_answer() {
    let (first, second) = (MockUpstream::start().await, MockUpstream::start().await);
    let server = TempServer::start().await;
    let list = |models: &[&str]| {
        let entries: Vec<_> = models.iter().map(|model| json!({ "id": model, "object": "model" })).collect();
        Play::usual().body(json!({ "object": "list", "data": entries }).to_string())
    };
    first.play_any_always(list(&["of-the-first"]));
    second.play_any_always(list(&["of-the-second"]));
    let mut shares = Vec::new();
    for (name, upstream, source, strict) in [
        ("strict", &second, "configured-here", true),
        ("free", &first, "configured-there", false),
        ("free-too", &second, "configured-here", false),
    ] {
        let rules = json!({ "model_redirect_rules": { source: "mock-small" }, "model_redirect_strict": strict });
        let group = server.create_group(name, "openai", &upstream.base_url(), rules).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        shares.push((group, 1));
    }
    server.create_aggregate("all", "openai", &shares).await;
    let listed = async || {
        let header = format!("Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY);
        let answer = server.exchange(request("GET", "/proxy/all/v1/models", &header, b"")).await;
        let data = answer.json()["data"].take();
        let ids = data.as_array().cloned().unwrap_or_default();
        ids.iter().map(|entry| entry["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for _ in 0..6 {
        assert_eq!(listed().await, ["of-the-first", "configured-here", "configured-there"]);
    }
    assert_eq!((first.keys_seen().len(), second.keys_seen().len()), (6, 0));
    // The next in order is asked where the first cannot; a strict member shows what is configured and no more.
    for (group, expected) in [
        (shares[1].0, &["of-the-second", "configured-here", "configured-there"][..]),
        (shares[2].0, &["configured-here", "configured-there"]),
    ] {
        server.managed("POST", "/api/keys/clear-all", Some(&json!({ "group_id": group }))).await;
        for _ in 0..2 {
            assert_eq!(listed().await, expected);
        }
    }
}

/// proxy.md 27: the member's own first, the aggregate's as the outer ones win; connections are the member's business.
#[tokio::test]
async fn rules_and_settings_of_an_aggregate_hold_for_what_comes_through_it() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let set = |name: &str, value: &str| json!({ "key": name, "value": value, "action": "set" });
    let own = json!({
        "param_overrides": { "n": 1, "seed": 1, "/completions": { "top_p": 0.1 } },
        "header_rules": [set("X-Both", "member"), set("X-Member", "${GROUP_NAME}")],
        "config": { "max_retries": 3, "enable_request_body_logging": false },
    });
    let member = server.create_group("member", "openai", &mock.base_url(), own).await;
    server.add_keys(member, &["sk-1", "sk-2", "sk-3"]).await;
    let all = server.create_aggregate("all", "openai", &[(member, 1)]).await;
    let outer = json!({
        "param_overrides": { "n": 2, "top_p": 0.9 },
        "header_rules": [set("X-Both", "aggregate"), set("X-Aggregate", "yes")],
        "config": { "max_retries": 0, "failover_status_codes": "404", "enable_request_body_logging": true },
    });
    server.managed("PUT", &format!("/api/groups/{all}"), Some(&outer)).await;

    assert_eq!([ask(&server, "all").await.status, ask(&server, "member").await.status], [200, 200]);
    let seen = mock.requests();
    let shown = |index: usize| {
        let body = seen[index].json();
        let headers = ["x-both", "x-member", "x-aggregate"].map(|name| seen[index].header(name).map(str::to_owned));
        (["n", "seed", "top_p"].map(|name| body[name].clone()), headers.map(Option::unwrap_or_default))
    };
    let texts = |texts: [&str; 3]| texts.map(str::to_owned);
    assert_eq!(shown(0), ([json!(2), json!(1), json!(0.9)], texts(["aggregate", "member", "yes"])));
    assert_eq!(shown(1), ([json!(1), json!(1), json!(0.1)], texts(["member", "member", ""])));

    // Nor is there a retry through the aggregate, and 404 is the only status that is one of failover.
    mock.reset();
    mock.play_any_always(Play::status(500));
    assert_eq!(ask(&server, "all").await.status, 500);
    assert_eq!(mock.requests().len(), 1);
    assert_eq!(ask(&server, "member").await.status, 500);
    assert_eq!(mock.requests().len(), 5);
    let rows = records(&server, 7).await;
    let has_body = |row: &Value| row["request_body"].as_str().is_some_and(|body| body.contains("mock-small"));
    assert_eq!(rows.iter().map(has_body).collect::<Vec<_>>(), [true, false, true, false, false, false, false]);
}

/// The path that is cut off is that of the group that was asked; everything else is the member's.
#[tokio::test]
async fn rules_and_settings_are_those_of_the_member_that_serves() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let rules = json!({ "param_overrides": { "n": 7 }, "model_redirect_rules": { "mock-small": "member-model" } });
    let base = format!("{}/base", mock.base_url());
    let member = server.create_group("member", "openai", &base, rules).await;
    server.add_keys(member, &["sk-up"]).await;
    server.create_aggregate("all", "openai", &[(member, 1)]).await;
    ask(&server, "all").await;
    let seen = mock.request();
    assert_eq!(seen.target, "/base/v1/chat/completions");
    assert_eq!((&seen.json()["n"], &seen.json()["model"]), (&json!(7), &json!("member-model")));
}
