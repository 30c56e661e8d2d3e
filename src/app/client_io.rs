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

use super::{load::ConnectionGuard, worker::ConnectionLimits};

pub(super) struct ClientIo {
    stream: TokioIo<TcpStream>,
    busy: Busy,
    /// From the connection's beginning, or from the first byte of a later request, to the end of the head.
    head_timeout: Option<Duration>,
    /// While a write waits for the client to take it.
    write_timeout: Option<Duration>,
    /// Of HTTP/2 between two requests.
    idle_timeout: Option<Duration>,
    /// A head is awaited: the first one, or one of which bytes came that no request was made of yet.
    has_partial_head: bool,
    /// How many requests had begun when the alarm was last looked at.
    requests_seen: usize,
    /// Rings when the head, or with HTTP/2 the next request, takes too long.
    head_alarm: Option<Pin<Box<Sleep>>>,
    write_alarm: Option<Pin<Box<Sleep>>>,
    /// Here, because a tunnel outlives what served its request.
    _guard: ConnectionGuard,
}

/// Counts the requests in progress on a connection, until the last byte of each answer.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Requests>);

pub(super) struct BusyGuard(Arc<Requests>);

#[derive(Default)]
struct Requests {
    in_progress: AtomicUsize,
    begun: AtomicUsize,
    are_http2: AtomicBool,
    idled: Notify,
}

impl Busy {
    pub(super) fn begin(&self, version: Version) -> BusyGuard {
        self.0.in_progress.fetch_add(1, Ordering::Relaxed);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.0.are_http2.store(true, Ordering::Relaxed);
        }
        BusyGuard(Arc::clone(&self.0))
    }

    /// Returns when a connection of HTTP/2 was without a request for too long. hyper watches over HTTP/1.1 itself.
    pub(super) async fn idled(&self) {
        self.0.idled.notified().await;
    }

    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.0.in_progress.load(Ordering::Relaxed) == 0
    }

    fn is_http2(&self) -> bool {
        self.0.are_http2.load(Ordering::Relaxed)
    }
}

impl BusyGuard {
    /// What the connection carries from here on are no requests: nothing in it is a slow head, and it never idles.
    pub(super) fn for_good(&self) {
        self.0.in_progress.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, busy: Busy, limits: &ConnectionLimits, guard: ConnectionGuard) -> Self {
        Self {
            stream: TokioIo::new(stream),
            busy,
            head_timeout: limits.read_timeout,
            write_timeout: limits.write_timeout,
            idle_timeout: limits.idle_timeout,
            has_partial_head: true,
            requests_seen: 0,
            head_alarm: None,
            write_alarm: None,
            _guard: guard,
        }
    }

    /// Nothing came: is that too long already?
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let begun = self.busy.begun();
        if begun != self.requests_seen || !self.busy.is_idle() {
            // What came belongs to requests whose heads are complete, be they answered already.
            self.requests_seen = begun;
            self.has_partial_head = false;
            self.head_alarm = None;
        }
        if !self.busy.is_idle() {
            Poll::Pending
        } else if self.busy.is_http2() {
            // Pings and windows between two requests are no head.
            ready!(poll_alarm(&mut self.head_alarm, self.idle_timeout, cx));
            self.idle_timeout = None;
            self.head_alarm = None;
            self.busy.0.idled.notify_one();
            Poll::Pending
        } else if self.has_partial_head {
            ready!(poll_alarm(&mut self.head_alarm, self.head_timeout, cx));
            Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head takes too long")))
        } else {
            Poll::Pending
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
            Poll::Pending => this.poll_silence(cx),
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
