//! How many keys the database holds that are out of rotation: counted now and then, since a million of them take a while.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::{
    group::GroupId,
    keypool::{KeyPools, OutOfRotation},
};

/// How long a count is shown before the next scrape asks for a new one.
const FRESH: Duration = Duration::from_secs(15);
/// A count that took long is shown for so many times as long: counting takes at most a fiftieth of a reader's time.
const FRESH_FACTOR: u32 = 50;
/// An older count says nothing any more: then it is not known how many there are.
const OUTDATED: Duration = Duration::from_secs(600);
/// No scrape waits longer for a new count; it shows the last one.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) type Counts = HashMap<GroupId, OutOfRotation>;

pub(super) struct StoredKeys {
    key_pools: KeyPools,
    last: Arc<ArcSwapOption<Counted>>,
    /// Held while somebody counts.
    counting: Arc<Mutex<()>>,
}

struct Counted {
    counts: Arc<Counts>,
    at: Instant,
    fresh_until: Instant,
}

impl StoredKeys {
    pub(super) fn new(key_pools: KeyPools) -> Self {
        Self { key_pools, last: Arc::default(), counting: Arc::default() }
    }

    /// By group; a group without such keys may be left out. `None`: not known.
    pub(super) async fn counts(&self) -> Option<Arc<Counts>> {
        if self.last.load().as_ref().is_none_or(|last| last.fresh_until <= Instant::now()) {
            if let Ok(turn) = Arc::clone(&self.counting).try_lock_owned() {
                let (key_pools, last) = (self.key_pools.clone(), Arc::clone(&self.last));
                // It only reads, so a stop need not wait for it.
                tokio::spawn(async move {
                    let _turn = turn;
                    let begun = Instant::now();
                    match key_pools.out_of_rotation().await {
                        Ok(counts) => {
                            let at = Instant::now();
                            let fresh_until = at + FRESH.max((at - begun) * FRESH_FACTOR);
                            last.store(Some(Arc::new(Counted { counts: Arc::new(counts), at, fresh_until })));
                        }
                        Err(error) => tracing::debug!(%error, "Cannot count the stored keys"),
                    }
                });
            }
            // Whoever counts is done, or is not waited for.
            let _ = tokio::time::timeout(PATIENCE, self.counting.lock()).await;
        }
        self.last.load().as_ref().filter(|last| last.at.elapsed() < OUTDATED).map(|last| Arc::clone(&last.counts))
    }
}
