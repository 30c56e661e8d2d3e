//! HTTP/1.1 by hand: heads are kept as they were on the wire, and a connection can break at any byte.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::answer::{Answer, Body, answer};
use super::memory::{BODY_BYTES_KEPT_MAX, Memory, Seen};
use super::request::{Head, Request};
use super::script::Ending;
use super::{control, websocket};

const HEAD_BYTES_MAX: usize = 1024 * 1024;
/// Of a body that nobody will look at, the answer needs the beginning only.
const UNRECORDED_BYTES_KEPT_MAX: usize = 16 * 1024;

/// Serves the requests of one connection until either side has had enough.
pub(crate) async fn serve(stream: TcpStream, number: usize, memory: &Arc<Memory>) {
    let mut connection = Connection { stream, buffer: BytesMut::with_capacity(8192), number, memory };
    // A broken connection ends the service of this client and concerns nobody else.
    while let Ok(Next::Request) = connection.exchange().await {}
}

enum Next {
    Request,
    End,
}

struct Connection<'a> {
    stream: TcpStream,
    buffer: BytesMut,
    number: usize,
    memory: &'a Arc<Memory>,
}

impl Connection<'_> {
    async fn exchange(&mut self) -> io::Result<Next> {
        let Some(head) = self.read_head().await? else { return Ok(Next::End) };
        if control::is_for(&head) {
            let request = self.read_body(head).await?;
            let reply = control::answer(&request, self.memory);
            return self.send(&request, reply, true).await;
        }
        let key = head.key();
        let play = self.memory.next_play(&key);
        if play.is_none() && websocket::is_handshake(&head) {
            self.remember(&head, key, Bytes::new(), 0, String::new(), true);
            websocket::serve(&mut self.stream, &mut self.buffer, &head, self.memory).await?;
            return Ok(Next::End);
        }
        if play.as_ref().is_some_and(|play| play.before_body) {
            self.remember(&head, key, Bytes::new(), 0, String::new(), false);
            let request = Request { head, body: Bytes::new(), body_bytes: 0, body_sha256: String::new() };
            let reply = answer(&request, play.as_ref(), self.memory);
            self.send(&request, reply, false).await?;
            return self.drain_and_close().await;
        }
        let request = self.read_body(head).await?;
        if self.memory.options.record {
            self.remember(
                &request.head,
                key,
                request.body.clone(),
                request.body_bytes,
                request.body_sha256.clone(),
                true,
            );
        }
        let reply = answer(&request, play.as_ref(), self.memory);
        let keep_alive = !request.head.header_is("connection", "close") && request.head.version() != "HTTP/1.0";
        self.send(&request, reply, keep_alive).await
    }

    fn remember(&self, head: &Head, key: String, body: Bytes, body_bytes: u64, body_sha256: String, complete: bool) {
        self.memory.remember(Seen {
            method: head.method().to_owned(),
            target: head.target().to_owned(),
            version: head.version().to_owned(),
            headers: head.headers(),
            key,
            body,
            body_bytes,
            body_sha256,
            complete,
            connection: self.number,
            arrived_at: std::time::Instant::now(),
        });
    }

    /// The next head, or `None` when the client has closed the connection between two requests.
    async fn read_head(&mut self) -> io::Result<Option<Head>> {
        let mut searched = 0;
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer[searched..], b"\r\n\r\n") {
                let raw = self.buffer.split_to(searched + at + 4).freeze();
                return Head::parse(raw).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            searched = self.buffer.len().saturating_sub(3);
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(8192);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Reads the body; one that breaks off is remembered as incomplete.
    async fn read_body(&mut self, head: Head) -> io::Result<Request> {
        if head.header_is("expect", "100-continue") {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut intake = Intake::new(self.memory.options.record);
        let read = if head.header("transfer-encoding").is_some() {
            self.read_chunked(&mut intake).await
        } else {
            let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.read_counted(length, &mut intake).await
        };
        let (body, body_bytes, body_sha256) = intake.finish();
        if let Err(error) = read {
            self.remember(&head, head.key(), body, body_bytes, body_sha256, false);
            return Err(error);
        }
        Ok(Request { head, body, body_bytes, body_sha256 })
    }

    async fn read_counted(&mut self, length: u64, intake: &mut Intake) -> io::Result<()> {
        let mut left = length;
        loop {
            let here = usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            intake.take(&self.buffer.split_to(here));
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            self.buffer.reserve(usize::try_from(left).map_or(65_536, |left| left.clamp(1, 65_536)));
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn read_chunked(&mut self, intake: &mut Intake) -> io::Result<()> {
        loop {
            let line = self.read_line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                // Trailers, up to the empty line.
                while !self.read_line().await?.is_empty() {}
                return Ok(());
            }
            self.read_counted(size, intake).await?;
            self.read_line().await?;
        }
    }

    async fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn send(&mut self, request: &Request, reply: Answer, keep_alive: bool) -> io::Result<Next> {
        if !reply.delay.is_zero() && self.client_leaves_within(reply.delay).await {
            return Ok(self.cancelled());
        }
        match reply.ending {
            Ending::Reset => return self.reset(),
            Ending::Close => return Ok(Next::End),
            Ending::Hang => return Ok(self.hang().await),
            _ => {}
        }
        let keep_alive = keep_alive && reply.ending != Ending::UntilClose;
        let without_body = request.head.method() == "HEAD" || matches!(reply.status, 204 | 304);
        let mut out = head_of(&reply, keep_alive);
        match &reply.body {
            _ if without_body => self.stream.write_all(&out).await?,
            Body::Whole(body) => {
                let cut = cut_after(reply.ending).unwrap_or(body.len()).min(body.len());
                if out.len() + cut > 65_536 {
                    self.stream.write_all(&out).await?;
                    self.stream.write_all(&body[..cut]).await?;
                } else {
                    out.extend_from_slice(&body[..cut]);
                    self.stream.write_all(&out).await?;
                }
                if cut_after(reply.ending).is_some() {
                    return self.break_off(reply.ending).await;
                }
            }
            Body::Stream { frames, gap } => {
                let chunked = reply.ending != Ending::UntilClose;
                let cut = cut_after(reply.ending).unwrap_or(usize::MAX);
                let start = Instant::now();
                for (index, frame) in frames.iter().take(cut).enumerate() {
                    let due = start + *gap * u32::try_from(index).unwrap_or(u32::MAX);
                    if !gap.is_zero() && index > 0 && self.client_leaves_before(due).await {
                        return Ok(self.cancelled());
                    }
                    append_frame(&mut out, &frame.bytes(), chunked);
                    if chunked && index + 1 == frames.len() {
                        out.extend_from_slice(b"0\r\n\r\n");
                    }
                    if self.stream.write_all(&out).await.is_err() {
                        return Ok(self.cancelled());
                    }
                    out.clear();
                }
                if !out.is_empty() {
                    // Nothing but the head, because there is no frame or it is cut before the first.
                    if chunked && frames.is_empty() {
                        out.extend_from_slice(b"0\r\n\r\n");
                    }
                    self.stream.write_all(&out).await?;
                }
                if cut < usize::MAX {
                    return self.break_off(reply.ending).await;
                }
            }
        }
        Ok(if keep_alive { Next::Request } else { Next::End })
    }

    async fn break_off(&mut self, ending: Ending) -> io::Result<Next> {
        match ending {
            Ending::ResetAfter(_) => {
                // What was sent must have left before the reset discards the rest.
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.reset()
            }
            Ending::HangAfter(_) => Ok(self.hang().await),
            _ => Ok(Next::End),
        }
    }

    /// Makes the closing of the connection a reset.
    fn reset(&mut self) -> io::Result<Next> {
        self.stream.set_zero_linger()?;
        Ok(Next::End)
    }

    fn cancelled(&self) -> Next {
        self.memory.was_cancelled();
        Next::End
    }

    async fn hang(&mut self) -> Next {
        while !self.client_leaves_within(Duration::from_secs(3600)).await {}
        self.cancelled()
    }

    async fn client_leaves_within(&mut self, time: Duration) -> bool {
        self.client_leaves_before(Instant::now() + time).await
    }

    /// Waits until `due`, or until the client has closed its side. What it sends meanwhile is kept.
    async fn client_leaves_before(&mut self, due: Instant) -> bool {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due) => return false,
                read = self.stream.read_buf(&mut self.buffer) => {
                    if !matches!(read, Ok(bytes) if bytes > 0) {
                        return true;
                    }
                }
            }
        }
    }

    /// Closes without a reset although the client may still be sending: unread bytes would turn the closing into one.
    async fn drain_and_close(&mut self) -> io::Result<Next> {
        self.stream.shutdown().await?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.client_leaves_before(deadline).await && Instant::now() < deadline {
            self.buffer.clear();
        }
        Ok(Next::End)
    }
}

