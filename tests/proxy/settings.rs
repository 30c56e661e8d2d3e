//! Settings and groups that change while requests come: in effect with the next request, without a restart.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{MockUpstream, Play, TempServer};

use crate::support::{NOBODY, ask, house, records};

/// proxy.md 93
#[tokio::test]
async fn a_changed_setting_holds_for_the_next_request() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b", "sk-c"]).await;
    mock.play_any_always(Play::status(401));
    for (settings, attempts) in [
        (json!({ "max_retries": 0, "blacklist_threshold": 0 }), 1),
        (json!({ "max_retries": 1 }), 2),
        (json!({ "max_retries": 3 }), 3),
        (json!({ "failover_status_codes": "402-599" }), 1),
        (json!({ "failover_status_codes": "" }), 1),
        (json!({ "failover_status_codes": "400-403,405-999" }), 3),
    ] {
        server.change_settings(settings.clone()).await;
        mock.play_any_always(Play::status(401));
        assert_eq!(ask(&server, "g").await.status, 401);
        assert_eq!(mock.requests().len(), attempts, "{settings}");
        mock.reset();
    }
    server.change_settings(json!({ "blacklist_threshold": 1 })).await;
    mock.play_any_always(Play::status(401));
    assert_eq!([ask(&server, "g").await.status, ask(&server, "g").await.status], [401, 503]);
}

/// A group's own value wins over that of the system, also where it is nothing.
#[tokio::test]
async fn a_groups_own_setting_wins_and_follows_its_change() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a", "sk-b"]).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    server.change_settings(json!({ "max_retries": 5, "blacklist_threshold": 0, "proxy_url": NOBODY })).await;
    for (config, expected) in [
        (json!({ "max_retries": 0, "proxy_url": "" }), (401, 1)),
        (json!({ "max_retries": 1, "proxy_url": "" }), (401, 2)),
        (json!({ "proxy_url": "" }), (401, 2)),
        (json!({}), (502, 0)),
        (json!({ "failover_status_codes": "500", "proxy_url": "" }), (401, 1)),
    ] {
        let target = format!("/api/groups/{group}");
        server.managed("PUT", &target, Some(&json!({ "config": config }))).await;
        mock.play_any_always(Play::status(401));
        let answer = ask(&server, "g").await;
        assert_eq!((answer.status, mock.requests().len()), expected, "{config}");
        mock.reset();
    }
}

/// proxy.md 96: connections are made anew where they have to be.
#[tokio::test]
async fn the_outbound_proxy_and_the_upstream_change_without_a_restart() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    assert_eq!(ask(&server, "g").await.status, 200);
    server.change_settings(json!({ "proxy_url": NOBODY, "max_retries": 0 })).await;
    assert_eq!(ask(&server, "g").await.status, 502);
    server.change_settings(json!({ "proxy_url": "" })).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.requests().len(), 2);

    let other = MockUpstream::start().await;
    let upstreams = json!({ "upstreams": [{ "url": other.base_url(), "weight": 1 }] });
    server.managed("PUT", &format!("/api/groups/{group}"), Some(&upstreams)).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!((mock.requests().len(), other.requests().len()), (2, 1));
}

#[tokio::test]
async fn timeouts_change_without_a_restart() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    mock.play_any_always(Play::hang());
    for settings in
        [json!({ "response_header_timeout": 1 }), json!({ "response_header_timeout": 600, "request_timeout": 1 })]
    {
        server.change_settings(settings).await;
        assert_eq!(ask(&server, "g").await.status, 504);
    }
}

/// A listener whose queue is full neither accepts nor refuses, as a host behind a silent firewall.
#[tokio::test]
async fn the_connect_timeout_changes_without_a_restart() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&loopback.into()).expect("a free port");
    listener.listen(0).expect("it is bound");
    let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await
    {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue takes any number");
    }
    let (_mock, server) =
        house(json!({ "upstreams": [{ "url": format!("http://{address}"), "weight": 1 }] }), &["sk-a"]).await;
    server.change_settings(json!({ "connect_timeout": 1, "max_retries": 0 })).await;
    let begin = Instant::now();
    assert_eq!(ask(&server, "g").await.status, 504);
    assert!(begin.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn body_logging_and_credentials_change_without_a_restart() {
    let (_mock, server) = house(json!({ "proxy_keys": "" }), &["sk-a"]).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    assert_eq!(ask(&server, "g").await.status, 401);
    server.change_settings(json!({ "proxy_keys": TempServer::CLIENT_KEY })).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    server.change_settings(json!({ "enable_request_body_logging": true })).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    let off = json!({ "config": { "enable_request_body_logging": false } });
    server.managed("PUT", &format!("/api/groups/{group}"), Some(&off)).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    server.change_settings(json!({ "proxy_keys": "sk-other" })).await;
    assert_eq!(ask(&server, "g").await.status, 401);
    let rows = records(&server, 5).await;
    let body = crate::support::question().to_string();
    let bodies: Vec<_> = rows.iter().map(|row| &row["request_body"]).collect();
    assert_eq!(bodies, [&json!(""), &json!(""), &json!(body), &json!(""), &json!("")]);
}

/// A group that is renamed, or deleted, is so with the answer.
#[tokio::test]
async fn names_and_deletions_hold_for_the_next_request() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    server.change_settings(json!({ "proxy_keys": TempServer::CLIENT_KEY })).await;
    let group = server.managed("GET", "/api/groups", None).await[0]["id"].as_i64().expect("an id");
    server.managed("PUT", &format!("/api/groups/{group}"), Some(&json!({ "name": "renamed" }))).await;
    assert_eq!([ask(&server, "g").await.status, ask(&server, "renamed").await.status], [404, 200]);
    server.managed("DELETE", &format!("/api/groups/{group}"), None).await;
    assert_eq!(ask(&server, "renamed").await.status, 404);
    // The name is free again, and nothing of the old group's keys is left.
    server.create_group("renamed", "openai", &mock.base_url(), Value::Object(serde_json::Map::new())).await;
    assert_eq!(ask(&server, "renamed").await.status, 503);
}
