//! Failures of our own in the shape from which a channel's SDK raises its own exception.

use serde_json::{Value, json};

use super::Channel;

impl Channel {
    /// `code` and `message` stand at the top as well, where clients of the original look for them.
    pub(crate) fn error_body(self, status: u16, code: &str, message: &str, request_id: &str) -> Vec<u8> {
        let mut body = match self {
            Self::OpenAi | Self::OpenAiResponse => json!({
                "error": {"message": message, "type": openai_type(status), "param": null, "code": code.to_lowercase()},
            }),
            Self::Gemini => json!({
                "error": {"code": status, "message": message, "status": google_status(status)},
            }),
            Self::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(status), "message": message},
            }),
        };
        body["code"] = Value::from(code);
        body["message"] = Value::from(message);
        body["request_id"] = Value::from(request_id);
        body.to_string().into_bytes()
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
