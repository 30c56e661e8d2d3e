//! The one table of settings that change without a restart, and their effective values.

mod overrides;
mod queries;
mod status_codes;
mod table;
mod value;

use std::time::Duration;

pub(crate) use self::{
    overrides::{Source, check_overrides},
    queries::{SaveError, load_from, save, seed, url_from_address, version},
    status_codes::StatusCodes,
    table::{Setting, TABLE, overridable},
    value::{Change, TEXT_CHARACTERS_MAX, Value, changes},
};

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

/// The defaults of the table.
impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            app_url: String::new(),
            proxy_keys: String::new(),
            request_log_retention_days: 0,
            request_log_write_interval_minutes: 0,
            group: GroupSettings {
                request_timeout: Duration::ZERO,
                connect_timeout: Duration::ZERO,
                idle_conn_timeout: Duration::ZERO,
                response_header_timeout: Duration::ZERO,
                stream_idle_timeout: Duration::ZERO,
                max_idle_conns: 0,
                max_idle_conns_per_host: 0,
                proxy_url: String::new(),
                upstream_http2: false,
                max_retries: 0,
                blacklist_threshold: 0,
                failover_status_codes: StatusCodes::none(),
                key_validation_interval: Duration::ZERO,
                key_validation_concurrency: 0,
                key_validation_timeout: Duration::ZERO,
                enable_request_body_logging: false,
            },
        };
        for setting in TABLE {
            setting.reset(&mut settings);
        }
        settings
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        Settings::default().group
    }
}

#[cfg(test)]
mod tests;
