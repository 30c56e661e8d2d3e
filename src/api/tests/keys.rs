//! Keys: add, list, delete, restore, clear, annotate.

use serde_json::{Value, json};
use testkit::{MockUpstream, Play};

use super::{House, without_time};
use crate::db::Timestamp;

async fn add(house: &House, group: i64, keys: &str) -> Value {
    house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": keys})).await.data()
}

/// A morning of November 2026.
fn day(day: i64) -> Timestamp {
    Timestamp::parse_stored(&format!("2026-11-0{day} 00:00:00+00:00")).unwrap()
}

async fn values(house: &House, filter: &str) -> Vec<String> {
    let data = house.get(&format!("/api/keys?{filter}")).await.data();
    data["items"].as_array().unwrap().iter().map(|key| key["key_value"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_are_added_once_and_serve_at_once() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let reply = add(&house, group, "sk-1,sk-2\nsk-1").await;
    assert_eq!(reply, json!({"added_count": 2, "ignored_count": 1, "total_in_group": 2}));
    let reply = add(&house, group, "[\"sk-2\", \"sk 3\"]").await;
    assert_eq!(reply, json!({"added_count": 1, "ignored_count": 1, "total_in_group": 3}));
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 3);
}

#[tokio::test]
async fn a_key_is_listed_with_every_member_in_its_order() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1").await;
    let mut data = house.get(&format!("/api/keys?group_id={group}")).await.data();
    without_time(&mut data["items"][0]["created_at"]);
    without_time(&mut data["items"][0]["updated_at"]);
    let hash = data["items"][0]["key_hash"].take();
    assert_eq!(hash.as_str().unwrap().len(), 64);
    let expected = concat!(
        r#"{"items":[{"id":1,"key_value":"sk-1","key_hash":null,"group_id":1,"status":"active","notes":"","#,
        r#""request_count":0,"failure_count":0,"last_used_at":null,"created_at":"now","updated_at":"now","#,
        r#""state":"active","resting_until":null,"out_since":null,"out_reason":null,"last_failure":null}],"#,
        r#""pagination":{"page":1,"page_size":15,"total_items":1,"total_pages":1}}"#,
    );
    assert_eq!(data.to_string(), expected);
}

#[tokio::test]
async fn keys_are_listed_page_by_page_and_by_filter() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3").await;
    house.invalidate(group, &["sk-2"]);
    assert_eq!(values(&house, "group_id=1").await, ["sk-3", "sk-2", "sk-1"]);
    assert_eq!(values(&house, "group_id=1&status=all").await.len(), 3);
    assert_eq!(values(&house, "group_id=1&status=invalid").await, ["sk-2"]);
    assert_eq!(values(&house, "group_id=1&status=active").await, ["sk-3", "sk-1"]);
    assert_eq!(values(&house, "group_id=1&key_value=sk-1").await, ["sk-1"]);
    assert_eq!(values(&house, "group_id=1&key_value=sk").await, [""; 0]);
    assert_eq!(values(&house, "group_id=1&page_size=2&page=2").await, ["sk-1"]);
    let past_the_end = house.get("/api/keys?group_id=1&page=9223372036854775807&page_size=1000").await.data();
    assert_eq!(past_the_end["items"], json!([]));
    assert_eq!(past_the_end["pagination"]["total_items"], 3);
}

