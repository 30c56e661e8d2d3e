//! What becomes of keys: failures that count, rests, tests in the background and by hand, and what the operator sees.

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use testkit::{MockUpstream, Play, TempServer};

use crate::support::{ask, eventually_stored, house, keys_of};

async fn only_group(server: &TempServer) -> i64 {
    server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id")
}

fn state(key: &Value) -> (String, String, i64) {
    let text = |member: &str| key[member].as_str().unwrap_or_default().to_owned();
    (text("key_value"), text("status"), key["failure_count"].as_i64().unwrap_or(-1))
}

fn states(keys: &[Value]) -> Vec<(String, String, i64)> {
    keys.iter().map(state).collect()
}

fn is(value: &str, status: &str, failures: i64) -> (String, String, i64) {
    (value.to_owned(), status.to_owned(), failures)
}

/// proxy.md 1, 5, 8: shown as it is, restored by hand, and the same after a crash.
#[tokio::test]
async fn a_refused_key_leaves_is_shown_comes_back_and_survives_a_crash() {
    let (mock, mut server) =
        house(json!({ "config": { "blacklist_threshold": 2, "max_retries": 0 } }), &["sk-a", "sk-b"]).await;
    let group = only_group(&server).await;
    mock.play_always("sk-a", Play::status(401));
    for _ in 0..2 {
        ask(&server, "g").await;
    }
    assert_eq!(states(&keys_of(&server, group).await), [is("sk-a", "active", 1), is("sk-b", "active", 0)]);
    for _ in 0..4 {
        ask(&server, "g").await;
    }
    assert_eq!(mock.count("sk-a"), 2, "it is out at the second failure");
    assert_eq!(states(&keys_of(&server, group).await), [is("sk-a", "invalid", 2), is("sk-b", "active", 0)]);
    for (filter, expected) in [("active", "sk-b"), ("invalid", "sk-a")] {
        let listed = server.managed("GET", &format!("/api/keys?group_id={group}&status={filter}"), None).await;
        assert_eq!(
            (listed["items"].as_array().map(Vec::len), &listed["items"][0]["key_value"]),
            (Some(1), &json!(expected))
        );
    }

    server.kill_and_restart().await;
    assert_eq!(states(&keys_of(&server, group).await)[0], is("sk-a", "invalid", 2));
    for _ in 0..3 {
        assert_eq!(ask(&server, "g").await.status, 200);
    }
    // It may be tested meanwhile, but serves nobody.
    let is_served = |seen: &&testkit::Seen| seen.key == "sk-a" && seen.header("user-agent").is_none();
    assert_eq!(mock.requests().iter().filter(is_served).count(), 2);

    let restored = json!({ "group_id": group, "keys_text": "sk-a sk-b sk-none" });
    let outcome = server.managed("POST", "/api/keys/restore-multiple", Some(&restored)).await;
    assert_eq!(outcome, json!({ "restored_count": 1, "ignored_count": 2, "total_in_group": 2 }));
    mock.reset();
    for _ in 0..2 {
        assert_eq!(ask(&server, "g").await.status, 200);
    }
    assert_eq!((mock.count("sk-a"), mock.count("sk-b")), (1, 1));
    assert_eq!(states(&keys_of(&server, group).await)[0], is("sk-a", "active", 0));
}

/// proxy.md 1: in between a success came.
#[tokio::test]
async fn a_success_between_failures_clears_them_also_where_they_are_stored() {
    let (mock, server) = house(json!({ "config": { "blacklist_threshold": 2, "max_retries": 0 } }), &["sk-a"]).await;
    let group = only_group(&server).await;
    mock.play("sk-a", [Play::status(401), Play::usual(), Play::status(401), Play::usual()]);
    for (status, failures) in [(401, 1), (200, 0), (401, 1), (200, 0)] {
        assert_eq!(ask(&server, "g").await.status, status);
        assert_eq!(states(&keys_of(&server, group).await), [is("sk-a", "active", failures)]);
    }
}

