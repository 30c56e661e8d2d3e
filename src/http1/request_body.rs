//! The body of a request on its way in: it borrows the reading half of its connection for as long as it takes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::net::tcp::OwnedReadHalf;

use super::{
    BoxError,
    body::{BodyError, Decoded, Decoder, Framing},
    lock,
    reader::Reader,
};

/// The body of a request, of either version of HTTP.
pub(crate) enum RequestBody {
    Empty,
    /// It came along with its head.
    Whole(Bytes),
    Reading(Box<Reading>),
    Http2(hyper::body::Incoming),
}

/// A body that is still on its way. It has the connection's reading half for so long.
pub(crate) struct Reading {
    reader: Option<Reader<OwnedReadHalf>>,
    decoder: Decoder,
    loan: Arc<Mutex<Loan>>,
    /// The client waits for a 100 before it sends the body.
    is_awaited: bool,
}

/// What the connection and the body that borrows its reading half have to tell each other.
#[derive(Default)]
pub(super) struct Loan {
    pub(super) returned: Option<Reader<OwnedReadHalf>>,
    pub(super) is_read_to_end: bool,
    pub(super) wants_continue: bool,
    /// To be woken when something of this changes.
    pub(super) connection: Option<Waker>,
}

impl RequestBody {
    /// Reads the next bytes of the body to the end of `into`, without a copy where the body's length is known. Gives how
    /// many; 0: there are no more. Trailers are passed over.
    pub(crate) fn poll_read_into(
        &mut self,
        into: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, BoxError>> {
        if let Self::Reading(reading) = self
            && let Some(read) = reading.poll_read_into(into, cx)
        {
            return read;
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut *self).poll_frame(cx)?) else { return Poll::Ready(Ok(0)) };
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                into.extend_from_slice(&data);
                return Poll::Ready(Ok(data.len()));
            }
        }
    }
}

impl Reading {
    /// `is_awaited`: the client waits for a 100 before it sends the body.
    pub(super) fn new(
        reader: Reader<OwnedReadHalf>,
        framing: Framing,
        loan: Arc<Mutex<Loan>>,
        is_awaited: bool,
    ) -> Self {
        Self { reader: Some(reader), decoder: Decoder::new(framing), loan, is_awaited }
    }

    /// `None`: something has to be decoded first.
    fn poll_read_into(&mut self, into: &mut BytesMut, cx: &mut Context<'_>) -> Option<Poll<Result<usize, BoxError>>> {
        let left = usize::try_from(self.decoder.length()?).ok()?;
        let reader = self.reader.as_mut().filter(|reader| reader.buffer.is_empty() && !self.is_awaited)?;
        let mut room = BufMut::limit(into, left);
        let count = match tokio_util::io::poll_read_buf(Pin::new(&mut reader.half), cx, &mut room) {
            Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(BodyError::Ended.into()))),
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error.into()))),
            Poll::Pending => return Some(Poll::Pending),
        };
        self.decoder.advance(count);
        if self.decoder.is_done() {
            self.give_back();
        }
        Some(Poll::Ready(Ok(count)))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(reader) = &mut self.reader else { return Poll::Ready(None) };
        loop {
            match self.decoder.decode(&mut reader.buffer)? {
                Decoded::Data(data) => {
                    self.decoder.look_ahead(&mut reader.buffer);
                    if self.decoder.is_done() {
                        self.give_back();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Decoded::Trailers(trailers) => {
                    self.give_back();
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Decoded::End => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Decoded::Nothing => {}
            }
            if std::mem::take(&mut self.is_awaited) {
                let mut loan = lock(&self.loan);
                loan.wants_continue = true;
                if let Some(connection) = loan.connection.take() {
                    connection.wake();
                }
            }
            if ready!(reader.poll_fill(cx)?) == 0 {
                self.decoder.end()?;
            }
        }
    }

    fn give_back(&mut self) {
        if let Some(reader) = self.reader.take() {
            let mut loan = lock(&self.loan);
            loan.is_read_to_end = self.decoder.is_done();
            loan.returned = Some(reader);
            if let Some(connection) = loan.connection.take() {
                connection.wake();
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.give_back();
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
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Reading(reading) => reading.poll_frame(cx),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Reading(reading) => reading.decoder.is_done(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Reading(reading) => reading.decoder.length().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
