//! Sessions of the console: a cookie in the place of the management key.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, Request};
use serde_json::{Value, json};

use super::{House, MANAGEMENT_KEY, Reply};
use crate::api::{Clock, OverHttps};

async fn sign_in(house: &House, body: Value) -> Reply {
    let request = Request::post("/api/session").header("accept-language", "en-US");
    house.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// As a browser sends it back.
fn cookie(reply: &Reply) -> String {
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn with(cookie: &str, method: Method, target: &str) -> http::request::Builder {
    Request::builder().method(method).uri(target).header("cookie", cookie).header("accept-language", "en-US")
}

async fn get(house: &House, cookie: &str, target: &str) -> Reply {
    house.send(with(cookie, Method::GET, target).body(Body::empty()).unwrap()).await
}

/// A house whose clock the test moves.
async fn house_with_clock() -> (House, Arc<Mutex<DateTime<Utc>>>) {
    let now = Arc::new(Mutex::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let clock = Arc::clone(&now);
    let read_clock = move || -> DateTime<Utc> { *clock.lock().unwrap() };
    let house = House::with(|state| state.clock = Clock { now: Arc::new(read_clock), ..Clock::system() }).await;
    (house, now)
}

#[tokio::test]
async fn the_right_key_begins_a_session_that_opens_every_route() {
    let (house, _) = house_with_clock().await;
    let reply = sign_in(&house, json!({"auth_key": MANAGEMENT_KEY})).await;
    assert_eq!(reply.data(), json!({"expires_at": "2027-01-15T20:00:00Z"}));
    let set = reply.header("set-cookie").unwrap();
    assert!(set.ends_with("; Path=/api; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains(MANAGEMENT_KEY));
    let cookie = cookie(&reply);
    assert_eq!(get(&house, &cookie, "/api/session").await.data(), json!({"expires_at": "2027-01-15T20:00:00Z"}));
    assert_eq!(get(&house, &cookie, "/api/groups").await.data(), json!([]));
    assert_eq!(get(&house, &cookie, "/api/logs/export").await.status, 200);
}

#[tokio::test]
async fn a_remembered_session_outlives_the_browser() {
    let (house, _) = house_with_clock().await;
    let reply = sign_in(&house, json!({"auth_key": MANAGEMENT_KEY, "remember": true})).await;
    assert_eq!(reply.data(), json!({"expires_at": "2027-02-14T08:00:00Z"}));
    assert!(reply.header("set-cookie").unwrap().ends_with("; SameSite=Strict; Max-Age=2592000"));
}

#[tokio::test]
async fn a_session_over_https_is_sent_over_https_only() {
    let house = House::open().await;
    for (over_https, expected) in [(true, true), (false, false)] {
        let body = json!({"auth_key": MANAGEMENT_KEY}).to_string();
        let mut request = Request::post("/api/session").body(Body::from(body)).unwrap();
        request.extensions_mut().insert(OverHttps(over_https));
        let reply = house.send(request).await;
        assert_eq!(reply.header("set-cookie").unwrap().ends_with("; Secure"), expected);
    }
}

#[tokio::test]
async fn a_wrong_key_begins_no_session_and_too_many_lock_the_address() {
    let house = House::open().await;
    let reply = sign_in(&house, json!({"auth_key": "wrong"})).await;
    assert!(reply.header("set-cookie").is_none());
    reply.refuses(401, "UNAUTHORIZED", "The management key is wrong");
    sign_in(&house, json!({})).await.refuses_naming(400, "INVALID_JSON", "auth_key");
    let stranger = IpAddr::from([203, 0, 113, 9]);
    let attempt = async |key: &str| {
        let body = json!({"auth_key": key}).to_string();
        house.send_from(stranger, Request::post("/api/session").body(Body::from(body)).unwrap()).await
    };
    for number in 0..10 {
        assert_eq!(attempt(&format!("wrong {number}")).await.status, 401);
    }
    let locked = attempt(MANAGEMENT_KEY).await;
    assert_eq!((locked.status, locked.json()["code"].as_str()), (429, Some("TOO_MANY_FAILED_LOGINS")));
    assert_eq!(locked.header("retry-after"), Some("30"));
}

#[tokio::test]
async fn a_session_ends_and_one_that_is_used_goes_on() {
    let (house, now) = house_with_clock().await;
    let first = cookie(&sign_in(&house, json!({"auth_key": MANAGEMENT_KEY})).await);
    *now.lock().unwrap() += TimeDelta::hours(6);
    let reply = get(&house, &first, "/api/groups").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (200, None));
    *now.lock().unwrap() += TimeDelta::seconds(1);
    let reply = get(&house, &first, "/api/session").await;
    assert_eq!(reply.data(), json!({"expires_at": "2027-01-16T02:00:01Z"}));
    let second = cookie(&reply);
    *now.lock().unwrap() += TimeDelta::hours(6);
    get(&house, &first, "/api/groups").await.refuses(401, "UNAUTHORIZED", "Authentication failed");
    assert_eq!(get(&house, &second, "/api/groups").await.status, 200);
}

#[tokio::test]
async fn another_site_changes_nothing_with_a_session() {
    let house = House::open().await;
    let cookie = cookie(&sign_in(&house, json!({"auth_key": MANAGEMENT_KEY})).await);
    let body = json!({"name": "team", "group_type": "aggregate", "channel_type": "openai"}).to_string();
    let create = |header: Option<&str>| {
        let request = with(&cookie, Method::POST, "/api/groups");
        let request = header.into_iter().fold(request, |request, value| request.header("x-gpt-load-console", value));
        request.body(Body::from(body.clone())).unwrap()
    };
    for header in [None, Some("0")] {
        let reply = house.send(create(header)).await;
        let message =
            "This request came with a session, but not from the console: the header X-GPT-Load-Console: 1 is missing";
        reply.refuses(403, "FORBIDDEN", message);
    }
    assert_eq!(house.get("/api/groups").await.data(), json!([]));
    assert_eq!(house.send(create(Some("1"))).await.data()["name"], "team");
}

#[tokio::test]
async fn a_key_beside_a_session_decides() {
    let house = House::open().await;
    let cookie = cookie(&sign_in(&house, json!({"auth_key": MANAGEMENT_KEY})).await);
    let request = |key: &str| with(&cookie, Method::DELETE, "/api/groups/9").header("x-api-key", key);
    let reply = house.send(request("wrong").body(Body::empty()).unwrap()).await;
    reply.refuses(401, "UNAUTHORIZED", "Authentication failed");
    assert_eq!(house.send(request(MANAGEMENT_KEY).body(Body::empty()).unwrap()).await.status, 404);
    assert_eq!(house.get("/api/session").await.data(), json!({"expires_at": null}));
}

#[tokio::test]
async fn signing_out_takes_the_cookie_away() {
    let house = House::open().await;
    let reply = house.delete("/api/session").await;
    let set = reply.header("set-cookie").unwrap().to_owned();
    assert_eq!(set, "gpt_load_session=; Path=/api; HttpOnly; SameSite=Strict; Max-Age=0");
    reply.says("Signed out");
    let without = house.send(Request::delete("/api/session").body(Body::empty()).unwrap()).await;
    assert_eq!(without.status, 200, "also once the session has ended");
    get(&house, set.split(';').next().unwrap(), "/api/groups").await.refuses(
        401,
        "UNAUTHORIZED",
        "Authentication failed",
    );
}

#[tokio::test]
async fn a_session_of_another_management_key_opens_nothing() {
    let house = House::open().await;
    let other = House::with(|state| state.auth_key = crate::crypto::Secret::new("sk-another")).await;
    let cookie = cookie(&sign_in(&house, json!({"auth_key": MANAGEMENT_KEY})).await);
    get(&other, &cookie, "/api/groups").await.refuses(401, "UNAUTHORIZED", "Authentication failed");
}
