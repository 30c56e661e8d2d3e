//! GET /metrics: everything that is measured, for Prometheus.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Uri, header::CONTENT_TYPE};

use super::{Api, answer::Message, authentication, refusal::Refusal};
use crate::metrics;

/// It has a credential of its own, so that a scraper need not hold the management key.
pub(super) async fn read(api: Api, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    if !authentication::may_scrape(&api, &uri, &headers) {
        return Err(Refusal::unauthorized(Message::verbatim("Authentication failed")));
    }
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], api.metrics.render().await).into_response())
}
