//! How we say no: the one error envelope, and what every lower room's error becomes in it.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header::RETRY_AFTER};

use super::answer::{Envelope, Message};
use crate::{
    db,
    group::{self, Fault},
    task::{CancelError, StartError},
};

/// Why something is refused, as programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reason {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

/// Every reason there is, by what it is called.
impl Reason {
    pub(crate) const BAD_REQUEST: Self = Self { status: 400, code: "BAD_REQUEST" };
    pub(crate) const INVALID_JSON: Self = Self { status: 400, code: "INVALID_JSON" };
    pub(crate) const INVALID: Self = Self { status: 400, code: "VALIDATION_FAILED" };
    pub(crate) const UNAUTHORIZED: Self = Self { status: 401, code: "UNAUTHORIZED" };
    pub(crate) const FORBIDDEN: Self = Self { status: 403, code: "FORBIDDEN" };
    pub(crate) const NOT_FOUND: Self = Self { status: 404, code: "NOT_FOUND" };
    pub(crate) const TOO_SLOW: Self = Self { status: 408, code: "BAD_REQUEST" };
    pub(crate) const DUPLICATE: Self = Self { status: 409, code: "DUPLICATE_RESOURCE" };
    pub(crate) const TASK_IN_PROGRESS: Self = Self { status: 409, code: "TASK_IN_PROGRESS" };
    pub(crate) const TASK_OVER: Self = Self { status: 409, code: "TASK_OVER" };
    pub(crate) const KEY_UNREADABLE: Self = Self { status: 409, code: "KEY_UNREADABLE" };
    pub(crate) const CHANGED_MEANWHILE: Self = Self { status: 409, code: "CHANGED_MEANWHILE" };
    pub(crate) const READ_ONLY: Self = Self { status: 409, code: "READ_ONLY" };
    pub(crate) const TOO_LARGE: Self = Self { status: 413, code: "PAYLOAD_TOO_LARGE" };
    pub(crate) const TOO_MANY_FAILED_LOGINS: Self = Self { status: 429, code: "TOO_MANY_FAILED_LOGINS" };
    pub(crate) const INTERNAL: Self = Self { status: 500, code: "INTERNAL_SERVER_ERROR" };
    pub(crate) const DATABASE: Self = Self { status: 500, code: "DATABASE_ERROR" };
    pub(crate) const SEARCH_TOO_LONG: Self = Self { status: 503, code: "SEARCH_TOO_LONG" };
    pub(crate) const TOO_BUSY: Self = Self { status: 503, code: "TOO_MANY_REQUESTS" };
    pub(crate) const NOT_YET_IN_EFFECT: Self = Self { status: 503, code: "NOT_YET_IN_EFFECT" };
}

