//! An HTTP/1.1 client that sends exactly the bytes it is given and shows exactly the bytes it got.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a test waits for bytes before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the bytes of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With its last byte, as its length or its last chunk announced.
    Complete,
    /// With the connection, before its announced end (or, without a length, where the connection was closed).
    Closed,
    /// With a reset of the connection.
    Reset,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct RawResponse {
    pub status: u16,
    /// Status line and headers as they were on the wire, without the empty line.
    pub head: String,
    /// In the order and case of the wire.
    pub headers: Vec<(String, String)>,
    /// With the transfer encoding removed.
    pub body: Vec<u8>,
    /// The pieces of a chunked body, as they were cut.
    pub chunks: Vec<Vec<u8>>,
    pub tail: Tail,
}

impl RawResponse {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of all headers of this name, in any case.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

/// The other side of [`RawConnection`]: an upstream that the test plays itself, byte by byte.
pub struct RawListener(TcpListener);

impl RawListener {
    /// Listens on a free loopback port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn open() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port"))
    }

    /// # Panics
    /// Never: a bound listener has an address.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound listener has an address")
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The next connection.
    ///
    /// # Panics
    /// When none comes in ten seconds.
    pub async fn accept(&self) -> RawConnection {
        let accepted = tokio::time::timeout(PATIENCE, self.0.accept()).await.expect("a connection comes in time");
        let (stream, _) = accepted.expect("the listener works");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        RawConnection { stream, buffer: Vec::new() }
    }

    /// The next connection, and the head of the request on it with its empty line.
    ///
    /// # Panics
    /// When none comes in ten seconds.
    pub async fn request(&self) -> (RawConnection, String) {
        let mut connection = self.accept().await;
        let head = connection.read_until(b"\r\n\r\n").await;
        (connection, String::from_utf8_lossy(&head).into_owned())
    }
}

/// One connection, on which requests go out one after another.
pub struct RawConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl RawConnection {
    /// # Panics
    /// When nobody listens there.
    pub async fn open(address: SocketAddr) -> Self {
        let stream =
            TcpStream::connect(address).await.unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self { stream, buffer: Vec::new() }
    }

    /// # Panics
    /// When the connection is broken.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the connection takes the request");
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Ends our side of the connection and keeps reading.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn finish_sending(&mut self) {
        self.stream.shutdown().await.expect("the connection is open");
    }

    /// Ends the connection at once, with a reset.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("an open socket takes options");
    }

    /// The next `count` bytes, whatever they are.
    ///
    /// # Panics
    /// When fewer come in ten seconds.
    pub async fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(matches!(self.fill().await, Ok(bytes) if bytes > 0), "the connection ended early");
        }
        self.buffer.drain(..count).collect()
    }

    /// Everything up to and with `end`.
    ///
    /// # Panics
    /// When it does not come in ten seconds.
    pub async fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, end) {
                return self.buffer.drain(..at + end.len()).collect();
            }
            let filled = self.fill().await;
            let so_far = String::from_utf8_lossy(&self.buffer);
            assert!(matches!(filled, Ok(bytes) if bytes > 0), "the connection ended early, after {so_far:?}");
        }
    }

    /// The next answer; `method` decides whether it can have a body.
    ///
    /// # Panics
    /// When no head comes in ten seconds, or none that is HTTP.
    pub async fn response_to(&mut self, method: &str) -> RawResponse {
        let (head, status) = loop {
            let head = self.read_until(b"\r\n\r\n").await;
            let head = String::from_utf8_lossy(&head).trim_end().to_owned();
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status: u16 = status.unwrap_or_else(|| panic!("not an HTTP head: {head:?}"));
            // Interim answers announce the one that counts.
            if status == 101 || status >= 200 {
                break (head, status);
            }
        };
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let headers = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut response =
            RawResponse { status, head, headers, body: Vec::new(), chunks: Vec::new(), tail: Tail::Complete };
        if method == "HEAD" || matches!(status, 101 | 204 | 304) {
            return response;
        }
        let length = response.header("content-length").map(|length| length.parse().expect("a length is a number"));
        let read = if response.header("transfer-encoding").is_some() {
            self.read_chunks(&mut response).await
        } else {
            self.read_plain(length, &mut response).await
        };
        response.tail = read.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::ConnectionReset => Tail::Reset,
            _ => Tail::Closed,
        });
        response
    }

    /// The next answer, or `None` when the connection ends before its head is there.
    ///
    /// # Panics
    /// As [`response_to`](Self::response_to) does.
    pub async fn try_response_to(&mut self, method: &str) -> Option<RawResponse> {
        while memchr::memmem::find(&self.buffer, b"\r\n\r\n").is_none() {
            if !matches!(self.fill().await, Ok(bytes) if bytes > 0) {
                return None;
            }
        }
        Some(self.response_to(method).await)
    }

    async fn read_plain(&mut self, length: Option<usize>, response: &mut RawResponse) -> io::Result<Tail> {
        loop {
            let wanted = length.map_or(usize::MAX, |length| length - response.body.len());
            let here = self.buffer.len().min(wanted);
            response.body.extend(self.buffer.drain(..here));
            if length == Some(response.body.len()) {
                return Ok(Tail::Complete);
            }
            if self.fill().await? == 0 {
                return Ok(Tail::Closed);
            }
        }
    }

    async fn read_chunks(&mut self, response: &mut RawResponse) -> io::Result<Tail> {
        loop {
            let line_end = loop {
                if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n") {
                    break end;
                }
                if self.fill().await? == 0 {
                    return Ok(Tail::Closed);
                }
            };
            let line: Vec<u8> = self.buffer.drain(..line_end + 2).collect();
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim().split(';').next().unwrap_or_default(), 16);
            let size = size.map_err(|_| io::ErrorKind::InvalidData)?;
            while self.buffer.len() < size + 2 {
                if self.fill().await? == 0 {
                    response.body.append(&mut self.buffer);
                    return Ok(Tail::Closed);
                }
            }
            let chunk: Vec<u8> = self.buffer.drain(..size).collect();
            self.buffer.drain(..2);
            if size == 0 {
                return Ok(Tail::Complete);
            }
            response.body.extend_from_slice(&chunk);
            response.chunks.push(chunk);
        }
    }

    /// Reads until the peer closes; true if it does so with a reset.
    ///
    /// # Panics
    /// When it does not close in ten seconds.
    pub async fn closes_with_reset(&mut self) -> bool {
        loop {
            match self.fill().await {
                Ok(0) => return false,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        read.unwrap_or_else(|_| panic!("no byte for {PATIENCE:?}, after {:?}", String::from_utf8_lossy(&self.buffer)))
    }
}

/// One request on a connection of its own.
///
/// # Panics
/// When nobody listens there, or no answer comes.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> RawResponse {
    let request = request.as_ref();
    let method =
        request.split(|byte| *byte == b' ').next().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let mut connection = RawConnection::open(address).await;
    connection.send(request).await;
    connection.response_to(&method).await
}
