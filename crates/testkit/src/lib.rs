//! What tests and benchmarks share: a mock upstream that plays a script, a client that sends exact bytes,
//! the real server in a temporary directory, a load generator.
#![forbid(unsafe_code)]

pub mod load;
mod mock;
mod raw;
mod server;

pub use mock::{Encoding, Ending, MockUpstream, Options, Play, Seen, serve as serve_mock};
pub use raw::{RawConnection, RawResponse, Tail, exchange};
pub use server::{TempServer, TempServerBuilder};
