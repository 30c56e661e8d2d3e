//! Groups: create, list, change, order, delete.

use http::Method;
use serde_json::{Value, json};

use super::{House, without_time};

fn wanted() -> Value {
    json!({
        "name": "team",
        "channel_type": "openai",
        "test_model": "gpt-4.1-nano",
        "upstreams": [{"url": "https://api.openai.com", "weight": 1}],
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = wanted();
    body[name] = value;
    body
}

#[tokio::test]
async fn a_group_is_created_and_shown_with_every_member_in_its_order() {
    let house = House::open().await;
    let body = json!({
        "name": " openai-main ", "display_name": " OpenAI ", "description": "d", "group_type": "standard",
        "upstreams": [{"url": " https://api.openai.com ", "weight": 1, "more": true}], "channel_type": "openai",
        "sort": 10, "test_model": "gpt-4.1-nano", "validation_endpoint": "/v1/x", "param_overrides": {"temperature": 0.2},
        "model_redirect_rules": {"gpt-5": "gpt-5-2025-08-07"}, "model_redirect_strict": true,
        "config": {"max_retries": 2.0, "proxy_url": null}, "proxy_keys": "sk-a,sk-b", "unknown": 1,
        "header_rules": [{"key": "x-trace", "value": "${GROUP_NAME}", "action": "set"}, {"key": " "}],
    });
    let reply = house.post("/api/groups", body).await;
    let mut data = reply.data();
    without_time(&mut data["created_at"]);
    without_time(&mut data["updated_at"]);
    let expected = concat!(
        r#"{"id":1,"name":"openai-main","endpoint":"http://localhost:3001/proxy/openai-main","display_name":"OpenAI","#,
        r#""description":"d","group_type":"standard","upstreams":[{"url":"https://api.openai.com","weight":1}],"#,
        r#""channel_type":"openai","sort":10,"test_model":"gpt-4.1-nano","validation_endpoint":"/v1/x","#,
        r#""param_overrides":{"temperature":0.2},"model_redirect_rules":{"gpt-5":"gpt-5-2025-08-07"},"#,
        r#""model_redirect_strict":true,"config":{"max_retries":2},"#,
        r#""header_rules":[{"key":"X-Trace","value":"${GROUP_NAME}","action":"set"}],"proxy_keys":"sk-a,sk-b","#,
        r#""last_validated_at":null,"created_at":"now","updated_at":"now"}"#,
    );
    assert_eq!(data.to_string(), expected);
    assert_eq!(house.get("/api/groups").await.data()[0]["id"], 1);
}

#[tokio::test]
async fn what_is_not_given_has_its_default() {
    let house = House::open().await;
    let mut data = house.post("/api/groups", wanted()).await.data();
    without_time(&mut data["created_at"]);
    without_time(&mut data["updated_at"]);
    assert_eq!(
        data,
        json!({
            "id": 1, "name": "team", "endpoint": "http://localhost:3001/proxy/team", "display_name": "", "description": "",
            "group_type": "standard", "upstreams": [{"url": "https://api.openai.com", "weight": 1}],
            "channel_type": "openai", "sort": 0, "test_model": "gpt-4.1-nano", "validation_endpoint": "",
            "param_overrides": null, "model_redirect_rules": {}, "model_redirect_strict": false, "config": null,
            "header_rules": [], "proxy_keys": "", "last_validated_at": null, "created_at": "now", "updated_at": "now",
        })
    );
}

#[tokio::test]
async fn an_aggregate_group_has_no_upstreams_of_its_own() {
    let house = House::open().await;
    let body = json!({
        "name": "all", "group_type": "aggregate", "channel_type": "gemini", "test_model": "x",
        "upstreams": "nonsense", "validation_endpoint": "no path",
    });
    let data = house.post("/api/groups", body).await.data();
    assert_eq!(data["upstreams"], json!([]));
    assert_eq!((&data["test_model"], &data["validation_endpoint"]), (&json!("-"), &json!("")));
}

#[tokio::test]
async fn every_rule_of_a_group_is_checked() {
    let house = House::open().await;
    let upstreams = |error: &str| format!("The upstreams are not valid: {error}");
    let config = |error: &str| format!("The group's configuration is not valid: {error}");
    let cases = [
        (with("name", json!("Team")), "A group name has 1 to 100 characters".to_owned()),
        (with("name", json!("a".repeat(101))), "A group name has 1 to 100 characters".to_owned()),
        (with("name", Value::Null), "A group name has 1 to 100 characters".to_owned()),
        (with("channel_type", json!("other")), "openai, openai-response, gemini, anthropic".to_owned()),
        (with("group_type", json!("other")), "standard or aggregate".to_owned()),
        (with("test_model", json!(" ")), "A test model is required".to_owned()),
        (with("validation_endpoint", json!("v1")), "The test path must be empty".to_owned()),
        (with("validation_endpoint", json!("/x?u=http://y")), "The test path must be empty".to_owned()),
        (with("upstreams", json!([])), upstreams("")),
        (with("upstreams", json!([{"url": " ", "weight": 1}])), upstreams("")),
        (with("upstreams", json!([{"url": "ftp://x", "weight": 1}])), upstreams("")),
        (with("upstreams", json!([{"url": "https://x", "weight": -1}])), upstreams("")),
        (with("upstreams", json!([{"url": "https://x"}])), upstreams("")),
        (with("upstreams", json!([{"url": "https://x", "weight": 1.5}])), upstreams("")),
        (with("config", json!({"unknown": 1})), config("unknown config field: 'unknown'")),
        (with("config", json!({"max_retries": -1})), config("")),
        (with("config", json!({"request_timeout": 1.5})), config("")),
        (with("config", json!({"failover_status_codes": "x"})), config("")),
        (
            with("header_rules", json!([{"key": "x-a", "action": "set"}, {"key": "X-A", "action": "set"}])),
            "There is more than one rule for the header X-A".to_owned(),
        ),
        (with("model_redirect_rules", json!({" ": "x"})), "The model redirects are not valid".to_owned()),
        (
            json!({"name": "a", "group_type": "aggregate", "channel_type": "openai", "model_redirect_rules": {"a": "b"}}),
            "An aggregate group cannot redirect models".to_owned(),
        ),
        (with("sort", json!(-1)), "A sort position must not be negative".to_owned()),
    ];
    for (body, message) in cases {
        house.post("/api/groups", body).await.refuses_naming(400, "VALIDATION_FAILED", &message);
    }
    let absent = json!({"name": "team", "channel_type": "openai", "test_model": "x"});
    house.post("/api/groups", absent).await.refuses_naming(400, "VALIDATION_FAILED", "The upstreams are not valid");
    for (name, value) in [
        ("sort", json!(1.0)),
        ("name", json!(5)),
        ("config", json!([])),
        ("param_overrides", json!("x")),
        ("header_rules", json!({})),
        ("model_redirect_strict", json!("yes")),
        ("model_redirect_rules", json!({"a": 1})),
    ] {
        house.post("/api/groups", with(name, value)).await.refuses_naming(400, "INVALID_JSON", name);
    }
    assert_eq!(house.get("/api/groups").await.data(), json!([]));
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let house = House::open().await;
    house.group("team", json!({})).await;
    house.post("/api/groups", wanted()).await.refuses(409, "DUPLICATE_RESOURCE", "Resource already exists");
    let other = house.group("other", json!({})).await;
    let reply = house.put(&format!("/api/groups/{other}"), json!({"name": "team"})).await;
    reply.refuses(409, "DUPLICATE_RESOURCE", "Resource already exists");
}

#[tokio::test]
async fn numbers_of_overrides_keep_their_digits() {
    let house = House::open().await;
    let overrides = r#"{"seed":12345678901234567890123,"temperature":1.0,"tiny":1e-9}"#;
    let body = format!(
        r#"{{"name":"team","channel_type":"openai","test_model":"m","upstreams":[{{"url":"https://x","weight":1}}],"param_overrides":{overrides}}}"#
    );
    house.ask(Method::POST, "/api/groups", body).await.data();
    let text = house.get("/api/groups").await.text;
    // PostgreSQL keeps numbers, and spells them and what is around them its own way.
    let kept = if house.database.engine() == crate::db::Engine::PostgreSql {
        r#"{"seed": 12345678901234567890123, "tiny": 0.000000001, "temperature": 1.0}"#
    } else {
        overrides
    };
    assert!(text.contains(kept), "{text}");
}

#[tokio::test]
async fn groups_are_listed_by_position_and_then_the_newest_first() {
    let house = House::open().await;
    for (name, sort) in [("a", 2), ("b", 1), ("c", 1)] {
        house.group(name, json!({"sort": sort})).await;
    }
    let names = async || {
        let data = house.get("/api/groups").await.data();
        data.as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["c", "b", "a"]);
    let reply = house.put("/api/groups/reorder", json!({"items": [{"id": 1, "sort": 0}, {"id": 3, "sort": 9}]})).await;
    reply.says("The order of the groups has been saved");
    assert_eq!(names().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_order_is_taken_whole_or_not_at_all() {
    let house = House::open().await;
    house.group("a", json!({"sort": 5})).await;
    for (items, message) in [
        (json!([]), "No groups to put in order were given"),
        (Value::Null, "No groups to put in order were given"),
        (json!([{"id": 1, "sort": 1}, {"sort": 1}]), "An entry has no group id"),
        (json!([{"id": 1, "sort": -1}]), "A sort position must not be negative"),
        (json!([{"id": 1, "sort": 1}, {"id": 1, "sort": 2}]), "Group 1 is listed more than once"),
        (json!([{"id": 1, "sort": 1}, {"id": 9, "sort": 2}]), "A group that was to be put in order does not exist"),
    ] {
        house.put("/api/groups/reorder", json!({"items": items})).await.refuses(400, "VALIDATION_FAILED", message);
    }
    house.put("/api/groups/reorder", json!({"items": [{"id": -1}]})).await.refuses_naming(400, "INVALID_JSON", "id");
    assert_eq!(house.get("/api/groups").await.data()[0]["sort"], 5);
}

#[tokio::test]
async fn the_brief_list_has_whole_records_with_only_the_names_filled() {
    let house = House::open().await;
    house.group("team", json!({"display_name": "Team", "sort": 3})).await;
    let expected = concat!(
        r#"[{"id":1,"effective_config":{"app_url":"","proxy_keys":"","request_log_retention_days":0,"#,
        r#""request_log_write_interval_minutes":0,"enable_request_body_logging":false,"request_timeout":0,"#,
        r#""connect_timeout":0,"idle_conn_timeout":0,"response_header_timeout":0,"max_idle_conns":0,"#,
        r#""max_idle_conns_per_host":0,"proxy_url":"","max_retries":0,"blacklist_threshold":0,"#,
        r#""failover_status_codes":"","key_validation_interval_minutes":0,"key_validation_concurrency":0,"#,
        r#""key_validation_timeout_seconds":0},"name":"team","endpoint":"","display_name":"Team","proxy_keys":"","#,
        r#""description":"","group_type":"","upstreams":null,"validation_endpoint":"","channel_type":"","sort":0,"#,
        r#""test_model":"","param_overrides":null,"config":null,"header_rules":null,"model_redirect_rules":null,"#,
        r#""model_redirect_strict":false,"api_keys":null,"last_validated_at":null,"#,
        r#""created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z"}]"#,
    );
    assert_eq!(house.get("/api/groups/list").await.data().to_string(), expected);
}

#[tokio::test]
async fn what_a_group_may_override_is_listed_with_the_current_values() {
    let house = House::open().await;
    house.put("/api/settings", json!({"max_retries": 7})).await.says("The settings have been saved and are in effect");
    let options = house.get("/api/groups/config-options").await.data();
    let keys: Vec<_> = options.as_array().unwrap().iter().map(|option| option["key"].as_str().unwrap()).collect();
    let of_the_original = [
        "request_timeout",
        "idle_conn_timeout",
        "connect_timeout",
        "max_idle_conns",
        "max_idle_conns_per_host",
        "response_header_timeout",
        "proxy_url",
        "max_retries",
        "blacklist_threshold",
        "failover_status_codes",
        "key_validation_interval_minutes",
        "key_validation_concurrency",
        "key_validation_timeout_seconds",
        "enable_request_body_logging",
    ];
    assert_eq!(keys[..of_the_original.len()], of_the_original);
    assert_eq!(
        options[7],
        json!({
            "key": "max_retries", "name": "Retries at most", "default_value": 7,
            "description": "How often a failed request is tried again with another key; 0: never",
        })
    );
    let values: Vec<_> = options.as_array().unwrap().iter().map(|option| option["default_value"].clone()).collect();
    assert_eq!(values[6], json!(""));
    assert_eq!(values[9], json!("400-403,405-999"));
    assert_eq!(values[13], json!(false));
}

#[tokio::test]
async fn an_update_changes_only_what_it_gives() {
    let house = House::open().await;
    let more = json!({"display_name": "Team", "config": {"max_retries": 1}, "proxy_keys": "sk-a", "sort": 4});
    let id = house.group("team", more).await;
    let before = house.get("/api/groups").await.data()[0].clone();
    let path = format!("/api/groups/{id}");
    let body = json!({
        "display_name": null, "sort": null, "config": {}, "name": "crew", "test_model": "", "proxy_keys": "",
        "group_type": "aggregate",
    });
    let mut after = house.put(&path, body).await.data();
    without_time(&mut after["updated_at"]);
    let mut expected = before;
    for (name, value) in [
        ("name", json!("crew")),
        ("endpoint", json!("http://localhost:3001/proxy/crew")),
        ("config", json!({})),
        ("proxy_keys", json!("")),
        ("updated_at", json!("now")),
    ] {
        expected[name] = value;
    }
    assert_eq!(after, expected);
}

#[tokio::test]
async fn an_update_is_checked_like_a_new_group() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    let path = format!("/api/groups/{id}");
    for (body, message) in [
        (json!({"name": ""}), "A group name has 1 to 100 characters"),
        (json!({"upstreams": null}), "The upstreams are not valid"),
        (json!({"channel_type": "other"}), "openai, openai-response, gemini, anthropic"),
        (json!({"test_model": " "}), "The test model must not be blank"),
        (json!({"validation_endpoint": "x"}), "The test path must be empty"),
        (json!({"config": {"app_url": "http://x"}}), "unknown config field: 'app_url'"),
        (json!({"sort": -3}), "A sort position must not be negative"),
    ] {
        house.put(&path, body).await.refuses_naming(400, "VALIDATION_FAILED", message);
    }
    house.put("/api/groups/99", json!({"name": ""})).await.refuses(404, "NOT_FOUND", "Resource not found");
    house.put("/api/groups/-1", json!({})).await.refuses(404, "NOT_FOUND", "Resource not found");
    house.put("/api/groups/x", json!({})).await.refuses(400, "BAD_REQUEST", "The group id is not valid");
}

#[tokio::test]
async fn a_change_is_in_effect_when_the_answer_arrives() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    assert!(house.directory.current().by_name.contains_key("team"));
    house.put(&format!("/api/groups/{id}"), json!({"name": "crew"})).await.data();
    let names: Vec<_> = house.directory.current().by_name.keys().cloned().collect();
    assert_eq!(names, ["crew"]);
    house.delete(&format!("/api/groups/{id}")).await.says("The group and all of its keys have been deleted");
    assert!(house.directory.current().by_name.is_empty());
}

#[tokio::test]
async fn a_deleted_group_takes_its_keys_along() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-1 sk-2"})).await.data();
    let path = format!("/api/groups/{id}");
    house.delete(&path).await.says("The group and all of its keys have been deleted");
    assert!(house.key_pools.of(id).is_none());
    assert_eq!(house.stored_keys().await, 0);
    house.delete(&path).await.refuses(404, "NOT_FOUND", "Resource not found");
}

#[tokio::test]
async fn the_endpoint_follows_the_service_address() {
    let house = House::open().await;
    house.group("team", json!({})).await;
    for (app_url, endpoint) in [
        ("https://ai.example/base//?x=1#y", "https://ai.example/base/proxy/team?x=1#y"),
        ("http://10.0.0.7:3001", "http://10.0.0.7:3001/proxy/team"),
    ] {
        house.put("/api/settings", json!({"app_url": app_url})).await;
        assert_eq!(house.get("/api/groups").await.data()[0]["endpoint"], endpoint);
    }
}

#[tokio::test]
async fn a_change_of_a_group_that_others_changed_meanwhile_is_refused() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    let path = format!("/api/groups/{id}");
    let seen = house.get("/api/groups").await.data()[0]["updated_at"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    let change = |text: &str, seen: &Value| json!({"description": text, "expected_updated_at": seen});
    let after = house.put(&path, change("one", &seen)).await.data()["updated_at"].clone();
    let refused = house.put(&path, change("two", &seen)).await;
    refused.refuses_naming(409, "CHANGED_MEANWHILE", "Somebody else has changed this");
    assert_eq!(house.get("/api/groups").await.data()[0]["description"], "one");
    // A pass of key tests is no change of the group.
    let at = crate::db::Timestamp::now();
    crate::group::queries::set_last_validated_at(&house.database, id, at).await.unwrap();
    assert_eq!(house.put(&path, change("three", &after)).await.status, 200);
    assert_eq!(house.put(&path, json!({"description": "four"})).await.status, 200, "whoever does not ask");
    let refused = house.put(&path, json!({"expected_updated_at": "yesterday"})).await;
    refused.refuses_naming(400, "INVALID_JSON", "expected_updated_at");
}
