//! Settings: shown with what belongs to them, changed, checked.

use http::Method;
use serde_json::{Value, json};

use super::House;

const SAVED: &str = "The settings have been saved and are in effect";

async fn setting(house: &House, key: &str) -> Value {
    let data = house.get("/api/settings").await.data();
    let all = data.as_array().unwrap().iter().flat_map(|category| category["settings"].as_array().unwrap());
    all.clone().find(|setting| setting["key"] == key).unwrap().clone()
}

#[tokio::test]
async fn settings_are_shown_by_category_with_real_types() {
    let house = House::open().await;
    let data = house.get("/api/settings").await.data();
    let categories: Vec<_> = data.as_array().unwrap().iter().map(|category| &category["category_name"]).collect();
    assert_eq!(categories, ["General", "Requests", "Keys"]);
    let first = setting(&house, "request_timeout").await;
    let expected = concat!(
        r#"{"key":"request_timeout","name":"Request timeout (seconds)","value":600,"type":"int","default_value":"600","#,
        r#""description":"The longest time for a request; of a stream, until it begins","category":"Requests","#,
        r#""min_value":1,"max_value":2592000,"required":true}"#,
    );
    assert_eq!(first.to_string(), expected);
    assert_eq!(setting(&house, "enable_request_body_logging").await["value"], false);
    assert_eq!(setting(&house, "failover_status_codes").await["value"], "400-403,405-999");
    assert!(setting(&house, "proxy_url").await.get("min_value").is_none());
    assert_eq!(setting(&house, "proxy_url").await["required"], false);
}

#[tokio::test]
async fn the_original_s_settings_come_in_its_order() {
    let house = House::open().await;
    let data = house.get("/api/settings").await.data();
    let keys = |category: usize| -> Vec<String> {
        let settings = data[category]["settings"].as_array().unwrap();
        settings.iter().map(|setting| setting["key"].as_str().unwrap().to_owned()).collect()
    };
    let basic = [
        "app_url",
        "proxy_keys",
        "request_log_retention_days",
        "request_log_write_interval_minutes",
        "enable_request_body_logging",
    ];
    assert_eq!(keys(0), basic);
    let request = [
        "request_timeout",
        "connect_timeout",
        "idle_conn_timeout",
        "response_header_timeout",
        "max_idle_conns",
        "max_idle_conns_per_host",
        "proxy_url",
    ];
    assert_eq!(keys(1)[..request.len()], request);
    let key = [
        "max_retries",
        "blacklist_threshold",
        "failover_status_codes",
        "key_validation_interval_minutes",
        "key_validation_concurrency",
        "key_validation_timeout_seconds",
    ];
    assert_eq!(keys(2)[..key.len()], key);
}

#[tokio::test]
async fn what_is_saved_is_in_effect_and_keeps_its_digits() {
    let house = House::open().await;
    let body = json!({
        "request_timeout": 1_000_000, "max_retries": 0.0, "enable_request_body_logging": true,
        "proxy_keys": " sk-a ,, sk-b,", "failover_status_codes": "",
    });
    house.put("/api/settings", body).await.says(SAVED);
    assert_eq!(setting(&house, "request_timeout").await["value"], 1_000_000);
    assert_eq!(setting(&house, "max_retries").await["value"], 0);
    assert_eq!(setting(&house, "enable_request_body_logging").await["value"], true);
    assert_eq!(setting(&house, "proxy_keys").await["value"], "sk-a,sk-b");
    assert_eq!(setting(&house, "failover_status_codes").await["value"], "");
    assert_eq!(house.directory.current().settings.group.request_timeout.as_secs(), 1_000_000);
}

#[tokio::test]
async fn nothing_is_saved_when_one_value_is_wrong() {
    let house = House::open().await;
    for (body, message) in [
        (json!({"nonsense": 1}), "invalid setting key: nonsense"),
        (json!({"max_retries": "3"}), "invalid type for max_retries: expected a number"),
        (json!({"max_retries": 1.5}), "invalid value for max_retries: must be an integer"),
        (json!({"max_retries": -1}), "value for max_retries (-1) is below minimum value (0)"),
        (json!({"enable_request_body_logging": 1}), "enable_request_body_logging: expected a boolean"),
        (json!({"proxy_url": 1}), "invalid type for proxy_url: expected a string"),
        (json!({"app_url": ""}), "app_url"),
        (json!({"app_url": "  "}), "app_url"),
        (json!({"app_url": "localhost:3001"}), "invalid value for app_url"),
        (json!({"proxy_keys": " , "}), "value for proxy_keys is required"),
        (json!({"failover_status_codes": "4x"}), "invalid value for failover_status_codes"),
        (json!({"max_retries": null}), "max_retries"),
    ] {
        let mut body = body;
        body["connect_timeout"] = json!(99);
        house.put("/api/settings", body).await.refuses_naming(400, "VALIDATION_FAILED", message);
    }
    assert_eq!(setting(&house, "connect_timeout").await["value"], 15);
}