#[tokio::test]
async fn keys_are_sorted_as_it_is_asked_for() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3").await;
    house.invalidate(group, &["sk-2"]);
    house.key_pools.states_of(group, std::time::Instant::now()).await.unwrap();
    for id in 1..=3_i64 {
        let used = if id == 2 { None } else { Some(day(id)) };
        let mut transaction = house.database.begin().await.unwrap();
        let update = "UPDATE api_keys SET request_count = ?, created_at = ?, last_used_at = ? WHERE id = ?";
        let update = house.database.sql(update).bind(10 - id).bind(day(id)).bind(used).bind(id);
        transaction.execute(update).await.unwrap();
        transaction.commit().await.unwrap();
    }
    for (sort, expected) in [
        ("", ["sk-3", "sk-1", "sk-2"]),
        ("&sort=last_used_at&order=asc", ["sk-2", "sk-1", "sk-3"]),
        ("&sort=id&order=asc", ["sk-1", "sk-2", "sk-3"]),
        ("&sort=id", ["sk-3", "sk-2", "sk-1"]),
        ("&sort=created_at&order=desc", ["sk-3", "sk-2", "sk-1"]),
        ("&sort=request_count", ["sk-1", "sk-2", "sk-3"]),
        ("&sort=request_count&order=asc", ["sk-3", "sk-2", "sk-1"]),
        ("&sort=failure_count", ["sk-2", "sk-3", "sk-1"]),
        ("&sort=status&order=asc", ["sk-1", "sk-3", "sk-2"]),
        ("&order=asc", ["sk-2", "sk-1", "sk-3"]),
    ] {
        assert_eq!(values(&house, &format!("group_id=1{sort}")).await, expected, "{sort}");
    }
    assert_eq!(values(&house, "group_id=1&sort=updated_at").await.len(), 3);
    assert_eq!(values(&house, "group_id=1&sort=id&order=asc&page=2&page_size=2").await, ["sk-3"]);
    let fields = "last_used_at, created_at, updated_at, request_count, failure_count, status, out_since, id";
    let reply = house.get("/api/keys?group_id=1&sort=key_value").await;
    reply.refuses(400, "VALIDATION_FAILED", &format!("sort must be one of: {fields}"));
    let reply = house.get("/api/keys?group_id=1&order=up").await;
    reply.refuses(400, "VALIDATION_FAILED", "order must be one of: asc, desc");
}

#[tokio::test]
async fn keys_are_found_by_a_part_of_their_text_or_their_notes() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let other = house.group("other", json!({})).await;
    add(&house, group, "sk-Alpha sk-beta sk-gamma sk-delta").await;
    add(&house, other, "sk-alpha-2").await;
    house.put("/api/keys/3/notes", json!({"notes": "für ALPHA"})).await.says("Success");
    house.invalidate(group, &["sk-Alpha", "sk-beta"]);
    let found = async |query: &str| values(&house, &format!("group_id=1&{query}")).await;
    assert_eq!(found("search=ALPHA").await, ["sk-gamma", "sk-Alpha"]);
    assert_eq!(found("search=f%C3%9CR").await, ["sk-gamma"]);
    assert_eq!(found("search=alpha&status=invalid").await, ["sk-Alpha"]);
    assert_eq!(found("search=alpha&key_value=sk-gamma").await, ["sk-gamma"]);
    assert_eq!(found("search=sk-&sort=id&order=asc").await, ["sk-Alpha", "sk-beta", "sk-gamma", "sk-delta"]);
    assert_eq!(found("search=nothing").await, [""; 0]);
    let page = house.get("/api/keys?group_id=1&search=ta&sort=id&page=2&page_size=1").await.data();
    assert_eq!(page["items"][0]["key_value"], "sk-beta");
    assert_eq!(page["pagination"], json!({"page": 2, "page_size": 1, "total_items": 2, "total_pages": 2}));
}

#[tokio::test]
async fn a_list_needs_its_group() {
    let house = House::open().await;
    for (query, status, code, message) in [
        ("", 400, "BAD_REQUEST", "A group id is required"),
        ("group_id=", 400, "BAD_REQUEST", "A group id is required"),
        ("group_id=x", 400, "BAD_REQUEST", "The group id must be a positive integer"),
        ("group_id=0", 400, "BAD_REQUEST", "The group id must be a positive integer"),
        ("group_id=1&status=x", 404, "NOT_FOUND", "Resource not found"),
    ] {
        house.get(&format!("/api/keys?{query}")).await.refuses(status, code, message);
    }
    house.group("team", json!({})).await;
    let reply = house.get("/api/keys?group_id=1&status=x").await;
    reply.refuses(400, "VALIDATION_FAILED", "The status filter can be active, invalid, disabled or resting");
}

