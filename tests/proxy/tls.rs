//! Upstreams behind TLS.

use serde_json::{Value, json};
use testkit::{Ending, MockUpstream, Play, Tail, TempServer, TlsFront};

use crate::log::outcome;
use crate::support::ask;

/// A server that trusts the front's certificate, as an operator with an authority of their own sets it up.
async fn trusting() -> TempServer {
    let builder = TempServer::builder();
    let authority = builder.directory().join("authority.pem");
    std::fs::write(&authority, TlsFront::certificate()).unwrap();
    builder.env("SSL_CERT_FILE", authority.to_str().unwrap()).start().await
}

async fn group(server: &TempServer, upstream: &str, config: Value) -> i64 {
    let group = server.create_group("g", "openai", upstream, json!({ "config": config })).await;
    server.add_keys(group, &["sk-a"]).await;
    group
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_costs_no_key() {
    let (mock, server) = (MockUpstream::start().await, TempServer::start().await);
    let front = TlsFront::before(mock.address()).await;
    let group = group(&server, &front.base_url(), json!({ "max_retries": 0 })).await;
    assert_eq!(ask(&server, "g").await.status, 502);
    let (status, error) = outcome(&server).await;
    assert_eq!(status, 502);
    assert!(error.contains("TLS") && error.contains("certificate"), "{error}");
    let keys = server.managed("GET", &format!("/api/keys?group_id={group}"), None).await;
    assert_eq!(keys["items"][0]["failure_count"], 0);
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_too() {
    let (mock, server) = (MockUpstream::start().await, trusting().await);
    let front = TlsFront::before(mock.address()).await;
    let by_address = format!("https://{}", front.address());
    group(&server, &by_address, json!({ "max_retries": 0 })).await;
    assert_eq!(ask(&server, "g").await.status, 502);
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn the_operators_own_authority_is_trusted() {
    let (mock, server) = (MockUpstream::start().await, trusting().await);
    let front = TlsFront::before(mock.address()).await;
    group(&server, &front.base_url(), json!({})).await;
    for _ in 0..2 {
        assert_eq!(ask(&server, "g").await.status, 200);
    }
    let expected = format!("localhost:{}", front.address().port());
    for seen in mock.requests() {
        assert_eq!((seen.version.as_str(), seen.header("host")), ("HTTP/1.1", Some(expected.as_str())));
    }
}

/// proxy.md 61
#[tokio::test]
async fn http2_is_agreed_on_within_tls_where_the_group_wants_it() {
    let (mock, server) = (MockUpstream::start().await, trusting().await);
    let front = TlsFront::before(mock.address()).await;
    group(&server, &front.base_url(), json!({ "upstream_http2": true })).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    let seen = mock.request();
    assert_eq!((seen.version.as_str(), seen.key.as_str()), ("HTTP/2.0", "sk-a"));
}

/// Whoever can cut a connection could otherwise cut an answer short and have it look whole.
#[tokio::test]
async fn an_answer_that_ends_without_the_farewell_of_tls_is_aborted() {
    let (mock, server) = (MockUpstream::start().await, trusting().await);
    let front = TlsFront::before(mock.address()).await;
    group(&server, &front.base_url(), json!({})).await;
    mock.play_any_always(Play::usual().then(Ending::UntilClose));
    let answer = ask(&server, "g").await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.tail, Tail::Complete);
}
