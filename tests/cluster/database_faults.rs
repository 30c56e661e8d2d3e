//! The database goes away, comes back, is slow or takes no writes; and a node dies under load.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Cluster, Cut, DatabaseServer, Engine, FaultProxy, FreshDatabase, MockUpstream, TempServer};

use crate::support::{
    PATIENCE, answers_everywhere, ask_as, call_patiently, complaints, group_everywhere, lines, readiness, ready_again,
    until,
};
use crate::traffic::{Answered, Traffic};

/// Lines that a node may print about one outage, whatever is asked of it meanwhile, beside one for each management call.
const COMPLAINTS_MAX: usize = 6;
/// How long a fault lasts.
const FAULT: Duration = Duration::from_secs(4);

fn load(cluster: &Cluster) -> Traffic {
    let addresses: Vec<_> = cluster.nodes().iter().map(TempServer::address).collect();
    Traffic::towards(&addresses, 2, Duration::from_millis(20))
}

/// Every request that was answered is in the log, once.
async fn all_are_logged(database: &FreshDatabase, answered: &[Answered]) {
    let wanted: HashSet<&str> = answered.iter().map(|answer| answer.id.as_str()).collect();
    let begun = Instant::now();
    loop {
        let logged = database.column("SELECT request_id FROM request_logs WHERE request_type = 'final'").await;
        let distinct: HashSet<&str> = logged.iter().map(String::as_str).collect();
        assert_eq!(distinct.len(), logged.len(), "an entry is there twice");
        let missing = wanted.difference(&distinct).count();
        if missing == 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{missing} of {} answers are not in the log", wanted.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A management call that needs the database is refused soon, and says why.
async fn refused_soon(node: &TempServer) {
    let begun = Instant::now();
    let answer = node.manage("PUT", "/api/settings", Some(&json!({ "max_retries": 1 }))).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "only after {:?}", begun.elapsed());
    assert!((500..600).contains(&answer.status), "{}", answer.text());
    assert!(answer.text().contains("database does not answer"), "{}", answer.text());
}

async fn degraded(cluster: &Cluster, check: &str) {
    for node in cluster.nodes() {
        until("the fault is noticed", || async { readiness(node, false).await.1["checks"][check] != "ok" }).await;
        let (status, said) = readiness(node, false).await;
        assert_eq!((status, &said["status"]), (200, &json!("degraded")), "{said:#}");
        assert_eq!(readiness(node, true).await.0, 503);
    }
}

/// A change is in effect everywhere, soon after a fault has ended.
async fn agree_again(cluster: &Cluster, proxy_key: &str) {
    for node in cluster.nodes() {
        ready_again(node).await;
    }
    let begun = Instant::now();
    cluster.node(1).change_settings(json!({ "proxy_keys": proxy_key })).await;
    for node in cluster.nodes() {
        until("the nodes agree", || async { ask_as(node, "g", proxy_key).await == 200 }).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// What a node said during a fault: little, and each thing once.
fn said_little(cluster: &Cluster, since: &[usize], fault: &str) {
    for (node, since) in cluster.nodes().iter().zip(since) {
        let said = complaints(node, *since);
        assert!(!said.is_empty(), "{fault} is not told");
        assert!(said.len() <= COMPLAINTS_MAX, "{fault}: {said:#?}");
    }
}

async fn goes_through_faults(engine: Engine) {
    let mut server = DatabaseServer::start(engine).await;
    let database = server.database().await;
    let proxy = FaultProxy::before(server.address()).await;
    let dsn = database.dsn_through(proxy.address());
    let mock = MockUpstream::start_with(testkit::Options { record: false, ..testkit::Options::default() }).await;
    let mut cluster = Cluster::start_on(2, database, None, |_, node| node.env("DATABASE_DSN", &dsn)).await;
    group_everywhere(&cluster, &mock, json!({}), &["sk-a", "sk-b"]).await;
    let traffic = load(&cluster);
    let marks = |cluster: &Cluster| cluster.nodes().iter().map(lines).collect::<Vec<_>>();

    for fault in ["stopped", "killed", "silent"] {
        let since = marks(&cluster);
        match fault {
            "stopped" => server.stop().await,
            "killed" => server.kill().await,
            _ => proxy.cut(Cut::Silent).await,
        }
        degraded(&cluster, "database").await;
        // Who hears nothing at all takes a while to give up writing.
        degraded(&cluster, if fault == "silent" { "cluster" } else { "request_log" }).await;
        tokio::time::sleep(FAULT).await;
        said_little(&cluster, &since, fault);
        for node in cluster.nodes() {
            refused_soon(node).await;
        }
        traffic.goes_on(50).await;
        match fault {
            "silent" => proxy.heal().await,
            _ => server.start_again().await,
        }
        agree_again(&cluster, &format!("sk-after-{fault}")).await;
    }

    proxy.delay(Duration::from_millis(300));
    traffic.goes_on(50).await;
    let begun = Instant::now();
    let change = json!({ "proxy_keys": "sk-slowly" });
    assert_eq!(call_patiently(cluster.node(0), "PUT", "/api/settings", &change).await, 200);
    println!("{engine}: a change over a slow line took {:?}", begun.elapsed());
    for node in cluster.nodes() {
        until("a slow change arrives", || async { ask_as(node, "g", "sk-slowly").await == 200 }).await;
    }
    proxy.delay(Duration::ZERO);
    for node in cluster.nodes() {
        ready_again(node).await;
    }

    let answered = traffic.end().await;
    all_are_logged(cluster.database(), &answered).await;
    // What was acknowledged is there.
    let keys = cluster.node(0).managed("GET", "/api/keys?group_id=1", None).await;
    assert_eq!(keys["items"].as_array().map(Vec::len), Some(2), "{keys}");

    // A stop waits for nothing that does not come.
    proxy.cut(Cut::Silent).await;
    let node = cluster.node_mut(1);
    node.ask_to_stop();
    node.ended().await;
}

/// operations.md L3, L4, V3
#[tokio::test]
async fn while_postgresql_is_away_traffic_goes_on_and_nothing_is_lost() {
    goes_through_faults(Engine::PostgreSql).await;
}

/// operations.md L3, L4, V3
#[tokio::test]
async fn while_mariadb_is_away_traffic_goes_on_and_nothing_is_lost() {
    goes_through_faults(Engine::MySql).await;
}

#[tokio::test]
async fn a_database_that_takes_no_writes_stops_no_traffic() {
    for engine in Engine::SERVERS {
        let server = DatabaseServer::start(engine).await;
        let database = server.database().await;
        let mock = MockUpstream::start().await;
        let cluster = Cluster::start_on(2, database, None, |_, node| node).await;
        group_everywhere(&cluster, &mock, json!({}), &["sk-a"]).await;
        let traffic = load(&cluster);
        let since: Vec<_> = cluster.nodes().iter().map(lines).collect();
        server.set_read_only(true).await;
        degraded(&cluster, "request_log").await;
        let begun = Instant::now();
        let answer = cluster.node(0).manage("PUT", "/api/settings", Some(&json!({ "max_retries": 1 }))).await;
        assert!(answer.status >= 500 && begun.elapsed() < Duration::from_secs(4), "{engine}: {}", answer.text());
        tokio::time::sleep(FAULT).await;
        said_little(&cluster, &since, "read-only");
        traffic.goes_on(50).await;
        server.set_read_only(false).await;
        agree_again(&cluster, "sk-after-all").await;
        let answered = traffic.end().await;
        all_are_logged(cluster.database(), &answered).await;
        answers_everywhere(&cluster, "g", 200).await;
    }
}

/// operations.md L1, L2, L4: what another node was at is not touched by the start of a master.
#[tokio::test]
async fn a_node_that_is_killed_under_load_loses_its_last_second_at_most_and_nothing_of_the_others() {
    let mock = MockUpstream::start_with(testkit::Options { record: false, ..testkit::Options::default() }).await;
    let mut cluster = Cluster::start(2, Engine::PostgreSql, true, |_, node| node).await;
    group_everywhere(&cluster, &mock, json!({}), &["sk-a", "sk-b"]).await;
    let pause = Duration::from_millis(10);
    let killed = Traffic::towards(&[cluster.node(0).address()], 3, pause);
    let surviving = Traffic::towards(&[cluster.node(1).address()], 3, pause);
    let changes = async {
        let mut groups = Vec::new();
        for number in 0..20 {
            let name = format!("made-{number}");
            groups.push(cluster.node(0).create_group(&name, "openai", &mock.base_url(), json!({})).await);
        }
        groups
    };
    let groups = changes.await;
    killed.goes_on(300).await;
    let killed_at = Instant::now();
    cluster.node_mut(0).kill();
    surviving.goes_on(100).await;
    cluster.node_mut(0).start_again().await;
    surviving.goes_on(100).await;

    let mut answered = surviving.end().await;
    let lost = Duration::from_millis(1_500);
    let of_killed = killed.end_somehow().await.into_iter().flat_map(|(answered, _)| answered);
    answered.extend(of_killed.filter(|answer| killed_at.saturating_duration_since(answer.ended) > lost));
    all_are_logged(cluster.database(), &answered).await;
    let stored = cluster.node(1).managed("GET", "/api/groups/list", None).await;
    let stored: Vec<_> = stored.as_array().unwrap().iter().filter_map(|group| group["id"].as_i64()).collect();
    assert!(groups.iter().all(|group| stored.contains(group)), "{groups:?} {stored:?}");
}
