//! Groups of groups: whose turn it is, who is left out, and what the log says about it.

use serde_json::{Value, json};
use testkit::{MockUpstream, Play, TempServer};

use crate::support::{NOBODY, ask, eventually_stored, records};

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