/// proxy.md 2, 4, 6: what a refusal costs depends on what it says.
#[tokio::test]
async fn a_refusal_costs_the_key_only_what_is_the_keys_fault() {
    let error =
        |message: &str, code: &str| json!({ "error": { "message": message, "code": code, "type": code } }).to_string();
    for (name, status, body, failures, rests) in [
        ("revoked", 401, error("Incorrect API key provided", "invalid_api_key"), 1, false),
        ("forbidden", 403, error("This account has been deactivated.", ""), 1, false),
        ("permission", 403, error("You have insufficient permissions.", ""), 0, false),
        ("without-credit", 402, error("Insufficient Balance", ""), 1, false),
        ("quota", 429, error("You exceeded your current quota", "insufficient_quota"), 1, false),
        ("rate", 429, error("Rate limit reached for requests", "rate_limit_exceeded"), 0, true),
        ("too-large", 429, error("Request too large for gpt-4o on TPM", "rate_limit_exceeded"), 0, false),
        ("mistake", 400, error("Unknown parameter", "unknown_parameter"), 0, false),
        ("context", 400, error("too long", "context_length_exceeded"), 0, false),
        ("absent", 404, error("no such model", "model_not_found"), 0, false),
        ("broken", 500, error("The server had an error", "server_error"), 0, false),
        ("overloaded", 503, error("overloaded", "server_error"), 0, false),
    ] {
        let config = json!({ "config": { "blacklist_threshold": 3, "max_retries": 0 } });
        let (mock, server) = house(config, &["sk-a", "sk-b"]).await;
        mock.play("sk-a", [Play::status(status).body(body).header("Retry-After", "60")]);
        assert_eq!(ask(&server, "g").await.status, status, "{name}");
        let group = only_group(&server).await;
        assert_eq!(states(&keys_of(&server, group).await)[0], is("sk-a", "active", failures), "{name}");
        mock.reset();
        for _ in 0..3 {
            assert_eq!(ask(&server, "g").await.status, 200, "{name}");
        }
        let expected = if rests { ["sk-b"; 3] } else { ["sk-b", "sk-a", "sk-b"] };
        assert_eq!(mock.keys_seen(), expected, "{name}");
    }
}

/// Changes what is stored while no server runs.
async fn change_stopped(server: &mut TempServer, statements: &'static str) {
    server.ask_to_stop();
    assert!(server.ended().await.success(), "{}", server.log());
    let options = SqliteConnectOptions::new().filename(server.database_path()).foreign_keys(false);
    let mut connection = options.connect().await.expect("the database can be opened");
    sqlx::raw_sql(statements).execute(&mut connection).await.expect("the statements are right");
    connection.close().await.expect("the database can be closed");
    server.start_again().await;
}

/// proxy.md 15 to 21: each channel's own small test, in which the group's rules hold; a key that works again serves.
#[tokio::test]
async fn keys_that_work_again_come_back_by_themselves() {
    let mock = MockUpstream::start().await;
    let mut server = TempServer::start().await;
    let mut groups = Vec::new();
    for channel in ["openai", "openai-response", "gemini", "anthropic"] {
        let rules = json!({
            "model_redirect_rules": { "mock-small": "mock-large" },
            "header_rules": [{ "key": "X-Group", "value": "${GROUP_NAME} ${CLIENT_IP}", "action": "set" }],
        });
        let group = server.create_group(channel, channel, &mock.base_url(), rules).await;
        server.add_keys(group, &[&format!("{channel}-good"), &format!("{channel}-bad")]).await;
        mock.play_always(&format!("{channel}-bad"), Play::status(401));
        groups.push((channel, group));
    }
    change_stopped(
        &mut server,
        "UPDATE api_keys SET status = 'invalid', failure_count = 3; UPDATE groups SET last_validated_at = NULL",
    )
    .await;
    for (channel, group) in &groups {
        let keys = format!("/api/keys?group_id={group}&status=active");
        let active =
            server.eventually(&keys, |data| data["items"].as_array().is_some_and(|keys| keys.len() == 1)).await;
        assert_eq!(active["items"][0]["key_value"], format!("{channel}-good"));
        assert_eq!(active["items"][0]["failure_count"], 0);
    }
    mock.arrived(8).await;
    let validated = "SELECT json(count(*)) FROM groups WHERE last_validated_at IS NOT NULL";
    eventually_stored(&server, validated, |rows| rows == [json!(4)]).await;
    for seen in mock.requests() {
        let (channel, _) = seen.key.rsplit_once('-').unwrap_or_default();
        assert_eq!(seen.header("x-group"), Some(format!("{channel} 127.0.0.1").as_str()));
        let body = seen.json();
        let (target, model, limit) = match channel {
            "openai" => ("/v1/chat/completions", &body["model"], &body["max_tokens"]),
            "openai-response" => ("/v1/responses", &body["model"], &body["max_output_tokens"]),
            "anthropic" => ("/v1/messages", &body["model"], &body["max_tokens"]),
            _ => (
                "/v1beta/models/mock-large:generateContent",
                &Value::Null,
                &body["generationConfig"]["maxOutputTokens"],
            ),
        };
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", target));
        assert!(model.is_null() || model == "mock-large", "{body}");
        assert!(limit.as_i64().is_some_and(|limit| (1..=16).contains(&limit)), "{body}");
    }
    // A key that works serves at once.
    assert_eq!(ask(&server, "openai").await.status, 200);
    // None of this is a request of a client's.
    let rows = crate::support::records(&server, 1).await;
    assert_eq!(rows[0]["status_code"], 200);
}

