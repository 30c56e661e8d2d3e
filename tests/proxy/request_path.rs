//! Tunnels, stops, uploads, deadlines, idle connections, and secrets that must not reach the log.

#![expect(clippy::expect_used, reason = "what a test cannot do fails it")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};
use testkit::{MockUpstream, Play, RawConnection, Tail, TempServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{CHAT, ask, house, post, question};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `look` finds something.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Logged {
    status: i64,
    error: String,
    path: String,
    upstream: String,
    group: String,
}

/// The final records that are in the database now, oldest first.
async fn records(server: &TempServer) -> Vec<Logged> {
    let options = SqliteConnectOptions::new().filename(server.database_path()).read_only(true);
    let mut database = options.connect().await.expect("the database opens");
    let query = "SELECT status_code, COALESCE(error_message, '') AS error, COALESCE(request_path, '') AS path, \
                 COALESCE(upstream_addr, '') AS upstream, COALESCE(group_name, '') AS group_name \
                 FROM request_logs WHERE request_type = 'final' ORDER BY timestamp";
    let rows = sqlx::query(query).fetch_all(&mut database).await.expect("the log can be read");
    database.close().await.expect("the database closes");
    let logged = |row: &sqlx::sqlite::SqliteRow| Logged {
        status: row.get("status_code"),
        error: row.get("error"),
        path: row.get("path"),
        upstream: row.get("upstream"),
        group: row.get("group_name"),
    };
    rows.iter().map(logged).collect()
}

async fn record(server: &TempServer) -> Logged {
    eventually("a record", async || records(server).await.pop()).await
}

async fn says(server: &TempServer, text: &str) {
    eventually(text, async || server.log().contains(text).then_some(())).await;
}

async fn house_with(environment: &[(&str, &str)], more: Value) -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let mut builder = TempServer::builder();
    for (name, value) in environment {
        builder = builder.env(name, value);
    }
    let server = builder.start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), more).await;
    server.add_keys(group, &["sk-a"]).await;
    (mock, server)
}

/// A WebSocket through the proxy, its handshake done.
async fn tunnel(server: &TempServer) -> RawConnection {
    let mut client = RawConnection::open(server.address()).await;
    client
        .send(format!(
            "GET /proxy/g/v1/echo HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            TempServer::CLIENT_KEY
        ))
        .await;
    assert_eq!(client.response_to("GET").await.status, 101);
    client
}

/// Sends a frame, whose mask of zeros changes nothing, and reads it back.
async fn echoes(client: &mut RawConnection, opcode: u8, text: &str) {
    let length = u8::try_from(text.len()).expect("a short text");
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    client.send(&frame).await;
    let echo = [&[0x80 | opcode, length], text.as_bytes()].concat();
    assert_eq!(client.read_exactly(echo.len()).await, echo);
}

#[tokio::test]
async fn a_tunnel_outlives_the_read_timeout() {
    let (_mock, server) = house_with(&[("SERVER_READ_TIMEOUT", "1")], json!({})).await;
    let mut client = tunnel(&server).await;
    echoes(&mut client, 1, "first").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    echoes(&mut client, 1, "second").await;
}

#[tokio::test]
async fn a_stop_waits_for_a_tunnel() {
    let (_mock, mut server) = house(json!({}), &["sk-a"]).await;
    let mut client = tunnel(&server).await;
    server.ask_to_stop();
    says(&server, "may finish").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    echoes(&mut client, 1, "still here").await;
    echoes(&mut client, 8, "").await;
    drop(client);
    assert_eq!(server.ended().await.code(), Some(0));
    let record = record(&server).await;
    assert_eq!((record.status, &*record.error), (101, ""));
}

#[tokio::test]
async fn a_stop_that_cuts_says_so_in_the_records_and_with_its_exit_code() {
    let (mock, mut server) = house(json!({}), &["sk-a"]).await;
    let mut tunnelled = tunnel(&server).await;
    echoes(&mut tunnelled, 1, "open").await;
    mock.play_any_always(Play::hang());
    let mut waiting = RawConnection::open(server.address()).await;
    waiting.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(2).await;
    server.ask_to_stop();
    says(&server, "may finish").await;
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(1));
    let mut records = records(&server).await;
    records.sort_by_key(|record| record.status);
    let told: Vec<_> =
        records.iter().map(|record| (record.status, record.error.contains("this server stopped"))).collect();
    assert_eq!(told, [(101, true), (503, true)]);
}

