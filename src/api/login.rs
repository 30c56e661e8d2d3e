//! POST /api/auth/login: tells the console whether a management key is right. It opens no session.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, ClientAddress,
    answer::Bare,
    body::{Body, Fields, FromFields, Limits, Misread},
    document::{Outside, Shape, shape::some_text},
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

    fn shape() -> Shape {
        Shape::default().needed("auth_key", some_text(), "The management key")
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LoginOutcome)]
pub(super) struct Outcome {
    success: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_seconds: Option<u32>,
}

impl Outside for Outcome {
    const STATUSES: &'static [(u16, &'static str)] = &[
        (200, "The key is right"),
        (400, "No key was sent"),
        (401, "The key is wrong"),
        (429, "Too many wrong keys came from this address"),
    ];
}

pub(super) async fn login(
    api: Api,
    language: Language,
    client: ClientAddress,
    body: Result<Body<Credentials>, Refusal>,
) -> Bare<Outcome> {
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
    Bare::new(status, Outcome { success, message, retry_after_seconds: None })
}

fn refused_for(seconds: u32, language: Language) -> Bare<Outcome> {
    let message = language.say("auth.too_many_failed_log_ins", &[("seconds", seconds.to_string())]);
    let outcome = Outcome { success: false, message, retry_after_seconds: Some(seconds) };
    Bare::new(StatusCode::TOO_MANY_REQUESTS, outcome).retry_after(seconds)
}