#[tokio::test]
async fn keys_are_deleted_by_their_text() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2").await;
    let body = json!({"group_id": group, "keys_text": "sk-1 sk-1 sk-9"});
    let reply = house.post("/api/keys/delete-multiple", body).await;
    assert_eq!(reply.data(), json!({"deleted_count": 1, "ignored_count": 2, "total_in_group": 1}));
    assert_eq!(values(&house, "group_id=1").await, ["sk-2"]);
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 1);
}

#[tokio::test]
async fn a_key_with_a_separator_inside_is_handled_by_its_text() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, r#"["sk a,b", "sk"]"#).await;
    let body = json!({"group_id": group, "keys_text": "sk a,b"});
    let reply = house.post("/api/keys/delete-multiple", body).await;
    assert_eq!(reply.data(), json!({"deleted_count": 1, "ignored_count": 0, "total_in_group": 1}));
    assert_eq!(values(&house, "group_id=1").await, ["sk"]);
}

#[tokio::test]
async fn invalid_keys_are_restored() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3 sk-4").await;
    house.invalidate(group, &["sk-1", "sk-2", "sk-3"]);
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 1);
    let body = json!({"group_id": group, "keys_text": "sk-1 sk-4"});
    let reply = house.post("/api/keys/restore-multiple", body).await;
    assert_eq!(reply.data(), json!({"restored_count": 1, "ignored_count": 1, "total_in_group": 4}));
    let reply = house.post("/api/keys/restore-all-invalid", json!({"group_id": group})).await;
    reply.says("Keys restored: 2");
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 4);
    assert_eq!(values(&house, "group_id=1&status=invalid").await, [""; 0]);
}

#[tokio::test]
async fn a_key_that_the_original_stored_twice_is_deleted_and_restored_by_one_text() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let rows = "INSERT INTO api_keys (key_value, key_hash, group_id, status) SELECT key_value, key_hash, 1, 'invalid'
                FROM api_keys WHERE id = 1";
    let body = json!({"group_id": group, "keys_text": "sk-1"});
    add(&house, group, "sk-1").await;
    for _ in 0..2 {
        house.execute(rows).await;
    }
    let reply = house.post("/api/keys/restore-multiple", body.clone()).await;
    assert_eq!(reply.data(), json!({"restored_count": 2, "ignored_count": 0, "total_in_group": 3}));
    let reply = house.post("/api/keys/delete-multiple", body.clone()).await;
    assert_eq!(reply.data(), json!({"deleted_count": 3, "ignored_count": 0, "total_in_group": 0}));
    add(&house, group, "sk-1").await;
    house
        .execute("INSERT INTO api_keys (key_value, key_hash, group_id) SELECT key_value, key_hash, 1 FROM api_keys")
        .await;
    let started = house.post("/api/keys/delete-async", body).await.data();
    let over = loop {
        let task = house.get(&format!("/api/tasks/{}", started["id"])).await.data();
        if task["is_running"] == false {
            break task;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(over["result"], json!({"deleted_count": 2, "ignored_count": 0}));
}

#[tokio::test]
async fn invalid_keys_or_all_keys_are_cleared() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3").await;
    house.invalidate(group, &["sk-2"]);
    let body = json!({"group_id": group});
    house.post("/api/keys/clear-all-invalid", body.clone()).await.says("Invalid keys deleted: 1");
    assert_eq!(values(&house, "group_id=1").await, ["sk-3", "sk-1"]);
    house.post("/api/keys/clear-all", body).await.says("Keys deleted: 2");
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 0);
}

