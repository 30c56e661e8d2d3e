//! The client's body on its way: streamed, slow, stalled, announced, or not wanted.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Ending, MockUpstream, Play, RawConnection, RawListener, TempServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::log::outcome;
use crate::support::{CHAT, NOBODY, house, post, question};

const ANYTHING: &str = "/proxy/g/v1/echo";
/// Bodies above it are streamed by [`streaming`].
const BUFFER_BYTES: usize = 1000;

/// A server that keeps next to nothing in memory.
async fn streaming() -> TempServer {
    TempServer::builder().env("REQUEST_BODY_BUFFER_BYTES", &BUFFER_BYTES.to_string()).start().await
}

async fn group(server: &TempServer, upstream: &str, more: Value, keys: &[&str]) {
    let group = server.create_group("g", "openai", upstream, more).await;
    server.add_keys(group, keys).await;
}

fn bytes(count: usize) -> Vec<u8> {
    (0..=255).cycle().take(count).collect()
}

fn head(target: &str, more: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n{more}\r\n", TempServer::CLIENT_KEY)
}

fn chunked(body: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut request = head(ANYTHING, "Transfer-Encoding: chunked\r\n").into_bytes();
    for chunk in body.chunks(chunk_bytes) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// proxy.md 40
#[tokio::test]
async fn a_body_above_the_buffer_is_streamed_bit_for_bit() {
    let (mock, server) = (MockUpstream::start().await, streaming().await);
    group(&server, &mock.base_url(), json!({}), &["sk-a"]).await;
    let body = bytes(3_000_000);
    assert_eq!(server.exchange(post(ANYTHING, "", &body)).await.status, 200);
    assert_eq!(server.exchange(chunked(&body, 70_000)).await.status, 200);
    let requests = mock.requests();
    assert!(requests.iter().all(|seen| seen.complete && seen.body == body));
    assert_eq!(requests[0].header("content-length"), Some("3000000"));
    assert_eq!(requests[1].header("transfer-encoding"), Some("chunked"));
}

/// proxy.md 40
#[tokio::test]
async fn a_streamed_body_is_on_its_way_before_it_is_complete() {
    let (upstream, server) = (RawListener::open().await, streaming().await);
    group(&server, &upstream.base_url(), json!({}), &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(head(ANYTHING, "Content-Length: 4000\r\n")).await;
    client.send([b'a'; 2000]).await;
    let (mut served, _) = upstream.request().await;
    assert_eq!(served.read_exactly(2000).await, [b'a'; 2000]);
    client.send([b'b'; 2000]).await;
    assert_eq!(served.read_exactly(2000).await, [b'b'; 2000]);
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.response_to("POST").await.status, 200);
}

#[tokio::test]
async fn a_streamed_body_is_not_sent_again_once_it_was_begun() {
    let (mock, server) = (MockUpstream::start().await, streaming().await);
    group(&server, &mock.base_url(), json!({}), &["sk-a", "sk-b"]).await;
    mock.play("sk-a", [Play::status(503)]);
    assert_eq!(server.exchange(post(ANYTHING, "", &bytes(5000))).await.status, 503);
    assert_eq!(mock.keys_seen(), ["sk-a"]);
}

#[tokio::test]
async fn a_streamed_body_goes_elsewhere_while_nothing_of_it_was_sent() {
    let (mock, server) = (MockUpstream::start().await, streaming().await);
    let upstreams = json!([{ "url": NOBODY, "weight": 9 }, { "url": mock.base_url(), "weight": 1 }]);
    group(&server, NOBODY, json!({ "upstreams": upstreams }), &["sk-a"]).await;
    let body = bytes(300_000);
    assert_eq!(server.exchange(post(ANYTHING, "", &body)).await.status, 200);
    assert_eq!(mock.request().body, body);
}

/// proxy.md 42
#[tokio::test]
async fn forms_and_compressed_bodies_arrive_bit_for_bit() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let mut form = b"--xyz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xyz\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"\xff.bin\"\r\n\r\n"
        .to_vec();
    form.extend(bytes(200_000));
    form.extend(b"\r\n--xyz--\r\n");
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    let kinds = [
        ("Content-Type: multipart/form-data; boundary=xyz\r\n", "content-type", form),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "content-encoding", packed.to_vec()),
    ];
    for (headers, name, body) in kinds {
        server.exchange(post(&format!("/proxy/g{CHAT}"), headers, &body)).await;
        let seen = mock.request();
        assert_eq!(seen.body, body);
        let sent = headers.lines().filter_map(|line| line.split_once(": "));
        let sent = sent.clone().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        assert_eq!(seen.header(name), sent);
        mock.reset();
    }
}

