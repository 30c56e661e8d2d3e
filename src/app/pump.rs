//! An answer over HTTP/2 under a limit that hyper does not have: how long a client may leave it untouched.
//!
//! A client that opens no window for its stream takes nothing, while its connection lives and is written to. The
//! upstream and the place of the request must not wait for it.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::upstream::BoxError;

/// Its end, or its next frame.
type Piece = Option<Result<Frame<Bytes>, BoxError>>;

/// The client's end.
pub(super) struct Pumped {
    pieces: mpsc::Receiver<Piece>,
    size_hint: SizeHint,
    /// What came before a break had its chance to be written: a reset takes along what was not.
    broken: Option<BoxError>,
}

impl Pumped {
    /// Carries the body on the current thread. `patience`: for as long as the client leaves a frame untouched.
    pub(super) fn new<B>(body: B, patience: Option<Duration>) -> Self
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    {
        let size_hint = body.size_hint();
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(pump(body, sender, patience));
        Self { pieces, size_hint, broken: None }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.size_hint
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let error = match ready!(self.pieces.poll_recv(cx)) {
            Some(Some(Err(error))) => error,
            Some(piece) => return Poll::Ready(piece),
            None => "the client left the answer untouched".into(),
        };
        self.broken = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Returns, and drops the body, when it is over, the client is gone, or has left a frame untouched for too long.
async fn pump<B>(mut body: B, sender: mpsc::Sender<Piece>, patience: Option<Duration>)
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    loop {
        let room = match patience {
            Some(patience) => tokio::time::timeout(patience, sender.reserve()).await,
            None => Ok(sender.reserve().await),
        };
        let Ok(Ok(room)) = room else { return };
        let piece = tokio::select! {
            piece = body.frame() => piece,
            () = sender.closed() => return,
        };
        let is_over = !matches!(piece, Some(Ok(_)));
        room.send(piece);
        if is_over {
            return;
        }
    }
}
