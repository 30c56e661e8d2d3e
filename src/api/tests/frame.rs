//! What holds for every request, whichever route it takes or misses.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use super::House;
use crate::{
    api::{
        body::BODY_BYTES_MAX,
        routes::{self, Verb},
    },
    config::Cors,
};

async fn send(house: &House, method: Method, target: &str) -> super::Reply {
    house.send(Request::builder().method(method).uri(target).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn health_is_open_and_shows_the_uptime() {
    let house = House::open().await;
    let reply = send(&house, Method::GET, "/health").await;
    let health = reply.json();
    assert_eq!((reply.status, &health["status"]), (200, &json!("healthy")));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    let timestamp = health["timestamp"].as_str().unwrap();
    assert_eq!(timestamp.len(), "2024-05-01T02:20:30Z".len());
    assert!(health["uptime"].as_str().unwrap().ends_with('s'));
    let head = send(&house, Method::HEAD, "/health").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn what_is_not_routed_is_not_found() {
    let house = House::open().await;
    for target in ["/api", "/api/", "/api/nothing", "/apifoo", "/proxy", "/proxy/team", "/api/groups/1/2/3"] {
        send(&house, Method::GET, target).await.is(404, json!({"error": "Not Found"}));
    }
    for target in ["/", "/keys", "/index.html", "/health/x"] {
        let reply = send(&house, Method::GET, target).await;
        assert_eq!((reply.status, reply.header("content-type")), (404, Some("text/plain; charset=utf-8")), "{target}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let house = House::open().await;
    let reply = send(&house, Method::PATCH, "/api/settings").await;
    reply.is(405, json!({"error": "Method Not Allowed"}));
    let mut allowed: Vec<_> = reply.header("allow").unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "PUT"]);
}

#[tokio::test]
async fn a_trailing_slash_is_redirected_away() {
    let house = House::open().await;
    let reply = send(&house, Method::GET, "/api/groups/?page=1").await;
    assert_eq!((reply.status, reply.header("location")), (301, Some("/api/groups?page=1")));
    let reply = send(&house, Method::DELETE, "/api/groups/7/").await;
    assert_eq!((reply.status, reply.header("location")), (307, Some("/api/groups/7")));
}

#[tokio::test]
async fn every_answer_has_the_protective_headers() {
    let house = House::open().await;
    for target in ["/health", "/api/groups", "/api/nothing", "/"] {
        let reply = send(&house, Method::GET, target).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
        assert_eq!(reply.header("x-frame-options"), Some("SAMEORIGIN"));
        let denied = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
        assert_eq!(reply.header("permissions-policy"), Some(denied));
    }
}

#[tokio::test]
async fn only_a_true_preflight_is_answered_without_the_route() {
    let house = House::with_cors(Some(Cors {
        origins: vec!["https://console.example".to_owned()],
        methods: vec!["GET".to_owned()],
        headers: vec!["*".to_owned()],
        credentials: true,
    }))
    .await;
    let options =
        || Request::builder().method(Method::OPTIONS).uri("/api/groups").header("origin", "https://console.example");
    let preflight = options().header("access-control-request-method", "GET").body(Body::empty()).unwrap();
    let reply = house.send(preflight).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://console.example"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("vary"), Some("Origin"));
    let no_preflight = house.send(options().body(Body::empty()).unwrap()).await;
    assert_eq!(no_preflight.status, 405);
}

#[tokio::test]
async fn texts_follow_the_wanted_language() {
    let house = House::open().await;
    let message = async |language: &'static str| {
        let request = Request::get("/api/channel-types").header("x-api-key", super::MANAGEMENT_KEY);
        let request = request.header("accept-language", language).body(Body::empty()).unwrap();
        house.send(request).await.json()["message"].clone()
    };
    assert_eq!(message("en-GB,en;q=0.5").await, "Success");
    assert_eq!(message("ja").await, "成功");
    assert_eq!(message("fr").await, "操作成功");
}

#[tokio::test]
async fn broken_bodies_are_refused_before_anything_is_looked_up() {
    let house = House::open().await;
    house.ask(Method::PUT, "/api/groups/99", "").await.refuses(400, "INVALID_JSON", "The request body is empty");
    house.ask(Method::PUT, "/api/groups/99", "{").await.refuses_naming(400, "INVALID_JSON", "not JSON");
    house.ask(Method::PUT, "/api/groups/x", "{").await.refuses(400, "BAD_REQUEST", "The group id is not valid");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_or_not_its_length_is_told() {
    let house = House::open().await;
    let whole = Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
    let reply = house.ask(Method::POST, "/api/groups", whole).await;
    reply.refuses_naming(413, "PAYLOAD_TOO_LARGE", "67108864");
    let piece = Bytes::from(vec![b' '; 1024 * 1024]);
    let pieces: VecDeque<_> = std::iter::repeat_n(piece, BODY_BYTES_MAX / (1024 * 1024) + 1).collect();
    let reply = house.ask(Method::POST, "/api/groups", Body::new(Pieces(pieces))).await;
    reply.refuses_naming(413, "PAYLOAD_TOO_LARGE", "67108864");
}

/// A body that does not tell its length.
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_change_is_finished_when_its_caller_leaves() {
    let house = House::open().await;
    let create = house.group("team", json!({}));
    tokio::select! {
        biased;
        _ = create => unreachable!("the task that creates has not run yet"),
        // Ready at once: the caller asks, and is gone.
        () = std::future::ready(()) => {}
    }
    let in_effect = async {
        while !house.directory.current().by_name.contains_key("team") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), in_effect).await.unwrap();
}

/// Bodies that are right but for one value, sent to every route that reads one.
#[tokio::test]
async fn nonsense_is_never_a_fault_of_ours() {
    let house = House::open().await;
    house.group("team", json!({})).await;
    house.group("all", json!({"group_type": "aggregate"})).await;
    let right = json!({
        "name": "other", "display_name": "", "description": "", "group_type": "standard", "channel_type": "openai",
        "upstreams": [{"url": "http://127.0.0.1:1", "weight": 1}], "sort": 1, "test_model": "m", "proxy_keys": "k",
        "validation_endpoint": "", "param_overrides": {}, "model_redirect_rules": {}, "model_redirect_strict": false,
        "config": {}, "header_rules": [{"key": "a", "value": "b", "action": "set"}], "group_id": 1, "keys_text": "k",
        "items": [{"id": 1, "sort": 1}], "sub_groups": [{"group_id": 1, "weight": 1}], "weight": 1, "notes": "n",
        "auth_key": "k", "app_url": "http://x", "max_retries": 1, "copy_keys": "none", "status": "active",
    });
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let nonsense = [
        "null",
        "-1",
        "1.5",
        "1e400",
        "99999999999999999999",
        r#""\u0000""#,
        r#""\ud800""#,
        "[{}]",
        r#"{"a": {}, "max_retries": []}"#,
        r#"[{"key": "\n", "action": "set"}]"#,
        &deep,
    ];
    for route in routes::table().into_iter().filter(|route| matches!(route.verb, Verb::Post | Verb::Put)) {
        let target = route.path.replace("{id}", "2").replace("{sub_group_id}", "1");
        let method = if route.verb == Verb::Post { Method::POST } else { Method::PUT };
        // A copy with a right body makes a group each time.
        let is_copy = route.path.ends_with("/copy");
        for name in right.as_object().unwrap().keys().filter(|name| !is_copy || *name == "copy_keys") {
            for value in nonsense {
                let mut body = right.clone();
                body[name] = json!("@");
                let body = body.to_string().replace("\"@\"", value);
                let reply = house.ask(method.clone(), &target, body).await;
                assert!(reply.status < 500, "{target} {name} {value}: {}", reply.text);
            }
        }
    }
    for id in ["0", "-1", "99999999999999999999", "1.5", "%00", "%ff", "%F0%9F%92%A9"] {
        for route in routes::table() {
            let target = route.path.replace("{id}", id).replace("{sub_group_id}", id).replace("{group}", id);
            let reply = send(&house, Method::GET, &format!("{target}?key=sk-management&group_id={id}&page={id}")).await;
            assert!(reply.status < 500, "{target}: {}", reply.text);
        }
    }
}