#[tokio::test]
async fn a_body_of_many_pieces_arrives_as_one() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let body = bytes(10_000);
    assert_eq!(server.exchange(chunked(&body, 7)).await.status, 200);
    assert_eq!(mock.request().body, body);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(head(ANYTHING, "Expect: 100-continue\r\nContent-Length: 5\r\n")).await;
    let told = client.read_until(b"\r\n\r\n").await;
    assert!(told.starts_with(b"HTTP/1.1 100 "), "{:?}", String::from_utf8_lossy(&told));
    client.send("hello").await;
    assert_eq!(client.response_to("POST").await.status, 200);
    let seen = mock.request();
    assert_eq!((seen.text(), seen.header("expect")), ("hello", None));
}

#[tokio::test]
async fn a_client_that_may_not_is_not_told_to_go_on() {
    let (_mock, server) = house(json!({}), &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send("POST /proxy/g/v1/x HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    let told = client.read_until(b"\r\n\r\n").await;
    assert!(told.starts_with(b"HTTP/1.1 401 "), "{:?}", String::from_utf8_lossy(&told));
}

#[tokio::test]
async fn no_body_stays_no_body_and_a_get_may_have_one() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let get = |more: &str| head(ANYTHING, more).replacen("POST", "GET", 1);
    server.exchange(post(ANYTHING, "", b"")).await;
    server.exchange(get("")).await;
    server.exchange(get("Content-Length: 2\r\n") + "hi").await;
    let requests = mock.requests();
    let lengths: Vec<Option<&str>> = requests.iter().map(|seen| seen.header("content-length")).collect();
    assert_eq!(lengths, [Some("0"), None, Some("2")]);
    assert!(requests.iter().all(|seen| seen.header("transfer-encoding").is_none()));
    assert_eq!((requests[2].method.as_str(), requests[2].text()), ("GET", "hi"));
}

/// proxy.md 62: read into memory or streamed, an upload takes the time that it takes.
#[tokio::test]
async fn a_slow_upload_passes_while_it_moves() {
    const PIECES: usize = 8;
    const PIECE_BYTES: usize = 400;
    let mock = MockUpstream::start().await;
    for buffer_bytes in ["100000", "1000"] {
        let server = TempServer::builder()
            .env("REQUEST_BODY_BUFFER_BYTES", buffer_bytes)
            .env("SERVER_READ_TIMEOUT", "3")
            .env("SERVER_WRITE_TIMEOUT", "3")
            .start()
            .await;
        let config = json!({ "request_timeout": 3, "response_header_timeout": 3, "stream_idle_timeout": 3 });
        group(&server, &mock.base_url(), json!({ "config": config }), &["sk-a"]).await;
        let mut client = RawConnection::open(server.address()).await;
        client.send(head(ANYTHING, &format!("Content-Length: {}\r\n", PIECES * PIECE_BYTES))).await;
        for _ in 0..PIECES {
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.send([b'x'; PIECE_BYTES]).await;
        }
        let answer = client.response_to("POST").await;
        assert_eq!(answer.status, 200, "{buffer_bytes}: {}", answer.text());
    }
}

/// What is left of `request_timeout` after a long upload is not what the answer gets.
#[tokio::test]
async fn an_answer_after_a_slow_upload_has_its_own_time() {
    let (upstream, server) = (RawListener::open().await, streaming().await);
    group(&server, &upstream.base_url(), json!({ "config": { "request_timeout": 4 } }), &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(head(ANYTHING, "Content-Length: 4000\r\n")).await;
    client.send([b'a'; 2000]).await;
    let (mut served, _) = upstream.request().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.send([b'b'; 2000]).await;
    served.read_exactly(4000).await;
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
    client.read_until(b"\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    served.send("ok").await;
    assert_eq!(client.read_exactly(2).await, b"ok");
}

/// proxy.md 62
#[tokio::test]
async fn a_stalled_upload_ends_with_408() {
    let mock = MockUpstream::start().await;
    for buffer_bytes in ["100000", "1000"] {
        let server = TempServer::builder()
            .env("REQUEST_BODY_BUFFER_BYTES", buffer_bytes)
            .env("SERVER_READ_TIMEOUT", "1")
            .start()
            .await;
        group(&server, &mock.base_url(), json!({}), &["sk-a"]).await;
        let mut client = RawConnection::open(server.address()).await;
        client.send(head(ANYTHING, "Content-Length: 5000\r\n")).await;
        client.send([b'x'; 3000]).await;
        let answer = client.response_to("POST").await;
        assert_eq!(answer.status, 408, "{buffer_bytes}: {}", answer.text());
        assert_eq!(outcome(&server).await.0, 408);
    }
}

/// The upstream must not hold a client for ever that is ready to send.
#[tokio::test]
async fn an_upload_that_the_upstream_does_not_take_ends_with_504() {
    let (upstream, server) = (RawListener::open().await, streaming().await);
    let config = json!({ "response_header_timeout": 1, "max_retries": 0 });
    group(&server, &upstream.base_url(), json!({ "config": config }), &["sk-a"]).await;
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut from_server, mut to_server) = stream.into_split();
    tokio::spawn(async move {
        to_server.write_all(head(ANYTHING, "Content-Length: 100000000\r\n").as_bytes()).await?;
        loop {
            to_server.write_all(&bytes(65_536)).await?;
        }
        #[expect(unreachable_code, reason = "names the error type")]
        Ok::<_, std::io::Error>(())
    });
    let (_served, _) = upstream.request().await;
    let mut status = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), from_server.read_exact(&mut status)).await;
    read.expect("an answer comes in time").unwrap();
    assert_eq!(status, *b"HTTP/1.1 504");
}