/// The head of a request whose body comes in chunks.
fn chunked(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        TempServer::CLIENT_KEY
    )
}

fn chunk(bytes: usize) -> String {
    format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes))
}

#[tokio::test]
async fn a_streamed_body_that_turns_out_too_large_is_a_413() {
    let limits = [("REQUEST_BODY_BUFFER_BYTES", "1000"), ("REQUEST_BODY_BYTES_MAX", "10000")];
    let (_mock, server) = house_with(&limits, json!({})).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(chunked("/proxy/g/v1/files")).await;
    client.send(chunk(2000)).await;
    client.send(chunk(9000)).await;
    let answer = client.response_to("POST").await;
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("PAYLOAD_TOO_LARGE")));
    assert_eq!(record(&server).await.status, 413);
}

#[tokio::test]
async fn a_streamed_body_that_stalls_is_a_408() {
    let (_mock, server) =
        house_with(&[("REQUEST_BODY_BUFFER_BYTES", "1000"), ("SERVER_READ_TIMEOUT", "1")], json!({})).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(chunked("/proxy/g/v1/files")).await;
    client.send(chunk(2000)).await;
    assert_eq!(client.response_to("POST").await.status, 408);
}

#[tokio::test]
async fn a_client_that_breaks_off_its_upload_has_left() {
    for announced in [500, 5000] {
        let (_mock, server) = house_with(&[("REQUEST_BODY_BUFFER_BYTES", "1000")], json!({})).await;
        let mut client = RawConnection::open(server.address()).await;
        let head = String::from_utf8(post("/proxy/g/v1/files", "", b"")).expect("a head is text");
        client.send(head.replace("Content-Length: 0", &format!("Content-Length: {announced}"))).await;
        client.send("x".repeat(announced / 2)).await;
        client.finish_sending().await;
        assert_eq!(record(&server).await.status, 499, "of {announced} bytes");
    }
}

#[tokio::test]
async fn a_body_that_is_no_proper_http_is_the_clients_mistake() {
    let (_mock, server) = house(json!({}), &["sk-a"]).await;
    let answer = server.exchange(format!("{}nonsense\r\n", chunked("/proxy/g/v1/files"))).await;
    assert_eq!((answer.status, record(&server).await.status), (400, 400));
}

#[tokio::test]
async fn a_gemini_group_may_end_in_the_dialect_of_openai() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let rules = json!({ "model_redirect_rules": { "fast": "mock-small" }, "model_redirect_strict": true });
    let group = server.create_group("g", "gemini", &format!("{}/v1beta/openai", mock.base_url()), rules).await;
    server.add_keys(group, &["sk-a"]).await;
    let ask = async |model: &str| {
        let body = json!({ "model": model, "messages": [] });
        server.proxied("POST", "/proxy/g/chat/completions", Some(&body)).await
    };
    assert_eq!(ask("other").await.status, 400);
    assert_eq!(ask("fast").await.status, 200);
    let seen = mock.request();
    assert_eq!((seen.header("authorization"), seen.header("x-goog-api-key")), (Some("Bearer sk-a"), None));
    assert_eq!(seen.json()["model"], "mock-small");
}

/// An upstream that the test plays: it reads one request's head and says these bytes.
async fn upstream_that_says(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("the listener works");
            let mut head = vec![0; 16 * 1024];
            let _ = stream.read(&mut head).await;
            stream.write_all(answer).await.expect("the server reads");
            // What was said must have left before the reset discards it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.set_zero_linger().expect("a socket takes options");
        }
    });
    base
}

