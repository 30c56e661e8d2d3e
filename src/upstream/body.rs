//! The body of an outgoing request: kept in memory so that it can be sent again, or streamed through once.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

pub(crate) use crate::http1::BoxError;

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
}

impl StreamedBody {
    pub(crate) fn new(inner: impl Body<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self { inner: Box::pin(inner), progress: Arc::default() }
    }
}

impl Progress {
    /// Returns when the last frame was taken.
    pub(super) async fn ended(&self) {
        let notified = self.end.notified();
        if !self.ended.load(Ordering::Acquire) {
            notified.await;
        }
    }

    /// Why the client's side of the body failed, if it did. To be asked once.
    pub(super) fn failure(&self) -> Option<BoxError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.notify_one();
    }
}

impl RequestBody {
    /// The same body for another try; `None`: it can be sent only once.
    pub(super) fn copy(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Streamed(_) => None,
        }
    }

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
                match polled {
                    Poll::Ready(Some(Err(error))) => {
                        // The connection only needs to know that there was one; what it was decides our answer.
                        let told = error.to_string();
                        *body.progress.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
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