#[tokio::test]
async fn an_upstream_may_answer_before_the_body_is_sent() {
    let (mock, server) = (MockUpstream::start().await, streaming().await);
    group(&server, &mock.base_url(), json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    mock.play_any_always(Play::status(413).body("{\"error\":{\"message\":\"too much\"}}").before_body());
    let mut client = RawConnection::open(server.address()).await;
    client.send(head(ANYTHING, "Content-Length: 100000\r\n")).await;
    client.send([b'x'; 2000]).await;
    let answer = client.response_to("POST").await;
    assert_eq!((answer.status, answer.text()), (413, "{\"error\":{\"message\":\"too much\"}}"));
}

/// Buffered bodies are sent whole; the answer may come while they are.
#[tokio::test]
async fn an_early_answer_to_a_buffered_body_is_passed_on_too() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    mock.play_any_always(Play::status(413).body("{\"error\":{\"message\":\"too much\"}}").before_body());
    let answer = server.exchange(post(ANYTHING, "", &bytes(8_000_000))).await;
    assert_eq!((answer.status, answer.text()), (413, "{\"error\":{\"message\":\"too much\"}}"));
}

#[tokio::test]
async fn a_client_that_leaves_during_its_upload_ends_it() {
    let (mock, server) = (MockUpstream::start().await, streaming().await);
    group(&server, &mock.base_url(), json!({}), &["sk-a", "sk-b"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(head(ANYTHING, "Content-Length: 100000\r\n")).await;
    client.send(bytes(20_000)).await;
    drop(client);
    mock.arrived(1).await;
    let seen = mock.request();
    assert!(!seen.complete, "what the upstream got is not taken for the whole");
    let (status, _) = outcome(&server).await;
    assert!(status == 400 || status == 499, "{status}");
}

/// A hang-up while the answer is awaited is seen although nobody reads from the client.
#[tokio::test]
async fn a_client_that_leaves_after_its_upload_cancels_the_upstream() {
    let (mock, server) = (MockUpstream::start().await, streaming().await);
    group(&server, &mock.base_url(), json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::ending(Ending::Hang));
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().repeat(100).as_bytes())).await;
    mock.arrived(1).await;
    drop(client);
    mock.cancelled().await;
}

/// RFC 9112, 6.3: a request that an upstream could read in two ways does not leave here.
#[tokio::test]
async fn a_body_with_two_lengths_does_not_reach_the_upstream_with_both() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let both = head(ANYTHING, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n";
    let answer = server.exchange(both).await;
    for seen in mock.requests() {
        assert_eq!(seen.text(), "hello");
        let lengths = (seen.header("content-length"), seen.header("transfer-encoding"));
        assert!(matches!(lengths, (Some("5"), None) | (None, Some("chunked"))), "{lengths:?}");
    }
    assert!(answer.status == 200 || answer.status == 400, "{}", answer.status);
    mock.reset();
    let twice = head(ANYTHING, "Content-Length: 3\r\nContent-Length: 5\r\n") + "hello";
    assert_eq!(server.exchange(twice).await.status, 400);
    assert!(mock.requests().is_empty());
}
