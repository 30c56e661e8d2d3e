//! No Redis command and no SQL statement is on a request's path.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{
    Cluster, Cut, DatabaseServer, Engine, FaultProxy, FreshDatabase, MockUpstream, RedisOptions, RedisServer,
};

use crate::support::group_everywhere;
use crate::traffic::{Answered, Traffic};

fn median(answered: &[Answered]) -> Duration {
    let mut times: Vec<_> = answered.iter().map(|answer| answer.took).collect();
    times.sort();
    times[times.len() / 2]
}

async fn measure(cluster: &Cluster, requests: usize) -> Vec<Answered> {
    let addresses: Vec<_> = cluster.nodes().iter().map(testkit::TempServer::address).collect();
    let traffic = Traffic::towards(&addresses, 4, Duration::ZERO);
    traffic.goes_on(requests).await;
    traffic.end().await
}

/// Whoever waits for a database or a Redis that says nothing waits for long.
#[tokio::test]
async fn requests_take_no_longer_while_database_and_redis_are_cut_off() {
    let mock = MockUpstream::start_with(testkit::Options { record: false, ..testkit::Options::default() }).await;
    let redis = RedisServer::start(RedisOptions::default()).await;
    let database = FreshDatabase::create(Engine::PostgreSql).await;
    let [to_redis, to_database] =
        [FaultProxy::before(redis.address()).await, FaultProxy::before(database.server_address()).await];
    let redis_dsn = redis.dsn_through(to_redis.address());
    let database_dsn = database.dsn_through(to_database.address());
    let cluster = Cluster::start_on(2, database, None, |_, node| {
        node.env("REDIS_DSN", &redis_dsn).env("DATABASE_DSN", &database_dsn)
    })
    .await;
    group_everywhere(&cluster, &mock, json!({}), &["sk-a", "sk-b"]).await;
    measure(&cluster, 200).await;
    let before = measure(&cluster, 2_000).await;
    to_redis.cut(Cut::Silent).await;
    to_database.cut(Cut::Silent).await;
    let during = measure(&cluster, 2_000).await;
    to_redis.heal().await;
    to_database.heal().await;
    let slowest = during.iter().map(|answer| answer.took).max().unwrap_or_default();
    assert!(slowest < Duration::from_secs(1), "one took {slowest:?}");
    // A wait for either would be longer by orders of magnitude; a busy machine is not.
    let (before, during) = (median(&before), median(&during));
    assert!(during < before * 3 + Duration::from_millis(10), "{before:?} before, {during:?} during the cut");
}

/// Statements of a window, commands to Redis, and requests that were answered in it.
async fn window(
    cluster: &Cluster,
    statements: impl AsyncFn() -> u64,
    redis: &RedisServer,
    clients: usize,
) -> (u64, u64, u64) {
    const WINDOW: Duration = Duration::from_secs(6);
    let addresses: Vec<_> = cluster.nodes().iter().map(testkit::TempServer::address).collect();
    let commands = async || redis.commands_run().await.iter().map(|(_, times)| times).sum::<u64>();
    let before = (statements().await, commands().await);
    let ends_at = Instant::now() + WINDOW;
    let traffic = Traffic::towards(&addresses, clients, Duration::from_millis(100));
    tokio::time::sleep_until(ends_at.into()).await;
    let requests = traffic.end().await.len() as u64;
    (statements().await - before.0, commands().await - before.1, requests)
}

/// What is written comes in lots, and lots come with time: ten times the requests do not make ten times the statements.
#[tokio::test]
async fn statements_and_commands_grow_with_time_and_not_with_requests() {
    let server = DatabaseServer::start(Engine::MySql).await;
    let database = server.database().await;
    let counted = server.database().await;
    let redis = RedisServer::start(RedisOptions::default()).await;
    let dsn = redis.dsn();
    let mock = MockUpstream::start_with(testkit::Options { record: false, ..testkit::Options::default() }).await;
    let cluster = Cluster::start_on(2, database, None, |_, node| node.env("REDIS_DSN", &dsn)).await;
    group_everywhere(&cluster, &mock, json!({}), &["sk-a", "sk-b"]).await;
    let statements = async || {
        let rows = counted.rows("SHOW GLOBAL STATUS LIKE 'Questions'").await;
        rows[0][1].as_ref().and_then(|count| count.parse::<u64>().ok()).expect("a number")
    };
    let idle = window(&cluster, statements, &redis, 0).await;
    let some = window(&cluster, statements, &redis, 2).await;
    let many = window(&cluster, statements, &redis, 20).await;
    println!("idle {idle:?}, some {some:?}, many {many:?}: statements, commands, requests");
    assert!(many.2 > 5 * some.2, "{some:?}, {many:?}");
    // Statements of the log, beside those of an idle node: a few for each node and each of its writes, of which there are
    // two a second.
    assert!(some.0 - idle.0.min(some.0) < some.2, "{idle:?}, {some:?}");
    assert!(many.0 < some.0 + many.2 / 10, "{some:?}, {many:?}");
    // Notices and heartbeats only.
    assert!(many.1 < idle.1 + 20, "{idle:?}, {many:?}");
}
