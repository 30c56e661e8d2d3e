//! How many proxied requests may be in progress at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::failure::Failure;

pub(crate) struct InFlight {
    count: AtomicUsize,
    max: usize,
}

/// A place that is held until the last byte of the answer.
pub(super) struct Slot(Arc<InFlight>);

impl InFlight {
    pub(crate) fn new(max: usize) -> Self {
        Self { count: AtomicUsize::new(0), max }
    }

    /// # Errors
    /// 503 when all places are taken: refusing at once beats a queue that nobody sees.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Slot, Failure> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(Arc::clone(self));
        if before < self.max { Ok(slot) } else { Err(Failure::overloaded()) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}
