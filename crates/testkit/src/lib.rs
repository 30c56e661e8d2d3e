//! What tests and benchmarks share: a mock upstream that plays a script, a client that sends exact bytes,
//! outbound proxies, TLS in front of an upstream, the real server in a temporary directory, databases of all engines
//! and Redis with the servers that they need, tools written in Python, a load generator.
#![forbid(unsafe_code)]

mod cluster;
mod database;
mod engine;
mod fault_proxy;
pub mod load;
mod mock;
mod outbound;
mod python;
mod raw;
mod server;
mod servers;
mod tls;

pub use cluster::Cluster;
pub use database::FreshDatabase;
pub use engine::Engine;
pub use fault_proxy::{Cut, FaultProxy};
pub use mock::{Encoding, Ending, MockUpstream, Options, Play, Seen, serve as serve_mock};
pub use outbound::{Hop, OutboundProxy};
pub use python::python_with;
pub use raw::{RawConnection, RawListener, RawResponse, Tail, exchange};
pub use rustix::process::Signal;
pub use server::{TempServer, TempServerBuilder, free_address};
pub use servers::{
    Certificates, DatabaseOptions, DatabaseServer, RedisCluster, RedisOptions, RedisSentinel, RedisServer,
};
pub use tls::TlsFront;
