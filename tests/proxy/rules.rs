//! Parameter overrides and model redirects, in every form in which a request carries them.

use serde_json::{Value, json};
use testkit::{MockUpstream, TempServer};

use crate::support::{CHAT, ENCODINGS, encoded, house, post, request};

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: multipart/form-data; boundary=x\r\n";

/// A group for each channel, `openai` to `anthropic`, with the same rules.
async fn houses(rules: Value) -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    for channel in ["openai", "openai-response", "gemini", "anthropic"] {
        let group = server.create_group(channel, channel, &mock.base_url(), rules.clone()).await;
        server.add_keys(group, &["sk-up"]).await;
    }
    (mock, server)
}

/// proxy.md 42, 46
#[tokio::test]
async fn overrides_reach_json_bodies_of_every_channel_and_nothing_else() {
    let (mock, server) = houses(json!({ "param_overrides": {
        "temperature": 0.20, "seed": 12_345_678_901_234_567_890_u64, "user": null,
        "generationConfig": { "topK": 3 }, "/embeddings": { "dimensions": 256 },
    } }))
    .await;
    let added = r#""temperature":0.2,"seed":12345678901234567890,"generationConfig":{"topK":3}"#;
    let form = "--x\r\nContent-Disposition: form-data; name=\"temperature\"\r\n\r\n1\r\n--x--\r\n";
    for (target, headers, body, expected) in [
        ("/proxy/openai/v1/chat/completions", JSON, r#"{"a":1.0}"#, format!(r#"{{"a":1.0,{added}}}"#)),
        ("/proxy/openai/v1/chat/completions", "", r#"{ "user":"me" }"#, format!("{{{added}  }}")),
        ("/proxy/openai/v1/embeddings", JSON, r#"{"a":1.0}"#, format!(r#"{{"a":1.0,{added},"dimensions":256}}"#)),
        ("/proxy/openai-response/v1/responses", JSON, "{}", format!("{{{added}}}")),
        ("/proxy/anthropic/v1/messages", JSON, r#"{"temperature":1}"#, format!("{{{added}}}")),
        (
            "/proxy/gemini/v1beta/models/m:generateContent",
            JSON,
            r#"{"generationConfig":{"topK":1,"topP":0.10}}"#,
            r#"{"generationConfig":{"topK":3,"topP":0.10},"temperature":0.2,"seed":12345678901234567890}"#.to_owned(),
        ),
        ("/proxy/gemini/v1beta/openai/chat/completions", JSON, "{}", format!("{{{added}}}")),
        // What is no JSON object is left alone, `null` too (proxy.md 43).
        ("/proxy/openai/v1/files", FORM, form, form.to_owned()),
        ("/proxy/openai/v1/x", JSON, "null", "null".to_owned()),
        ("/proxy/openai/v1/x", JSON, "[1]", "[1]".to_owned()),
        ("/proxy/openai/v1/x", JSON, "{\"a\":", "{\"a\":".to_owned()),
        ("/proxy/openai/v1/x", "Content-Type: text/plain\r\n", "hello", "hello".to_owned()),
    ] {
        server.exchange(post(target, headers, body.as_bytes())).await;
        let seen = mock.request();
        if expected.starts_with('{') && expected.ends_with('}') {
            let expected: Value = serde_json::from_str(&expected).expect("the expectation is JSON");
            assert_eq!(seen.json(), expected, "{target} {body}: {}", seen.text());
        } else {
            assert_eq!(seen.text(), expected, "{target} {body}");
        }
        assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
        mock.reset();
    }
}

/// The text of a form with these text fields and a file between them.
fn form(fields: &[(&str, &str)]) -> String {
    let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
        RIFF\0\u{1}model=fast\r\n";
    let field = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    format!("{file}{}--x--\r\n", fields.iter().map(field).collect::<String>())
}

/// proxy.md 45
#[tokio::test]
async fn a_model_is_redirected_wherever_the_request_names_it() {
    let (mock, server) = houses(json!({
        "model_redirect_rules": { "fast": "vendor/small 1", "models/old": "models/new" },
    }))
    .await;
    for (target, headers, body, expected_target, expected_body) in [
        (
            "/proxy/openai/v1/chat/completions",
            JSON,
            r#"{ "model" : "fast", "n": 1.0 }"#.to_owned(),
            "/v1/chat/completions",
            r#"{ "model" : "vendor/small 1", "n": 1.0 }"#.to_owned(),
        ),
        (
            "/proxy/openai-response/v1/responses",
            "",
            r#"{"model":"fa\u0073t","x":{"model":"fast"}}"#.to_owned(),
            "/v1/responses",
            r#"{"model":"vendor/small 1","x":{"model":"fast"}}"#.to_owned(),
        ),
        (
            "/proxy/anthropic/v1/messages",
            JSON,
            r#"{"model":"a","model":"fast"}"#.to_owned(),
            "/v1/messages",
            r#"{"model":"vendor/small 1"}"#.to_owned(),
        ),
        (
            "/proxy/openai/v1/chat/completions",
            JSON,
            r#"{"model":"other"}"#.to_owned(),
            "/v1/chat/completions",
            r#"{"model":"other"}"#.to_owned(),
        ),
        (
            "/proxy/openai/v1/audio/transcriptions",
            FORM,
            form(&[("model", "fast"), ("language", "fast")]),
            "/v1/audio/transcriptions",
            form(&[("model", "vendor/small 1"), ("language", "fast")]),
        ),
        (
            "/proxy/gemini/v1beta/models/fast:generateContent?alt=sse",
            JSON,
            r#"{"model":"fast"}"#.to_owned(),
            "/v1beta/models/vendor%2Fsmall%201:generateContent?alt=sse",
            r#"{"model":"fast"}"#.to_owned(),
        ),
        (
            "/proxy/gemini/v1beta/models/old%3AcountTokens",
            JSON,
            "{}".to_owned(),
            "/v1beta/models/new%3AcountTokens",
            "{}".to_owned(),
        ),
        (
            "/proxy/gemini/v1beta/openai/chat/completions",
            JSON,
            r#"{"model":"fast"}"#.to_owned(),
            "/v1beta/openai/chat/completions",
            r#"{"model":"vendor/small 1"}"#.to_owned(),
        ),
        (
            "/proxy/gemini/v1beta/openai/chat/completions",
            JSON,
            r#"{"model":"models/fast"}"#.to_owned(),
            "/v1beta/openai/chat/completions",
            r#"{"model":"vendor/small 1"}"#.to_owned(),
        ),
        // Gemini's caches and interactions name their model in the body, in the form of the list.
        (
            "/proxy/gemini/v1beta/cachedContents",
            JSON,
            r#"{"model":"models/fast"}"#.to_owned(),
            "/v1beta/cachedContents",
            r#"{"model":"models/vendor/small 1"}"#.to_owned(),
        ),
    ] {
        server.exchange(post(target, headers, body.as_bytes())).await;
        let seen = mock.request();
        assert_eq!((seen.target.as_str(), seen.text()), (expected_target, expected_body.as_str()), "{target} {body}");
        mock.reset();
    }
    // A realtime session has no body.
    let authorization = format!("Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY);
    for (query, expected) in [
        ("?model=fast&x=%20", "?model=vendor%2Fsmall%201&x=%20"),
        ("?a&model=f%61st", "?a&model=vendor%2Fsmall%201"),
        ("?model=other&model=fast", "?model=other&model=fast"),
        ("", ""),
    ] {
        server.exchange(request("GET", &format!("/proxy/openai/v1/realtime{query}"), &authorization, b"")).await;
        assert_eq!(mock.request().target, format!("/v1/realtime{expected}"));
        mock.reset();
    }
}

/// A base path may be that of Gemini's OpenAI dialect.
#[tokio::test]
async fn the_base_path_decides_where_a_gemini_group_names_its_model() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let base = format!("{}/v1beta/openai", mock.base_url());
    let rules = json!({ "model_redirect_rules": { "fast": "mock-small" }, "model_redirect_strict": true });
    let group = server.create_group("g", "gemini", &base, rules).await;
    server.add_keys(group, &["sk-up"]).await;
    let answer = server.exchange(post("/proxy/g/chat/completions", JSON, br#"{"model":"fast"}"#)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = mock.request();
    assert_eq!((seen.target.as_str(), seen.text()), ("/v1beta/openai/chat/completions", r#"{"model":"mock-small"}"#));
    assert_eq!(seen.header("authorization"), Some("Bearer sk-up"));
    assert_eq!(server.exchange(post("/proxy/g/chat/completions", JSON, br#"{"model":"other"}"#)).await.status, 400);
}

/// proxy.md 45
#[tokio::test]
async fn a_compressed_body_is_opened_for_a_rule_and_left_alone_without_one() {
    let rules = json!({ "param_overrides": { "n": 1 }, "model_redirect_rules": { "fast": "mock-small" } });
    let (mock, server) = house(rules, &["sk-up"]).await;
    let plain = server.create_group("plain", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(plain, &["sk-up"]).await;
    for encoding in ENCODINGS {
        let body = encoded(encoding, br#"{"model":"fast", "seed":12345678901234567890}"#).await;
        let headers = format!("{JSON}Content-Encoding: {encoding}\r\n");
        assert_eq!(server.exchange(post(&format!("/proxy/g{CHAT}"), &headers, &body)).await.status, 200);
        let seen = mock.request();
        assert_eq!(seen.text(), r#"{"model":"mock-small", "seed":12345678901234567890,"n":1}"#, "{encoding}");
        assert_eq!(seen.header("content-encoding"), None);
        mock.reset();
        server.exchange(post(&format!("/proxy/plain{CHAT}"), &headers, &body)).await;
        assert_eq!(mock.request().body, body, "{encoding}");
        assert_eq!(mock.request().header("content-encoding"), Some(encoding));
        mock.reset();
    }
    // An encoding that nobody knows, or broken data: no rule, no change.
    for (encoding, body) in [("compress", &b"\x1f\x9d"[..]), ("gzip", b"{}"), ("gzip, br", b"{}")] {
        let headers = format!("{JSON}Content-Encoding: {encoding}\r\n");
        server.exchange(post(&format!("/proxy/g{CHAT}"), &headers, body)).await;
        assert_eq!(mock.request().body, body, "{encoding}");
        mock.reset();
    }
}
