//! Redis stopped, killed, flushed, silent: nothing stops, and the log says it once.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Cluster, Engine, MockUpstream, TempServer};

use crate::support::{ask_as, group_everywhere, lines, readiness, ready_again, until};
use crate::traffic::Traffic;

/// operations.md R2, proxy.md 90, 91
#[tokio::test]
async fn whatever_happens_to_redis_traffic_and_changes_go_on() {
    let mock = MockUpstream::start().await;
    let mut cluster = Cluster::start(2, Engine::MySql, true, |_, node| node).await;
    group_everywhere(&cluster, &mock, json!({}), &["sk-a"]).await;
    for node in cluster.nodes() {
        node.says("Connected to Redis").await;
    }
    let addresses: Vec<_> = cluster.nodes().iter().map(TempServer::address).collect();
    let traffic = Traffic::towards(&addresses, 1, Duration::from_millis(20));
    for fault in ["stopped", "killed", "paused", "flushed"] {
        let since: Vec<_> = cluster.nodes().iter().map(lines).collect();
        match fault {
            "stopped" => cluster.redis().stop().await,
            "killed" => cluster.redis().kill().await,
            "paused" => cluster.redis().pause(),
            _ => cluster.redis().flush().await,
        }
        if fault != "flushed" {
            for node in cluster.nodes() {
                until("Redis is missed", || async { readiness(node, false).await.1["checks"]["redis"] == "away" })
                    .await;
                let (status, said) = readiness(node, false).await;
                assert_eq!((status, &said["status"]), (200, &json!("degraded")), "{said:#}");
                assert_eq!(readiness(node, true).await.0, 503);
            }
        }
        let begun = Instant::now();
        let proxy_key = format!("sk-while-{fault}");
        cluster.node(1).change_settings(json!({ "proxy_keys": proxy_key })).await;
        for node in cluster.nodes() {
            until("the change arrives", || async { ask_as(node, "g", &proxy_key).await == 200 }).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{fault}: {:?}", begun.elapsed());
        traffic.goes_on(20).await;
        match fault {
            "paused" => cluster.redis().resume(),
            "flushed" => {}
            _ => cluster.redis().start_again().await,
        }
        for (node, since) in cluster.nodes().iter().zip(since) {
            ready_again(node).await;
            let (lost, back) = if fault == "flushed" { (0, 0) } else { (1, 1) };
            let said = |text: &str| node.log().lines().skip(since).filter(|line| line.contains(text)).count();
            until("it is told that Redis is back", || async { said("Redis is back") == back }).await;
            assert_eq!(said("Lost Redis"), lost, "{fault}: {}", node.log());
        }
    }
    traffic.end().await;
}
