//! Many keys at once, as the console asks for it.

use serde_json::{Value, json};
use testkit::{MockUpstream, Play};

use super::House;

async fn furnished() -> (House, MockUpstream) {
    let (house, upstream) = (House::open().await, MockUpstream::start().await);
    let more = json!({"upstreams": [{"url": upstream.base_url(), "weight": 1}]});
    for name in ["team", "other"] {
        house.group(name, more.clone()).await;
    }
    house.group("all", json!({"group_type": "aggregate"})).await;
    let keys = "sk-1 sk-2 sk-3 sk-4";
    house.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": keys})).await.data();
    (house, upstream)
}

async fn bulk(house: &House, action: &str, more: Value) -> super::Reply {
    let mut body = json!({"group_id": 1, "action": action});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.post("/api/keys/bulk", body).await
}

/// The task, once it is over.
async fn done(house: &House, action: &str, more: Value) -> Value {
    let started = bulk(house, action, more).await.data();
    loop {
        let task = house.get(&format!("/api/tasks/{}", started["id"])).await.data();
        if task["is_running"] == false {
            assert_eq!((&task["state"], &task["processed"]), (&json!("finished"), &task["total"]), "{task}");
            return task;
        }
        tokio::task::yield_now().await;
    }
}

async fn states(house: &House) -> Vec<String> {
    let data = house.get("/api/keys?group_id=1&sort=id&order=asc&masked=true").await.data();
    data["items"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_are_disabled_and_enabled_by_hand() {
    let (house, _upstream) = furnished().await;
    let task = done(&house, "disable", json!({"filter": {"search": "SK-"}, "except_ids": [4]})).await;
    assert_eq!(
        (&task["task_type"], &task["group_name"], &task["total"]),
        (&json!("KEY_UPDATE"), &json!("team"), &json!(3))
    );
    assert_eq!(task["result"], json!({"action": "disable", "changed_count": 3, "ignored_count": 0}));
    assert_eq!(states(&house).await, ["disabled", "disabled", "disabled", "active"]);
    let key = house.get("/api/keys/1").await.data();
    assert!(key["out_since"].is_string() && key["out_reason"].is_null(), "{key}");
    let stats = house.get("/api/groups/1/stats").await.data()["key_stats"].clone();
    let expected = json!({"total_keys": 4, "active_keys": 1, "invalid_keys": 0, "disabled_keys": 3, "resting_keys": 0});
    assert_eq!(stats, expected);
    let shown = house.get("/api/keys?group_id=1&status=disabled&masked=true").await.data();
    assert_eq!(shown["pagination"]["total_items"], 3);
    let task = done(&house, "enable", json!({"ids": [1, 2, 4]})).await;
    assert_eq!(task["result"], json!({"action": "enable", "changed_count": 2, "ignored_count": 1}));
    assert_eq!(states(&house).await, ["active", "active", "disabled", "active"]);
}

#[tokio::test]
async fn a_test_of_a_group_leaves_disabled_keys_alone_and_a_passed_test_does_not_bring_one_back() {
    let (house, upstream) = furnished().await;
    upstream.play_always("sk-2", Play::status(401).body("{}"));
    done(&house, "disable", json!({"ids": [1]})).await;
    let task = done(&house, "test", json!({"filter": {}})).await;
    assert_eq!((&task["task_type"], &task["total"]), (&json!("KEY_VALIDATION"), &json!(3)));
    let expected = json!({"total_keys": 3, "valid_keys": 2, "invalid_keys": 1, "undecided_keys": 0});
    assert_eq!(task["result"], expected);
    assert_eq!(upstream.count("sk-1"), 0);
    let reply = house.post("/api/keys/validate-group", json!({"group_id": 1})).await.data();
    assert_eq!(reply["total"], 3);
    let tested = house.post("/api/keys/1/test", json!({})).await.data();
    assert_eq!((&tested["is_valid"], &tested["key"]["state"]), (&json!(true), &json!("disabled")));
    assert_eq!(states(&house).await, ["disabled", "invalid", "active", "active"]);
    house.post("/api/keys/restore-all-invalid", json!({"group_id": 1})).await.data();
    assert_eq!(states(&house).await, ["disabled", "active", "active", "active"]);
}

#[tokio::test]
async fn keys_are_moved_annotated_restored_and_deleted() {
    let (house, _upstream) = furnished().await;
    house.post("/api/keys/add-multiple", json!({"group_id": 2, "keys_text": "sk-1"})).await.data();
    let task = done(&house, "move", json!({"ids": [1, 2], "target_group_id": 2})).await;
    let expected = json!({"action": "move", "changed_count": 1, "ignored_count": 1, "already_in_target": 1});
    assert_eq!(task["result"], expected);
    assert_eq!(house.get("/api/keys/2").await.data()["group_name"], "other");
    let task = done(&house, "set_notes", json!({"ids": [1, 3], "notes": " of Ann "})).await;
    assert_eq!(task["result"], json!({"action": "set_notes", "changed_count": 2, "ignored_count": 0}));
    assert_eq!(house.get("/api/keys/3").await.data()["notes"], "of Ann");
    house.invalidate(1, &["sk-3"]);
    let task = done(&house, "restore", json!({"filter": {"status": "invalid"}})).await;
    assert_eq!(task["result"], json!({"action": "restore", "changed_count": 1, "ignored_count": 0}));
    let task = done(&house, "delete", json!({"filter": {"search": "ann"}, "except_ids": [3]})).await;
    assert_eq!(
        (&task["task_type"], &task["result"]),
        (&json!("KEY_DELETE"), &json!({"deleted_count": 1, "ignored_count": 0}))
    );
    assert_eq!(states(&house).await.len(), 2);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let (house, _upstream) = furnished().await;
    house.invalidate(1, &["sk-3"]);
    let outlook = bulk(&house, "restore", json!({"filter": {}, "dry_run": true})).await.data();
    let by_state = json!({"active": 3, "resting": 0, "invalid": 1, "disabled": 0, "unreadable": 0});
    assert_eq!(outlook, json!({"matching": 4, "by_state": by_state, "would_change": 1}));
    let outlook = bulk(&house, "delete", json!({"filter": {"search": "nothing"}, "dry_run": true})).await.data();
    assert_eq!(outlook["matching"], 0);
    assert_eq!(states(&house).await, ["active", "active", "invalid", "active"]);
    assert_eq!(house.get("/api/tasks").await.data()["pagination"]["total_items"], 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let (house, _upstream) = furnished().await;
    let refuses = async |action: &str, more: Value, message: &str| {
        bulk(&house, action, more).await.refuses(400, "VALIDATION_FAILED", message);
    };
    let actions = "action must be one of: test, restore, enable, disable, delete, move, set_notes";
    refuses("burn", json!({"filter": {}}), actions).await;
    let either = "Name the keys either by ids or by a filter";
    refuses("delete", json!({}), either).await;
    refuses("delete", json!({"ids": [1], "filter": {}}), either).await;
    refuses("delete", json!({"ids": []}), "No key is meant by this, so there is nothing to do").await;
    let state = "The status filter can be active, invalid, disabled or resting";
    refuses("delete", json!({"filter": {"status": "odd"}}), state).await;
    let target = "target_group_id must be another group than the one that the keys are in";
    refuses("move", json!({"filter": {}}), target).await;
    refuses("move", json!({"filter": {}, "target_group_id": 1}), target).await;
    let aggregate = "An aggregate group has no keys of its own; add them to a member";
    refuses("move", json!({"filter": {}, "target_group_id": 3}), aggregate).await;
    refuses("set_notes", json!({"filter": {}}), "The field notes is required; an empty text clears the notes").await;
    let many: Vec<i64> = (1..=100_001).collect();
    refuses("delete", json!({"ids": many}), "ids can have 100000 ids at most").await;
    bulk(&house, "move", json!({"ids": [1], "target_group_id": 9})).await.refuses(
        404,
        "NOT_FOUND",
        "Resource not found",
    );
    assert_eq!(states(&house).await.len(), 4);
}

#[tokio::test]
async fn one_task_of_a_group_runs_at_a_time() {
    let (house, upstream) = furnished().await;
    upstream.play_always("sk-1", Play::hang());
    let task = bulk(&house, "test", json!({"ids": [1]})).await.data();
    let refused = bulk(&house, "delete", json!({"filter": {}})).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("TASK_IN_PROGRESS")));
    house.post(&format!("/api/tasks/{}/cancel", task["id"]), json!({})).await.data();
}
