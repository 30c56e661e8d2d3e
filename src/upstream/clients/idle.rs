//! HTTP/1.1 connections that wait for their next request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{Http1, PoolKey, lock};
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
    connection: Http1,
    expires_at: Instant,
}

impl IdleConnections {
    /// The connection that was used last, since it is the least likely to have been closed by the upstream.
    pub(super) fn take(&mut self, (options, origin): PoolKey) -> Option<Http1> {
        let shelf = self.by_options.get_mut(&options)?;
        let connections = shelf.by_origin.get_mut(&origin)?;
        while let Some(mut idle) = connections.pop() {
            shelf.count -= 1;
            if idle.connection.http1.is_idle() {
                return Some(idle.connection);
            }
        }
        None
    }

    pub(super) fn prune(&mut self, now: Instant) {
        self.by_options.retain(|_, shelf| {
            shelf.by_origin.retain(|_, connections| {
                connections.retain_mut(|idle| idle.expires_at > now && idle.connection.http1.is_idle());
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

/// Where a connection goes when its answer was read to the end.
pub(super) struct Home {
    key: PoolKey,
    idle: Arc<Mutex<IdleConnections>>,
    idle_timeout: Duration,
    total_max: usize,
    per_origin_max: usize,
}

impl Home {
    pub(super) fn new(
        key: PoolKey,
        idle: Arc<Mutex<IdleConnections>>,
        options: &ClientOptions,
        sharers: usize,
    ) -> Self {
        // Twice the setting, as the original allows for streams: the setting was made for one of its two pools.
        let share = |limit: usize| (limit.saturating_mul(2)).div_ceil(sharers.max(1)).max(1);
        Self {
            key,
            idle,
            idle_timeout: options.idle_timeout,
            total_max: share(options.idle_connections_max),
            per_origin_max: share(options.idle_connections_per_host_max),
        }
    }

    pub(super) fn take_in(&self, connection: Http1) {
        let idle = Idle { connection, expires_at: Instant::now() + self.idle_timeout };
        lock(&self.idle).put(self.key, idle, self.total_max, self.per_origin_max);
    }
}
