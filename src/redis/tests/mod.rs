//! Notices over real Redis servers: they arrive, and every loss of the server is survived.

mod forms;
mod losses;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use testkit::{RedisOptions, RedisServer};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Listener, Notices, State, session::BREATH};
use crate::config::RedisDsn;

/// How long anything may take that is to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node of the cluster, or what of it this room is about.
struct Node {
    notices: Notices,
    listener: Listener,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Node {
    fn start(name: &str, dsn: &str) -> Self {
        let notices = Notices::open(Some(&parse(dsn)), name);
        let stop = CancellationToken::new();
        let (running, stopping) = (notices.clone(), stop.clone());
        let task = tokio::spawn(async move { running.run(stopping).await });
        Self { listener: notices.listener(), notices, stop, task: AbortOnDropHandle::new(task) }
    }

    /// Started, and through with hearing of its own connection.
    async fn connected(name: &str, dsn: &str) -> Self {
        let mut node = Self::start(name, dsn);
        node.hears().await;
        node.is_connected().await;
        node
    }

    async fn is_connected(&self) {
        until("it is connected", || matches!(self.notices.state(), State::Connected)).await;
    }

    async fn is_away(&self) -> String {
        until("it notices", || matches!(self.notices.state(), State::Away { .. })).await;
        let State::Away { problem, .. } = self.notices.state() else { panic!("connected again already") };
        problem
    }

    async fn hears(&mut self) {
        tokio::time::timeout(PATIENCE, self.listener.heard()).await.expect("a notice");
    }

    fn times_heard(&self) -> u64 {
        *self.notices.0.as_ref().unwrap().heard.borrow()
    }
}

fn parse(dsn: &str) -> RedisDsn {
    RedisDsn::parse(dsn).unwrap()
}

async fn plain_server() -> RedisServer {
    RedisServer::start(RedisOptions::default()).await
}

/// Asks everybody for `hunter2`.
async fn guarded_server() -> RedisServer {
    RedisServer::start(RedisOptions { password: Some("hunter2".to_owned()), ..RedisOptions::default() }).await
}

/// Waits until the server has so many connections beside the one that asks.
async fn has_connections(server: &RedisServer, wanted: usize) {
    let begin = Instant::now();
    while server.command(&["CLIENT", "LIST"]).await.lines().filter(|line| !line.contains("cmd=client|list")).count()
        != wanted
    {
        assert!(begin.elapsed() < PATIENCE, "not {wanted} connections");
    }
}

async fn notices_sent(server: &RedisServer) -> u64 {
    server.commands_run().await.into_iter().find_map(|(name, times)| (name == "publish").then_some(times)).unwrap_or(0)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Two nodes that have heard of each other's beginning.
async fn two_nodes(dsn: &str) -> (Node, Node) {
    let mut first = Node::connected("first", dsn).await;
    let second = Node::connected("second", dsn).await;
    first.hears().await;
    (first, second)
}

/// What is logged from now on by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn count(&self, part: &str) -> usize {
        self.text().matches(part).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_notice_arrives_at_the_other_node_at_once() {
    let server = plain_server().await;
    let (mut first, mut second) = two_nodes(&server.dsn()).await;
    for _ in 0..3 {
        let begin = Instant::now();
        first.notices.send();
        second.hears().await;
        second.notices.send();
        first.hears().await;
        assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn a_node_does_not_hear_itself() {
    let server = plain_server().await;
    let (first, mut second) = two_nodes(&server.dsn()).await;
    let before = first.times_heard();
    first.notices.send();
    second.hears().await;
    // Redis delivers in order: when this one is here, the own one was.
    second.notices.send();
    until("the answer is heard", || first.times_heard() > before).await;
    assert_eq!(first.times_heard(), before + 1);
}

#[tokio::test]
async fn many_notices_at_once_become_one() {
    let server = plain_server().await;
    let (first, mut second) = two_nodes(&server.dsn()).await;
    let before = notices_sent(&server).await;
    for _ in 0..1000 {
        first.notices.send();
    }
    second.hears().await;
    assert_eq!(notices_sent(&server).await, before + 1);

    let begin = Instant::now();
    let after = before + 1;
    for _ in 0..300 {
        first.notices.send();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let possible = begin.elapsed().as_millis() / BREATH.as_millis() + 2;
    let sent = notices_sent(&server).await - after;
    assert!(sent >= 2 && u128::from(sent) <= possible, "{sent} of {possible}");
}

#[tokio::test]
async fn the_last_of_many_notices_is_never_swallowed() {
    let server = plain_server().await;
    let (first, mut second) = two_nodes(&server.dsn()).await;
    for _ in 0..20 {
        first.notices.send();
        second.hears().await;
        // Falls into the breath after the one before.
        first.notices.send();
        second.hears().await;
    }
}

#[tokio::test]
async fn without_a_dsn_nothing_happens() {
    let notices = Notices::open(None, "alone");
    notices.send();
    assert!(matches!(notices.state(), State::Unused));
    assert_eq!(notices.commands(), 0);
    let stop = CancellationToken::new();
    let mut listener = notices.listener();
    tokio::select! {
        () = listener.heard() => panic!("heard of nobody"),
        () = notices.run(stop.clone()) => panic!("ends before the stop"),
        () = tokio::task::yield_now() => stop.cancel(),
    }
    notices.run(stop).await;
}

#[tokio::test]
async fn every_command_is_counted() {
    let server = guarded_server().await;
    let all = async || server.commands_run().await.into_iter().map(|(_, times)| times).sum::<u64>();
    let before = all().await;
    let node = Node::connected("first", &format!("redis://:hunter2@{}/3?client_name=counted", server.address())).await;
    node.notices.send();
    // Two log-ins of four commands, a subscription, a greeting, and a first heartbeat on both connections.
    let least = 2 * 4 + 1 + 1 + 2;
    until("the notice is sent", || node.notices.commands() > least).await;
    let begin = Instant::now();
    loop {
        let counted = node.notices.commands();
        // The server's figures leave log-ins out, of which there were two.
        let processed = all().await - before + 2;
        // A heartbeat may come between both.
        if processed == counted {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{counted} counted, {processed} processed");
    }
}

#[tokio::test]
async fn a_stop_ends_it() {
    let server = plain_server().await;
    let node = Node::connected("first", &server.dsn()).await;
    node.stop.cancel();
    tokio::time::timeout(PATIENCE, node.task).await.expect("it ends").unwrap();
    has_connections(&server, 0).await;
}
