//! What tests and benchmarks share: a mock upstream that plays a script, a client that sends exact bytes, a load generator.
#![forbid(unsafe_code)]

pub mod load;
mod mock;
mod raw;

pub use mock::{Encoding, Ending, MockUpstream, Options, Play, Seen, serve as serve_mock};
pub use raw::{RawConnection, RawResponse, Tail, exchange};