fn cut_after(ending: Ending) -> Option<usize> {
    match ending {
        Ending::CloseAfter(count) | Ending::ResetAfter(count) | Ending::HangAfter(count) => Some(count),
        _ => None,
    }
}

fn head_of(reply: &Answer, keep_alive: bool) -> BytesMut {
    let mut head = String::with_capacity(256);
    let reason = http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
    // Writing to a string does not fail.
    let _ = write!(head, "HTTP/1.1 {} {}\r\n", reply.status, reason.unwrap_or("Custom"));
    for (name, value) in &reply.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    match &reply.body {
        _ if matches!(reply.status, 204 | 304) || reply.ending == Ending::UntilClose => {}
        Body::Whole(body) => {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        Body::Stream { .. } => head.push_str("Transfer-Encoding: chunked\r\n"),
    }
    if !keep_alive {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    BytesMut::from(head.as_bytes())
}

fn append_frame(out: &mut BytesMut, frame: &[u8], chunked: bool) {
    if frame.is_empty() {
        return;
    }
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", frame.len()).as_bytes());
    }
    out.extend_from_slice(frame);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

/// Takes in a body: its beginning, its length and, when requests are recorded, its hash.
pub(crate) struct Intake {
    kept: BytesMut,
    kept_max: usize,
    bytes: u64,
    hash: Option<Sha256>,
}

impl Intake {
    pub(crate) fn new(recorded: bool) -> Self {
        let kept_max = if recorded { BODY_BYTES_KEPT_MAX } else { UNRECORDED_BYTES_KEPT_MAX };
        Self { kept: BytesMut::new(), kept_max, bytes: 0, hash: recorded.then(Sha256::new) }
    }

    pub(crate) fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        let room = self.kept_max - self.kept.len();
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        if let Some(hash) = &mut self.hash {
            hash.update(piece);
        }
    }

    pub(crate) fn finish(self) -> (Bytes, u64, String) {
        (self.kept.freeze(), self.bytes, self.hash.map(|hash| hex::encode(hash.finalize())).unwrap_or_default())
    }
}
