//! Spreads client connections over the workers: each goes to the one that has the fewest.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
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

/// Long streams sit where they were accepted, so connections are counted and not merely dealt round.
pub(super) fn hand_over(seats: &[Seat], stream: std::net::TcpStream, peer: std::net::SocketAddr) {
    let Some(seat) = seats.iter().min_by_key(|seat| seat.connections.load(Ordering::Relaxed)) else { return };
    seat.connections.fetch_add(1, Ordering::Relaxed);
    let guard = ConnectionGuard(Arc::clone(&seat.connections));
    if seat.door.send(Accepted { stream, peer, guard }).is_err() {
        tracing::debug!(%peer, "A connection came while the workers were stopping");
    }
}
