//! A WebSocket endpoint that greets as OpenAI's Realtime API does and then sends every message back.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, BytesMut};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::memory::Memory;
use super::request::Head;

/// From RFC 6455: makes the answer to a handshake unlike anything else that a server would say.
const HANDSHAKE_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

const OPCODE_TEXT: u8 = 1;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;
const OPCODE_PONG: u8 = 10;

pub(crate) fn is_handshake(head: &Head) -> bool {
    head.header_is("upgrade", "websocket") && head.header("sec-websocket-key").is_some()
}

/// Answers the handshake and echoes until the client closes.
pub(crate) async fn serve(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    head: &Head,
    memory: &Memory,
) -> io::Result<()> {
    let key = head.header("sec-websocket-key").unwrap_or_default();
    let accept = BASE64.encode(Sha1::digest(format!("{key}{HANDSHAKE_SUFFIX}")));
    let mut reply = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    if let Some(protocol) = head.header("sec-websocket-protocol").and_then(|offered| offered.split(',').next()) {
        reply.push_str(&format!("Sec-WebSocket-Protocol: {}\r\n", protocol.trim()));
    }
    reply.push_str("\r\n");
    stream.write_all(reply.as_bytes()).await?;
    if head.path().ends_with("/realtime") {
        let model = head.query("model").unwrap_or_default();
        let event = serde_json::json!({
            "type": "session.created", "event_id": "event_mock",
            "session": { "id": "sess_mock", "object": "realtime.session", "type": "realtime", "model": model },
        });
        stream.write_all(&frame(0x80 | OPCODE_TEXT, event.to_string().as_bytes())).await?;
    }
    loop {
        let Some((first, payload)) = read_frame(stream, buffer).await? else {
            memory.was_cancelled();
            return Ok(());
        };
        match first & 0x0f {
            OPCODE_CLOSE => return stream.write_all(&frame(first, &payload)).await,
            OPCODE_PING => stream.write_all(&frame(0x80 | OPCODE_PONG, &payload)).await?,
            OPCODE_PONG => {}
            _ => stream.write_all(&frame(first, &payload)).await?,
        }
    }
}

/// The first byte and the unmasked payload of the next frame; `None` when the client is gone.
async fn read_frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<(u8, Vec<u8>)>> {
    loop {
        if let Some(found) = take_frame(buffer)? {
            return Ok(Some(found));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn take_frame(buffer: &mut BytesMut) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut rest = &buffer[..];
    let (Ok(first), Ok(second)) = (rest.try_get_u8(), rest.try_get_u8()) else { return Ok(None) };
    let length = match second & 0x7f {
        126 => rest.try_get_u16().map(u64::from),
        127 => rest.try_get_u64(),
        short => Ok(u64::from(short)),
    };
    let Ok(length) = length else { return Ok(None) };
    if length > MESSAGE_BYTES_MAX || second & 0x80 == 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let length = length as usize;
    if rest.len() < 4 + length {
        return Ok(None);
    }
    let mask = [rest[0], rest[1], rest[2], rest[3]];
    let payload = rest[4..4 + length].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let taken = buffer.len() - (rest.len() - 4 - length);
    buffer.advance(taken);
    Ok(Some((first, payload)))
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=65_535 => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
