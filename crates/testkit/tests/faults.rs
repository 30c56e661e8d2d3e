//! What tests of faults are made with: Redis alone and in groups, a network that can be cut, servers that can be paused.

use std::time::{Duration, Instant};

use testkit::{Cut, FaultProxy, RawConnection, RawListener, RedisCluster, RedisOptions, RedisSentinel, RedisServer};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn redis_keeps_its_data_over_a_restart_until_it_is_flushed() {
    let password = Some("a-password".to_owned());
    let mut redis = RedisServer::start(RedisOptions { password, ..RedisOptions::default() }).await;
    let address = redis.address();
    redis.command(&["SET", "a", "1"]).await;
    redis.stop().await;
    redis.start_again().await;
    redis.command(&["SET", "b", "2"]).await;
    redis.kill().await;
    redis.start_again().await;
    assert_eq!(redis.address(), address);
    assert_eq!((redis.command(&["GET", "a"]).await, redis.command(&["GET", "b"]).await), ("1".into(), "2".into()));
    assert!(redis.commands_run().await.contains(&("get".to_owned(), 2)));
    redis.flush().await;
    assert_eq!(redis.command(&["DBSIZE"]).await, "0");
    redis.pause();
    assert!(tokio::time::timeout(SOON, redis.command(&["PING"])).await.is_err(), "it is silent");
    redis.resume();
    assert_eq!(redis.command(&["PING"]).await, "PONG");
    assert_eq!(redis.dsn(), format!("redis://:a-password@{address}/0"));
}

#[tokio::test]
async fn redis_speaks_tls_only_when_told_to() {
    let redis = RedisServer::start(RedisOptions { tls: true, ..RedisOptions::default() }).await;
    let port = redis.address().port();
    assert_eq!(redis.dsn(), format!("rediss://localhost:{port}/0"));
    let ping = |more: Vec<String>| {
        let mut client = std::process::Command::new("redis-cli");
        client.args(["-h", "localhost", "-p", &port.to_string()]).args(more);
        String::from_utf8_lossy(&client.arg("PING").output().unwrap().stdout).into_owned()
    };
    let authority = redis.certificates().authority_path().display().to_string();
    assert_eq!(ping(vec!["--tls".into(), "--cacert".into(), authority]).trim(), "PONG");
    assert_ne!(ping(Vec::new()).trim(), "PONG");
}

#[tokio::test]
async fn a_sentinel_makes_the_replica_the_primary() {
    let mut group = RedisSentinel::start().await;
    group.follows(group.primary.address()).await;
    assert_eq!(group.dsn(), format!("redis-sentinel://{}/main/0", group.address()));
    group.primary.kill().await;
    group.follows(group.replica.address()).await;
    assert!(group.replica.command(&["INFO", "replication"]).await.contains("role:master"));
}

#[tokio::test]
async fn three_masters_share_the_keys() {
    let cluster = RedisCluster::start().await;
    assert_eq!(cluster.dsn().matches("127.0.0.1:").count(), 3);
    for node in &cluster.nodes {
        assert!(node.command(&["CLUSTER", "INFO"]).await.contains("cluster_slots_assigned:16384"));
    }
}

async fn through(proxy: &FaultProxy, destination: &RawListener) -> (RawConnection, RawConnection) {
    let client = RawConnection::open(proxy.address()).await;
    (client, destination.accept().await)
}

#[tokio::test]
async fn a_network_that_refuses_closes_what_is_open() {
    let destination = RawListener::open().await;
    let proxy = FaultProxy::before(destination.address()).await;
    let (mut client, mut server) = through(&proxy, &destination).await;
    client.send(b"there").await;
    server.read_until(b"there").await;
    server.send(b"back!!").await;
    client.read_until(b"back!!").await;
    assert_eq!((proxy.connections(), proxy.open_connections(), proxy.bytes()), (1, 1, (5, 6)));
    proxy.cut(Cut::Refused).await;
    assert!(TcpStream::connect(proxy.address()).await.is_err());
    assert_eq!(proxy.open_connections(), 0);
    proxy.heal().await;
    let (mut client, mut server) = through(&proxy, &destination).await;
    client.send(b"again").await;
    server.read_until(b"again").await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_network_that_is_silent_delivers_later() {
    let destination = RawListener::open().await;
    let proxy = FaultProxy::before(destination.address()).await;
    let (mut client, mut server) = through(&proxy, &destination).await;
    proxy.cut(Cut::Silent).await;
    client.send(b"late").await;
    let mut waiting = RawConnection::open(proxy.address()).await;
    waiting.send(b"later").await;
    assert!(tokio::time::timeout(SOON, server.read_until(b"late")).await.is_err(), "nothing comes through");
    assert_eq!(proxy.bytes(), (0, 0));
    proxy.heal().await;
    server.read_until(b"late").await;
    destination.accept().await.read_until(b"later").await;
}

#[tokio::test]
async fn a_slow_network_delays_both_directions() {
    let destination = RawListener::open().await;
    let proxy = FaultProxy::before(destination.address()).await;
    let (mut client, mut server) = through(&proxy, &destination).await;
    proxy.delay(Duration::from_millis(100));
    let begun = Instant::now();
    client.send(b"there").await;
    server.read_until(b"there").await;
    server.send(b"back").await;
    client.read_until(b"back").await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}
