//! The request log: a row for every attempt and every refusal, with all of its fields, whatever happens.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Ending, MockUpstream, Play, RawConnection, TempServer};

use crate::support::{CHAT, NOBODY, ask, eventually_stored, house, keys_of, post, question, records, request, stored};

/// SHA-256 of `sk-test-0001`, and what `my-encryption-key-0123456789` makes of it (database.md 9).
const HASH_IN_CLEAR: &str = "820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643";
const PASSPHRASE: &str = "my-encryption-key-0123456789";
const HASH_ENCRYPTED: &str = "e6a0005b928c815aa1dd3d771702b8b497bc30dd1db37292762817e5a6bcc550";

#[track_caller]
fn check(row: &Value, expected: &[(&str, Value)]) {
    for (column, value) in expected {
        assert_eq!(&row[column], value, "{column} of {row:#}");
    }
}

/// proxy.md 78, 79
#[tokio::test]
async fn a_request_leaves_one_row_with_every_field() {
    let (mock, server) = house(json!({}), &["sk-test-0001"]).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    let headers = "User-Agent: Test/1.0 é\r\nContent-Type: application/json\r\nX-Forwarded-For: 6.6.6.6\r\n";
    let target = format!("/proxy/g{CHAT}?a=%20b&key=sk-client&c");
    let answer = server.exchange(post(&target, headers, question().to_string().as_bytes())).await;
    let row = records(&server, 1).await.remove(0);
    let expected = [
        ("group_id", json!(group)),
        ("group_name", json!("g")),
        ("parent_group_id", json!(0)),
        ("parent_group_name", json!("")),
        ("key_value", json!("****")),
        ("key_hash", json!(HASH_IN_CLEAR)),
        ("model", json!("mock-small")),
        ("is_success", json!(1)),
        ("source_ip", json!("127.0.0.1")),
        ("status_code", json!(200)),
        ("request_path", json!(format!("/proxy/g{CHAT}?a=%20b&c"))),
        ("error_message", json!("")),
        ("user_agent", json!("Test/1.0 é")),
        ("request_type", json!("final")),
        ("upstream_addr", json!(format!("{}{CHAT}?a=%20b&c", mock.base_url()))),
        ("is_stream", json!(0)),
        ("request_body", json!("")),
        ("request_id", json!(answer.header("x-gpt-load-request-id"))),
        ("attempt", json!(1)),
        ("verdict", json!("success")),
        ("client_key", json!("#1")),
    ];
    check(&row, &expected);
    let number = |column: &str| row[column].as_i64().unwrap_or(-1);
    assert!((0..=number("duration")).contains(&number("first_byte_ms")), "{row:#}");
    assert!((0..=number("duration") * 1000 + 999).contains(&number("overhead_us")), "{row:#}");
    assert_eq!(row["id"].as_str().map(str::len), Some(36));
    assert_ne!(row["id"], row["request_id"]);
    assert!(row["timestamp"].as_str().is_some_and(|time| time.ends_with("+00:00")), "{row:#}");
}

#[tokio::test]
async fn a_stream_is_recorded_as_one_when_its_last_byte_is_sent() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::usual().chunks(3).gap(Duration::from_millis(40)));
    let mut body = question();
    body["stream"] = json!(true);
    assert_eq!(server.proxied("POST", &format!("/proxy/g{CHAT}"), Some(&body)).await.status, 200);
    let row = records(&server, 1).await.remove(0);
    check(&row, &[("is_stream", json!(1)), ("status_code", json!(200)), ("is_success", json!(1))]);
    let number = |column: &str| row[column].as_i64().unwrap_or(-1);
    assert!(number("duration") >= 80 && number("first_byte_ms") <= number("duration") - 40, "{row:#}");
}

