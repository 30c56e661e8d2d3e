//! The body of an outgoing request: kept in memory so that it can be sent again, or streamed through once.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) enum RequestBody {
    Empty,
    Whole(Bytes),
    Streamed(StreamedBody),
}

/// A body on its way from the client, which nobody can send twice.
pub(crate) struct StreamedBody {
    inner: Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>,
    progress: Arc<Progress>,
}

/// What the sender of a streamed body can know about it.
#[derive(Default)]
pub(super) struct Progress {
    ended: AtomicBool,
    end: Notify,
    failure: Mutex<Option<BoxError>>,
    /// Since when the upstream has not asked for more; `None`: it has, and the client has not sent any.
    untouched_since: Mutex<Option<Instant>>,
}

/// The upstream does not take what there is of the body.
pub(super) struct Untaken;

/// A poisoned lock guards plain values, which are whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StreamedBody {
    pub(crate) fn new(inner: impl Body<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self { inner: Box::pin(inner), progress: Arc::default() }
    }
}

impl Progress {
    /// Returns when the last frame was taken.
    ///
    /// # Errors
    /// The upstream has not taken anything for `patience`, though there was something to take.
    pub(super) async fn ended(&self, patience: Duration) -> Result<(), Untaken> {
        self.hand_to(Some(Instant::now()));
        while !self.ended.load(Ordering::Acquire) {
            let untouched_since = *lock(&self.untouched_since);
            let due = untouched_since.unwrap_or_else(Instant::now) + patience;
            if Instant::now() >= due {
                return Err(Untaken);
            }
            tokio::select! {
                () = self.end.notified() => {}
                () = tokio::time::sleep_until(due.into()) => {}
            }
        }
        Ok(())
    }

    /// Why the client's side of the body failed, if it did. To be asked once.
    pub(super) fn failure(&self) -> Option<BoxError> {
        lock(&self.failure).take()
    }

    fn hand_to(&self, upstream_since: Option<Instant>) {
        *lock(&self.untouched_since) = upstream_since;
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.notify_one();
    }
}

impl RequestBody {
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        match self {
            Self::Streamed(body) => Some(Arc::clone(&body.progress)),
            Self::Empty | Self::Whole(_) => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Streamed(body) => {
                let polled = body.inner.as_mut().poll_frame(cx);
                body.progress.hand_to(polled.is_ready().then(Instant::now));
                match polled {
                    Poll::Ready(Some(Err(error))) => {
                        let told = error.to_string();
                        *lock(&body.progress.failure) = Some(error);
                        body.progress.end();
                        return Poll::Ready(Some(Err(told.into())));
                    }
                    Poll::Ready(None) => body.progress.end(),
                    Poll::Ready(Some(Ok(_))) if body.inner.is_end_stream() => body.progress.end(),
                    Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(body) => body.inner.size_hint(),
        }
    }
}
