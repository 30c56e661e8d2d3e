//! An answer over HTTP/2 under a limit that hyper does not have: how long a client may leave it untouched.
//!
//! A client that opens no window for its stream takes nothing, while its connection lives and is written to. The
//! upstream and the place of the request must not wait for it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::{body::ServerBody, worker::InProgress};
use crate::http1::BoxError;

/// Its end, or its next frame.
type Piece = Option<Result<Frame<Bytes>, BoxError>>;

/// The client's end.
pub(super) struct Pumped {
    /// `None`: the body is empty.
    pieces: Option<mpsc::Receiver<Piece>>,
    size_hint: SizeHint,
    /// What came before a break had its chance to be written: a reset takes along what was not.
    broken: Option<BoxError>,
}

impl Pumped {
    /// Carries the body on the current thread. The request counts as in progress until its end. `patience`: for as long
    /// as the client may leave a frame untouched.
    pub(super) fn new(body: ServerBody, in_progress: InProgress, patience: Option<Duration>) -> Self {
        let size_hint = body.size_hint();
        let pieces = (!body.is_end_stream()).then(|| {
            let (sender, pieces) = mpsc::channel(1);
            tokio::spawn(pump(body, in_progress, sender, patience));
            pieces
        });
        Self { pieces, size_hint, broken: None }
    }
}

impl Body for Pumped {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        let error = match ready!(pieces.poll_recv(cx)) {
            Some(Some(Err(error))) => error,
            Some(piece) => return Poll::Ready(piece),
            None => "the client left the answer untouched".into(),
        };
        this.broken = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.size_hint
    }
}

/// Returns, and drops the body, when it is over, the client is gone, or has left a frame untouched for too long.
async fn pump(mut body: ServerBody, _in_progress: InProgress, sender: mpsc::Sender<Piece>, patience: Option<Duration>) {
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
