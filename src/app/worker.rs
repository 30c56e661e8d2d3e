//! A data-plane thread: one runtime, its share of the client connections, its own upstream connections.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    body::ServerBody,
    client_io::{Busy, ClientIo},
    load::ConnectionGuard,
    planes::Planes,
};
use crate::{config, proxy};

/// How often idle upstream connections are looked through.
const PRUNE_INTERVAL: Duration = Duration::from_secs(2);
/// More headers than this are refused: hyper's own limit of 100 is below what some clients send.
const HEADERS_MAX: usize = 256;
/// Of the head of a request, as the original allows.
const HEAD_BYTES_MAX: usize = 1024 * 1024;
const HTTP2_STREAMS_PER_CONNECTION_MAX: u32 = 1024;

/// A connection on its way from the listener to a worker.
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) guard: ConnectionGuard,
}

pub(super) struct WorkerThread {
    pub(super) worker: proxy::Worker,
    pub(super) planes: Arc<Planes>,
    pub(super) limits: ConnectionLimits,
    /// Connections finish the request that they are at, and then close.
    pub(super) stop: CancellationToken,
    /// What has not finished is dropped.
    pub(super) cut: CancellationToken,
    /// Of all threads: those of this one run only for as long as it does.
    pub(super) tunnels: TaskTracker,
}

#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "each is named as in the configuration")]
pub(super) struct ConnectionLimits {
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
}

impl ConnectionLimits {
    pub(super) fn new(server: &config::Server) -> Self {
        Self {
            read_timeout: server.read_timeout,
            write_timeout: server.write_timeout,
            idle_timeout: server.idle_timeout,
        }
    }
}

impl WorkerThread {
    /// Serves until the listener is gone and the last connection and tunnel are closed, or are cut.
    pub(super) async fn run(self, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        let worker = Arc::new(self.worker);
        let connections = TaskTracker::new();
        let builder = Arc::new(builder(&self.limits));
        let mut prune = tokio::time::interval(PRUNE_INTERVAL);
        loop {
            tokio::select! {
                connection = accepted.recv() => match connection {
                    Some(connection) => {
                        let serving = serve(
                            connection,
                            Arc::clone(&builder),
                            Arc::clone(&worker),
                            Arc::clone(&self.planes),
                            self.limits.clone(),
                            self.stop.clone(),
                        );
                        connections.spawn(serving);
                    }
                    None => break,
                },
                _ = prune.tick() => worker.clients.prune(std::time::Instant::now()),
            }
        }
        connections.close();
        let finished = async {
            connections.wait().await;
            self.tunnels.wait().await;
        };
        self.cut.run_until_cancelled(finished).await;
    }
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).preserve_header_case(true).title_case_headers(true);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Ends idle connections; a slow head is `ClientIo`'s business.
        .header_read_timeout(limits.idle_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(30));
    builder
}

async fn serve(
    accepted: Accepted,
    builder: Arc<auto::Builder<TokioExecutor>>,
    worker: Arc<proxy::Worker>,
    planes: Arc<Planes>,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let Accepted { stream, peer, guard } = accepted;
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "A connection was lost before it was served"),
    };
    let busy = Busy::default();
    let io = ClientIo::new(stream, busy.clone(), &limits);
    let requests = busy.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (worker, planes) = (Arc::clone(&worker), Arc::clone(&planes));
        let busy = requests.begin(request.version());
        // Boxed, so that a connection does not keep the room of a request in progress while it streams or idles.
        Box::pin(async move {
            let response: Response<ServerBody> = planes.answer(&worker, request, peer, busy).await;
            Ok::<_, Infallible>(response)
        })
    });
    let connection = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = stop.cancelled() => {}, () = busy.idled() => {} } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "A client's connection ended early");
    }
    drop(guard);
}
