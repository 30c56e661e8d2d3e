//! POST /api/keys/delete-multiple: deletes keys by their texts.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, KeyTexts};
use crate::{
    api::{answer::Answer, body::Body, document::Shown, refusal::Refusal},
    keypool::unwatched,
};

#[derive(Serialize, ToSchema)]
#[schema(as = KeysDeleted)]
pub(in crate::api) struct Outcome {
    deleted_count: u64,
    /// Keys that the group does not have, and those named more than once.
    ignored_count: u64,
    total_in_group: u64,
}

impl Shown for Outcome {}

pub(in crate::api) async fn delete(api: Api, Body(wanted): Body<KeyTexts>) -> Result<Answer<Outcome>, Refusal> {
    let group = wanted.group(&api).await?;
    let keys = wanted.parse_stored(&api).await?;
    let deleted_count = api.key_pools.delete(group.id, &keys, unwatched).await?;
    Answer::with(&Outcome {
        deleted_count,
        // A database of the original may hold a key twice, and then one text meets two rows.
        ignored_count: (keys.len() as u64).saturating_sub(deleted_count),
        total_in_group: api.key_pools.count(group.id).await?,
    })
}
