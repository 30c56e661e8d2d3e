//! What went wrong with a key, as the operator is told it.

use std::fmt;

/// What an upstream said, or why nothing came from it. Whoever makes one sees to it that it holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `None`: there was no answer.
    pub(crate) status_code: Option<u16>,
    pub(crate) message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status_code {
            Some(status) => write!(f, "[status {status}] {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
