//! What must happen once happens on one node that is no slave; when it goes, another one takes over.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Cluster, Engine, FreshDatabase, MockUpstream, TempServer};

use crate::support::{POLL_INTERVAL, answers_everywhere, ask, group_everywhere, name_of, on_duty, ready_again, times};

/// A lease of 15 s, the pause of 4 s until others look again, and what a busy machine needs.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(25);
/// Without waiting for a lease to end: the pause of 4 s until others look again, and what a busy machine needs.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(8);
const ON_DUTY: &str = "This node is on duty";
const OFF_DUTY: &str = "This node is not on duty any more";

/// Waits until this node is on duty, as the others see it; gives how long that took.
async fn takes_duty(node: &TempServer, seen_from: &TempServer, within: Duration) -> Duration {
    let (begun, name) = (Instant::now(), name_of(node).await);
    loop {
        let holder = on_duty(seen_from).await;
        if holder.as_ref() == Some(&name) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < within, "{holder:?} is on duty, not {name}: {}", node.log());
        tokio::time::sleep(POLL_INTERVAL * 10).await;
    }
}

/// The first two are masters, all others slaves.
fn two_masters(number: usize, node: testkit::TempServerBuilder) -> testkit::TempServerBuilder {
    node.env("IS_SLAVE", if number < 2 { "false" } else { "true" })
}

/// operations.md R3, R4: a task that the dead node ran has ended as well.
#[tokio::test]
async fn when_the_node_on_duty_is_killed_another_master_takes_over_and_its_task_is_interrupted() {
    let mock = MockUpstream::start().await;
    let mut cluster = Cluster::start(3, Engine::PostgreSql, true, two_masters).await;
    let slow = json!({ "config": { "key_validation_concurrency": 1 } });
    let group = group_everywhere(&cluster, &mock, slow, &["sk-a", "sk-b", "sk-c"]).await;
    takes_duty(cluster.node(0), cluster.node(2), HANDED_OVER_WITHIN).await;
    mock.play_any_always(testkit::Play::hang());
    let body = json!({ "group_id": group });
    let task = cluster.node(0).managed("POST", "/api/keys/validate-group", Some(&body)).await;
    let task = format!("/api/tasks/{}", task["id"]);
    let seen = cluster.node(2).managed("GET", &task, None).await;
    assert_eq!(seen["state"], "running", "{seen}");
    cluster.node_mut(0).kill();
    mock.reset();

    let (survivor, slave) = (cluster.node(1), cluster.node(2));
    takes_duty(survivor, slave, TAKEN_OVER_WITHIN).await;
    assert_eq!(times(survivor, ON_DUTY), 1);
    assert_eq!(times(slave, ON_DUTY), 0, "slaves never are");
    let ended = slave.eventually(&task, |task| task["is_running"] == false).await;
    assert_eq!(ended["state"], "interrupted", "{ended}");
    let seen = slave.managed("GET", "/api/cluster", None).await;
    let alive: Vec<_> = seen["nodes"].as_array().unwrap().iter().map(|node| node["is_alive"].clone()).collect();
    assert_eq!(alive, [false, true, true], "{seen:#}");
    // Another one may begin.
    let again = survivor.managed("POST", "/api/keys/validate-group", Some(&body)).await;
    assert_eq!(again["group_id"], group);
}

