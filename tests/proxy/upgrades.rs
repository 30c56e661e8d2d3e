//! WebSockets, as OpenAI's Realtime API speaks them, and other offers to change the protocol.

use std::time::Duration;

use serde_json::json;
use testkit::{MockUpstream, Play, RawConnection, RawListener, TempServer};

use crate::log::{eventually_logged, outcome};
use crate::support::{CHAT, house, post, records};

const OPCODE_TEXT: u8 = 1;
const OPCODE_BINARY: u8 = 2;
const OPCODE_CLOSE: u8 = 8;
/// What an upstream says when the test plays it itself.
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The handshake of RFC 6455, 1.3, with the client's key.
fn handshake(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: realtime\r\n\r\n",
        TempServer::CLIENT_KEY
    )
}

fn realtime() -> String {
    handshake("/proxy/g/v1/realtime?model=mock-small")
}

/// A client's frame; a mask of zeros leaves the payload readable.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Opcode and payload of the server's next frame.
async fn next_frame(connection: &mut RawConnection) -> (u8, Vec<u8>) {
    let head = connection.read_exactly(2).await;
    let length = match head[1] {
        126 => usize::from(u16::from_be_bytes(connection.read_exactly(2).await.try_into().unwrap())),
        127 => usize::from_be_bytes(connection.read_exactly(8).await.try_into().unwrap()),
        short => usize::from(short),
    };
    (head[0] & 0x0f, connection.read_exactly(length).await)
}

async fn echo(client: &mut RawConnection, text: &str) {
    client.send(frame(OPCODE_TEXT, text.as_bytes())).await;
    assert_eq!(next_frame(client).await, (OPCODE_TEXT, text.as_bytes().to_vec()));
}

/// A group towards an upstream that the test plays.
async fn house_of(upstream: &RawListener, server: &TempServer) {
    let group = server.create_group("g", "openai", &upstream.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
}

/// A tunnel through the server: the client's end and the upstream's.
async fn tunnel(server: &TempServer, upstream: &RawListener) -> (RawConnection, RawConnection) {
    let mut client = RawConnection::open(server.address()).await;
    client.send(realtime()).await;
    let (mut served, _) = upstream.request().await;
    served.send(SWITCHED).await;
    assert_eq!(client.response_to("GET").await.status, 101);
    (client, served)
}

/// proxy.md 61
#[tokio::test]
async fn a_websocket_is_tunnelled_with_the_upstreams_key() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(realtime()).await;
    let answer = client.response_to("GET").await;
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("sec-websocket-protocol"), Some("realtime"));
    assert_eq!(answer.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));

    let (_, greeting) = next_frame(&mut client).await;
    assert!(String::from_utf8(greeting).unwrap().contains("session.created"));
    echo(&mut client, "hello").await;
    let sound: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    client.send(frame(OPCODE_BINARY, &sound)).await;
    assert_eq!(next_frame(&mut client).await, (OPCODE_BINARY, sound));
    client.send(frame(OPCODE_CLOSE, &1000_u16.to_be_bytes())).await;
    assert_eq!(next_frame(&mut client).await.0, OPCODE_CLOSE);
    assert!(!client.closes_with_reset().await);

    let seen = mock.request();
    assert_eq!((seen.key.as_str(), seen.target.as_str()), ("sk-a", "/v1/realtime?model=mock-small"));
    assert_eq!((seen.header("upgrade"), seen.header("connection")), (Some("websocket"), Some("Upgrade")));
    assert!(!format!("{:?}", seen.headers).contains(TempServer::CLIENT_KEY));
    assert_eq!(outcome(&server).await, (101, String::new()));
}

/// proxy.md 61
#[tokio::test]
async fn a_handshake_that_a_key_is_refused_for_goes_on_with_the_next_key() {
    let (mock, server) = house(json!({}), &["sk-a", "sk-b"]).await;
    mock.play_always("sk-a", Play::status(401));
    let mut client = RawConnection::open(server.address()).await;
    client.send(realtime()).await;
    assert_eq!(client.response_to("GET").await.status, 101);
    next_frame(&mut client).await;
    echo(&mut client, "still here").await;
    assert_eq!(mock.keys_seen(), ["sk-a", "sk-b"]);
}

#[tokio::test]
async fn a_refused_handshake_is_an_answer_like_any_other() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::status(404).body("{\"error\":{\"message\":\"no such model\"}}"));
    let answer = server.exchange(realtime()).await;
    assert_eq!((answer.status, answer.text()), (404, "{\"error\":{\"message\":\"no such model\"}}"));
    assert_eq!(mock.keys_seen(), ["sk-a"]);
}

