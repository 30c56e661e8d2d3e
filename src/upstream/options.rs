//! What distinguishes one set of outbound connections from another.

use std::time::Duration;

use super::address::identity;
use crate::settings::GroupSettings;

/// The part of a group's settings that connections are made with. Groups with equal options share connections.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) idle_connections_max: usize,
    pub(crate) idle_connections_per_host_max: usize,
    /// Outbound proxy; empty: the environment decides.
    pub(crate) proxy_url: String,
    pub(crate) http2: bool,
    pub(super) identity: u128,
}

impl ClientOptions {
    pub(crate) fn new(settings: &GroupSettings) -> Self {
        let mut options = Self {
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_conn_timeout,
            idle_connections_max: settings.max_idle_conns,
            idle_connections_per_host_max: settings.max_idle_conns_per_host,
            proxy_url: settings.proxy_url.trim().to_owned(),
            http2: settings.upstream_http2,
            identity: 0,
        };
        options.identity = identity(&format!("{options:?}"));
        options
    }
}