#[tokio::test]
async fn calls_with_key_texts_are_checked_alike() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    for verb in ["add", "delete", "restore", "test"] {
        let call = async |body: Value| house.post(&format!("/api/keys/{verb}-multiple"), body).await;
        for (body, field) in [
            (json!({"keys_text": "sk"}), "group_id"),
            (json!({"group_id": 0, "keys_text": "sk"}), "group_id"),
            (json!({"group_id": group}), "keys_text"),
            (json!({"group_id": group, "keys_text": ""}), "keys_text"),
            (json!({"group_id": group, "keys_text": 5}), "keys_text"),
        ] {
            call(body).await.refuses_naming(400, "INVALID_JSON", field);
        }
        call(json!({"group_id": 99, "keys_text": " "})).await.refuses(404, "NOT_FOUND", "Resource not found");
        let given = async |text: &str| call(json!({"group_id": group, "keys_text": text})).await;
        given(" \n").await.refuses(400, "VALIDATION_FAILED", "No keys were given");
        given(",;").await.refuses(400, "VALIDATION_FAILED", "No key was found in the text");
        let message = "At most 5000 keys can be handled at once, 5001 were given";
        given(&"k ".repeat(5_001)).await.refuses(400, "VALIDATION_FAILED", message);
        // Of this length it is read on another thread.
        let message = "At most 5000 keys can be handled at once, 600000 were given";
        given(&"k ".repeat(600_000)).await.refuses(400, "VALIDATION_FAILED", message);
        let message = "The text begins like a JSON list, but the list breaks at line 1, column 17";
        given(r#"["sk-1", "sk-2",]"#).await.refuses(400, "VALIDATION_FAILED", message);
    }
    for verb in ["restore-all-invalid", "clear-all-invalid", "clear-all"] {
        let path = format!("/api/keys/{verb}");
        house.post(&path, json!({})).await.refuses_naming(400, "INVALID_JSON", "group_id");
        house.post(&path, json!({"group_id": 99})).await.refuses(404, "NOT_FOUND", "Resource not found");
    }
}

#[tokio::test]
async fn keys_are_tested_at_their_upstream_in_the_order_given() {
    let house = House::open().await;
    let upstream = MockUpstream::start().await;
    let refusal = r#"{"error": {"message": "Incorrect API key provided"}}"#;
    upstream.play_always("sk-bad", Play::status(401).body(refusal));
    let group = json!({"upstreams": [{"url": upstream.base_url(), "weight": 1}], "config": {"blacklist_threshold": 2}});
    let group = house.group("team", group).await;
    add(&house, group, "sk-good sk-bad").await;
    let body = json!({"group_id": group, "keys_text": "sk-bad sk-good sk-unknown"});
    let mut data = house.post("/api/keys/test-multiple", body).await.data();
    assert!(data["total_duration"].take().as_u64().unwrap() < 60_000);
    let unknown = data["results"][2]["error"].take();
    assert!(!unknown.as_str().unwrap().is_empty());
    assert_eq!(
        data,
        json!({"results": [
            {"key_value": "sk-bad", "is_valid": false, "error": "[status 401] Incorrect API key provided"},
            {"key_value": "sk-good", "is_valid": true},
            {"key_value": "sk-unknown", "is_valid": false, "error": null},
        ], "total_duration": null})
    );
    assert_eq!(values(&house, "group_id=1&status=invalid").await, ["sk-bad"]);
}

#[tokio::test]
async fn an_aggregate_group_takes_no_keys() {
    let house = House::open().await;
    let group = house.group("all", json!({"group_type": "aggregate"})).await;
    let reply = house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": "sk"})).await;
    let message = "An aggregate group has no keys of its own; add them to a member";
    reply.refuses(400, "VALIDATION_FAILED", message);
}

