//! What we say when an answer is our own: a true status, words for the caller, and other words for the log.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{record::STATUS_CLIENT_GONE, relay::ResponseBody};
use crate::{channel::Channel, request_log::Verdict, upstream::SendError};

/// A request that ends with an answer of ours. `outer` is for the caller and never names a key or an internal address;
/// `inner` is for the log.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    /// The original's error code, kept beside the shape that the channel's SDK expects.
    pub(super) code: &'static str,
    pub(super) outer: Cow<'static, str>,
    pub(super) inner: String,
    pub(super) retry_after: Option<Duration>,
    /// Whose fault it is.
    pub(super) verdict: Verdict,
}

impl Failure {
    fn new(verdict: Verdict, status: StatusCode, code: &'static str, outer: impl Into<Cow<'static, str>>) -> Self {
        let outer = outer.into();
        Self { status, code, inner: outer.clone().into_owned(), outer, retry_after: None, verdict }
    }

    /// The client's mistake.
    pub(super) fn of_client(status: StatusCode, code: &'static str, outer: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Client, status, code, outer)
    }

    /// The upstream answered, and it is of no use. `inner` is for the log.
    pub(super) fn bad_gateway(outer: &'static str, inner: String) -> Self {
        Self { inner, ..Self::new(Verdict::Upstream, StatusCode::BAD_GATEWAY, "UPSTREAM_ERROR", outer) }
    }

    /// Not now, for want of something of ours.
    fn unavailable(code: &'static str, outer: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Ourselves, StatusCode::SERVICE_UNAVAILABLE, code, outer)
    }

    pub(super) fn bad_request(outer: impl Into<Cow<'static, str>>) -> Self {
        Self::of_client(StatusCode::BAD_REQUEST, "BAD_REQUEST", outer)
    }

    pub(super) fn unauthorized() -> Self {
        Self::of_client(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Authentication failed: no valid proxy key was sent")
    }

    pub(super) fn unknown_group(name: &str) -> Self {
        Self::of_client(StatusCode::NOT_FOUND, "NOT_FOUND", format!("There is no group named '{name}'"))
    }

    pub(super) fn too_large(outer: String) -> Self {
        Self::of_client(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", outer)
    }

    pub(super) fn overloaded() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::unavailable(
                "TOO_MANY_REQUESTS",
                "Too many requests are in progress (MAX_CONCURRENT_REQUESTS): try again shortly",
            )
        }
    }

    pub(super) fn no_room() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::unavailable(
                "TOO_MANY_REQUESTS",
                "Other requests take all the memory that is set aside for request bodies: try again shortly",
            )
        }
    }

    pub(super) fn no_keys() -> Self {
        Self::unavailable("NO_KEYS_AVAILABLE", "No active API keys available for this group")
    }

    pub(super) fn no_members() -> Self {
        Self::unavailable("NO_KEYS_AVAILABLE", "No available sub-groups")
    }

    pub(super) fn no_upstream(group: &str) -> Self {
        Self::unavailable(
            "INTERNAL_SERVER_ERROR",
            format!("The group '{group}' has no usable upstream: its configuration must be corrected"),
        )
    }

    pub(super) fn deadline() -> Self {
        let outer = "The upstream did not answer in time";
        Self::new(Verdict::Upstream, StatusCode::GATEWAY_TIMEOUT, "UPSTREAM_ERROR", outer)
    }

    /// The client's own body is no proper HTTP.
    pub(super) fn malformed_body(inner: String) -> Self {
        Self { inner, ..Self::bad_request("The request body could not be read") }
    }

    /// The client left before its own body was complete.
    pub(super) fn client_gone(inner: String) -> Self {
        Self {
            verdict: Verdict::ClientGone,
            ..Self::malformed_body(format!("The client broke off its request: {inner}"))
        }
    }

    pub(super) fn from_send_error(error: &SendError) -> Self {
        let inner = error.to_string();
        match error {
            SendError::ClientBody(error) => super::received::refused(error),
            SendError::Shortage(_) => Self {
                inner,
                retry_after: Some(Duration::from_secs(1)),
                ..Self::unavailable("TOO_MANY_REQUESTS", "This server has no connection to spare: try again shortly")
            },
            SendError::Unsendable(_) | SendError::UnsendableKey => Self {
                inner,
                ..Self::new(
                    if matches!(error, SendError::UnsendableKey) { Verdict::Key } else { Verdict::Ourselves },
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "INTERNAL_SERVER_ERROR",
                    "The request cannot be sent with this group's configuration",
                )
            },
            _ if error.is_timeout() => Self { inner, ..Self::deadline() },
            _ => Self::bad_gateway("The upstream could not be reached", inner),
        }
    }

    /// The status under which it is recorded.
    pub(super) fn recorded_status(&self) -> u16 {
        if self.verdict == Verdict::ClientGone { STATUS_CLIENT_GONE } else { self.status.as_u16() }
    }

    /// The answer in the shape that the channel's SDK raises its own exception from.
    pub(super) fn answer(&self, channel: Channel, request_id: &str) -> Response<ResponseBody> {
        let body = channel.error_body(self.status.as_u16(), self.code, &self.outer, request_id);
        let mut response = Response::new(ResponseBody::whole(Bytes::from(body)));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        response
    }
}
