//! What HTTP/1.1 itself asks of us, byte by byte and on both sides: framing, early and interim answers, trailers,
//! pipelining, connections that end at the wrong moment.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{MockUpstream, RawConnection, RawListener, Tail, TempServer, TempServerBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::house;

const ECHO: &str = "/proxy/g/v1/echo";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A request of the client's; each line of `more` ends with CRLF.
fn asked(method: &str, more: &str) -> String {
    format!("{method} {ECHO} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n{more}\r\n", TempServer::CLIENT_KEY)
}

fn of_http_1_0(request: &str) -> String {
    request.replacen("HTTP/1.1", "HTTP/1.0", 1)
}

/// A server with a group `g` towards this upstream.
async fn towards(upstream: &str, builder: TempServerBuilder, more: Value) -> TempServer {
    let server = builder.start().await;
    let group = server.create_group("g", "openai", upstream, more).await;
    server.add_keys(group, &["sk-a"]).await;
    server
}

/// An upstream that the test plays, and a server that retries nothing.
async fn played() -> (RawListener, TempServer) {
    let upstream = RawListener::open().await;
    let once = json!({ "config": { "max_retries": 0 } });
    let server = towards(&upstream.base_url(), TempServer::builder(), once).await;
    (upstream, server)
}

/// Bodies in memory, and bodies that are streamed.
fn both_ways() -> [TempServerBuilder; 2] {
    ["100000000", "1000"].map(|bytes| TempServer::builder().env("REQUEST_BODY_BUFFER_BYTES", bytes))
}

/// Sends until all is sent, or until the other side takes no more.
fn sending(mut to: tokio::net::tcp::OwnedWriteHalf, head: String, body_bytes: usize) {
    tokio::spawn(async move {
        to.write_all(head.as_bytes()).await?;
        to.write_all(&vec![b'x'; body_bytes]).await?;
        // What it could still send is up to it: the connection stays open.
        std::future::pending::<std::io::Result<()>>().await
    });
}

