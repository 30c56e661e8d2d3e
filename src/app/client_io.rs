//! A client's connection under the time limits that hyper does not have: a slow head, a client that does not read, and
//! HTTP/2 without requests.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Version;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Notify, time::Sleep};

use super::worker::ConnectionLimits;

pub(super) struct ClientIo {
    stream: TokioIo<TcpStream>,
    busy: Busy,
    /// From the first byte of a request to the end of its head.
    head_timeout: Option<Duration>,
    /// While a write waits for the client to take it.
    write_timeout: Option<Duration>,
    /// Of HTTP/2 between two requests.
    idle_timeout: Option<Duration>,
    /// Bytes came that no request was made of yet.
    has_partial_head: bool,
    /// Rings when the head, or with HTTP/2 the next request, takes too long.
    head_alarm: Option<Pin<Box<Sleep>>>,
    write_alarm: Option<Pin<Box<Sleep>>>,
}

/// Counts the requests in progress on a connection, until the last byte of each answer.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Requests>);

pub(super) struct BusyGuard(Arc<Requests>);

#[derive(Default)]
struct Requests {
    count: AtomicUsize,
    are_http2: AtomicBool,
    idled: Notify,
    is_aborted: AtomicBool,
}

impl Busy {
    pub(super) fn begin(&self, version: Version) -> BusyGuard {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.0.are_http2.store(true, Ordering::Relaxed);
        }
        BusyGuard(Arc::clone(&self.0))
    }

    /// Returns when a connection of HTTP/2 was without a request for too long. hyper watches over HTTP/1.1 itself.
    pub(super) async fn idled(&self) {
        self.0.idled.notified().await;
    }

    fn is_idle(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) == 0
    }

    fn is_http2(&self) -> bool {
        self.0.are_http2.load(Ordering::Relaxed)
    }
}

impl BusyGuard {
    /// The answer broke off: the connection ends with a reset, so that nobody takes what came of it for the whole.
    pub(super) fn abort(&self) {
        self.0.is_aborted.store(true, Ordering::Relaxed);
    }

    /// What the connection carries from here on are no requests, and nothing in it is a slow head.
    pub(super) fn for_good(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, busy: Busy, limits: &ConnectionLimits) -> Self {
        Self {
            stream: TokioIo::new(stream),
            busy,
            head_timeout: limits.read_timeout,
            write_timeout: limits.write_timeout,
            idle_timeout: limits.idle_timeout,
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

impl Drop for ClientIo {
    fn drop(&mut self) {
        if self.busy.0.is_aborted.load(Ordering::Relaxed) {
            // A client that is gone already needs no reset.
            let _ = self.stream.inner().set_zero_linger();
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
            // Pings and windows between two requests are no head.
            Poll::Pending if this.busy.is_http2() => {
                ready!(poll_alarm(&mut this.head_alarm, this.idle_timeout, cx));
                this.idle_timeout = None;
                this.head_alarm = None;
                this.busy.0.idled.notify_one();
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
