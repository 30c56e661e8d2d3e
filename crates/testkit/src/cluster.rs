//! Several real servers on one database and one Redis.

use std::time::Instant;

use serde_json::Value;

use crate::database::FreshDatabase;
use crate::engine::Engine;
use crate::server::{PATIENCE, POLL_INTERVAL, TempServer, TempServerBuilder};
use crate::servers::{RedisOptions, RedisServer};

/// The password of a cluster's Redis, which lives as long as a test.
const REDIS_PASSWORD: &str = "Password-of-a-Test-1234";

/// Running servers, the first of them a master and the others slaves unless the test said otherwise. Dropping it kills
/// them, then drops their database and their Redis.
pub struct Cluster {
    nodes: Vec<TempServer>,
    database: FreshDatabase,
    redis: Option<RedisServer>,
}

impl Cluster {
    /// Starts this many nodes one after the other, on an empty database of this engine and, if wanted, on a Redis of
    /// their own. `shape` may change each node's environment; nodes count from 0.
    ///
    /// # Panics
    /// When the run has no such database server, Redis is not installed, or a node does not serve.
    pub async fn start(
        count: usize,
        engine: Engine,
        redis: bool,
        shape: impl Fn(usize, TempServerBuilder) -> TempServerBuilder,
    ) -> Self {
        let database = FreshDatabase::create(engine).await;
        let redis = if redis {
            let password = Some(REDIS_PASSWORD.to_owned());
            Some(RedisServer::start(RedisOptions { password, ..RedisOptions::default() }).await)
        } else {
            None
        };
        Self::start_on(count, database, redis, shape).await
    }

    /// The same on a database and a Redis that the test made, for instance with a proxy before one of them, which `shape`
    /// then names.
    ///
    /// # Panics
    /// When a node does not serve.
    pub async fn start_on(
        count: usize,
        database: FreshDatabase,
        redis: Option<RedisServer>,
        shape: impl Fn(usize, TempServerBuilder) -> TempServerBuilder,
    ) -> Self {
        let mut cluster = Self { nodes: Vec::new(), database, redis };
        for _ in 0..count {
            cluster.add(&shape).await;
        }
        cluster
    }

    /// Starts one more node; gives its number.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn add(&mut self, shape: impl Fn(usize, TempServerBuilder) -> TempServerBuilder) -> usize {
        let number = self.nodes.len();
        let mut builder = TempServer::builder().database(&self.database);
        if let Some(redis) = &self.redis {
            builder = builder.env("REDIS_DSN", &redis.dsn());
        }
        if number > 0 {
            builder = builder.env("IS_SLAVE", "true");
        }
        self.nodes.push(shape(number, builder).start().await);
        number
    }

    /// # Panics
    /// When there is no node of this number.
    pub fn node(&self, number: usize) -> &TempServer {
        &self.nodes[number]
    }

    /// For what changes its process.
    ///
    /// # Panics
    /// When there is no node of this number.
    pub fn node_mut(&mut self, number: usize) -> &mut TempServer {
        &mut self.nodes[number]
    }

    pub fn nodes(&self) -> &[TempServer] {
        &self.nodes
    }

    pub fn database(&self) -> &FreshDatabase {
        &self.database
    }

    /// # Panics
    /// When it has none.
    pub fn redis(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("a cluster with Redis")
    }

    /// Asks every node for `target` until its `data` is as wanted on all of them; gives how long that took.
    ///
    /// # Panics
    /// When it does not become so in time.
    pub async fn eventually(&self, target: &str, wanted: impl Fn(&Value) -> bool) -> std::time::Duration {
        let begun = Instant::now();
        for (number, node) in self.nodes.iter().enumerate() {
            loop {
                let data = node.managed("GET", target, None).await;
                if wanted(&data) {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "{target} stays on node {number} at {data:#}");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        begun.elapsed()
    }
}
