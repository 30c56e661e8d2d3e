//! Answers that last, break off, or that nobody waits for any more.

use serde_json::json;
use testkit::{Ending, Play, RawConnection, Tail};

use crate::support::{CHAT, ask, house, post, question};

/// proxy.md 58, 59
#[tokio::test]
async fn a_stream_that_breaks_is_aborted_and_never_ended() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::ending(Ending::CloseAfter(2)));
    let mut question = question();
    question["stream"] = json!(true);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question.to_string().as_bytes())).await;
    let answer = client.response_to("POST").await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.tail, Tail::Complete);
}

/// The client's leaving cancels the upstream's work.
#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    drop(client);
    mock.cancelled().await;
}

/// An error is read to judge it; its breaking off must not be lost on the way.
#[tokio::test]
async fn an_error_that_breaks_off_is_aborted_too() {
    let (mock, server) = house(json!({ "config": { "max_retries": 0 } }), &["sk-a"]).await;
    mock.play_any_always(Play::status(500).pieces(["{\"error\":", "{}}"]).then(Ending::CloseAfter(1)));
    let answer = ask(&server, "g").await;
    assert_eq!((answer.status, answer.text()), (500, "{\"error\":"));
    assert_ne!(answer.tail, Tail::Complete);
}
