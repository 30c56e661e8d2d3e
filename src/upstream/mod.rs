//! Where requests go: weighted addresses that rest while they are down, and pooled connections to them.

mod address;
mod balance;
mod body;
mod clients;
mod connect;
mod connection;
mod error;
mod listed;
mod options;

pub(crate) use address::Address;
pub(crate) use balance::{Upstreams, WeightedChoice};
pub(crate) use body::{BoxError, RequestBody, StreamedBody};
pub(crate) use clients::{Answer, AnswerBody, Clients, Limits};
pub(crate) use connect::load_root_certificates;
pub(crate) use connection::Stream;
pub(crate) use error::SendError;
pub(crate) use listed::{Listed, listed};
pub(crate) use options::ClientOptions;
