//! The management plane of the real binary over real sockets.

#![expect(clippy::unwrap_used, reason = "what cannot be set up, or a helper that cannot go on, fails the test")]

mod coverage;
mod live;
mod transcript;
mod transcripts;
