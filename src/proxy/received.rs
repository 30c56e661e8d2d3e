//! The client's body: read into memory so that a retry can send it again, or, above a limit, streamed through once.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Sleep;

use super::failure::Failure;
use crate::{
    http1::{self, BodyError, BoxError},
    upstream::{RequestBody, StreamedBody},
};

/// Bodies up to this size never count against the memory budget: they are what a server always has room for.
const SMALL_BODY_BYTES: u64 = 64 * 1024;

/// How much of clients' bodies may be where.
pub(super) struct BodyLimits {
    /// Of one body in memory; larger ones are streamed.
    pub(super) buffer_bytes_max: u64,
    /// Of one body at all; larger ones are refused.
    pub(super) bytes_max: u64,
    /// Longest silence of a client while its body is awaited.
    pub(super) idle_timeout: Option<Duration>,
    /// Of all bodies in memory together; beyond it they are streamed as well.
    pub(super) memory: Arc<MemoryBudget>,
}

/// Bytes of request bodies that are held at this moment.
pub(super) struct MemoryBudget {
    used: AtomicU64,
    body_bytes_max: u64,
    bytes_max: u64,
}

/// Gives its bytes back when the request is over.
pub(super) struct MemoryShare {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

pub(super) enum Received {
    Empty,
    Whole { bytes: Bytes, share: MemoryShare },
    Streamed(Arc<OneWay>),
}

/// A body that can be sent once. It is shared, so that an attempt that failed before it touched the body leaves it for
/// the next.
pub(super) struct OneWay {
    way: Mutex<Way>,
    is_touched: AtomicBool,
    size_hint: SizeHint,
    pub(super) reason: Reason,
}

/// A body and how far it is on its way.
struct Way {
    body: Pin<Box<Limited>>,
    /// Since when the upstream has not asked for more; `None`: it has, and the client has not sent any.
    untaken_since: Option<Instant>,
    /// When the last byte was taken.
    ended_at: Option<Instant>,
}

/// Why a body is not in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Size,
    /// The bodies of other requests take all the room.
    Memory,
}

impl MemoryBudget {
    /// `bodies_max`: how many bodies of the largest size find room at once.
    pub(super) fn new(body_bytes_max: u64, bodies_max: u64) -> Self {
        Self { used: AtomicU64::new(0), body_bytes_max, bytes_max: body_bytes_max.saturating_mul(bodies_max) }
    }

    fn share(self: &Arc<Self>) -> MemoryShare {
        MemoryShare { budget: Arc::clone(self), bytes: 0 }
    }
}

impl MemoryShare {
    /// Of one body.
    pub(super) fn body_bytes_max(&self) -> u64 {
        self.budget.body_bytes_max
    }

