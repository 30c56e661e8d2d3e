//! Wrong management keys, and the wait that they lead to.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{House, MANAGEMENT_KEY, Reply};
use crate::api::Clock;

struct Scene {
    house: House,
    now: Arc<Mutex<Instant>>,
}

impl Scene {
    async fn open() -> Self {
        let now = Arc::new(Mutex::new(Instant::now()));
        let steady = Arc::clone(&now);
        let house = House::with(|state| {
            state.clock = Clock { steady: Arc::new(move || *steady.lock().unwrap()), ..Clock::system() };
        })
        .await;
        Self { house, now }
    }

    fn pass(&self, seconds: u64) {
        *self.now.lock().unwrap() += Duration::from_secs(seconds);
    }

    async fn log_in(&self, from: &str, key: &str) -> Reply {
        let body = json!({"auth_key": key}).to_string();
        let request = Request::post("/api/auth/login").header("accept-language", "en").body(body.into()).unwrap();
        self.house.send_from(from.parse().unwrap(), request).await
    }

    async fn call(&self, from: &str, key: &str, language: &str) -> Reply {
        let request = Request::get("/api/channel-types").header("x-api-key", key).header("accept-language", language);
        self.house.send_from(from.parse::<IpAddr>().unwrap(), request.body(Body::empty()).unwrap()).await
    }

    async fn lock(&self, from: &str) {
        for number in 0..10 {
            assert_eq!(self.log_in(from, &format!("wrong {number}")).await.status, 401);
        }
    }
}

const STRANGER: &str = "203.0.113.9";
const OPERATOR: &str = "198.51.100.1";

#[tokio::test]
async fn too_many_wrong_keys_lock_their_address_and_the_time_left_is_told() {
    let scene = Scene::open().await;
    scene.lock(STRANGER).await;
    scene.pass(10);
    let message = "Too many wrong management keys came from your address. Try again in 20 seconds";
    for key in ["wrong", MANAGEMENT_KEY] {
        let reply = scene.log_in(STRANGER, key).await;
        reply.is(429, json!({"success": false, "message": message, "retry_after_seconds": 20}));
        assert_eq!(reply.header("retry-after"), Some("20"));
        let reply = scene.call(STRANGER, key, "en").await;
        reply.refuses(429, "TOO_MANY_FAILED_LOGINS", message);
        assert_eq!(reply.header("retry-after"), Some("20"));
    }
    scene.call(STRANGER, "wrong", "zh").await.refuses(
        429,
        "TOO_MANY_FAILED_LOGINS",
        "来自您所在地址的错误管理密钥过多，请在 20 秒后重试",
    );
    scene.call(STRANGER, "wrong", "ja").await.refuses(
        429,
        "TOO_MANY_FAILED_LOGINS",
        "お使いのアドレスから誤った管理キーが多数送られました。20 秒後にもう一度お試しください",
    );
    scene.log_in(OPERATOR, MANAGEMENT_KEY).await.is(200, json!({"success": true, "message": "Signed in"}));
    scene.pass(20);
    scene.call(STRANGER, MANAGEMENT_KEY, "en").await.data();
}

#[tokio::test]
async fn keys_count_at_every_route_and_missing_ones_nowhere() {
    let scene = Scene::open().await;
    for number in 0..5 {
        assert_eq!(scene.log_in(STRANGER, &format!("wrong {number}")).await.status, 401);
        assert_eq!(scene.log_in(STRANGER, "").await.status, 400);
        let without = Request::get("/api/groups").body(Body::empty()).unwrap();
        assert_eq!(scene.house.send_from(STRANGER.parse().unwrap(), without).await.status, 401);
        assert_eq!(scene.call(STRANGER, &format!("false {number}"), "en").await.status, 401);
    }
    assert_eq!(scene.call(STRANGER, MANAGEMENT_KEY, "en").await.status, 429);
    let without = Request::get("/api/groups").body(Body::empty()).unwrap();
    assert_eq!(scene.house.send_from(STRANGER.parse().unwrap(), without).await.status, 401);
}

#[tokio::test]
async fn a_log_in_forgets_what_was_wrong_before() {
    let scene = Scene::open().await;
    scene.lock(STRANGER).await;
    scene.pass(30);
    assert_eq!(scene.log_in(STRANGER, MANAGEMENT_KEY).await.status, 200);
    scene.lock(STRANGER).await;
    assert_eq!(scene.log_in(STRANGER, "wrong").await.header("retry-after"), Some("30"), "the first lock again");
    scene.pass(30);
    scene.call(STRANGER, MANAGEMENT_KEY, "en").await.data();
    scene.lock(STRANGER).await;
    assert_eq!(scene.log_in(STRANGER, "wrong").await.header("retry-after"), Some("60"));
}

/// A script with an old key, and the operator behind the same address.
#[tokio::test]
async fn an_old_key_that_keeps_asking_locks_nobody_out() {
    let scene = Scene::open().await;
    for _ in 0..50 {
        assert_eq!(scene.call(OPERATOR, "old", "en").await.status, 401);
        assert_eq!(scene.log_in(OPERATOR, "old").await.status, 401);
    }
    scene.call(OPERATOR, MANAGEMENT_KEY, "en").await.data();
}
