//! One connection of a client: requests come one after another, each is answered before the next is read.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header, request, response};
use http_body::Body;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    BoxError, Spelling,
    alarm::Alarm,
    body::{Encoder, Framing, content_length},
    client::keeps_alive,
    head::{HeadError, HeadSearch, has_token, parse_request, write_headers},
    lock,
    outgoing::{Outgoing, Taken},
    reader::Reader,
    request_body::{Loan, Reading, RequestBody},
};

/// What a client may send ahead of its next request while one is answered.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;
/// How long what a client still sends is read and thrown away before its connection is closed. Closing at once would
/// reset the connection, and the client could lose the answer that says what was wrong.
const LINGER: Duration = Duration::from_secs(2);
/// How long an idle connection stays open after a stop has begun. A request that was on its way when the stop began, or
/// that comes meanwhile, is answered, and the answer says that the connection ends; so whoever uses it often loses nothing.
pub(crate) const LAST_REQUEST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) head_bytes_max: usize,
    /// From the first byte of a request, or the start of the connection, to the end of its head; `None`: for ever.
    pub(crate) head_timeout: Option<Duration>,
    /// Between two requests.
    pub(crate) idle_timeout: Option<Duration>,
    /// While the client does not take what is written.
    pub(crate) write_timeout: Option<Duration>,
}

/// What is known of the client of a request beside the request. It is among its extensions.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) spelling: Spelling,
    interim: Interim,
}

/// Interim answers (1xx) that are to go out before the answer.
#[derive(Clone, Default)]
struct Interim(Arc<Mutex<Vec<u8>>>);

impl Origin {
    /// Sends an interim answer to the client; one of HTTP/1.0 knows none.
    pub(crate) fn send_interim(&self, mut head: response::Parts) {
        head.headers.remove(header::CONTENT_LENGTH);
        write_head(&mut lock(&self.interim.0), &head, None);
    }
}

type Tunnel = Box<dyn FnOnce(TcpStream, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What is done with the connection behind an answer of 101, as an extension of it. It is given the stream and what came
/// on it already.
#[derive(Clone)]
pub(crate) struct TakeOver(Arc<Mutex<Option<Tunnel>>>);

impl TakeOver {
    pub(crate) fn new<F>(tunnel: impl FnOnce(TcpStream, Bytes) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(Mutex::new(Some(Box::new(|stream, received| Box::pin(tunnel(stream, received)))))))
    }
}

/// Serves a connection until it ends, or until `stop`, the request that is in progress by then, or the one that comes soon
/// after it.
///
/// # Errors
/// The connection broke, or an answer could not be completed.
pub(crate) async fn serve<F, B>(
    stream: TcpStream,
    received: BytesMut,
    service: impl Fn(Request<RequestBody>) -> F,
    limits: &Limits,
    stop: &CancellationToken,
) -> io::Result<()>
where
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let (half, writer) = stream.into_split();
    let mut connection = Connection {
        reader: Some(Reader::new(half, received)),
        loan: None,
        writer: Some(writer),
        resets: false,
        out: Outgoing::default(),
        interim: Interim::default(),
        limits,
        alarm: Alarm::default(),
        write_alarm: Alarm::default(),
        stalled: None,
        is_fresh: true,
    };
    loop {
        let asked = match connection.next_request(stop).await {
            Ok(Some(asked)) => asked,
            Ok(None) => return Ok(()),
            Err(refusal) => return connection.refuse(refusal).await,
        };
        let Asked { request, terms } = asked;
        // Boxed, so that a connection does not keep the room of a request in progress while it streams or idles.
        let answer = connection.handle(Box::pin(service(request)), terms.version).await?;
        let outcome = connection.answer(answer, &terms, stop).await?;
        match outcome {
            Outcome::KeepAlive => connection.is_fresh = false,
            Outcome::Close => return connection.close().await,
            Outcome::TakeOver(tunnel) => {
                let (stream, received) = connection.into_stream()?;
                tunnel(stream, received).await;
                return Ok(());
            }
        }
    }
}

struct Connection<'l> {
    /// `None` while the body of a request has it.
    reader: Option<Reader<OwnedReadHalf>>,
    loan: Option<Arc<Mutex<Loan>>>,
    /// `None` once it was taken over.
    writer: Option<OwnedWriteHalf>,
    /// Until the answer is complete, dropping the connection resets it: its end would be taken for the answer's.
    resets: bool,
    out: Outgoing,
    interim: Interim,
    limits: &'l Limits,
    alarm: Alarm,
    write_alarm: Alarm,
    /// Since when the client takes nothing, and how much there was to take then.
    stalled: Option<(Instant, usize)>,
    /// Nothing came on it yet.
    is_fresh: bool,
}

