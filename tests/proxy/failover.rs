//! What becomes of a request whose key or upstream fails.

use std::time::Duration;

use serde_json::json;
use testkit::{Ending, MockUpstream, Play, TempServer};

use crate::support::{CHAT, NOBODY, ask, house, post, question};

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

/// proxy.md 10
#[tokio::test]
async fn the_same_upstream_is_asked_again_only_after_a_growing_pause() {
    let (mock, server) = house(json!({ "config": { "max_retries": 3 } }), &["sk-a", "sk-b", "sk-c", "sk-d"]).await;
    mock.play_any_always(Play::status(503));
    assert_eq!(ask(&server, "g").await.status, 503);
    let requests = mock.requests();
    let pauses: Vec<Duration> = requests.windows(2).map(|pair| pair[1].arrived_at - pair[0].arrived_at).collect();
    // At least half of 100, 200 and 400 milliseconds: chance spreads them.
    for (pause, milliseconds) in pauses.iter().zip([50, 100, 200]) {
        assert!(*pause >= Duration::from_millis(milliseconds), "{pauses:?}");
    }
    assert_eq!(pauses.len(), 3);
}

/// proxy.md 10: a key's fault says nothing about the upstream.
#[tokio::test]
async fn the_next_key_is_tried_without_a_pause() {
    let (mock, server) = house(json!({ "config": { "max_retries": 20 } }), &keys(20)).await;
    mock.play_any_always(Play::status(401));
    let asked_at = std::time::Instant::now();
    assert_eq!(ask(&server, "g").await.status, 401);
    assert_eq!(mock.requests().len(), 20);
    // Twenty pauses would take half a minute.
    assert!(asked_at.elapsed() < Duration::from_secs(10), "{:?}", asked_at.elapsed());
}

fn keys(count: usize) -> Vec<&'static str> {
    const KEYS: [&str; 20] = [
        "sk-00", "sk-01", "sk-02", "sk-03", "sk-04", "sk-05", "sk-06", "sk-07", "sk-08", "sk-09", "sk-10", "sk-11",
        "sk-12", "sk-13", "sk-14", "sk-15", "sk-16", "sk-17", "sk-18", "sk-19",
    ];
    KEYS[..count].to_vec()
}

/// proxy.md 39
#[tokio::test]
async fn failed_attempts_give_their_connection_back() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b", "sk-c"]).await;
    mock.play_always("sk-a", Play::status(401));
    mock.play_always("sk-b", Play::status(429));
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b", "sk-c"]);
    assert_eq!(mock.connections(), 1);
}

/// proxy.md 39
#[tokio::test]
async fn an_endless_error_does_not_hold_up_the_next_attempt() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    let endless = Play::status(401).pieces(vec![vec![b'x'; 65_536]; 20]).then(Ending::HangAfter(19));
    mock.play_always("sk-a", endless);
    assert_eq!(ask(&server, "g").await.status, 200);
    mock.cancelled().await;
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
}

/// proxy.md 4
#[tokio::test]
async fn a_key_rests_as_long_as_the_upstream_says() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play("sk-a", [Play::status(429).header("Retry-After", "2")]);
    assert_eq!(ask(&server, "g").await.status, 200);
    let refused_at = mock.requests()[0].arrived_at;
    while mock.count("sk-a") == 1 {
        assert_eq!(ask(&server, "g").await.status, 200);
        assert!(refused_at.elapsed() < Duration::from_secs(20), "the key serves again");
    }
    let back_at = mock.requests().iter().rfind(|seen| seen.key == "sk-a").unwrap().arrived_at;
    assert!(back_at - refused_at >= Duration::from_secs(2), "{:?}", back_at - refused_at);
}

/// proxy.md 3, 28
#[tokio::test]
async fn an_upstream_that_says_it_is_down_rests_and_the_next_attempt_goes_elsewhere() {
    for status in [502, 503, 504] {
        let (down, up) = (MockUpstream::start().await, MockUpstream::start().await);
        down.play_any_always(Play::status(status));
        let upstreams = json!([{ "url": down.base_url(), "weight": 1 }, { "url": up.base_url(), "weight": 1 }]);
        let server = TempServer::start().await;
        let group = server.create_group("g", "openai", NOBODY, json!({ "upstreams": upstreams })).await;
        server.add_keys(group, &["sk-a"]).await;
        for _ in 0..20 {
            assert_eq!(ask(&server, "g").await.status, 200);
        }
        assert_eq!(up.requests().len(), 20);
        // Without a rest it would have been asked each second time.
        let asked = down.requests().len();
        assert!((1..10).contains(&asked), "{status}: {asked}");
        let keys = server.managed("GET", &format!("/api/keys?group_id={group}"), None).await;
        assert_eq!(keys["items"][0]["failure_count"], 0);
    }
}

/// proxy.md 29
#[tokio::test]
async fn an_idempotency_key_makes_a_post_repeatable() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play("sk-a", [Play::reset()]);
    let body = question().to_string();
    let request = post(&format!("/proxy/g{CHAT}"), "Idempotency-Key: once\r\n", body.as_bytes());
    assert_eq!(server.exchange(request).await.status, 200);
    let requests = mock.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|seen| seen.header("idempotency-key") == Some("once") && seen.text() == body));
}

/// An upstream closes idle connections as it likes; that costs no request.
#[tokio::test]
async fn a_connection_that_the_upstream_closed_is_replaced() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    for count in 1..=5 {
        mock.play_any([Play::usual().header("Connection", "close").then(Ending::UntilClose)]);
        assert_eq!(ask(&server, "g").await.status, 200);
        assert_eq!(ask(&server, "g").await.status, 200);
        assert_eq!(mock.requests().len(), 2 * count);
    }
}
