//! HTTP/2 without TLS, by prior knowledge: from clients, and to upstreams where a group wants it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::{Value, json};
use testkit::{Ending, MockUpstream, Play, RawConnection, RawListener, Tail, TempServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::log::outcome;
use crate::support::{CHAT, ask, house, post, question};

/// One connection of a client, which pings as some do.
struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn open(server: &TempServer) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_millis(300))
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn chat(&mut self, question: &Value) -> Response<Incoming> {
        let request = Request::post(format!("http://here/proxy/g{CHAT}"))
            .header("authorization", format!("Bearer {}", TempServer::CLIENT_KEY))
            .header("content-type", "application/json")
            .body(Full::from(question.to_string()))
            .unwrap();
        self.0.send_request(request).await.unwrap()
    }

    /// Waits until the server has closed the connection.
    async fn closed(&self) {
        let closed = async {
            while !self.0.is_closed() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), closed).await.expect("the connection is closed in time");
    }
}

fn streamed() -> Value {
    let mut question = question();
    question["stream"] = json!(true);
    question
}

async fn text_of(answer: Response<Incoming>) -> String {
    let body = answer.into_body().collect().await.expect("the body ends as it should").to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A group that speaks HTTP/2 to its upstream, on one data-plane thread so that there is one connection.
async fn house_of_http2(more: Value) -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("WORKER_THREADS", "1").start().await;
    let mut config = json!({ "upstream_http2": true });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    let group = server.create_group("g", "openai", &mock.base_url(), json!({ "config": config })).await;
    server.add_keys(group, &["sk-a"]).await;
    (mock, server)
}

/// proxy.md 61
#[tokio::test]
async fn a_client_may_speak_http2() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let mut client = Client::open(&server).await;
    let answer = client.chat(&question()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key("x-gpt-load-request-id"));
    assert!(text_of(answer).await.contains("chat.completion"));
    let seen = mock.request();
    assert_eq!((seen.version.as_str(), seen.key.as_str()), ("HTTP/1.1", "sk-a"));
    assert_eq!(seen.headers("host"), [mock.address().to_string()]);
    assert_eq!(seen.json(), question());
}

/// proxy.md 61
#[tokio::test]
async fn many_streams_share_a_clients_connection() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::usual().chunks(20).gap(Duration::from_millis(5)));
    let mut client = Client::open(&server).await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(client.chat(&streamed()).await);
    }
    for answer in answers {
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert!(text_of(answer).await.trim_end().ends_with("data: [DONE]"));
    }
    assert_eq!(mock.requests().len(), 50);
}

/// proxy.md 61
#[tokio::test]
async fn trailers_reach_a_client_over_http2() {
    let (server, upstream) = (TempServer::start().await, RawListener::open().await);
    let group = server.create_group("g", "openai", &upstream.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = Client::open(&server).await;
    let question = question();
    let play = async {
        let (mut served, _) = upstream.request().await;
        served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n").await;
        served
    };
    let (answer, _served) = tokio::join!(client.chat(&question), play);
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().and_then(|trailers: &HeaderMap| trailers.get("x-sum")).unwrap(), "42");
    assert_eq!(body.to_bytes(), "hi");
}

/// proxy.md 59: END_STREAM would say that the answer is whole.
#[tokio::test]
async fn a_broken_answer_resets_its_stream_and_spares_the_connection() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any([Play::ending(Ending::CloseAfter(2))]);
    let mut client = Client::open(&server).await;
    let broken = client.chat(&streamed()).await;
    assert_eq!(broken.status(), StatusCode::OK);
    let error = broken.into_body().collect().await.expect_err("the stream is reset");
    let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(reason.contains("stream"), "a stream error, not the end of the connection: {error:?}");
    assert_eq!(client.chat(&question()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_resets_its_stream_cancels_the_upstream() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::ending(Ending::HangAfter(1)));
    let mut client = Client::open(&server).await;
    drop(client.chat(&streamed()).await);
    mock.cancelled().await;
    assert!(!client.0.is_closed());
}

/// What a client sends between two requests, such as the answer to a ping, is no slow head.
#[tokio::test]
async fn a_pause_between_two_requests_does_not_break_an_http2_connection() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("SERVER_READ_TIMEOUT", "2").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = Client::open(&server).await;
    for _ in 0..2 {
        assert!(text_of(client.chat(&streamed()).await).await.contains("[DONE]"));
        tokio::time::sleep(Duration::from_millis(3500)).await;
    }
    assert!(!client.0.is_closed());
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("SERVER_IDLE_TIMEOUT", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = Client::open(&server).await;
    assert!(text_of(client.chat(&question()).await).await.contains("chat.completion"));
    client.closed().await;
}

