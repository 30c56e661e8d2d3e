//! The first page: its cards, its chart, its warnings.

use std::sync::Arc;

use axum::body::Body;
use chrono::{DateTime, FixedOffset, Utc};
use http::Request;
use serde_json::{Value, json};

use super::{House, MANAGEMENT_KEY, stats::house_at_a_quarter_past_ten};
use crate::{api::Clock, crypto::Secret, db::Timestamp};

fn at(text: &str) -> DateTime<Utc> {
    Timestamp::parse_stored(text).unwrap().0
}

#[tokio::test]
async fn a_fresh_installation_shows_zeros() {
    let house = House::open().await;
    let card = json!({"value": 0, "trend": 0, "trend_is_growth": true});
    let mut reply = house.get("/api/dashboard/stats").await.json();
    let warnings = reply["data"]["security_warnings"].take();
    assert_eq!(
        reply,
        json!({"code": 0, "message": "Success", "data": {
            "key_count": {"value": 0, "sub_value_tip": "Invalid keys", "trend": 0, "trend_is_growth": false},
            "rpm": card, "request_count": card, "error_rate": card, "security_warnings": null,
        }})
    );
    let types: Vec<_> = warnings.as_array().unwrap().iter().map(|warning| warning["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["AUTH_KEY", "ENCRYPTION_KEY"]);
    assert_eq!(
        warnings[0],
        json!({
            "type": "AUTH_KEY", "message": "AUTH_KEY is too short: 13 bytes", "severity": "high",
            "suggestion": "Use at least 16 random characters, better 32",
        })
    );
    assert_eq!(
        warnings[1],
        json!({
            "type": "ENCRYPTION_KEY", "message": "ENCRYPTION_KEY is not set, so keys are stored in clear",
            "severity": "high", "suggestion": "Set ENCRYPTION_KEY to a long random text and encrypt the stored keys",
        })
    );
    assert_eq!(warnings.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_cards_show_keys_requests_and_how_they_moved() {
    let house = house_at_a_quarter_past_ten().await;
    let id = house.group("team", json!({})).await;
    house.group("all", json!({"group_type": "aggregate"})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-1 sk-2 sk-3"})).await.data();
    house.invalidate(id, &["sk-2"]);
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count, retry_count, aborted_count)
             VALUES ('2026-11-23 10:00:00+00:00', 1, 15, 1, 7, 8), ('2026-11-22 11:00:00+00:00', 1, 0, 1, 0, 0),
                    ('2026-11-22 10:00:00+00:00', 1, 18, 2, 1, 1), ('2026-11-23 10:00:00+00:00', 2, 99, 99, 9, 9);
             INSERT INTO request_logs (id, timestamp, group_id, request_type, is_success, status_code, duration, is_stream)
             VALUES ('1', '2026-11-23 10:14:00+00:00', 1, 'final', true, 200, 1, false),
                    ('2', '2026-11-23 10:13:00+00:00', 1, 'retry', false, 500, 1, false),
                    ('3', '2026-11-23 10:04:00+00:00', 1, 'final', true, 200, 1, false),
                    ('4', '2026-11-23 10:03:00+00:00', 1, 'final', true, 200, 1, false)",
        )
        .await;
    let data = house.get("/api/dashboard/stats").await.data();
    let key_count =
        json!({"value": 2, "sub_value": 1, "sub_value_tip": "Invalid keys", "trend": 0, "trend_is_growth": false});
    assert_eq!(data["key_count"], key_count);
    assert_eq!(data["rpm"], json!({"value": 0.1, "trend": -50, "trend_is_growth": false}));
    let fifteen_percent_less = (17.0 - 20.0) / 20.0 * 100.0;
    assert_eq!(data["request_count"]["value"], 17);
    assert!((data["request_count"]["trend"].as_f64().unwrap() - fifteen_percent_less).abs() < 1e-9);
    assert_eq!(data["request_count"]["trend_is_growth"], false);
    let rate = 2.0 / 17.0 * 100.0;
    assert!((data["error_rate"]["value"].as_f64().unwrap() - rate).abs() < 1e-9);
    assert!((data["error_rate"]["trend"].as_f64().unwrap() - (rate - 10.0)).abs() < 1e-9);
    assert_eq!(data["error_rate"]["trend_is_growth"], false);
}

#[tokio::test]
async fn good_secrets_are_not_warned_of_and_bad_ones_by_their_place() {
    let house = House::with(|state| {
        state.auth_key = Secret::new("xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3:");
        state.encryption_key = Some(Secret::new("xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3;"));
    })
    .await;
    let get = async || {
        let request = Request::get("/api/dashboard/stats").header("x-api-key", "xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3:");
        let reply = house.send(request.header("accept-language", "en").body(Body::empty()).unwrap()).await;
        reply.data()["security_warnings"].clone()
    };
    assert_eq!(get().await, Value::Null);
    house
        .execute(
            "INSERT INTO groups (id, name, group_type, upstreams, channel_type, test_model, sort, proxy_keys) VALUES
             (1, 'b', 'standard', '[]', 'openai', '', 9, 'xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3:, tiny'),
             (2, 'a', 'aggregate', '[]', 'openai', '', 1, 'hW8!gN1?fL5*jD3:qwerty')",
        )
        .await;
    let shown: Vec<_> = get()
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| json!([warning["type"], warning["severity"], warning["message"]]))
        .collect();
    assert_eq!(
        shown,
        [
            json!(["Proxy key of group [b] #2", "high", "Proxy key of group [b] #2 is too short: 4 bytes"]),
            json!(["Proxy key of group [a] #1", "medium", "Proxy key of group [a] #1 is rather short: 22 bytes"]),
            json!([
                "Proxy key of group [a] #1",
                "high",
                "Proxy key of group [a] #1 contains \"qwerty\", which is guessed first"
            ]),
        ]
    );
}

#[tokio::test]
async fn figures_that_cannot_be_counted_are_told() {
    let house = House::open().await;
    house.execute("ALTER TABLE group_hourly_stats RENAME TO elsewhere").await;
    let message = "The requests of the last days could not be counted";
    house.get("/api/dashboard/stats").await.refuses(500, "DATABASE_ERROR", message);
    house.get("/api/dashboard/chart").await.refuses(500, "DATABASE_ERROR", "The data of the chart could not be read");
    house.execute("ALTER TABLE request_logs RENAME TO elsewhere_too").await;
    let message = "The requests per minute could not be counted";
    house.get("/api/dashboard/stats").await.refuses(500, "DATABASE_ERROR", message);
}

async fn chart_in(offset: fn(DateTime<Utc>) -> FixedOffset, now: &'static str) -> Value {
    let house = House::with(|state| {
        state.clock = Clock { now: Arc::new(move || at(now)), local_offset: offset, ..Clock::system() };
    })
    .await;
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count) VALUES
             ('2026-11-01 05:00:00+00:00', 1, 1, 2), ('2026-11-01 06:00:00+00:00', 1, 3, 4),
             ('2026-11-01 06:00:00+00:00', 2, 5, 6)",
        )
        .await;
    house.get("/api/dashboard/chart").await.data()
}

