//! What a key costs is agreed between nodes: their failures add up, and a success on any of them sets them back.

use serde_json::{Value, json};
use testkit::{Cluster, Engine, FreshDatabase, MockUpstream, Play, TempServer};

use crate::support::{answers_everywhere, ask, group_everywhere, until};

const NO_RETRY: &str = r#"{"config":{"max_retries":0,"blacklist_threshold":3}}"#;

async fn failures(database: &FreshDatabase) -> i64 {
    let found = database.column("SELECT failure_count FROM api_keys ORDER BY id").await;
    found.first().and_then(|count| count.parse().ok()).expect("a key with a count")
}

fn group(more: &str) -> Value {
    serde_json::from_str(more).expect("JSON")
}

/// operations.md L8
#[tokio::test]
async fn failures_on_several_nodes_at_once_add_up_to_the_threshold() {
    for engine in Engine::SERVERS {
        let mock = MockUpstream::start().await;
        let cluster = Cluster::start(3, engine, false, |_, node| node).await;
        group_everywhere(&cluster, &mock, group(NO_RETRY), &["sk-a"]).await;
        mock.play_always("sk-a", Play::status(401));
        let [one, two, three] = [0, 1, 2].map(|number| cluster.node(number));
        tokio::join!(ask(one, "g"), ask(two, "g"), ask(three, "g"));
        let served = mock.count("sk-a");
        cluster.database().eventually("SELECT status FROM api_keys", |status| status == ["invalid"]).await;
        assert_eq!(mock.count("sk-a"), served, "{engine}: three failures were enough");
        answers_everywhere(&cluster, "g", 503).await;
    }
}

#[tokio::test]
async fn a_success_on_another_node_sets_the_failures_back() {
    let mock = MockUpstream::start().await;
    let cluster = Cluster::start(3, Engine::PostgreSql, true, |_, node| node).await;
    group_everywhere(&cluster, &mock, group(NO_RETRY), &["sk-a"]).await;
    let [one, two, three] = [0, 1, 2].map(|number| cluster.node(number));
    let database = cluster.database();
    for _ in 0..2 {
        mock.play("sk-a", [Play::status(401)]);
        assert_eq!(ask(one, "g").await.status, 401);
    }
    until("both failures are stored", || async { failures(database).await == 2 }).await;
    until("a success on the second node sets them back", || async {
        assert_eq!(ask(two, "g").await.status, 200);
        failures(database).await == 0
    })
    .await;
    for _ in 0..2 {
        mock.play("sk-a", [Play::status(401)]);
        assert_eq!(ask(three, "g").await.status, 401);
    }
    until("two failures are stored again", || async { failures(database).await == 2 }).await;
    assert_eq!(ask(three, "g").await.status, 200, "two in a row are not three");
}

/// operations.md L8
#[tokio::test]
async fn nodes_that_count_at_the_same_time_lose_no_failure() {
    const EACH: usize = 40;
    async fn fail(node: &TempServer) {
        for _ in 0..EACH {
            assert_eq!(ask(node, "g").await.status, 401);
        }
    }
    let mock = MockUpstream::start().await;
    let cluster = Cluster::start(2, Engine::MySql, false, |_, node| node).await;
    let never = json!({ "config": { "max_retries": 0, "blacklist_threshold": 0 } });
    group_everywhere(&cluster, &mock, never, &["sk-a"]).await;
    mock.play_always("sk-a", Play::status(401));
    tokio::join!(fail(cluster.node(0)), fail(cluster.node(1)));
    let wanted = i64::try_from(2 * EACH).expect("a small number");
    until("all failures are stored", || async { failures(cluster.database()).await >= wanted }).await;
    assert_eq!(failures(cluster.database()).await, wanted);
}

#[tokio::test]
async fn a_key_that_passes_its_background_test_returns_on_all_nodes() {
    let mock = MockUpstream::start().await;
    let mut cluster = Cluster::start(2, Engine::PostgreSql, false, |_, node| node).await;
    let once = json!({ "config": { "max_retries": 0, "blacklist_threshold": 1 } });
    group_everywhere(&cluster, &mock, once, &["sk-a"]).await;
    mock.play("sk-a", [Play::status(401)]);
    ask(cluster.node(1), "g").await;
    answers_everywhere(&cluster, "g", 503).await;
    // A test that has just been made is not due again for a minute at least.
    let master = cluster.node_mut(0);
    master.ask_to_stop();
    master.ended().await;
    cluster.database().execute("UPDATE groups SET last_validated_at = NULL").await;
    cluster.node_mut(0).start_again().await;
    answers_everywhere(&cluster, "g", 200).await;
}
