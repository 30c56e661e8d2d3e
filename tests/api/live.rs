//! The live stream of the log over the wire.

use serde_json::{Value, json};
use testkit::{MockUpstream, Play, RawConnection, TempServer};

async fn watch(server: &TempServer, query: &str) -> RawConnection {
    let mut stream = RawConnection::open(server.address()).await;
    let key = TempServer::AUTH_KEY;
    stream
        .send(format!("GET /api/logs/live{query} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\n\r\n"))
        .await;
    let head = String::from_utf8(stream.read_until(b"event: open").await).unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    stream
}

async fn next_entry(stream: &mut RawConnection) -> Value {
    stream.read_until(b"event: entry").await;
    stream.read_until(b"data: ").await;
    let data = stream.read_until(b"\n\n").await;
    serde_json::from_slice(data.strip_suffix(b"\n\n").unwrap()).unwrap()
}

#[tokio::test]
async fn requests_are_seen_as_they_end_and_are_those_of_the_log() {
    let upstream = MockUpstream::start().await;
    let server = TempServer::start().await;
    let group = server.create_group("team", "openai", &upstream.base_url(), json!({})).await;
    server.add_keys(group, &["sk-bad-0123456789abcdef", "sk-good"]).await;
    upstream.play_always("sk-bad-0123456789abcdef", Play::status(429));
    let mut all = watch(&server, "").await;
    let mut failures = watch(&server, "?is_success=false").await;
    let question = json!({"model": "mock-small", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(server.proxied("POST", "/proxy/team/v1/chat/completions", Some(&question)).await.status, 200);
    let (first, second) = (next_entry(&mut all).await, next_entry(&mut all).await);
    assert_eq!((&first["status_code"], &first["request_type"]), (&json!(429), &json!("retry")));
    assert_eq!((&second["status_code"], &second["request_type"]), (&json!(200), &json!("final")));
    assert_eq!(first["request_id"], second["request_id"]);
    assert_eq!(first["key_value"], "sk-b****cdef", "no key is sent in clear");
    assert_eq!(next_entry(&mut failures).await, first);
    let id = first["request_id"].as_str().unwrap();
    let target = format!("/api/logs?request_id={id}");
    let mut found = server.eventually(&target, |data| data["items"].as_array().unwrap().len() == 2).await;
    let mut logged = found["items"][1].take();
    assert_eq!(logged["key_value"].take(), "sk-bad-0123456789abcdef");
    logged["key_value"] = "sk-b****cdef".into();
    // What is stored is as precise as microseconds.
    let without_time = |mut entry: Value| {
        entry["timestamp"].take();
        entry
    };
    assert_eq!(without_time(logged), without_time(first));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_watch() {
    let mut server = TempServer::start().await;
    let mut stream = watch(&server, "").await;
    server.ask_to_stop();
    assert!(server.ended().await.success(), "{}", server.log());
    stream.read_until(b"0\r\n\r\n").await;
}