/// An error answer. Its code is for programs, its message for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    reason: Reason,
    message: Message,
    retry_after_seconds: Option<u32>,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<Message>) -> Self {
        Self { reason, message: message.into(), retry_after_seconds: None }
    }

    pub(crate) fn bad_request(message: impl Into<Message>) -> Self {
        Self::new(Reason::BAD_REQUEST, message)
    }

    pub(crate) fn invalid_json(problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::INVALID_JSON, Message::Verbatim(problem.into()))
    }

    pub(crate) fn invalid(message: impl Into<Message>) -> Self {
        Self::new(Reason::INVALID, message)
    }

    pub(crate) fn unauthorized(message: impl Into<Message>) -> Self {
        Self::new(Reason::UNAUTHORIZED, message)
    }

    /// The caller is known, but may not ask for this in this way.
    pub(crate) fn forbidden(message: impl Into<Message>) -> Self {
        Self::new(Reason::FORBIDDEN, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::absent(Message::verbatim("Resource not found"))
    }

    /// Not found, with a message of its own.
    pub(crate) fn absent(message: impl Into<Message>) -> Self {
        Self::new(Reason::NOT_FOUND, message)
    }

    pub(crate) fn duplicate() -> Self {
        Self::new(Reason::DUPLICATE, Message::verbatim("Resource already exists"))
    }

    /// A task of the group is running.
    pub(crate) fn task_in_progress() -> Self {
        Self::new(Reason::TASK_IN_PROGRESS, "task.in_progress")
    }

    /// The task that is to be cancelled is over.
    pub(crate) fn task_over() -> Self {
        Self::new(Reason::TASK_OVER, "task.over")
    }

    /// Somebody else has changed what the caller wants to change.
    pub(crate) fn changed_meanwhile() -> Self {
        Self::new(Reason::CHANGED_MEANWHILE, "error.changed_meanwhile")
    }

    /// A key that cannot be decrypted can be neither shown nor tested.
    pub(crate) fn key_unreadable() -> Self {
        Self::new(Reason::KEY_UNREADABLE, "error.key_unreadable")
    }

    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let message = format!("The request body is larger than {bytes_max} bytes");
        Self::new(Reason::TOO_LARGE, Message::Verbatim(message.into()))
    }

    pub(crate) fn too_busy() -> Self {
        let message = Message::verbatim("Too many concurrent requests");
        let refusal = Self::new(Reason::TOO_BUSY, message);
        Self { retry_after_seconds: Some(1), ..refusal }
    }

    /// Whatever key comes from that address.
    pub(crate) fn too_many_failed_log_ins(seconds: u32) -> Self {
        let message = ("auth.too_many_failed_log_ins", [("seconds", seconds.to_string())]);
        let refusal = Self::new(Reason::TOO_MANY_FAILED_LOGINS, message);
        Self { retry_after_seconds: Some(seconds), ..refusal }
    }

    /// A failure of the database, with a message of its own.
    pub(crate) fn database(error: db::Error, message: &'static str) -> Self {
        tracing::error!(%error, "A statement of a management request failed: {error}");
        Self::new(Reason::DATABASE, message)
    }

    /// Nothing was tried: the database does not answer.
    pub(crate) fn database_away() -> Self {
        Self { retry_after_seconds: Some(1), ..Self::new(Reason::DATABASE, "error.database_away") }
    }

    /// The change is stored, and everything else goes on with what was in effect before.
    pub(crate) fn not_yet_in_effect() -> Self {
        Self::new(Reason::NOT_YET_IN_EFFECT, "error.not_yet_in_effect")
    }

    /// Nothing is wrong with the request, but nobody waits this long.
    pub(crate) fn search_too_long() -> Self {
        Self::new(Reason::SEARCH_TOO_LONG, "error.search_too_long")
    }

    /// The body did not arrive in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(Reason::TOO_SLOW, Message::verbatim("The request body did not arrive in time"))
    }

    /// A fault of ours: the log says what, the caller only that.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "A management request failed: {cause}");
        let message = Message::verbatim("An unexpected error occurred");
        Self::new(Reason::INTERNAL, message)
    }
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::NotFound => Self::not_found(),
            db::Error::Duplicate => Self::duplicate(),
            db::Error::ReadOnly => Self::new(Reason::READ_ONLY, "error.keys_read_only"),
            cause => {
                tracing::error!(error = %cause, "A statement of a management request failed: {cause}");
                let message = Message::verbatim("Database operation failed");
                Self::new(Reason::DATABASE, message)
            }
        }
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Busy => Self::task_in_progress(),
            StartError::Database(error) => error.into(),
        }
    }
}

impl From<CancelError> for Refusal {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::Over => Self::task_over(),
            CancelError::Database(error) => error.into(),
        }
    }
}

impl From<group::Error> for Refusal {
    fn from(error: group::Error) -> Self {
        match error {
            group::Error::Database(error) => error.into(),
            group::Error::Invalid(invalid) => match invalid.fault {
                Fault::Validation => Self::invalid(invalid),
                Fault::BadRequest => Self::bad_request(invalid),
                Fault::NotFound => Self::absent(invalid),
                Fault::Outdated => Self::new(Reason::CHANGED_MEANWHILE, invalid),
            },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Envelope::refusal(self.reason, self.message).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
