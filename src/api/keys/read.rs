//! GET /api/keys/{id}: one key, masked unless it is asked for in clear.

use super::{
    Api,
    shown::{Listed, is_masked},
};
use crate::{
    api::{
        answer::Answer,
        document::{Shape, shape::flag},
        path::KeyInPath,
        query::{Parameters, Query},
        refusal::Refusal,
    },
    group,
};

pub(in crate::api) struct Wanted;

impl Parameters for Wanted {
    fn shape() -> Shape {
        Shape::default().optional("masked", flag(), "Whether the key is shown by its ends only; true unless given")
    }
}

pub(in crate::api) async fn read(
    api: Api,
    KeyInPath(id): KeyInPath,
    query: Query<Wanted>,
) -> Result<Answer<Listed<'static>>, Refusal> {
    let is_masked = is_masked(&query)?.unwrap_or(true);
    let key = api.key_pools.find(id).await?;
    let group = group::queries::find(api.database.readers(), key.group_id).await?;
    Answer::with(&Listed::of(&key, is_masked).in_group(&group.name))
}
