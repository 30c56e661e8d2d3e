//! The table is consistent, values are checked, and the database keeps them.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::{
    crypto::Secret,
    db::{self, Database},
};

fn object(value: Json) -> Map<String, Json> {
    value.as_object().unwrap().clone()
}

async fn load(database: &Database) -> Result<Settings, db::Error> {
    load_from(database.readers()).await
}

async fn rows(database: &Database) -> Vec<(String, String, String)> {
    database.rows_of("SELECT setting_key, setting_value, description FROM system_settings ORDER BY id").await
}

#[test]
fn every_setting_reads_back_what_was_written_and_nothing_else_changes() {
    for setting in TABLE {
        assert_eq!(setting.current(&Settings::default()), setting.default(), "{}", setting.key);
        let other = match setting.default() {
            Value::Count(number) => Value::Count(number + 1),
            Value::Switch(on) => Value::Switch(!on),
            Value::Text(_) if setting.key == "failover_status_codes" => Value::Text("404, 500-599".into()),
            Value::Text(_) => Value::Text("http://elsewhere:1".into()),
        };
        let mut settings = Settings::default();
        setting.write(&mut settings, &other).unwrap();
        for each in TABLE {
            let expected = if each.key == setting.key { other.clone() } else { each.default() };
            assert_eq!(each.current(&settings), expected, "{} after {}", each.key, setting.key);
        }
    }
}

#[test]
fn defaults_are_within_their_bounds() {
    for setting in TABLE {
        if let (Value::Count(default), Some((minimum, maximum))) = (setting.default(), setting.bounds()) {
            assert!((minimum..=maximum).contains(&default), "{}", setting.key);
        }
    }
}

#[test]
fn the_group_form_offers_exactly_what_a_group_may_override() {
    let mut offered: Vec<_> = overridable().map(|setting| setting.key).collect();
    let mut allowed: Vec<_> = TABLE.iter().filter(|s| s.may_be_overridden()).map(|s| s.key).collect();
    assert_eq!(offered.first(), Some(&"request_timeout"));
    offered.sort_unstable();
    allowed.sort_unstable();
    assert_eq!(offered, allowed);
}

#[track_caller]
fn check_refusal(wanted: Json, expected: &str) {
    assert_eq!(changes(&object(wanted), &Settings::default()).map(|_| ()).unwrap_err(), expected);
}

#[test]
fn wrong_values_are_refused() {
    check_refusal(json!({"colour": 1}), "invalid setting key: colour");
    check_refusal(json!({"max_retries": "3"}), "invalid type for max_retries: expected a number, got string");
    check_refusal(json!({"max_retries": null}), "invalid type for max_retries: expected a number, got <nil>");
    check_refusal(json!({"max_retries": 0.5}), "invalid value for max_retries: must be an integer");
    check_refusal(json!({"max_retries": -1}), "value for max_retries (-1) is below minimum value (0)");
    check_refusal(json!({"request_timeout": 0}), "value for request_timeout (0) is below minimum value (1)");
    check_refusal(json!({"max_retries": 1001}), "value for max_retries (1001) is above maximum value (1000)");
    check_refusal(
        json!({"enable_request_body_logging": "true"}),
        "invalid type for enable_request_body_logging: expected a boolean, got string",
    );
    check_refusal(json!({"app_url": true}), "invalid type for app_url: expected a string, got bool");
    check_refusal(json!({"app_url": [1]}), "invalid type for app_url: expected a string, got []interface {}");
    check_refusal(json!({"app_url": {}}), "invalid type for app_url: expected a string, got map[string]interface {}");
    check_refusal(json!({"app_url": ""}), "value for app_url is required");
    for no_address in ["localhost:3001", "10.0.0.7", "ftp://x", "http://"] {
        let message = "invalid value for app_url: it must begin with http:// or https:// and name a host";
        check_refusal(json!({"app_url": no_address}), message);
    }
    check_refusal(json!({"proxy_keys": " , ,"}), "value for proxy_keys is required");
    check_refusal(
        json!({"failover_status_codes": "abc"}),
        r#"invalid value for failover_status_codes ("abc"): invalid status code: "abc""#,
    );
    check_refusal(
        json!({"proxy_url": "ftp://user:secret@proxy"}),
        "invalid value for proxy_url: it must begin with http://, https://, socks5:// or socks5h://",
    );
}

