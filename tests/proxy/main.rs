//! The data plane of the real binary over real sockets, towards a mock upstream that plays a script.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up, or a helper that cannot go on, fails the test"
)]

mod aggregates;
mod authentication;
mod bodies;
mod console;
mod databases;
mod errors;
mod failover;
mod headers;
mod http2;
mod keys;
mod life_cycle;
mod limits;
mod log;
mod metrics;
mod model_lists;
mod outbound_proxies;
mod records;
mod request_path;
mod rooms;
mod rules;
mod settings;
mod starting;
mod streams;
mod strict;
mod support;
mod timeouts;
mod tls;
mod upgrades;
mod uploads;
mod web;
mod wire;