#[tokio::test]
async fn notes_are_kept_beside_a_key() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1").await;
    let notes = async || house.get("/api/keys?group_id=1").await.data()["items"][0]["notes"].clone();
    house.put("/api/keys/1/notes", json!({"notes": " of Ann "})).await.says("Success");
    assert_eq!(notes().await, "of Ann");
    house.put("/api/keys/1/notes", json!({"notes": "é".repeat(255)})).await.says("Success");
    let reply = house.put("/api/keys/1/notes", json!({"notes": "é".repeat(256)})).await;
    reply.refuses(400, "VALIDATION_FAILED", "Notes can have 255 characters at most");
    house.put("/api/keys/1/notes", json!({})).await.refuses_naming(400, "INVALID_JSON", "notes");
    assert_eq!(notes().await, "é".repeat(255));
    house.put("/api/keys/1/notes", json!({"notes": null})).await.says("Success");
    assert_eq!(notes().await, "");
    house.put("/api/keys/9/notes", json!({"notes": ""})).await.refuses(404, "NOT_FOUND", "Resource not found");
    for id in ["x", "0", "-1"] {
        let reply = house.put(&format!("/api/keys/{id}/notes"), json!({"notes": ""})).await;
        reply.refuses(400, "BAD_REQUEST", "The key id is not valid");
    }
}

#[tokio::test]
async fn a_key_that_no_request_can_carry_is_refused_and_can_still_be_deleted() {
    let house = House::open().await;
    let id = house.group("g", json!({})).await;
    let body = json!({"group_id": id, "keys_text": "[\"sk-a\", \"sk-b\\nsk-c\"]"});
    let reply = house.post("/api/keys/add-multiple", body.clone()).await;
    reply.refuses_naming(400, "VALIDATION_FAILED", "position 2");
    assert_eq!(house.stored_keys().await, 0);
    let deleted = house.post("/api/keys/delete-multiple", body).await.data();
    assert_eq!(deleted["ignored_count"], 2);
}

const LONG: &str = "sk-0123456789abcdef";

#[tokio::test]
async fn keys_are_shown_by_their_ends_where_that_is_asked_for() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, LONG).await;
    assert_eq!(values(&house, "group_id=1&masked=true").await, ["sk-0****cdef"]);
    assert_eq!(values(&house, "group_id=1&masked=false").await, [LONG]);
    assert_eq!(values(&house, &format!("group_id=1&masked=true&key_value={LONG}")).await, ["sk-0****cdef"]);
    let reply = house.get("/api/keys?group_id=1&masked=maybe").await;
    reply.refuses(400, "BAD_REQUEST", "The parameter masked is not valid: true or false is expected");
}

#[tokio::test]
async fn one_key_is_shown_by_its_ends_with_the_name_of_its_group() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, LONG).await;
    let shown = house.get("/api/keys/1").await.data();
    assert_eq!((&shown["key_value"], &shown["group_name"]), (&json!("sk-0****cdef"), &json!("team")));
    assert_eq!(house.get("/api/keys/1?masked=false").await.data()["key_value"], LONG);
    house.get("/api/keys/9").await.refuses(404, "NOT_FOUND", "Resource not found");
    house.get("/api/keys/x").await.refuses(400, "BAD_REQUEST", "The key id is not valid");
}

#[tokio::test]
async fn a_key_is_revealed_on_demand() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, LONG).await;
    assert_eq!(house.post("/api/keys/1/reveal", json!({})).await.data(), json!({"key_value": LONG}));
    house.execute("INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('x', 'y', 1)").await;
    let message = "This key cannot be decrypted with the present ENCRYPTION_KEY, so it can be neither shown nor tested";
    house.post("/api/keys/2/reveal", json!({})).await.refuses(409, "KEY_UNREADABLE", message);
    house.post("/api/keys/2/test", json!({})).await.refuses(409, "KEY_UNREADABLE", message);
    house.post("/api/keys/9/reveal", json!({})).await.refuses(404, "NOT_FOUND", "Resource not found");
}

