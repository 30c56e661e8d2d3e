//! PUT /api/groups/{id}: changes what is given about a group and leaves the rest.

use super::{Api, app_url, shown::Shown};
use crate::{
    api::{answer::Answer, body::Body, path::GroupInPath, refusal::Refusal},
    group::{self, GroupPatch},
};

pub(in crate::api) async fn update(
    api: Api,
    GroupInPath(id): GroupInPath,
    Body(wanted): Body<GroupPatch>,
) -> Result<Answer<Shown<'static>>, Refusal> {
    let group = group::update(&api.database, id, wanted).await?;
    api.put_into_effect().await?;
    Answer::with(&Shown::of(&group, &app_url(&api)))
}
