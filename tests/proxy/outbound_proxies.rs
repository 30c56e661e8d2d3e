//! The proxy between us and an upstream: which requests take it, how it is spoken to, and who is blamed for it.

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use testkit::{MockUpstream, OutboundProxy, RawListener, TempServer, TlsFront};

use crate::log::logged;
use crate::support::{NOBODY, ask};

/// A name that only the scripted proxies know.
const FAR: &str = "http://upstream.invalid";

fn through(proxy: &str) -> Value {
    json!({ "config": { "proxy_url": proxy, "max_retries": 0 } })
}

async fn group(server: &TempServer, upstream: &str, more: Value) -> i64 {
    let group = server.create_group("g", "openai", upstream, more).await;
    server.add_keys(group, &["sk-a"]).await;
    group
}

async fn assert_nobody_is_blamed(server: &TempServer, group: i64) {
    let keys = server.managed("GET", &format!("/api/keys?group_id={group}"), None).await;
    assert_eq!((&keys["items"][0]["failure_count"], &keys["items"][0]["status"]), (&json!(0), &json!("active")));
}

#[tokio::test]
async fn an_http_proxy_is_told_the_whole_target_and_the_credentials() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let proxy = OutboundProxy::towards(mock.address()).await;
    let url = format!("http://us%65r:p%40ss@{}", proxy.address());
    group(&server, &format!("{FAR}/base"), through(&url)).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    let hops = proxy.hops();
    assert_eq!(hops.len(), 1);
    assert_eq!(hops[0].wanted, "POST http://upstream.invalid/base/v1/chat/completions");
    assert_eq!(hops[0].credentials.as_deref(), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(mock.request().header("host"), Some("upstream.invalid"));
}

#[tokio::test]
async fn an_https_upstream_is_reached_through_connect() {
    let mock = MockUpstream::start().await;
    let front = TlsFront::before(mock.address()).await;
    let proxy = OutboundProxy::towards(front.address()).await;
    let builder = TempServer::builder();
    let authority = builder.directory().join("authority.pem");
    std::fs::write(&authority, TlsFront::certificate()).unwrap();
    let server = builder.env("SSL_CERT_FILE", authority.to_str().unwrap()).start().await;
    let url = format!("http://user:pass@{}", proxy.address());
    group(&server, "https://upstream.invalid", through(&url)).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    let hops = proxy.hops();
    assert_eq!(hops[0].wanted, "CONNECT upstream.invalid:443");
    assert_eq!(hops[0].credentials.as_deref(), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(mock.request().header("proxy-authorization"), None);
}

#[tokio::test]
async fn a_socks_proxy_knows_the_user_and_resolves_the_name() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let proxy = OutboundProxy::towards(mock.address()).await;
    for (name, scheme) in [("a", "socks5"), ("b", "socks5h")] {
        let url = format!("{scheme}://user:p%40ss@{}", proxy.address());
        let group = server.create_group(name, "openai", FAR, through(&url)).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        assert_eq!(ask(&server, name).await.status, 200, "{scheme}");
    }
    for hop in proxy.hops() {
        assert_eq!(hop.wanted, "SOCKS5 upstream.invalid:80");
        assert_eq!(hop.credentials.as_deref(), Some("user:p@ss"));
    }
    assert_eq!(proxy.hops().len(), 2);
}

#[tokio::test]
async fn a_socks_proxy_without_credentials_is_not_given_any() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let proxy = OutboundProxy::towards(mock.address()).await;
    group(&server, FAR, through(&format!("socks5://{}", proxy.address()))).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(proxy.hops()[0].credentials, None);
}

#[tokio::test]
async fn the_environments_proxy_spares_exceptions_and_loopback() {
    let mock = MockUpstream::start().await;
    let proxy = OutboundProxy::towards(mock.address()).await;
    let server = TempServer::builder()
        .env("HTTP_PROXY", &format!("http://{}", proxy.address()))
        .env("NO_PROXY", "spared.invalid,.also-spared.invalid")
        .start()
        .await;
    let places = [
        ("far", FAR.to_owned(), 200),
        ("near", mock.base_url(), 200),
        ("spared", "http://spared.invalid".to_owned(), 502),
        ("spared-too", "http://host.also-spared.invalid".to_owned(), 502),
    ];
    for (name, upstream, expected) in places {
        let more = json!({ "config": { "max_retries": 0 } });
        let group = server.create_group(name, "openai", &upstream, more).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        assert_eq!(ask(&server, name).await.status, expected, "{name}");
    }
    assert_eq!(mock.keys_seen(), ["sk-far", "sk-near"]);
    assert_eq!(proxy.hops().len(), 1);
}

