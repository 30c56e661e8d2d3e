//! POST /api/auth/login: tells the console whether a management key is right. It opens no session.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
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
}

impl Outside for Outcome {
    const STATUSES: &'static [(u16, &'static str)] =
        &[(200, "The key is right"), (400, "No key was sent"), (401, "The key is wrong")];
}

pub(super) async fn login(api: Api, language: Language, body: Result<Body<Credentials>, Refusal>) -> Bare<Outcome> {
    let (status, text) = match body {
        Ok(Body(given)) if api.0.management_key.is(&given.auth_key) => {
            (StatusCode::OK, "auth.authentication_successful")
        }
        Ok(_) => (StatusCode::UNAUTHORIZED, "auth.authentication_failed"),
        Err(_) => (StatusCode::BAD_REQUEST, "auth.invalid_request"),
    };
    Bare(status, Outcome { success: status == StatusCode::OK, message: language.say(text, &[]) })
}
