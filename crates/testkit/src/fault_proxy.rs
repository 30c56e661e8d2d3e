//! A network between two programs that a test can cut, heal and slow down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::server::free_address;

/// Bytes that are passed on at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How a connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Connections are closed, and new ones refused: the other machine runs, its program does not.
    Refused,
    /// Nothing comes through and nothing is closed: the cable is out. After healing, what was sent meanwhile arrives.
    Silent,
}

/// A TCP proxy in front of an address. Dropping it closes its listener and its connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

struct Shared {
    cut: watch::Sender<Option<Cut>>,
    /// Whether new connections are taken.
    listening: watch::Sender<bool>,
    open: watch::Sender<u64>,
    delay_micros: AtomicU64,
    accepted: AtomicU64,
    bytes_there: AtomicU64,
    bytes_back: AtomicU64,
}

impl FaultProxy {
    /// Listens on a free loopback port and hands everything on to `destination`.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn before(destination: SocketAddr) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).await.expect("a free loopback port");
        let shared = Arc::new(Shared {
            cut: watch::Sender::new(None),
            listening: watch::Sender::new(true),
            open: watch::Sender::new(0),
            delay_micros: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            bytes_there: AtomicU64::new(0),
            bytes_back: AtomicU64::new(0),
        });
        let acceptor = tokio::spawn(accept(listener, destination, Arc::clone(&shared)));
        Self { address, shared, acceptor }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts, and waits until it is so.
    ///
    /// # Panics
    /// Never: what it waits for lives as long as it does.
    pub async fn cut(&self, how: Cut) {
        self.shared.cut.send_replace(Some(how));
        if how == Cut::Refused {
            self.shared.listening.subscribe().wait_for(|listening| !listening).await.expect("it is here");
            self.shared.open.subscribe().wait_for(|open| *open == 0).await.expect("it is here");
        }
    }

    /// Ends a cut, and waits until connections are taken.
    ///
    /// # Panics
    /// Never: what it waits for lives as long as it does.
    pub async fn heal(&self) {
        self.shared.cut.send_replace(None);
        self.shared.listening.subscribe().wait_for(|listening| *listening).await.expect("it is here");
    }

    /// From now on everything takes this much longer, in each direction.
    pub fn delay(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_micros.store(micros, Ordering::Relaxed);
    }

    /// How many connections were taken so far.
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> u64 {
        *self.shared.open.borrow()
    }

    /// Bytes that went to the destination, and bytes that came back.
    pub fn bytes(&self) -> (u64, u64) {
        (self.shared.bytes_there.load(Ordering::Relaxed), self.shared.bytes_back.load(Ordering::Relaxed))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.shared.cut.send_replace(Some(Cut::Refused));
    }
}

async fn accept(listener: TcpListener, destination: SocketAddr, shared: Arc<Shared>) {
    let Ok(address) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    let mut cut = shared.cut.subscribe();
    loop {
        let refused = *cut.borrow_and_update() == Some(Cut::Refused);
        if refused {
            // Only a closed listener refuses.
            listener = None;
            shared.listening.send_replace(false);
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
            assert!(listener.is_some(), "someone else took the port {}", address.port());
            shared.listening.send_replace(true);
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = cut.changed() => if changed.is_err() { return },
            accepted = accepted => if let Ok((client, _)) = accepted {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
                shared.open.send_modify(|open| *open += 1);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let mut cut = shared.cut.subscribe();
                    tokio::select! {
                        _ = pass_on(client, destination, &shared) => {}
                        _ = cut.wait_for(|cut| *cut == Some(Cut::Refused)) => {}
                    }
                    shared.open.send_modify(|open| *open -= 1);
                });
            },
        }
    }
}

/// Both directions until one of them ends.
async fn pass_on(mut client: TcpStream, destination: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    through(shared).await;
    let mut server = TcpStream::connect(destination).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        copied = copy(from_client, to_server, &shared.bytes_there, shared) => copied,
        copied = copy(from_server, to_client, &shared.bytes_back, shared) => copied,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: &AtomicU64,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        through(shared).await;
        if length == 0 {
            return to.shutdown().await;
        }
        let delay = Duration::from_micros(shared.delay_micros.load(Ordering::Relaxed));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&chunk[..length]).await?;
        bytes.fetch_add(u64::try_from(length).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Waits until nothing is cut; the one who cuts with a refusal ends the waiting too.
async fn through(shared: &Shared) {
    let _ = shared.cut.subscribe().wait_for(Option::is_none).await;
}