/// operations.md R3
#[tokio::test]
async fn a_node_that_slept_for_longer_than_its_lease_wakes_up_off_duty_and_agrees() {
    let mock = MockUpstream::start().await;
    let cluster = Cluster::start(2, Engine::MySql, false, two_masters).await;
    let group = group_everywhere(&cluster, &mock, json!({}), &["sk-a"]).await;
    let (sleeper, other) = (cluster.node(0), cluster.node(1));
    takes_duty(sleeper, other, HANDED_OVER_WITHIN).await;
    sleeper.pause();
    takes_duty(other, other, TAKEN_OVER_WITHIN).await;
    other.managed("POST", "/api/keys/clear-all", Some(&json!({ "group_id": group }))).await;
    sleeper.resume();
    let woken = Instant::now();
    while ask(sleeper, "g").await.status != 503 {
        assert!(woken.elapsed() < Duration::from_secs(5), "what happened meanwhile is unknown: {}", sleeper.log());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    sleeper.says(OFF_DUTY).await;
    // It does not take it back from the one who has it, however often it asks.
    tokio::time::timeout(Duration::from_secs(10), async {
        let name = name_of(other).await;
        let until = Instant::now() + Duration::from_secs(6);
        while Instant::now() < until {
            for node in [sleeper, other] {
                assert_eq!(on_duty(node).await.as_ref(), Some(&name));
            }
            tokio::time::sleep(POLL_INTERVAL * 20).await;
        }
    })
    .await
    .expect("both nodes answer");
    assert_eq!((times(sleeper, ON_DUTY), times(sleeper, OFF_DUTY)), (1, 1));
    assert_eq!((times(other, ON_DUTY), times(other, OFF_DUTY)), (1, 0));
}

/// A node that is frozen while it changes something holds a lock that all changes need: not for long.
#[tokio::test]
async fn a_node_that_is_frozen_in_the_midst_of_an_import_does_not_hold_up_the_others() {
    for engine in Engine::SERVERS {
        let mock = MockUpstream::start().await;
        let cluster = Cluster::start(2, engine, false, two_masters).await;
        let group = group_everywhere(&cluster, &mock, json!({}), &["sk-a"]).await;
        let keys: Vec<_> = (0..120_000).map(|number| format!("sk-imported-{number:08}")).collect();
        let body = json!({ "group_id": group, "keys_text": keys.join("\n") });
        let (sleeper, other) = (cluster.node(0), cluster.node(1));
        let task = sleeper.managed("POST", "/api/keys/add-async", Some(&body)).await;
        // In one of its transactions, most likely.
        other.eventually(&format!("/api/tasks/{}", task["id"]), |task| task["processed"].as_i64() > Some(0)).await;
        sleeper.pause();
        let begun = Instant::now();
        let settings = json!({ "max_retries": 2 });
        // Each step of the client waits for ten seconds at most.
        let changed = async {
            loop {
                let asked = other.manage("PUT", "/api/settings", Some(&settings));
                let answer = tokio::time::timeout(Duration::from_secs(9), asked).await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(40), changed).await.expect("the others go on");
        assert!(begun.elapsed() < Duration::from_secs(30), "{engine}: {:?}", begun.elapsed());
        sleeper.resume();
        ready_again(sleeper).await;
        answers_everywhere(&cluster, "g", 200).await;
    }
}

/// operations.md S9, R3: together on an empty database, and then one after the other out of it.
#[tokio::test]
async fn masters_that_start_at_the_same_time_prepare_once_and_a_stop_hands_the_duty_over() {
    for engine in Engine::SERVERS {
        let database = FreshDatabase::create(engine).await;
        let start = || TempServer::builder().database(&database).start();
        let (mut one, mut two, three) = tokio::join!(start(), start(), start());
        let twice = "SELECT setting_key FROM system_settings GROUP BY setting_key HAVING count(*) > 1";
        assert_eq!(database.column(twice).await, Vec::<String>::new(), "{engine}");
        let begun = Instant::now();
        while on_duty(&three).await.is_none() {
            assert!(begun.elapsed() < HANDED_OVER_WITHIN, "{engine}: nobody is on duty");
        }
        for node in [&mut one, &mut two] {
            node.ask_to_stop();
            assert_eq!(node.ended().await.code(), Some(0), "{}", node.log());
        }
        takes_duty(&three, &three, HANDED_OVER_WITHIN).await;
        let left = three.managed("GET", "/api/cluster", None).await;
        assert_eq!(left["nodes"].as_array().map(Vec::len), Some(1), "who stopped has signed off: {left:#}");
    }
}
