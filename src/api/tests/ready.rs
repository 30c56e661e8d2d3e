//! Whether requests should go here.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{House, Reply};

async fn ask(house: &House) -> Reply {
    house.send(Request::get("/ready").body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_server_that_can_serve_is_ready() {
    let house = House::open().await;
    let all_ok =
        json!({"database": "ok", "groups": "ok", "request_log": "ok", "cluster": "ok", "redis": "ok", "server": "ok"});
    let reply = ask(&house).await;
    reply.is(200, json!({"status": "ready", "checks": all_ok}));
    let head = house.send(Request::head("/ready").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_stop_ends_readiness_at_once_and_not_life() {
    let house = House::open().await;
    assert_eq!(ask(&house).await.status, 200);
    house.stopping.cancel();
    let checks = json!({"database": "ok", "groups": "ok", "request_log": "ok", "cluster": "ok", "redis": "ok", "server": "stopping"});
    ask(&house).await.is(503, json!({"status": "not ready", "checks": checks}));
    let health = house.send(Request::get("/health").body(Body::empty()).unwrap()).await;
    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn what_is_stored_and_not_in_effect_is_told() {
    let house = House::open().await;
    house.execute("ALTER TABLE groups RENAME TO elsewhere").await;
    house.directory.reload().await.unwrap_err();
    let checks = json!({"database": "ok", "groups": "out of date", "request_log": "ok", "cluster": "ok", "redis": "ok", "server": "ok"});
    ask(&house).await.is(200, json!({"status": "degraded", "checks": checks}));
    let strictly = house.send(Request::get("/ready?strict=true").body(Body::empty()).unwrap()).await;
    strictly.is(503, json!({"status": "not ready", "checks": checks}));
    house.execute("ALTER TABLE elsewhere RENAME TO groups").await;
    house.directory.reload().await.unwrap();
    assert_eq!(ask(&house).await.status, 200);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told() {
    let house = House::open().await;
    house.database.clone().close().await;
    let reply = ask(&house).await;
    assert_eq!((reply.status, &reply.json()["checks"]["database"]), (200, &json!("not answering")));
    let strictly = house.send(Request::get("/ready?strict=true").body(Body::empty()).unwrap()).await;
    assert_eq!(strictly.status, 503);
}

/// However busy the operator's own requests keep the readers.
#[tokio::test]
async fn long_work_on_the_database_does_not_end_readiness() {
    let house = House::open().await;
    // As many as there are, on whichever engine.
    let mut looks = Vec::new();
    for _ in 0..4 {
        looks.push(house.database.snapshot().await.unwrap());
    }
    assert_eq!(ask(&house).await.status, 200);
}
