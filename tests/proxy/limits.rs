//! What is refused because there is too much of it.

use serde_json::json;
use testkit::{Ending, MockUpstream, Play, RawConnection, RawListener, Tail, TempServer};

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

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = TempServer::start().await;
    for headers in ["X-Much: 1\r\n".repeat(300), format!("X-Long: {}\r\n", "x".repeat(2 * 1024 * 1024))] {
        let mut client = RawConnection::open(server.address()).await;
        // It may be refused before it is all there.
        let _ = client.try_send(post("/proxy/g/v1/x", &headers, b"")).await;
        assert_eq!(client.response_to("POST").await.status, 431);
    }
}

/// However a request ends, its place is free again: there is only one here.
#[tokio::test]
async fn every_ending_gives_its_place_back() {
    let mock = MockUpstream::start().await;
    let builder = TempServer::builder().env("MAX_CONCURRENT_REQUESTS", "1").env("SERVER_READ_TIMEOUT", "1");
    let server = builder.env("REQUEST_BODY_BYTES_MAX", "10000").start().await;
    let config = json!({ "config": { "stream_idle_timeout": 1, "max_retries": 0 } });
    let group = server.create_group("g", "openai", &mock.base_url(), config).await;
    server.add_keys(group, &["sk-a"]).await;
    let free = || async {
        // The place of a client that left is free as soon as we have noticed.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while ask(&server, "g").await.status == 503 {
            assert!(std::time::Instant::now() < deadline, "the place stays taken");
        }
    };
    let streamed = || {
        let mut question = question();
        question["stream"] = json!(true);
        post(&format!("/proxy/g{CHAT}"), "", question.to_string().as_bytes())
    };
    let endings = [Ending::CloseAfter(1), Ending::ResetAfter(1), Ending::HangAfter(1), Ending::Reset, Ending::Proper];
    for ending in endings {
        mock.play_any([Play::ending(ending)]);
        server.exchange(streamed()).await;
        free().await;
    }
    mock.play_any([Play::hang()]);
    let mut client = RawConnection::open(server.address()).await;
    let count = mock.requests().len();
    client.send(streamed()).await;
    mock.arrived(count + 1).await;
    drop(client);
    free().await;

    let head = String::from_utf8(post("/proxy/g/v1/x", "", b"")).unwrap();
    for length in ["9000", "90000"] {
        let mut client = RawConnection::open(server.address()).await;
        client.send(head.replace("Content-Length: 0", &format!("Content-Length: {length}"))).await;
        assert!(matches!(client.response_to("POST").await.status, 408 | 413));
        free().await;
    }
    for target in ["/proxy/nobody/v1/x", "/proxy/g/../x"] {
        server.exchange(post(target, "", b"")).await;
        free().await;
    }
    let handshake = head.replacen("POST", "GET", 1).replace(
        "Content-Length: 0",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    );
    let mut client = RawConnection::open(server.address()).await;
    client.send(handshake).await;
    assert_eq!(client.response_to("GET").await.status, 101);
    assert_eq!(ask(&server, "g").await.status, 503, "an open tunnel holds its place");
    drop(client);
    free().await;
}

/// proxy.md 96
#[tokio::test]
async fn an_idle_connection_to_an_upstream_is_closed() {
    let (upstream, server) = (RawListener::open().await, TempServer::start().await);
    let config = json!({ "config": { "idle_conn_timeout": 1 } });
    let group = server.create_group("g", "openai", &upstream.base_url(), config).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(post("/proxy/g/v1/x", "", b"")).await;
    let (mut served, _) = upstream.request().await;
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.response_to("POST").await.tail, Tail::Complete);
    assert!(!served.closes_with_reset().await);
}
