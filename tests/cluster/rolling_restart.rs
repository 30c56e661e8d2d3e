//! One node after the other is restarted under load: no request fails, and no stream is cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Cluster, Engine, FreshDatabase, MockUpstream, Options, Play, TempServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::balancer::Balancer;
use crate::support::{PATIENCE, POLL_INTERVAL, group_everywhere};
use crate::traffic::request;

const STREAMS: usize = 200;
const CLIENTS: usize = 40;
/// Each client pauses for this long, which makes 200 requests a second.
const PAUSE: Duration = Duration::from_millis(200);
/// After a stream; the balancer passes on its last byte and the end of its connection one after the other.
const BREATH: Duration = Duration::from_millis(50);
/// A stream lasts for five seconds, within the seven that a stop leaves it.
const CHUNKS: usize = 20;
const GAP: Duration = Duration::from_millis(250);

/// What all clients share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answers: AtomicUsize,
    open: AtomicUsize,
}

/// A client as they are: it keeps its connection, unless it is told or sees that it ends.
struct Client {
    address: SocketAddr,
    connection: Option<TcpStream>,
}

impl Client {
    /// Gives what went wrong.
    async fn ask(&mut self, request: &str, shared: &Shared) -> Result<(), String> {
        let mut connection = match self.connection.take() {
            Some(connection) if !has_ended(&connection) => connection,
            _ => TcpStream::connect(self.address).await.map_err(|error| format!("connecting: {error}"))?,
        };
        connection.write_all(request.as_bytes()).await.map_err(|error| format!("sending: {error}"))?;
        shared.open.fetch_add(1, Ordering::Relaxed);
        let answer = read(&mut connection).await;
        shared.open.fetch_sub(1, Ordering::Relaxed);
        let head = answer?;
        if !head.starts_with("http/1.1 200") {
            return Err(head);
        }
        if !head.contains("connection: close") {
            self.connection = Some(connection);
        }
        shared.answers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn has_ended(connection: &TcpStream) -> bool {
    // Nothing is awaited: whatever is there to read is an end.
    !matches!(connection.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Reads an answer to its last byte; gives its head in lower case.
async fn read(connection: &mut TcpStream) -> Result<String, String> {
    let mut buffer = Vec::new();
    loop {
        if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let body = &buffer[end + 4..];
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let is_complete = match length {
                Some(length) => body.len() >= length,
                None => body.ends_with(b"0\r\n\r\n"),
            };
            if is_complete {
                return Ok(head);
            }
        }
        match connection.read_buf(&mut buffer).await {
            Ok(0) => return Err(format!("ended after {:?}", String::from_utf8_lossy(&buffer))),
            Ok(_) => {}
            Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&buffer))),
        }
    }
}

async fn keep_asking(address: SocketAddr, request: String, pause: Duration, shared: Arc<Shared>) -> Result<(), String> {
    let mut client = Client { address, connection: None };
    while !shared.stop.load(Ordering::Relaxed) {
        client.ask(&request, &shared).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn until(what: &str, shared: &Shared, holds: impl Fn(&Shared) -> bool) {
    let begun = Instant::now();
    while !holds(shared) {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// proxy.md 102, operations.md V1
#[tokio::test]
async fn restarting_one_node_after_the_other_fails_no_request_and_cuts_no_stream() {
    let mock =
        MockUpstream::start_with(Options { record: false, chunks: CHUNKS, gap: GAP, ..Options::default() }).await;
    let mut cluster = Cluster::start(2, Engine::PostgreSql, true, |_, node| {
        node.env("MAX_CONCURRENT_REQUESTS", "2000").env("IS_SLAVE", "false")
    })
    .await;
    group_everywhere(&cluster, &mock, json!({}), &["sk-a", "sk-b"]).await;
    mock.play_any_always(Play::usual());
    let balancer = Balancer::before(cluster.nodes().iter().map(TempServer::address).collect()).await;
    let (streams, requests) = (Arc::new(Shared::default()), Arc::new(Shared::default()));
    let mut clients = Vec::new();
    for number in 0..STREAMS + CLIENTS {
        let (is_streamed, shared) = (number < STREAMS, if number < STREAMS { &streams } else { &requests });
        let pause = if is_streamed { BREATH } else { PAUSE };
        clients.push(tokio::spawn(keep_asking(
            balancer.address(),
            request("g", is_streamed),
            pause,
            Arc::clone(shared),
        )));
        // Not all at once: they would end all at once.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("all streams are open", &streams, |shared| shared.open.load(Ordering::Relaxed) > STREAMS * 9 / 10).await;
    for number in 0..2 {
        let node = cluster.node_mut(number);
        node.ask_to_stop();
        let status = node.ended().await;
        assert_eq!(status.code(), Some(0), "{}", node.log());
        node.start_again().await;
        let before = requests.answers.load(Ordering::Relaxed);
        until("more answers", &requests, |shared| shared.answers.load(Ordering::Relaxed) > before + 200).await;
    }
    for shared in [&streams, &requests] {
        shared.stop.store(true, Ordering::Relaxed);
    }
    let mut problems = Vec::new();
    for client in clients {
        problems.extend(client.await.expect("a client does not panic").err());
    }
    let answers = [&streams, &requests].map(|shared| shared.answers.load(Ordering::Relaxed));
    println!("{} streams and {} requests went through", answers[0], answers[1]);
    assert!(problems.is_empty(), "{} failed: {:#?}", problems.len(), &problems[..problems.len().min(5)]);
    assert!(answers[0] >= 2 * STREAMS, "{answers:?}");
}

/// Who asks on a connection that idles while a stop begins is answered, and told that the connection ends.
#[tokio::test]
async fn a_request_on_an_idle_connection_after_a_stop_has_begun_is_answered() {
    let mock = MockUpstream::start().await;
    let place = FreshDatabase::create(Engine::Sqlite).await;
    let mut server = TempServer::builder().database(&place).start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    // Nothing came on this one yet.
    let mut fresh = TcpStream::connect(server.address()).await.unwrap();
    idle.write_all(request("g", false).as_bytes()).await.unwrap();
    let head = read(&mut idle).await.unwrap();
    assert!(!head.contains("connection: close"), "{head}");
    server.ask_to_stop();
    server.says("Stopping").await;
    for connection in [&mut idle, &mut fresh] {
        connection.write_all(request("g", false).as_bytes()).await.unwrap();
        let head = read(connection).await.unwrap();
        assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    }
    assert_eq!(server.ended().await.code(), Some(0));
}

/// The head of such an answer has promised that the connection stays: its end must not come after a client has believed it.
#[tokio::test]
async fn an_answer_that_ends_after_a_stop_has_begun_ends_its_connection_with_its_last_byte() {
    let mock = MockUpstream::start().await;
    let place = FreshDatabase::create(Engine::Sqlite).await;
    let mut server = TempServer::builder().database(&place).start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::usual().chunks(20).gap(Duration::from_millis(100)));
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    connection.write_all(request("g", true).as_bytes()).await.unwrap();
    mock.arrived(1).await;
    let mut beginning = [0; 12];
    connection.read_exact(&mut beginning).await.unwrap();
    server.ask_to_stop();
    let rest = read(&mut connection).await.unwrap();
    let connection = connection.into_std().unwrap();
    let end = std::io::Read::read(&mut &connection, &mut [0]);
    assert!(matches!(end, Ok(0)), "the end comes with the last byte: {end:?} {rest}");
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
}