fn hours(first: usize, counts: &[i64]) -> Vec<i64> {
    let mut hours = vec![0; 24];
    hours[first..first + counts.len()].copy_from_slice(counts);
    hours
}

#[tokio::test]
async fn the_chart_shows_24_whole_hours_of_utc() {
    let chart = chart_in(|_| FixedOffset::east_opt(0).unwrap(), "2026-11-01 06:59:59.9+00:00").await;
    let labels = chart["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 24);
    assert_eq!((&labels[0], &labels[23]), (&json!("2026-10-31T07:00:00Z"), &json!("2026-11-01T06:00:00Z")));
    assert_eq!(
        chart["datasets"],
        json!([
            {"label": "Successful requests", "data": hours(22, &[1, 8]), "color": "rgba(10, 200, 110, 1)"},
            {"label": "Errors", "data": hours(22, &[2, 10]), "color": "rgba(255, 70, 70, 1)"},
        ])
    );
}

#[tokio::test]
async fn labels_are_in_the_server_s_zone_whatever_it_is() {
    let kolkata = chart_in(|_| FixedOffset::east_opt(19_800).unwrap(), "2026-11-01 06:10:00+00:00").await;
    assert_eq!(kolkata["labels"][0], "2026-10-31T12:30:00+05:30");
    assert_eq!(kolkata["labels"][23], "2026-11-01T11:30:00+05:30");
    assert_eq!(kolkata["datasets"][0]["data"], json!(hours(22, &[1, 8])));
    let shanghai = chart_in(|_| FixedOffset::east_opt(28_800).unwrap(), "2026-11-01 06:10:00+00:00").await;
    assert_eq!(shanghai["labels"][23], "2026-11-01T14:00:00+08:00");
    // New York puts its clocks back at 06:00 UTC on this day: the hour after one o'clock comes twice.
    let new_york = |at: DateTime<Utc>| {
        let summer_ends = DateTime::from_timestamp(1_793_512_800, 0).unwrap();
        FixedOffset::west_opt(if at < summer_ends { 4 } else { 5 } * 3_600).unwrap()
    };
    let chart = chart_in(new_york, "2026-11-01 07:10:00+00:00").await;
    assert_eq!(chart["labels"][0], "2026-10-31T04:00:00-04:00");
    assert_eq!(
        chart["labels"].as_array().unwrap()[20..],
        [
            json!("2026-11-01T00:00:00-04:00"),
            json!("2026-11-01T01:00:00-04:00"),
            json!("2026-11-01T01:00:00-05:00"),
            json!("2026-11-01T02:00:00-05:00")
        ]
    );
    assert_eq!(chart["datasets"][1]["data"], json!(hours(21, &[2, 10])));
}

#[tokio::test]
async fn the_chart_of_one_group_is_its_own_and_an_unknown_group_s_is_empty() {
    let house = house_at_a_quarter_past_ten().await;
    house.group("all", json!({"group_type": "aggregate"})).await;
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count)
             VALUES ('2026-11-23 10:00:00+00:00', 1, 1, 2), ('2026-11-23 10:00:00+00:00', 2, 3, 4)",
        )
        .await;
    let data = async |query: &str| {
        let chart = house.get(&format!("/api/dashboard/chart{query}")).await.data();
        json!([chart["datasets"][0]["data"][23], chart["datasets"][1]["data"][23]])
    };
    assert_eq!(data("?groupId=1").await, json!([1, 2]));
    assert_eq!(data("?groupId=2").await, json!([3, 4]));
    assert_eq!(data("").await, json!([3, 4]), "an aggregate's requests are counted for its members");
    assert_eq!(data("?groupId=").await, json!([3, 4]));
    let empty = house.get("/api/dashboard/chart?groupId=99").await.data();
    for dataset in empty["datasets"].as_array().unwrap() {
        assert_eq!(dataset["data"], json!(vec![0; 24]));
    }
    for wrong in ["x", "1.5", "99999999999999999999"] {
        house.get(&format!("/api/dashboard/chart?groupId={wrong}")).await.refuses(
            400,
            "BAD_REQUEST",
            "The parameter groupId must be the id of a group, an integer",
        );
    }
}

