//! What happens around every request: protective headers, CORS, a panic caught, one line in the log.

use std::time::Instant;

use axum::{
    extract::{Request, State as Shared},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
};
use tracing::{error, info, warn};

use super::{Api, ClientAddress, query, refusal::Refusal, routes};

/// Runs the request as a task of its own. A change that was begun is then also finished and put into effect when its
/// caller leaves, and a panic ends one request instead of the server.
pub(super) async fn in_a_task(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(stopped) => Refusal::internal(stopped).into_response(),
    }
}

/// Refuses rather than queues: whoever waits behind so many would give up anyway. Probes always pass.
pub(super) async fn within_budget(
    Shared(api): Shared<Api>,
    client: ClientAddress,
    request: Request,
    next: Next,
) -> Response {
    if routes::is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    if routes::is_open(request.method(), request.uri().path()) {
        let Some(_place) = api.0.open_places.take(client) else { return Refusal::too_busy().into_response() };
        return next.run(request).await;
    }
    let Ok(_permit) = api.0.budget.try_acquire() else { return Refusal::too_busy().into_response() };
    next.run(request).await
}

pub(super) async fn with_protective_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 4] = [
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
        ),
        (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    ];
    let mut response = next.run(request).await;
    response.headers_mut().extend(HEADERS);
    response
}

pub(super) async fn with_cors(Shared(api): Shared<Api>, request: Request, next: Next) -> Response {
    let Some(cors) = &api.cors else { return next.run(request).await };
    let granted = super::cors::granted(cors, request.headers());
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key("access-control-request-method");
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    for (name, value) in granted {
        response.headers_mut().append(name, value);
    }
    response
}

pub(super) async fn logged(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let mut target = request.uri().path().to_owned();
    if let Some(query) = request.uri().query() {
        target = format!("{target}?{}", query::without_secrets(query));
    }
    let is_routine = is_routine(request.uri());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let milliseconds = begin.elapsed().as_millis();
    match status {
        500.. => error!(%method, target, status, milliseconds, "{method} {target} - {status} - {milliseconds} ms"),
        400.. => warn!(%method, target, status, milliseconds, "{method} {target} - {status} - {milliseconds} ms"),
        _ if is_routine => {}
        _ => info!(%method, target, status, milliseconds, "{method} {target} - {status} - {milliseconds} ms"),
    }
    response
}

/// Probes and scrapes every few seconds would drown the rest of the log.
fn is_routine(uri: &Uri) -> bool {
    routes::is_probe(uri.path()) || uri.path() == "/metrics"
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::api::answer;

    #[test]
    fn probes_are_not_logged_whatever_their_query() {
        for routine in ["/health", "/health?x=1", "/ready?", "/metrics?key=sk"] {
            assert!(is_routine(&Uri::from_static(routine)), "{routine}");
        }
        for other in ["/", "/health/x", "/api/groups?x=/health"] {
            assert!(!is_routine(&Uri::from_static(other)), "{other}");
        }
    }

    #[tokio::test]
    async fn a_panic_ends_one_request_with_an_envelope() {
        async fn broken() -> StatusCode {
            panic!("of a test")
        }
        let router =
            Router::new().route("/", get(broken)).layer(from_fn(in_a_task)).layer(from_fn(answer::put_in_words));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let expected = r#"{"code":"INTERNAL_SERVER_ERROR","message":"An unexpected error occurred"}"#;
        assert_eq!(body, expected);
    }
}
