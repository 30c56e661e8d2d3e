//! The page about this node.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{FixedOffset, TimeZone as _, Utc};
use serde_json::{Value, json};

use super::{House, logs::entry};
use crate::{
    api::Clock,
    crypto::Secret,
    metrics::Gauges,
    request_log::{Entry, RequestLog},
};

#[tokio::test]
async fn a_node_says_what_it_runs_on() {
    let log = RequestLog::new(1);
    log.submit(0, entry(200));
    let house = House::with(|state| {
        let now = Utc.with_ymd_and_hms(2026, 11, 23, 22, 15, 30).unwrap();
        let begin = Instant::now();
        let steady = Arc::new(move || begin + Duration::from_secs(90));
        let local_offset = |_| FixedOffset::east_opt(5 * 3600 + 1800).unwrap();
        state.started_at = begin;
        state.clock = Clock { now: Arc::new(move || now), steady, local_offset };
        state.encryption_key = Some(Secret::new("a passphrase"));
        state.request_log = log;
        state.metrics.watch(Gauges {
            requests_in_flight: Box::new(|| 3),
            streams_in_flight: Box::new(|| 1),
            connections: Box::new(|| 7),
            requests_max: 100,
            connections_max: 200,
            on_duty: Box::new(|| 1),
            cluster_behind: Box::new(|| 0),
            redis_connected: None,
            redis_commands: Box::new(|| 0),
            database_uses: Box::new(|| 0),
        });
    })
    .await;
    house.log([Entry { ended_at: Utc.with_ymd_and_hms(2026, 11, 20, 1, 2, 3).unwrap(), ..entry(200) }]).await;
    let mut data = house.get("/api/system").await.data();
    assert!(data["memory_bytes"].take().as_u64().unwrap() > 1_000_000);
    assert_eq!(data["node"]["id"].take(), house.database.node());
    let database = data["database"].take();
    assert_eq!(database["engine"], house.database.engine().name());
    assert!(!database["version"].as_str().unwrap().is_empty());
    assert!(database["size_bytes"].as_i64().unwrap() > 0);
    assert_eq!(database["oldest_log_entry_at"], "2026-11-20T01:02:03Z");
    if house.database.engine().is_sqlite() {
        assert_eq!((&database["log_rows"], &database["log_bytes"]), (&json!(1), &Value::Null));
    }
    assert_eq!(
        data,
        json!({
            "version": env!("CARGO_PKG_VERSION"), "started_at": "2026-11-23T22:14:00Z", "uptime_seconds": 90,
            "time_zone": "+05:30", "node": {"id": null, "role": "master"}, "database": null, "redis": null,
            "request_log": {"pending": 1, "dropped_total": 0, "write_interval_ms": 500}, "memory_bytes": null,
            "open_connections": 7, "requests_in_flight": 3, "worker_threads": 1,
            "limits": {
                "proxied_requests_max": 100, "connections_max": 200, "request_body_buffered_bytes_max": 1_000,
                "request_body_bytes_max": 2_000, "management_requests_max": 256,
                "management_body_bytes_max": 67_108_864, "key_list_bytes_max": 268_435_456,
                "keys_per_call_max": 5_000, "keys_per_task_max": 2_000_000, "page_size_max": 1_000,
                "log_watchers_max": 32, "log_entries_pending_max": 100_000, "log_rows_summed_exactly_max": 50_000,
            },
            "retention_days": 7, "encryption": {"is_on": true}, "read_only": false, "update": null,
        })
    );
}

#[tokio::test]
async fn what_is_not_known_is_null_and_the_rest_is_shown() {
    let house = House::open().await;
    house.execute("ALTER TABLE request_logs RENAME TO elsewhere").await;
    let data = house.get("/api/system").await.data();
    assert_eq!(data["database"]["oldest_log_entry_at"], Value::Null);
    assert!(data["database"]["version"].is_string(), "what was told before is shown");
    for unknown in ["open_connections", "requests_in_flight", "redis"] {
        assert_eq!(data[unknown], Value::Null, "{unknown}");
    }
    assert_eq!((&data["limits"]["connections_max"], &data["encryption"]["is_on"]), (&Value::Null, &json!(false)));
}
