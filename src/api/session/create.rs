//! POST /api/session: signs the console in.

use super::{Api, OverHttps, Session, SetCookie, Told};
use crate::api::{
    ClientAddress,
    answer::{Answer, Headed},
    body::{Body, Fields, FromFields, Limits, Misread},
    document::{
        Shape,
        shape::{flag, some_text},
    },
    refusal::Refusal,
};

pub(in crate::api) struct Credentials {
    auth_key: String,
    is_remembered: bool,
}

impl FromFields for Credentials {
    const LIMITS: Limits = Limits::OPEN;

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self {
            auth_key: fields.needed_text("auth_key")?,
            is_remembered: fields.flag("remember")?.unwrap_or_default(),
        })
    }

    fn shape() -> Shape {
        let remember = "Whether the session outlives the browser, for 30 days instead of 12 hours";
        Shape::default().needed("auth_key", some_text(), "The management key").optional("remember", flag(), remember)
    }
}

pub(in crate::api) async fn create(
    api: Api,
    client: ClientAddress,
    over_https: OverHttps,
    Body(given): Body<Credentials>,
) -> Result<Headed<SetCookie, Told>, Refusal> {
    let is_right = api.judge(&given.auth_key, client);
    if !is_right.map_err(|locked| Refusal::too_many_failed_log_ins(locked.seconds()))? {
        return Err(Refusal::unauthorized("auth.authentication_failed"));
    }
    api.0.throttle.forget(client);
    let session = Session::begin(api.clock.now(), given.is_remembered);
    let cookie = api.0.sessions.cookie(session, over_https);
    Ok(Headed::new(cookie, Answer::with(&Told::from(Some(session)))?))
}
