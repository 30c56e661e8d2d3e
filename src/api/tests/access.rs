//! Every route, without and with a wrong key; and what may be asked for without one.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use super::{House, MANAGEMENT_KEY};
use crate::api::routes::{self, Access, Verb};

fn method(verb: Verb) -> Method {
    match verb {
        Verb::Get | Verb::Any => Method::GET,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
        Verb::Delete => Method::DELETE,
    }
}

fn request(verb: Verb, target: &str) -> http::request::Builder {
    Request::builder().method(method(verb)).uri(target)
}

fn target(path: &str) -> String {
    path.replace("{id}", "1").replace("{sub_group_id}", "2").replace("{group}", "team")
}

#[tokio::test]
async fn every_managed_route_refuses_without_and_with_a_wrong_key() {
    let house = House::open().await;
    let managed: Vec<_> = routes::table().into_iter().filter(|route| route.access == Access::Managed).collect();
    assert!(managed.len() > 20);
    // Wrong keys are counted by address: each request has its own.
    let mut addresses = (1..).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)));
    for route in managed {
        let target = target(route.path);
        let requests = [
            request(route.verb, &target).body(Body::empty()),
            request(route.verb, &target).header("authorization", "Bearer wrong").body(Body::empty()),
            request(route.verb, &target).header("x-api-key", "wrong").body(Body::empty()),
            request(route.verb, &format!("{target}?key=wrong"))
                .header("authorization", format!("Bearer {MANAGEMENT_KEY}"))
                .body(Body::empty()),
        ];
        for request in requests {
            let reply = house.send_from(addresses.next().unwrap(), request.unwrap()).await;
            reply.refuses(401, "UNAUTHORIZED", "Authentication failed");
        }
    }
}

#[tokio::test]
async fn a_managed_route_opens_with_the_key_in_each_place() {
    let house = House::open().await;
    let requests = [
        request(Verb::Get, "/api/channel-types?key=sk-management"),
        request(Verb::Get, "/api/channel-types").header("authorization", "Bearer sk-management"),
        request(Verb::Get, "/api/channel-types").header("x-api-key", "sk-management"),
        request(Verb::Get, "/api/channel-types").header("x-goog-api-key", "sk-management"),
    ];
    for request in requests {
        let reply = house.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.data(), json!(["openai", "openai-response", "gemini", "anthropic"]));
    }
}

#[tokio::test]
async fn only_these_routes_are_open() {
    let open: Vec<_> =
        routes::table().into_iter().filter(|route| route.access == Access::Open).map(|route| route.path).collect();
    // The metrics take a credential of their own; `metrics.rs` has the tests.
    let expected = [
        "/health",
        "/ready",
        "/api/auth/login",
        "/api/session",
        "/api/session",
        "/metrics",
        "/api/integration/info",
        "/proxy/{group}/api/integration/info",
        "/api/docs",
    ];
    assert_eq!(open, expected);
    for route in routes::table() {
        let method = method(route.verb);
        assert_eq!(routes::is_open(&method, route.path), route.access == Access::Open, "{method} {}", route.path);
    }
}

/// A body that never comes.
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

/// Without a key nobody can make the operator wait.
#[tokio::test]
async fn log_ins_that_stall_do_not_take_the_places_of_the_operator() {
    let house = House::open().await;
    let stalled = || Request::post("/api/auth/login").body(Body::new(Silent)).unwrap();
    let mut waiting: Vec<_> = (0..300).map(|_| Box::pin(house.send(stalled()))).collect();
    let mut refused = 0;
    for log_in in &mut waiting {
        tokio::select! {
            biased;
            reply = log_in => { assert_eq!(reply.status, 503); refused += 1; }
            () = tokio::time::sleep(std::time::Duration::from_millis(2)) => {}
        }
    }
    assert!(refused > 200, "{refused}");
    house.get("/api/channel-types").await.data();
}

/// Whoever has one address has a part of the places only, and the operator can still log in.
#[tokio::test]
async fn log_ins_that_stall_do_not_shut_the_log_in_of_another_address() {
    let house = House::open().await;
    let stranger = IpAddr::from([203, 0, 113, 9]);
    let stalled = || Request::post("/api/auth/login").body(Body::new(Silent)).unwrap();
    let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(house.send_from(stranger, stalled()))).collect();
    let mut refused = 0;
    for log_in in &mut waiting {
        tokio::select! {
            biased;
            reply = log_in => { assert_eq!(reply.status, 503); refused += 1; }
            () = tokio::time::sleep(std::time::Duration::from_millis(2)) => {}
        }
    }
    assert!(refused >= 50, "{refused}");
    let log_in = Request::post("/api/auth/login").body(Body::from(json!({"auth_key": MANAGEMENT_KEY}).to_string()));
    assert_eq!(house.send_from(IpAddr::from([198, 51, 100, 1]), log_in.unwrap()).await.status, 200);
    let probe = Request::get("/health").body(Body::empty()).unwrap();
    assert_eq!(house.send_from(stranger, probe).await.status, 200);
}

#[tokio::test]
async fn log_in_says_whether_the_key_is_right() {
    let house = House::open().await;
    let log_in = async |body: &'static str| {
        let request = Request::post("/api/auth/login").header("accept-language", "en");
        house.send(request.body(Body::from(body)).unwrap()).await
    };
    log_in(r#"{"auth_key": "sk-management"}"#).await.is(200, json!({"success": true, "message": "Signed in"}));
    log_in(r#"{"auth_key": "sk-other"}"#)
        .await
        .is(401, json!({"success": false, "message": "The management key is wrong"}));
    for body in ["", "{}", r#"{"auth_key": ""}"#, r#"{"auth_key": 5}"#, "{"] {
        let message = "The request is not valid: a management key is expected";
        log_in(body).await.is(400, json!({"success": false, "message": message}));
    }
}
