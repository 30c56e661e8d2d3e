//! How we say no: the one error envelope, and what every lower room's error becomes in it.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use super::answer::{Envelope, Message};
use crate::{
    db,
    group::{self, Fault},
    task::{CancelError, StartError},
};

/// An error answer. Its code is for programs, its message for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Message,
    retry_after_seconds: Option<u32>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Message>) -> Self {
        Self { status, code, message: message.into(), retry_after_seconds: None }
    }

    pub(crate) fn bad_request(message: impl Into<Message>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(crate) fn invalid_json(problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_JSON", Message::Verbatim(problem.into()))
    }

    pub(crate) fn invalid(message: impl Into<Message>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_FAILED", message)
    }

    pub(crate) fn unauthorized(message: impl Into<Message>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::absent(Message::verbatim("Resource not found"))
    }

    /// Not found, with a message of its own.
    pub(crate) fn absent(message: impl Into<Message>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(crate) fn duplicate() -> Self {
        Self::new(StatusCode::CONFLICT, "DUPLICATE_RESOURCE", Message::verbatim("Resource already exists"))
    }

    /// A task of the group is running.
    pub(crate) fn task_in_progress() -> Self {
        Self::new(StatusCode::CONFLICT, "TASK_IN_PROGRESS", "task.in_progress")
    }

    /// The task that is to be cancelled is over.
    pub(crate) fn task_over() -> Self {
        Self::new(StatusCode::CONFLICT, "TASK_OVER", "task.over")
    }

    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let message = format!("The request body is larger than {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", Message::Verbatim(message.into()))
    }

    pub(crate) fn too_busy() -> Self {
        let message = Message::verbatim("Too many concurrent requests");
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_REQUESTS", message);
        Self { retry_after_seconds: Some(1), ..refusal }
    }

    /// Whatever key comes from that address.
    pub(crate) fn too_many_failed_log_ins(seconds: u32) -> Self {
        let message = ("auth.too_many_failed_log_ins", [("seconds", seconds.to_string())]);
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_FAILED_LOGINS", message);
        Self { retry_after_seconds: Some(seconds), ..refusal }
    }

    /// A failure of the database, with a message of its own.
    pub(crate) fn database(error: db::Error, message: &'static str) -> Self {
        tracing::error!(%error, "A statement of a management request failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "DATABASE_ERROR", message)
    }

    /// The change is stored, and everything else goes on with what was in effect before.
    pub(crate) fn not_yet_in_effect() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_YET_IN_EFFECT", "error.not_yet_in_effect")
    }

    /// Nothing is wrong with the request, but nobody waits this long.
    pub(crate) fn search_too_long() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SEARCH_TOO_LONG", "error.search_too_long")
    }

    /// The body did not arrive in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "BAD_REQUEST",
            Message::verbatim("The request body did not arrive in time"),
        )
    }

    /// A fault of ours: the log says what, the caller only that.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "A management request failed: {cause}");
        let message = Message::verbatim("An unexpected error occurred");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", message)
    }
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::NotFound => Self::not_found(),
            db::Error::Duplicate => Self::duplicate(),
            db::Error::Other(cause) => {
                tracing::error!(error = %cause, "A statement of a management request failed: {cause}");
                let message = Message::verbatim("Database operation failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "DATABASE_ERROR", message)
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
            },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Envelope::refusal(self.status, self.code, self.message).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