#[tokio::test]
async fn keys_are_listed_by_their_ids() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3 sk-33").await;
    assert_eq!(values(&house, "group_id=1&ids=1,3,9").await, ["sk-3", "sk-1"]);
    assert_eq!(values(&house, "group_id=1&ids=1,3&search=3").await, ["sk-3"]);
    assert_eq!(values(&house, "group_id=1&ids=1&status=invalid").await, [""; 0]);
    let many = vec!["1"; 1_001].join(",");
    for ids in ["x", "1,,2", &many] {
        let reply = house.get(&format!("/api/keys?group_id=1&ids={ids}")).await;
        let message = "The parameter ids is not valid: up to 1000 ids, separated by commas, is expected";
        reply.refuses(400, "BAD_REQUEST", message);
    }
}

#[tokio::test]
async fn one_key_is_tested_by_its_id_and_shown_as_it_is_then() {
    let house = House::open().await;
    let upstream = MockUpstream::start().await;
    upstream.play_always(LONG, Play::status(401).body(format!(r#"{{"error": {{"message": "No such key: {LONG}"}}}}"#)));
    let group = json!({"upstreams": [{"url": upstream.base_url(), "weight": 1}]});
    let group = house.group("team", group).await;
    add(&house, group, &format!("{LONG} sk-good")).await;
    let refused = house.post("/api/keys/1/test", json!({})).await.data();
    assert_eq!(refused["is_valid"], false);
    assert_eq!(
        (&refused["error"], &refused["status_code"]),
        (&json!("[status 401] No such key: sk-0****cdef"), &json!(401))
    );
    assert_eq!((&refused["key"]["status"], &refused["key"]["key_value"]), (&json!("invalid"), &json!("sk-0****cdef")));
    assert!(refused["duration_ms"].as_u64().unwrap() < 60_000);
    let good = house.post("/api/keys/2/test", json!({})).await.data();
    assert_eq!((&good["is_valid"], &good["error"], &good["status_code"]), (&json!(true), &json!(null), &json!(null)));
    assert_eq!(good["key"]["status"], "active");
}

#[tokio::test]
async fn an_invalid_key_says_since_when_and_why() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2").await;
    house.invalidate(group, &["sk-1"]);
    let mut key = house.get("/api/keys/1").await.data();
    assert_eq!(
        (&key["state"], &key["status"], &key["failure_count"]),
        (&json!("invalid"), &json!("invalid"), &json!(1))
    );
    without_time(&mut key["out_since"]);
    for reason in ["out_reason", "last_failure"] {
        without_time(&mut key[reason]["at"]);
        let expected = json!({"status_code": 401, "message": "Incorrect API key provided", "at": "now"});
        assert_eq!(key[reason], expected);
    }
    house.post("/api/keys/restore-all-invalid", json!({"group_id": group})).await.says("Keys restored: 1");
    let key = house.get("/api/keys/1").await.data();
    assert_eq!((&key["state"], &key["out_since"], &key["out_reason"]), (&json!("active"), &json!(null), &json!(null)));
    assert_eq!(key["last_failure"]["status_code"], 401, "it is remembered");
    // As the original does it.
    house.execute("UPDATE api_keys SET status = 'invalid' WHERE id = 2").await;
    let key = house.get("/api/keys/2").await.data();
    assert_eq!((&key["state"], &key["out_since"], &key["out_reason"]), (&json!("invalid"), &json!(null), &json!(null)));
}

#[tokio::test]
async fn a_resting_key_says_until_when() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3").await;
    let pool = house.key_pools.of(group).unwrap();
    let key = pool.pick(&[], std::time::Instant::now()).unwrap();
    pool.rest(&key, std::time::Instant::now() + std::time::Duration::from_secs(3_600));
    let shown = house.get("/api/keys/1").await.data();
    assert_eq!((&shown["state"], &shown["status"]), (&json!("resting"), &json!("active")));
    let until = chrono::DateTime::parse_from_rfc3339(shown["resting_until"].as_str().unwrap()).unwrap();
    let seconds = (until.to_utc() - chrono::Utc::now()).num_seconds();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(values(&house, "group_id=1&status=resting").await, ["sk-1"]);
    assert_eq!(values(&house, "group_id=1&status=resting&search=sk-2").await, [""; 0]);
    assert_eq!(values(&house, "group_id=1&status=active").await.len(), 3, "it can still serve");
    let stats = house.get("/api/groups/1/stats").await.data()["key_stats"].clone();
    assert_eq!((&stats["active_keys"], &stats["resting_keys"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_shown_as_such() {
    let house = House::open().await;
    house.group("team", json!({})).await;
    house.execute("INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('x', 'y', 1)").await;
    let key = house.get("/api/keys/1").await.data();
    assert_eq!((&key["state"], &key["key_value"]), (&json!("unreadable"), &json!("failed-to-decrypt")));
}

#[tokio::test]
async fn keys_are_sorted_by_when_they_went_out() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, "sk-1 sk-2 sk-3").await;
    for key in ["sk-2", "sk-1"] {
        house.invalidate(group, &[key]);
        values(&house, "group_id=1").await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(values(&house, "group_id=1&sort=out_since").await, ["sk-1", "sk-2", "sk-3"]);
    assert_eq!(values(&house, "group_id=1&sort=out_since&order=asc").await, ["sk-3", "sk-2", "sk-1"]);
}

#[tokio::test]
async fn keys_are_exported_with_what_is_known_of_them() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    add(&house, group, r#"["sk-1", "sk,2"]"#).await;
    house.put("/api/keys/2/notes", json!({"notes": "say \"so\""})).await.says("Success");
    house.invalidate(group, &["sk-1"]);
    house.execute("INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('x', 'y', 1)").await;
    let export = async |format: &str| house.get(&format!("/api/keys/export?group_id=1&format={format}")).await;
    let text = export("text").await;
    assert_eq!(text.text, "sk-1\nsk,2\n");
    let csv = export("csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.header("content-disposition").unwrap().ends_with("keys-team-all.csv"));
    let created = house.get("/api/keys/1").await.data()["created_at"].as_str().unwrap().to_owned();
    let lines: Vec<_> = csv.text.lines().collect();
    assert_eq!(lines[0], "id,key,state,notes,request_count,failure_count,last_used_at,created_at,out_reason");
    assert_eq!(lines[1], format!("1,sk-1,invalid,,0,1,,{created},[status 401] Incorrect API key provided"));
    assert_eq!(lines[2], format!("2,\"sk,2\",active,\"say \"\"so\"\"\",0,0,,{created},"));
    assert!(lines[3].starts_with("3,failed-to-decrypt,unreadable,"), "{}", lines[3]);
    let json_lines = export("jsonl").await;
    assert_eq!(json_lines.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    let first: Value = serde_json::from_str(json_lines.text.lines().next().unwrap()).unwrap();
    assert_eq!((&first["key"], &first["out_reason"]["status_code"]), (&json!("sk-1"), &json!(401)));
    assert_eq!(json_lines.text.lines().count(), 3);
    export("xml").await.refuses(400, "VALIDATION_FAILED", "format must be one of: text, csv, jsonl");
}

#[tokio::test]
async fn a_page_near_the_end_of_a_long_list_is_the_one_that_counting_leads_to() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let all: Vec<String> = (1..=11).map(|number| format!("sk-{number}")).collect();
    add(&house, group, &all.join(" ")).await;
    for (sort, expected) in [("id&order=asc", all.clone()), ("request_count", all.iter().rev().cloned().collect())] {
        let mut paged = Vec::new();
        for page in 1..=4 {
            paged.extend(values(&house, &format!("group_id=1&sort={sort}&page_size=3&page={page}")).await);
        }
        assert_eq!(paged, expected, "{sort}");
    }
    assert_eq!(values(&house, "group_id=1&page_size=3&page=5").await, [""; 0]);
}