/// The first bytes of an answer, up to `end`.
async fn read_until(from: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !read.ends_with(end.as_bytes()) {
            read.push(from.read_u8().await.expect("the answer goes on"));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer comes in time");
    String::from_utf8(read).expect("it is text")
}

/// An upload takes the time that it takes: `response_header_timeout` is for an upstream that does nothing.
#[tokio::test]
async fn an_upstream_that_reads_slowly_but_steadily_gets_the_whole_upload() {
    const BODY_BYTES: usize = 32_000_000;
    for builder in both_ways() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let upstream = socket.listen(8).unwrap();
        let address = format!("http://{}", upstream.local_addr().unwrap());
        let config = json!({ "config": { "response_header_timeout": 1, "max_retries": 0 } });
        let server = towards(&address, builder, config).await;
        let (mut from_server, to_server) = TcpStream::connect(server.address()).await.unwrap().into_split();
        sending(to_server, asked("POST", &format!("Content-Length: {BODY_BYTES}\r\n")), BODY_BYTES);
        let (mut served, _) = upstream.accept().await.unwrap();
        read_until(&mut served, "\r\n\r\n").await;
        let mut piece = vec![0; 1_000_000];
        // What is still in the sockets on the way is far less than what is left then.
        for count in 0..BODY_BYTES / piece.len() {
            if count < 12 {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            served.read_exact(&mut piece).await.expect("the upload goes on");
        }
        served.write_all(OK.as_bytes()).await.unwrap();
        assert!(read_until(&mut from_server, "\r\n\r\nok").await.starts_with("HTTP/1.1 200 "));
    }
}

/// It did answer: the client hears what, and the upstream stays the first that is asked.
#[tokio::test]
async fn a_refusal_in_the_midst_of_an_upload_reaches_the_client_and_costs_the_upstream_nothing() {
    for builder in both_ways() {
        let (upstream, other) = (RawListener::open().await, MockUpstream::start().await);
        let upstreams =
            json!([{ "url": upstream.base_url(), "weight": 1000 }, { "url": other.base_url(), "weight": 1 }]);
        let group = json!({ "upstreams": upstreams, "config": { "max_retries": 0 } });
        let server = towards(&upstream.base_url(), builder, group).await;
        for (status, leaves_at_once) in [(413, false), (413, true), (401, false), (401, true)] {
            let (mut from_server, to_server) = TcpStream::connect(server.address()).await.unwrap().into_split();
            // More than the sockets on the way hold.
            sending(to_server, asked("POST", "Content-Length: 20000000\r\n"), 20_000_000);
            let (mut served, _) = upstream.request().await;
            served.read_exactly(1000).await;
            let said = format!("{{\"error\":{{\"message\":\"no {status}\"}}}}");
            served
                .send(format!(
                    "HTTP/1.1 {status} No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
                    said.len()
                ))
                .await;
            if leaves_at_once {
                drop(served);
            } else {
                served.finish_sending().await;
            }
            let answer = read_until(&mut from_server, &said).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        assert_eq!(other.connections(), 0, "an upstream that answers does not rest");
    }
}

/// An answer without a length that is being given to a client of HTTP/1.0.
async fn endless_for_http_1_0(builder: TempServerBuilder, piece: &[u8]) -> (RawConnection, RawConnection, TempServer) {
    let upstream = RawListener::open().await;
    let server = towards(&upstream.base_url(), builder, json!({})).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(of_http_1_0(&asked("GET", ""))).await;
    let (mut served, _) = upstream.request().await;
    served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    served.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await;
    (client, served, server)
}

/// Without chunks and without a length, only a reset tells a client that its answer is not whole.
#[tokio::test]
async fn a_client_of_http_1_0_that_does_not_read_is_reset() {
    let builder = TempServer::builder().env("SERVER_WRITE_TIMEOUT", "1");
    let (mut client, mut served, _server) = endless_for_http_1_0(builder, b"hi").await;
    let more = [format!("{:x}\r\n", 100_000_000).into_bytes(), vec![b'x'; 100_000_000]].concat();
    assert!(served.try_send(more).await.is_err(), "the upstream is let go");
    let answer = client.response_to("GET").await;
    assert_eq!((answer.status, answer.tail), (200, Tail::Reset));
}

#[tokio::test]
async fn a_stop_that_cuts_an_answer_of_http_1_0_resets_it() {
    let (mut client, _served, mut server) = endless_for_http_1_0(TempServer::builder(), b"hi").await;
    client.read_until(b"\r\n\r\nhi").await;
    server.ask_to_stop();
    server.says("may finish").await;
    // As if the budget were over.
    server.ask_to_stop();
    assert!(client.closes_with_reset().await);
    assert_eq!(server.ended().await.code(), Some(1));
}

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLINK: </x>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
    Keep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nContent-Length: 9\r\nlink: </y>\r\n\r\n";

/// RFC 8297
#[tokio::test]
async fn early_hints_reach_the_client_before_the_answer_is_there() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(asked("POST", "Content-Length: 2\r\n") + "hi").await;
    let (mut served, _) = upstream.request().await;
    served.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    for _ in 0..2 {
        served.send(HINT).await;
        let hint = String::from_utf8(client.read_until(b"\r\n\r\n").await).unwrap();
        assert_eq!(hint, "HTTP/1.1 103 Early Hints\r\nLINK: </x>; rel=preload\r\nLINK: </y>\r\n\r\n");
    }
    served.send([HINT, OK].concat()).await;
    client.read_until(b"LINK: </y>\r\n\r\n").await;
    let answer = String::from_utf8(client.read_until(b"\r\n\r\nok").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_of_http_1_0_hears_nothing_of_early_hints() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(of_http_1_0(&asked("GET", "Connection: keep-alive\r\n"))).await;
    let (mut served, _) = upstream.request().await;
    served.send(HINT).await;
    served.send([HINT, OK].concat()).await;
    let answer = String::from_utf8(client.read_until(b"\r\n\r\nok").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("</x>"), "{answer}");
    // Nothing of it is left for the next answer either.
    client.send("GET /health HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert!(client.read_until(b"\r\n\r\n").await.starts_with(b"HTTP/1.1 200 "));
}

/// RFC 9110, 10.1.1
#[tokio::test]
async fn who_is_refused_is_not_asked_for_the_body() {
    let builder = TempServer::builder().env("REQUEST_BODY_BYTES_MAX", "1000");
    let mock = MockUpstream::start().await;
    let server = towards(&mock.base_url(), builder, json!({})).await;
    let expecting = |length: u32| asked("POST", &format!("Expect: 100-Continue\r\nContent-Length: {length}\r\n"));
    let wrong_key = expecting(5).replace(TempServer::CLIENT_KEY, "sk-wrong");
    for (request, status) in [(wrong_key, "401"), (expecting(1001), "413")] {
        let mut client = RawConnection::open(server.address()).await;
        client.send(request).await;
        let head = String::from_utf8(client.read_until(b"\r\n\r\n").await).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head}");
        // Whether the body comes all the same is not known: what follows is no request.
        let _ = client.try_send("GET /health HTTP/1.1\r\nHost: here\r\n\r\n").await;
        client.finish_sending().await;
        assert!(!client.closes_with_reset().await);
    }
    assert_eq!(mock.connections(), 0);
    // One that sends its body without waiting, and one that cannot know of 100, are told nothing.
    for request in [expecting(2) + "hi", of_http_1_0(&expecting(2)) + "hi"] {
        let mut client = RawConnection::open(server.address()).await;
        client.send(request).await;
        assert!(client.read_until(b"\r\n\r\n").await.starts_with(b"HTTP/1.1 200 "));
    }
}

/// A part of the body is not in the packet of the head, so that it has to be streamed.
#[tokio::test]
async fn trailers_of_a_request_reach_the_upstream() {
    let upstream = RawListener::open().await;
    let [_, streaming] = both_ways();
    let server = towards(&upstream.base_url(), streaming, json!({})).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(asked("POST", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n")).await;
    let piece = "x".repeat(2000);
    client.send(format!("7d0\r\n{piece}\r\n")).await;
    let (mut served, head) = upstream.request().await;
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    assert!(head.contains("\r\nTrailer: X-Sum\r\n"), "{head}");
    // What frames a message has no business behind it.
    client.send("0;last\r\nx-sum: 42\r\nContent-Length: 1\r\nTransfer-Encoding: gzip\r\n\r\n").await;
    let body = String::from_utf8(served.read_until(b"\r\n\r\n").await).unwrap();
    assert!(body.to_ascii_lowercase().ends_with("\r\n0\r\nx-sum: 42\r\n\r\n"), "{body}");
    served.send(OK).await;
    assert_eq!(client.response_to("POST").await.text(), "ok");
}

/// RFC 9110, 6.5.1
#[tokio::test]
async fn trailers_of_an_answer_are_for_those_who_take_them() {
    const SUMMED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n";
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(asked("GET", "TE: trailers\r\nConnection: TE\r\n")).await;
    let (mut served, _) = upstream.request().await;
    served.send(SUMMED).await;
    client.read_until(b"\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n").await;
    client.send(asked("GET", "")).await;
    served.read_until(b"\r\n\r\n").await;
    served.send(SUMMED).await;
    client.read_until(b"\r\n2\r\nhi\r\n0\r\n\r\n").await;
    client.send(of_http_1_0(&asked("GET", "TE: trailers\r\n"))).await;
    served.read_until(b"\r\n\r\n").await;
    served.send(SUMMED).await;
    let answer = client.response_to("GET").await;
    assert_eq!((answer.text(), answer.tail), ("hi", Tail::Closed));
}

/// RFC 9112, 9.3.2
#[tokio::test]
async fn two_requests_in_one_packet_are_answered_one_after_the_other() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    let second = asked("POST", "X-Number: 2\r\nTransfer-Encoding: chunked\r\n") + "2\r\nhi\r\n0\r\n\r\n";
    client.send(asked("POST", "X-Number: 1\r\nContent-Length: 5\r\n") + "first" + &second).await;
    let (mut served, head) = upstream.request().await;
    assert!(head.contains("\r\nX-Number: 1\r\n"), "{head}");
    assert_eq!(served.read_exactly(5).await, b"first");
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await;
    // The same connection: nothing of the second was written before the first was answered.
    let head = String::from_utf8(served.read_until(b"\r\n\r\n").await).unwrap();
    assert!(head.contains("\r\nX-Number: 2\r\n"), "{head}");
    assert_eq!(served.read_exactly(2).await, b"hi");
    served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(client.response_to("POST").await.text(), "one");
    assert_eq!(client.response_to("POST").await.text(), "two");
}

/// RFC 9112, 6.3, 2.2, 5.1 and 5.2: what two readers could read in two ways is read by nobody.
#[tokio::test]
async fn what_could_be_framed_in_two_ways_is_refused_and_does_not_travel_on() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    let requests = [
        (asked("POST", &format!("Content-Length: 3\r\n{chunked}")), 400),
        (asked("POST", &format!("{chunked}Content-Length: 0\r\n")), 400),
        (asked("POST", "Content-Length: 3\r\nContent-Length: 5\r\n"), 400),
        (asked("POST", "Content-Length: 3, 5\r\n"), 400),
        (asked("POST", "Content-Length: +3\r\n"), 400),
        (asked("POST", "Content-Length: 3 3\r\n"), 400),
        (asked("POST", "Content-Length: \r\n"), 400),
        (asked("POST", "Content-Length: 18446744073709551617\r\n"), 400),
        (asked("POST", "Transfer-Encoding: gzip, chunked\r\n"), 501),
        (asked("POST", "Transfer-Encoding: chunked, identity\r\n"), 501),
        (asked("POST", "Transfer-Encoding: xchunked\r\n"), 501),
        (asked("POST", "Transfer-Encoding: \r\n"), 501),
        (asked("POST", &chunked.repeat(2)), 501),
        (of_http_1_0(&asked("POST", chunked)), 400),
        (asked("POST", "Transfer-Encoding\0: chunked\r\n"), 400),
        (asked("POST", "Transfer-Encoding : chunked\r\n"), 400),
        (asked("POST", "Transfer Encoding: chunked\r\n"), 400),
        (asked("POST", "Transfer-Encoding:\r\n chunked\r\n"), 400),
        (asked("POST", "X-A: 1\r\n\tContent-Length: 3\r\n"), 400),
        (asked("POST", "X-A: 1\rContent-Length: 3\r\n"), 400),
        (asked("POST", "X-A: 1\r\r\nContent-Length: 3\r\n"), 400),
        (asked("POST", "X-A: \0\r\nContent-Length: 3\r\n"), 400),
        (asked("POST", ": 1\r\nContent-Length: 3\r\n"), 400),
        (asked("POST", "X-A\r\nContent-Length: 3\r\n"), 400),
        (asked("POST", "").replace("HTTP/1.1", "HTTP/1.1 HTTP/1.1"), 400),
        (asked("POST", "").replace(ECHO, "/proxy/g/v1/echo x"), 400),
    ];
    for (request, status) in requests {
        let mut client = TcpStream::connect(server.address()).await.unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        // The answer is there: a server that closed with it would answer the next packet with a reset.
        client.readable().await.unwrap();
        let smuggled = asked("GET", "");
        client.write_all(format!("3\r\nabc\r\n0\r\n\r\n{smuggled}").as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), client.read_to_string(&mut answer)).await;
        read.expect("the connection is closed").unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{request:?}: {answer}");
    }
    assert_eq!(mock.connections(), 0);
}

/// The lines of a head without the first, and without its empty line.
fn lines(head: &str) -> Vec<&str> {
    head.trim_end().split("\r\n").skip(1).collect()
}

/// proxy.md 55
#[tokio::test]
async fn headers_keep_their_order_and_spelling_on_both_ways() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    let request = format!(
        "POST {ECHO}?b=2&a=%20 HTTP/1.1\r\nzz-LAST: 1\r\nhOST: here\r\nX_odd~Name: a  b\r\naUTHORIZATION: Bearer {}\r\n\
         Accept: */*\r\nuser-agent: Me/1.0 (x; y)\r\nX-Two: b\r\nX-Empty: \r\nX-two: a\r\nX-High: \u{e9}\r\nContent-LENGTH: 2\r\n\r\nhi",
        TempServer::CLIENT_KEY
    );
    client.send(request).await;
    let (mut served, head) = upstream.request().await;
    assert!(head.starts_with("POST /v1/echo?b=2&a=%20 HTTP/1.1\r\n"), "{head}");
    let host = format!("hOST: {}", upstream.address());
    let expected = [
        "zz-LAST: 1",
        &host,
        "X_odd~Name: a  b",
        "aUTHORIZATION: Bearer sk-a",
        "Accept: */*",
        "user-agent: Me/1.0 (x; y)",
        // Values of one name stay together, in their order.
        "X-Two: b",
        "X-Two: a",
        "X-Empty: ",
        "X-High: \u{e9}",
        "Content-LENGTH: 2",
    ];
    let framing = |line: &&str| line.to_ascii_lowercase().starts_with("content-length: ");
    let (lengths, others): (Vec<&str>, Vec<&str>) = lines(&head).into_iter().partition(framing);
    assert_eq!(others, expected[..10], "{head}");
    assert_eq!(lengths.len(), 1, "{head}");
    let said = [
        "x-ZED: 1",
        "Server: Up/2",
        "vary: b",
        "CONTENT-type: text/plain",
        "content-length: 2",
        "X-a: 2",
        "date: then",
    ];
    served.send(format!("HTTP/1.1 200 Fine\r\n{}\r\n\r\nok", said.join("\r\n"))).await;
    let answer = client.response_to("POST").await;
    assert_eq!(lines(&answer.head)[..said.len()], said, "{}", answer.head);
}

