//! Links to downloads that work without the management key.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, Request};
use serde_json::json;

use super::{House, MANAGEMENT_KEY, Reply};
use crate::api::Clock;

async fn follow(house: &House, method: Method, url: &str) -> Reply {
    house.send(Request::builder().method(method).uri(url).body(Body::empty()).unwrap()).await
}

async fn ticket_for(house: &House, path: &str) -> String {
    house.post("/api/download-tickets", json!({"path": path})).await.data()["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_is_made_for_a_download() {
    let house = House::open().await;
    let reply = house.post("/api/download-tickets", json!({"path": "/api/keys/export?group_id=1"})).await;
    let data = reply.data();
    let ticket = data["ticket"].as_str().unwrap();
    let url = format!("/api/keys/export?group_id=1&ticket={ticket}");
    assert_eq!(data, json!({"url": url, "ticket": ticket, "expires_in_seconds": 60}));
}

#[tokio::test]
async fn nothing_but_a_download_gets_a_ticket() {
    let house = House::open().await;
    for path in ["/api/groups", "/api/keys/export?key=sk-1", "https://example.com/api/keys/export", "x"] {
        house.post("/api/download-tickets", json!({"path": path})).await.refuses(
            400,
            "VALIDATION_FAILED",
            "The field path must be one of these downloads with its filters, without a key: \
             /api/keys/export, /api/logs/export, /api/logs/entries/export",
        );
    }
    for body in [json!({}), json!({"path": ""}), json!({"path": 1})] {
        house.post("/api/download-tickets", body).await.refuses_naming(400, "INVALID_JSON", "path");
    }
}

#[tokio::test]
async fn a_ticket_opens_its_download_for_a_minute_without_a_key() {
    let now = Arc::new(Mutex::new(Utc::now()));
    let clock = Arc::clone(&now);
    let read_clock = move || -> DateTime<Utc> { *clock.lock().unwrap() };
    let house = House::with(|state| state.clock = Clock { now: Arc::new(read_clock), ..Clock::system() }).await;
    let url = ticket_for(&house, "/api/logs/export?model=a b&is_success=false").await;
    let reply = follow(&house, Method::GET, &url).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "key_value,group_name,status_code\n"));
    let head = follow(&house, Method::HEAD, &url).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    *now.lock().unwrap() += TimeDelta::seconds(59);
    assert_eq!(follow(&house, Method::GET, &url).await.status, 200);
    *now.lock().unwrap() += TimeDelta::seconds(2);
    follow(&house, Method::GET, &url).await.refuses(401, "UNAUTHORIZED", "Authentication failed");
}

#[tokio::test]
async fn a_ticket_opens_nothing_else_and_a_key_beside_it_decides() {
    let house = House::open().await;
    let url = ticket_for(&house, "/api/logs/export?model=a").await;
    let ticket = url.split_once("ticket=").unwrap().1;
    for other in [
        format!("/api/logs/export?model=b&ticket={ticket}"),
        format!("/api/logs/export?ticket={ticket}"),
        format!("/api/logs?model=a&ticket={ticket}"),
        format!("/api/groups?ticket={ticket}"),
        format!("{url}&model=b"),
        format!("{url}0"),
        "/api/logs/export?model=a&ticket=".to_owned(),
    ] {
        follow(&house, Method::GET, &other).await.refuses(401, "UNAUTHORIZED", "Authentication failed");
    }
    assert_eq!(follow(&house, Method::POST, &url).await.status, 405);
    let with_key = |key: &str| Request::get(&url).header("x-api-key", key).body(Body::empty()).unwrap();
    assert_eq!(house.send(with_key("wrong")).await.status, 401);
    assert_eq!(house.send(with_key(MANAGEMENT_KEY)).await.status, 200);
    let old_way = format!("/api/logs/export?model=a&key={MANAGEMENT_KEY}");
    assert_eq!(follow(&house, Method::GET, &old_way).await.status, 200, "as clients of the original do");
}

#[tokio::test]
async fn the_keys_of_a_group_are_downloaded_with_a_ticket() {
    let house = House::open().await;
    let id = house.group("team", json!({})).await;
    house.post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": "sk-1 sk-2"})).await.data();
    let url = ticket_for(&house, &format!("/api/keys/export?group_id={id}&status=all")).await;
    let reply = follow(&house, Method::GET, &url).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "sk-1\nsk-2\n"));
    let disposition = reply.header("content-disposition").unwrap();
    assert!(disposition.contains("keys-team-all.txt"), "{disposition}");
}
