//! Databases that the original left, on the engine of this run: they open, show what they held, and serve.

#![expect(clippy::unwrap_used, reason = "what cannot be set up, or a helper that cannot go on, fails the test")]

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{Engine, FreshDatabase, MockUpstream, Play, TempServer};

/// What the encrypted dumps are encrypted with.
const PASSPHRASE: &str = "correct horse battery staple";
/// Where their upstreams are.
const UPSTREAM: &str = "http://mock.invalid";
/// The day on which the dumps of 1.4 end; hourly figures of long ago would be deleted, so tests bring it near.
const DAY: &str = "2026-11-20";
const MAIN: &str = "sk-test-0123456789abcdefghijklmnop";

/// In the place of [`DAY`], and this many days later.
fn day(later: u64) -> String {
    let day = chrono::Utc::now().date_naive() - chrono::Days::new(10) + chrono::Days::new(later);
    day.to_string()
}

/// A server in the place of the original, on a copy of its database.
async fn taken_over(version: &str, passphrase: &str) -> (MockUpstream, FreshDatabase, TempServer) {
    let mock = MockUpstream::start().await;
    mock.play_always("sk-dead-0003", Play::status(401));
    let database = FreshDatabase::of_this_run().await;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/originals");
    let dump = folder.join(format!("{}_{version}.sql", Engine::of_this_run()));
    database.load_replacing(dump, &[(UPSTREAM, &mock.base_url()), (DAY, &day(0))]).await;
    let builder = TempServer::builder().env("DATABASE_DSN", &database.dsn_in_zone("Asia/Shanghai"));
    let server = builder.env("TZ", "Asia/Shanghai").env("ENCRYPTION_KEY", passphrase).start().await;
    // Keys that are out are tested at the start; what comes later is the tests' own.
    let tested = |groups: &Value| groups[0]["last_validated_at"].as_str().is_some_and(|time| time > &*day(1));
    server.eventually("/api/groups", tested).await;
    mock.reset();
    (mock, database, server)
}

async fn keys_of(server: &TempServer, group: i64) -> Vec<Value> {
    let listed = server.managed("GET", &format!("/api/keys?group_id={group}&page_size=100"), None).await;
    let mut keys = listed["items"].as_array().cloned().unwrap_or_default();
    keys.sort_by_key(|key| key["id"].as_i64());
    keys
}

/// These members of a value, in this order.
fn members<const N: usize>(value: &Value, names: [&str; N]) -> [Value; N] {
    names.map(|name| value[name].clone())
}

