//! Real database servers and Redis on free loopback ports, in temporary directories: one set for a whole run
//! (`scripts/with-test-servers`), and private ones for tests that stop, kill and pause them.

mod certificates;
mod database;
mod mariadb;
mod postgresql;
mod process;
mod redis;
mod redis_groups;
mod template;

pub use certificates::Certificates;
pub use database::{DatabaseOptions, DatabaseServer};
pub use redis::{RedisOptions, RedisServer};
pub use redis_groups::{RedisCluster, RedisSentinel};

use std::time::Duration;

/// How long a server may take to start or to stop before its test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a server that starts or stops.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The account that tests use on every server, with all rights.
const USER: &str = "gpt_load";
/// Who may write to a MariaDB that is read-only, and make it so: the other account must not.
const WARDEN: &str = "warden";
/// Worth nothing: the servers listen on the loopback address, hold nothing but tests' data and live as long as a test.
const PASSWORD: &str = "Password-of-a-Test-1234";