/// RFC 9110, 8.6, 9.3.2, 15.3.5 and 15.4.5
#[tokio::test]
async fn answers_without_a_body_leave_both_connections_in_use() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    let mut served = None;
    let cases = [
        ("HEAD", "200 OK\r\nContent-Length: 1234", Some("1234")),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", None),
        ("HEAD", "200 OK", None),
        ("GET", "204 No Content", None),
        ("DELETE", "204 No Content\r\nContent-Length: 7", None),
        ("GET", "304 Not Modified\r\nContent-Length: 99\r\nETag: x", Some("99")),
        ("GET", "200 OK\r\nContent-Length: 0", Some("0")),
    ];
    for (method, said, length) in cases {
        client.send(asked(method, "")).await;
        let mut connection = match served.take() {
            None => upstream.accept().await,
            Some(connection) => connection,
        };
        let head = String::from_utf8(connection.read_until(b"\r\n\r\n").await).unwrap();
        assert!(head.starts_with(&format!("{method} /v1/echo HTTP/1.1\r\n")), "{head}");
        connection.send(format!("HTTP/1.1 {said}\r\n\r\n")).await;
        let answer = client.response_to(method).await;
        assert!(said.starts_with(&answer.status.to_string()), "{said}: {}", answer.head);
        assert_eq!(answer.header("content-length"), length, "{said}: {}", answer.head);
        assert_eq!((answer.header("transfer-encoding"), answer.header("connection")), (None, None), "{said}");
        served = Some(connection);
    }
    client.send(asked("GET", "")).await;
    let mut served = served.unwrap();
    served.read_until(b"\r\n\r\n").await;
    served.send(OK).await;
    assert_eq!(client.response_to("GET").await.text(), "ok");
}

