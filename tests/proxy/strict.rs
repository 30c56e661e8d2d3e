//! Strict mode is a whitelist: what is configured passes, and nothing else finds a way.

use serde_json::json;
use testkit::{MockUpstream, TempServer};

use crate::support::{CHAT, encoded, post, records, request};

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

/// proxy.md 45: each of these is read as another model by some server, or as none by ours.
#[tokio::test]
async fn nothing_slips_past_strict_mode() {
    let (mock, server) = strict_houses().await;
    let chat = "/proxy/openai/v1/chat/completions";
    let gemini = "/proxy/gemini/v1beta";
    let mut cases: Vec<(String, String, Vec<u8>)> = Vec::new();
    let mut add = |target: &str, headers: &str, body: &[u8]| {
        cases.push((target.to_owned(), headers.to_owned(), body.to_vec()));
    };

    // JSON that names another model, or that two readers may understand differently.
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
        add(chat, JSON, body.as_bytes());
        add("/proxy/gemini/v1beta/openai/chat/completions", JSON, body.as_bytes());
    }
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    add(chat, "Content-Type: application/json; charset=utf-16le\r\n", &wide(r#"{"model":"other"}"#));
    add(chat, JSON, &wide("\u{feff}{\"model\":\"other\"}"));
    add(chat, "Content-Type: application/json; charset=utf-7\r\n", b"+AHsAIg-model+ACI-:+ACI-other+ACIAfQ-");
    add(chat, JSON, b"{\"model\":\"other\xff\"}");

    // Another spelling of the same place.
    for path in [
        "/v1/chat/completions/",
        "/v1/chat//completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat/completion%73",
        "/v1/Chat/Completions",
        "/v1/chat/completions;x=1",
    ] {
        add(&format!("/proxy/openai{path}"), JSON, b"\xef\xbb\xbf{\"model\":\"other\"}");
        add(&format!("/proxy/openai{path}"), "Content-Type: text/plain\r\n", b"model=other");
        add(&format!("/proxy/openai{path}"), JSON, b"{}");
    }

    // Encodings: undone and judged, or not understood and refused.
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let packed = encoded(encoding, br#"{"model":"other"}"#).await;
        add(chat, &format!("{JSON}Content-Encoding: {encoding}\r\n"), &packed);
        add(chat, &format!("{JSON}Content-Encoding: {}\r\n", encoding.to_uppercase()), &packed);
        add(chat, &format!("{JSON}Content-Encoding: {encoding}, identity\r\n"), &packed);
        add(chat, &format!("{JSON}Content-Encoding: identity\r\nContent-Encoding: {encoding}\r\n"), &packed);
        add(chat, JSON, &packed);
        add(chat, &format!("{FORM}Content-Encoding: {encoding}\r\n"), &packed);
    }
    add(chat, &format!("{JSON}Content-Encoding: compress\r\n"), br#"{"model":"fast"}"#);

    // Forms.
    let speech = "/proxy/openai/v1/audio/transcriptions";
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
        add(speech, FORM, body.as_bytes());
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
        add(speech, &format!("Content-Type: {content_type}\r\n"), good.as_bytes());
    }
    add(speech, &format!("{FORM}Content-Type: application/json\r\n"), good.as_bytes());
    add(speech, FORM, br#"{"model":"other"}"#);
    add(speech, "Content-Type: application/x-www-form-urlencoded\r\n", b"model=fast&model=other");

    // Gemini's own paths.
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
        add(&format!("{gemini}{path}"), JSON, br#"{"model":"fast"}"#);
        add(&format!("{gemini}{path}"), JSON, b"{}");
    }
    for body in [
        &br#"{"requests":[{"model":"models/other"}]}"#[..],
        br#"{"requests":[{"model":"models/fast"},{"model":"models/other"}]}"#,
    ] {
        add(&format!("{gemini}/models/fast:batchEmbedContents"), JSON, body);
    }
    add(&format!("{gemini}/cachedContents"), JSON, br#"{"model":"models/other"}"#);
    add(&format!("{gemini}/interactions"), JSON, br#"{"model":"other"}"#);
    add(&format!("{gemini}/tunedModels"), JSON, br#"{"baseModel":"models/other"}"#);

    // Models that stand deeper, or in the path of other providers.
    for body in [
        &br#"{"requests":[{"params":{"model":"other"}}]}"#[..],
        br#"{"requests":[{"params":{"model":"fast"}},{"params":{"model":"other"}}]}"#,
        br#"{"requests":[{"params":{"model":"fast","model":"other"}}]}"#,
        br#"{"requests":[{"params":{"Model":"other"}}]}"#,
    ] {
        add("/proxy/anthropic/v1/messages/batches", JSON, body);
    }
    add("/proxy/openai/v1/realtime/client_secrets", JSON, br#"{"session":{"model":"other"}}"#);
    add("/proxy/openai/v1/fine_tuning/jobs", JSON, br#"{"model":"other"}"#);
    add("/proxy/openai/v1/chat/completions", JSON, br#"{"model":"fast","models":["other"]}"#);
    add("/proxy/openai/openai/deployments/other/chat/completions", JSON, br#"{"model":"fast"}"#);
    add("/proxy/openai/v1/engines/other/completions", JSON, br#"{"model":"fast"}"#);

    for (target, headers, body) in &cases {
        let answer = server.exchange(post(target, headers, body)).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.status, 400, "{target}\n{headers}\n{shown}\n{}\n{:?}", answer.text(), mock.requests());
        assert_eq!(mock.requests().len(), 0, "{target}\n{headers}\n{shown}");
    }
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
    let (mock, server) = crate::support::house(
        json!({ "model_redirect_strict": true, "config": { "blacklist_threshold": 1 } }),
        &["sk-up"],
    )
    .await;
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
