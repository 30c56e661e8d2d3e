//! What a client hears when something fails: the upstream's own words, or ours, and never a secret.

use serde_json::{Value, json};
use testkit::{Ending, Play, TempServer};

use crate::support::{CHAT, ENCODINGS, NOBODY, ask, encoded, house, keys_of, post, records};

/// proxy.md 35: our own errors name no key, no address and no host.
#[tokio::test]
async fn no_error_of_ours_names_a_key_or_an_internal_address() {
    const KEY: &str = "sk-very-secret-0123456789";
    let (mock, server) = house(json!({ "config": { "max_retries": 0, "request_timeout": 1 } }), &[KEY]).await;
    let rule = json!([{ "key": "X-Bad", "value": "${API_KEY}", "action": "set" }]);
    for (name, upstream, more) in [
        ("down", NOBODY, json!({})),
        ("nowhere", "http://very-internal-host.invalid:8443/secret-base", json!({})),
        ("user", "http://admin:hunter2@127.0.0.1:9", json!({})),
        ("tls", "https://127.0.0.1:9", json!({})),
        ("rule", NOBODY, json!({ "header_rules": rule })),
        (
            "proxied",
            "http://very-internal-host.invalid",
            json!({ "config": { "proxy_url": "http://u:hunter2@127.0.0.1:9" } }),
        ),
    ] {
        let group = server.create_group(name, "openai", upstream, more).await;
        server.add_keys(group, &[KEY]).await;
    }
    server.create_group("empty", "openai", "http://very-internal-host.invalid", json!({})).await;
    mock.play_any([
        Play::reset(),
        Play::close(),
        Play::hang(),
        Play::status(101).body(""),
        Play::usual().header("Bad Header", "x"),
    ]);
    let mut answers = Vec::new();
    for group in ["g", "g", "g", "g", "g", "down", "nowhere", "user", "tls", "rule", "proxied", "empty"] {
        answers.push((group, ask(&server, group).await));
    }
    for (group, answer) in answers {
        assert!(matches!(answer.status, 500 | 502..=504), "{group}: {} {}", answer.status, answer.text());
        let whole = format!("{}\n{}", answer.head, answer.text());
        for secret in [KEY, "127.0.0.1", "hunter2", "internal-host", "secret-base", &mock.address().port().to_string()]
        {
            assert!(!answer.text().contains(secret) && !whole.contains(KEY), "{group} names {secret}: {whole}");
        }
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
}

/// proxy.md 65, 66
#[tokio::test]
async fn an_upstream_that_repeats_the_key_is_not_quoted() {
    const KEY: &str = "sk-echo/secret+0123456789abcdef";
    let (mock, server) = house(json!({ "config": { "max_retries": 0, "blacklist_threshold": 0 } }), &[KEY]).await;
    let spellings = [
        KEY.to_owned(),
        KEY.replace('/', "\\/"),
        KEY.replace('/', "\\u002f"),
        KEY.replace('/', "%2F").replace('+', "%2B"),
        KEY.replace('/', "%2f").replace('+', "%2b"),
    ];
    let mut count = 0;
    for spelling in &spellings {
        let body = format!("{{\"error\":{{\"message\":\"Incorrect API key provided: {spelling}.\"}}, \"x\":1.0}}");
        for encoding in [None].into_iter().chain(ENCODINGS.map(Some)) {
            let mut play = Play::status(401).header("X-Request-Id", "r").header("X-Echo", &format!("key={spelling}"));
            play = match encoding {
                None => play.body(body.clone()),
                Some(name) => play.body(encoded(name, body.as_bytes()).await).header("Content-Encoding", name),
            };
            mock.play_any([play]);
            let answer = ask(&server, "g").await;
            count += 1;
            assert_eq!((answer.status, answer.header("x-request-id")), (401, Some("r")), "{encoding:?}");
            let text = answer.text();
            assert!(!text.contains("secret"), "{spelling} {encoding:?}: {text}");
            assert!(
                text.starts_with("{\"error\":{\"message\":\"Incorrect API key provided: sk-e****cdef.\"}, \"x\":1.0}")
            );
            assert!(!answer.head.contains("secret"), "{}", answer.head);
        }
    }
    let rows = records(&server, count).await;
    for row in &rows {
        assert_eq!(row["error_message"], "Incorrect API key provided: sk-e****cdef.");
    }
}

/// proxy.md 34: an error is read whatever its encoding, and passes on as it came.
#[tokio::test]
async fn errors_are_read_in_every_encoding_and_pass_on_unchanged() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0, "blacklist_threshold": 0 } }), &["sk-up"]).await;
    let body = br#"{ "error": {"code":400, "message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#;
    for (index, encoding) in ENCODINGS.into_iter().enumerate() {
        let packed = encoded(encoding, body).await;
        mock.play_any([Play::status(400).body(packed.clone()).header("Content-Encoding", encoding).header("X-A", "b")]);
        let answer = ask(&server, "g").await;
        assert_eq!(
            (answer.status, answer.header("content-encoding"), answer.header("x-a")),
            (400, Some(encoding), Some("b"))
        );
        assert_eq!(answer.body, packed, "{encoding}");
        let rows = records(&server, index + 1).await;
        assert_eq!(rows[index]["error_message"], "API key not valid. Please pass a valid API key.", "{encoding}");
    }
    // The text was understood: a status that is usually the client's fault counted against the key.
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    assert_eq!(keys_of(&server, group).await[0]["failure_count"], ENCODINGS.len());
}

