//! Bytes on their way to the other side.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;
use tokio::io::AsyncWrite;

use super::{BoxError, body::Encoder};

/// Data up to this size is copied behind what is written before it, so that one write carries both; larger data is
/// written from where it lies.
const COPIED_BYTES_MAX: usize = 8 * 1024;
/// As much is gathered before it is written, as long as there is more without waiting.
const GATHERED_BYTES_MAX: usize = 64 * 1024;
/// Room that is kept from one write to the next: enough for a head and a small body, so that usual requests neither grow
/// nor shrink it, and little, since thousands of streams wait with it.
const KEPT_BYTES_MAX: usize = 2 * 1024;

#[derive(Default)]
pub(super) struct Outgoing {
    /// Goes first.
    pub(super) gathered: Vec<u8>,
    written: usize,
    data: Bytes,
    tail: &'static [u8],
}

/// What became of taking frames from a body.
pub(super) enum Taken {
    /// There is something to write, and more may follow.
    Some,
    /// Everything is taken.
    All,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.gathered.len() == self.written && self.data.is_empty() && self.tail.is_empty()
    }

    /// Bytes that are still to be written.
    pub(super) fn left(&self) -> usize {
        self.gathered.len() - self.written + self.data.len() + self.tail.len()
    }

    fn is_full(&self) -> bool {
        !self.data.is_empty() || self.gathered.len() >= GATHERED_BYTES_MAX
    }

    fn push(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() <= COPIED_BYTES_MAX {
            self.gathered.extend_from_slice(&data);
            self.gathered.extend_from_slice(tail);
        } else {
            self.data = data;
            self.tail = tail;
        }
    }

    /// Takes frames as long as they come without waiting and there is room.
    ///
    /// # Errors
    /// The body broke off, or is not as long as it was announced.
    pub(super) fn poll_take<B>(
        &mut self,
        encoder: &mut Encoder,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Taken, BoxError>>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        while !self.is_full() {
            let frame = match Pin::new(&mut *body).poll_frame(cx)? {
                Poll::Ready(Some(frame)) => frame,
                Poll::Ready(None) => return Poll::Ready(self.end(encoder, None)),
                Poll::Pending if self.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(Taken::Some)),
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    if !encoder.before(data.len(), &mut self.gathered) {
                        return Poll::Ready(Err("the body is longer than announced".into()));
                    }
                    self.push(data, encoder.behind());
                    if self.data.is_empty() && body.is_end_stream() {
                        return Poll::Ready(self.end(encoder, None));
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().ok();
                    return Poll::Ready(self.end(encoder, trailers.as_ref()));
                }
            }
        }
        Poll::Ready(Ok(Taken::Some))
    }

    fn end(&mut self, encoder: &Encoder, trailers: Option<&HeaderMap>) -> Result<Taken, BoxError> {
        if encoder.end(trailers, &mut self.gathered) {
            Ok(Taken::All)
        } else {
            Err("the body is shorter than announced".into())
        }
    }

    /// Writes everything.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let gathered = &self.gathered[self.written..];
            let count = if self.data.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *to).poll_write(cx, gathered))?
            } else {
                let slices = [IoSlice::new(gathered), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *to).poll_write_vectored(cx, &slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
        self.gathered.clear();
        self.gathered.shrink_to(KEPT_BYTES_MAX);
        self.written = 0;
        // A layer below, TLS, may hold some of it back until it is told.
        Pin::new(to).poll_flush(cx)
    }

    fn advance(&mut self, mut count: usize) {
        let of_gathered = count.min(self.gathered.len() - self.written);
        self.written += of_gathered;
        count -= of_gathered;
        let of_data = count.min(self.data.len());
        self.data.advance(of_data);
        self.tail = &self.tail[count - of_data..];
    }
}
