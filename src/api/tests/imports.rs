//! Imports that explain themselves: what one would do, and new keys that are tested at once.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use testkit::{MockUpstream, Play};

use super::{House, MANAGEMENT_KEY};

async fn preview(house: &House, group: Value, text: &str) -> Value {
    house.post("/api/keys/import-preview", json!({"group_id": group, "keys_text": text})).await.data()
}

#[tokio::test]
async fn a_preview_says_what_would_be_added_and_what_not_and_why() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": "sk-known-0123456789"})).await.data();
    let text =
        r#"["sk-new-000123456789", "sk-known-0123456789", "sk-new-000123456789", "sk-a\nb-0123456789abc", "sk-short"]"#;
    let expected = json!({
        "found": 5, "new": 2, "duplicate_in_input": 1, "already_in_group": 1, "unsendable": 1,
        "ignored": [
            {"position": 2, "masked": "sk-k****6789", "reason": "already_in_group"},
            {"position": 3, "masked": "sk-n****6789", "reason": "duplicate_in_input"},
            {"position": 4, "masked": "sk-a****9abc", "reason": "unsendable"},
        ],
        "sample": ["sk-n****6789", "****"],
    });
    assert_eq!(preview(&house, json!(group), text).await, expected);
    let without_group = preview(&house, Value::Null, text).await;
    assert_eq!((&without_group["new"], &without_group["already_in_group"]), (&json!(3), &json!(0)));
    assert_eq!(house.stored_keys().await, 1);
}

#[tokio::test]
async fn a_preview_names_the_first_keys_only() {
    let house = House::open().await;
    let text = "sk ".repeat(300);
    let shown = preview(&house, Value::Null, &text).await;
    assert_eq!((&shown["found"], &shown["new"], &shown["duplicate_in_input"]), (&json!(300), &json!(1), &json!(299)));
    assert_eq!(shown["ignored"].as_array().unwrap().len(), 200);
    let many: String = (0..20).map(|number| format!("sk-{number} ")).collect();
    assert_eq!(preview(&house, Value::Null, &many).await["sample"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_preview_reads_a_file_and_refuses_what_an_import_would() {
    let house = House::open().await;
    let form =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"keys.txt\"\r\n\r\nsk-1\nsk-2\r\n--b--\r\n";
    let request = Request::post("/api/keys/import-preview")
        .header("authorization", format!("Bearer {MANAGEMENT_KEY}"))
        .header("content-type", "multipart/form-data; boundary=b");
    let shown = house.send(request.body(Body::from(form)).unwrap()).await.data();
    assert_eq!((&shown["found"], &shown["new"]), (&json!(2), &json!(2)));
    let all = house.group("all", json!({"group_type": "aggregate"})).await;
    let refused = house.post("/api/keys/import-preview", json!({"group_id": all, "keys_text": "sk"})).await;
    refused.refuses(400, "VALIDATION_FAILED", "An aggregate group has no keys of its own; add them to a member");
    let refused = house.post("/api/keys/import-preview", json!({"group_id": 99, "keys_text": "sk"})).await;
    refused.refuses(404, "NOT_FOUND", "Resource not found");
    let refused = house.post("/api/keys/import-preview", json!({"keys_text": " ,"})).await;
    refused.refuses(400, "VALIDATION_FAILED", "No key was found in the text");
}

#[tokio::test]
async fn new_keys_are_tested_in_the_task_that_adds_them() {
    let (house, upstream) = (House::open().await, MockUpstream::start().await);
    upstream.play_always("sk-bad", Play::status(401));
    upstream.play_always("sk-busy", Play::status(500));
    let more = json!({"upstreams": [{"url": upstream.base_url(), "weight": 1}]});
    let group = house.group("team", more).await;
    house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": "sk-known"})).await.data();
    let body = json!({"group_id": group, "keys_text": "sk-good sk-bad sk-known sk-busy sk-good", "validate": true});
    let started = house.post("/api/keys/add-async", body).await.data();
    assert_eq!((&started["task_type"], &started["total"]), (&json!("KEY_IMPORT"), &json!(5)));
    let over = loop {
        let task = house.get(&format!("/api/tasks/{}", started["id"])).await.data();
        if task["is_running"] == false {
            break task;
        }
        tokio::task::yield_now().await;
    };
    let expected = json!({
        "added_count": 3, "ignored_count": 2, "duplicate_in_input": 1, "already_in_group": 1, "unsendable": 0,
        "unsendable_positions": [], "valid_keys": 1, "invalid_keys": 2, "undecided_keys": 1,
    });
    assert_eq!((&over["result"], &over["processed"]), (&expected, &json!(5)));
    assert_eq!(upstream.count("sk-known"), 0, "it was there before");
    let invalid = house.get("/api/keys?group_id=1&status=invalid").await.data();
    assert_eq!(invalid["items"][0]["key_value"], "sk-bad");
}
