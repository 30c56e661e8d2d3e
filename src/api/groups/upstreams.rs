//! GET /api/groups/{id}/upstreams: where a group's requests go, and how they fared there within the last hour.

use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{answer::Answer, document::Shown, figure::Figure, path::GroupInPath, refusal::Refusal},
    db::Timestamp,
    group,
    request_log::{Filter, UpstreamFigures},
    upstream::{self, Listed},
};

/// What the figures are of.
const SPAN: TimeDelta = TimeDelta::hours(1);
const SHARE_DECIMALS: i32 = 4;

#[derive(Serialize, ToSchema)]
#[schema(as = GroupUpstream)]
pub(in crate::api) struct Upstream {
    /// As it is stored, but without user information and query, which may hold credentials.
    url: String,
    /// `null`: what is stored is no weight.
    #[schema(required)]
    weight: Option<u32>,
    /// Of the requests that come now, from 0 to 1: what rests gets none while another one serves.
    #[schema(value_type = f64)]
    share: Figure,
    /// It is down, and is tried again then; of this node.
    #[schema(required)]
    resting_until: Option<Timestamp>,
    /// The last one within the hour.
    #[schema(required)]
    last_failure: Option<Failure>,
    /// Attempts within the last hour; `null`: nothing can go there.
    #[schema(required)]
    requests: Option<u64>,
    #[schema(required)]
    failures: Option<u64>,
    #[schema(required)]
    p50_duration_ms: Option<u32>,
    #[schema(required)]
    p95_duration_ms: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UpstreamFailure)]
struct Failure {
    at: Timestamp,
    status_code: i64,
    /// Its beginning; empty: nothing was said.
    message: String,
}

impl Shown for Upstream {}

pub(in crate::api) async fn upstreams(
    api: Api,
    GroupInPath(id): GroupInPath,
) -> Result<Answer<Vec<Upstream>>, Refusal> {
    let group = group::queries::find(api.database.readers(), id).await?;
    if group.is_aggregate() {
        return Answer::with(&Vec::new());
    }
    let now = api.clock.now();
    let current = api.directory.current();
    let in_effect = current.by_name.get(&group.name).map(|group| &*group.upstreams);
    let listed = upstream::listed(group.upstreams.get(), in_effect, api.clock.steady());
    drop(current);
    let bases: Vec<Option<String>> = listed.iter().map(|one| one.shown_base.clone()).collect();
    let filter = Filter { group_id: Some(id), ..Filter::default() };
    let figures = api.log_search.of_upstreams(&filter, (now - SPAN, now), &bases).await?;
    let shown = |(one, figures): (Listed, UpstreamFigures)| {
        let is_used = one.shown_base.is_some();
        Upstream {
            url: one.url,
            weight: one.weight,
            share: Figure(one.share).rounded(SHARE_DECIMALS),
            resting_until: one.rests_for.map(|left| Timestamp(now + left).to_milliseconds()),
            last_failure: figures.last_failure.map(|failure| Failure {
                at: Timestamp(failure.at),
                status_code: failure.status_code,
                message: failure.message,
            }),
            requests: is_used.then_some(figures.requests),
            failures: is_used.then_some(figures.failures),
            p50_duration_ms: figures.p50_duration_ms,
            p95_duration_ms: figures.p95_duration_ms,
        }
    };
    Answer::with(&listed.into_iter().zip(figures).map(shown).collect::<Vec<_>>())
}
