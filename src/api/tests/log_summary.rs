//! What the log adds up to, over HTTP.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    House,
    logs::{entry, used},
};
use crate::{
    api::Clock,
    request_log::{Entry, Kind, Verdict},
};

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 11, 0, 0).unwrap()
}

async fn house() -> House {
    House::with(|state| state.clock = Clock { now: Arc::new(now), ..Clock::system() }).await
}

/// So many minutes ago.
fn ago(minutes: i64, entry: Entry) -> Entry {
    Entry { ended_at: now() - TimeDelta::minutes(minutes), request_id: Uuid::now_v7(), ..entry }
}

#[tokio::test]
async fn the_last_day_is_summed_up_unless_more_is_said() {
    let house = house().await;
    let id = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-0123456789abcdef"})).await.data();
    let failed = ago(30, Entry { kind: Kind::Retry, key: used("sk-0123456789abcdef"), ..entry(401) });
    let failed_id = failed.request_id;
    house.log([ago(25 * 60, entry(200)), ago(60, entry(200)), failed, ago(10, entry(200))]).await;
    let data = house.get("/api/logs/summary?buckets=2").await.data();
    let percentiles = |all: i64| json!({"p50": all, "p90": all, "p95": all, "p99": all});
    let figures = |successes: i64, retries: i64| {
        let some = successes > 0;
        json!({
            "requests": successes, "successes": successes, "failures": 0, "aborted": 0, "retries": retries,
            "duration_ms": some.then(|| percentiles(250)), "first_byte_ms": some.then(|| percentiles(90)),
            "overhead_us": some.then(|| percentiles(85)),
        })
    };
    let bucket = |begin: &str, successes: i64, retries: i64| {
        let mut bucket = figures(successes, retries);
        bucket["begin"] = begin.into();
        bucket
    };
    let two = |value: &str| json!([{"value": value, "count": 2, "failures": 0, "p95_duration_ms": 250}]);
    let hash = data["keys"][0]["value"].clone();
    assert_eq!(hash.as_str().unwrap().len(), 64);
    assert_eq!(
        data,
        json!({
            "from": "2026-11-22T11:00:00Z", "to": "2026-11-23T11:00:00Z", "bucket_seconds": 43_200,
            "rows_in_range": 3, "rows_examined": 3, "is_estimate": false, "oldest_entry_at": "2026-11-22T10:00:00Z",
            "totals": figures(2, 1), "previous": null,
            "series": [bucket("2026-11-22T11:00:00Z", 0, 0), bucket("2026-11-22T23:00:00Z", 2, 1)],
            "status_codes": two("200"), "verdicts": two("success"), "models": two("gpt-4o"), "groups": two("team"),
            "parent_groups": [], "client_keys": two("sk-p****7890"), "source_ips": two("203.0.113.9"),
            "upstreams": [{"value": "https://api.example.com", "count": 3, "failures": 1, "p95_duration_ms": 250}],
            "keys": [{
                "value": hash, "count": 1, "failures": 1, "p95_duration_ms": 250, "key_id": 1,
                "masked": "sk-0****cdef", "group_name": "team",
            }],
            "errors": [{
                "message": "Incorrect API key", "status_code": 401, "count": 1, "last_at": "2026-11-23T10:30:00Z",
                "sample_request_id": failed_id.to_string(),
            }],
        })
    );
    // The entries of the key are found by what it is called here.
    let of_key = house.get(&format!("/api/logs?key_hash={}", hash.as_str().unwrap())).await.data();
    assert_eq!(of_key["pagination"]["total_items"], 1);
}

#[tokio::test]
async fn the_summary_agrees_with_the_first_page() {
    let house = house().await;
    house.group("team", json!({})).await;
    let entries = [
        ago(55, entry(200)),
        ago(50, entry(201)),
        ago(40, entry(500)),
        ago(30, Entry { kind: Kind::Retry, ..entry(500) }),
        ago(20, Entry { verdict: Verdict::ClientGone, ..entry(499) }),
    ];
    house.log(entries).await;
    let cards = house.get("/api/dashboard/stats").await.data();
    let totals = house.get("/api/logs/summary").await.data()["totals"].clone();
    assert_eq!(totals["requests"], cards["request_count"]["value"]);
    let rate = totals["failures"].as_f64().unwrap() / totals["requests"].as_f64().unwrap() * 100.0;
    assert!((cards["error_rate"]["value"].as_f64().unwrap() - rate).abs() < 1e-9);
    let group = house.get("/api/groups/1/stats").await.data()["stats_24_hour"].clone();
    assert_eq!((&totals["aborted"], &totals["retries"]), (&group["aborted_requests"], &group["retried_requests"]));
}

#[tokio::test]
async fn a_span_that_makes_no_sense_is_refused() {
    let house = house().await;
    for (query, field) in [
        ("buckets=0", "buckets"),
        ("buckets=501", "buckets"),
        ("buckets=many", "buckets"),
        ("start_time=2026-11-23T12:00:00Z", "start_time"),
        ("start_time=2026-11-23T10:00:00Z&end_time=2026-11-23T10:00:00Z", "start_time"),
        ("status_code=x", "status_code"),
    ] {
        house.get(&format!("/api/logs/summary?{query}")).await.refuses_naming(400, "BAD_REQUEST", field);
    }
    for query in ["", "field=body", "field=model&prefix=a%00", "field=model&buckets=x&end_time=never"] {
        assert_eq!(house.get(&format!("/api/logs/values?{query}")).await.status, 400, "{query}");
    }
    for span in ["start_time=0001-01-01T00:00:00Z", "end_time=9999-12-31T00:00:00Z", "end_time=0001-01-02T00:00:00Z"] {
        let data = house.get(&format!("/api/logs/summary?{span}")).await.data();
        assert_eq!((&data["totals"]["requests"], &data["previous"]), (&json!(0), &Value::Null), "{span}");
    }
}

#[tokio::test]
async fn values_of_a_field_are_offered_by_how_often_they_occur() {
    let house = house().await;
    let model = |name: &str| Entry { model: name.to_owned(), ..entry(200) };
    house
        .log([ago(5, model("gpt-4o")), ago(4, model("claude")), ago(3, model("gpt-4o")), ago(2, model("gpt-5"))])
        .await;
    let values = async |query: &str| house.get(&format!("/api/logs/values?{query}")).await.data();
    assert_eq!(
        values("field=model").await,
        json!({
            "values": [{"value": "gpt-4o", "count": 2}, {"value": "claude", "count": 1}, {"value": "gpt-5", "count": 1}],
            "is_estimate": false,
        })
    );
    assert_eq!(values("field=model&prefix=GPT-5").await["values"], json!([{"value": "gpt-5", "count": 1}]));
    assert_eq!(values("field=status_code&model=claude").await["values"], json!([{"value": "200", "count": 1}]));
    assert_eq!(values("field=parent_group_name").await["values"], json!([]));
}
