//! The request log over HTTP: filters, pages, the file of keys, and the live stream.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use chrono::{FixedOffset, TimeZone as _, Utc};
use http::{Request, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::{House, MANAGEMENT_KEY};
use crate::{
    api::Clock,
    channel::Channel,
    crypto::Secret,
    group::Key,
    request_log::{Entry, GroupName, Kind, Observer as _, Verdict},
};

/// A request to group `team` that was answered.
pub(super) fn entry(status: u16) -> Entry {
    let failed = status >= 400;
    Entry {
        request_id: Uuid::from_u128(0x0193_5a80_0000_7000_8000_0000_0000_1234),
        attempt: 1,
        kind: Kind::Final,
        ended_at: Utc.with_ymd_and_hms(2026, 11, 23, 10, 15, 30).unwrap(),
        duration: Duration::from_millis(250),
        first_byte: Some(Duration::from_millis(90)),
        overhead: Duration::from_micros(85),
        group: Some(GroupName { id: 1, name: Arc::from("team"), channel: Channel::OpenAi }),
        parent: None,
        key: None,
        model: "gpt-4o".to_owned(),
        sent_model: Some("gpt-4o-mini".to_owned()),
        upstream_request_id: Some("req-7".into()),
        status,
        verdict: if failed { Verdict::Key } else { Verdict::Success },
        error_message: if failed { "Incorrect API key".into() } else { "".into() },
        source_ip: Some([203, 0, 113, 9].into()),
        request_path: "/proxy/team/v1/chat/completions".to_owned(),
        user_agent: "sdk/1.0".to_owned(),
        client_key: Some(Arc::from("sk-p****7890")),
        upstream_addr: "https://api.example.com/v1/chat/completions".to_owned(),
        is_stream: false,
        request_body: None,
    }
}

pub(super) fn used(text: &str) -> Option<Arc<Key>> {
    Some(Arc::new(Key { id: 1, group_id: 1, secret: Secret::new(text) }))
}

async fn statuses(house: &House, query: &str) -> Vec<u64> {
    let data = house.get(&format!("/api/logs?{query}")).await.data();
    data["items"].as_array().unwrap().iter().map(|item| item["status_code"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn an_entry_is_shown_whole() {
    let house = House::open().await;
    house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": "sk-0123456789abcdef"})).await.data();
    house.log([Entry { key: used("sk-0123456789abcdef"), ..entry(200) }]).await;
    let mut data = house.get("/api/logs").await.data();
    let hash = data["items"][0]["key_hash"].take();
    assert_eq!(hash.as_str().unwrap().len(), 64);
    let expected = concat!(
        r#"{"items":[{"id":"01935a80-0000-7000-8000-000000000003","timestamp":"2026-11-23T10:15:30Z","group_id":1,"#,
        r#""group_name":"team","parent_group_id":0,"parent_group_name":"","key_value":"sk-0123456789abcdef","#,
        r#""key_hash":null,"key_id":1,"model":"gpt-4o","is_success":true,"source_ip":"203.0.113.9","status_code":200,"#,
        r#""request_path":"/proxy/team/v1/chat/completions","duration_ms":250,"error_message":"","#,
        r#""user_agent":"sdk/1.0","request_type":"final","upstream_addr":"https://api.example.com/v1/chat/completions","#,
        r#""is_stream":false,"request_body":"","has_request_body":false,"request_id":"01935a80-0000-7000-8000-000000001234","attempt":1,"#,
        r#""first_byte_ms":90,"overhead_us":85,"verdict":"success","client_key":"sk-p****7890","sent_model":"gpt-4o-mini","upstream_request_id":"req-7"}],"#,
        r#""pagination":{"page":1,"page_size":15,"total_items":1,"total_pages":1,"total_is_exact":true,"next_cursor":null}}"#,
    );
    assert_eq!(data.to_string(), expected);
}

#[tokio::test]
async fn one_entry_is_shown_by_its_id_and_a_page_may_leave_bodies_out() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-a"})).await.data();
    let body = r#"{"model":"gpt-4o"}"#;
    house.log([Entry { request_body: Some(body.to_owned()), key: used("sk-gone"), ..entry(200) }]).await;
    let listed = house.get("/api/logs").await.data()["items"][0].clone();
    assert_eq!((&listed["request_body"], &listed["has_request_body"]), (&json!(body), &json!(true)));
    assert_eq!(listed["key_id"], Value::Null, "no stored key is that one");
    let entry_id = listed["id"].as_str().unwrap();
    assert_eq!(house.get(&format!("/api/logs/{entry_id}")).await.data(), listed);
    assert_eq!(house.get(&format!("/api/logs/{}", entry_id.to_uppercase())).await.data(), listed);
    for query in ["", "&masked=false"] {
        house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-gone"})).await.data();
        let shown = house.get(&format!("/api/logs?page=1{query}")).await.data();
        assert_eq!(shown["items"][0]["key_value"], "sk-gone");
    }
    let masked = house.get("/api/logs?masked=true").await.data()["items"][0].clone();
    assert_eq!(masked["key_value"], "****");
    assert_eq!(house.get(&format!("/api/logs/{entry_id}?masked=true")).await.data(), masked);
    house.execute("DELETE FROM api_keys WHERE id > 1").await;
    for start in ["page=1", "cursor=newest"] {
        let mut light = house.get(&format!("/api/logs?bodies=false&{start}")).await.data()["items"][0].clone();
        assert_eq!(light.get("request_body"), None);
        light["request_body"] = json!(body);
        assert_eq!(light, listed);
    }
    house.get("/api/logs?masked=some").await.refuses_naming(400, "BAD_REQUEST", "masked");
    house.get("/api/logs?bodies=some").await.refuses_naming(400, "BAD_REQUEST", "bodies");
    house.get("/api/logs/01935a80-0000-7000-8000-00000000ffff").await.refuses(404, "NOT_FOUND", "Resource not found");
    house.get("/api/logs/1").await.refuses(400, "BAD_REQUEST", "The id of the log entry is not valid");
}

#[tokio::test]
async fn a_key_that_was_moved_is_still_the_one_that_was_used() {
    let house = House::open().await;
    let (a, b) = (house.group("a", json!({})).await, house.group("b", json!({})).await);
    for group in [b, a] {
        house.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": "sk-same"})).await.data();
    }
    house.log([Entry { key: used("sk-same"), ..entry(200) }]).await;
    let key_id = async || house.get("/api/logs").await.data()["items"][0]["key_id"].clone();
    assert_eq!(key_id().await, 2, "the one of the entry's own group");
    house.execute("DELETE FROM api_keys WHERE id = 2").await;
    assert_eq!(key_id().await, 1);
    house.execute("DELETE FROM api_keys WHERE id = 1").await;
    assert_eq!(key_id().await, Value::Null);
}

#[tokio::test]
async fn entries_are_found_by_every_filter() {
    let house = House::open().await;
    let hour = |hour| Utc.with_ymd_and_hms(2026, 11, 23, hour, 0, 0).unwrap();
    let other = Some(GroupName { id: 2, name: Arc::from("Other"), channel: Channel::OpenAi });
    let mut entries = [
        Entry { ended_at: hour(1), ..entry(200) },
        Entry { ended_at: hour(2), key: used("sk-a"), ..entry(401) },
        Entry { ended_at: hour(3), kind: Kind::Retry, ..entry(429) },
        Entry {
            ended_at: hour(4),
            group: other,
            parent: Some(GroupName { id: 3, name: Arc::from("all"), channel: Channel::OpenAi }),
            ..entry(201)
        },
        Entry { ended_at: hour(5), model: "claude".to_owned(), client_key: None, ..entry(202) },
        Entry { ended_at: hour(6), source_ip: None, verdict: Verdict::ClientGone, ..entry(499) },
    ];
    for (number, entry) in (1..).zip(&mut entries) {
        entry.request_id = Uuid::from_u128(number << 32);
    }
    let second = entries[1].request_id;
    house.log(entries).await;
    for (query, expected) in [
        ("", &[499, 202, 201, 429, 401, 200][..]),
        ("parent_group_name=AL", &[201]),
        ("group_name=othe", &[201]),
        ("group_id=1", &[499, 202, 429, 401, 200]),
        ("group_id=3", &[201]),
        ("key_value=sk-a", &[401]),
        ("key_value=sk-", &[]),
        ("model=laud", &[202]),
        ("is_success=true", &[202, 201, 200]),
        ("is_success=0", &[499, 429, 401]),
        ("request_type=retry", &[429]),
        ("status_code=401", &[401]),
        ("source_ip=203.0.113.9&is_success=f", &[429, 401]),
        ("error_contains=incorrect%20api", &[499, 429, 401]),
        ("error_contains=%25", &[]),
        ("upstream_addr=nowhere.example", &[]),
        ("start_time=2026-11-23T04:00:00.000Z", &[499, 202, 201]),
        ("end_time=2026-11-23T10:00:00%2B08:00", &[401, 200]),
        ("end_time=2026-11-23T10:00:00+08:00", &[401, 200]),
        ("client_key=sk-p****7890&model=gpt", &[499, 201, 429, 401, 200]),
        ("verdict=client_gone", &[499]),
        (&format!("request_id={second}"), &[401]),
        ("group_name=&status_code=", &[499, 202, 201, 429, 401, 200]),
        ("page=2&page_size=4", &[401, 200]),
        ("page=9223372036854775807&page_size=1000", &[]),
    ] {
        assert_eq!(statuses(&house, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_goes_on_where_the_page_before_ended() {
    let house = House::open().await;
    house
        .log((0..5_u16).map(|at| Entry { request_id: Uuid::from_u128(u128::from(at) << 32), ..entry(200 + at) }))
        .await;
    let mut seen = Vec::new();
    let mut cursor = "newest".to_owned();
    loop {
        let data = house.get(&format!("/api/logs?page_size=2&cursor={cursor}")).await.data();
        seen.extend(data["items"].as_array().unwrap().iter().map(|item| item["status_code"].as_u64().unwrap()));
        assert_eq!(data["pagination"].get("total_items"), None);
        // What comes meanwhile does not move the pages.
        house.log([Entry { request_id: Uuid::now_v7(), ..entry(299) }]).await;
        let Some(next) = data["pagination"]["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(seen, [204, 203, 202, 201, 200]);
    let first = house.get("/api/logs?page_size=2").await.data();
    let next = first["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(statuses(&house, &format!("page_size=1&cursor={next}")).await, [299]);
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_refused_with_its_name() {
    let house = House::open().await;
    let long = format!("model={}", "x".repeat(501));
    for (query, field) in [
        ("is_success=maybe", "is_success"),
        ("status_code=2xx", "status_code"),
        ("group_id=0", "group_id"),
        ("group_id=-1", "group_id"),
        ("start_time=yesterday", "start_time"),
        ("end_time=2026-11-23", "end_time"),
        ("verdict=guilty", "verdict"),
        ("cursor=-1", "cursor"),
        ("cursor=x", "cursor"),
        ("error_contains=a%00b", "error_contains"),
        (&*long, "model"),
    ] {
        for route in ["logs", "logs/export"] {
            if route == "logs/export" && field == "cursor" {
                continue;
            }
            house.get(&format!("/api/{route}?{query}")).await.refuses_naming(400, "BAD_REQUEST", field);
        }
    }
}

#[tokio::test]
async fn an_entry_is_found_by_a_key_that_is_longer_than_any_text() {
    let house = House::open().await;
    let long = "k".repeat(5_000);
    house.log([Entry { key: used(&long), ..entry(401) }]).await;
    assert_eq!(statuses(&house, &format!("key_value={long}")).await, [401]);
    assert_eq!(statuses(&house, &format!("key_value={long}k")).await, [0_u64; 0]);
}

#[tokio::test]
async fn keys_of_the_log_are_exported_each_with_its_newest_entry() {
    let house = House::with(|state| {
        let now = Utc.with_ymd_and_hms(2026, 11, 23, 22, 15, 30).unwrap();
        let local_offset = |_| FixedOffset::east_opt(5 * 3600 + 1800).unwrap();
        state.clock = Clock { now: Arc::new(move || now), local_offset, ..Clock::system() };
    })
    .await;
    house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": "[\"sk,1\"]"})).await.data();
    let with_key = |number: u128, text: &str, status| Entry {
        request_id: Uuid::from_u128(number << 32),
        key: Some(Arc::new(Key { id: i64::try_from(number).unwrap(), group_id: 1, secret: Secret::new(text) })),
        ..entry(status)
    };
    house.log([with_key(1, "sk,1", 401), with_key(2, "sk,1", 200), with_key(3, "sk-0123456789abcdef", 429)]).await;
    let reply = house.get("/api/logs/export").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let disposition = "attachment; filename=log_keys_export_20261124034530.csv";
    assert_eq!(reply.header("content-disposition"), Some(disposition));
    let mut lines: Vec<_> = reply.text.split_inclusive('\n').collect();
    assert_eq!(lines.remove(0), "key_value,group_name,status_code\n");
    lines.sort_unstable();
    // One key is there, of the other only its ends are known.
    assert_eq!(lines, ["\"sk,1\",team,200\n", "sk-0****cdef,team,429\n"]);
    let reply = house.get("/api/logs/export?status_code=401").await;
    assert_eq!(reply.text, "key_value,group_name,status_code\n\"sk,1\",team,401\n");
    assert_eq!(house.get("/api/logs/export?group_name=none").await.text, "key_value,group_name,status_code\n");
}

/// The next event of a stream, without comments.
async fn event(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn the_live_stream_shows_what_passes_the_filter_until_the_server_stops() {
    let house = House::open().await;
    let request =
        Request::get("/api/logs/live?is_success=false").header(AUTHORIZATION, format!("Bearer {MANAGEMENT_KEY}"));
    let response = house.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    assert_eq!(event(&mut body).await.unwrap(), "event: open\nretry: 2000\ndata: {}\n\n");
    let mut live = house.log_live.clone();
    live.see(&[entry(200), Entry { key: used("sk-0123456789abcdef"), ..entry(401) }]);
    let shown = event(&mut body).await.unwrap();
    let data = shown
        .strip_prefix("event: entry\nid: 01935a80-0000-7000-8000-000000000003\ndata: ")
        .unwrap_or_else(|| panic!("{shown}"));
    let shown: Value = serde_json::from_str(data.trim_end()).unwrap();
    assert_eq!((&shown["status_code"], &shown["key_value"]), (&json!(401), &json!("sk-0****cdef")));
    house.stopping.cancel();
    assert_eq!(event(&mut body).await, None);
}

#[tokio::test]
async fn entries_are_exported_as_lines_with_the_columns_that_are_wanted() {
    let house = House::with(|state| {
        let now = Utc.with_ymd_and_hms(2026, 11, 23, 22, 15, 30).unwrap();
        let local_offset = |_| FixedOffset::east_opt(0).unwrap();
        state.clock = Clock { now: Arc::new(move || now), local_offset, ..Clock::system() };
    })
    .await;
    house.group("team", json!({})).await;
    let text = "sk-0123456789abcdef";
    house.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": text})).await.data();
    let quoted = Entry { model: "=1,\"2\"".to_owned(), key: used(text), ..entry(401) };
    let body = Some("{}".to_owned());
    house.log([Entry { request_body: body, ..entry(200) }, Entry { request_id: Uuid::now_v7(), ..quoted }]).await;
    let csv = house.get("/api/logs/entries/export?columns=status_code,model,key_value,is_success,verdict").await;
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=log_entries_20261123221530.csv"));
    assert_eq!(
        csv.text,
        "status_code,model,key_value,is_success,verdict\n401,\"'=1,\"\"2\"\"\",sk-0****cdef,false,key\n200,gpt-4o,,true,success\n"
    );
    let lines = house.get("/api/logs/entries/export?format=jsonl&columns=model,request_body&status_code=200").await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    assert_eq!(lines.text, "{\"model\":\"gpt-4o\",\"request_body\":\"{}\"}\n");
    // Unless told otherwise, all that a page shows, but no body and no key in clear.
    let whole = house.get("/api/logs/entries/export?format=jsonl&status_code=401").await;
    let line: Value = serde_json::from_str(&whole.text).unwrap();
    assert_eq!(line, house.get("/api/logs?status_code=401&masked=true&bodies=false").await.data()["items"][0]);
    for query in ["format=xml", "columns=secret", "columns=id,id", "status_code=x"] {
        assert_eq!(house.get(&format!("/api/logs/entries/export?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn an_export_that_fails_midway_is_broken_off() {
    let house = House::open().await;
    house.log((0..2_500_u128).map(|at| Entry { request_id: Uuid::from_u128(at << 32), ..entry(200) })).await;
    let request = Request::get("/api/logs/entries/export").header(AUTHORIZATION, format!("Bearer {MANAGEMENT_KEY}"));
    let response = house.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    house.execute("ALTER TABLE request_logs RENAME TO elsewhere").await;
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn who_comes_back_to_the_live_log_gets_first_what_passed_meanwhile() {
    let house = House::open().await;
    let entries = |statuses: std::ops::Range<u16>| {
        statuses.map(|status| Entry { request_id: Uuid::from_u128(u128::from(status) << 32), ..entry(status) })
    };
    house.log(entries(200..205)).await;
    let page = house.get("/api/logs?status_code=201").await.data();
    let last_id = page["items"][0]["id"].as_str().unwrap().to_owned();
    let watch = async |query: &str, last_id: &str| {
        let request =
            Request::get(format!("/api/logs/live?key={MANAGEMENT_KEY}{query}")).header("last-event-id", last_id);
        let response = house.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let mut body = response.into_body();
        assert!(event(&mut body).await.unwrap().starts_with("event: open"));
        body
    };
    let status = |event: String| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap().to_owned();
        let shown: Value = serde_json::from_str(&data).unwrap();
        shown["status_code"].as_u64()
    };
    let mut body = watch("", &last_id).await;
    // One of them is on its way to whoever watches as well, and is not sent twice.
    let mut live = house.log_live.clone();
    let again: Vec<Entry> = entries(204..205).collect();
    live.see(&again);
    live.see(&[Entry { request_id: Uuid::now_v7(), ..entry(299) }]);
    let mut statuses = Vec::new();
    while statuses.len() < 4 {
        statuses.push(status(event(&mut body).await.unwrap()));
    }
    assert_eq!(statuses, [Some(202), Some(203), Some(204), Some(299)]);
    let mut body = watch("&status_code=203", &last_id).await;
    assert_eq!(status(event(&mut body).await.unwrap()), Some(203));
    // Of what nobody knows, nobody can say how much followed.
    for unknown in ["01935a80-0000-7000-8000-00000000ffff", "x"] {
        let mut body = watch("", unknown).await;
        assert_eq!(event(&mut body).await.unwrap(), "event: missed\ndata: {\"count\":null}\n\n");
    }
}

#[tokio::test]
async fn so_many_watch_the_log_and_no_more() {
    let house = House::open().await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        let request = Request::get(format!("/api/logs/live?key={MANAGEMENT_KEY}")).body(Body::empty()).unwrap();
        streams.push(house.router.clone().oneshot(request).await.unwrap());
    }
    assert!(streams.iter().all(|response| response.status() == 200));
    house.get("/api/logs/live").await.refuses(503, "TOO_MANY_REQUESTS", "Too many concurrent requests");
    // Whoever leaves makes room, as soon as it is noticed.
    streams.clear();
    let again = async || {
        let request = Request::get(format!("/api/logs/live?key={MANAGEMENT_KEY}")).body(Body::empty()).unwrap();
        house.router.clone().oneshot(request).await.unwrap().status()
    };
    while again().await != 200 {
        tokio::task::yield_now().await;
    }
}
