//! What the operator set from outside, read once at start: environment variables and the `.env` file.

use std::{path::PathBuf, time::Duration};

use crate::crypto::Secret;

/// Everything that needs a restart to change. Built once, then shared.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: Server,
    /// The management key. When `AUTH_KEY` is empty and this node stands alone, it is read from, or generated into, a
    /// protected file in the data directory.
    pub(crate) auth_key: Secret,
    /// Proxy keys that a fresh database starts with (`PROXY_KEYS`); empty: one is generated.
    pub(crate) initial_proxy_keys: Option<Secret>,
    /// Passphrase for stored keys; absent: they are stored in clear.
    pub(crate) encryption_key: Option<Secret>,
    pub(crate) database: DatabaseDsn,
    /// Refused at start until shared state over Redis exists.
    pub(crate) redis: Option<RedisDsn>,
    pub(crate) is_slave: bool,
    pub(crate) cors: Option<Cors>,
    pub(crate) log: Log,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Longest silence while a request is being received; `None`: no limit.
    pub(crate) read_timeout: Option<Duration>,
    /// Longest time a client may leave a pending write untaken; `None`: no limit.
    pub(crate) write_timeout: Option<Duration>,
    /// Longest idle time of a keep-alive connection; `None`: no limit.
    pub(crate) idle_timeout: Option<Duration>,
    /// Whole budget of a graceful stop.
    pub(crate) graceful_shutdown_timeout: Duration,
    /// Proxied requests in flight at most (`MAX_CONCURRENT_REQUESTS`).
    pub(crate) requests_max: usize,
    /// Data-plane threads (`WORKER_THREADS`), one runtime each; default: the number of cores.
    pub(crate) worker_threads: usize,
    /// Peers whose forwarding headers are believed (`TRUSTED_PROXIES`, addresses or CIDR blocks).
    pub(crate) trusted_proxies: Vec<IpBlock>,
    /// Bodies up to this size are kept in memory so that a retry can send them again (`REQUEST_BODY_BUFFER_BYTES`).
    pub(crate) body_buffer_bytes_max: u64,
    /// Larger bodies are refused with 413 (`REQUEST_BODY_BYTES_MAX`).
    pub(crate) body_bytes_max: u64,
}

/// An address or a block of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpBlock {
    pub(crate) network: std::net::IpAddr,
    pub(crate) prefix_bits: u8,
}

#[derive(Debug, Clone)]
pub(crate) enum DatabaseDsn {
    Sqlite(SqliteDsn),
}

#[derive(Debug, Clone)]
pub(crate) struct SqliteDsn {
    pub(crate) path: PathBuf,
    /// `_pragma=name(value)` options of the DSN, in their order.
    pub(crate) pragmas: Vec<(String, String)>,
}

/// Parsed and checked, so that a misspelt value is named at start.
#[derive(Debug, Clone)]
pub(crate) struct RedisDsn {}

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
