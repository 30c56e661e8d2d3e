//! GET /api/groups/summary: how each group is, for a board of all of them.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    health::{self, Health, Means, Reason},
};
use crate::{
    api::{answer::Answer, document::Shown, figure::Figure, refusal::Refusal},
    db::Timestamp,
    group::{self, Group, GroupId, Kind, Record},
    keypool::KeyStates,
    stats::{self, GroupFigures},
};

#[derive(Serialize, ToSchema)]
#[schema(as = GroupSummary)]
pub(in crate::api) struct Summary {
    id: GroupId,
    name: String,
    display_name: String,
    /// `standard` or `aggregate`.
    group_type: &'static str,
    channel_type: String,
    sort: i64,
    /// All of the group's keys; of an aggregate none, like the other counts of keys.
    total_keys: u64,
    /// Those in rotation, resting ones included.
    active_keys: u64,
    /// Of the active ones those that wait out a limit, on this node.
    resting_keys: u64,
    invalid_keys: u64,
    disabled_keys: u64,
    /// Of the last 24 hours, the current one included. A request whose client left is none.
    requests_24h: i64,
    failures_24h: i64,
    aborted_24h: i64,
    /// Over the last ten minutes.
    #[schema(value_type = f64)]
    requests_per_minute: Figure,
    /// The last 24 hours, the oldest first.
    hours: Vec<Hour>,
    /// Upstreams with a weight.
    upstreams_total: usize,
    /// Of them those that are down and wait for their next trial, on this node.
    upstreams_resting: usize,
    members_total: usize,
    /// Members with a weight and an active key.
    members_usable: usize,
    #[schema(inline)]
    health: Health,
    /// The worst first.
    #[schema(inline)]
    health_reasons: Vec<Reason>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GroupHour)]
struct Hour {
    begin: Timestamp,
    successes: i64,
    failures: i64,
}

impl Shown for Summary {}

pub(in crate::api) async fn summary(api: Api) -> Result<Answer<Vec<Summary>>, Refusal> {
    let readers = api.database.readers();
    let groups = group::queries::all(readers).await?;
    let mut members: HashMap<GroupId, usize> = HashMap::new();
    for (aggregate, ..) in group::queries::memberships(readers).await? {
        *members.entry(aggregate).or_default() += 1;
    }
    let keys = api.key_pools.states_by_group(api.clock.steady()).await?;
    let mut figures = stats::by_group(&api.database, groups.iter().map(|group| group.id), api.clock.now()).await?;
    let mut shown = Vec::with_capacity(groups.len());
    for group in groups {
        let Some(figures) = figures.remove(&group.id) else { continue };
        let members = members.get(&group.id).copied().unwrap_or_default();
        let keys = keys.get(&group.id).copied().unwrap_or_default();
        shown.push(Summary::of(&api, group, keys, members, figures));
    }
    Answer::with(&shown)
}

impl Summary {
    fn of(api: &Api, group: Record, keys: KeyStates, members_total: usize, figures: GroupFigures) -> Self {
        // What an aggregate holds, nobody uses.
        let keys = if group.is_aggregate() { KeyStates::default() } else { keys };
        let now = api.clock.steady();
        let current = api.directory.current();
        let in_effect = current.by_name.get(&group.name);
        let upstreams_total = in_effect.map_or(0, |group| group.upstreams.count());
        let upstreams_resting = in_effect.map_or(0, |group| group.upstreams.resting_count(now));
        let members_usable = in_effect.map_or(0, |group| usable_members(api, group));
        let means = if group.is_aggregate() {
            Means::Members { usable: members_usable }
        } else {
            Means::Own { keys, upstreams: upstreams_total, upstreams_resting }
        };
        let day = figures.day();
        let (health, health_reasons) = health::of(means, day, figures.lately());
        let hour = |point: stats::Point| Hour {
            begin: Timestamp(point.begin),
            successes: point.counts.successes,
            failures: point.counts.failures,
        };
        Self {
            id: group.id,
            group_type: group.group_type.name(),
            name: group.name,
            display_name: group.display_name,
            channel_type: group.channel_type,
            sort: group.sort,
            total_keys: keys.total,
            active_keys: keys.active,
            resting_keys: keys.resting,
            invalid_keys: keys.invalid,
            disabled_keys: keys.disabled,
            requests_24h: day.requests(),
            failures_24h: day.failures,
            aborted_24h: day.aborted,
            requests_per_minute: Figure(figures.requests_per_minute),
            hours: figures.hours.into_iter().map(hour).collect(),
            upstreams_total,
            upstreams_resting,
            members_total,
            members_usable,
            health,
            health_reasons,
        }
    }
}

/// Those that the proxy would choose from.
fn usable_members(api: &Api, group: &Group) -> usize {
    let Kind::Aggregate(members) = &group.kind else { return 0 };
    let has_keys = |id| api.key_pools.of(id).is_some_and(|pool| pool.active_count() > 0);
    members.entries.iter().filter(|member| member.group.upstreams.count() > 0 && has_keys(member.group.id)).count()
}
