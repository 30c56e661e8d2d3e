//! What is refused because there is too much of it.

use serde_json::json;
use testkit::{MockUpstream, Play, RawConnection, TempServer};

use crate::log::outcome;
use crate::support::{CHAT, ask, post, question};

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

/// A server with these limits on bodies, and a group.
async fn house_with_limits(buffer_bytes: &str, bytes: &str) -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let builder = TempServer::builder().env("REQUEST_BODY_BUFFER_BYTES", buffer_bytes);
    let server = builder.env("REQUEST_BODY_BYTES_MAX", bytes).start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    (mock, server)
}

/// proxy.md 40
#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_is_sent() {
    let (mock, server) = house_with_limits("1000", "10000").await;
    let mut client = RawConnection::open(server.address()).await;
    let head = String::from_utf8(post("/proxy/g/v1/x", "", b"")).unwrap();
    client.send(head.replace("Content-Length: 0", "Content-Length: 10001")).await;
    let answer = client.response_to("POST").await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["code"], "PAYLOAD_TOO_LARGE");
    assert_eq!(outcome(&server).await.0, 413);
    assert_eq!(mock.connections(), 0);
}

/// proxy.md 40: read into memory or streamed.
#[tokio::test]
async fn a_body_that_turns_out_too_large_is_refused() {
    for buffer_bytes in ["10000", "1000"] {
        let (mock, server) = house_with_limits(buffer_bytes, "10000").await;
        let mut client = RawConnection::open(server.address()).await;
        let head = String::from_utf8(post("/proxy/g/v1/x", "", b"")).unwrap();
        client.send(head.replace("Content-Length: 0", "Transfer-Encoding: chunked")).await;
        for _ in 0..6 {
            client.send(format!("7d0\r\n{}\r\n", "x".repeat(2000))).await;
        }
        let answer = client.response_to("POST").await;
        assert_eq!(answer.status, 413, "{buffer_bytes}: {}", answer.text());
        assert_eq!(answer.json()["code"], "PAYLOAD_TOO_LARGE");
        assert_eq!(outcome(&server).await.0, 413);
        assert!(mock.requests().iter().all(|seen| !seen.complete), "the upstream does not take it for the whole");
    }
}

/// proxy.md 40
#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = TempServer::builder().env("SERVER_READ_TIMEOUT", "1").start().await;
    let mut client = RawConnection::open(server.address()).await;
    client.send("GET /proxy/g/v1/x HTTP/1.1\r\nHost:").await;
    client.closes_with_reset().await;
}
