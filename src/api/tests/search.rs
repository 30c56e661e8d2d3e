//! One field that finds everything.

use http::Request;
use serde_json::{Value, json};

use super::House;
use crate::request_log::testing::entry;

async fn furnished() -> House {
    let house = House::open().await;
    house.group("openai-main", json!({"display_name": "Main", "description": "of the Berlin team"})).await;
    house.group("other", json!({})).await;
    for (group, keys) in
        [(1, "sk-alpha-0123456789 sk-beta-00123456789"), (2, "sk-alpha-0123456789 sk-gamma-0123456789")]
    {
        house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": keys})).await.data();
    }
    house.put("/api/keys/2/notes", json!({"notes": "from Berlin"})).await.says("Success");
    house
}

async fn search(house: &House, query: &str) -> Value {
    house.get(&format!("/api/search?q={query}")).await.data()
}

fn ids(found: &Value) -> Vec<i64> {
    found.as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn groups_keys_and_settings_are_found_by_a_part() {
    let house = furnished().await;
    let found = search(&house, "BERLIN").await;
    let group = json!({"id": 1, "name": "openai-main", "display_name": "Main", "channel_type": "openai"});
    assert_eq!(found["groups"], json!([group]));
    let key = json!({
        "id": 2, "group_id": 1, "group_name": "openai-main", "masked": "sk-b****6789", "state": "active",
        "notes": "from Berlin",
    });
    assert_eq!((&found["keys"], &found["keys_are_complete"]), (&json!([key]), &json!(true)));
    let found = search(&house, "request%20timeout").await;
    assert_eq!(found["settings"], json!([{"key": "request_timeout", "name": "Request timeout (seconds)"}]));
    assert_eq!(search(&house, "blacklist_threshold").await["settings"][0]["key"], "blacklist_threshold");
    let nothing = json!({"groups": [], "keys": [], "keys_are_complete": true, "requests": [], "settings": []});
    assert_eq!(search(&house, "nothing-of-the-kind").await, nothing);
}

#[tokio::test]
async fn a_key_is_found_in_all_its_groups_and_no_more_than_asked_for() {
    let house = furnished().await;
    let found = search(&house, "sk-alpha-0123456789").await;
    assert_eq!((ids(&found["keys"]), &found["keys_are_complete"]), (vec![1, 3], &json!(true)));
    let found = search(&house, "0123456789&limit=2").await;
    assert_eq!((ids(&found["keys"]).len(), &found["keys_are_complete"]), (2, &json!(false)));
    let found = search(&house, "0123456789&limit=4").await;
    assert_eq!((ids(&found["keys"]).len(), &found["keys_are_complete"]), (4, &json!(true)));
}

#[tokio::test]
async fn a_request_is_found_by_its_whole_id() {
    let house = furnished().await;
    house.log([entry(200)]).await;
    let logged = house.get("/api/logs").await.data()["items"][0].clone();
    let found = search(&house, logged["request_id"].as_str().unwrap()).await;
    let expected = json!([{
        "request_id": logged["request_id"], "timestamp": logged["timestamp"], "group_name": logged["group_name"],
        "status_code": 200, "model": logged["model"],
    }]);
    assert_eq!(found["requests"], expected);
    assert_eq!(search(&house, "00000000-0000-7000-8000-000000000000").await["requests"], json!([]));
}

#[tokio::test]
async fn a_search_for_nothing_is_refused() {
    let house = furnished().await;
    for query in ["", "?q=", "?q=%20", "?q=a%00b", &format!("?q={}", "x".repeat(501))] {
        let reply = house.get(&format!("/api/search{query}")).await;
        reply.refuses_naming(400, "BAD_REQUEST", "The parameter q is not valid");
    }
    for limit in ["0", "101", "x"] {
        let reply = house.get(&format!("/api/search?q=x&limit={limit}")).await;
        reply.refuses_naming(400, "BAD_REQUEST", "The parameter limit is not valid");
    }
    let reply = house.send(Request::get("/api/search?q=x").body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 401);
}