#[test]
fn numbers_beyond_every_limit_are_refused_however_they_are_written() {
    for number in ["1e30", "-1e30", "99999999999999999999999", "-99999999999999999999999", "1e999"] {
        let wanted = serde_json::from_str(&format!(r#"{{"max_retries": {number}}}"#)).unwrap();
        assert!(changes(&wanted, &Settings::default()).is_err(), "{number}");
    }
}

#[test]
fn values_are_normalised_for_storage() {
    let wanted = json!({
        "proxy_keys": " sk-a, ,sk-b ,", "max_idle_conns": 1e6, "enable_request_body_logging": true, "max_retries": 4.0,
    });
    let changes = changes(&object(wanted), &Settings::default());
    let stored: Vec<_> = changes.unwrap().iter().map(|(setting, value)| (setting.key, value.to_string())).collect();
    let expected = [
        ("proxy_keys", "sk-a,sk-b"),
        ("max_idle_conns", "1000000"),
        ("enable_request_body_logging", "true"),
        ("max_retries", "4"),
    ];
    assert_eq!(stored, expected.map(|(key, value)| (key, value.to_owned())));
}

#[tokio::test]
async fn a_fresh_database_gets_a_row_for_each_setting() {
    let (_folder, database) = db::testing::fresh().await;
    seed(&database, "0.0.0.0", 3001, Some(&Secret::new("sk-first"))).await.unwrap();
    let rows = rows(&database).await;
    assert_eq!(rows.len(), TABLE.len());
    assert_eq!(rows[0], ("app_url".into(), "http://localhost:3001".into(), "config.app_url_desc".into()));
    assert_eq!(rows[1], ("proxy_keys".into(), "sk-first".into(), "config.proxy_keys_desc".into()));
    let retention = ("request_log_retention_days".into(), "7".into(), "config.log_retention_days_desc".into());
    assert_eq!(rows[2], retention);
}

#[tokio::test]
async fn without_a_given_proxy_key_a_strong_one_is_made() {
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (_folder, database) = db::testing::fresh().await;
        seed(&database, "", 3001, None).await.unwrap();
        let key = load(&database).await.unwrap().proxy_keys;
        assert!(
            key.starts_with("sk-") && key.len() == 51 && key[3..].bytes().all(|b| b.is_ascii_alphanumeric()),
            "{key}"
        );
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn seeding_again_changes_nothing() {
    let (_folder, database) = db::testing::fresh().await;
    seed(&database, "", 3001, None).await.unwrap();
    let before = rows(&database).await;
    seed(&database, "elsewhere", 4000, Some(&Secret::new("sk-other"))).await.unwrap();
    assert_eq!(rows(&database).await, before);
}

#[tokio::test]
async fn what_is_saved_is_in_effect_after_loading() {
    let (_folder, database) = db::testing::fresh().await;
    seed(&database, "", 3001, None).await.unwrap();
    let wanted = json!({"request_timeout": 1_000_000, "failover_status_codes": " 429 ", "upstream_http2": true});
    save(&database, &changes(&object(wanted), &Settings::default()).unwrap(), None).await.unwrap();
    let settings = load(&database).await.unwrap();
    assert_eq!(settings.group.request_timeout.as_secs(), 1_000_000);
    assert_eq!(settings.group.failover_status_codes.as_str(), " 429 ");
    assert!(settings.group.upstream_http2);
    let stored = rows(&database).await.into_iter().find(|row| row.0 == "request_timeout").unwrap();
    assert_eq!((stored.1.as_str(), stored.2.as_str()), ("1000000", "config.request_timeout_desc"));
}

#[tokio::test]
async fn settings_of_the_original_are_read() {
    let (_folder, database) = db::testing::upgraded_from_1_0_13().await;
    seed(&database, "", 3001, None).await.unwrap();
    let settings = load(&database).await.unwrap();
    assert_eq!(settings.app_url, "http://10.0.0.7:3001");
    assert_eq!(settings.proxy_keys, "sk-global");
    assert_eq!(settings.group.max_retries, 5);
    // Stored in a form that neither of us can read: the default is in effect.
    assert_eq!(settings.group.request_timeout.as_secs(), 600);
    assert_eq!(settings.group.failover_status_codes.as_str(), "400-403,405-999");
}

#[tokio::test]
async fn unusable_stored_values_fall_back_one_by_one() {
    let (_folder, database) = db::testing::fresh().await;
    database
        .run(
            "INSERT INTO system_settings (setting_key, setting_value) VALUES
         ('failover_status_codes', '5xx'), ('max_retries', '-4'), ('blacklist_threshold', '+9'),
         ('request_timeout', '99999999'), ('enable_request_body_logging', 'T'), ('upstream_http2', 'yes')",
        )
        .await;
    let group = load(&database).await.unwrap().group;
    assert!(group.failover_status_codes.contains(500), "a bad list must not mean: never");
    assert_eq!(group.max_retries, 3);
    assert_eq!(group.blacklist_threshold, 9);
    assert_eq!(group.request_timeout.as_secs(), 30 * 24 * 60 * 60);
    assert!(group.enable_request_body_logging);
    assert!(!group.upstream_http2);
}

#[test]
fn the_shown_address_is_one_that_clients_can_use() {
    assert_eq!(url_from_address("", 3001), "http://localhost:3001");
    assert_eq!(url_from_address("0.0.0.0", 80), "http://localhost:80");
    assert_eq!(url_from_address("::", 80), "http://localhost:80");
    assert_eq!(url_from_address("::1", 80), "http://[::1]:80");
    assert_eq!(url_from_address("gate.example", 80), "http://gate.example:80");
}
