//! GET /metrics: everything that is measured, for Prometheus.

use super::{
    Api,
    answer::{Content, Sent},
    authentication::MayScrape,
};
use crate::metrics;

pub(super) struct Exposition;

impl Content for Exposition {
    const TYPE: &'static str = metrics::CONTENT_TYPE;
    const DESCRIPTION: &'static str = "OpenMetrics";
}

/// It has a credential of its own, so that a scraper need not hold the management key.
pub(super) async fn read(api: Api, _: MayScrape) -> Sent<Exposition> {
    Sent::new(api.metrics.render().await)
}