/// RFC 3339 in UTC, to the millisecond: engines keep more or less.
fn millisecond(time: &Value) -> String {
    let text = time.as_str().unwrap();
    let (whole, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    format!("{whole}.{fraction:0<3.3}")
}

async fn value_of_setting(server: &TempServer, key: &str) -> Value {
    let categories = server.managed("GET", "/api/settings", None).await;
    let settings = categories.as_array().unwrap().iter().flat_map(|one| one["settings"].as_array().unwrap());
    settings.clone().find(|setting| setting["key"] == key).unwrap()["value"].clone()
}

async fn shows_what_it_held(server: &TempServer) {
    assert_eq!(value_of_setting(server, "request_timeout").await, 600, "what cannot be read is the default");
    assert_eq!(value_of_setting(server, "blacklist_threshold").await, 5);
    assert_eq!(value_of_setting(server, "proxy_keys").await, "sk-global-1,sk-global-2");

    let groups = server.managed("GET", "/api/groups", None).await;
    let names: Vec<&str> = groups.as_array().unwrap().iter().filter_map(|group| group["name"].as_str()).collect();
    assert_eq!(names, ["openai-main", "openai-spare", "claude", "gemini", "all-openai"]);
    let main = &groups[0];
    assert_eq!(
        members(main, ["display_name", "proxy_keys", "description", "param_overrides", "config"]),
        [
            json!("OpenAI 主力"),
            json!("sk-client,sk-team-b"),
            json!("it's the first"),
            json!({ "temperature": 0.5 }),
            json!({ "blacklist_threshold": 2, "max_retries": 1 })
        ]
    );
    assert_eq!(main["upstreams"][1], json!({ "url": "http://unused.invalid", "weight": 0 }));
    assert_eq!(main["header_rules"][1], json!({ "action": "set", "key": "X-Odd", "value": "a&b <c>" }));
    assert_eq!(main["model_redirect_rules"], json!({ "fast": "mock-small" }));
    assert_eq!(millisecond(&main["created_at"]), "2026-03-02T02:00:00.250");
    assert_eq!(members(&groups[1], ["param_overrides", "config"]), [Value::Null, Value::Null], "JSON null");
    let texts = ["group_type", "display_name", "proxy_keys", "description", "validation_endpoint"];
    assert_eq!(members(&groups[2], texts), ["standard", "", "", "", ""].map(Value::from), "SQL NULL");
    assert_eq!(members(&groups[3], ["model_redirect_strict", "param_overrides"]), [json!(true), json!({})]);
    assert_eq!(members(&groups[4], ["group_type", "upstreams"]), [json!("aggregate"), json!([])]);
    let parts = server.managed("GET", "/api/groups/5/sub-groups", None).await;
    let mut weights: Vec<(i64, i64)> = Vec::new();
    for part in parts.as_array().unwrap() {
        weights.push((part["group"]["id"].as_i64().unwrap(), part["weight"].as_i64().unwrap()));
    }
    weights.sort_unstable();
    assert_eq!(weights, [(1, 10), (2, 5)]);

    let figures = ["id", "key_value", "status", "notes", "request_count", "failure_count"];
    let keys: Vec<_> = keys_of(server, 1).await.iter().map(|key| members(key, figures)).collect();
    let key = |id, text: &str, status: &str, notes: &str, requests, failures| {
        [json!(id), json!(text), json!(status), json!(notes), json!(requests), json!(failures)]
    };
    let expected = [
        key(1, MAIN, "active", "主力 key", 12, 0),
        key(2, "sk-second-0002", "active", "", 3, 1),
        key(3, "sk-dead-0003", "invalid", "", 1, 2),
    ];
    assert_eq!(keys, expected);
    let keys = keys_of(server, 2).await;
    assert_eq!(members(&keys[0], figures), key(5, "sk-spare-0005", "active", "", 0, 0), "its notes are NULL");
    assert_eq!(keys[0]["last_used_at"], Value::Null);
    assert_eq!(millisecond(&keys[1]["last_used_at"]), day(0) + "T01:30:00.500");
    assert_eq!(keys_of(server, 3).await[0]["failure_count"], 4);
}

/// By instants, whatever zones they were written in. `oldest` is what is shown of a key that was logged in clear.
async fn shows_the_log(server: &TempServer, oldest: &str) {
    let logs = server.managed("GET", "/api/logs?page_size=100", None).await["items"].take();
    let logs = logs.as_array().unwrap();
    let what = |log: &Value| {
        let id = log["id"].as_str().unwrap();
        (id[id.len() - 1..].to_owned(), millisecond(&log["timestamp"]), log["key_value"].as_str().unwrap().to_owned())
    };
    let found: Vec<_> = logs.iter().map(what).collect();
    let expected = [
        ("4", "T02:05:00.000", ""),
        ("5", "T01:40:00.001", "AIzaSyTestKey-000000000000000000000000"),
        ("6", "T01:30:00.500", MAIN),
        ("3", "T01:20:00.000", "sk-second-0002"),
        ("2", "T01:19:59.500", "sk-spare-0005"),
        ("1", "T01:15:30.123", MAIN),
        ("7", "2026-03-02T02:30:00.250", oldest),
    ];
    let whole = |time: &str| if time.starts_with('T') { day(0) + time } else { time.to_owned() };
    assert_eq!(found, expected.map(|(id, time, key)| (id.to_owned(), whole(time), key.to_owned())));
    let names = ["request_type", "status_code", "parent_group_name", "error_message", "is_success"];
    let retry = [json!("retry"), json!(429), json!("all-openai"), json!("限流: it's too much"), json!(false)];
    assert_eq!(members(&logs[4], names), retry);
    assert_eq!(logs[1]["request_body"], r#"{"contents":[{"parts":[{"text":"你好, \"it's\" \\ me"}]}]}"#);
    let older = ["model", "parent_group_id", "parent_group_name", "key_hash", "request_body"];
    assert_eq!(members(&logs[6], older), [json!(""), json!(0), json!(""), json!(""), json!("")], "SQL NULL");
    // Bounds are instants too; the key is found by its hash.
    let day = day(0);
    let target = format!("/api/logs?start_time={day}T01:16:00Z&end_time={day}T09:30:01%2B08:00&key_value={MAIN}");
    let filtered = server.managed("GET", &target, None).await;
    let ids: Vec<&str> = filtered["items"].as_array().unwrap().iter().filter_map(|log| log["id"].as_str()).collect();
    assert_eq!(ids, ["1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b106"]);
}

async fn serves(server: &TempServer, mock: &MockUpstream) {
    let body = json!({ "model": "fast", "messages": [] });
    let answer = server.proxied("POST", "/proxy/openai-main/v1/chat/completions", Some(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = mock.request();
    assert!([MAIN, "sk-second-0002"].contains(&seen.key.as_str()), "{}", seen.key);
    assert_eq!((seen.header("x-group"), seen.header("x-odd")), (Some("openai-main"), Some("a&b <c>")));
    assert_eq!(seen.json(), json!({ "model": "mock-small", "messages": [], "temperature": 0.5 }));
    mock.reset();
    let body = json!({ "model": "mock-small", "messages": [] });
    assert_eq!(server.proxied("POST", "/proxy/all-openai/v1/chat/completions", Some(&body)).await.status, 200);
    mock.reset();
    // A global key of the stored settings, because the group has none.
    let request = "POST /proxy/claude/v1/messages HTTP/1.1\r\nHost: here\r\nx-api-key: sk-global-2\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(server.exchange(request).await.status, 200);
    assert_eq!(mock.request().key, "sk-ant-0007");
}

/// What the database holds of finished hours: `group|successes|failures`.
async fn hours(database: &FreshDatabase) -> Vec<String> {
    let query = format!(
        "SELECT group_id, sum(success_count), sum(failure_count) FROM group_hourly_stats \
         WHERE time < '{}' GROUP BY group_id ORDER BY group_id",
        day(2)
    );
    let rows = database.rows(&query).await;
    rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")).collect()
}

/// database.md 12
#[tokio::test]
async fn a_database_of_the_original_shows_what_it_held_and_serves() {
    let (mock, database, mut server) = taken_over("1_4", "").await;
    shows_what_it_held(&server).await;
    shows_the_log(&server, "sk-ant-0007").await;
    serves(&server, &mock).await;
    let expected = ["1|17|1", "2|1|0", "3|0|2", "4|1|0", "5|4|1", "6|3|0", "7|3|0"];
    assert_eq!(hours(&database).await, expected);
    // Ids of deleted rows are not given again.
    let id = server.create_group("next", "openai", UPSTREAM, json!({})).await;
    server.add_keys(id, &["sk-next"]).await;
    assert_eq!((id, keys_of(&server, id).await[0]["id"].as_i64()), (8, Some(11)));

    server.ask_to_stop();
    assert!(server.ended().await.success(), "{}", server.log());
    server.start_again().await;
    assert_eq!(hours(&database).await, expected);
    assert_eq!(keys_of(&server, 1).await[2]["status"], "invalid");
}

/// operations.md 9
#[tokio::test]
async fn an_encrypted_database_of_the_original_shows_what_it_held_and_serves() {
    let (mock, database, server) = taken_over("1_4_encrypted", PASSPHRASE).await;
    shows_what_it_held(&server).await;
    // Logged before there was encryption, and never encrypted by the original.
    shows_the_log(&server, "failed-to-decrypt").await;
    serves(&server, &mock).await;
    let stored = database.column("SELECT key_value FROM api_keys WHERE id < 10").await;
    assert!(stored.iter().all(|key| !key.contains("sk-") && !key.contains("AIza")), "{stored:?}");
}

/// database.md 11, DB12
#[tokio::test]
async fn a_database_of_an_old_version_gets_what_it_lacks_and_serves() {
    let (mock, _database, server) = taken_over("1_0_13", "").await;
    let seeded = value_of_setting(&server, "proxy_keys").await;
    assert!(seeded.as_str().unwrap().starts_with("sk-"), "{seeded}");
    server.change_settings(json!({ "proxy_keys": TempServer::CLIENT_KEY, "request_log_retention_days": 0 })).await;
    let keys = keys_of(&server, 1).await;
    let hash = "820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643";
    assert_eq!(members(&keys[0], ["key_hash", "notes", "request_count"]), [json!(hash), json!(""), json!(7)]);
    let body = json!({ "model": "mock-small", "messages": [] });
    assert_eq!(server.proxied("POST", "/proxy/team/v1/chat/completions", Some(&body)).await.status, 200);
    assert_eq!(mock.request().key, "sk-test-0001");
    // The new entry is written although the old columns are not filled, and the old ones are shown.
    let count = if Engine::of_this_run() == Engine::MySql { 4 } else { 3 };
    let logs = server.eventually("/api/logs", |data| data["pagination"]["total_items"] == count).await["items"].take();
    let names = ["request_type", "status_code", "key_value", "group_name", "model"];
    let old = [json!("final"), json!(401), json!("sk-test-0002"), json!("team"), json!("")];
    assert_eq!((logs[0]["status_code"].as_i64(), members(&logs[1], names)), (Some(200), old));
    assert_eq!(millisecond(&logs[2]["timestamp"]), "2025-07-02T02:00:00.250");
}
