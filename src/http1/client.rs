//! One connection to an upstream: a request goes out, its answer comes in.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Version, header, request, response};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep},
};

use super::{
    BoxError, Spelling,
    body::{Decoded, Decoder, Encoder, Framing, content_length},
    head::{HeadSearch, has_token, parse_response, write_headers},
    outgoing::{Outgoing, Taken},
    reader::Reader,
};

/// Of the head of an answer.
const HEAD_BYTES_MAX: usize = 512 * 1024;
/// Interim answers (1xx) before the one that counts.
const INTERIM_ANSWERS_MAX: usize = 32;

/// A connection between two requests.
pub(crate) struct Connection<S> {
    reader: Reader<S>,
    is_reused: bool,
}

/// How a request is written, what it may take, and who hears of interim answers.
pub(crate) struct Exchange<'a> {
    /// Of the request's headers.
    pub(crate) spelling: Option<&'a Spelling>,
    /// Longest silence of an upstream: while it does not take the request, and from then on to the head of its answer.
    pub(crate) silence_max: Duration,
    /// Hears of interim answers other than 100, which is ours to give.
    pub(crate) interim: &'a (dyn Fn(&response::Parts) + Sync),
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// The connection had served before and was closed before the first byte of an answer: its other side closes idle
    /// connections earlier than we do. `was_written`: it may have got the request all the same.
    Stale {
        was_written: bool,
    },
    Silent,
    Broken(String),
    /// The request's own body broke off.
    RequestBody(BoxError),
}

pub(crate) type Answer<S, B> = http::Response<AnswerBody<S, B>>;

/// The body of an answer, with the connection that it comes on.
pub(crate) struct AnswerBody<S, B> {
    connection: Box<Connection<S>>,
    /// What is left of the request: an upstream may answer before it has read everything.
    sending: Option<Box<Sending<B>>>,
    decoder: Decoder,
    is_reusable: bool,
}

