//! What reaches the upstream: bodies, rules, paths.

use serde_json::json;
use testkit::{MockUpstream, Play, RawConnection, TempServer};

use crate::support::{CHAT, house, post};

/// proxy.md 42
#[tokio::test]
async fn a_body_that_no_rule_touches_arrives_bit_for_bit() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let odd = b"{ \"b\":1.0,\"seed\":12345678901234567890 , \"x\":\"a<b\\u2028\", \"b\":1e400 }".to_vec();
    let binary: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for body in [odd, binary, b"--x\r\n\r\nnot a form".to_vec()] {
        server.exchange(post("/proxy/g/v1/anything", "Content-Type: application/json\r\n", &body)).await;
        assert_eq!(mock.request().body, body);
        mock.reset();
    }
}

/// proxy.md 42, 45, 46
#[tokio::test]
async fn rules_edit_the_text_and_strict_mode_is_a_whitelist() {
    let rules = json!({
        "param_overrides": { "temperature": 0.20, "user": null },
        "model_redirect_rules": { "fast": "mock-small" }, "model_redirect_strict": true,
    });
    let (mock, server) = house(rules, &["sk-a"]).await;
    let target = format!("/proxy/g{CHAT}");
    let body = br#"{ "z":1.0, "user":"me", "model" : "fast","n":12345678901234567890}"#;
    server.exchange(post(&target, "", body)).await;
    assert_eq!(
        mock.request().text(),
        r#"{ "z":1.0,  "model" : "mock-small","n":12345678901234567890,"temperature":0.2}"#
    );
    for refused in [&br#"{"model":"other"}"#[..], br#"{"messages":[]}"#, b"[]"] {
        assert_eq!(server.exchange(post(&target, "", refused)).await.status, 400);
    }
}

/// proxy.md 37, 47, 48, 49
#[tokio::test]
async fn paths_queries_and_redirects_pass_as_they_are() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let base = format!("{}/base?api-version=2", mock.base_url());
    let group = server.create_group("g", "openai", &base, json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::redirect(307, "http://elsewhere.invalid/"));
    let answer = server.proxied("GET", "/proxy/g/v1/models/org%2Fname?b=%20&a", None).await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("http://elsewhere.invalid/")));
    assert_eq!(mock.request().target, "/base/v1/models/org%2Fname?api-version=2&b=%20&a");
    assert_eq!(server.proxied("GET", "/proxy/g/..%2fadmin", None).await.status, 400);
}

/// A body whose length is not announced counts for what it holds, not for what it might.
#[tokio::test]
async fn many_small_bodies_without_a_length_have_room() {
    let (mock, server) = house(json!({ "param_overrides": { "temperature": 1 } }), &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let request = format!(
        "POST /proxy/g{CHAT} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n\
         2\r\n{{}}\r\n0\r\n\r\n",
        TempServer::CLIENT_KEY
    );
    let mut waiting = Vec::new();
    for count in 1..=40 {
        let mut client = RawConnection::open(server.address()).await;
        client.send(&request).await;
        waiting.push(client);
        mock.arrived(count).await;
    }
}
