//! What the operator set from outside, read once at start: environment variables and the `.env` file.

mod auth_key;
mod database_dsn;
pub(crate) mod dotenv;
mod environment;
mod ip_block;
mod load;
mod mysql_dsn;
mod offline;
mod password_file;
mod postgresql_dsn;
mod postgresql_keywords;
mod proxy_url;
mod query;
mod redis_dsn;
mod sqlite_dsn;

use std::{path::PathBuf, time::Duration};

use crate::crypto::Secret;

pub(crate) use database_dsn::{Certificates, DatabaseDsn};
pub(crate) use ip_block::IpBlock;
pub(crate) use load::{VARIABLES, address, weaknesses};
pub(crate) use mysql_dsn::{MySqlAddress, MySqlDsn, MySqlTls};
pub(crate) use offline::Offline;
pub(crate) use postgresql_dsn::{PostgreSqlDsn, PostgreSqlTls};
pub(crate) use proxy_url::proxy_url;
pub(crate) use redis_dsn::{RedisAddress, RedisDsn, RedisTls};
pub(crate) use sqlite_dsn::SqliteDsn;

/// Everything that needs a restart to change. Built once, then shared.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) metrics: Metrics,
    /// The management key. When `AUTH_KEY` is empty and the database is a SQLite file, it is read from, or generated into, a
    /// protected file in the data directory.
    pub(crate) auth_key: Secret,
    /// Proxy keys that a fresh database starts with (`PROXY_KEYS`); empty: one is generated.
    pub(crate) initial_proxy_keys: Option<Secret>,
    /// Passphrase for stored keys; absent: they are stored in clear.
    pub(crate) encryption_key: Option<Secret>,
    pub(crate) database: DatabaseDsn,
    pub(crate) database_pool: DatabasePool,
    /// Carries notices between nodes (`REDIS_DSN`); always absent with SQLite, which has one node.
    pub(crate) redis: Option<RedisDsn>,
    /// Whether this node leaves the work that is done once, such as changes of the schema, to others (`IS_SLAVE`).
    pub(crate) is_slave: bool,
    pub(crate) cors: Option<Cors>,
    pub(crate) log: Log,
    /// For groups that name no proxy of their own.
    pub(crate) outbound_proxy: OutboundProxy,
    /// `TZ` where only the `.env` file sets it: the process was started in another zone.
    pub(crate) time_zone: Option<String>,
}

/// How many connections this node keeps to a database server, and for how long. SQLite's are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DatabasePool {
    /// At most (`DATABASE_MAX_CONNECTIONS`); never below 2.
    pub(crate) connections_max: u32,
    /// Kept even when idle (`DATABASE_MIN_CONNECTIONS`); never above the most.
    pub(crate) connections_min: u32,
    /// How long a statement waits for a free connection, the making of a new one included (`DATABASE_ACQUIRE_TIMEOUT`).
    pub(crate) acquire_timeout: Duration,
    /// How long a connection above the fewest may idle (`DATABASE_IDLE_TIMEOUT`); `None`: no limit.
    pub(crate) idle_timeout: Option<Duration>,
    /// How old a connection may become (`DATABASE_CONNECTION_LIFETIME`); `None`: no limit.
    pub(crate) lifetime_max: Option<Duration>,
}

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or their lower-case twins, checked; empty where they are not set.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutboundProxy {
    pub(crate) http: String,
    pub(crate) https: String,
    pub(crate) exceptions: String,
    /// Hosts that are reached without a proxy on this port only.
    pub(crate) exceptions_on_port: Vec<(String, u16)>,
}

/// Who may see the metrics, beside the holder of the management key.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// The credential for `/metrics` on the main port (`METRICS_TOKEN`).
    pub(crate) token: Option<Secret>,
    /// Host, with brackets where it is an IPv6 address, and port of a listener of their own that is open to all who reach
    /// it (`METRICS_ADDRESS`).
    pub(crate) address: Option<(String, u16)>,
}

#[derive(Debug)]
pub(crate) struct Server {
    /// Ready to be joined to the port with a colon: an IPv6 address has its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Longest time for the head of a request, and longest pause of its body; `None`: no limit.
    pub(crate) read_timeout: Option<Duration>,
    /// Longest time a client may leave a pending write untaken; `None`: no limit.
    pub(crate) write_timeout: Option<Duration>,
    /// Longest idle time of a keep-alive connection; `None`: no limit.
    pub(crate) idle_timeout: Option<Duration>,
    /// Whole budget of a graceful stop.
    pub(crate) graceful_shutdown_timeout: Duration,
    /// Proxied requests in flight at most (`MAX_CONCURRENT_REQUESTS`).
    pub(crate) requests_max: usize,
    /// Connections of clients at most (`MAX_CONNECTIONS`), of either plane.
    pub(crate) connections_max: usize,
    /// Data-plane threads (`WORKER_THREADS`), one runtime each; default: the number of cores.
    pub(crate) worker_threads: usize,
    /// Peers whose forwarding headers are believed (`TRUSTED_PROXIES`, addresses or CIDR blocks).
    pub(crate) trusted_proxies: Vec<IpBlock>,
    /// Bodies up to this size are kept in memory so that a retry can send them again (`REQUEST_BODY_BUFFER_BYTES`).
    pub(crate) body_buffer_bytes_max: u64,
    /// Larger bodies are refused with 413 (`REQUEST_BODY_BYTES_MAX`).
    pub(crate) body_bytes_max: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Cors {
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) credentials: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) level: tracing::level_filters::LevelFilter,
    pub(crate) json: bool,
    pub(crate) file: Option<PathBuf>,
}
