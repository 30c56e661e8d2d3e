//! A client's connection under the time limits that hyper does not have: a slow head, and a client that does not read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Sleep};

pub(super) struct ClientIo {
    stream: TokioIo<TcpStream>,
    busy: Busy,
    /// From the first byte of a request to the end of its head.
    head_timeout: Option<Duration>,
    /// While a write waits for the client to take it.
    write_timeout: Option<Duration>,
    /// Bytes came that no request was made of yet.
    has_partial_head: bool,
    head_alarm: Option<Pin<Box<Sleep>>>,
    write_alarm: Option<Pin<Box<Sleep>>>,
}

/// Counts the requests in progress on a connection, until the last byte of each answer.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

pub(super) struct BusyGuard(Arc<AtomicUsize>);

impl Busy {
    pub(super) fn begin(&self) -> BusyGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        BusyGuard(Arc::clone(&self.0))
    }

    fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientIo {
    pub(super) fn new(
        stream: TcpStream,
        busy: Busy,
        head_timeout: Option<Duration>,
        write_timeout: Option<Duration>,
    ) -> Self {
        Self {
            stream: TokioIo::new(stream),
            busy,
            head_timeout,
            write_timeout,
            has_partial_head: false,
            head_alarm: None,
            write_alarm: None,
        }
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TokioIo<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Pending => {
                ready!(poll_alarm(&mut self.write_alarm, self.write_timeout, cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
            }
            Poll::Ready(written) => {
                self.write_alarm = None;
                Poll::Ready(written)
            }
        }
    }
}

/// Arms the alarm where it is not, and is ready when it rings.
fn poll_alarm(alarm: &mut Option<Pin<Box<Sleep>>>, timeout: Option<Duration>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(timeout) = timeout else { return Poll::Pending };
    alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout))).as_mut().poll(cx)
}

impl Read for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                this.has_partial_head = true;
                Poll::Ready(read)
            }
            Poll::Pending if !this.busy.is_idle() => {
                // What came belongs to a request whose head is complete.
                this.has_partial_head = false;
                this.head_alarm = None;
                Poll::Pending
            }
            Poll::Pending if this.has_partial_head => {
                ready!(poll_alarm(&mut this.head_alarm, this.head_timeout, cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head takes too long")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Write for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }
}
