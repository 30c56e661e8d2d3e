//! Several Redis servers that belong together: a primary with a replica and a sentinel, and a cluster of three.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, Program, hand_over, run};
use super::redis::{RedisOptions, RedisServer};
use super::{PATIENCE, POLL_INTERVAL, template};
use crate::server::free_address;

/// How the sentinel calls its primary.
const NAME: &str = "main";

/// A primary, its replica, and one sentinel that makes the replica the primary half a second after the primary is gone.
pub struct RedisSentinel {
    pub primary: RedisServer,
    pub replica: RedisServer,
    address: SocketAddr,
    _sentinel: Process,
    _directory: TempDir,
}

impl RedisSentinel {
    /// Starts them and waits until the replica follows its primary.
    ///
    /// # Panics
    /// When Redis is not installed, or they do not find each other.
    pub async fn start() -> Self {
        let primary = RedisServer::start(RedisOptions::default()).await;
        let followed = primary.address();
        let more = ["--replicaof".to_owned(), followed.ip().to_string(), followed.port().to_string()].to_vec();
        let replica = RedisServer::start(RedisOptions { more, ..RedisOptions::default() }).await;
        let directory = template::temporary_folder();
        let address = free_address();
        // It writes what it learns into this file.
        let configuration = directory.path().join("sentinel.conf");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor {NAME} 127.0.0.1 {followed} 1\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n",
            port = address.port(),
            directory = directory.path().display(),
            followed = followed.port(),
        );
        fs::write(&configuration, lines).expect("the folder is ours");
        hand_over(&configuration);
        let program = Program {
            path: PathBuf::from("redis-server"),
            arguments: vec![configuration.display().to_string(), "--sentinel".to_owned()],
            directory: directory.path().to_owned(),
            stop_signal: Signal::TERM,
            end_signal: Signal::KILL,
        };
        let sentinel = Process::start(program);
        let sentinels = Self { primary, replica, address, _sentinel: sentinel, _directory: directory };
        let replicas = "slaves=1,sentinels=1";
        sentinels.eventually("INFO sentinel", |answer| answer.contains(replicas)).await;
        sentinels
    }

    /// Where the sentinel listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// In the form that gpt-load takes.
    pub fn dsn(&self) -> String {
        format!("redis-sentinel://{}/{NAME}/0", self.address)
    }

    /// Waits until the sentinel names this address as the primary.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn follows(&self, primary: SocketAddr) {
        let port = primary.port().to_string();
        let question = format!("SENTINEL get-master-addr-by-name {NAME}");
        self.eventually(&question, |answer| answer.lines().any(|line| line == port)).await;
    }

    async fn eventually(&self, question: &str, wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = self.address.port().to_string();
            let output = Command::new("redis-cli").args(["-p", &port]).args(question.split(' ')).output();
            let answer = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let answer = answer.unwrap_or_else(|error| panic!("redis-cli: {error}"));
            if wanted(&answer) {
                return;
            }
            assert!(Instant::now() < deadline, "the sentinel stays at {answer}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Three masters that share the keys.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts them and waits until they agree.
    ///
    /// # Panics
    /// When Redis is not installed or older than 7, or they do not agree.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            // The usual second port is 10,000 above the first, where others may be.
            let bus = free_address().port().to_string();
            let more = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
            let more = more.map(str::to_owned).to_vec();
            nodes.push(RedisServer::start(RedisOptions { more, ..RedisOptions::default() }).await);
        }
        let addresses: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
        run(Command::new("redis-cli").args(["--cluster", "create"]).args(addresses).arg("--cluster-yes"));
        let deadline = Instant::now() + PATIENCE;
        for node in &nodes {
            while !node.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
                assert!(Instant::now() < deadline, "the cluster does not agree: {}", node.log());
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        Self { nodes }
    }

    /// In the form that gpt-load takes.
    pub fn dsn(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }
}
