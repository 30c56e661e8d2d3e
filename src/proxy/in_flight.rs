//! How many proxied requests may be in progress at once, and how many are.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::failure::Failure;

pub(crate) struct InFlight {
    count: AtomicUsize,
    streams: AtomicUsize,
    max: usize,
}

/// A place that is held until the last byte of the answer.
pub(super) struct Slot {
    of: Arc<InFlight>,
    is_stream: bool,
}

impl InFlight {
    pub(crate) fn new(max: usize) -> Self {
        Self { count: AtomicUsize::new(0), streams: AtomicUsize::new(0), max }
    }

    pub(crate) fn requests(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Of the requests, those whose answer is a stream or a tunnel.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// # Errors
    /// 503 when all places are taken: refusing at once beats a queue that nobody sees.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Slot, Failure> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { of: Arc::clone(self), is_stream: false };
        if before < self.max { Ok(slot) } else { Err(Failure::overloaded()) }
    }
}

impl Slot {
    /// What it is held for has turned out to be a stream, or a tunnel.
    pub(super) fn streams(&mut self) {
        if !self.is_stream {
            self.is_stream = true;
            self.of.streams.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_stream {
            self.of.streams.fetch_sub(1, Ordering::Relaxed);
        }
        self.of.count.fetch_sub(1, Ordering::Relaxed);
    }
}
