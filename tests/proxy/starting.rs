//! What a start says, what stops it, and what is answered where there is nothing.

use std::net::TcpListener;

use serde_json::json;
use testkit::TempServer;

use crate::support::request;

/// operations.md S11, S12: nothing is told, made or changed by a server that cannot serve.
#[tokio::test]
async fn a_taken_port_ends_the_start_before_anything_is_written() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("data/gpt-load.db");
    let builder = TempServer::builder().env("PORT", &port).env("DATABASE_DSN", &database.to_string_lossy());
    let (status, printed) = builder.start_in_vain().await;
    assert_eq!(status.code(), Some(1));
    assert!(printed.contains(&port), "{printed}");
    assert!(!database.exists() && !printed.contains("Serving on"), "{printed}");
}

/// operations.md S2, proxy.md 95: what cannot be loaded stops the start, with its reason.
#[tokio::test]
async fn a_database_that_cannot_be_read_stops_the_start() {
    let builder = TempServer::builder();
    let folder = builder.directory().join("data");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("gpt-load.db"), "no database, however long one looks at it ".repeat(200))
        .expect("a file");
    let (status, printed) = builder.start_in_vain().await;
    assert_eq!(status.code(), Some(1));
    assert!(printed.contains("gpt-load.db"), "{printed}");
}

/// operations.md C3: no statement and no secret is printed, and the address only once it is served.
#[tokio::test]
async fn the_log_shows_the_address_and_neither_statements_nor_secrets() {
    let server =
        TempServer::builder().env("LOG_LEVEL", "debug").env("PROXY_KEYS", "sk-first-proxy-key-0123").start().await;
    let group = server.create_group("g", "openai", "http://unused.invalid", json!({})).await;
    server.add_keys(group, &["sk-upstream-0123456789"]).await;
    let log = server.log();
    assert!(log.contains(&server.address().port().to_string()), "{log}");
    for secret in ["INSERT INTO", "SELECT ", "sk-first-proxy-key-0123", "sk-upstream-0123456789", TempServer::AUTH_KEY]
    {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// proxy.md 72, 104, operations.md V3: nothing is told to be there that is not.
#[tokio::test]
async fn where_there_is_nothing_the_answer_says_so() {
    let server = TempServer::start().await;
    for (method, target, expected) in [
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("POST", "/health", 405),
        ("GET", "/nothing", 404),
        ("GET", "/api/nothing.js", 404),
        ("GET", "/apifoo", 404),
        ("GET", "/proxy", 404),
        ("GET", "/proxy/", 404),
        ("GET", "/proxy/g", 401),
        ("DELETE", "/api/groups", 405),
    ] {
        let answer = server.exchange(request(method, target, "", b"")).await;
        assert_eq!(answer.status, expected, "{method} {target}");
        let is_cacheable = answer.header("cache-control").is_some_and(|value| value.contains("max-age"));
        assert!(!is_cacheable, "{method} {target}: {}", answer.head);
    }
}

/// database.md DB10: what is gone is not made again by a change.
#[tokio::test]
async fn a_group_that_was_deleted_stays_deleted() {
    let server = TempServer::start().await;
    let group = server.create_group("g", "openai", "http://unused.invalid", json!({})).await;
    let target = format!("/api/groups/{group}");
    server.managed("DELETE", &target, None).await;
    for (method, body) in [("PUT", Some(json!({ "name": "again" }))), ("DELETE", None)] {
        assert_eq!(server.manage(method, &target, body.as_ref()).await.status, 404, "{method}");
    }
    assert_eq!(server.managed("GET", "/api/groups", None).await, json!([]));
}
