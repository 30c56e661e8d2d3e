//! The real binary over real sockets, towards a mock upstream that plays a script.

use serde_json::{Value, json};
use testkit::{Ending, MockUpstream, Play, RawConnection, RawResponse, Tail, TempServer};

const CHAT: &str = "/v1/chat/completions";
/// Nothing listens on the discard port of the loopback address.
const NOBODY: &str = "http://127.0.0.1:9";

async fn house(more: Value, keys: &[&str]) -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), more).await;
    server.add_keys(group, keys).await;
    (mock, server)
}

fn question() -> Value {
    json!({ "model": "mock-small", "messages": [{ "role": "user", "content": "hi" }] })
}

async fn ask(server: &TempServer, group: &str) -> RawResponse {
    server.proxied("POST", &format!("/proxy/{group}{CHAT}"), Some(&question())).await
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n{headers}\r\n",
        TempServer::CLIENT_KEY,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// proxy.md 9
#[tokio::test]
async fn a_refused_key_is_followed_by_another_and_the_client_does_not_notice() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_always("sk-a", Play::status(401));
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
}

/// proxy.md 9, 11
#[tokio::test]
async fn with_every_key_tried_the_upstreams_last_word_is_passed_on() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_any_always(Play::status(429).header("Retry-After", "7").body("{\"error\":{\"message\":\"slow\"}}"));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.text(), "{\"error\":{\"message\":\"slow\"}}");
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"], "no key is asked twice");
}

/// proxy.md 1
#[tokio::test]
async fn a_key_leaves_after_consecutive_refusals_only() {
    let (mock, server) = house(json!({ "config": { "blacklist_threshold": 2, "max_retries": 0 } }), &["sk-a"]).await;
    mock.play("sk-a", [Play::status(401), Play::usual(), Play::status(401), Play::status(401)]);
    for expected in [401, 200, 401, 401, 503] {
        assert_eq!(ask(&server, "g").await.status, expected);
    }
}

/// proxy.md 3, 28
#[tokio::test]
async fn an_upstream_that_is_down_costs_no_key_and_the_other_one_serves() {
    let mock = MockUpstream::start().await;
    let upstreams = json!([{ "url": NOBODY, "weight": 1 }, { "url": mock.base_url(), "weight": 1 }]);
    let server = TempServer::start().await;
    let group = server.create_group("g", "openai", NOBODY, json!({ "upstreams": upstreams })).await;
    server.add_keys(group, &["sk-a"]).await;
    for _ in 0..4 {
        assert_eq!(ask(&server, "g").await.status, 200);
    }
    let keys = server.managed("GET", &format!("/api/keys?group_id={group}"), None).await;
    assert_eq!(keys["items"][0]["failure_count"], 0);
}

/// proxy.md 29, 31, 35
#[tokio::test]
async fn work_that_may_have_been_done_is_not_done_twice() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_any_always(Play::reset());
    let answer = ask(&server, "g").await;
    assert_eq!(answer.status, 502);
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    assert_eq!(mock.requests().len(), 1);
}

/// proxy.md 24
#[tokio::test]
async fn an_aggregate_goes_on_to_another_member_when_one_is_down() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let down = server.create_group("down", "openai", NOBODY, json!({})).await;
    let up = server.create_group("up", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(down, &["sk-down"]).await;
    server.add_keys(up, &["sk-up"]).await;
    server.create_aggregate("all", "openai", &[(down, 10), (up, 1)]).await;
    for _ in 0..3 {
        assert_eq!(ask(&server, "all").await.status, 200);
    }
    assert_eq!(mock.keys_seen(), ["sk-up"; 3]);
}

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

/// proxy.md 58, 59
#[tokio::test]
async fn a_stream_that_breaks_is_aborted_and_never_ended() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::ending(Ending::CloseAfter(2)));
    let mut question = question();
    question["stream"] = json!(true);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question.to_string().as_bytes())).await;
    let answer = client.response_to("POST").await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.tail, Tail::Complete);
}

/// The client's leaving cancels the upstream's work.
#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    drop(client);
    mock.cancelled().await;
}

/// proxy.md 71
#[tokio::test]
async fn above_the_limit_requests_are_refused_while_the_operator_is_not() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("MAX_CONCURRENT_REQUESTS", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut first = RawConnection::open(server.address()).await;
    first.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    let second = ask(&server, "g").await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    assert_eq!(server.manage("GET", "/health", None).await.status, 200);
}

/// A crash loses no configuration and no key.
#[tokio::test]
async fn after_a_kill_groups_and_keys_are_there() {
    let (_mock, mut server) = house(json!({}), &["sk-a", "sk-b"]).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    server.kill_and_restart().await;
    assert_eq!(ask(&server, "g").await.status, 200);
}

/// An error is read to judge it; its breaking off must not be lost on the way.
#[tokio::test]
async fn an_error_that_breaks_off_is_aborted_too() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    mock.play_any_always(Play::status(500).pieces(["{\"error\":", "{}}"]).then(Ending::CloseAfter(1)));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.text()), (500, "{\"error\":"));
    assert_ne!(answer.tail, Tail::Complete);
}

/// proxy.md 30
#[tokio::test]
async fn a_model_list_that_stalls_ends_with_the_request_timeout() {
    let rules = json!({ "config": { "request_timeout": 1 }, "model_redirect_rules": { "fast": "mock-small" } });
    let (mock, server) = house(rules, &["sk-a"]).await;
    mock.play_any_always(Play::usual().then(Ending::HangAfter(10)));
    assert_eq!(server.proxied("GET", "/proxy/g/v1/models", None).await.status, 504);
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

/// operations.md V5
#[tokio::test]
async fn a_stop_that_cuts_a_request_says_so_with_its_exit_code() {
    let (mock, mut server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    server.ask_to_stop();
    // The second signal asks for a stop at once.
    while !server.log().contains("may finish") {
        tokio::task::yield_now().await;
    }
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(1));
}