#[tokio::test]
async fn either_side_may_end_a_tunnel() {
    let (server, upstream) = (TempServer::start().await, RawListener::open().await);
    house_of(&upstream, &server).await;
    let (mut client, mut served) = tunnel(&server, &upstream).await;
    served.send("from the upstream").await;
    assert_eq!(client.read_exactly(17).await, b"from the upstream");
    drop(served);
    client.closes_with_reset().await;

    let (mut client, mut served) = tunnel(&server, &upstream).await;
    client.send("from the client").await;
    assert_eq!(served.read_exactly(15).await, b"from the client");
    drop(client);
    served.closes_with_reset().await;
    eventually_logged(&server, |log| log.len() == 2 && log.iter().all(|entry| entry.status == 101)).await;
}

/// An end by a reset is none: the record says which side broke.
#[tokio::test]
async fn the_side_that_breaks_a_tunnel_is_named() {
    let (server, upstream) = (TempServer::start().await, RawListener::open().await);
    house_of(&upstream, &server).await;
    let (mut client, mut served) = tunnel(&server, &upstream).await;
    client.send("unread").await;
    served.read_until(b"un").await;
    served.reset();
    client.closes_with_reset().await;
    eventually_logged(&server, |log| log.len() == 1).await;

    let (client, mut served) = tunnel(&server, &upstream).await;
    client.reset();
    served.closes_with_reset().await;
    let rows = records(&server, 2).await;
    let seen: Vec<_> = rows.iter().map(|row| (&row["status_code"], &row["verdict"], &row["is_success"])).collect();
    assert_eq!(seen[0], (&json!(101), &json!("upstream"), &json!(0)));
    assert_eq!(seen[1], (&json!(499), &json!("client_gone"), &json!(0)));
}

/// A half that stays open would hold its place, its connection and its record for ever.
#[tokio::test]
async fn a_tunnel_does_not_outlive_its_client_for_long() {
    let (server, upstream) = (TempServer::start().await, RawListener::open().await);
    house_of(&upstream, &server).await;
    let (client, mut served) = tunnel(&server, &upstream).await;
    drop(client);
    served.closes_with_reset().await;
    // The upstream's own side stays open.
    outcome(&server).await;
}

#[tokio::test]
async fn a_client_that_leaves_during_the_handshake_cancels_it() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut client = RawConnection::open(server.address()).await;
    client.send(realtime()).await;
    mock.arrived(1).await;
    drop(client);
    mock.cancelled().await;
}

/// proxy.md 62
#[tokio::test]
async fn a_silent_tunnel_outlives_the_limits_of_requests() {
    let mock = MockUpstream::start().await;
    let limits = ["SERVER_READ_TIMEOUT", "SERVER_WRITE_TIMEOUT", "SERVER_IDLE_TIMEOUT"];
    let builder = limits.into_iter().fold(TempServer::builder(), |builder, limit| builder.env(limit, "2"));
    let server = builder.start().await;
    let config = json!({ "request_timeout": 2, "response_header_timeout": 2, "stream_idle_timeout": 2 });
    let group = server.create_group("g", "openai", &mock.base_url(), json!({ "config": config })).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(realtime()).await;
    assert_eq!(client.response_to("GET").await.status, 101);
    next_frame(&mut client).await;
    for text in ["before", "between", "after"] {
        echo(&mut client, text).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    echo(&mut client, "and still").await;
}

/// proxy.md 102
#[tokio::test]
async fn a_stop_waits_for_tunnels_and_then_closes_them() {
    let (server, upstream) = (TempServer::start().await, RawListener::open().await);
    house_of(&upstream, &server).await;
    let (mut client, mut served) = tunnel(&server, &upstream).await;
    let mut server = server;
    server.ask_to_stop();
    server.says("may finish").await;
    client.send("after the signal").await;
    assert_eq!(served.read_exactly(16).await, b"after the signal");
    client.closes_with_reset().await;
    assert_eq!(server.ended().await.code(), Some(1), "a tunnel was cut");
    let (status, error) = outcome(&server).await;
    assert_eq!(status, 101);
    assert!(error.contains("stopped"), "{error}");
}

#[tokio::test]
async fn an_offer_of_h2c_is_not_passed_on() {
    let (mock, server) = house(json!({}), &["sk-a"]).await;
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    let answer = server.exchange(post(&format!("/proxy/g{CHAT}"), offer, b"{\"model\":\"mock-small\"}")).await;
    assert_eq!(answer.status, 200);
    let seen = mock.request();
    for name in ["upgrade", "http2-settings"] {
        assert_eq!(seen.header(name), None);
    }
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_unasked_is_not_believed() {
    let (server, upstream) = (TempServer::start().await, RawListener::open().await);
    let config = json!({ "config": { "max_retries": 0 } });
    let group = server.create_group("g", "openai", &upstream.base_url(), config).await;
    server.add_keys(group, &["sk-a"]).await;
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", b"{}")).await;
    let (mut served, _) = upstream.request().await;
    served.send(SWITCHED).await;
    assert_eq!(client.response_to("POST").await.status, 502);
}
