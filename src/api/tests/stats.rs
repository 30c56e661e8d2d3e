//! The figures of one group.

use std::sync::Arc;

use serde_json::{Value, json};

use super::House;
use crate::{api::Clock, db::Timestamp};

/// A house in which it is always 10:15 UTC on 23 November 2026.
pub(super) async fn house_at_a_quarter_past_ten() -> House {
    House::with(|state| {
        let now = Timestamp::parse_stored("2026-11-23 10:15:00+00:00").unwrap().0;
        state.clock = Clock { now: Arc::new(move || now), ..Clock::system() };
    })
    .await
}

fn window(total: i64, failed: i64, rate: Value, retried: i64, aborted: i64) -> Value {
    json!({
        "total_requests": total, "failed_requests": failed, "failure_rate": rate,
        "retried_requests": retried, "aborted_requests": aborted,
    })
}

#[tokio::test]
async fn a_group_shows_its_keys_and_its_requests() {
    let house = house_at_a_quarter_past_ten().await;
    let id = house.group("team", json!({})).await;
    let other = house.group("other", json!({})).await;
    for (group, keys) in [(id, "sk-1 sk-2 sk-3"), (other, "sk-4")] {
        house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": keys})).await.data();
    }
    house.invalidate(id, &["sk-2"]);
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count, retry_count, aborted_count)
             VALUES ('2026-11-23 10:00:00+00:00', 1, 2, 1, 4, 5), ('2026-11-20 10:00:00+00:00', 1, 3, 0, NULL, NULL),
                    ('2026-11-01 10:00:00+00:00', 1, 1, 0, 1, 0), ('2026-11-23 10:00:00+00:00', 2, 9, 9, 9, 9)",
        )
        .await;
    assert_eq!((id, other), (1, 2));
    house.get("/api/groups/1/stats").await.is(
        200,
        json!({"code": 0, "message": "Success", "data": {
            "key_stats": {
                "total_keys": 3, "active_keys": 2, "invalid_keys": 1, "disabled_keys": 0, "resting_keys": 0,
            },
            "stats_24_hour": window(3, 1, json!(0.3333), 4, 5),
            "stats_7_day": window(6, 1, json!(0.1667), 4, 5),
            "stats_30_day": window(7, 1, json!(0.1429), 5, 5),
        }}),
    );
}

#[tokio::test]
async fn an_aggregate_shows_its_requests_and_no_keys() {
    let house = house_at_a_quarter_past_ten().await;
    let all = house.group("all", json!({"group_type": "aggregate"})).await;
    house
        .execute(
            "INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('x', 'x', 1);
             INSERT INTO group_hourly_stats (time, group_id, success_count) VALUES ('2026-11-23 10:00:00+00:00', 1, 2)",
        )
        .await;
    let empty = window(2, 0, json!(0), 0, 0);
    assert_eq!(
        house.get(&format!("/api/groups/{all}/stats")).await.data(),
        json!({
            "key_stats": {"total_keys": 0, "active_keys": 0, "invalid_keys": 0, "disabled_keys": 0, "resting_keys": 0},
            "stats_24_hour": empty, "stats_7_day": empty, "stats_30_day": empty,
        })
    );
}

#[tokio::test]
async fn what_cannot_be_counted_is_told_unless_something_can() {
    let house = house_at_a_quarter_past_ten().await;
    let id = house.group("team", json!({})).await;
    let path = format!("/api/groups/{id}/stats");
    house.execute("ALTER TABLE api_keys RENAME TO elsewhere").await;
    house.get(&path).await.refuses(500, "DATABASE_ERROR", "The group's figures could not be read");
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count) VALUES ('2026-11-23 10:00:00+00:00', 1, 2)",
        )
        .await;
    let data = house.get(&path).await.data();
    assert_eq!(
        data["key_stats"],
        json!({"total_keys": 0, "active_keys": 0, "invalid_keys": 0, "disabled_keys": 0, "resting_keys": 0})
    );
    assert_eq!(data["stats_24_hour"]["total_requests"], 2);
}

#[tokio::test]
async fn a_group_that_is_not_there_has_no_figures() {
    let house = House::open().await;
    house.get("/api/groups/9/stats").await.refuses(404, "NOT_FOUND", "Resource not found");
    house.get("/api/groups/-1/stats").await.refuses(404, "NOT_FOUND", "Resource not found");
    house.get("/api/groups/x/stats").await.refuses(400, "BAD_REQUEST", "The group id is not valid");
}
