//! Which settings are in effect for a group, and why.

use serde_json::json;

use super::House;

#[tokio::test]
async fn every_value_is_shown_with_its_source() {
    let house = House::open().await;
    house.put("/api/settings", json!({"max_retries": 5, "connect_timeout": 9})).await;
    let id = house.group("team", json!({"config": {"max_retries": 5, "request_timeout": 60}})).await;
    let shown = house.get(&format!("/api/groups/{id}/effective-config")).await.data();
    let options = house.get("/api/groups/config-options").await.data();
    let keys = |list: &serde_json::Value| -> Vec<_> {
        list.as_array().unwrap().iter().map(|entry| entry["key"].clone()).collect()
    };
    assert_eq!(keys(&shown), keys(&options));
    assert_eq!(
        shown[0],
        json!({
            "key": "request_timeout",
            "name": options[0]["name"],
            "description": options[0]["description"],
            "value": 60, "source": "group", "group_value": 60, "system_value": 600, "default_value": 600,
        })
    );
    let short = |key: &str| {
        let entry = shown.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap();
        json!([entry["value"], entry["source"], entry["group_value"], entry["system_value"], entry["default_value"]])
    };
    assert_eq!(short("max_retries"), json!([5, "group", 5, 5, 3]));
    assert_eq!(short("connect_timeout"), json!([9, "system", null, 9, 15]));
    assert_eq!(short("blacklist_threshold"), json!([3, "default", null, 3, 3]));
    assert_eq!(short("proxy_url"), json!(["", "default", null, "", ""]));
    assert_eq!(short("enable_request_body_logging"), json!([false, "default", null, false, false]));
}

#[tokio::test]
async fn a_stored_value_that_is_not_used_says_why() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    house.execute("UPDATE groups SET config = '{\"max_retries\": \"many\", \"connect_timeout\": 99999999}'").await;
    let shown = house.get(&format!("/api/groups/{id}/effective-config")).await.data();
    let entry = |key: &str| shown.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap().clone();
    let retries = entry("max_retries");
    assert_eq!((&retries["value"], &retries["source"]), (&json!(3), &json!("default")));
    assert_eq!(retries["group_value"], "many");
    assert_eq!(retries["problem"], "invalid type for max_retries: expected a number, got string");
    let timeout = entry("connect_timeout");
    assert_eq!((&timeout["value"], &timeout["source"]), (&json!(86_400), &json!("group")));
    let problem = "connect_timeout (99999999) is above the maximum, 86400 is in effect";
    assert_eq!(timeout["problem"], problem);
}

#[tokio::test]
async fn a_group_that_is_not_there_has_none() {
    let house = House::open().await;
    house.get("/api/groups/9/effective-config").await.refuses(404, "NOT_FOUND", "Resource not found");
    house.get("/api/groups/x/effective-config").await.refuses(400, "BAD_REQUEST", "The group id is not valid");
}
