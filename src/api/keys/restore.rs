//! POST /api/keys/restore-multiple and /restore-all-invalid: puts invalid keys back into rotation.

use serde::Serialize;
use utoipa::ToSchema;

use super::{AllOfGroup, Api, KeyTexts};
use crate::api::{answer::Answer, body::Body, document::Shown, refusal::Refusal};

#[derive(Serialize, ToSchema)]
#[schema(as = KeysRestored)]
pub(in crate::api) struct Outcome {
    restored_count: u64,
    /// Keys that are not invalid or not in the group, and those named more than once.
    ignored_count: u64,
    total_in_group: u64,
}

impl Shown for Outcome {}

pub(in crate::api) async fn restore(api: Api, Body(wanted): Body<KeyTexts>) -> Result<Answer<Outcome>, Refusal> {
    let group = wanted.group(&api).await?;
    let keys = wanted.parse_stored(&api).await?;
    let restored_count = api.key_pools.restore(group.id, &keys).await?;
    Answer::with(&Outcome {
        restored_count,
        // A database of the original may hold a key twice, and then one text meets two rows.
        ignored_count: (keys.len() as u64).saturating_sub(restored_count),
        total_in_group: api.key_pools.count(group.id).await?,
    })
}

pub(in crate::api) async fn restore_all_invalid(api: Api, Body(of): Body<AllOfGroup>) -> Result<Answer, Refusal> {
    let restored = api.key_pools.restore_all_invalid(of.existing(&api).await?).await?;
    Ok(Answer::saying(("success.keys_restored", [("count", restored.to_string())])))
}
