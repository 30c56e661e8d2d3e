//! The listener, the threads that serve its connections, and how they stop.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    load::{Seat, hand_over},
    planes::Planes,
    worker::{ConnectionLimits, WorkerThread},
};
use crate::{config, proxy, upstream::Clients};

/// How long to wait when the system has no file descriptor left, in the hope that a connection closes meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const LISTEN_BACKLOG: i32 = 4096;
/// Dropping what is in progress is done at once, unless a thread hangs.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Server {
    listener: TcpListener,
    seats: Vec<Seat>,
    threads: Vec<JoinHandle<()>>,
    planes: Arc<Planes>,
    stop: CancellationToken,
    cut: CancellationToken,
}

/// Binds before anything else is started, so that a port that is taken stops the start and nothing more.
///
/// # Errors
/// The address cannot be resolved or bound.
pub(super) fn bind(server: &config::Server) -> anyhow::Result<std::net::TcpListener> {
    let host = server.host.trim_matches(['[', ']']);
    let address = (host, server.port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .with_context(|| format!("HOST {host:?} is not an address of this machine"))?;
    listen(address).with_context(|| format!("cannot listen on {address}; is another program using the port?"))
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        // `[::]` means every address, also those of IPv4.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

impl Server {
    /// Starts the data-plane threads.
    pub(super) fn start(
        listener: std::net::TcpListener,
        server: &config::Server,
        planes: &Arc<Planes>,
        tunnels: &proxy::Tunnels,
        clients: impl Fn() -> Clients,
    ) -> anyhow::Result<Self> {
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let mut seats = Vec::new();
        let mut threads = Vec::new();
        for index in 0..server.worker_threads {
            let (seat, accepted) = Seat::new();
            let thread = WorkerThread {
                worker: proxy::Worker { index, clients: clients() },
                planes: Arc::clone(planes),
                limits: ConnectionLimits::new(server),
                stop: stop.clone(),
                cut: cut.clone(),
                tunnels: tunnels.tracker.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot make the runtime of a data-plane thread")?;
            let thread = std::thread::Builder::new()
                .name(format!("data-{index}"))
                .spawn(move || runtime.block_on(thread.run(accepted)))
                .context("cannot start a data-plane thread")?;
            seats.push(seat);
            threads.push(thread);
        }
        Ok(Self { listener: TcpListener::from_std(listener)?, seats, threads, planes: Arc::clone(planes), stop, cut })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections for ever.
    pub(super) async fn accept(&self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Small frames of a stream must not wait for one another.
                    let _ = stream.set_nodelay(true);
                    match stream.into_std() {
                        Ok(stream) => hand_over(&self.seats, stream, peer),
                        Err(error) => tracing::debug!(%peer, %error, "A connection was lost when it was accepted"),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "Cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Closes the listener, lets requests in progress finish, and waits for them; `false`: some did not within
    /// `budget`, or before `hurry` was over, and were cut. Either way every record is handed over in the end.
    pub(super) async fn drain(self, budget: Duration, tunnels: &proxy::Tunnels, hurry: impl Future) -> bool {
        drop(self.listener);
        drop(self.seats);
        self.stop.cancel();
        tunnels.tracker.close();
        let threads = self.threads;
        let mut ended = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        let is_drained = tokio::select! {
            _ = &mut ended => true,
            () = tokio::time::sleep(budget) => false,
            _ = hurry => false,
        };
        if !is_drained {
            self.planes.proxy.cut();
            self.cut.cancel();
            if tokio::time::timeout(CUT_TIMEOUT, ended).await.is_err() {
                tracing::error!("A data-plane thread does not end");
            }
        }
        is_drained
    }
}