/// The original's console draws a line as one of errors when its label holds one of these words.
#[tokio::test]
async fn the_console_knows_the_line_of_errors_in_every_language() {
    let house = House::open().await;
    for (language, word) in [("zh-CN", "失败"), ("en-US", "Error"), ("ja-JP", "エラー")] {
        let request = Request::get("/api/dashboard/chart").header("x-api-key", MANAGEMENT_KEY);
        let reply = house.send(request.header("accept-language", language).body(Body::empty()).unwrap()).await;
        let datasets = &reply.data()["datasets"];
        assert!(datasets[1]["label"].as_str().unwrap().contains(word));
        assert!(!datasets[0]["label"].as_str().unwrap().contains(word));
    }
}

#[tokio::test]
async fn deleting_an_aggregate_deletes_its_figures_so_that_nothing_counts_twice() {
    let house = house_at_a_quarter_past_ten().await;
    let team = house.group("team", json!({})).await;
    let all = house.group("all", json!({"group_type": "aggregate"})).await;
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count)
             VALUES ('2026-11-23 10:00:00+00:00', 1, 5), ('2026-11-23 10:00:00+00:00', 2, 5)",
        )
        .await;
    let total = async || house.get("/api/dashboard/stats").await.data()["request_count"]["value"].clone();
    assert_eq!(total().await, 5);
    house.delete(&format!("/api/groups/{all}")).await;
    assert_eq!(total().await, 5);
    let left: Vec<i64> = house.database.column_of("SELECT group_id FROM group_hourly_stats").await;
    assert_eq!(left, [team]);
    house.delete(&format!("/api/groups/{team}")).await;
    assert_eq!(total().await, 5, "what a standard group did stays done");
}

#[tokio::test]
async fn keys_that_do_not_fit_the_passphrase_are_told() {
    let house = House::open().await;
    let fits = json!({"has_mismatch": false, "scenario_type": "", "message": "", "suggestion": ""});
    assert_eq!(house.get("/api/dashboard/encryption-status").await.data(), fits);
    let id = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-1 sk-2"})).await.data();
    assert_eq!(house.get("/api/dashboard/encryption-status").await.data(), fits);
    house.execute("UPDATE api_keys SET key_hash = 'keyed'").await;
    assert_eq!(
        house.get("/api/dashboard/encryption-status").await.data(),
        json!({
            "has_mismatch": true, "scenario_type": "key_not_configured",
            "message": "The stored keys are encrypted, but ENCRYPTION_KEY is not set",
            "suggestion": "Set ENCRYPTION_KEY to the value that the keys were stored with",
        })
    );
    house.execute("ALTER TABLE api_keys RENAME TO elsewhere").await;
    assert_eq!(house.get("/api/dashboard/encryption-status").await.data(), fits);
}
