//! The upstreams of a group, with what became of the requests that went there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{House, logs::entry};
use crate::{
    api::Clock,
    request_log::{Entry, Kind},
};

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 11, 0, 0).unwrap()
}

#[tokio::test]
async fn an_upstream_shows_its_share_its_rest_and_its_last_hour() {
    // Later than all that is made here.
    let begin = Instant::now() + Duration::from_secs(60);
    let house = House::with(|state| {
        state.clock = Clock { now: Arc::new(now), steady: Arc::new(move || begin), ..Clock::system() };
    })
    .await;
    let upstreams = json!([
        {"url": "https://me:secret@a.example.com/v1", "weight": 3}, {"url": "https://b.example.com", "weight": 1},
        {"url": "https://off.example.com", "weight": 0},
    ]);
    let id = house.group("team", json!({"upstreams": upstreams})).await;
    let to = |minutes: i64, address: &str, entry: Entry| Entry {
        ended_at: now() - TimeDelta::minutes(minutes),
        request_id: Uuid::now_v7(),
        upstream_addr: address.to_owned(),
        ..entry
    };
    let chat = "https://a.example.com/v1/chat/completions";
    house
        .log([
            to(70, chat, entry(200)),
            to(50, chat, entry(200)),
            to(40, chat, Entry { kind: Kind::Retry, ..entry(503) }),
            to(30, chat, entry(200)),
            to(20, "https://b.example.com/chat/completions", entry(200)),
            to(10, "https://elsewhere.example.com/", entry(200)),
        ])
        .await;
    house.directory.current().by_name["team"].upstreams.failed(1, begin);
    let path = format!("/api/groups/{id}/upstreams");
    assert_eq!(
        house.get(&path).await.data(),
        json!([
            {
                "url": "https://a.example.com/v1", "weight": 3, "share": 1, "resting_until": null,
                "last_failure": {"at": "2026-11-23T10:20:00Z", "status_code": 503, "message": "Incorrect API key"},
                "requests": 3, "failures": 1, "p50_duration_ms": 250, "p95_duration_ms": 250,
            },
            {
                "url": "https://b.example.com", "weight": 1, "share": 0, "resting_until": "2026-11-23T11:00:01Z",
                "last_failure": null, "requests": 1, "failures": 0, "p50_duration_ms": 250, "p95_duration_ms": 250,
            },
            {
                "url": "https://off.example.com", "weight": 0, "share": 0, "resting_until": null,
                "last_failure": null, "requests": 0, "failures": 0, "p50_duration_ms": null, "p95_duration_ms": null,
            },
        ])
    );
}

#[tokio::test]
async fn an_aggregate_has_no_upstreams_and_what_is_no_group_is_not_found() {
    let house = House::open().await;
    let all = house.group("all", json!({"group_type": "aggregate"})).await;
    assert_eq!(house.get(&format!("/api/groups/{all}/upstreams")).await.data(), json!([]));
    house.get("/api/groups/99/upstreams").await.refuses(404, "NOT_FOUND", "Resource not found");
}

#[tokio::test]
async fn what_cannot_be_used_is_shown_as_such() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    house
        .execute("UPDATE groups SET upstreams = '[{\"url\": \"me:secret@nowhere\", \"weight\": \"x\"}]' WHERE id = 1")
        .await;
    house.directory.reload().await.unwrap();
    let shown = house.get(&format!("/api/groups/{id}/upstreams")).await.data();
    assert_eq!((&shown[0]["url"], &shown[0]["weight"]), (&json!("nowhere"), &Value::Null));
    assert_eq!((&shown[0]["requests"], &shown[0]["share"]), (&Value::Null, &json!(0)));
}
