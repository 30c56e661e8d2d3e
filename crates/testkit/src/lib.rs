//! What tests and benchmarks share: a mock upstream that plays a script, and a client that sends exact bytes.
#![forbid(unsafe_code)]

mod mock;
mod raw;

pub use mock::{Encoding, Ending, MockUpstream, Options, Play, Seen, serve as serve_mock};
pub use raw::{RawConnection, RawResponse, Tail, exchange};
