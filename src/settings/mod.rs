//! The one table of settings that change without a restart, and their effective values.

use std::time::Duration;

/// Settings of the whole installation, as they are in effect now.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) app_url: String,
    /// Accepted on every group; comma separated, as stored.
    pub(crate) proxy_keys: String,
    /// 0: keep for ever.
    pub(crate) request_log_retention_days: u32,
    pub(crate) request_log_write_interval_minutes: u32,
    /// What a group inherits where it overrides nothing.
    pub(crate) group: GroupSettings,
}

/// Settings that a group may override; of a group: the effective values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupSettings {
    /// All attempts together, until the last byte of an answer that is not a stream, or the head of one that is.
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_conn_timeout: Duration,
    pub(crate) response_header_timeout: Duration,
    /// Longest silence between two chunks of a stream. Ours: the original has none.
    pub(crate) stream_idle_timeout: Duration,
    pub(crate) max_idle_conns: usize,
    pub(crate) max_idle_conns_per_host: usize,
    /// Outbound proxy with its credentials; empty: the environment decides.
    pub(crate) proxy_url: String,
    /// Offer HTTP/2 to upstreams. Ours, off by default.
    pub(crate) upstream_http2: bool,
    pub(crate) max_retries: u32,
    /// Consecutive failures of a key before it is taken out; 0: never.
    pub(crate) blacklist_threshold: u32,
    pub(crate) failover_status_codes: StatusCodes,
    pub(crate) key_validation_interval: Duration,
    pub(crate) key_validation_concurrency: usize,
    pub(crate) key_validation_timeout: Duration,
    pub(crate) enable_request_body_logging: bool,
}

/// A set of HTTP status codes, written like `400-403,405-999`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusCodes {
    ranges: Vec<(u16, u16)>,
}

impl StatusCodes {
    pub(crate) fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|&(from, to)| (from..=to).contains(&status))
    }
}