/// proxy.md 33: whatever its form.
#[tokio::test]
async fn the_last_error_is_the_upstreams_own_with_its_headers_and_bytes() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0, "blacklist_threshold": 0 } }), &["sk-up"]).await;
    for (status, kind, body) in [
        (400, "application/json", "[{ \"error\": {\"code\":400,\"message\":\"a<b\",\"big\":12345678901234567890}}]"),
        (429, "application/json", "{\"error\":{\"z\":1.0,\"a\":2}}"),
        (502, "text/html", "<html>bad</html>"),
        (503, "text/plain", ""),
        (404, "application/json", "null"),
        (413, "application/problem+json", "{\"title\":\"too large\"}"),
    ] {
        let play = Play::status(status).body(body).header("Content-Type", kind);
        mock.play_any([play.header("Retry-After", "20").header("X-Ratelimit-Remaining", "0").header("Link", "<a>")]);
        let answer = ask(&server, "g").await;
        assert_eq!((answer.status, answer.text(), answer.header("content-type")), (status, body, Some(kind)));
        assert_eq!((answer.header("retry-after"), answer.header("x-ratelimit-remaining")), (Some("20"), Some("0")));
    }
}

/// proxy.md 39: an error that does not end holds up neither the next attempt nor its judgement for ever.
#[tokio::test]
async fn an_endless_error_is_judged_by_its_beginning() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    let endless = format!("{{\"error\":{{\"message\":\"no\"}},\"x\":\"{}\"}}", "y".repeat(1024 * 1024));
    mock.play("sk-a", [Play::status(401).body(endless).then(Ending::HangAfter(100_000))]);
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
    let rows = records(&server, 2).await;
    assert_eq!((&rows[0]["status_code"], &rows[0]["error_message"]), (&json!(401), &json!("no")));
}

/// proxy.md 10: the only upstream is given time before it is asked again.
#[tokio::test]
async fn an_upstream_that_fails_is_asked_again_after_a_growing_pause() {
    let (mock, server) = house(json!({ "config": { "max_retries": 2 } }), &["sk-up"]).await;
    mock.play_any_always(Play::status(500));
    assert_eq!(ask(&server, "g").await.status, 500);
    let rows = records(&server, 3).await;
    let durations: Vec<i64> = rows.iter().filter_map(|row| row["duration"].as_i64()).collect();
    // 100 and 200 milliseconds, each halved at most by chance; what is rounded off is a millisecond.
    assert!(durations[1] - durations[0] >= 49 && durations[2] - durations[1] >= 99, "{durations:?}");
}

/// What a client does wrong is told before anything is sent.
#[tokio::test]
async fn a_clients_mistakes_are_refused_in_words() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    for (target, expected) in [
        ("/proxy/g/../x", 400),
        ("/proxy/g/%2e%2e/x", 400),
        ("/proxy/nope/v1/models", 401),
        ("/proxy", 404),
        ("/proxy/", 404),
    ] {
        let answer = server.exchange(post(target, "", b"{}")).await;
        assert_eq!(answer.status, expected, "{target}: {}", answer.text());
        assert!(serde_json::from_slice::<Value>(&answer.body).is_ok(), "{target}: {}", answer.text());
    }
    for method in ["TRACE", "CONNECT"] {
        let authorization = format!("Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY);
        let target = format!("/proxy/g{CHAT}");
        let answer = server.exchange(crate::support::request(method, &target, &authorization, b"")).await;
        assert!((400..500).contains(&answer.status), "{method}: {}", answer.status);
    }
    assert!(mock.requests().is_empty());
}