struct Sending<B> {
    out: Outgoing,
    encoder: Encoder,
    /// `None`: all of it was taken.
    body: Option<B>,
    was_written: bool,
    /// The upstream, and not the client, is the one who does not go on.
    waits_for_upstream: bool,
    /// The upstream took something since the last look.
    has_moved: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { reader: Reader::new(stream, BytesMut::new()), is_reused: false }
    }

    /// Whether an idle connection can serve again: nothing came on it, not even its end.
    pub(crate) fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.reader.buffer.is_empty() && self.reader.poll_fill(&mut cx).is_pending()
    }

    /// Sends a request, and waits for the head of its answer. `parts` hold everything but the framing of the body, which
    /// is set here; the target is written as it is.
    pub(crate) async fn exchange<B>(
        mut self: Box<Self>,
        parts: &mut request::Parts,
        body: B,
        exchange: &Exchange<'_>,
    ) -> Result<Answer<S, B>, ExchangeError>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        let mut sending = Some(Sending::new(parts, exchange.spelling, body));
        let mut unwritten = None;
        let mut alarm = pin!(tokio::time::sleep(exchange.silence_max));
        let mut search = HeadSearch::default();
        let mut interim_answers = 0;
        let (mut head, framing) = poll_fn(|cx| {
            loop {
                if let Some(request) = &mut sending
                    && let Poll::Ready(sent) = request.poll(&mut self.reader.half, cx)
                {
                    match sent {
                        Ok(()) => {}
                        Err(Unsent::Body(error)) => return Poll::Ready(Err(ExchangeError::RequestBody(error))),
                        // An upstream that wants no more of it may have said why before it closed.
                        Err(Unsent::Connection(error)) => unwritten = Some((error, request.was_written)),
                    }
                    sending = None;
                    alarm.as_mut().reset(Instant::now() + exchange.silence_max);
                }
                let Some(head) = search.take(&mut self.reader.buffer, HEAD_BYTES_MAX).map_err(broken)? else {
                    let ended = match self.reader.poll_fill(cx) {
                        Poll::Ready(Ok(0)) => None,
                        Poll::Ready(Ok(_)) => continue,
                        Poll::Ready(Err(error)) => Some(error),
                        Poll::Pending => {
                            ready!(poll_silence(alarm.as_mut(), sending.as_mut(), exchange.silence_max, cx));
                            return Poll::Ready(Err(ExchangeError::Silent));
                        }
                    };
                    return Poll::Ready(Err(self.ended(sending.as_ref(), unwritten.take(), ended)));
                };
                let head = parse_response(&head).map_err(broken)?;
                if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                    interim_answers += 1;
                    if interim_answers > INTERIM_ANSWERS_MAX {
                        return Poll::Ready(Err(broken("too many interim answers")));
                    }
                    if head.status != StatusCode::CONTINUE {
                        (exchange.interim)(&head);
                    }
                    continue;
                }
                let framing = framing(&parts.method, &head).map_err(broken)?;
                return Poll::Ready(Ok((head, framing)));
            }
        })
        .await?;
        self.is_reused = true;
        // RFC 9112, 6.3: chunks count, and a length beside them would cut the answer where it is passed on.
        let has_two_ends = framing == Framing::Chunked && head.headers.remove(header::CONTENT_LENGTH).is_some();
        let is_reusable = framing != Framing::UntilClose
            && !has_two_ends
            && unwritten.is_none()
            && head.status != StatusCode::SWITCHING_PROTOCOLS
            && keeps_alive(head.version, &head.headers)
            && keeps_alive(Version::HTTP_11, &parts.headers);
        let body = AnswerBody {
            connection: self,
            sending: sending.map(Box::new),
            decoder: Decoder::new(framing),
            is_reusable,
        };
        Ok(http::Response::from_parts(head, body))
    }

    /// Why there is no answer on a connection that ended. `unwritten`: why the request could not be written, and whether
    /// some of it was.
    fn ended<B>(
        &self,
        sending: Option<&Sending<B>>,
        unwritten: Option<(io::Error, bool)>,
        error: Option<io::Error>,
    ) -> ExchangeError {
        if self.is_reused && self.reader.buffer.is_empty() {
            let was_written = match (&unwritten, sending) {
                (Some((_, was_written)), _) => *was_written,
                (None, sending) => sending.is_none_or(|sending| sending.was_written),
            };
            return ExchangeError::Stale { was_written };
        }
        let reason = unwritten.map(|(error, _)| error).or(error);
        reason.map_or_else(|| broken("the upstream closed it"), broken)
    }
}

fn broken(error: impl std::fmt::Display) -> ExchangeError {
    ExchangeError::Broken(error.to_string())
}

/// Ready when the upstream was silent for too long. It is not while it takes something, or while the client is the one
/// who is waited for.
fn poll_silence<B>(
    mut alarm: Pin<&mut Sleep>,
    mut sending: Option<&mut Sending<B>>,
    silence_max: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    while alarm.as_mut().poll(cx).is_ready() {
        let goes_on = sending
            .as_mut()
            .is_some_and(|sending| std::mem::take(&mut sending.has_moved) || !sending.waits_for_upstream);
        if !goes_on {
            return Poll::Ready(());
        }
        alarm.as_mut().reset(Instant::now() + silence_max);
    }
    Poll::Pending
}

