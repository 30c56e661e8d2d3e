//! The one answer whose content we change: lists of models, with a group's own names in them.

use serde_json::{Value, json};
use testkit::{MockUpstream, Play, TempServer};

use crate::support::{ENCODINGS, encoded, house, request};

fn get(target: &str) -> Vec<u8> {
    request("GET", target, &format!("Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY), b"")
}

/// proxy.md 54
#[tokio::test]
async fn each_format_lists_the_groups_models_in_its_own_form() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    for (name, channel, strict) in [
        ("openai", "openai", false),
        ("openai-strict", "openai", true),
        ("responses", "openai-response", false),
        ("gemini", "gemini", false),
        ("gemini-strict", "gemini", true),
        ("anthropic", "anthropic", false),
        ("anthropic-strict", "anthropic", true),
    ] {
        let rules = json!({ "z-fast": "mock-small", "mock-large": "x", "a-slow": "mock-large" });
        let rules = json!({ "model_redirect_rules": rules, "model_redirect_strict": strict });
        let group = server.create_group(name, channel, &mock.base_url(), rules).await;
        server.add_keys(group, &["sk-up"]).await;
    }
    let ids = |list: &Value, name: &str| -> Vec<String> {
        let entries = list.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry[name].as_str().unwrap_or_default().to_owned()).collect()
    };
    // The order is stable: the upstream's, then that of the rules as they are stored.
    let merged = ["mock-small", "mock-large", "a-slow", "z-fast"].map(str::to_owned);
    let strict = ["a-slow", "mock-large", "z-fast"].map(str::to_owned);
    let prefixed = |names: &[String]| names.iter().map(|name| format!("models/{name}")).collect::<Vec<_>>();
    for _ in 0..2 {
        for (target, list, name, expected, own_entry) in [
            (
                "/proxy/openai/v1/models",
                "data",
                "id",
                merged.to_vec(),
                json!({ "id": "a-slow", "object": "model", "created": 0, "owned_by": "system" }),
            ),
            ("/proxy/openai/models", "data", "id", merged.to_vec(), Value::Null),
            ("/proxy/openai-strict/v1/models", "data", "id", strict.to_vec(), Value::Null),
            ("/proxy/responses/v1/models?limit=5", "data", "id", merged.to_vec(), Value::Null),
            (
                "/proxy/gemini/v1beta/models",
                "models",
                "name",
                prefixed(&merged),
                json!({
                    "name": "models/a-slow", "displayName": "a-slow",
                    "supportedGenerationMethods": ["generateContent"],
                }),
            ),
            ("/proxy/gemini-strict/v1beta/models", "models", "name", prefixed(&strict), Value::Null),
            ("/proxy/gemini/v1beta/openai/models", "data", "id", merged.to_vec(), Value::Null),
            (
                "/proxy/anthropic/v1/models",
                "data",
                "id",
                merged.to_vec(),
                json!({
                    "type": "model", "id": "a-slow", "display_name": "a-slow", "created_at": "1970-01-01T00:00:00Z",
                }),
            ),
            ("/proxy/anthropic-strict/v1/models", "data", "id", strict.to_vec(), Value::Null),
        ] {
            let anthropic = if target.contains("anthropic") { "anthropic-version: 2023-06-01\r\n" } else { "" };
            let authorization = format!("{anthropic}Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY);
            let answer = server.exchange(request("GET", target, &authorization, b"")).await;
            let body = answer.json();
            assert_eq!((answer.status, ids(&body[list], name)), (200, expected), "{target}: {body}");
            let entries = body[list].as_array().cloned().unwrap_or_default();
            let own = entries.iter().find(|entry| entry[name].as_str().is_some_and(|name| name.ends_with("a-slow")));
            if !own_entry.is_null() {
                assert_eq!(own, Some(&own_entry), "{target}");
            }
        }
    }
}

const RULES: &str = r#"{"fast":"mock-small"}"#;
const LIST: &str = r#"{"object":"list", "data":[{"id":"o1","created":1.0}]}"#;
const MERGED: &str = r#"{"object":"list", "data":[{"id":"o1","created":1.0},{"id":"fast","object":"model","created":0,"owned_by":"system"}]}"#;

async fn listing(strict: bool) -> (MockUpstream, TempServer) {
    let rules: Value = serde_json::from_str(RULES).expect("the rules are JSON");
    house(json!({ "model_redirect_rules": rules, "model_redirect_strict": strict }), &["sk-up"]).await
}

/// proxy.md 54: status and headers are the upstream's, but for those that no longer hold.
#[tokio::test]
async fn a_list_keeps_its_status_and_headers_and_is_read_in_every_encoding() {
    let (mock, server) = listing(false).await;
    let play = |body: &[u8]| {
        let headers = Play::status(203).body(body.to_vec()).header("X-Request-Id", "r").header("ETag", "\"1\"");
        headers.header("Content-Type", "application/json; charset=utf-8")
    };
    mock.play_any([play(LIST.as_bytes())]);
    let mut answers = vec![server.exchange(get("/proxy/g/v1/models")).await];
    for encoding in ENCODINGS {
        mock.play_any([play(&encoded(encoding, LIST.as_bytes()).await).header("Content-Encoding", encoding)]);
        answers.push(server.exchange(get("/proxy/g/v1/models")).await);
    }
    for answer in answers {
        assert_eq!((answer.status, answer.text()), (203, MERGED));
        assert_eq!(answer.header("x-request-id"), Some("r"));
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), (None, None));
        assert_eq!(answer.header("content-length"), Some(MERGED.len().to_string().as_str()));
    }
}