/// proxy.md 44, 57: what the upstream was asked for and what it answers decide, not what a client would accept.
#[tokio::test]
async fn a_stream_is_what_was_asked_for_after_the_overrides() {
    let (mock, server) = house(json!({ "param_overrides": { "stream": true } }), &["sk-a"]).await;
    let plain = server.create_group("plain", "openai", &mock.base_url(), json!({})).await;
    let never = server
        .create_group("never", "openai", &mock.base_url(), json!({ "param_overrides": { "stream": false } }))
        .await;
    for group in [plain, never] {
        server.add_keys(group, &["sk-a"]).await;
    }
    let form = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x\r\n\
        Content-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--x--\r\n";
    let accepts = "Accept: application/json, text/event-stream\r\n";
    let cases = [
        ("g", "", r#"{"model":"m"}"#, 1, "text/event-stream"),
        ("never", "", r#"{"model":"m","stream":true}"#, 0, "application/json"),
        ("plain", accepts, r#"{"model":"m"}"#, 0, "application/json"),
        ("plain", "Content-Type: multipart/form-data; boundary=x\r\n", form, 1, "application/json"),
    ];
    for (group, headers, body, _, content_type) in cases {
        let answer = server.exchange(post(&format!("/proxy/{group}{CHAT}"), headers, body.as_bytes())).await;
        let found = answer.header("content-type").unwrap_or_default();
        assert!(answer.status == 200 && found.starts_with(content_type), "{group} {body}: {}", answer.head);
    }
    let rows = records(&server, cases.len()).await;
    let found: Vec<_> = rows.iter().filter_map(|row| row["is_stream"].as_i64()).collect();
    assert_eq!(found, cases.map(|(_, _, _, is_stream, _)| is_stream));
}

#[tokio::test]
async fn attempts_of_one_request_share_its_id_and_count_on() {
    let (mock, server) = house(json!({}), &["sk-a-long-enough", "sk-b-long-enough", "sk-c-long-enough"]).await;
    mock.play_any([Play::status(429).body("{\"error\":{\"message\":\"slow down\"}}"), Play::status(401).body("no")]);
    let answer = ask(&server, "g").await;
    let rows = records(&server, 3).await;
    let seen = [("retry", 429, "slow down"), ("retry", 401, "no"), ("final", 200, "")];
    let keys = mock.keys_seen();
    for (index, (kind, status, message)) in seen.into_iter().enumerate() {
        let expected = [
            ("request_type", json!(kind)),
            ("status_code", json!(status)),
            ("error_message", json!(message)),
            ("key_value", json!(format!("{}****ough", &keys[index][..4]))),
            ("attempt", json!(index + 1)),
            ("is_success", json!(i32::from(status == 200))),
            ("request_id", json!(answer.header("x-gpt-load-request-id"))),
            ("model", json!("mock-small")),
            ("request_path", json!(format!("/proxy/g{CHAT}"))),
        ];
        check(&rows[index], &expected);
        let earlier = index.checked_sub(1).map_or(0, |before| rows[before]["duration"].as_i64().unwrap_or(0));
        assert!(rows[index]["duration"].as_i64() >= Some(earlier), "it grows from attempt to attempt");
    }
}

#[tokio::test]
async fn a_row_says_which_model_was_asked_for_instead_and_what_the_upstream_calls_the_request() {
    let (mock, server) = house(json!({ "model_redirect_rules": { "fast": "mock-small" } }), &["sk-a", "sk-b"]).await;
    let refusal = Play::status(429).header("request-id", "req_first").body(r#"{"error": {"message": "slow down"}}"#);
    mock.play_any([refusal, Play::usual().header("X-Request-Id", "req_last"), Play::usual()]);
    let asked = json!({ "model": "fast", "messages": [{ "role": "user", "content": "hi" }] });
    for body in [asked, question()] {
        let answer = server.proxied("POST", &format!("/proxy/g{CHAT}"), Some(&body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut rows = records(&server, 3).await;
    // Ends within one millisecond are in no order.
    rows.sort_by_key(|row| (row["sent_model"].is_null(), row["attempt"].as_i64()));
    for (row, expected) in rows.iter().zip([
        [("model", json!("fast")), ("sent_model", json!("mock-small")), ("upstream_request_id", json!("req_first"))],
        [("model", json!("fast")), ("sent_model", json!("mock-small")), ("upstream_request_id", json!("req_last"))],
        // The mock upstream's usual one.
        [("model", json!("mock-small")), ("sent_model", Value::Null), ("upstream_request_id", json!("req-mock"))],
    ]) {
        check(row, &expected);
    }
}

/// proxy.md 80: refusals of ours are on record too.
#[tokio::test]
async fn every_refusal_leaves_its_row() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("REQUEST_BODY_BYTES_MAX", "1000").start().await;
    server.change_settings(json!({ "proxy_keys": TempServer::CLIENT_KEY })).await;
    let strict = json!({ "model_redirect_strict": true });
    for (name, more) in [("empty", json!({})), ("strict", strict)] {
        server.create_group(name, "openai", &mock.base_url(), more).await;
    }
    let strict = server.managed("GET", "/api/groups", None).await;
    let strict = strict.as_array().into_iter().flatten().find(|group| group["name"] == "strict").expect("it is there");
    server.add_keys(strict["id"].as_i64().expect("an id"), &["sk-a"]).await;
    let large = vec![b'x'; 2_000];
    let no_body = request("GET", "/proxy/empty/v1/models?key=wrong", "User-Agent: u\r\n", b"");
    let mut expected = Vec::new();
    for (sent, status, group, message) in [
        (no_body, 401, "", "Authentication failed"),
        (request("TRACE", "/proxy/strict/x", "User-Agent: u\r\n", b""), 405, "", "not forwarded"),
        (post("/proxy/nope/v1/x", "User-Agent: u\r\n", b"{}"), 404, "", "There is no group"),
        (post(&format!("/proxy/empty{CHAT}"), "User-Agent: u\r\n", b"{}"), 503, "empty", "No active API keys"),
        (post(&format!("/proxy/strict{CHAT}"), "User-Agent: u\r\n", br#"{"model":"m"}"#), 400, "strict", "model 'm'"),
        (post(&format!("/proxy/strict{CHAT}"), "User-Agent: u\r\n", &large), 413, "strict", "larger than"),
        (post("/proxy/strict/../x", "User-Agent: u\r\n", b"{}"), 400, "", "The path"),
    ] {
        let answer = server.exchange(sent).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        expected.push((answer.header("x-gpt-load-request-id").map(str::to_owned), status, group, message));
    }
    let rows = records(&server, expected.len()).await;
    for (request_id, status, group, message) in expected {
        let row = rows.iter().find(|row| row["request_id"].as_str() == request_id.as_deref());
        let row = row.unwrap_or_else(|| panic!("no row of {status} {message}: {rows:#?}"));
        let expected = [
            ("status_code", json!(status)),
            ("group_name", json!(group)),
            ("request_type", json!("final")),
            ("is_success", json!(0)),
            ("attempt", json!(0)),
            ("key_value", json!("")),
            ("key_hash", json!("")),
            ("upstream_addr", json!("")),
            ("user_agent", json!("u")),
            ("source_ip", json!("127.0.0.1")),
            ("first_byte_ms", Value::Null),
            ("verdict", json!(if status == 503 { "ourselves" } else { "client" })),
            ("client_key", if group.is_empty() { Value::Null } else { json!("#1") }),
        ];
        check(row, &expected);
        assert!(row["error_message"].as_str().is_some_and(|text| text.contains(message)), "{message}: {row:#}");
        assert!(
            row["request_path"].as_str().is_some_and(|path| path.starts_with("/proxy/") && !path.contains("wrong"))
        );
    }
}

/// proxy.md 71, 80
#[tokio::test]
async fn a_request_over_the_limit_leaves_its_row() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("MAX_CONCURRENT_REQUESTS", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut first = RawConnection::open(server.address()).await;
    first.send(post(&format!("/proxy/g{CHAT}"), "", b"{}")).await;
    mock.arrived(1).await;
    assert_eq!(ask(&server, "g").await.status, 503);
    let row = records(&server, 1).await.remove(0);
    let expected = [("status_code", json!(503)), ("attempt", json!(0)), ("is_success", json!(0))];
    check(&row, &expected);
    check(&row, &[("verdict", json!("ourselves"))]);
    drop(first);
    check(&records(&server, 2).await[1], &[("verdict", json!("client_gone"))]);
}

/// proxy.md 31, 59, 80: what broke, and who broke it off.
#[tokio::test]
async fn a_row_says_who_broke_an_answer_off() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    let mut stream = question();
    stream["stream"] = json!(true);
    let target = format!("/proxy/g{CHAT}");
    mock.play_any([
        Play::usual().then(Ending::CloseAfter(2)),
        Play::reset(),
        Play::status(404),
        Play::usual().then(Ending::HangAfter(2)),
    ]);
    server.proxied("POST", &target, Some(&stream)).await;
    assert_eq!([ask(&server, "g").await.status, ask(&server, "g").await.status], [502, 404]);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&target, "", stream.to_string().as_bytes())).await;
    client.read_until(b"data: ").await;
    drop(client);
    let rows = records(&server, 4).await;
    check(
        &rows[0],
        &[("status_code", json!(200)), ("is_success", json!(0)), ("is_stream", json!(1)), ("attempt", json!(1))],
    );
    assert!(rows[0]["error_message"].as_str().is_some_and(|text| text.contains("broke off")), "{:#}", rows[0]);
    check(&rows[1], &[("status_code", json!(502)), ("is_success", json!(0)), ("attempt", json!(1))]);
    check(&rows[2], &[("status_code", json!(404)), ("is_success", json!(0)), ("key_value", json!("****"))]);
    check(&rows[3], &[("status_code", json!(499)), ("is_success", json!(0)), ("key_value", json!("****"))]);
    let verdicts: Vec<_> = rows.iter().filter_map(|row| row["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["upstream", "upstream", "client", "client_gone"]);
    // Nobody is to blame for a client that left: it is neither a success nor a failure.
    let hours = "SELECT json_array(sum(success_count), sum(failure_count)) FROM group_hourly_stats";
    eventually_stored(&server, hours, |rows| rows == [json!([0, 3])]).await;
}

/// Each attempt by its own outcome, and the answer that is passed on by whom it blames, also where its status is none that
/// the group retries.
#[tokio::test]
async fn every_attempt_says_whose_fault_it_was() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b", "sk-c"]).await;
    mock.play_any([
        // One request.
        Play::status(429),
        Play::status(401),
        Play::status(500),
        Play::usual(),
        // The next: a client's mistake is confirmed by another key.
        Play::status(400).body("{\"error\":{\"message\":\"no such field\"}}"),
        Play::status(400).body("{\"error\":{\"message\":\"no such field\"}}"),
    ]);
    let mut wanted = vec!["key_for_now", "key", "upstream", "success", "client", "client"];
    assert_eq!([ask(&server, "g").await.status, ask(&server, "g").await.status], [200, 400]);
    // Statuses that this group does not retry.
    let lists_nothing = json!({ "config": { "failover_status_codes": "599", "blacklist_threshold": 0 } });
    let plain = server.create_group("plain", "openai", &mock.base_url(), lists_nothing).await;
    server.add_keys(plain, &["sk-d"]).await;
    let unlisted = [(401, "key"), (429, "key_for_now"), (400, "client"), (404, "client"), (503, "upstream")];
    for (status, verdict) in unlisted {
        mock.play("sk-d", [Play::status(status)]);
        assert_eq!(ask(&server, "plain").await.status, status);
        wanted.push(verdict);
    }
    // Nobody is there.
    let nowhere = server.create_group("nowhere", "openai", NOBODY, json!({ "config": { "max_retries": 0 } })).await;
    server.add_keys(nowhere, &["sk-e"]).await;
    assert_eq!(ask(&server, "nowhere").await.status, 502);
    wanted.push("upstream");
    // A client that leaves its own upload, and one that sends no HTTP.
    let half = |body: &str| {
        let head = format!(
            "POST /proxy/g{CHAT} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n",
            TempServer::CLIENT_KEY
        );
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}")
    };
    let mut client = RawConnection::open(server.address()).await;
    client.send(half("5\r\nhe")).await;
    drop(client);
    wanted.push("client_gone");
    records(&server, wanted.len()).await;
    assert_eq!(server.exchange(half("nonsense\r\n")).await.status, 400);
    wanted.push("client");
    let rows = records(&server, wanted.len()).await;
    let found: Vec<_> = rows.iter().filter_map(|row| row["verdict"].as_str()).collect();
    assert_eq!(found, wanted);
}

/// The label tells its owner which key it was, and nobody else what it is.
#[tokio::test]
async fn a_row_names_the_proxy_key_by_a_label() {
    let long = "sk-alice-0123456789-9f0e";
    let own = json!({ "proxy_keys": format!("{long},bob,carol") });
    let (_mock, server) = house(own, &["sk-a"]).await;
    server.change_settings(json!({ "proxy_keys": "everyone,sk-global-0123456789-beef" })).await;
    let labels = [
        ("carol", "#3"),
        (long, "sk-a****9f0e"),
        ("everyone", "global #1"),
        ("sk-global-0123456789-beef", "sk-g****beef"),
        ("bob", "#2"),
    ];
    for (key, _) in labels {
        let header = format!("Authorization: Bearer {key}\r\n");
        let answer = server.exchange(request("GET", "/proxy/g/v1/models", &header, b"")).await;
        assert_eq!(answer.status, 200);
    }
    // In the query, beside a header that is for the upstream.
    let header = "Authorization: Bearer theirs\r\n";
    server.exchange(request("GET", "/proxy/g/v1/models?key=bob", header, b"")).await;
    let rows = records(&server, labels.len() + 1).await;
    let found: Vec<_> = rows.iter().filter_map(|row| row["client_key"].as_str()).collect();
    let wanted: Vec<_> = labels.iter().map(|(_, label)| *label).chain(["#2"]).collect();
    assert_eq!(found, wanted);
}

/// The body as the overrides made it, before the redirect; cut between two characters.
#[tokio::test]
async fn a_logged_body_is_what_the_client_meant_and_is_cut_between_characters() {
    let rules = json!({
        "config": { "enable_request_body_logging": true }, "param_overrides": { "n": 1 },
        "model_redirect_rules": { "fast": "mock-small" },
    });
    let (_mock, server) = house(rules, &["sk-a"]).await;
    let target = format!("/proxy/g{CHAT}");
    let long = format!("{{\"model\":\"fast\",\"x\":\"{}\"}}", "é".repeat(40_000));
    for body in [br#"{"model":"fast"}"#.to_vec(), long.clone().into_bytes(), b"a\0b\xffc".to_vec(), Vec::new()] {
        server.exchange(post(&target, "", &body)).await;
    }
    let rows = records(&server, 4).await;
    let body = |index: usize| rows[index]["request_body"].as_str().unwrap_or_default();
    assert_eq!(body(0), r#"{"model":"fast","n":1}"#);
    assert!((64_998..=65_000).contains(&body(1).len()) && body(1).ends_with('é'), "{}", body(1).len());
    assert!(long.starts_with(body(1)));
    assert_eq!((body(2), body(3)), ("ab\u{fffd}c", ""));
    assert!(rows[..2].iter().all(|row| row["model"] == "fast"));
}

/// proxy.md 73, database.md 9: with a passphrase no key is in the file in clear, nor in what is printed.
#[tokio::test]
async fn with_a_passphrase_no_key_is_stored_in_clear() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("ENCRYPTION_KEY", PASSPHRASE).env("LOG_LEVEL", "debug").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-test-0001"]).await;
    mock.play("sk-test-0001", [Play::status(401).body("{\"error\":\"sk-test-0001 is wrong\"}")]);
    assert_eq!([ask(&server, "g").await.status, ask(&server, "g").await.status], [401, 200]);
    let rows = records(&server, 2).await;
    for row in &rows {
        check(row, &[("key_hash", json!(HASH_ENCRYPTED))]);
        assert_eq!(row["key_value"], "****", "the log has no copy of a key, also of none that is encrypted");
    }
    let stored = stored(&server, "SELECT json_quote(key_value) FROM api_keys").await;
    let stored = stored[0].as_str().unwrap_or_default();
    assert!(stored.len() == 80 && stored.bytes().all(|byte| byte.is_ascii_hexdigit()), "{stored}");
    assert_eq!(keys_of(&server, group).await[0]["key_value"], "sk-test-0001");
    let folder = server.database_path().parent().expect("it lies in a folder").to_owned();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let bytes = std::fs::read(&entry).expect("a file");
        assert!(!bytes.windows(12).any(|part| part == b"sk-test-0001"), "{}", entry.display());
    }
    assert!(!server.log().contains("sk-test-0001"), "{}", server.log());
}

/// proxy.md 81, 82: figures come from the same entries as the rows.
#[tokio::test]
async fn hours_and_uses_of_keys_add_up_to_the_rows() {
    let (mock, server) =
        house(json!({ "config": { "max_retries": 1, "blacklist_threshold": 0 } }), &["sk-a", "sk-b"]).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    mock.play("sk-a", [Play::usual(), Play::status(401), Play::usual(), Play::status(404), Play::status(400)]);
    mock.play("sk-b", [Play::usual(), Play::usual(), Play::status(400)]);
    for _ in 0..6 {
        ask(&server, "g").await;
    }
    let sent = mock.requests().len();
    let rows = records(&server, sent).await;
    let finals: Vec<_> = rows.iter().filter(|row| row["request_type"] == "final").collect();
    let successes = finals.iter().filter(|row| row["is_success"] == 1).count();
    assert_eq!(finals.len(), 6);
    let hours = "SELECT json_array(sum(success_count), sum(failure_count)) FROM group_hourly_stats";
    eventually_stored(&server, hours, |rows| rows == [json!([successes, 6 - successes])]).await;
    let listed = format!("/api/keys?group_id={group}");
    let keys = server.eventually(&listed, |data| {
        let counts = data["items"].as_array().into_iter().flatten().filter_map(|key| key["request_count"].as_i64());
        counts.sum::<i64>() == i64::try_from(sent).unwrap_or(-1)
    });
    for key in keys.await["items"].as_array().into_iter().flatten() {
        let own: Vec<_> = rows.iter().filter(|row| row["key_hash"] == key["key_hash"]).collect();
        assert_eq!(key["request_count"], own.len());
        let last = own.iter().filter_map(|row| row["timestamp"].as_str()).max().unwrap_or_default();
        assert_eq!(key["last_used_at"], last.replace(' ', "T").replace("+00:00", "Z"));
    }
}

/// proxy.md 74, 75: whatever a client sends, its row fits, and no other row is lost for it.
#[tokio::test]
async fn hostile_texts_cost_no_row() {
    let (_mock, server) = house(json!({ "config": { "enable_request_body_logging": true } }), &["sk-a"]).await;
    let target = format!("/proxy/g{CHAT}");
    let long_name = "é".repeat(300);
    let long_agent = format!("User-Agent: {}\r\n", "ü".repeat(600));
    let bodies = [
        (String::new(), json!({ "model": "first" }).to_string().into_bytes()),
        (String::new(), json!({ "model": long_name }).to_string().into_bytes()),
        (String::new(), br#"{"model":"a\u0000b"}"#.to_vec()),
        (String::new(), br#"{"model":"\ud800"}"#.to_vec()),
        (long_agent, b"{\"model\":\"\xff\xfe\"}".to_vec()),
        (String::new(), json!({ "model": "'; DROP TABLE request_logs; --" }).to_string().into_bytes()),
    ];
    for (headers, body) in &bodies {
        server.exchange(post(&target, headers, body)).await;
    }
    let mut odd = post("/proxy/g/v1/x", "", b"{}");
    let long_path = format!("/proxy/g/{}?{}", "p".repeat(600), "%00".repeat(10));
    server.exchange(post(&long_path, "", b"{}")).await;
    let agent = b"User-Agent: \xff\xfebroken\r\nHost:".to_vec();
    let at = odd.windows(5).position(|part| part == b"Host:").expect("a host");
    odd.splice(at..at + 5, agent);
    server.exchange(odd).await;
    server.exchange(post(&target, "", json!({ "model": "last" }).to_string().as_bytes())).await;

    let rows = records(&server, bodies.len() + 3).await;
    let models: Vec<_> = rows.iter().map(|row| row["model"].as_str().unwrap_or_default()).collect();
    let cut = "é".repeat(255);
    let expected = ["first", &cut, "ab", "", "", "'; DROP TABLE request_logs; --", "", "", "last"];
    assert_eq!(models, expected);
    assert_eq!(rows[4]["user_agent"], "ü".repeat(512));
    assert_eq!(rows[6]["request_path"].as_str().map(str::len), Some(500));
    assert!(rows[7]["user_agent"].as_str().is_some_and(|agent| agent.ends_with("broken")), "{:#}", rows[7]);
    let hours = "SELECT json(sum(success_count + failure_count)) FROM group_hourly_stats";
    let count = rows.len();
    eventually_stored(&server, hours, |rows| rows == [json!(count)]).await;
}

/// A crash loses at most the last second of records, and nothing is counted twice.
#[tokio::test]
async fn a_kill_under_load_loses_the_last_moment_of_the_log_only() {
    let (mock, mut server) = house(json!({}), &["sk-a", "sk-b"]).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    let begin = Instant::now();
    let mut answered = Vec::new();
    while begin.elapsed() < Duration::from_secs(3) {
        let answer = ask(&server, "g").await;
        answered.push((answer.header("x-gpt-load-request-id").map(str::to_owned), Instant::now()));
    }
    let killed = Instant::now();
    server.kill_and_restart().await;
    let ids = stored(&server, "SELECT json_quote(request_id) FROM request_logs").await;
    // Twice what is promised, since the machine may be busy with other tests.
    let old = answered.iter().filter(|(_, at)| killed.duration_since(*at) > Duration::from_secs(2));
    let lost: Vec<_> = old.filter(|(id, _)| !ids.contains(&json!(id))).collect();
    assert!(lost.is_empty() && ids.len() > 1, "{} of {} are lost", lost.len(), answered.len());
    // Uses of keys are counted from the rows that are there.
    let listed = format!("/api/keys?group_id={group}");
    let counted = |data: &Value| {
        let counts = data["items"].as_array().into_iter().flatten().filter_map(|key| key["request_count"].as_i64());
        counts.sum::<i64>()
    };
    let expected = i64::try_from(ids.len()).expect("few");
    server.eventually(&listed, |data| counted(data) == expected).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert!(mock.requests().len() > ids.len());
}

/// An upstream that cannot be reached is named in the record, without what may be a credential in its URL.
#[tokio::test]
async fn a_row_names_the_upstream_without_its_credentials() {
    let server = TempServer::start().await;
    let base = NOBODY.replace("//", "//admin:hunter2@") + "/base?v=1";
    let group = server.create_group("g", "openai", &base, json!({ "config": { "max_retries": 0 } })).await;
    server.add_keys(group, &["sk-a"]).await;
    assert_eq!(ask(&server, "g").await.status, 502);
    let row = records(&server, 1).await.remove(0);
    check(&row, &[("upstream_addr", json!(format!("{NOBODY}/base{CHAT}"))), ("status_code", json!(502))]);
    assert!(!row.to_string().contains("hunter2"), "{row:#}");
}