enum Unsent {
    Connection(io::Error),
    Body(BoxError),
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Sending<B> {
    fn new(parts: &mut request::Parts, spelling: Option<&Spelling>, body: B) -> Self {
        let encoder = match body.size_hint().exact() {
            // Whether an empty body is announced is in the headers already.
            Some(0) => Encoder::Length(0),
            Some(bytes) => Encoder::Length(bytes),
            None => Encoder::Chunked { with_trailers: true },
        };
        encoder.clean(&mut parts.headers);
        let mut out = Outgoing::default();
        let head = &mut out.gathered;
        head.reserve(1024);
        head.extend_from_slice(parts.method.as_str().as_bytes());
        head.push(b' ');
        write_target(head, parts);
        head.extend_from_slice(b" HTTP/1.1\r\n");
        write_headers(head, &parts.headers, spelling);
        if !matches!(encoder, Encoder::Length(0)) {
            encoder.announce(&parts.headers, head);
        }
        head.extend_from_slice(b"\r\n");
        let body = (!body.is_end_stream()).then_some(body);
        Self { out, encoder, body, was_written: false, waits_for_upstream: true, has_moved: false }
    }

    /// Ready when everything is written.
    fn poll<S: AsyncWrite + Unpin>(&mut self, to: &mut S, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        loop {
            if let Some(body) = &mut self.body {
                match self.out.poll_take(&mut self.encoder, body, cx) {
                    Poll::Ready(Ok(Taken::All)) => self.body = None,
                    Poll::Ready(Ok(Taken::Some)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Unsent::Body(error))),
                    Poll::Pending => {
                        self.waits_for_upstream = false;
                        return Poll::Pending;
                    }
                }
            }
            self.waits_for_upstream = true;
            let left = self.out.left();
            let written = self.out.poll_write(to, cx);
            self.has_moved |= self.out.left() < left;
            self.was_written |= self.has_moved;
            ready!(written).map_err(Unsent::Connection)?;
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Origin form for the upstream itself, absolute form for a proxy on the way to it (RFC 9112, 3.2).
fn write_target(head: &mut Vec<u8>, parts: &request::Parts) {
    let uri = &parts.uri;
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        head.extend_from_slice(scheme.as_bytes());
        head.extend_from_slice(b"://");
        head.extend_from_slice(authority.as_str().as_bytes());
    }
    head.extend_from_slice(uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes());
}

/// RFC 9112, 6.3.
pub(super) fn framing(method: &Method, head: &response::Parts) -> Result<Framing, &'static str> {
    if method == Method::HEAD
        || head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Framing::Length(0));
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if head.version == Version::HTTP_10 || codings.next().is_some() {
            return Err("its transfer encoding is not one that HTTP/1.1 allows there");
        }
        return if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            Ok(Framing::Chunked)
        } else {
            Err("its transfer encoding is none that we know")
        };
    }
    Ok(content_length(&head.headers)?.map_or(Framing::UntilClose, Framing::Length))
}

/// RFC 9112, 9.3.
pub(super) fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    !has_token(headers, header::CONNECTION, "close")
        && (version != Version::HTTP_10 || has_token(headers, header::CONNECTION, "keep-alive"))
}

impl<S, B> AnswerBody<S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    /// The connection, once the answer was read to its end and another may follow.
    pub(crate) fn into_idle(mut self) -> Option<Box<Connection<S>>> {
        self.connection.reader.release();
        let is_idle = self.is_reusable
            && self.decoder.is_done()
            && self.sending.is_none()
            && self.connection.reader.buffer.is_empty();
        is_idle.then_some(self.connection)
    }

    /// The bare stream behind an answer that switched protocols, and what came on it already.
    pub(crate) fn into_stream(self) -> (S, Bytes) {
        let Reader { half, buffer, .. } = self.connection.reader;
        (half, buffer.freeze())
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) {
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(sent) = sending.poll(&mut self.connection.reader.half, cx)
        {
            // The answer counts, whether the upstream wanted all of the request or not.
            self.is_reusable &= sent.is_ok();
            self.sending = None;
        }
    }
}

impl<S, B> Body for AnswerBody<S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.poll_sending(cx);
        loop {
            let reader = &mut this.connection.reader;
            match this.decoder.decode(&mut reader.buffer)? {
                Decoded::Data(data) => {
                    this.decoder.look_ahead(&mut reader.buffer);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Decoded::Trailers(trailers) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Decoded::End => return Poll::Ready(None),
                Decoded::Nothing => {}
            }
            match reader.poll_fill(cx)? {
                Poll::Ready(0) => {
                    this.is_reusable = false;
                    this.decoder.end()?;
                }
                Poll::Ready(_) => {}
                Poll::Pending => {
                    reader.release();
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
