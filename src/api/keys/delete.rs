//! POST /api/keys/delete-multiple: deletes keys by their texts.

use serde::Serialize;

use super::{Api, KeyTexts};
use crate::{
    api::{answer::Answer, body::Body, refusal::Refusal},
    keypool::unwatched,
};

#[derive(Serialize)]
struct Outcome {
    deleted_count: u64,
    ignored_count: u64,
    total_in_group: u64,
}

pub(in crate::api) async fn delete(api: Api, Body(wanted): Body<KeyTexts>) -> Result<Answer, Refusal> {
    let group = wanted.group(&api).await?;
    let keys = wanted.parse_stored(&api).await?;
    let deleted_count = api.key_pools.delete(group.id, &keys, unwatched).await?;
    Answer::with(&Outcome {
        deleted_count,
        ignored_count: keys.len() as u64 - deleted_count,
        total_in_group: api.key_pools.count(group.id).await?,
    })
}
