//! POST /api/keys/import-preview: says what an import would do, and changes nothing.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, parse_many, upload::KeysToPreview};
use crate::{
    api::{answer::Answer, document::Shown, refusal::Refusal},
    group,
};

#[derive(Serialize, ToSchema)]
#[schema(as = ImportPreview)]
pub(in crate::api) struct Preview {
    /// Keys in the text, repeated ones included.
    found: usize,
    /// Those that would be added.
    new: usize,
    duplicate_in_input: usize,
    /// 0 where no group is named.
    already_in_group: usize,
    /// No request can carry such a key.
    unsendable: usize,
    /// The first 200 of those that would be left out.
    ignored: Vec<Ignored>,
    /// The ends of the first new ones.
    sample: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = IgnoredKey)]
struct Ignored {
    /// Among the keys of the text, from 1.
    position: usize,
    masked: String,
    /// `duplicate_in_input`, `already_in_group` or `unsendable`.
    reason: &'static str,
}

impl Shown for Preview {}

pub(in crate::api) async fn preview(
    api: Api,
    KeysToPreview { group_id, keys_text, place }: KeysToPreview,
) -> Result<Answer<Preview>, Refusal> {
    if let Some(id) = group_id
        && group::queries::find(api.database.readers(), id).await?.is_aggregate()
    {
        return Err(Refusal::invalid("validation.keys_of_aggregate"));
    }
    if keys_text.trim().is_empty() {
        return Err(Refusal::invalid("validation.keys_text_empty"));
    }
    let keys = parse_many(keys_text).await?;
    drop(place);
    let found = api.key_pools.preview_import(group_id, &keys).await?;
    let ignored = |(position, masked, reason): (usize, String, crate::keypool::Ignored)| Ignored {
        position,
        masked,
        reason: reason.name(),
    };
    Answer::with(&Preview {
        found: found.found,
        new: found.fresh,
        duplicate_in_input: found.duplicate_in_input,
        already_in_group: found.already_in_group,
        unsendable: found.unsendable,
        ignored: found.ignored.into_iter().map(ignored).collect(),
        sample: found.sample,
    })
}