/// RFC 9110, 8.6
#[tokio::test]
async fn a_length_that_is_given_twice_is_passed_on_once() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    let mut served = None;
    for lengths in
        ["Content-Length: 5, 5", "content-length: 5\r\nX-A: 1\r\nContent-Length: 5", "Content-Length: 5 , 5,5"]
    {
        client.send(asked("GET", "")).await;
        let mut connection = match served.take() {
            None => upstream.accept().await,
            Some(connection) => connection,
        };
        connection.read_until(b"\r\n\r\n").await;
        connection.send(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nhello")).await;
        let head = String::from_utf8(client.read_until(b"\r\n\r\n").await).unwrap();
        let length = lines(&head).into_iter().filter(|line| line.to_ascii_lowercase().starts_with("content-length"));
        assert_eq!(length.collect::<Vec<_>>(), ["Content-Length: 5"], "{lengths}: {head}");
        assert_eq!(client.read_exactly(5).await, b"hello");
        served = Some(connection);
    }
    client.send(asked("GET", "")).await;
    let mut served = served.unwrap();
    served.read_until(b"\r\n\r\n").await;
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!").await;
    assert_eq!(client.response_to("GET").await.status, 502);
}

/// The same with two lengths in a request.
#[tokio::test]
async fn a_length_that_a_client_gives_twice_is_passed_on_once() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    for lengths in ["Content-Length: 5, 5\r\n", "Content-Length: 5\r\nX-A: 1\r\nContent-Length: 5\r\n"] {
        assert_eq!(server.exchange(asked("POST", lengths) + "hello").await.status, 200);
        let seen = mock.request();
        assert_eq!((seen.text(), seen.headers("content-length")), ("hello", vec!["5"]));
        mock.reset();
    }
}

