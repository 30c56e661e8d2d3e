//! GET /api/groups/{id}/sub-groups: the members of an aggregate group, with their weights and keys.

use serde::Serialize;
use utoipa::ToSchema;

use super::{super::shown::Raw, Api};
use crate::{
    api::{answer::Answer, document::Shown, path::GroupInPath, refusal::Refusal},
    group::members,
    keypool::KeyStates,
};

#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Member<'a> {
    group: Raw<'a>,
    /// Its share of requests, 0 to 1000; 0 rests it.
    weight: i64,
    total_keys: u64,
    active_keys: u64,
    invalid_keys: u64,
    /// Taken out by hand.
    disabled_keys: u64,
}

impl Shown for Member<'_> {}

pub(in crate::api) async fn list(
    api: Api,
    GroupInPath(id): GroupInPath,
) -> Result<Answer<Vec<Member<'static>>>, Refusal> {
    let members = members::list(&api.database, id).await?;
    let mut shown = Vec::with_capacity(members.len());
    for member in &members {
        // One count that fails must not hide the members.
        let keys = api.key_pools.states_of(member.group.id, api.clock.steady()).await.unwrap_or_else(|error| {
            let name = &member.group.name;
            tracing::error!(%error, "The keys of group {name} cannot be counted: {error}");
            KeyStates::default()
        });
        shown.push(Member {
            group: Raw::of(&member.group),
            weight: member.weight,
            total_keys: keys.total,
            active_keys: keys.active,
            invalid_keys: keys.invalid,
            disabled_keys: keys.disabled,
        });
    }
    Answer::with(&shown)
}
