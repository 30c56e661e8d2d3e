//! Tasks of one node, seen and cancelled from another.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Cluster, Engine, MockUpstream, Play};

use crate::support::group_everywhere;

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk-{number:04}")).collect()
}

/// operations.md R4, proxy.md 99
#[tokio::test]
async fn a_task_is_seen_cancelled_and_respected_from_every_node() {
    for engine in Engine::SERVERS {
        let mock = MockUpstream::start().await;
        let cluster = Cluster::start(2, engine, false, |_, node| node).await;
        let keys = keys(200);
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        let one_by_one = json!({ "config": { "key_validation_concurrency": 1 } });
        let group = group_everywhere(&cluster, &mock, one_by_one, &texts).await;
        mock.play_any_always(Play::usual().delay(Duration::from_millis(100)));
        let (one, other) = (cluster.node(0), cluster.node(1));
        let body = json!({ "group_id": group });
        let task = one.managed("POST", "/api/keys/validate-group", Some(&body)).await;
        let target = format!("/api/tasks/{}", task["id"]);
        let is_under_way =
            |task: &Value| task["processed"].as_i64().is_some_and(|processed| processed > 0 && processed < 200);
        let seen = other.eventually(&target, is_under_way).await;
        assert_eq!((&seen["state"], &seen["total"]), (&json!("running"), &json!(200)), "{seen}");
        let status = other.managed("GET", "/api/tasks/status", None).await;
        assert_eq!((&status["is_running"], &status["group_name"]), (&json!(true), &json!("g")), "{status}");

        // One at a time for a group, whichever node is asked.
        let import = json!({ "group_id": group, "keys_text": "sk-new" });
        for node in [one, other] {
            let refused = node.manage("POST", "/api/keys/add-async", Some(&import)).await;
            assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("TASK_IN_PROGRESS")), "{engine}");
        }
        let elsewhere = other.create_group("h", "openai", &mock.base_url(), json!({})).await;
        let import = json!({ "group_id": elsewhere, "keys_text": "sk-new" });
        let free = other.manage("POST", "/api/keys/add-async", Some(&import)).await;
        assert_eq!(free.status, 200, "{}", free.text());

        let cancelled = other.managed("POST", &format!("{target}/cancel"), None).await;
        assert!(["cancelling", "cancelled"].map(Value::from).contains(&cancelled["state"]), "{cancelled}");
        let is_over = |task: &Value| task["is_running"] == false;
        for node in [one, other] {
            let ended = node.eventually(&target, is_over).await;
            assert_eq!(ended["state"], "cancelled", "{engine}: {ended}");
            assert!(ended["processed"].as_i64() < Some(200), "{ended}");
        }
        let again = other.manage("POST", &format!("{target}/cancel"), None).await;
        assert_eq!((again.status, &again.json()["code"]), (409, &json!("TASK_OVER")), "{engine}");
    }
}

/// operations.md R4, proxy.md 99: checking and starting is one step, on all nodes together.
#[tokio::test]
async fn of_two_starts_on_two_nodes_at_once_one_begins() {
    for engine in Engine::SERVERS {
        let mock = MockUpstream::start().await;
        let cluster = Cluster::start(2, engine, false, |_, node| node).await;
        let group = group_everywhere(&cluster, &mock, json!({}), &["sk-a"]).await;
        mock.play_any_always(Play::hang());
        let body = json!({ "group_id": group });
        let [one, other] = [0, 1].map(|number| cluster.node(number));
        let (first, second) = tokio::join!(
            one.manage("POST", "/api/keys/validate-group", Some(&body)),
            other.manage("POST", "/api/keys/validate-group", Some(&body))
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{engine}: {} {}", first.text(), second.text());
    }
}
