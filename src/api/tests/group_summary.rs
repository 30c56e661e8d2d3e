//! The board of groups: how each of them is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{House, stats::house_at_a_quarter_past_ten};

/// The summary of the group with this name.
async fn of(house: &House, name: &str) -> Value {
    let all = house.get("/api/groups/summary").await.data();
    all.as_array().unwrap().iter().find(|group| group["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn the_board_shows_each_group_with_keys_requests_and_health() {
    let house = house_at_a_quarter_past_ten().await;
    let upstreams = json!([
        {"url": "https://a.example.com", "weight": 1}, {"url": "https://b.example.com", "weight": 2},
        {"url": "https://rests.example.com", "weight": 0},
    ]);
    let id = house.group("team", json!({"display_name": "The team", "sort": 2, "upstreams": upstreams})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-1 sk-2 sk-3 sk-4"})).await.data();
    house.invalidate(id, &["sk-2"]);
    let pool = house.key_pools.of(id).unwrap();
    let now = Instant::now();
    pool.rest(&pool.pick(&[], now).unwrap(), now + Duration::from_secs(600));
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count, retry_count, aborted_count)
             VALUES ('2026-11-23 10:00:00+00:00', 1, 15, 5, 7, 8), ('2026-11-22 11:00:00+00:00', 1, 3, 0, 0, 1),
                    ('2026-11-22 10:00:00+00:00', 1, 18, 2, 1, 1);
             INSERT INTO request_logs (id, timestamp, group_id, request_type, is_success, status_code, duration, is_stream)
             VALUES ('1', '2026-11-23 10:14:00+00:00', 1, 'final', true, 200, 1, false),
                    ('2', '2026-11-23 10:03:00+00:00', 1, 'final', true, 200, 1, false)",
        )
        .await;
    let mut team = of(&house, "team").await;
    let hours = team["hours"].take();
    assert_eq!(hours.as_array().unwrap().len(), 24);
    assert_eq!(hours[0], json!({"begin": "2026-11-22T11:00:00Z", "successes": 3, "failures": 0}));
    assert_eq!(hours[23], json!({"begin": "2026-11-23T10:00:00Z", "successes": 15, "failures": 5}));
    assert_eq!(
        team,
        json!({
            "id": id, "name": "team", "display_name": "The team", "group_type": "standard", "channel_type": "openai",
            "sort": 2, "total_keys": 4, "active_keys": 3, "resting_keys": 1, "invalid_keys": 1, "disabled_keys": 0,
            "requests_24h": 23, "failures_24h": 5, "aborted_24h": 9, "requests_per_minute": 0.1, "hours": null,
            "upstreams_total": 2, "upstreams_resting": 0, "members_total": 0, "members_usable": 0,
            "health": "warning", "health_reasons": ["high_error_rate"],
        })
    );
}

#[tokio::test]
async fn the_board_agrees_with_the_figures_of_one_group() {
    let house = house_at_a_quarter_past_ten().await;
    let id = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-1 sk-2"})).await.data();
    house.invalidate(id, &["sk-2"]);
    house
        .execute(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count, retry_count, aborted_count)
             VALUES ('2026-11-23 10:00:00+00:00', 1, 2, 1, 4, 5), ('2026-11-22 12:00:00+00:00', 1, 3, 1, NULL, NULL)",
        )
        .await;
    let board = of(&house, "team").await;
    let alone = house.get(&format!("/api/groups/{id}/stats")).await.data();
    for name in ["total_keys", "active_keys", "invalid_keys"] {
        assert_eq!(board[name], alone["key_stats"][name], "{name}");
    }
    let day = &alone["stats_24_hour"];
    assert_eq!(
        (&board["requests_24h"], &board["failures_24h"], &board["aborted_24h"]),
        (&day["total_requests"], &day["failed_requests"], &day["aborted_requests"])
    );
}

#[tokio::test]
async fn what_keeps_a_group_from_serving_is_told() {
    let house = House::open().await;
    let empty = house.group("empty", json!({})).await;
    let full = house.group("full", json!({})).await;
    let all = house.group("all", json!({"group_type": "aggregate"})).await;
    let none = house.group("none", json!({"group_type": "aggregate"})).await;
    assert!(none > all);
    house.post("/api/keys/add-multiple", json!({"group_id": full, "keys_text": "sk-1"})).await.data();
    let members = json!({"sub_groups": [{"group_id": empty, "weight": 1}, {"group_id": full, "weight": 1}]});
    house.post(&format!("/api/groups/{all}/sub-groups"), members).await;
    let health = async |name: &str| {
        let group = of(&house, name).await;
        json!([group["health"], group["health_reasons"], group["members_usable"], group["members_total"]])
    };
    assert_eq!(health("empty").await, json!(["critical", ["no_keys"], 0, 0]));
    assert_eq!(health("full").await, json!(["idle", [], 0, 0]));
    assert_eq!(health("all").await, json!(["idle", [], 1, 2]));
    assert_eq!(health("none").await, json!(["critical", ["no_usable_member"], 0, 0]));
    house.invalidate(full, &["sk-1"]);
    assert_eq!(health("full").await, json!(["critical", ["no_active_keys"], 0, 0]));
    assert_eq!(health("all").await, json!(["critical", ["no_usable_member"], 0, 2]));
    let directory = house.directory.current();
    directory.by_name["full"].upstreams.failed(0, Instant::now());
    assert_eq!(health("full").await, json!(["critical", ["no_active_keys", "all_upstreams_resting"], 0, 0]));
}

#[tokio::test]
async fn a_thousand_groups_are_shown_with_as_few_questions_as_one() {
    let house = House::open().await;
    let statements_of_one = {
        house.group("first", json!({})).await;
        let before = house.database.uses();
        house.get("/api/groups/summary").await.data();
        house.database.uses() - before
    };
    let rows: Vec<String> = (2..=1_000).map(|id| format!("({id}, 'g{id}', '[]', 'openai', 'm')")).collect();
    let insert =
        format!("INSERT INTO groups (id, name, upstreams, channel_type, test_model) VALUES {}", rows.join(","));
    house.execute(&insert).await;
    let before = house.database.uses();
    let all = house.get("/api/groups/summary").await.data();
    assert_eq!(all.as_array().unwrap().len(), 1_000);
    assert_eq!(house.database.uses() - before, statements_of_one);
}
