//! Sessions of the console: a signed cookie instead of the management key in the browser's hands. Nothing is stored, so it
//! holds on every node with the same `AUTH_KEY`, and on none once that was changed.

mod create;
mod delete;
mod read;

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use chrono::{DateTime, Duration, Utc};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{COOKIE, HeaderName, SET_COOKIE},
    request::Parts,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, answer::OwnHeader, document::Shown};
use crate::{
    crypto::{Seal, Secret},
    db::Timestamp,
};

pub(super) use self::{create::create, delete::delete, read::read};

pub(super) const COOKIE_NAME: &str = "gpt_load_session";
/// Only scripts of our own pages can set it: a form or a link of another site cannot.
pub(super) const CONSOLE_HEADER: HeaderName = HeaderName::from_static("x-gpt-load-console");
const LIFETIME: Duration = Duration::hours(12);
const LIFETIME_REMEMBERED: Duration = Duration::days(30);

/// Makes and checks the values of the cookie: when the session ends, whether it is a remembered one, and a seal on both.
pub(super) struct Sessions(Seal);

/// Who is signed in, as far as one can be: there is one operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    expires_at: DateTime<Utc>,
    is_remembered: bool,
}

/// The session that a request came with; none where it came with the management key.
pub(super) struct CurrentSession(Option<Session>);

/// The request came over HTTPS, as far as a trusted proxy says so. An extension of the request, set by the roof.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverHttps(pub(crate) bool);

impl Session {
    fn begin(now: DateTime<Utc>, is_remembered: bool) -> Self {
        let session = Self { expires_at: now, is_remembered };
        // In whole seconds, as it is sealed.
        let expires_at = DateTime::from_timestamp((now + session.lifetime()).timestamp(), 0).unwrap_or(now);
        Self { expires_at, ..session }
    }

    fn lifetime(self) -> Duration {
        if self.is_remembered { LIFETIME_REMEMBERED } else { LIFETIME }
    }

    /// The same from now on, once less than half of its time is left.
    pub(super) fn renewed(self, now: DateTime<Utc>) -> Option<Self> {
        (self.expires_at - now < self.lifetime() / 2).then(|| Self::begin(now, self.is_remembered))
    }

    fn sealed(self) -> String {
        format!("{}.{}", self.expires_at.timestamp(), if self.is_remembered { "remembered" } else { "short" })
    }
}

impl Sessions {
    pub(super) fn new(auth_key: &Secret) -> Self {
        Self(Seal::new(auth_key, "gpt-load session v1"))
    }

    fn value(&self, session: Session) -> String {
        let sealed = session.sealed();
        format!("{sealed}.{}", self.0.on(&sealed))
    }

    fn parse(&self, value: &str) -> Option<Session> {
        let (sealed, seal) = value.rsplit_once('.')?;
        if !self.0.is_on(sealed, seal) {
            return None;
        }
        let (expires_at, kind) = sealed.split_once('.')?;
        let expires_at = DateTime::from_timestamp(expires_at.parse().ok()?, 0)?;
        Some(Session { expires_at, is_remembered: kind == "remembered" })
    }

    /// The session that the cookies of a request tell of, if it lasts.
    pub(super) fn of(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Session> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        // An old one may lie beside it: any that is right opens.
        pairs
            .filter(|(name, _)| *name == COOKIE_NAME)
            .filter_map(|(_, value)| self.parse(value))
            .find(|session| now < session.expires_at)
    }

    /// What tells a browser to keep a session. Below `/api` alone, so that it never reaches `/proxy/`, where it would
    /// travel on to an upstream.
    pub(super) fn cookie(&self, session: Session, over_https: OverHttps) -> HeaderValue {
        let mut text = format!("{COOKIE_NAME}={}; Path=/api; HttpOnly; SameSite=Strict", self.value(session));
        // Without an age it goes when the browser is closed.
        if session.is_remembered {
            text = format!("{text}; Max-Age={}", session.lifetime().num_seconds());
        }
        header(text, over_https)
    }
}

