//! POST /api/keys/add-multiple: puts keys into a group, those that it has already aside.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, KeyTexts};
use crate::{
    api::{answer::Answer, body::Body, document::Shown, refusal::Refusal},
    keypool::unwatched,
};

#[derive(Serialize, ToSchema)]
#[schema(as = KeysAdded)]
pub(in crate::api) struct Outcome {
    added_count: usize,
    /// Keys that the group has already, and those named more than once.
    ignored_count: usize,
    total_in_group: u64,
}

impl Shown for Outcome {}

pub(in crate::api) async fn add(api: Api, Body(wanted): Body<KeyTexts>) -> Result<Answer<Outcome>, Refusal> {
    let group = wanted.group(&api).await?;
    if group.is_aggregate() {
        return Err(Refusal::invalid("validation.keys_of_aggregate"));
    }
    let outcome = api.key_pools.add(group.id, &wanted.parse_new().await?, unwatched).await?;
    Answer::with(&Outcome {
        added_count: outcome.added,
        ignored_count: outcome.ignored(),
        total_in_group: api.key_pools.count(group.id).await?,
    })
}
