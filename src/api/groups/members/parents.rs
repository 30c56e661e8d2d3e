//! GET /api/groups/{id}/parent-aggregate-groups: which aggregate groups a group is a member of.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{answer::Answer, document::Shown, path::GroupInPath, refusal::Refusal},
    group::{GroupId, members},
};

#[derive(Serialize, ToSchema)]
#[schema(as = ParentGroup)]
pub(in crate::api) struct Parent<'a> {
    group_id: GroupId,
    name: &'a str,
    display_name: &'a str,
    /// The share of requests that the group takes there.
    weight: i64,
}

impl Shown for Parent<'_> {}

pub(in crate::api) async fn parents(
    api: Api,
    GroupInPath(id): GroupInPath,
) -> Result<Answer<Vec<Parent<'static>>>, Refusal> {
    let parents = members::parents(&api.database, id).await?;
    let shown = parents.iter().map(|parent| Parent {
        group_id: parent.group.id,
        name: &parent.group.name,
        display_name: &parent.group.display_name,
        weight: parent.weight,
    });
    Answer::with(&shown.collect::<Vec<_>>())
}