/// proxy.md 54
#[tokio::test]
async fn what_is_no_list_passes_as_it_came() {
    for strict in [false, true] {
        let (mock, server) = listing(strict).await;
        let packed = encoded("gzip", b"<html>").await;
        for (status, body, encoding) in [
            (200, &b"<html>"[..], None),
            (200, b"null", None),
            (200, br#"{"data":{}}"#, None),
            (200, br#"{"data":[}"#, None),
            (200, b"", None),
            (200, &packed[..], Some("gzip")),
            (200, b"\x1f\x9d\x90", Some("compress")),
            (404, LIST.as_bytes(), None),
            (500, LIST.as_bytes(), None),
        ] {
            let mut play = Play::status(status).body(body.to_vec()).header("X-Request-Id", "r");
            if let Some(encoding) = encoding {
                play = play.header("Content-Encoding", encoding);
            }
            mock.play_any_always(play);
            let answer = server.exchange(get("/proxy/g/v1/models")).await;
            assert_eq!((answer.status, &answer.body[..]), (status, body), "{}", String::from_utf8_lossy(body));
            assert_eq!((answer.header("content-encoding"), answer.header("x-request-id")), (encoding, Some("r")));
        }
    }
}

/// proxy.md 54: only the first page has the group's models.
#[tokio::test]
async fn further_pages_are_left_alone() {
    let (mock, server) = listing(false).await;
    mock.play_any_always(Play::usual().body(LIST));
    for (query, expected) in [("", MERGED), ("?limit=1", MERGED), ("?after=o1", LIST), ("?after_id=o1&limit=1", LIST)] {
        let answer = server.exchange(get(&format!("/proxy/g/v1/models{query}"))).await;
        assert_eq!(answer.text(), expected, "{query}");
    }
    let (mock, server) = listing(true).await;
    mock.play_any_always(Play::usual().body(LIST));
    let answer = server.exchange(get("/proxy/g/v1/models?after=o1")).await;
    assert_eq!(answer.text(), r#"{"object":"list", "data":[]}"#);
}

/// Without rules the list is nobody's business: not one byte changes.
#[tokio::test]
async fn a_group_without_rules_passes_its_list_bit_for_bit() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    let packed = encoded("br", LIST.as_bytes()).await;
    mock.play_any_always(Play::usual().body(packed.clone()).header("Content-Encoding", "br").header("ETag", "\"1\""));
    let answer = server.exchange(get("/proxy/g/v1/models")).await;
    assert_eq!((answer.body, answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("etag"))), (packed, true));
}
