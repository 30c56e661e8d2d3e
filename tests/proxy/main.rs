//! The data plane of the real binary over real sockets, towards a mock upstream that plays a script.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that cannot go on has failed its test")]

mod bodies;
mod failover;
mod http2;
mod life_cycle;
mod limits;
mod log;
mod outbound_proxies;
mod streams;
mod support;
mod timeouts;
mod tls;
mod upgrades;
mod uploads;
