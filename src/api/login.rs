//! POST /api/auth/login: tells the console whether a management key is right. It opens no session.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::Serialize;

use super::{
    Api, ClientAddress, answer,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

pub(super) async fn login(
    api: Api,
    language: Language,
    client: ClientAddress,
    body: Result<Body<Credentials>, Refusal>,
) -> Response {
    let (status, text) = match body.map(|Body(given)| api.judge(&given.auth_key, client)) {
        Ok(Ok(true)) => {
            api.0.throttle.forget(client);
            (StatusCode::OK, "auth.authentication_successful")
        }
        Ok(Ok(false)) => (StatusCode::UNAUTHORIZED, "auth.authentication_failed"),
        Ok(Err(locked)) => return refused_for(locked.seconds(), language),
        Err(_) => (StatusCode::BAD_REQUEST, "auth.invalid_request"),
    };
    let (success, message) = (status == StatusCode::OK, language.say(text, &[]));
    answer::json(status, &Outcome { success, message, retry_after_seconds: None })
}

fn refused_for(seconds: u32, language: Language) -> Response {
    let message = language.say("auth.too_many_failed_log_ins", &[("seconds", seconds.to_string())]);
    let outcome = Outcome { success: false, message, retry_after_seconds: Some(seconds) };
    let mut response = answer::json(StatusCode::TOO_MANY_REQUESTS, &outcome);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
