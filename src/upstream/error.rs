//! Why an upstream gave no answer.

use super::BoxError;

/// An attempt that ended without an answer. The texts are for our log: a client hears a neutral one, since these may
/// name internal hosts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no connection within {0:?}")]
    ConnectTimeout(std::time::Duration),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the outbound proxy refused: {0}")]
    Proxy(String),
    #[error("no answer within {0:?}")]
    AnswerTimeout(std::time::Duration),
    #[error("the connection broke before the answer: {0}")]
    Broken(String),
    #[error("the client's request body ended early: {0}")]
    ClientBody(BoxError),
}

impl SendError {
    /// Whether the upstream may have begun to work on the request, so that sending it again could do the work twice.
    pub(crate) fn may_have_been_processed(&self) -> bool {
        matches!(self, Self::AnswerTimeout(_) | Self::Broken(_))
    }

    /// Whether the upstream (or the way to it) is down, rather than this one request being impossible.
    pub(crate) fn is_outage(&self) -> bool {
        !matches!(self, Self::Unsendable(_) | Self::ClientBody(_))
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::AnswerTimeout(_) | Self::ConnectTimeout(_))
    }
}
