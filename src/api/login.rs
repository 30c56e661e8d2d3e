//! POST /api/auth/login: tells the console whether a management key is right. It opens no session.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{
    Api, answer,
    body::{Body, Fields, FromFields, Limits, Misread},
    language::Language,
    refusal::Refusal,
};

pub(super) struct Credentials {
    auth_key: String,
}

impl FromFields for Credentials {
    const LIMITS: Limits = Limits::OPEN;

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { auth_key: fields.needed_text("auth_key")? })
    }
}

#[derive(Serialize)]
struct Outcome {
    success: bool,
    message: String,
}

pub(super) async fn login(api: Api, language: Language, body: Result<Body<Credentials>, Refusal>) -> Response {
    let (status, text) = match body {
        Ok(Body(given)) if api.0.management_key.is(&given.auth_key) => {
            (StatusCode::OK, "auth.authentication_successful")
        }
        Ok(_) => (StatusCode::UNAUTHORIZED, "auth.authentication_failed"),
        Err(_) => (StatusCode::BAD_REQUEST, "auth.invalid_request"),
    };
    answer::json(status, &Outcome { success: status == StatusCode::OK, message: language.say(text, &[]) })
}
