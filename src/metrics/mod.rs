//! What the server says to Prometheus: figures of requests that equal the request log, and gauges of what is now.

mod exposition;
mod histogram;
mod process;
mod stored_keys;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use self::{exposition::Exposition, stored_keys::StoredKeys, tally::Tally};
use crate::{
    group::Directory,
    keypool::KeyPools,
    request_log::{Observer, RequestLog},
};

/// The type of what [`Metrics::render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A number as it is now.
pub(crate) type Reading = Box<dyn Fn() -> usize + Send + Sync>;

/// What rooms above this one know.
pub(crate) struct Gauges {
    pub(crate) requests_in_flight: Reading,
    pub(crate) streams_in_flight: Reading,
    pub(crate) connections: Reading,
    pub(crate) requests_max: usize,
    pub(crate) connections_max: usize,
    /// 1: this node does what must happen once.
    pub(crate) on_duty: Reading,
    /// 1: what other nodes changed may be unknown here.
    pub(crate) cluster_behind: Reading,
    /// 1: connected; `None`: there is no Redis.
    pub(crate) redis_connected: Option<Reading>,
    /// Since the start.
    pub(crate) redis_commands: Reading,
    pub(crate) database_uses: Reading,
}

/// What is under way now, and how much may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) connections: usize,
    pub(crate) requests_in_flight: usize,
    pub(crate) connections_max: usize,
    pub(crate) requests_max: usize,
}

/// A cheap handle on everything that is measured.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    directory: Directory,
    key_pools: KeyPools,
    log: RequestLog,
    tally: Arc<Tally>,
    stored_keys: StoredKeys,
    gauges: OnceLock<Gauges>,
    started_at: SystemTime,
}

impl Metrics {
    /// `started_at`: when the process was.
    pub(crate) fn new(directory: Directory, key_pools: KeyPools, log: RequestLog, started_at: Instant) -> Self {
        Self(Arc::new(Inner {
            stored_keys: StoredKeys::new(key_pools.clone()),
            directory,
            key_pools,
            log,
            tally: Arc::default(),
            gauges: OnceLock::new(),
            started_at: SystemTime::now() - started_at.elapsed(),
        }))
    }

    /// Counts what is written to the request log.
    pub(crate) fn observer(&self) -> Box<dyn Observer> {
        Box::new(tally::Counting(Arc::clone(&self.0.tally)))
    }

    /// Shows these gauges as well, from now on. Only the first call counts.
    pub(crate) fn watch(&self, gauges: Gauges) {
        let _is_first = self.0.gauges.set(gauges);
    }

    /// `None`: the data plane is not running yet.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        self.0.gauges.get().map(|gauges| Traffic {
            connections: (gauges.connections)(),
            requests_in_flight: (gauges.requests_in_flight)(),
            connections_max: gauges.connections_max,
            requests_max: gauges.requests_max,
        })
    }

    /// Memory that the process holds; `None`: the system does not say.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        process::usage().map(|usage| usage.resident_bytes)
    }

    /// Everything as `OpenMetrics` text. What is not known is left out.
    pub(crate) async fn render(&self) -> String {
        let stored_keys = self.0.stored_keys.counts().await;
        Exposition { inner: Arc::clone(&self.0), stored_keys, process: process::usage() }.text()
    }
}
