//! Crashes and stops.

use serde_json::json;
use testkit::{Play, RawConnection};

use crate::support::{CHAT, ask, house, post, question};

/// A crash loses no configuration and no key.
#[tokio::test]
async fn after_a_kill_groups_and_keys_are_there() {
    let (_mock, mut server) = house(json!({}), &["sk-a", "sk-b"]).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    server.kill_and_restart().await;
    assert_eq!(ask(&server, "g").await.status, 200);
}

/// operations.md V5
#[tokio::test]
async fn a_stop_that_cuts_a_request_says_so_with_its_exit_code() {
    let (mock, mut server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    server.ask_to_stop();
    // The second signal asks for a stop at once.
    while !server.log().contains("may finish") {
        tokio::task::yield_now().await;
    }
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(1));
}
