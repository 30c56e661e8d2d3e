//! Answers that last, break off, or that nobody waits for any more.

use std::time::Duration;

use serde_json::json;
use testkit::{Ending, Play, RawConnection, RawListener, Tail, TempServer};

use crate::support::{CHAT, ask, house, post, question};

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

/// An error is read to judge it; its breaking off must not be lost on the way.
#[tokio::test]
async fn an_error_that_breaks_off_is_aborted_too() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    mock.play_any_always(Play::status(500).pieces(["{\"error\":", "{}}"]).then(Ending::CloseAfter(1)));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.text()), (500, "{\"error\":"));
    assert_ne!(answer.tail, Tail::Complete);
}

/// A client's request and the upstream that the test plays, each at its end of the server.
async fn played(request: impl AsRef<[u8]>) -> (RawConnection, RawConnection, String, TempServer) {
    let (upstream, server) = (RawListener::open().await, TempServer::start().await);
    let group = server.create_group("g", "openai", &upstream.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(request).await;
    let (served, head) = upstream.request().await;
    (client, served, head, server)
}

fn chat(headers: &str) -> Vec<u8> {
    post(&format!("/proxy/g{CHAT}"), headers, question().to_string().as_bytes())
}

/// proxy.md 58: also what does not look like a stream.
#[tokio::test]
async fn each_chunk_is_passed_on_when_it_arrives() {
    for content_type in ["text/event-stream", "application/json"] {
        let (mut client, mut served, _head, _server) = played(chat("")).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        served.send(head).await;
        client.read_until(b"\r\n\r\n").await;
        for text in ["a", "bc", "def"] {
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            served.send(&chunk).await;
            assert_eq!(client.read_exactly(chunk.len()).await, chunk.as_bytes());
        }
        served.send("0\r\n\r\n").await;
        assert_eq!(client.read_exactly(5).await, b"0\r\n\r\n");
    }
}

/// proxy.md 55
#[tokio::test]
async fn names_keep_their_case_and_repeated_headers_their_order() {
    let sent = "X-ODD-name: 1\r\nx-two: b\r\nX-Three: c\r\nx-two: a\r\n";
    let (mut client, mut served, head, _server) = played(chat(sent)).await;
    for line in ["X-ODD-name: 1", "X-Three: c"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    let two: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("x-two: ")).collect();
    assert_eq!(two, ["b", "a"], "{head}");
    served.send("HTTP/1.1 200 OK\r\nX-RateLimit-remaining: 7\r\nvary: b\r\nContent-Length: 0\r\nvary: a\r\n\r\n").await;
    let answer = client.response_to("POST").await;
    assert!(answer.head.contains("\r\nX-RateLimit-remaining: 7"), "{}", answer.head);
    assert_eq!(answer.headers("vary"), ["b", "a"]);
    assert!(answer.head.contains("\r\nvary: b"), "{}", answer.head);
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_keep_their_headers() {
    let get = |method: &str| {
        format!(
            "{method} /proxy/g/v1/x HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n\r\n",
            TempServer::CLIENT_KEY
        )
    };
    let cases = [
        ("GET", "204 No Content", "X-Left: 1", "x-left"),
        ("GET", "304 Not Modified", "ETag: \"v1\"", "etag"),
        ("HEAD", "200 OK", "Content-Length: 1234", "content-length"),
    ];
    for (method, status, header, name) in cases {
        let (mut client, mut served, _head, _server) = played(get(method)).await;
        served.send(format!("HTTP/1.1 {status}\r\n{header}\r\n\r\n")).await;
        let answer = client.response_to(method).await;
        assert_eq!(answer.status, status[..3].parse::<u16>().unwrap());
        assert_eq!(answer.header(name), header.split_once(": ").map(|(_, value)| value), "{}", answer.head);
        assert_eq!(answer.header("transfer-encoding"), None);
        // The next answer on the connection begins where this one ended.
        client.send("GET /health HTTP/1.1\r\nHost: here\r\n\r\n").await;
        assert_eq!(client.response_to("GET").await.status, 200);
    }
}

/// proxy.md 61
#[tokio::test]
async fn trailers_reach_a_client_that_takes_them() {
    let (mut client, mut served, head, _server) = played(chat("TE: trailers\r\nConnection: TE\r\n")).await;
    assert!(head.to_ascii_lowercase().contains("\r\nte: trailers\r\n"), "{head}");
    served
        .send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n",
        )
        .await;
    let answer = String::from_utf8(client.read_until(b"\r\n0\r\n").await).unwrap().to_ascii_lowercase();
    assert!(answer.contains("\r\ntrailer: x-sum\r\n"), "{answer}");
    assert_eq!(client.read_until(b"\r\n\r\n").await.to_ascii_lowercase(), b"x-sum: 42\r\n\r\n");
}

/// proxy.md 61
#[tokio::test]
async fn an_interim_answer_is_not_taken_for_the_answer() {
    let (mut client, mut served, _head, _server) = played(chat("")).await;
    served.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let answer = client.response_to("POST").await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
}

#[tokio::test]
async fn an_encoded_answer_is_passed_on_as_it_is() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let packed: Vec<u8> = b"\x1f\x8b\x08 nobody may look into this".to_vec();
    mock.play_any_always(Play::usual().body(packed.clone()).header("Content-Encoding", "gzip").header("ETag", "\"1\""));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.header("content-encoding"), answer.header("etag")), (Some("gzip"), Some("\"1\"")));
    assert_eq!(answer.header("content-length").unwrap(), packed.len().to_string());
    assert_eq!(answer.body, packed);
}

/// Without a length of its own a body ends with the connection; it is not known to be whole, but it is all there is.
#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_complete() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::usual().then(Ending::UntilClose));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.tail), (200, Tail::Complete));
    assert!(answer.json()["choices"].is_array());
}

/// proxy.md 59: without chunks, only a reset tells a broken answer from a whole one. An nginx that was not told
/// otherwise speaks HTTP/1.0 to us.
#[tokio::test]
async fn a_stream_that_breaks_is_not_ended_for_a_client_of_http_1_0() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let request = String::from_utf8(chat("")).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
    let whole = server.exchange(&request).await;
    assert_eq!((whole.status, whole.tail, whole.header("transfer-encoding")), (200, Tail::Complete, None));
    mock.play_any([
        Play::usual().pieces(["a", "b", "c"]),
        Play::usual().pieces(["a", "b", "c"]).then(Ending::CloseAfter(2)),
    ]);
    let whole = server.exchange(&request).await;
    assert_eq!((whole.status, whole.text(), whole.tail), (200, "abc", Tail::Closed));
    assert_eq!(server.exchange(&request).await.tail, Tail::Reset);
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any([Play::usual().body("first").delay(Duration::from_millis(300)), Play::usual().body("second")]);
    let mut client = RawConnection::open(server.address()).await;
    client.send([chat(""), chat("")].concat()).await;
    assert_eq!(client.response_to("POST").await.text(), "first");
    assert_eq!(client.response_to("POST").await.text(), "second");
}

/// RFC 9112, 6.3: the chunks count. Whoever could make us believe the other could slip an answer of theirs to another client.
#[tokio::test]
async fn an_answer_with_two_lengths_is_read_by_its_chunks() {
    let (mut client, mut served, _head, _server) = played(chat("")).await;
    served
        .send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        .await;
    let answer = client.response_to("POST").await;
    assert_eq!((answer.text(), answer.tail), ("hello", Tail::Complete));
    assert!(answer.header("content-length").is_none_or(|length| length == "5"), "{}", answer.head);
}