/// proxy.md 15, 16, 65: the answer says what the upstream said, without the key.
#[tokio::test]
async fn a_test_by_hand_says_what_it_found_and_acts_on_it() {
    const ECHO: &str = "sk-echo-0123456789abcdef";
    let (mock, server) = house(json!({}), &["sk-good", ECHO, "sk-limited", "sk-broken", "sk-gone"]).await;
    let group = only_group(&server).await;
    let echo = format!("{{\"error\":{{\"message\":\"Incorrect API key provided: {ECHO}\"}}}}");
    mock.play_always(ECHO, Play::status(401).body(echo));
    mock.play_always("sk-limited", Play::status(429).body("{\"error\":\"slow down\"}"));
    mock.play_always("sk-broken", Play::status(500).body("oops"));
    mock.play_always("sk-gone", Play::reset());
    let keys = format!("sk-good\n{ECHO}\nsk-limited\nsk-broken\nsk-gone\nsk-unknown\nsk-good");
    let body = json!({ "group_id": group, "keys_text": keys });
    let outcome = server.managed("POST", "/api/keys/test-multiple", Some(&body)).await;
    let results = outcome["results"].as_array().cloned().unwrap_or_default();
    let error = |index: usize| results[index]["error"].as_str().unwrap_or_default().to_owned();
    let valid: Vec<_> = results.iter().map(|result| result["is_valid"].as_bool()).collect();
    assert_eq!(valid, [true, false, false, false, false, false, true].map(Some));
    assert!(results[0].get("error").is_none());
    assert_eq!(error(1), "[status 401] Incorrect API key provided: sk-e****cdef");
    assert_eq!(error(2), "[status 429] slow down");
    assert_eq!(error(3), "[status 500] oops");
    assert!(
        error(4).starts_with("failed to send validation request: ") && !error(4).contains("127.0.0.1"),
        "{}",
        error(4)
    );
    assert_eq!(error(5), "Key does not exist in this group or has been removed.");
    assert!(outcome["total_duration"].is_u64());
    let after = states(&keys_of(&server, group).await);
    assert_eq!(after[0], is("sk-good", "active", 0));
    assert_eq!((after[1].0.as_str(), after[1].1.as_str()), (ECHO, "invalid"));
    assert!(after[2..].iter().all(|(_, status, failures)| status == "active" && *failures == 0), "{after:?}");

    // What a test takes out, a test puts back.
    mock.reset();
    let body = json!({ "group_id": group, "keys_text": ECHO });
    let outcome = server.managed("POST", "/api/keys/test-multiple", Some(&body)).await;
    assert_eq!(outcome["results"], json!([{ "key_value": ECHO, "is_valid": true }]));
    assert_eq!(states(&keys_of(&server, group).await)[1], is(ECHO, "active", 0));
}

/// proxy.md 88: a key serves when its addition is answered, and no longer once its deletion is.
#[tokio::test]
async fn keys_serve_from_the_moment_they_are_added_until_they_are_deleted() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let group = only_group(&server).await;
    server.add_keys(group, &["sk-b"]).await;
    for _ in 0..2 {
        ask(&server, "g").await;
    }
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
    let body = json!({ "group_id": group, "keys_text": "sk-a sk-none" });
    let outcome = server.managed("POST", "/api/keys/delete-multiple", Some(&body)).await;
    assert_eq!(outcome, json!({ "deleted_count": 1, "ignored_count": 1, "total_in_group": 1 }));
    mock.reset();
    for _ in 0..2 {
        ask(&server, "g").await;
    }
    assert_eq!(mock.keys_seen(), ["sk-b", "sk-b"]);
    server.managed("POST", "/api/keys/clear-all", Some(&json!({ "group_id": group }))).await;
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("NO_KEYS_AVAILABLE")));
}