    /// Makes room for a body of this size; false: there is none.
    pub(super) fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 || bytes <= SMALL_BODY_BYTES {
            return true;
        }
        self.bytes += more;
        self.budget.used.fetch_add(more, Ordering::Relaxed) + more <= self.budget.bytes_max
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Received {
    /// # Errors
    /// 413 for a body that is announced as, or turns out, too large; 400 for one that cannot be read; 408 for one that
    /// stalls; and for one that ends early, which nobody hears, 499 in the log.
    pub(super) async fn read(body: http1::RequestBody, limits: &BodyLimits) -> Result<Self, Failure> {
        if body.is_end_stream() {
            return Ok(Self::Empty);
        }
        let size_hint = body.size_hint();
        let announced = size_hint.exact();
        if announced.is_some_and(|bytes| bytes > limits.bytes_max) {
            return Err(too_large(limits.bytes_max));
        }
        let mut share = limits.memory.share();
        let mut body = Limited::new(body, limits);
        let announced_bytes = announced.unwrap_or(0);
        if announced_bytes > limits.buffer_bytes_max {
            return Ok(Self::streamed(body, size_hint, Reason::Size));
        }
        if !share.grow_to(announced_bytes) {
            return Ok(Self::streamed(body, size_hint, Reason::Memory));
        }
        if let Some(bytes) = announced.filter(|bytes| *bytes > SMALL_BODY_BYTES) {
            let bytes = body.read_whole(usize::try_from(bytes).unwrap_or(usize::MAX)).await?;
            return Ok(Self::Whole { bytes, share });
        }
        let mut whole = Gathered::default();
        loop {
            let Some(frame) = body.frame().await else { break };
            let frame = frame.map_err(|error| refused(&error))?;
            if let Ok(chunk) = frame.into_data() {
                whole.push(chunk, announced);
            }
            if body.is_end_stream() {
                break;
            }
            let reason = if whole.len() > limits.buffer_bytes_max {
                Reason::Size
            } else if !share.grow_to(whole.len()) {
                Reason::Memory
            } else {
                continue;
            };
            body.prefix = Some(whole.finish());
            let hint = announced.map_or_else(SizeHint::default, SizeHint::with_exact);
            return Ok(Self::streamed(body, hint, reason));
        }
        Ok(match whole.finish() {
            bytes if bytes.is_empty() => Self::Empty,
            bytes => Self::Whole { bytes, share },
        })
    }

    fn streamed(body: Limited, size_hint: SizeHint, reason: Reason) -> Self {
        Self::Streamed(Arc::new(OneWay::new(body, size_hint, reason)))
    }

    pub(super) fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Whole { bytes, .. } => Some(bytes),
            Self::Empty | Self::Streamed(_) => None,
        }
    }

    /// For a second form of a body that is in memory.
    pub(super) fn further_share(&self) -> Option<MemoryShare> {
        match self {
            Self::Whole { share, .. } => Some(share.budget.share()),
            Self::Empty | Self::Streamed(_) => None,
        }
    }

    /// Whether an attempt that comes now can send the whole body.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Empty | Self::Whole { .. } => true,
            Self::Streamed(body) => !body.is_touched.load(Ordering::Relaxed),
        }
    }

    /// When a streamed body had been taken; now, where it still is being. `None`: it was read before the first attempt.
    pub(super) fn uploaded_at(&self) -> Option<Instant> {
        match self {
            Self::Empty | Self::Whole { .. } => None,
            Self::Streamed(body) => Some(body.way().ended_at.unwrap_or_else(Instant::now)),
        }
    }

    /// The body for an attempt, where no rule changed it.
    pub(super) fn request_body(&self) -> RequestBody {
        match self {
            Self::Empty => RequestBody::Empty,
            Self::Whole { bytes, .. } => RequestBody::Whole(bytes.clone()),
            Self::Streamed(body) => RequestBody::Streamed(StreamedBody::new(Shared(Arc::clone(body)))),
        }
    }
}

/// Chunks put together; a body that came in one piece is not copied.
#[derive(Default)]
struct Gathered {
    first: Option<Bytes>,
    rest: BytesMut,
}

impl Gathered {
    fn push(&mut self, chunk: Bytes, announced: Option<u64>) {
        match self.first.take() {
            None if self.rest.is_empty() => self.first = Some(chunk),
            first => {
                if self.rest.is_empty() {
                    let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
                    self.rest.reserve(announced.unwrap_or(2 * chunk.len()));
                    self.rest.extend_from_slice(&first.unwrap_or_default());
                }
                self.rest.extend_from_slice(&chunk);
            }
        }
    }

    fn len(&self) -> u64 {
        (self.first.as_ref().map_or(0, Bytes::len) + self.rest.len()) as u64
    }

    fn finish(&mut self) -> Bytes {
        self.first.take().unwrap_or_else(|| std::mem::take(&mut self.rest).freeze())
    }
}

fn too_large(bytes_max: u64) -> Failure {
    Failure::too_large(format!("The request body is larger than the {bytes_max} bytes that are allowed"))
}

/// What a client hears whose body could not be read to its end.
pub(super) fn refused(error: &BoxError) -> Failure {
    match error.downcast_ref::<Refused>() {
        Some(Refused::TooLarge(bytes_max)) => too_large(*bytes_max),
        Some(Refused::Stalled(timeout)) => Failure::of_client(
            http::StatusCode::REQUEST_TIMEOUT,
            "BAD_REQUEST",
            format!("The request body stalled for {} seconds", timeout.as_secs()),
        ),
        None if is_malformed(&**error) => Failure::malformed_body(error.to_string()),
        None => Failure::client_gone(error.to_string()),
    }
}

