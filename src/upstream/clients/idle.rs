//! HTTP/1.1 connections that wait for their next request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{PoolKey, Sender, lock};
use crate::upstream::ClientOptions;

/// Idle connections, by the options that they were made with and the place that they go to.
#[derive(Default)]
pub(super) struct IdleConnections {
    by_options: HashMap<u128, Shelf>,
}

#[derive(Default)]
struct Shelf {
    count: usize,
    by_origin: HashMap<u128, Vec<Idle>>,
}

struct Idle {
    sender: Sender,
    expires_at: Instant,
}

impl IdleConnections {
    /// The connection that was used last, since it is the least likely to have been closed by the upstream.
    pub(super) fn take(&mut self, (options, origin): PoolKey) -> Option<Sender> {
        let shelf = self.by_options.get_mut(&options)?;
        let connections = shelf.by_origin.get_mut(&origin)?;
        // A connection is not ready for a moment after its answer ended; one that stays so (an upload that the
        // upstream did not want) is closed by `prune`.
        let mut position = connections.len();
        while position > 0 {
            position -= 1;
            let idle = &connections[position];
            if idle.sender.http1.is_closed() {
                connections.swap_remove(position);
                shelf.count -= 1;
            } else if idle.sender.http1.is_ready() {
                shelf.count -= 1;
                return Some(connections.remove(position).sender);
            }
        }
        None
    }

    pub(super) fn prune(&mut self, now: Instant) {
        self.by_options.retain(|_, shelf| {
            shelf.by_origin.retain(|_, connections| {
                connections.retain(|idle| idle.expires_at > now && !idle.sender.http1.is_closed());
                connections.shrink_to(connections.len() * 2);
                !connections.is_empty()
            });
            shelf.count = shelf.by_origin.values().map(Vec::len).sum();
            shelf.count > 0
        });
    }

    fn put(&mut self, (options, origin): PoolKey, idle: Idle, total_max: usize, per_origin_max: usize) {
        let shelf = self.by_options.entry(options).or_default();
        let connections = shelf.by_origin.entry(origin).or_default();
        if shelf.count < total_max && connections.len() < per_origin_max {
            connections.push(idle);
            shelf.count += 1;
        }
    }
}

/// A connection in use, and where it goes afterwards.
pub(super) struct Lease {
    sender: Option<Sender>,
    key: PoolKey,
    home: Arc<Mutex<IdleConnections>>,
    idle_timeout: Duration,
    total_max: usize,
    per_origin_max: usize,
}

impl Lease {
    pub(super) fn new(
        sender: Sender,
        key: PoolKey,
        home: Arc<Mutex<IdleConnections>>,
        options: &ClientOptions,
        sharers: usize,
    ) -> Self {
        // Twice the setting, as the original allows for streams: the setting was made for one of its two pools.
        let share = |limit: usize| (limit.saturating_mul(2)).div_ceil(sharers.max(1)).max(1);
        Self {
            sender: Some(sender),
            key,
            home,
            idle_timeout: options.idle_timeout,
            total_max: share(options.idle_connections_max),
            per_origin_max: share(options.idle_connections_per_host_max),
        }
    }

    /// The answer was read to its end: the connection may serve again.
    pub(super) fn give_back(&mut self) {
        if let Some(sender) = self.sender.take().filter(|sender| !sender.http1.is_closed()) {
            let idle = Idle { sender, expires_at: Instant::now() + self.idle_timeout };
            lock(&self.home).put(self.key, idle, self.total_max, self.per_origin_max);
        }
    }
}
