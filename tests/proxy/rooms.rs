//! Whoever may use the proxy can neither have keys taken out nor exhaust memory, and bad stored values cost only themselves.

use std::process::Command;

use async_compression::tokio::bufread::GzipEncoder;
use serde_json::{Value, json};
use testkit::{MockUpstream, Play, TempServer};
use tokio::io::AsyncReadExt as _;

use crate::support::{CHAT, ask, house, post, question};

/// Two refusals would take a key out.
fn strict_about_keys() -> Value {
    json!({ "config": { "blacklist_threshold": 2, "max_retries": 0 } })
}

#[tokio::test]
async fn a_client_s_own_headers_model_or_place_cost_no_key() {
    let (mock, server) = house(strict_about_keys(), &["sk-a"]).await;
    let openai = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } }).to_string();
    for (path, model, status, body) in [
        (CHAT, "m", 401, openai("mismatched_organization", "OpenAI-Organization header should match organization")),
        (CHAT, "m", 401, openai("", "CORS requests must set 'anthropic-dangerous-direct-browser-access' header")),
        (CHAT, "m", 401, openai("", "You have insufficient permissions for this operation. Missing scopes: a.b.")),
        (CHAT, "m", 402, openai("", "This request requires more credits, or fewer max_tokens.")),
        (CHAT, "Incorrect API key provided", 400, openai("", "Incorrect API key provided is not a valid model ID")),
        ("/v1/organization/users", "m", 401, openai("invalid_api_key", "Incorrect API key provided: sk-a.")),
    ] {
        mock.play_any_always(Play::status(status).body(body.clone()));
        for _ in 0..3 {
            let asked = json!({ "model": model, "messages": [] });
            let answer = server.proxied("POST", &format!("/proxy/g{path}"), Some(&asked)).await;
            assert_eq!(answer.status, status, "{body}");
        }
    }
    mock.play_any_always(Play::usual());
    assert_eq!(ask(&server, "g").await.status, 200);
}

#[tokio::test]
async fn a_credential_of_the_client_s_does_not_stand_beside_the_key() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let group = server.create_group("g", "gemini", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let target = "/proxy/g/v1beta/models/mock-small:generateContent?alt=json&key=AIzaOther&%6bey=x&access_token=y";
    assert_eq!(server.proxied("POST", target, Some(&json!({ "contents": [] }))).await.status, 200);
    let target = mock.request().target;
    assert!(target.ends_with(":generateContent?alt=json"), "{target}");
}

#[tokio::test]
async fn a_body_that_grows_beyond_what_is_kept_is_refused_where_rules_must_read_it() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("REQUEST_BODY_BUFFER_BYTES", "1000000").start().await;
    let rules = json!({ "param_overrides": { "temperature": 0.5 } });
    let ruled = server.create_group("ruled", "openai", &mock.base_url(), rules).await;
    let plain = server.create_group("plain", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(ruled, &["sk-a"]).await;
    server.add_keys(plain, &["sk-a"]).await;
    let gzipped = async |text: &[u8]| {
        let mut gzipped = Vec::new();
        GzipEncoder::new(text).read_to_end(&mut gzipped).await.unwrap();
        gzipped
    };
    let bomb = gzipped(&vec![b' '; 40 << 20]).await;
    assert!(bomb.len() < 64 << 10);
    let send = async |group: &str, body: &[u8]| {
        server.exchange(post(&format!("/proxy/{group}{CHAT}"), "Content-Encoding: gzip\r\n", body)).await.status
    };
    assert_eq!(send("ruled", &bomb).await, 413);
    assert_eq!(send("ruled", &gzipped(question().to_string().as_bytes()).await).await, 200);
    assert_eq!(mock.requests().len(), 1, "nothing of the bomb reaches the upstream");
    // Without rules nobody looks into it.
    send("plain", &bomb).await;
    assert_eq!(mock.requests().last().unwrap().body, bomb);
}

#[tokio::test]
async fn a_refused_model_is_not_repeated_at_any_length() {
    let (_mock, server) = house(json!({ "model_redirect_strict": true }), &["sk-a"]).await;
    let asked = json!({ "model": "é".repeat(1 << 20), "messages": [] });
    let answer = server.proxied("POST", &format!("/proxy/g{CHAT}"), Some(&asked)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("éé…") && answer.text().len() < 2_000, "{}", answer.text().len());
}

#[tokio::test]
async fn keys_that_all_rest_share_what_comes_meanwhile() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a", "sk-b", "sk-c"]).await;
    let spent = |seconds: &str| Play::status(429).header("Retry-After", seconds);
    mock.play("sk-a", [spent("60")]);
    mock.play("sk-b", [spent("300")]);
    mock.play("sk-c", [spent("3000")]);
    for _ in 0..3 {
        assert_eq!(ask(&server, "g").await.status, 429);
    }
    for _ in 0..6 {
        assert_eq!(ask(&server, "g").await.status, 200);
    }
    for key in ["sk-a", "sk-b", "sk-c"] {
        assert_eq!(mock.count(key), 3, "{key}");
    }
}

#[test]
fn the_time_zone_of_the_env_file_holds_for_the_log() {
    let directory = tempfile::tempdir().unwrap();
    // An address that is not ours ends the start with a line in the log.
    let file = "AUTH_KEY=a-key-of-a-test-1234567890\nHOST=203.0.113.1\nTZ=XYZ-8\n";
    std::fs::write(directory.path().join(".env"), file).unwrap();
    let run = |zone: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpt-load"));
        command.env_clear().current_dir(directory.path()).envs(zone.map(|zone| ("TZ", zone)));
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let line = printed.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("{printed}"));
        let shown = chrono::NaiveDateTime::parse_from_str(&line[..19], "%Y-%m-%d %H:%M:%S").unwrap();
        (shown - chrono::Utc::now().naive_utc()).num_minutes()
    };
    assert!((475..=480).contains(&run(None)), "eight hours ahead");
    assert!((-5..=0).contains(&run(Some("UTC"))), "the environment has precedence");
}
