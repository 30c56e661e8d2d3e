//! GET /api/dashboard/stats: keys, requests a minute, requests and failures of the last day, and what endangers them.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    warnings::{Warning, warnings},
};
use crate::{
    api::{answer::Answer, document::Shown, figure::Figure, language::Language, refusal::Refusal},
    group,
    stats::{self, Change},
};

#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Dashboard {
    key_count: Card,
    rpm: Card,
    request_count: Card,
    error_rate: Card,
    /// `null`: none.
    #[schema(required)]
    security_warnings: Option<Vec<Warning>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DashboardCard)]
struct Card {
    #[schema(value_type = f64)]
    value: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub_value: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub_value_tip: Option<String>,
    #[schema(value_type = f64)]
    trend: Figure,
    trend_is_growth: bool,
}

impl Shown for Dashboard {}

impl Card {
    fn new(value: f64, change: Change) -> Self {
        Self {
            value: Figure(value),
            sub_value: None,
            sub_value_tip: None,
            trend: Figure(change.trend),
            trend_is_growth: change.is_good,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people needs no more than 53 bits")]
pub(in crate::api) async fn stats(api: Api, language: Language) -> Result<Answer<Dashboard>, Refusal> {
    let now = api.clock.now();
    let (rate, rate_change) =
        stats::rate(&api.database, now).await.map_err(|error| Refusal::database(error, "database.rpm_stats_failed"))?;
    let overview = stats::overview(&api.database, now)
        .await
        .map_err(|error| Refusal::database(error, "database.current_stats_failed"))?;
    // The page is worth showing without this figure.
    let keys = api.key_pools.states_by_group(api.clock.steady()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "Cannot count the keys: {error}");
        HashMap::new()
    });
    let active: u64 = keys.values().map(|keys| keys.active).sum();
    let invalid: u64 = keys.values().map(|keys| keys.invalid).sum();
    let steady = Change { trend: 0.0, is_good: false };
    Answer::with(&Dashboard {
        key_count: Card {
            sub_value: (invalid > 0).then_some(invalid),
            sub_value_tip: Some(language.say("dashboard.invalid_keys", &[])),
            ..Card::new(active as f64, steady)
        },
        rpm: Card::new(rate, rate_change),
        request_count: Card::new(overview.current.requests() as f64, overview.requests_change()),
        error_rate: Card::new(overview.current.failure_rate() * 100.0, overview.error_rate_change()),
        security_warnings: Some(dangers(&api, language).await?).filter(|warnings| !warnings.is_empty()),
    })
}

async fn dangers(api: &Api, language: Language) -> Result<Vec<Warning>, Refusal> {
    let of_groups = group::queries::proxy_keys(api.database.readers()).await?;
    let global = api.directory.current().settings.proxy_keys.clone();
    Ok(warnings(language, &api.auth_key, api.encryption_key.as_ref(), &global, &of_groups))
}
