//! A data-plane thread: one runtime, its share of the client connections, its own upstream connections.

use std::{
    convert::Infallible,
    io::Cursor,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use http::Request;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, join},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{load::ConnectionGuard, planes::Planes, pump::Pumped};
use crate::{
    config,
    http1::{self, RequestBody},
    proxy,
};

/// How often idle upstream connections are looked through.
const PRUNE_INTERVAL: Duration = Duration::from_secs(2);
/// Of the head of a request, as the original allows.
const HEAD_BYTES_MAX: usize = 1024 * 1024;
const HTTP2_STREAMS_PER_CONNECTION_MAX: u32 = 1024;
/// What an HTTP/2 client that knows its server sends first (RFC 9113, 3.4). No request of HTTP/1.1 begins like this.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for the first bytes of a connection, which tell its version.
const FIRST_READ_BYTES: usize = 2 * 1024;

/// A connection on its way from the listener to a worker.
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) guard: ConnectionGuard,
}

pub(super) struct WorkerThread {
    pub(super) worker: proxy::Worker,
    pub(super) planes: Arc<Planes>,
    pub(super) limits: http1::Limits,
    /// Connections finish the request that they are at, and then close.
    pub(super) stop: CancellationToken,
    /// What has not finished is dropped.
    pub(super) cut: CancellationToken,
}

pub(super) fn connection_limits(server: &config::Server) -> http1::Limits {
    http1::Limits {
        head_bytes_max: HEAD_BYTES_MAX,
        head_timeout: server.read_timeout,
        idle_timeout: server.idle_timeout,
        write_timeout: server.write_timeout,
    }
}

impl WorkerThread {
    /// Serves until the listener is gone and the last connection and tunnel are closed, or are cut: what still runs then
    /// is dropped with the thread's runtime, and each record with it says so.
    pub(super) async fn run(self, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        // The thread's own token, so that its connections do not meet those of other threads on a lock.
        let shared = Arc::new(Shared {
            worker: self.worker,
            planes: self.planes,
            limits: self.limits,
            stop: self.stop.child_token(),
        });
        let mut connections = JoinSet::new();
        let mut prune = tokio::time::interval(PRUNE_INTERVAL);
        loop {
            tokio::select! {
                connection = accepted.recv() => match connection {
                    Some(connection) => drop(connections.spawn(serve(connection, Arc::clone(&shared)))),
                    None => break,
                },
                Some(_) = connections.join_next() => {}
                _ = prune.tick() => shared.worker.clients.prune(std::time::Instant::now()),
            }
        }
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if self.cut.run_until_cancelled(all_ended).await.is_none() {
            connections.shutdown().await;
        }
    }
}

/// What the connections of one thread have in common.
struct Shared {
    worker: proxy::Worker,
    planes: Arc<Planes>,
    limits: http1::Limits,
    stop: CancellationToken,
}

async fn serve(accepted: Accepted, shared: Arc<Shared>) {
    let Accepted { stream, peer, guard: _guard } = accepted;
    let mut stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "A connection was lost before it was served"),
    };
    let mut received = BytesMut::with_capacity(FIRST_READ_BYTES);
    let too_late = async {
        let stopped = async {
            shared.stop.cancelled().await;
            tokio::time::sleep(http1::LAST_REQUEST_WAIT).await;
        };
        tokio::select! {
            () = stopped => {}
            () = after(shared.limits.head_timeout) => {}
        }
    };
    let is_http2 = tokio::select! {
        is_http2 = speaks_http2(&mut stream, &mut received) => is_http2,
        () = too_late => return,
    };
    if is_http2 {
        return serve_http2(stream, received, peer, shared).await;
    }
    let service = |request| shared.planes.answer(&shared.worker, request, peer);
    let ended = http1::serve(stream, received, service, &shared.limits, &shared.stop).await;
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "A client's connection ended early");
    }
}

/// `None`: never.
async fn after(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// Whether a client speaks HTTP/2 without having asked; its first bytes tell.
async fn speaks_http2(stream: &mut TcpStream, received: &mut BytesMut) -> bool {
    loop {
        let seen = received.len().min(HTTP2_PREFACE.len());
        if received[..seen] != HTTP2_PREFACE[..seen] {
            return false;
        }
        if seen == HTTP2_PREFACE.len() {
            return true;
        }
        if !matches!(stream.read_buf(received).await, Ok(1..)) {
            return false;
        }
    }
}

async fn serve_http2(stream: TcpStream, received: BytesMut, peer: SocketAddr, shared: Arc<Shared>) {
    let activity = Arc::new(Activity::default());
    let (reader, writer) = stream.into_split();
    let io = TokioIo::new(join(Cursor::new(received).chain(reader), writer));
    let service = service_fn({
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        move |request: Request<Incoming>| {
            let (shared, busy) = (Arc::clone(&shared), Activity::begin(&activity));
            async move {
                let response = shared.planes.answer(&shared.worker, request.map(RequestBody::Http2), peer).await;
                Ok::<_, Infallible>(response.map(|body| Pumped::new(body, busy, shared.limits.write_timeout)))
            }
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(30))
        .serve_connection(io, service);
    tokio::pin!(connection);
    let enough = async {
        tokio::select! {
            () = shared.stop.cancelled() => {}
            () = activity.ceased(shared.limits.idle_timeout) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = enough => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "A client's connection ended early");
    }
}

/// Requests of an HTTP/2 connection: how many there were, and how many are in progress.
#[derive(Default)]
struct Activity {
    begun: AtomicUsize,
    in_progress: AtomicUsize,
}

/// A request in progress, until the last byte of its answer.
pub(super) struct InProgress(Arc<Activity>);

impl Activity {
    fn begin(this: &Arc<Self>) -> InProgress {
        this.begun.fetch_add(1, Ordering::Relaxed);
        this.in_progress.fetch_add(1, Ordering::Relaxed);
        InProgress(Arc::clone(this))
    }

    /// Returns when nothing was asked for so long, or up to twice as long.
    async fn ceased(&self, idle_timeout: Option<Duration>) {
        let Some(idle_timeout) = idle_timeout else { return std::future::pending().await };
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(idle_timeout).await;
            if self.in_progress.load(Ordering::Relaxed) == 0 && self.begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}