/// A body that came, but is no proper HTTP: everything else that ends one early is the connection's end.
fn is_malformed(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| matches!(cause.downcast_ref::<BodyError>(), Some(BodyError::BadChunk | BodyError::BadTrailers)))
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the client sent nothing for {0:?}")]
    Stalled(Duration),
}

/// A client's body under its limits of size and silence.
pub(super) struct Limited {
    prefix: Option<Bytes>,
    inner: http1::RequestBody,
    left: u64,
    bytes_max: u64,
    idle_timeout: Option<Duration>,
    idle: Option<Pin<Box<Sleep>>>,
}

impl Limited {
    fn new(inner: http1::RequestBody, limits: &BodyLimits) -> Self {
        Self {
            prefix: None,
            inner,
            left: limits.bytes_max,
            bytes_max: limits.bytes_max,
            idle_timeout: limits.idle_timeout,
            idle: None,
        }
    }

    /// Reads a body of this size, which is within all limits, into one buffer.
    async fn read_whole(&mut self, bytes: usize) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::with_capacity(bytes);
        let read = std::future::poll_fn(|cx| {
            while whole.len() < bytes {
                let Poll::Ready(read) = self.inner.poll_read_into(&mut whole, cx) else {
                    return self.poll_idle(cx).map(Err);
                };
                self.idle = None;
                if read? == 0 {
                    break;
                }
            }
            Poll::Ready(Ok(()))
        });
        read.await.map_err(|error| refused(&error))?;
        Ok(whole.freeze())
    }

    /// Ready when the client was silent for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<BoxError> {
        let Some(timeout) = self.idle_timeout else { return Poll::Pending };
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(idle.as_mut().poll(cx));
        Poll::Ready(Refused::Stalled(timeout).into())
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(prefix) = self.prefix.take() {
            return Poll::Ready(Some(Ok(Frame::data(prefix))));
        }
        let Poll::Ready(polled) = Pin::new(&mut self.inner).poll_frame(cx) else {
            return self.poll_idle(cx).map(|stalled| Some(Err(stalled)));
        };
        self.idle = None;
        Poll::Ready(match polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(bytes) {
                    Some(left) => {
                        self.left = left;
                        Some(Ok(frame))
                    }
                    None => Some(Err(Refused::TooLarge(self.bytes_max).into())),
                }
            }
            Some(Err(error)) => Some(Err(error)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.inner.is_end_stream()
    }
}

impl OneWay {
    fn new(body: Limited, size_hint: SizeHint, reason: Reason) -> Self {
        let way = Way { body: Box::pin(body), untaken_since: None, ended_at: None };
        Self { way: Mutex::new(way), is_touched: AtomicBool::new(false), size_hint, reason }
    }

    /// Returns when an upstream has left what there was to take for longer than `limit`. Until it asks for the first
    /// byte, it has `connect_timeout` as well.
    pub(super) fn left_untaken(&self, limit: Duration, connect_timeout: Duration) -> impl Future<Output = ()> {
        self.way().untaken_since = Some(Instant::now() + connect_timeout);
        async move {
            loop {
                let now = Instant::now();
                let due = match *self.way() {
                    Way { ended_at: None, untaken_since: Some(since), .. } => since + limit,
                    _ => now + limit,
                };
                if due <= now {
                    return;
                }
                tokio::time::sleep_until(due.into()).await;
            }
        }
    }

    /// A poisoned lock guards what is whole at any time.
    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared(Arc<OneWay>);

impl Body for Shared {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.is_touched.store(true, Ordering::Relaxed);
        let mut way = self.0.way();
        let polled = way.body.as_mut().poll_frame(cx);
        way.untaken_since = polled.is_ready().then(Instant::now);
        if matches!(polled, Poll::Ready(None)) || way.body.is_end_stream() {
            way.ended_at = way.untaken_since;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.way().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint
    }
}
