//! Who may manage: the holder of the one management key.

use axum::{
    extract::{FromRequestParts, Request, State as Shared},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap,
    header::{AUTHORIZATION, SET_COOKIE},
    request::Parts,
};
use subtle::ConstantTimeEq as _;

use super::{
    Api, ClientAddress,
    answer::Message,
    query::Query,
    refusal::Refusal,
    session::{self, OverHttps, Session},
    throttle::Locked,
};
use crate::crypto::{self, Secret};

/// A key of ours as a digest, so that comparing takes the same time for every guess of any length.
pub(crate) struct ManagementKey([u8; 32]);

impl ManagementKey {
    pub(crate) fn new(key: &Secret) -> Self {
        Self(crypto::digest(key.expose()))
    }

    pub(crate) fn is(&self, given: &str) -> bool {
        crypto::digest(given).ct_eq(&self.0).into()
    }
}

/// The first credential that is present decides; one in a later place is not even looked at.
fn credential(uri: &http::Uri, headers: &HeaderMap) -> Option<String> {
    let header = |name| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let bearer = || header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ");
    let plain = |name| header(name).filter(|text| !text.is_empty());
    Query::of(uri)
        .first("key")
        .map(str::to_owned)
        .or_else(|| bearer().or_else(|| plain("x-api-key")).or_else(|| plain("x-goog-api-key")).map(str::to_owned))
}

/// The metrics are for whoever sends their token as a bearer, and for whoever manages.
pub(super) struct MayScrape;

impl FromRequestParts<Api> for MayScrape {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let Ok(client) = ClientAddress::from_request_parts(parts, api).await;
        let bearer = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(given) = credential(&parts.uri, &parts.headers) else { return Err(refused()) };
        // Nobody guesses here who could not do so elsewhere, neither the token nor the management key.
        api.0.throttle.look(client, api.clock.steady()).map_err(locked)?;
        if bearer.zip(api.0.metrics_token.as_ref()).is_some_and(|(given, token)| token.is(given)) {
            return Ok(Self);
        }
        if api.judge(&given, client).map_err(locked)? {
            return Ok(Self);
        }
        // Behind one wrong key that is repeated, tokens could be tried for nothing.
        if let Some(token) = bearer.filter(|token| *token != given) {
            api.judge(token, client).map_err(locked)?;
        }
        Err(refused())
    }
}

fn locked(locked: Locked) -> Refusal {
    Refusal::too_many_failed_log_ins(locked.seconds())
}

fn refused() -> Refusal {
    Refusal::unauthorized(Message::verbatim("Authentication failed"))
}

/// Stands before every route that is not open.
pub(super) async fn required(
    Shared(api): Shared<Api>,
    client: ClientAddress,
    request: Request,
    next: Next,
) -> Response {
    let Some(given) = credential(request.uri(), request.headers()) else {
        return match api.0.sessions.of(request.headers(), api.clock.now()) {
            Some(session) => within(session, &api, request, next).await,
            None if api.0.tickets.open(request.method(), request.uri(), api.clock.now()) => next.run(request).await,
            None => refused().into_response(),
        };
    };
    match api.judge(&given, client) {
        Ok(true) => next.run(request).await,
        Ok(false) => refused().into_response(),
        Err(wait) => locked(wait).into_response(),
    }
}

/// Answers the console, and renews its session when it is time.
async fn within(session: Session, api: &Api, mut request: Request, next: Next) -> Response {
    if !session::is_from_the_console(request.method(), request.headers()) {
        return Refusal::forbidden("auth.not_from_the_console").into_response();
    }
    let over_https = request.extensions().get().copied().unwrap_or(OverHttps(false));
    let renewed = session.renewed(api.clock.now());
    request.extensions_mut().insert(renewed.unwrap_or(session));
    let mut response = next.run(request).await;
    if let Some(renewed) = renewed {
        response.headers_mut().append(SET_COOKIE, api.0.sessions.cookie(renewed, over_https));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &'static str, headers: &[(&'static str, &'static str)], expected: Option<&str>) {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>();
        assert_eq!(credential(&http::Uri::from_static(uri), &headers).as_deref(), expected);
    }

    #[test]
    fn the_first_place_with_a_credential_decides() {
        let all = [("authorization", "Bearer b"), ("x-api-key", "c"), ("x-goog-api-key", "d")];
        check("/api/groups?key=a", &all, Some("a"));
        check("/api/groups?key=", &all, Some("b"));
        check("/api/groups", &all[1..], Some("c"));
        check("/api/groups", &all[2..], Some("d"));
        check("/api/groups", &[], None);
    }

    #[test]
    fn another_scheme_is_skipped_and_a_second_space_belongs_to_the_key() {
        check("/", &[("authorization", "bearer b"), ("x-api-key", "c")], Some("c"));
        check("/", &[("authorization", "Basic b")], None);
        check("/", &[("authorization", "Bearer")], None);
        check("/", &[("authorization", "Bearer  b")], Some(" b"));
        check("/", &[("x-api-key", ""), ("x-goog-api-key", "d")], Some("d"));
    }

    #[test]
    fn only_the_very_key_is_accepted() {
        let key = ManagementKey::new(&Secret::new("sk-management"));
        assert!(key.is("sk-management"));
        for wrong in ["", "sk-management ", "SK-MANAGEMENT", "sk-managemen"] {
            assert!(!key.is(wrong), "{wrong:?}");
        }
    }
}