#[tokio::test]
async fn an_answer_of_http_1_0_that_breaks_is_aborted_too() {
    let base = upstream_that_says(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    let server = TempServer::start().await;
    let group = server.create_group("g", "openai", &base, json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let answer = ask(&server, "g").await;
    assert!(answer.head.starts_with("HTTP/1.1 200"), "{}", answer.head);
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!((answer.text(), answer.tail == Tail::Complete), ("data: 1\n\n", false));
}

#[tokio::test]
async fn no_credential_of_a_url_is_in_the_log() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let base = format!("{}/x?api-key=BASE-SECRET", mock.base_url());
    let group = server.create_group("g", "openai", &base, json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    server.proxied("GET", "/proxy/g/v1/models?a=1&key=AIzaReal&%6bey=AIzaReal&b=2", None).await;
    assert_eq!(mock.request().target, "/x/v1/models?api-key=BASE-SECRET&a=1&key=AIzaReal&%6bey=AIzaReal&b=2");
    let record = record(&server).await;
    assert_eq!(record.path, "/proxy/g/v1/models?a=1&key=***&%6bey=***&b=2");
    assert_eq!(record.upstream, format!("{}/x/v1/models?a=1&key=***&%6bey=***&b=2", mock.base_url()));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = TempServer::builder().env("SERVER_READ_TIMEOUT", "1").start().await;
    let mut silent = RawConnection::open(server.address()).await;
    // Fails after ten seconds.
    silent.closes_with_reset().await;
}

#[tokio::test]
async fn connections_have_a_limit() {
    let server = TempServer::builder().env("MAX_CONNECTIONS", "3").start().await;
    let health = "GET /health HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..3 {
        // A connection of an earlier look at the server's health may still be counted.
        let client = eventually("a place", async || {
            let mut client = RawConnection::open(server.address()).await;
            client.try_send(health).await.ok()?;
            (client.response_to("GET").await.status == 200).then_some(client)
        });
        open.push(client.await);
    }
    let mut refused = RawConnection::open(server.address()).await;
    let answer = refused.response_to("GET").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    open.pop();
    eventually("a free place", async || {
        let mut client = RawConnection::open(server.address()).await;
        client.try_send(health).await.ok()?;
        (client.response_to("GET").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keep_alive_connections_idle_for_as_long_as_they_may() {
    let server = TempServer::builder().env("SERVER_READ_TIMEOUT", "1").env("SERVER_IDLE_TIMEOUT", "60").start().await;
    let mut client = RawConnection::open(server.address()).await;
    // Answered at once, so that nothing is ever waited for.
    let refused = "GET /proxy/none/x HTTP/1.1\r\nHost: here\r\n\r\n";
    client.send(refused).await;
    assert_eq!(client.response_to("GET").await.status, 401);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    client.send(refused).await;
    assert_eq!(client.response_to("GET").await.status, 401);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_order_and_a_busy_one_is_not() {
    let (mock, server) = house_with(&[("SERVER_IDLE_TIMEOUT", "1")], json!({})).await;
    mock.play_any([Play::usual().delay(Duration::from_millis(2500))]);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    assert_eq!(client.response_to("POST").await.status, 200);
    let answered_at = Instant::now();
    assert!(!client.closes_with_reset().await);
    assert!(answered_at.elapsed() >= Duration::from_millis(900), "{:?}", answered_at.elapsed());
}

type Http2 = hyper::client::conn::http2::SendRequest<http_body_util::Empty<bytes::Bytes>>;

async fn http2(server: &TempServer) -> (Http2, tokio::task::JoinHandle<Result<(), hyper::Error>>) {
    let stream = TcpStream::connect(server.address()).await.expect("the server listens");
    let stream = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, stream).await.expect("it speaks HTTP/2");
    (sender, tokio::spawn(connection))
}

async fn status_over(sender: &mut Http2, server: &TempServer) -> u16 {
    let request = http::Request::get(format!("{}/proxy/none/x", server.base_url())).body(http_body_util::Empty::new());
    sender.send_request(request.expect("it is a request")).await.expect("it is answered").status().as_u16()
}

#[tokio::test]
async fn connections_of_http2_idle_for_as_long_as_they_may_and_no_longer() {
    let server = TempServer::builder().env("SERVER_READ_TIMEOUT", "1").env("SERVER_IDLE_TIMEOUT", "4").start().await;
    let (mut sender, connection) = http2(&server).await;
    assert_eq!(status_over(&mut sender, &server).await, 401);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(status_over(&mut sender, &server).await, 401);
    let ended = tokio::time::timeout(PATIENCE, connection).await.expect("it is closed").expect("nothing panics");
    assert!(ended.is_ok(), "it is closed in order: {ended:?}");
}

/// Until its last byte was taken, a request is the client's to be slow with.
#[tokio::test]
async fn the_time_for_an_answer_starts_when_the_body_was_read() {
    for buffer_bytes in ["100000", "10"] {
        let limit = ("REQUEST_BODY_BUFFER_BYTES", buffer_bytes);
        let (mock, server) = house_with(&[limit], json!({ "config": { "request_timeout": 2 } })).await;
        mock.play_any_always(Play::usual().pieces(["{", "}"]).gap(Duration::from_millis(1500)));
        let mut client = RawConnection::open(server.address()).await;
        client.send(chunked("/proxy/g/v1/files")).await;
        for _ in 0..6 {
            client.send(chunk(1000)).await;
            tokio::time::sleep(Duration::from_millis(450)).await;
        }
        client.send("0\r\n\r\n").await;
        let answer = client.response_to("POST").await;
        assert_eq!((answer.status, answer.text(), answer.tail), (200, "{}", Tail::Complete), "{buffer_bytes}");
    }
}

/// An upstream that was asked when the request's time was nearly over is not down because it was not that quick.
#[tokio::test]
async fn what_is_left_of_a_requests_time_is_no_measure_of_an_upstream() {
    let (slow, last) = (MockUpstream::start().await, MockUpstream::start().await);
    let server = TempServer::start().await;
    let upstreams = json!([{ "url": slow.base_url(), "weight": 10 }, { "url": last.base_url(), "weight": 1 }]);
    let rules = json!({ "upstreams": upstreams, "config": { "request_timeout": 2 } });
    let group = server.create_group("g", "openai", &slow.base_url(), rules).await;
    server.add_keys(group, &["sk-a", "sk-b"]).await;
    slow.play_any_always(Play::status(503).delay(Duration::from_millis(1800)));
    last.play_any([Play::hang()]);
    assert_eq!(ask(&server, "g").await.status, 504);
    // The slow one said that it is down, so it rests; the other one does not.
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!((slow.requests().len(), last.requests().len()), (1, 2));
}

#[tokio::test]
async fn an_upload_that_the_upstream_does_not_take_ends() {
    let deaf = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let base = format!("http://{}", deaf.local_addr().expect("it is bound"));
    let server = TempServer::builder().env("REQUEST_BODY_BUFFER_BYTES", "1000").start().await;
    let group = server.create_group("g", "openai", &base, json!({ "config": { "response_header_timeout": 1 } })).await;
    server.add_keys(group, &["sk-a"]).await;
    let (mut answer, mut upload) = TcpStream::connect(server.address()).await.expect("it listens").into_split();
    let sending = tokio::spawn(async move {
        upload.write_all(chunked("/proxy/g/v1/files").as_bytes()).await?;
        // More than all sockets on the way can hold.
        for _ in 0..64 {
            upload.write_all(chunk(1024 * 1024).as_bytes()).await?;
        }
        std::io::Result::Ok(())
    });
    let (_held, _) = deaf.accept().await.expect("the server connects");
    let mut status = [0; 12];
    let read = tokio::time::timeout(PATIENCE, answer.read_exact(&mut status)).await;
    read.expect("it ends").expect("it is answered");
    assert_eq!(&status, b"HTTP/1.1 504");
    sending.abort();
}

#[tokio::test]
async fn grants_to_browsers_are_ours_alone() {
    let told = Play::usual()
        .header("Vary", "Accept-Encoding")
        .header("Access-Control-Allow-Origin", "*")
        .header("Access-Control-Expose-Headers", "x-secret");
    let cors = [("ENABLE_CORS", "true"), ("ALLOWED_ORIGINS", "https://a.example")];
    for (environment, vary) in [(&cors[..], &["Accept-Encoding", "Origin"][..]), (&[], &["Accept-Encoding"])] {
        let (mock, server) = house_with(environment, json!({})).await;
        mock.play_any_always(told.clone());
        for (origin, granted) in [("https://a.example", &["https://a.example"][..]), ("https://b.example", &[])] {
            let granted = if environment.is_empty() { &[] } else { granted };
            let body = question().to_string();
            let request = post(&format!("/proxy/g{CHAT}"), &format!("Origin: {origin}\r\n"), body.as_bytes());
            let answer = server.exchange(request).await;
            assert_eq!(answer.headers("vary"), vary);
            assert_eq!(answer.headers("access-control-allow-origin"), granted);
            assert_eq!(answer.header("access-control-expose-headers"), None);
        }
    }
}

#[tokio::test]
async fn a_request_that_usually_has_a_body_says_that_it_has_none() {
    for (method, length) in [("POST", Some("0")), ("PUT", Some("0")), ("PATCH", Some("0")), ("DELETE", None)] {
        let (mock, server) = house(json!({}), &["sk-a"]).await;
        let request = format!(
            "{method} /proxy/g/v1/x HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n\r\n",
            TempServer::CLIENT_KEY
        );
        assert_eq!(server.exchange(request).await.status, 404);
        assert_eq!(mock.request().headers("content-length"), length.into_iter().collect::<Vec<_>>(), "{method}");
    }
}

#[tokio::test]
async fn a_member_that_cannot_take_the_request_does_not_hide_why_the_first_failed() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let strict = json!({ "model_redirect_rules": { "other": "mock-small" }, "model_redirect_strict": true });
    let first = server.create_group("first", "openai", &mock.base_url(), json!({})).await;
    let picky = server.create_group("picky", "openai", &mock.base_url(), strict.clone()).await;
    let last = server.create_group("last", "openai", &mock.base_url(), json!({})).await;
    for (group, key) in [(first, "sk-first"), (picky, "sk-picky"), (last, "sk-last")] {
        server.add_keys(group, &[key]).await;
    }
    mock.play_always("sk-first", Play::status(401).body("{\"error\":{\"message\":\"the cause\"}}"));
    // The heaviest comes first.
    server.create_aggregate("two", "openai", &[(first, 10), (picky, 1)]).await;
    let answer = ask(&server, "two").await;
    assert_eq!((answer.status, answer.text()), (401, "{\"error\":{\"message\":\"the cause\"}}"));
    let record = record(&server).await;
    assert_eq!((record.status, &*record.group), (401, "first"));
    server.create_aggregate("three", "openai", &[(first, 10), (picky, 5), (last, 1)]).await;
    assert_eq!(ask(&server, "three").await.status, 200);
}

#[tokio::test]
async fn a_refusal_that_spells_the_key_in_another_way_does_not_tell_it() {
    let key = "sk-abc/def+ghi=jkl-mnop";
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &[key]).await;
    for spelled in ["sk-abc%2Fdef%2Bghi%3Djkl-mnop", "sk-abc\\/def+ghi=jkl-mnop", key] {
        mock.play_any([Play::status(400).body(format!("{{\"error\":\"no such key {spelled}!\"}}"))]);
        let answer = ask(&server, "g").await;
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains(spelled) && answer.text().ends_with("!\"}"), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_ipv4_client_of_an_ipv6_listener_has_its_own_address() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    let rules = json!({ "header_rules": [{ "key": "X-Client", "value": "${CLIENT_IP}", "action": "set" }] });
    let (mock, server) = house_with(&[("HOST", "::")], rules).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.request().header("x-client"), Some("127.0.0.1"));
}

/// proxy.md 2.1: where the original redirects to the same with a slash.
#[tokio::test]
async fn a_group_without_a_path_is_served_at_once() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    for (target, expected) in [("/proxy/g", "/"), ("/proxy/g/", "/"), ("/proxy/g?a=1", "/?a=1")] {
        server.exchange(post(target, "", b"{}")).await;
        assert_eq!((mock.request().target.as_str(), mock.request().text()), (expected, "{}"));
        mock.reset();
    }
}

/// Descriptors are what a proxy runs out of first, and shells start programs with few.
#[tokio::test]
async fn the_limit_of_open_files_is_raised() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let own = getrlimit(Resource::Nofile);
    let Some(most) = own.maximum else { return eprintln!("skipped: there is no limit here") };
    let current = Some(most - 1);
    setrlimit(Resource::Nofile, Rlimit { current, maximum: own.maximum }).expect("a limit can be lowered");
    let server = TempServer::start().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.process_id())).expect("Linux tells");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is one of the limits");
    let numbers: Vec<_> = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
    assert_eq!(numbers, [most, most], "soft and hard");
}
