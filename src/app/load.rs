//! Spreads client connections over the workers: each goes to the one that has the fewest, while there are not too many.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

use super::worker::Accepted;

/// A worker as the listener sees it.
pub(super) struct Seat {
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) door: mpsc::UnboundedSender<Accepted>,
}

/// Counts a connection against its worker for as long as it is open.
pub(super) struct ConnectionGuard(Arc<AtomicUsize>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Accepted>) {
        let (door, accepted) = mpsc::unbounded_channel();
        (Self { connections: Arc::default(), door }, accepted)
    }
}

/// What a connection hears that is one too many.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Long streams sit where they were accepted, so connections are counted and not merely dealt round. `false`: there were
/// `connections_max` already, and this one was refused.
pub(super) fn hand_over(
    seats: &[Seat],
    connections_max: usize,
    mut stream: std::net::TcpStream,
    peer: std::net::SocketAddr,
) -> bool {
    let connections = |seat: &&Seat| seat.connections.load(Ordering::Relaxed);
    if seats.iter().map(|seat| connections(&seat)).sum::<usize>() >= connections_max {
        // It is refused either way; the buffer of a fresh socket has room for the reason.
        let _ = stream.write(REFUSAL);
        return false;
    }
    let Some(seat) = seats.iter().min_by_key(connections) else { return true };
    seat.connections.fetch_add(1, Ordering::Relaxed);
    let guard = ConnectionGuard(Arc::clone(&seat.connections));
    if seat.door.send(Accepted { stream, peer, guard }).is_err() {
        tracing::debug!(%peer, "A connection came for a thread that has ended");
    }
    true
}
