//! What becomes of a request whose key or upstream fails.

use serde_json::json;
use testkit::{Ending, MockUpstream, Play, TempServer};

use crate::support::{NOBODY, ask, house};

/// proxy.md 9
#[tokio::test]
async fn a_refused_key_is_followed_by_another_and_the_client_does_not_notice() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_always("sk-a", Play::status(401));
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
}

/// proxy.md 9, 11
#[tokio::test]
async fn with_every_key_tried_the_upstreams_last_word_is_passed_on() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_any_always(Play::status(429).header("Retry-After", "7").body("{\"error\":{\"message\":\"slow\"}}"));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.text(), "{\"error\":{\"message\":\"slow\"}}");
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"], "no key is asked twice");
}

/// proxy.md 1
#[tokio::test]
async fn a_key_leaves_after_consecutive_refusals_only() {
    let (mock, server) = house(json!({ "config": { "blacklist_threshold": 2, "max_retries": 0 } }), &["sk-a"]).await;
    mock.play("sk-a", [Play::status(401), Play::usual(), Play::status(401), Play::status(401)]);
    for expected in [401, 200, 401, 401, 503] {
        assert_eq!(ask(&server, "g").await.status, expected);
    }
}

/// proxy.md 3, 28
#[tokio::test]
async fn an_upstream_that_is_down_costs_no_key_and_the_other_one_serves() {
    let mock = MockUpstream::start().await;
    let upstreams = json!([{ "url": NOBODY, "weight": 1 }, { "url": mock.base_url(), "weight": 1 }]);
    let server = TempServer::start().await;
    let group = server.create_group("g", "openai", NOBODY, json!({ "upstreams": upstreams })).await;
    server.add_keys(group, &["sk-a"]).await;
    for _ in 0..4 {
        assert_eq!(ask(&server, "g").await.status, 200);
    }
    let keys = server.managed("GET", &format!("/api/keys?group_id={group}"), None).await;
    assert_eq!(keys["items"][0]["failure_count"], 0);
}

/// proxy.md 29, 31, 35
#[tokio::test]
async fn work_that_may_have_been_done_is_not_done_twice() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_any_always(Play::reset());
    let answer = ask(&server, "g").await;
    assert_eq!(answer.status, 502);
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    assert_eq!(mock.requests().len(), 1);
}

/// proxy.md 24
#[tokio::test]
async fn an_aggregate_goes_on_to_another_member_when_one_is_down() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let down = server.create_group("down", "openai", NOBODY, json!({})).await;
    let up = server.create_group("up", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(down, &["sk-down"]).await;
    server.add_keys(up, &["sk-up"]).await;
    server.create_aggregate("all", "openai", &[(down, 10), (up, 1)]).await;
    for _ in 0..3 {
        assert_eq!(ask(&server, "all").await.status, 200);
    }
    assert_eq!(mock.keys_seen(), ["sk-up"; 3]);
}

/// proxy.md 30
#[tokio::test]
async fn a_model_list_that_stalls_ends_with_the_request_timeout() {
    let rules = json!({ "config": { "request_timeout": 1 }, "model_redirect_rules": { "fast": "mock-small" } });
    let (mock, server) = house(rules, &["sk-a"]).await;
    mock.play_any_always(Play::usual().then(Ending::HangAfter(10)));
    assert_eq!(server.proxied("GET", "/proxy/g/v1/models", None).await.status, 504);
}
