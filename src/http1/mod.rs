//! HTTP/1.1 on a byte stream, on both of our sides.
//!
//! What passes through us keeps the order and the spelling of its headers, a body is handed on piece by piece as it comes,
//! and a request costs no task, no channel and no memory beyond what it is at the moment. Everything that frames a message
//! (RFC 9112) is in here; HTTP/2 is hyper's.

mod alarm;
mod body;
mod client;
mod head;
mod outgoing;
mod reader;
mod request_body;
mod server;
#[cfg(any(test, fuzzing))]
pub(crate) mod transcript;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::{
    body::BodyError,
    client::{AnswerBody, Connection, Exchange, ExchangeError},
    head::{Spelling, has_token},
    request_body::RequestBody,
    server::{LAST_REQUEST_WAIT, Limits, Origin, TakeOver, serve},
};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What these locks guard is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