#[tokio::test]
async fn an_empty_change_does_nothing() {
    let house = House::open().await;
    for body in ["{}", "null"] {
        house.ask(Method::PUT, "/api/settings", body).await.says("Success");
    }
    for body in ["[]", "5", "\"x\"", ""] {
        house.ask(Method::PUT, "/api/settings", body).await.refuses_naming(400, "INVALID_JSON", "body");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_put_into_effect_is_told_so_and_comes_into_effect_later() {
    let house = House::open().await;
    let execute = async |statement: &'static str| {
        house.database.run(statement).await;
    };
    // Settings can be stored, but what belongs to them cannot be read.
    execute("ALTER TABLE group_sub_groups RENAME TO elsewhere").await;
    let reply = house.put("/api/settings", json!({"max_retries": 7})).await;
    reply.refuses_naming(503, "NOT_YET_IN_EFFECT", "is stored, but not in effect yet");
    assert_eq!(house.directory.current().settings.group.max_retries, 3);
    execute("ALTER TABLE elsewhere RENAME TO group_sub_groups").await;
    let in_effect = async {
        while house.directory.current().settings.group.max_retries != 7 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), in_effect).await.unwrap();
}

#[tokio::test]
async fn what_is_sent_back_as_it_was_shown_is_no_change() {
    let house = House::open().await;
    house
        .database
        .run(
            "INSERT INTO system_settings (setting_key, setting_value, description) VALUES
         ('app_url', 'myhost:3001', ''), ('proxy_url', '127.0.0.1:8080', ''), ('request_timeout', '99999999', '')",
        )
        .await;
    house.directory.reload().await.unwrap();
    // A console sends every setting, whatever was changed.
    let mut all = json!({});
    for category in house.get("/api/settings").await.data().as_array().unwrap() {
        for setting in category["settings"].as_array().unwrap() {
            all[setting["key"].as_str().unwrap()] = setting["value"].clone();
        }
    }
    assert_eq!(all["app_url"], "myhost:3001");
    all["max_retries"] = json!(7);
    all["proxy_keys"] = json!("sk-a");
    house.put("/api/settings", all.clone()).await.says(SAVED);
    assert_eq!(setting(&house, "max_retries").await["value"], 7);
    all["app_url"] = json!("otherhost:3001");
    house.put("/api/settings", all).await.refuses_naming(400, "VALIDATION_FAILED", "app_url");
}

#[tokio::test]
async fn texts_that_no_database_keeps_are_refused() {
    let house = House::open().await;
    for key in ["app_url", "proxy_keys", "proxy_url", "failover_status_codes"] {
        let nul = house.put("/api/settings", json!({ key: "http://a\0b" })).await;
        let message = format!("invalid value for {key}: it contains the character U+0000");
        nul.refuses(400, "VALIDATION_FAILED", &message);
        let long = house.put("/api/settings", json!({ key: format!("http://{}", "x".repeat(16_000)) })).await;
        long.refuses(400, "VALIDATION_FAILED", &format!("value for {key} has more than 16000 characters"));
    }
}

#[tokio::test]
async fn a_change_of_settings_that_others_changed_meanwhile_is_refused() {
    let house = House::open().await;
    let change = async |version: &str, body: Value| {
        let request = http::Request::put("/api/settings")
            .header("authorization", format!("Bearer {}", super::MANAGEMENT_KEY))
            .header("accept-language", "en-US")
            .header("if-match", version);
        house.send(request.body(axum::body::Body::from(body.to_string())).unwrap()).await
    };
    let seen = house.get("/api/settings").await.header("etag").unwrap().to_owned();
    assert!(seen.starts_with('"') && seen.ends_with('"') && seen.len() == 34, "{seen}");
    assert_eq!(house.get("/api/settings").await.header("etag"), Some(&*seen), "nothing has changed");
    let reply = change(&seen, json!({"max_retries": 5})).await;
    let after = reply.header("etag").unwrap().to_owned();
    reply.says(SAVED);
    assert_ne!(seen, after);
    assert_eq!(house.get("/api/settings").await.header("etag"), Some(&*after));
    let message = "Somebody else has changed this since you opened it, so nothing was changed. \
                   Load it again and repeat your change";
    change(&seen, json!({"max_retries": 6})).await.refuses(409, "CHANGED_MEANWHILE", message);
    assert_eq!(setting(&house, "max_retries").await["value"], 5);
    change("*", json!({"max_retries": 7})).await.says(SAVED);
    house.put("/api/settings", json!({"max_retries": 8})).await.says(SAVED);
}
