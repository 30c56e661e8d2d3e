//! Crashes and stops.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{MockUpstream, Play, RawConnection, RawListener, Tail, TempServer};

use crate::log::{logged, outcome};
use crate::support::{CHAT, ask, house, post, question, records};

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

fn streamed() -> Vec<u8> {
    let mut question = question();
    question["stream"] = json!(true);
    post(&format!("/proxy/g{CHAT}"), "", question.to_string().as_bytes())
}

/// proxy.md 102, operations.md L2
#[tokio::test]
async fn a_stop_lets_a_stream_finish_and_takes_nothing_new() {
    let (upstream, mut server) = (RawListener::open().await, TempServer::start().await);
    let group = server.create_group("g", "openai", &upstream.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut idle = RawConnection::open(server.address()).await;
    idle.send("GET /health HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert_eq!(idle.response_to("GET").await.status, 200);
    let mut silent = RawConnection::open(server.address()).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(streamed()).await;
    let (mut served, _) = upstream.request().await;
    served
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        .await;
    client.read_until(b"hi\r\n").await;

    server.ask_to_stop();
    assert!(!idle.closes_with_reset().await, "an idle connection is closed in order");
    silent.closes_with_reset().await;
    let refused = async {
        while tokio::net::TcpStream::connect(server.address()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("new connections are refused");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        served.send("2\r\nho\r\n").await;
        assert_eq!(client.read_exactly(7).await, b"2\r\nho\r\n");
    }
    served.send("0\r\n\r\n").await;
    assert_eq!(client.read_exactly(5).await, b"0\r\n\r\n");
    assert_eq!(server.ended().await.code(), Some(0));
    assert_eq!(outcome(&server).await, (200, String::new()));
}

/// design.md, 5: a stop loses no record, not even of what it cuts.
#[tokio::test]
async fn a_stop_that_cuts_a_request_records_it() {
    let (mock, mut server) = house(json!({}), &["sk-a"]).await;
    mock.play_any([Play::ending(testkit::Ending::HangAfter(1)), Play::hang()]);
    let mut streaming = RawConnection::open(server.address()).await;
    streaming.send(streamed()).await;
    mock.arrived(1).await;
    streaming.read_until(b"data: ").await;
    let mut waiting = RawConnection::open(server.address()).await;
    waiting.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(2).await;
    server.ask_to_stop();
    server.says("may finish").await;
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(1));
    let log = logged(&server).await;
    assert_eq!(log.len(), 2, "{log:#?}");
    assert!(log.iter().all(|entry| entry.error.contains("this server stopped")), "{log:#?}");
    let verdicts: Vec<_> = records(&server, 2).await.iter().map(|row| row["verdict"].clone()).collect();
    assert_eq!(verdicts, ["ourselves", "ourselves"]);
}

/// operations.md S11, S12
#[tokio::test]
async fn a_taken_port_stops_the_start_and_leaves_the_database_alone() {
    let taken = RawListener::open().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let database = elsewhere.path().join("never.db");
    let builder = TempServer::builder().env("PORT", &taken.address().port().to_string());
    let (status, printed) = builder.env("DATABASE_DSN", database.to_str().unwrap()).start_in_vain().await;
    assert_eq!(status.code(), Some(1));
    assert!(printed.contains(&taken.address().to_string()) && printed.contains("another program"), "{printed}");
    assert!(!printed.contains("Serving on"), "{printed}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

/// What a client of the test below was told.
#[derive(Default)]
struct Told {
    /// Ids of requests that were answered, and when.
    answered: Vec<(String, Instant)>,
    /// Groups that were created and keys that were added, as far as the server said so.
    groups: Vec<i64>,
}

/// Chats until the server is gone.
async fn chat_on(address: std::net::SocketAddr) -> Told {
    let mut told = Told::default();
    let mut connection = RawConnection::open(address).await;
    let request = post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes());
    loop {
        if connection.try_send(&request).await.is_err() {
            return told;
        }
        let Some(answer) = connection.try_response_to("POST").await else { return told };
        if answer.tail == Tail::Complete && answer.status == 200 {
            let id = answer.header("x-gpt-load-request-id").expect("every answer has an id");
            told.answered.push((id.to_owned(), Instant::now()));
        }
    }
}

/// Makes groups with keys until the server is gone.
async fn create_on(address: std::net::SocketAddr, upstream: String) -> Told {
    let mut told = Told::default();
    let mut connection = RawConnection::open(address).await;
    let ask = |target: &str, body: serde_json::Value| {
        let body = body.to_string();
        format!(
            "POST {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            TempServer::AUTH_KEY,
            body.len()
        )
    };
    for number in 0.. {
        let group = json!({
            "name": format!("made-{number}"), "channel_type": "openai", "test_model": "m",
            "upstreams": [{ "url": upstream, "weight": 1 }],
        });
        if connection.try_send(ask("/api/groups", group)).await.is_err() {
            break;
        }
        let Some(answer) = connection.try_response_to("POST").await.filter(|answer| answer.status == 200) else {
            break;
        };
        let id = answer.json()["data"]["id"].as_i64().expect("a group has an id");
        let keys = json!({ "group_id": id, "keys_text": format!("sk-made-{number}") });
        if connection.try_send(ask("/api/keys/add-multiple", keys)).await.is_err() {
            break;
        }
        if connection.try_response_to("POST").await.is_none_or(|answer| answer.status != 200) {
            break;
        }
        told.groups.push(id);
    }
    told
}

/// A crash loses nothing that was acknowledged, but the records of its last second.
#[tokio::test]
async fn a_kill_under_load_loses_only_the_last_second_of_records() {
    let mock = MockUpstream::start().await;
    let mut server = TempServer::start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a", "sk-b"]).await;
    let chats: Vec<_> = (0..4).map(|_| tokio::spawn(chat_on(server.address()))).collect();
    let creations = tokio::spawn(create_on(server.address(), mock.base_url()));
    // The load lasts: the kill falls somewhere between two writes of the log.
    tokio::time::sleep(Duration::from_millis(4200)).await;
    let killed_at = Instant::now();
    server.kill_and_restart().await;

    let kept: HashSet<String> = logged(&server).await.into_iter().map(|entry| entry.request_id).collect();
    let mut due = 0;
    for chat in chats {
        for (id, answered_at) in chat.await.unwrap().answered {
            if killed_at.saturating_duration_since(answered_at) > Duration::from_millis(1500) {
                due += 1;
                assert!(kept.contains(&id), "{id}, answered {:?} before the kill, is lost", killed_at - answered_at);
            }
        }
    }
    assert!(due > 0, "the load had time to run");
    for id in creations.await.unwrap().groups {
        let keys = server.managed("GET", &format!("/api/keys?group_id={id}"), None).await;
        assert_eq!(keys["items"].as_array().map(Vec::len), Some(1), "group {id}: {keys}");
    }
    assert_eq!(ask(&server, "g").await.status, 200);
}
