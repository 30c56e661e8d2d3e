//! Several nodes of the real binary on one real database, with and without Redis, and everything that can go wrong there.
//! Needs servers: `scripts/with-test-servers cargo test --test cluster`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up, or a helper that cannot go on, fails the test"
)]

mod balancer;
mod connections;
mod database_faults;
mod failures;
mod leases;
mod propagation;
mod redis_faults;
mod request_path;
mod rolling_restart;
mod starts;
mod support;
mod tasks;
mod traffic;