/// RFC 9112, 9.3.1: an upstream closes idle connections as it likes.
#[tokio::test]
async fn an_idle_connection_that_was_closed_meanwhile_is_not_used() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(asked("GET", "")).await;
    let (mut served, _) = upstream.request().await;
    served.send(OK).await;
    assert_eq!(client.response_to("GET").await.text(), "ok");
    for method in ["GET", "POST", "DELETE", "POST"] {
        drop(served);
        client.send(asked(method, "Content-Length: 2\r\n") + "hi").await;
        (served, _) = upstream.request().await;
        assert_eq!(served.read_exactly(2).await, b"hi");
        served.send(OK).await;
        assert_eq!(client.response_to(method).await.text(), "ok", "{method}");
    }
}

/// RFC 9110, 9.2.2: what may be done twice is sent again where its connection ended just then, and what may not is not.
#[tokio::test]
async fn a_request_that_meets_the_end_of_an_idle_connection_is_sent_again_where_that_does_no_harm() {
    let (upstream, server) = played().await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(asked("GET", "")).await;
    let (mut served, _) = upstream.request().await;
    served.send(OK).await;
    assert_eq!(client.response_to("GET").await.text(), "ok");
    for (method, more) in
        [("GET", ""), ("PUT", "Content-Length: 2\r\n"), ("POST", "Idempotency-Key: 1\r\nContent-Length: 2\r\n")]
    {
        let body = if more.is_empty() { "" } else { "hi" };
        client.send(asked(method, more) + body).await;
        served.read_until(format!("\r\n\r\n{body}").as_bytes()).await;
        drop(served);
        (served, _) = upstream.request().await;
        served.read_exactly(body.len()).await;
        served.send(OK).await;
        assert_eq!(client.response_to(method).await.text(), "ok", "{method}");
    }
    client.send(asked("POST", "Content-Length: 2\r\n") + "hi").await;
    served.read_until(b"\r\n\r\nhi").await;
    drop(served);
    assert_eq!(client.response_to("POST").await.status, 502);
}
