//! What is refused because there is too much of it.

use serde_json::json;
use testkit::{MockUpstream, Play, RawConnection, TempServer};

use crate::support::{CHAT, ask, post, question};

/// proxy.md 71
#[tokio::test]
async fn above_the_limit_requests_are_refused_while_the_operator_is_not() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("MAX_CONCURRENT_REQUESTS", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut first = RawConnection::open(server.address()).await;
    first.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    let second = ask(&server, "g").await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    assert_eq!(server.manage("GET", "/health", None).await.status, 200);
}
