//! Redis is stopped, wiped, cut off or not there at all, and everybody hears again afterwards.

use std::time::{Duration, Instant};

use testkit::{Cut, FaultProxy};

use super::{Log, Node, PATIENCE, guarded_server, has_connections, notices_sent, plain_server, two_nodes, until};

#[tokio::test]
async fn after_a_restart_both_nodes_are_woken_and_hear_again_and_the_log_says_it_once() {
    let (log, _guard) = Log::capture();
    let mut server = guarded_server().await;
    let (mut first, mut second) = two_nodes(&server.dsn()).await;
    assert_eq!(log.count("Connected to Redis"), 2);

    server.kill().await;
    for node in [&first, &second] {
        node.is_away().await;
    }
    // Long enough for several tries.
    let stopped = Instant::now();
    until("several tries failed", || stopped.elapsed() > Duration::from_millis(1000)).await;
    assert!(first.is_away().await.contains("cannot be reached"));
    assert_eq!((log.count("Lost Redis: "), log.count("WARN")), (2, 2), "{}", log.text());

    let heard = [first.times_heard(), second.times_heard()];
    server.start_again().await;
    until("both are woken", || first.times_heard() > heard[0] && second.times_heard() > heard[1]).await;
    first.is_connected().await;
    second.is_connected().await;
    // What was heard of the beginnings is heard.
    until("the log says so", || log.count("Redis is back") == 2).await;
    for (sender, hearer) in [(&first, &second), (&second, &first)] {
        let before = hearer.times_heard();
        sender.notices.send();
        until("the other hears again", || hearer.times_heard() > before).await;
    }
    first.hears().await;
    second.hears().await;
    assert_eq!(log.text().lines().count(), 6, "{}", log.text());
    assert!(!log.text().contains("hunter2"));
}

#[tokio::test]
async fn a_notice_sent_while_redis_is_away_goes_out_when_it_is_back() {
    let mut server = plain_server().await;
    let node = Node::connected("first", &server.dsn()).await;
    server.kill().await;
    node.is_away().await;
    node.notices.send();
    server.start_again().await;
    node.is_connected().await;
    // The first of the new connection, and the one that waited; a new server counts from nothing.
    let begin = Instant::now();
    while notices_sent(&server).await != 2 {
        assert!(begin.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn connections_that_break_again_and_again_are_logged_as_one_loss() {
    let (log, _guard) = Log::capture();
    let server = plain_server().await;
    let node = Node::connected("first", &server.dsn()).await;
    for _ in 0..4 {
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        node.is_away().await;
        node.is_connected().await;
    }
    assert_eq!((log.count("Lost Redis"), log.text().lines().count()), (1, 2), "{}", log.text());
    until("it has settled", || log.count("Redis is back") == 1).await;
    assert_eq!(log.text().lines().count(), 3, "{}", log.text());
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let (log, _guard) = Log::capture();
    let mut server = plain_server().await;
    server.kill().await;
    let mut node = Node::start("first", &server.dsn());
    until("a try failed", || log.count("Started without Redis") == 1).await;
    assert!(node.is_away().await.contains("nothing listens there"));
    server.start_again().await;
    node.hears().await;
    node.is_connected().await;
    let mut other = Node::connected("other", &server.dsn()).await;
    node.hears().await;
    node.notices.send();
    other.hears().await;
}

#[tokio::test]
async fn wiping_redis_changes_nothing() {
    let server = plain_server().await;
    let (first, mut second) = two_nodes(&server.dsn()).await;
    server.flush().await;
    first.notices.send();
    second.hears().await;
}

#[tokio::test]
async fn killed_connections_are_made_anew() {
    let server = plain_server().await;
    let (mut first, second) = two_nodes(&server.dsn()).await;
    for kind in ["pubsub", "normal"] {
        let before = [first.times_heard(), second.times_heard()];
        let killed: u32 = server.command(&["CLIENT", "KILL", "TYPE", kind]).await.parse().unwrap();
        assert!(killed >= 2, "{killed}");
        until("both are woken", || first.times_heard() > before[0] && second.times_heard() > before[1]).await;
    }
    // Nothing of the old connections stays behind: each node has two.
    has_connections(&server, 4).await;
    first.is_connected().await;
    second.is_connected().await;
    let before = first.times_heard();
    second.notices.send();
    until("it is heard again", || first.times_heard() > before).await;
    first.hears().await;
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_noticed_within_three_seconds() {
    let server = plain_server().await;
    let network = FaultProxy::before(server.address()).await;
    let mut far = Node::connected("far", &server.dsn_through(network.address())).await;
    let mut near = Node::connected("near", &server.dsn()).await;
    far.hears().await;

    network.cut(Cut::Silent).await;
    let begin = Instant::now();
    let problem = far.is_away().await;
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert!(problem.contains("does not answer"), "{problem}");
    near.notices.send();

    network.heal().await;
    far.hears().await;
    far.is_connected().await;
    near.hears().await;
    far.notices.send();
    near.hears().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed_too() {
    let mut server = plain_server().await;
    let mut node = Node::connected("first", &server.dsn()).await;
    server.pause();
    let begin = Instant::now();
    node.is_away().await;
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    server.resume();
    node.hears().await;
    node.is_connected().await;
}
