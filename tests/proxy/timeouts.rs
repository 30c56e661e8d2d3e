//! How long we wait for an upstream, and for a client.

use std::time::Duration;

use serde_json::json;
use testkit::{Ending, Play, RawConnection, RawListener, Tail, TempServer};

use crate::log::outcome;
use crate::support::{CHAT, ask, house, post, question};

fn streamed() -> Vec<u8> {
    let mut question = question();
    question["stream"] = json!(true);
    post(&format!("/proxy/g{CHAT}"), "", question.to_string().as_bytes())
}

/// proxy.md 35
#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_a_504_and_costs_no_key() {
    let config = json!({ "config": { "response_header_timeout": 1 } });
    let (mock, server) = house(config, &["sk-a", "sk-b"]).await;
    mock.play_any_always(Play::hang());
    let answer = ask(&server, "g").await;
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    mock.cancelled().await;
    assert_eq!(mock.requests().len(), 1, "the work may have been done");
    let keys = server.managed("GET", "/api/keys?group_id=1", None).await;
    assert!(keys["items"].as_array().unwrap().iter().all(|key| key["failure_count"] == 0), "{keys}");
}

/// An upstream whose queue of connections is full takes no more, and says nothing.
#[tokio::test]
async fn a_connection_that_does_not_come_about_is_a_504() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    loop {
        let attempt = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(500), attempt).await {
            Ok(connected) => queued.push(connected.unwrap()),
            Err(_) => break,
        }
    }
    let server = TempServer::start().await;
    let config = json!({ "config": { "connect_timeout": 1, "max_retries": 0 } });
    let group = server.create_group("g", "openai", &format!("http://{address}"), config).await;
    server.add_keys(group, &["sk-a"]).await;
    assert_eq!(ask(&server, "g").await.status, 504);
    let (_, error) = outcome(&server).await;
    assert!(error.contains("no connection within 1s"), "{error}");
}

/// proxy.md 60
#[tokio::test]
async fn a_stream_that_falls_silent_is_aborted() {
    let (mock, server) = house(json!({ "config": { "stream_idle_timeout": 1 } }), &["sk-a"]).await;
    mock.play_any_always(Play::ending(Ending::HangAfter(2)));
    let answer = server.exchange(streamed()).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().is_empty());
    assert_ne!(answer.tail, Tail::Complete);
    mock.cancelled().await;
    let (status, error) = outcome(&server).await;
    assert!(status == 200 && error.contains("silent"), "{status} {error}");
}

/// proxy.md 62
#[tokio::test]
async fn a_stream_outlives_the_timeouts_of_requests() {
    let mock = testkit::MockUpstream::start().await;
    let server = TempServer::builder()
        .env("SERVER_WRITE_TIMEOUT", "2")
        .env("SERVER_READ_TIMEOUT", "2")
        .env("SERVER_IDLE_TIMEOUT", "2")
        .start()
        .await;
    let config = json!({ "request_timeout": 2, "response_header_timeout": 2 });
    let group = server.create_group("g", "openai", &mock.base_url(), json!({ "config": config })).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::usual().chunks(8).gap(Duration::from_millis(500)));
    let answer = server.exchange(streamed()).await;
    assert_eq!((answer.status, answer.tail), (200, Tail::Complete));
    assert!(answer.text().trim_end().ends_with("data: [DONE]"));
}

/// What is no stream ends with `request_timeout`, and not as if it were whole.
#[tokio::test]
async fn an_answer_that_stalls_ends_with_the_request_timeout() {
    let (mock, server) = house(json!({ "config": { "request_timeout": 1 } }), &["sk-a"]).await;
    mock.play_any_always(Play::usual().pieces(["{\"a\":", "1}"]).then(Ending::HangAfter(1)));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.text()), (200, "{\"a\":"));
    assert_ne!(answer.tail, Tail::Complete);
}

/// A client that takes nothing would hold an upstream and our memory for as long as it likes.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let mock = testkit::MockUpstream::start().await;
    let server = TempServer::builder().env("SERVER_WRITE_TIMEOUT", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::usual().pieces(vec![vec![b'x'; 65_536]; 2000]));
    let mut client = RawConnection::open(server.address()).await;
    client.send(streamed()).await;
    mock.cancelled().await;
    // It got nothing of use, as if it had left.
    assert_eq!(outcome(&server).await.0, 499);
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_cut() {
    let (upstream, server) = (RawListener::open().await, TempServer::builder().env("SERVER_WRITE_TIMEOUT", "5"));
    let server = server.start().await;
    let group = server.create_group("g", "openai", &upstream.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(streamed()).await;
    let (mut served, _) = upstream.request().await;
    // More than the sockets on the way can hold, so that each piece waits for the client.
    let piece = vec![b'x'; 4_000_000];
    let sending = tokio::spawn(async move {
        served.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 20000000\r\n\r\n").await;
        for _ in 0..5 {
            served.send(&piece).await;
        }
        served
    });
    client.read_until(b"\r\n\r\n").await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        client.read_exactly(4_000_000).await;
    }
    sending.await.unwrap();
}

/// proxy.md 30
#[tokio::test]
async fn all_attempts_together_end_with_the_request_timeout() {
    let config = json!({ "config": { "request_timeout": 2, "max_retries": 100 } });
    let (mock, server) = house(config, &["sk-a"]).await;
    mock.play_any_always(Play::status(500).delay(Duration::from_millis(300)));
    let answer = ask(&server, "g").await;
    assert!(matches!(answer.status, 500 | 504), "{}", answer.text());
    assert!(mock.requests().len() < 10, "{}", mock.requests().len());
}
