//! GET /api/groups/list: ids and names of all groups, oldest first.

use super::{Api, shown::Raw};
use crate::{
    api::{answer::Answer, refusal::Refusal},
    group,
};

pub(in crate::api) async fn list_brief(api: Api) -> Result<Answer<Vec<Raw<'static>>>, Refusal> {
    let mut groups = group::queries::all(api.database.readers()).await?;
    groups.sort_unstable_by_key(|group| group.id);
    Answer::with(&groups.iter().map(Raw::with_names_only).collect::<Vec<_>>())
}
