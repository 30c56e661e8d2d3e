//! Bytes from the other side, as far as they were not used yet.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// What is read at a time as long as the other side sends little. It is read onto the stack and kept in a buffer of its
/// exact size, so that a connection that waits, as thousands of streams do, holds no memory for what might come.
const SMALL_READ_BYTES: usize = 8 * 1024;
/// What is read at a time from a side that sends much: straight into a buffer, without a copy.
const LARGE_READ_BYTES: usize = 128 * 1024;

pub(super) struct Reader<R> {
    pub(super) half: R,
    pub(super) buffer: BytesMut,
    has_much: bool,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(half: R, buffer: BytesMut) -> Self {
        Self { half, buffer, has_much: false }
    }

    /// Reads once; 0: the other side has ended.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.has_much {
            if self.buffer.capacity() - self.buffer.len() < SMALL_READ_BYTES {
                self.buffer.reserve(LARGE_READ_BYTES);
            }
            let count = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.half), cx, &mut self.buffer))?;
            self.has_much = count >= SMALL_READ_BYTES;
            return Poll::Ready(Ok(count));
        }
        let mut space = [const { MaybeUninit::uninit() }; SMALL_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.half).poll_read(cx, &mut read))?;
        let filled = read.filled();
        if self.buffer.is_empty() {
            // What was used of the old buffer may be in use elsewhere: it is not kept alive for the few bytes behind it.
            self.buffer = BytesMut::from(filled);
        } else {
            self.buffer.extend_from_slice(filled);
        }
        self.has_much = filled.len() == SMALL_READ_BYTES;
        Poll::Ready(Ok(filled.len()))
    }

    /// Gives back the memory of a buffer that holds nothing.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.has_much = false;
        }
    }
}