#[tokio::test]
async fn the_environment_names_a_proxy_for_https_of_its_own() {
    let mock = MockUpstream::start().await;
    let front = TlsFront::before(mock.address()).await;
    let proxy = OutboundProxy::towards(front.address()).await;
    let builder = TempServer::builder();
    let authority = builder.directory().join("authority.pem");
    std::fs::write(&authority, TlsFront::certificate()).unwrap();
    let builder = builder.env("SSL_CERT_FILE", authority.to_str().unwrap()).env("HTTP_PROXY", NOBODY);
    let server = builder.env("https_proxy", &format!("http://{}", proxy.address())).start().await;
    group(&server, "https://upstream.invalid", json!({})).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(proxy.hops()[0].wanted, "CONNECT upstream.invalid:443");
}

/// Who names a proxy for a group means it.
#[tokio::test]
async fn a_groups_own_proxy_serves_loopback_too() {
    let mock = MockUpstream::start().await;
    let proxy = OutboundProxy::towards(mock.address()).await;
    let server = TempServer::builder().env("NO_PROXY", "*").start().await;
    group(&server, &mock.base_url(), through(&format!("http://{}", proxy.address()))).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(proxy.hops().len(), 1);
}

/// 407 is between us and the proxy: a client that got it would look for a proxy of its own.
#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_nobodys_fault() {
    let (proxy, server) = (OutboundProxy::refusing().await, TempServer::start().await);
    let ways = [("plain", "http", FAR), ("connect", "http", "https://upstream.invalid"), ("socks", "socks5", FAR)];
    for (name, scheme, upstream) in ways {
        let url = format!("{scheme}://user:wrong@{}", proxy.address());
        let group = server.create_group(name, "openai", upstream, through(&url)).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        let answer = ask(&server, name).await;
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
        assert!(!answer.text().contains("wrong") && !answer.text().contains("127.0.0.1"), "{}", answer.text());
        assert_nobody_is_blamed(&server, group).await;
    }
}

#[tokio::test]
async fn a_proxy_that_is_down_costs_no_key() {
    let server = TempServer::start().await;
    let group = group(&server, FAR, through(NOBODY)).await;
    assert_eq!(ask(&server, "g").await.status, 502);
    assert_nobody_is_blamed(&server, group).await;
}

/// The original takes such values; going out without the proxy could betray where the client is.
#[tokio::test]
async fn a_stored_proxy_url_that_cannot_be_used_fails_at_once_and_nobody_is_blamed() {
    let mock = MockUpstream::start().await;
    let mut server = TempServer::start().await;
    let group = group(&server, &mock.base_url(), json!({})).await;
    server.ask_to_stop();
    server.ended().await;
    let options = SqliteConnectOptions::new().filename(server.database_path());
    let mut database = options.connect().await.unwrap();
    let update = "UPDATE groups SET config = '{\"proxy_url\":\"127.0.0.1:8080\"}'";
    sqlx::query(update).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    server.start_again().await;
    let answer = ask(&server, "g").await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert_nobody_is_blamed(&server, group).await;
    assert_eq!(mock.connections(), 0);
    let log = crate::log::eventually_logged(&server, |log| !log.is_empty()).await;
    assert_eq!(log.len(), 1, "there is nothing to try again: {:#?}", logged(&server).await);
}

#[tokio::test]
async fn the_way_to_a_proxy_may_be_encrypted() {
    let mock = MockUpstream::start().await;
    let target = TlsFront::before(mock.address()).await;
    let builder = TempServer::builder();
    let authority = builder.directory().join("authority.pem");
    std::fs::write(&authority, TlsFront::certificate()).unwrap();
    let server = builder.env("SSL_CERT_FILE", authority.to_str().unwrap()).start().await;
    let ways = [
        ("plain", mock.address(), FAR, "POST http://upstream.invalid/v1/chat/completions"),
        ("tls", target.address(), "https://upstream.invalid", "CONNECT upstream.invalid:443"),
    ];
    for (name, destination, upstream, wanted) in ways {
        let proxy = OutboundProxy::towards(destination).await;
        let front = TlsFront::before(proxy.address()).await;
        let url = format!("https://user:pass@localhost:{}", front.address().port());
        let group = server.create_group(name, "openai", upstream, through(&url)).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        assert_eq!(ask(&server, name).await.status, 200, "{name}");
        assert_eq!(proxy.hops()[0].wanted, wanted);
        assert_eq!(proxy.hops()[0].credentials.as_deref(), Some("Basic dXNlcjpwYXNz"));
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_ends_with_the_connect_timeout() {
    let (silent, server) = (RawListener::open().await, TempServer::start().await);
    for (name, scheme) in [("connect", "http"), ("socks", "socks5")] {
        let mut more = through(&format!("{scheme}://{}", silent.address()));
        more["config"]["connect_timeout"] = json!(1);
        let group = server.create_group(name, "openai", "https://upstream.invalid", more).await;
        server.add_keys(group, &[&format!("sk-{name}")]).await;
        assert_eq!(ask(&server, name).await.status, 504, "{name}");
    }
}
