//! HTTP/2 connections, each shared by many requests.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::client::conn::http2::SendRequest;

use super::PoolKey;
use crate::upstream::RequestBody;

/// What RFC 9113 (6.5.2) asks every server to allow at least; more requests open another connection.
const STREAMS_PER_CONNECTION_MAX: usize = 100;

/// How long an upstream that speaks HTTP/1.1 only is not asked again.
const HTTP1_ONLY_KNOWN_FOR: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Multiplexed {
    by_key: HashMap<PoolKey, Vec<Connection>>,
    dialing: HashMap<PoolKey, Arc<tokio::sync::Mutex<()>>>,
    /// Upstreams that did not agree to HTTP/2, and since when that is known.
    http1_only: HashMap<PoolKey, Instant>,
}

struct Connection {
    sender: SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
}

/// Counts a request against its connection until its answer ended.
pub(super) struct StreamGuard(Arc<AtomicUsize>);

impl StreamGuard {
    fn new(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Multiplexed {
    /// A connection that the upstream lets carry one more stream.
    pub(super) fn pick(&mut self, key: PoolKey) -> Option<(SendRequest<RequestBody>, StreamGuard)> {
        let connections = self.by_key.get_mut(&key)?;
        connections.retain(|connection| !connection.sender.is_closed());
        connections
            .iter()
            .find(|connection| connection.streams.load(Ordering::Relaxed) < STREAMS_PER_CONNECTION_MAX)
            .map(|connection| (connection.sender.clone(), StreamGuard::new(&connection.streams)))
    }

    pub(super) fn add(&mut self, key: PoolKey, sender: SendRequest<RequestBody>) -> StreamGuard {
        let streams = Arc::new(AtomicUsize::new(0));
        let guard = StreamGuard::new(&streams);
        self.by_key.entry(key).or_default().push(Connection { sender, streams });
        guard
    }

    /// Whoever holds this lock connects; the others wait for what comes of it.
    pub(super) fn dialing(&mut self, key: PoolKey) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.dialing.entry(key).or_default())
    }

    /// Whether the upstream is known not to speak HTTP/2: then nobody has to wait for somebody else's connection.
    pub(super) fn is_http1_only(&self, key: PoolKey, now: Instant) -> bool {
        self.http1_only.get(&key).is_some_and(|since| now.duration_since(*since) < HTTP1_ONLY_KNOWN_FOR)
    }

    pub(super) fn speaks_http1_only(&mut self, key: PoolKey, now: Instant) {
        self.http1_only.insert(key, now);
    }

    pub(super) fn prune(&mut self, now: Instant) {
        self.http1_only.retain(|_, since| now.duration_since(*since) < HTTP1_ONLY_KNOWN_FOR);
        self.by_key.retain(|_, connections| {
            connections.retain(|connection| !connection.sender.is_closed());
            !connections.is_empty()
        });
        self.dialing.retain(|_, dialing| Arc::strong_count(dialing) > 1);
    }
}