struct Asked {
    request: Request<RequestBody>,
    terms: Terms,
}

/// What a request says about how it may be answered.
struct Terms {
    is_head: bool,
    version: Version,
    keeps_alive: bool,
    takes_trailers: bool,
}

enum Outcome {
    KeepAlive,
    Close,
    TakeOver(Tunnel),
}

pub(super) struct Refusal {
    status: StatusCode,
    pub(super) reason: String,
}

impl Refusal {
    fn of_head(error: HeadError) -> Self {
        let status = match error {
            HeadError::TooLarge(_) | HeadError::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HeadError::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        Self { status, reason: error.to_string() }
    }

    fn bad_request(reason: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: reason.to_string() }
    }
}

impl Connection<'_> {
    /// `None`: there will be none.
    async fn next_request(&mut self, stop: &CancellationToken) -> Result<Option<Asked>, Refusal> {
        let Some(head) = self.next_head(stop).await? else { return Ok(None) };
        let (mut parts, spelling) = parse_request(&head).map_err(Refusal::of_head)?;
        drop(head);
        let framing = framing(&parts)?;
        let terms = Terms {
            is_head: parts.method == Method::HEAD,
            version: parts.version,
            keeps_alive: keeps_alive(parts.version, &parts.headers),
            takes_trailers: has_token(&parts.headers, header::TE, "trailers"),
        };
        parts.extensions.insert(Origin { spelling, interim: self.interim.clone() });
        let body = self.body_of(&parts, framing);
        Ok(Some(Asked { request: Request::from_parts(parts, body), terms }))
    }

    async fn next_head(&mut self, stop: &CancellationToken) -> Result<Option<Bytes>, Refusal> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let (alarm, limits, is_fresh) = (&mut self.alarm, self.limits, self.is_fresh);
        let mut search = HeadSearch::default();
        let waiting_since = Instant::now();
        let mut head_since = None;
        let mut stopping_since = None;
        let mut stopped = std::pin::pin!(stop.cancelled());
        poll_fn(|cx| {
            loop {
                match search.take(&mut reader.buffer, limits.head_bytes_max) {
                    Ok(Some(head)) => return Poll::Ready(Ok(Some(head))),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(Refusal::of_head(error))),
                }
                match reader.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(None)),
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Pending => {}
                }
                let is_idle = reader.buffer.is_empty();
                if is_idle {
                    reader.release();
                    if stopped.as_mut().poll(cx).is_ready() {
                        let since = *stopping_since.get_or_insert_with(Instant::now);
                        ready!(alarm.poll(since + LAST_REQUEST_WAIT, cx));
                        return Poll::Ready(Ok(None));
                    }
                } else {
                    head_since.get_or_insert_with(Instant::now);
                }
                let (since, timeout) = match head_since {
                    Some(since) => (since, limits.head_timeout),
                    None if is_fresh => (waiting_since, limits.head_timeout),
                    None => (waiting_since, limits.idle_timeout),
                };
                let Some(timeout) = timeout else { return Poll::Pending };
                ready!(alarm.poll(since + timeout, cx));
                return Poll::Ready(if is_idle {
                    Ok(None)
                } else {
                    let reason = "the head of the request takes too long".to_owned();
                    Err(Refusal { status: StatusCode::REQUEST_TIMEOUT, reason })
                });
            }
        })
        .await
    }

    fn body_of(&mut self, parts: &request::Parts, framing: Framing) -> RequestBody {
        let Some(mut reader) = self.reader.take() else { return RequestBody::Empty };
        let whole = match framing {
            Framing::Length(0) => Some(RequestBody::Empty),
            Framing::Length(bytes) => usize::try_from(bytes)
                .ok()
                .filter(|bytes| *bytes <= reader.buffer.len())
                .map(|bytes| RequestBody::Whole(reader.buffer.split_to(bytes).freeze())),
            Framing::Chunked | Framing::UntilClose => None,
        };
        if let Some(whole) = whole {
            self.reader = Some(reader);
            return whole;
        }
        let is_awaited = parts.version == Version::HTTP_11 && has_token(&parts.headers, header::EXPECT, "100-continue");
        let loan = Arc::new(Mutex::new(Loan::default()));
        self.loan = Some(Arc::clone(&loan));
        RequestBody::Reading(Box::new(Reading::new(reader, framing, loan, is_awaited)))
    }

    /// Waits for the answer, and meanwhile looks after the client: whether it is still there, and what it waits for.
    async fn handle<B>(
        &mut self,
        mut handler: Pin<Box<impl Future<Output = Response<B>>>>,
        version: Version,
    ) -> io::Result<Response<B>> {
        poll_fn(|cx| {
            if let Poll::Ready(answer) = handler.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            if let Some(loan) = &self.loan {
                let mut loan = lock(loan);
                if std::mem::take(&mut loan.wants_continue) {
                    self.out.gathered.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                loan.connection = Some(cx.waker().clone());
            }
            self.take_interim(version);
            if !self.out.is_empty() {
                // What does not fit now goes out before the answer.
                let _ = self.poll_write(cx)?;
            }
            ready!(self.poll_gone(cx));
            Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the client left before its answer")))
        })
        .await
    }

    fn take_interim(&mut self, version: Version) {
        let mut interim = lock(&self.interim.0);
        if version == Version::HTTP_11 {
            self.out.gathered.append(&mut interim);
        } else {
            interim.clear();
        }
    }

    /// Ready when the client is gone. What it sends ahead is kept, up to a limit; beyond it, and while the request's body
    /// has the reading half, the client's leaving is not noticed here, but by who reads or writes next.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.take_back();
        let Some(reader) = &mut self.reader else { return Poll::Pending };
        while reader.buffer.len() < PIPELINED_BYTES_MAX {
            match reader.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    reader.release();
                    break;
                }
            }
        }
        Poll::Pending
    }

    /// Takes back the reading half from a body that is done with it.
    fn take_back(&mut self) {
        if let Some(loan) = &self.loan {
            let mut loan = lock(loan);
            if let Some(reader) = loan.returned.take() {
                let is_read_to_end = loan.is_read_to_end;
                drop(loan);
                self.reader = Some(reader);
                if is_read_to_end {
                    self.loan = None;
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writer) = &mut self.writer else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let written = self.out.poll_write(writer, cx);
        if written.is_ready() {
            self.stalled = None;
        }
        let Some(timeout) = self.limits.write_timeout.filter(|_| written.is_pending()) else { return written };
        // The time counts from when the client stopped taking, and begins anew with each byte that it takes.
        let left = self.out.left();
        let since = match self.stalled {
            Some((since, known)) if known == left => since,
            _ => self.stalled.insert((Instant::now(), left)).0,
        };
        ready!(self.write_alarm.poll(since + timeout, cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }

    async fn answer<B>(&mut self, answer: Response<B>, terms: &Terms, stop: &CancellationToken) -> io::Result<Outcome>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        let (mut parts, body) = answer.into_parts();
        let tunnel = parts.extensions.remove::<TakeOver>().and_then(|take_over| lock(&take_over.0).take());
        let has_body = !(terms.is_head
            || parts.status.is_informational()
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED));
        let mut encoder = encoder(&parts, &body, terms, has_body);
        self.take_back();
        // A request whose body was not read to its end leaves the rest of it on the connection.
        let mut keeps_alive =
            terms.keeps_alive && self.loan.is_none() && !matches!(encoder, Encoder::UntilClose) && !stop.is_cancelled();
        encoder.clean(&mut parts.headers);
        if parts.status.is_informational() || parts.status == StatusCode::NO_CONTENT {
            // RFC 9110, 8.6
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        if tunnel.is_none() {
            set_connection(&mut parts, terms.version, keeps_alive);
        }
        if !parts.headers.contains_key(header::DATE) {
            parts.headers.insert(header::DATE, date());
        }
        self.take_interim(terms.version);
        write_head(&mut self.out.gathered, &parts, has_body.then_some(&encoder));
        drop(parts);
        self.resets = has_body && matches!(encoder, Encoder::UntilClose);
        let mut body = Some(body).filter(|_| has_body);
        let mut broken = None;
        poll_fn(|cx| {
            loop {
                if let Some(taken) = &mut body {
                    match self.out.poll_take(&mut encoder, taken, cx) {
                        Poll::Ready(Ok(Taken::Some)) => {}
                        // Dropped before its last bytes are written, so that what it holds is free when the client has
                        // them.
                        Poll::Ready(Ok(Taken::All)) => {
                            body = None;
                            if keeps_alive && stop.is_cancelled() {
                                self.hold_back();
                            }
                        }
                        // What came before the break is written first.
                        Poll::Ready(Err(error)) => {
                            body = None;
                            broken = Some(error);
                        }
                        Poll::Pending => {
                            ready!(self.poll_gone(cx));
                            return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
                        }
                    }
                }
                ready!(self.poll_write(cx))?;
                if body.is_none() {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await?;
        if let Some(error) = broken {
            return Err(io::Error::other(error));
        }
        self.resets = false;
        self.take_back();
        // The head promised more, if it went out before the stop; the end of the connection is with the last byte then.
        keeps_alive &= self.loan.is_none() && !stop.is_cancelled();
        Ok(match tunnel {
            Some(tunnel) => Outcome::TakeOver(tunnel),
            None if keeps_alive => Outcome::KeepAlive,
            None => Outcome::Close,
        })
    }

    /// What is written from here on waits for the end of the connection, which is near, and goes out together with it: so
    /// no client can take the last byte of its answer for a leave to send its next request.
    fn hold_back(&self) {
        if let Some(writer) = &self.writer {
            // Where it fails, the end comes a moment after the last byte.
            let _ = socket2::SockRef::from(writer.as_ref()).set_tcp_cork(true);
        }
    }

    /// Answers what is no request, and closes.
    async fn refuse(&mut self, refusal: Refusal) -> io::Result<()> {
        let reason = format!("Bad request: {}\n", refusal.reason);
        let status = refusal.status;
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            reason.len()
        );
        self.out.gathered.extend_from_slice(head.as_bytes());
        self.out.gathered.extend_from_slice(reason.as_bytes());
        poll_fn(|cx| self.poll_write(cx)).await?;
        self.close_after(true).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.take_back();
        let has_sent_more = self.reader.as_ref().is_some_and(|reader| !reader.buffer.is_empty());
        self.close_after(self.loan.is_some() || has_sent_more).await
    }

    async fn close_after(&mut self, may_send_more: bool) -> io::Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.shutdown().await?;
        }
        if let Some(reader) = self.reader.as_mut().filter(|_| may_send_more) {
            let draining = poll_fn(|cx| {
                loop {
                    reader.buffer.clear();
                    if matches!(ready!(reader.poll_fill(cx)), Ok(0) | Err(_)) {
                        return Poll::Ready(());
                    }
                }
            });
            let _ = tokio::time::timeout(LINGER, draining).await;
        }
        Ok(())
    }

    fn into_stream(mut self) -> io::Result<(TcpStream, Bytes)> {
        self.take_back();
        let (Some(reader), Some(writer)) = (self.reader.take(), self.writer.take()) else {
            return Err(io::Error::other("the request's body is still being read"));
        };
        let stream = reader.half.reunite(writer).map_err(io::Error::other)?;
        Ok((stream, reader.buffer.freeze()))
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if self.resets
            && let Some(writer) = self.writer.take()
        {
            let _ = socket2::SockRef::from(writer.as_ref()).set_linger(Some(Duration::ZERO));
            // Dropped as usual, it would end the connection in order first.
            writer.forget();
        }
    }
}

/// RFC 9112, 6.3. What different readers could frame differently is refused.
pub(super) fn framing(parts: &request::Parts) -> Result<Framing, Refusal> {
    let length = content_length(&parts.headers).map_err(Refusal::bad_request)?;
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(Framing::Length(length.unwrap_or(0))) };
    if length.is_some() {
        return Err(Refusal::bad_request("Content-Length and Transfer-Encoding exclude each other"));
    }
    if parts.version == Version::HTTP_10 {
        return Err(Refusal::bad_request("HTTP/1.0 knows no Transfer-Encoding"));
    }
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        let reason = "the only Transfer-Encoding that is understood is chunked".to_owned();
        return Err(Refusal { status: StatusCode::NOT_IMPLEMENTED, reason });
    }
    Ok(Framing::Chunked)
}

fn encoder<B: Body>(parts: &response::Parts, body: &B, terms: &Terms, has_body: bool) -> Encoder {
    if !has_body {
        return Encoder::Length(0);
    }
    match content_length(&parts.headers).ok().flatten().or_else(|| body.size_hint().exact()) {
        Some(bytes) => Encoder::Length(bytes),
        None if terms.version == Version::HTTP_11 => Encoder::Chunked { with_trailers: terms.takes_trailers },
        None => Encoder::UntilClose,
    }
}

/// RFC 9112, 9.3 and 9.6.
fn set_connection(parts: &mut response::Parts, version: Version, keeps_alive: bool) {
    match (keeps_alive, version) {
        (false, _) => parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close")),
        (true, Version::HTTP_10) => parts.headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive")),
        (true, _) => parts.headers.remove(header::CONNECTION),
    };
}

/// `encoder`: of the body that follows.
fn write_head(out: &mut Vec<u8>, parts: &response::Parts, encoder: Option<&Encoder>) {
    out.reserve(512);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    write_headers(out, &parts.headers, parts.extensions.get::<Spelling>());
    if let Some(encoder) = encoder {
        encoder.announce(&parts.headers, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Made once a second at most.
fn date() -> HeaderValue {
    use std::{cell::RefCell, time::SystemTime};
    thread_local! {
        static LAST: RefCell<(u64, HeaderValue)> = const { RefCell::new((0, HeaderValue::from_static(""))) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(last, value)| {
        if *last != second {
            *last = second;
            *value =
                HeaderValue::try_from(httpdate::fmt_http_date(now)).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        value.clone()
    })
}
