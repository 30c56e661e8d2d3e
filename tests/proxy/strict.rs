//! Strict mode is a whitelist: what is configured passes, and nothing else finds a way.

use serde_json::json;
use testkit::{MockUpstream, TempServer};

use crate::support::{CHAT, ENCODINGS, encoded, house, post, records, request};

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: multipart/form-data; boundary=x\r\n";

/// Groups named after their channels in which `fast` alone may be asked for.
async fn strict_houses() -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    for channel in ["openai", "openai-response", "gemini", "anthropic"] {
        let rules = json!({ "model_redirect_rules": { "fast": "mock-small" }, "model_redirect_strict": true });
        let group = server.create_group(channel, channel, &mock.base_url(), rules).await;
        server.add_keys(group, &["sk-up"]).await;
    }
    (mock, server)
}

fn field(disposition: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
}

/// proxy.md 45
#[tokio::test]
async fn what_is_configured_passes_in_every_form() {
    let (mock, server) = strict_houses().await;
    let file = field("name=\"file\"; filename=\"a.wav\"", "RIFF");
    let form = format!("{file}{}--x--\r\n", field("name=\"model\"", "fast"));
    for (target, headers, body) in [
        ("/proxy/openai/v1/chat/completions", JSON, r#"{"model":"fast"}"#.to_owned()),
        ("/proxy/openai/v1/chat/completions/", "", r#" {"model":"fast"}"#.to_owned()),
        ("/proxy/openai-response/v1/responses", JSON, r#"{"model":"fast"}"#.to_owned()),
        ("/proxy/anthropic/v1/messages", JSON, r#"{"model":"fast"}"#.to_owned()),
        ("/proxy/anthropic/v1/messages/batches", JSON, r#"{"requests":[{"params":{"model":"fast"}}]}"#.to_owned()),
        ("/proxy/gemini/v1beta/models/fast:generateContent", JSON, "{}".to_owned()),
        ("/proxy/gemini/v1beta/openai/chat/completions", JSON, r#"{"model":"fast"}"#.to_owned()),
        (
            "/proxy/gemini/v1beta/models/fast:batchEmbedContents",
            JSON,
            r#"{"requests":[{"model":"models/fast","content":{}}]}"#.to_owned(),
        ),
        ("/proxy/openai/v1/audio/transcriptions", FORM, form),
        // Requests that name no model anywhere.
        ("/proxy/openai/v1/files", FORM, format!("{file}--x--\r\n")),
        ("/proxy/openai/v1/vector_stores", JSON, r#"{"name":"v"}"#.to_owned()),
        ("/proxy/gemini/upload/v1beta/files", "Content-Type: audio/wav\r\n", "RIFF".to_owned()),
        ("/proxy/gemini/upload/v1beta/files", JSON, "[1]".to_owned()),
        ("/proxy/gemini/upload/v1beta/files", "Content-Type: application/jsonl\r\n", "{}\n{}\n".to_owned()),
        ("/proxy/gemini/v1beta/files/f:download", "", String::new()),
    ] {
        let answer = server.exchange(post(target, headers, body.as_bytes())).await;
        assert_ne!(answer.status, 400, "{target} {body}: {}", answer.text());
        assert_eq!(mock.requests().len(), 1, "{target} {body}");
        let seen = mock.request();
        assert!(!(seen.target.clone() + &String::from_utf8_lossy(&seen.body)).contains("fast"), "{seen:?}");
        mock.reset();
    }
    let authorization = format!("Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY);
    for target in ["/proxy/openai/v1/models", "/proxy/openai/v1/realtime?model=fast", "/proxy/openai/v1/files/f"] {
        assert_ne!(server.exchange(request("GET", target, &authorization, b"")).await.status, 400, "{target}");
    }
}

/// Requests by target, further headers and body.
#[derive(Default)]
struct Cases(Vec<(String, String, Vec<u8>)>);

impl Cases {
    fn add(&mut self, target: &str, headers: &str, body: impl AsRef<[u8]>) {
        self.0.push((target.to_owned(), headers.to_owned(), body.as_ref().to_vec()));
    }

    /// None of them reaches the upstream.
    async fn are_refused(self) {
        let (mock, server) = strict_houses().await;
        for (target, headers, body) in &self.0 {
            let answer = server.exchange(post(target, headers, body)).await;
            let shown = String::from_utf8_lossy(body);
            assert_eq!(answer.status, 400, "{target}\n{headers}\n{shown}\n{}\n{:?}", answer.text(), mock.requests());
            assert_eq!(mock.requests().len(), 0, "{target}\n{headers}\n{shown}");
        }
    }
}

const CHAT_OF_OPENAI: &str = "/proxy/openai/v1/chat/completions";

/// proxy.md 45: another model, or a text that two readers may understand differently.
#[tokio::test]
async fn json_that_names_or_may_name_another_model_does_not_pass_strict_mode() {
    let mut cases = Cases::default();
    for body in [
        r#"{"model":"other"}"#,
        r#"{"model":"fast","model":"other"}"#,
        r#"{"mod\u0065l":"other"}"#,
        r#"{"model":"fast","mod\u0065l":"other"}"#,
        r#"{"model":"FAST"}"#,
        r#"{"model":" fast"}"#,
        r#"{"model":"fast\u0000"}"#,
        r#"{"model":"${fast}"}"#,
        r#"{"model":"mock-small"}"#,
        r#"{"model":"fast","Model":"other"}"#,
        r#"{"model":"fast","MOD\u0045L":"other"}"#,
        r#"{"model":["fast"]}"#,
        r#"{"model":null}"#,
        r#"{"model":{"id":"fast"}}"#,
        r#"{"messages":[]}"#,
        r#"{"model":"fast"}{"model":"other"}"#,
        r#"{"model":"fast",}"#,
        r#"{"model":"fast"/* */,"a":1}"#,
        r#"[{"model":"fast"}]"#,
        r#""fast""#,
        "null",
        "\u{feff}{\"model\":\"other\"}",
        "model=other",
    ] {
        cases.add(CHAT_OF_OPENAI, JSON, body);
        cases.add("/proxy/gemini/v1beta/openai/chat/completions", JSON, body);
    }
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let of_charset = |charset: &str| format!("Content-Type: application/json; charset={charset}\r\n");
    cases.add(CHAT_OF_OPENAI, &of_charset("utf-16le"), wide(r#"{"model":"other"}"#));
    cases.add(CHAT_OF_OPENAI, JSON, wide("\u{feff}{\"model\":\"other\"}"));
    cases.add(CHAT_OF_OPENAI, &of_charset("utf-7"), b"+AHsAIg-model+ACI-:+ACI-other+ACIAfQ-");
    cases.add(CHAT_OF_OPENAI, JSON, b"{\"model\":\"other\xff\"}");
    cases.are_refused().await;
}

/// proxy.md 45
#[tokio::test]
async fn another_spelling_of_an_endpoint_does_not_pass_strict_mode() {
    let mut cases = Cases::default();
    for path in [
        "/v1/chat/completions/",
        "/v1/chat//completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat/completion%73",
        "/v1/Chat/Completions",
        "/v1/chat/completions;x=1",
    ] {
        let target = format!("/proxy/openai{path}");
        cases.add(&target, JSON, b"\xef\xbb\xbf{\"model\":\"other\"}");
        cases.add(&target, "Content-Type: text/plain\r\n", "model=other");
        cases.add(&target, JSON, "{}");
    }
    cases.are_refused().await;
}

/// proxy.md 45: an encoding is undone and its content judged, or it is not understood and refused.
#[tokio::test]
async fn an_encoding_hides_no_model_from_strict_mode() {
    let mut cases = Cases::default();
    for encoding in ENCODINGS {
        let packed = encoded(encoding, br#"{"model":"other"}"#).await;
        let upper = encoding.to_uppercase();
        for (content_type, encodings) in [
            (JSON, format!("Content-Encoding: {encoding}\r\n")),
            (JSON, format!("Content-Encoding: {upper}\r\n")),
            (JSON, format!("Content-Encoding: {encoding}, identity\r\n")),
            (JSON, format!("Content-Encoding: identity\r\nContent-Encoding: {encoding}\r\n")),
            (JSON, String::new()),
            (FORM, format!("Content-Encoding: {encoding}\r\n")),
        ] {
            cases.add(CHAT_OF_OPENAI, &format!("{content_type}{encodings}"), &packed);
        }
    }
    cases.add(CHAT_OF_OPENAI, &format!("{JSON}Content-Encoding: compress\r\n"), r#"{"model":"fast"}"#);
    cases.are_refused().await;
}

/// proxy.md 45
#[tokio::test]
async fn a_form_that_two_readers_may_understand_differently_does_not_pass_strict_mode() {
    let mut cases = Cases::default();
    let target = "/proxy/openai/v1/audio/transcriptions";
    let fast = field("name=\"model\"", "fast");
    let other = field("name=\"model\"", "other");
    let folded = "--x\r\nContent-Disposition: form-data;\r\n name=\"model\"\r\n\r\nother\r\n";
    for body in [
        format!("{other}--x--\r\n"),
        format!("{fast}{other}--x--\r\n"),
        format!("{other}{fast}--x--\r\n"),
        format!("{}--x--\r\n", field("name=\"file\"; filename=\"a\"", "fast")),
        format!("{fast}{other}"),
        fast.clone(),
        format!("{fast}{}--x--\r\n", field("name=\"model\"; filename=\"\"", "other")),
        format!("{fast}{}--x--\r\n", field("name*=utf-8''model", "other")),
        format!("{fast}{}--x--\r\n", field("name=\"a\"; name=\"model\"", "other")),
        format!("{fast}{folded}--x--\r\n"),
        format!("{fast}--x--\r\n{other}--x--\r\n"),
        format!("{{\"model\":\"other\"}}\r\n{fast}--x--\r\n"),
        format!("{}\n--x--\r\n{other}--x--\r\n", fast.trim_end()),
        format!("{fast}{}--x--\r\n", other.replace("--x\r\n", "--x \u{b}\r\n")),
        format!("{fast}{}--x--\r\n", other.replace("--x\r\n", "--x\r")),
    ] {
        cases.add(target, FORM, body);
    }
    let good = format!("{fast}--x--\r\n");
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=y",
        "multipart/form-data; boundary=x; boundary=y",
        "multipart/mixed; boundary=x",
        "application/x-www-form-urlencoded",
        "text/plain",
    ] {
        cases.add(target, &format!("Content-Type: {content_type}\r\n"), &good);
    }
    cases.add(target, &format!("{FORM}Content-Type: application/json\r\n"), &good);
    cases.add(target, FORM, r#"{"model":"other"}"#);
    cases.add(target, "Content-Type: application/x-www-form-urlencoded\r\n", "model=fast&model=other");
    cases.are_refused().await;
}

/// proxy.md 45
#[tokio::test]
async fn a_gemini_path_that_may_name_another_model_does_not_pass_strict_mode() {
    let mut cases = Cases::default();
    for path in [
        "/models/other:generateContent",
        "/models/mock-small:generateContent",
        "/models//other:generateContent",
        "/models/:generateContent",
        "/models%2Fother:generateContent",
        "/models/fast%2Fother:generateContent",
        "/models/fast%253AgenerateContent",
        "/Models/other:generateContent",
        "/models/FAST:streamGenerateContent",
        "/tunedModels/other:generateContent",
        "/tunedModels/fast:generateContent",
        "/dynamic/other:generateContent",
        "/models/other:countTokens",
        "/models/other:predictLongRunning",
        "/models/other%3AgenerateContent",
        "//models/other:generateContent",
    ] {
        cases.add(&format!("/proxy/gemini/v1beta{path}"), JSON, r#"{"model":"fast"}"#);
        cases.add(&format!("/proxy/gemini/v1beta{path}"), JSON, "{}");
    }
    cases.are_refused().await;
}

/// proxy.md 45: in batches, sessions, caches, fallbacks, and in the path as some providers have it.
#[tokio::test]
async fn a_model_that_is_named_elsewhere_does_not_pass_strict_mode() {
    let mut cases = Cases::default();
    let gemini = "/proxy/gemini/v1beta";
    for (target, body) in [
        ("/proxy/anthropic/v1/messages/batches", r#"{"requests":[{"params":{"model":"other"}}]}"#),
        (
            "/proxy/anthropic/v1/messages/batches",
            r#"{"requests":[{"params":{"model":"fast"}},{"params":{"model":"other"}}]}"#,
        ),
        ("/proxy/anthropic/v1/messages/batches", r#"{"requests":[{"params":{"model":"fast","model":"other"}}]}"#),
        ("/proxy/anthropic/v1/messages/batches", r#"{"requests":[{"params":{"Model":"other"}}]}"#),
        ("/proxy/openai/v1/realtime/client_secrets", r#"{"session":{"model":"other"}}"#),
        ("/proxy/openai/v1/fine_tuning/jobs", r#"{"model":"other"}"#),
        ("/proxy/openai/v1/batches", r#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}"#),
        (CHAT_OF_OPENAI, r#"{"model":"fast","models":["other"]}"#),
        ("/proxy/openai/openai/deployments/other/chat/completions", r#"{"model":"fast"}"#),
        ("/proxy/openai/v1/engines/other/completions", r#"{"model":"fast"}"#),
        (&format!("{gemini}/models/fast:batchEmbedContents"), r#"{"requests":[{"model":"models/other"}]}"#),
        (
            &format!("{gemini}/models/fast:batchEmbedContents"),
            r#"{"requests":[{"model":"models/fast"},{"model":"models/other"}]}"#,
        ),
        (&format!("{gemini}/models/fast:countTokens"), r#"{"generateContentRequest":{"model":"models/other"}}"#),
        (&format!("{gemini}/cachedContents"), r#"{"model":"models/other"}"#),
        (&format!("{gemini}/interactions"), r#"{"model":"other"}"#),
        (&format!("{gemini}/tunedModels"), r#"{"baseModel":"models/other"}"#),
    ] {
        cases.add(target, JSON, body);
    }
    cases.are_refused().await;
}

/// proxy.md 45: a realtime session has no body.
#[tokio::test]
async fn a_realtime_session_must_name_a_configured_model_in_strict_mode() {
    let (mock, server) = strict_houses().await;
    let authorization = format!("Authorization: Bearer {}\r\n", TempServer::CLIENT_KEY);
    for query in ["?model=other", "?model=fast&model=other", "?Model=other&model=fast", "?mod%65l=other", ""] {
        let target = format!("/proxy/openai/v1/realtime{query}");
        assert_eq!(server.exchange(request("GET", &target, &authorization, b"")).await.status, 400, "{target}");
    }
    assert_eq!(mock.requests().len(), 0);
}

/// proxy.md 45: without rules, strict mode serves no model at all; the refusal is on record, and costs nothing.
#[tokio::test]
async fn strict_without_rules_serves_no_model() {
    let (mock, server) =
        house(json!({ "model_redirect_strict": true, "config": { "blacklist_threshold": 1 } }), &["sk-up"]).await;
    let answer = server.exchange(post(&format!("/proxy/g{CHAT}"), JSON, br#"{"model":"any"}"#)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["message"], "model 'any' is not configured in redirect rules");
    let rows = records(&server, 1).await;
    let row = &rows[0];
    assert_eq!(
        (&row["status_code"], &row["request_type"], &row["is_success"]),
        (&json!(400), &json!("final"), &json!(0))
    );
    assert_eq!(row["error_message"], "model 'any' is not configured in redirect rules");
    assert!(mock.requests().is_empty());
}
