//! The listener, the threads that serve its connections, and how they stop.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    load::{Seat, hand_over},
    planes::Planes,
    worker::{WorkerThread, connection_limits},
};
use crate::{config, proxy, upstream::Clients};

/// How long to wait when the system has no file descriptor left, in the hope that a connection closes meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const LISTEN_BACKLOG: i32 = 4096;
/// A connection that is silent for so long is asked whether it is still there.
const CLIENT_KEEPALIVE: Duration = Duration::from_secs(60);
/// Dropping what is in progress is done at once, unless a thread hangs.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two lines in the log about connections that were refused.
const REFUSALS_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Server {
    listener: TcpListener,
    connections_max: usize,
    seats: Vec<Seat>,
    threads: Vec<JoinHandle<()>>,
    planes: Arc<Planes>,
    stop: CancellationToken,
    cut: CancellationToken,
    /// One of the threads has ended.
    thread_ended: CancellationToken,
}

/// Binds before anything else is started, so that a port that is taken stops the start and nothing more. `variable` is
/// where the host was set.
///
/// # Errors
/// The address cannot be resolved or bound.
pub(super) fn bind(variable: &str, host: &str, port: u16) -> anyhow::Result<std::net::TcpListener> {
    let host = host.trim_matches(['[', ']']);
    let address = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .with_context(|| format!("{variable} {host:?} is not an address of this machine"))?;
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
        connections_max: usize,
        planes: &Arc<Planes>,
        clients: impl Fn() -> Clients,
    ) -> anyhow::Result<Self> {
        let [stop, cut, thread_ended] = [(); 3].map(|()| CancellationToken::new());
        let mut seats = Vec::new();
        let mut threads = Vec::new();
        for index in 0..server.worker_threads {
            let (seat, accepted) = Seat::new();
            let thread = WorkerThread {
                worker: proxy::Worker { index, clients: clients() },
                planes: Arc::clone(planes),
                limits: connection_limits(server),
                stop: stop.clone(),
                cut: cut.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot make the runtime of a data-plane thread")?;
            let serving = move || {
                runtime.block_on(thread.run(accepted));
                // Drops what was cut, but waits for no name that is being looked up.
                runtime.shutdown_background();
            };
            threads.push(spawn(format!("data-{index}"), &thread_ended, serving)?);
            seats.push(seat);
        }
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            connections_max,
            seats,
            threads,
            planes: Arc::clone(planes),
            stop,
            cut,
            thread_ended,
        })
    }

    /// How many connections of clients are open.
    pub(super) fn connections(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let counters: Vec<_> = self.seats.iter().map(|seat| Arc::clone(&seat.connections)).collect();
        move || counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections for as long as every thread serves its own: one that died would swallow them.
    pub(super) async fn accept(&self) {
        let mut refused = Refused::default();
        while let Some(accepted) = self.thread_ended.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => match stream.into_std() {
                    Ok(stream) => self.take(stream, peer, &mut refused),
                    Err(error) => tracing::debug!(%peer, %error, "A connection was lost when it was accepted"),
                },
                Err(error) => {
                    tracing::warn!(%error, "Cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: std::net::TcpStream, peer: SocketAddr, refused: &mut Refused) {
        // Small frames of a stream must not wait for one another.
        let _ = stream.set_nodelay(true);
        // A client that lost its power never says that it is gone.
        let keepalive = TcpKeepalive::new().with_time(CLIENT_KEEPALIVE).with_interval(CLIENT_KEEPALIVE);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        // A listener for IPv6 sees `::ffff:203.0.113.9`, which nobody means when they write a rule.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if !hand_over(&self.seats, self.connections_max, stream, peer) {
            refused.count(self.connections_max);
        }
    }

    /// Connections that the system has made for us already: with the listener they would be reset, and what their
    /// clients have sent would be lost.
    fn take_those_who_wait(&self) {
        let Ok(listener) = self.listener.as_fd().try_clone_to_owned() else { return };
        let listener = std::net::TcpListener::from(listener);
        let mut refused = Refused::default();
        while let Ok((stream, peer)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                self.take(stream, peer, &mut refused);
            }
        }
    }

    /// Closes the listener, lets requests in progress finish, and waits for them; `false`: some did not within
    /// `budget`, or before `hurry` was over, and were cut. Either way every record is handed over in the end.
    pub(super) async fn drain(self, budget: Duration, hurry: impl Future<Output = ()>) -> bool {
        self.take_those_who_wait();
        drop(self.listener);
        drop(self.seats);
        self.stop.cancel();
        let threads = self.threads;
        let mut ended = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        let is_drained = tokio::select! {
            _ = &mut ended => true,
            () = tokio::time::sleep(budget) => false,
            () = hurry => false,
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

/// Starts a thread whose end, be it by a panic, is noticed.
fn spawn(
    name: String,
    ended: &CancellationToken,
    work: impl FnOnce() + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let ended = ended.clone();
    let noticed = move || {
        let _noticed = ended.drop_guard();
        work();
    };
    std::thread::Builder::new().name(name).spawn(noticed).context("cannot start a data-plane thread")
}

/// Connections that were one too many, told now and then.
#[derive(Default)]
struct Refused {
    count: u64,
    told_at: Option<Instant>,
}

impl Refused {
    fn count(&mut self, connections_max: usize) {
        self.count += 1;
        if self.told_at.is_none_or(|at| at.elapsed() >= REFUSALS_INTERVAL) {
            self.told_at = Some(Instant::now());
            tracing::warn!(
                connections_max,
                refused = self.count,
                "Connections are refused, since there are too many (MAX_CONNECTIONS)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_thread_is_noticed() {
        let works: [fn(); 2] = [|| {}, || panic!("of a test")];
        for work in works {
            let ended = CancellationToken::new();
            let thread = spawn("data-of-a-test".to_owned(), &ended, work).unwrap();
            ended.cancelled().await;
            drop(thread.join());
        }
    }
}