/// What tells a browser to forget its session.
fn no_cookie(over_https: OverHttps) -> HeaderValue {
    header(format!("{COOKIE_NAME}=; Path=/api; HttpOnly; SameSite=Strict; Max-Age=0"), over_https)
}

fn header(mut text: String, OverHttps(is_over_https): OverHttps) -> HeaderValue {
    if is_over_https {
        text.push_str("; Secure");
    }
    // Digits, letters and signs that a header may have: the empty value never stands for it.
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Whether a request may change something for the session that it came with: browsers send a cookie along with whatever
/// another site makes them ask.
pub(super) fn is_from_the_console(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) || headers.get(CONSOLE_HEADER).is_some_and(|value| value == "1")
}

/// The header that brings a session, or takes it away.
pub(super) struct SetCookie;

impl OwnHeader for SetCookie {
    const NAME: HeaderName = SET_COOKIE;
    const DESCRIPTION: &'static str = "The cookie `gpt_load_session`, which browsers send along below `/api`";
}

#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(in crate::api) struct Told {
    /// When the session ends unless it is used: one that is used is renewed. `null`: the request came with the management
    /// key and has no session.
    #[schema(required)]
    expires_at: Option<Timestamp>,
}

impl Shown for Told {}

impl From<Option<Session>> for Told {
    fn from(session: Option<Session>) -> Self {
        Self { expires_at: session.map(|session| Timestamp(session.expires_at)) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OverHttps {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(false)))
    }
}

impl FromRequestParts<Api> for CurrentSession {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn headers(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (COOKIE, cookie.parse().unwrap())).collect()
    }

    #[test]
    fn a_session_holds_for_its_time_and_its_management_key_only() {
        let sessions = Sessions::new(&Secret::new("sk-management"));
        let session = Session::begin(at(0), false);
        let pair = format!("{COOKIE_NAME}={}", sessions.value(session));
        let found = |cookies: &[&str], seconds: i64| sessions.of(&headers(cookies), at(seconds));
        assert_eq!(found(&[&pair], 0), Some(session));
        assert_eq!(found(&[&pair], 12 * 3_600 - 1), Some(session));
        assert_eq!(found(&[&pair], 12 * 3_600), None, "it has ended");
        assert_eq!(found(&[&format!("a=b; {pair};c=d")], 0), Some(session));
        assert_eq!(found(&["gpt_load_session=old", &pair], 0), Some(session));
        assert_eq!(found(&[], 0), None);
        let other = Sessions::new(&Secret::new("sk-other"));
        assert_eq!(other.of(&headers(&[&pair]), at(0)), None);
    }

    #[test]
    fn nobody_makes_a_session_last_longer() {
        let sessions = Sessions::new(&Secret::new("sk-management"));
        let value = sessions.value(Session::begin(at(0), false));
        let (sealed, seal) = value.rsplit_once('.').unwrap();
        let (expires_at, _) = sealed.split_once('.').unwrap();
        for forged in [
            format!("{expires_at}.remembered.{seal}"),
            format!("9{expires_at}.short.{seal}"),
            format!("{sealed}."),
            sealed.to_owned(),
            format!("{value}0"),
            String::new(),
        ] {
            assert_eq!(sessions.parse(&forged), None, "{forged}");
        }
    }

    #[test]
    fn a_session_is_renewed_in_the_second_half_of_its_time() {
        let short = Session::begin(at(0), false);
        assert_eq!(short.renewed(at(6 * 3_600)), None);
        assert_eq!(short.renewed(at(6 * 3_600 + 1)).unwrap().expires_at, at(18 * 3_600 + 1));
        let remembered = Session::begin(at(0), true);
        assert_eq!(remembered.renewed(at(15 * 86_400)), None);
        let renewed = remembered.renewed(at(15 * 86_400 + 1)).unwrap();
        assert_eq!((renewed.expires_at, renewed.is_remembered), (at(45 * 86_400 + 1), true));
    }
}
