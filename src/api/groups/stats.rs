//! GET /api/groups/{id}/stats: a group's keys, and its requests of a day, a week and a month.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{answer::Answer, document, figure::Figure, path::GroupInPath, refusal::Refusal},
    group,
    keypool::KeyStates,
    stats::{self, Counts},
};

const RATE_DECIMALS: i32 = 4;

#[derive(Serialize, ToSchema)]
#[schema(as = GroupStats)]
pub(in crate::api) struct Shown {
    key_stats: KeyStats,
    stats_24_hour: Window,
    stats_7_day: Window,
    stats_30_day: Window,
}

#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "callers know them by these names")]
struct KeyStats {
    total_keys: u64,
    /// Those in rotation, resting ones included.
    active_keys: u64,
    invalid_keys: u64,
    /// Taken out by hand.
    disabled_keys: u64,
    /// Of the active ones those that wait out a limit, on this node.
    resting_keys: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StatsWindow)]
struct Window {
    total_requests: i64,
    failed_requests: i64,
    #[schema(value_type = f64)]
    failure_rate: Figure,
    /// Attempts that others followed; not among the requests.
    retried_requests: i64,
    /// Requests whose client left; not among the requests either.
    aborted_requests: i64,
}

impl document::Shown for Shown {}

impl From<Counts> for Window {
    fn from(counts: Counts) -> Self {
        Self {
            total_requests: counts.requests(),
            failed_requests: counts.failures,
            failure_rate: Figure(counts.failure_rate()).rounded(RATE_DECIMALS),
            retried_requests: counts.retries,
            aborted_requests: counts.aborted,
        }
    }
}

pub(in crate::api) async fn stats(api: Api, GroupInPath(id): GroupInPath) -> Result<Answer<Shown>, Refusal> {
    let group = group::queries::find(api.database.readers(), id).await?;
    let failed = |error| Refusal::database(error, "database.group_stats_failed");
    let windows = stats::of_group(&api.database, id, api.clock.now()).await.map_err(failed)?;
    // What an aggregate holds, nobody uses.
    let keys = if group.is_aggregate() {
        Ok(KeyStates::default())
    } else {
        api.key_pools.states_of(id, api.clock.steady()).await
    };
    let keys = match keys {
        Ok(keys) => keys,
        // One half of the answer is better than none.
        Err(error) if windows.month.requests() > 0 => {
            tracing::error!(%error, "Cannot count the keys of group {id}: {error}");
            KeyStates::default()
        }
        Err(error) => return Err(failed(error)),
    };
    Answer::with(&Shown {
        key_stats: KeyStats {
            total_keys: keys.total,
            active_keys: keys.active,
            invalid_keys: keys.invalid,
            disabled_keys: keys.disabled,
            resting_keys: keys.resting,
        },
        stats_24_hour: windows.day.into(),
        stats_7_day: windows.week.into(),
        stats_30_day: windows.month.into(),
    })
}