/// Small windows would make the HTTP/2 library take so many small frames for an attack.
#[tokio::test]
async fn thousands_of_small_frames_on_many_streams_of_one_upstream_connection_arrive() {
    const STREAMS: usize = 20;
    const CHUNKS: usize = 1500;
    let (mock, server) = house_of_http2(json!({})).await;
    mock.play_any_always(Play::usual().chunks(CHUNKS));
    let request = post(&format!("/proxy/g{CHAT}"), "", streamed().to_string().as_bytes());
    let mut clients = Vec::new();
    for count in 1..=STREAMS {
        let mut client = RawConnection::open(server.address()).await;
        client.send(&request).await;
        clients.push(client);
        // One after the other, so that the first has made the connection that the others share.
        mock.arrived(count).await;
    }
    for client in &mut clients {
        let answer = client.response_to("POST").await;
        assert_eq!((answer.status, answer.tail), (200, Tail::Complete));
        let contents = answer.text().lines().filter(|line| line.contains("\"content\"")).count();
        assert!(contents >= CHUNKS, "{contents} chunks");
        assert!(answer.text().trim_end().ends_with("data: [DONE]"));
    }
    assert_eq!(mock.connections(), 1);
    assert!(mock.requests().iter().all(|seen| seen.version == "HTTP/2.0" && seen.key == "sk-a"));
}

/// proxy.md 59
#[tokio::test]
async fn a_broken_stream_of_an_http2_upstream_is_aborted() {
    let (mock, server) = house_of_http2(json!({})).await;
    mock.play_any([Play::ending(Ending::CloseAfter(2))]);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", streamed().to_string().as_bytes())).await;
    let answer = client.response_to("POST").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().is_empty());
    assert_ne!(answer.tail, Tail::Complete);
    let (_, error) = outcome(&server).await;
    assert!(error.contains("broke off"), "{error}");
    assert_eq!(ask(&server, "g").await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_stream_to_an_http2_upstream() {
    let (mock, server) = house_of_http2(json!({})).await;
    mock.play_any([Play::ending(Ending::HangAfter(1))]);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", streamed().to_string().as_bytes())).await;
    client.read_until(b"data: ").await;
    drop(client);
    mock.cancelled().await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.connections(), 1, "the connection goes on");
}

#[tokio::test]
async fn an_http2_upstream_that_does_not_answer_ends_with_504() {
    let (mock, server) = house_of_http2(json!({ "response_header_timeout": 1, "max_retries": 0 })).await;
    mock.play_any([Play::hang()]);
    assert_eq!(ask(&server, "g").await.status, 504);
    mock.cancelled().await;
    assert_eq!(ask(&server, "g").await.status, 200);
}

#[tokio::test]
async fn bodies_reach_an_http2_upstream_bit_for_bit() {
    let (mock, server) = house_of_http2(json!({})).await;
    let body: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let request = post("/proxy/g/v1/echo", "Content-Type: application/octet-stream\r\nX-Two: a\r\nX-Two: b\r\n", &body);
    assert_eq!(server.exchange(request).await.status, 200);
    let seen = mock.request();
    assert_eq!(seen.body, body);
    assert_eq!(seen.headers("x-two"), ["a", "b"]);
    assert_eq!(seen.headers("host"), [mock.address().to_string()]);
}

/// A client that opens no window for its stream takes nothing, while its connection lives.
#[tokio::test]
async fn a_client_that_does_not_read_its_stream_is_cut() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("SERVER_WRITE_TIMEOUT", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any([Play::usual().pieces(vec![vec![b'x'; 65_536]; 400])]);
    let mut client = Client::open(&server).await;
    let unread = client.chat(&streamed()).await;
    mock.cancelled().await;
    assert_eq!(outcome(&server).await.0, 499);
    assert_eq!(client.chat(&question()).await.status(), StatusCode::OK, "other streams go on");
    unread.into_body().collect().await.expect_err("it is not complete");
}

/// An upstream that closes its connection after each answer; every second time it says so before.
async fn closing_upstream() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let says_so = count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            let answered = Arc::new(Notify::new());
            let answering = Arc::clone(&answered);
            let service = service_fn(move |_: Request<Incoming>| {
                answering.notify_one();
                async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("ok"))) }
            });
            let connection =
                server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                tokio::pin!(connection);
                let done = async {
                    answered.notified().await;
                    // The answer leaves before the connection does.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = done => {
                        if says_so {
                            connection.as_mut().graceful_shutdown();
                            let _ = connection.await;
                        }
                    }
                }
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn an_http2_connection_that_the_upstream_closed_is_replaced() {
    let (address, connections) = closing_upstream().await;
    let server = TempServer::builder().env("WORKER_THREADS", "1").start().await;
    let config = json!({ "config": { "upstream_http2": true, "max_retries": 0 } });
    let group = server.create_group("g", "openai", &format!("http://{address}"), config).await;
    server.add_keys(group, &["sk-a"]).await;
    for _ in 0..4 {
        assert_eq!(ask(&server, "g").await.status, 200);
        // Time to close the connection, which is what this is about.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}
