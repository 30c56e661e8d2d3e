//! GET /api/groups/{id}/parent-aggregate-groups: which aggregate groups a group is a member of.

use serde::Serialize;

use super::Api;
use crate::{
    api::{answer::Answer, path::GroupInPath, refusal::Refusal},
    group::{GroupId, members},
};

#[derive(Serialize)]
struct Parent<'a> {
    group_id: GroupId,
    name: &'a str,
    display_name: &'a str,
    weight: i64,
}

pub(in crate::api) async fn parents(api: Api, GroupInPath(id): GroupInPath) -> Result<Answer, Refusal> {
    let parents = members::parents(&api.database, id).await?;
    let shown = parents.iter().map(|parent| Parent {
        group_id: parent.group.id,
        name: &parent.group.name,
        display_name: &parent.group.display_name,
        weight: parent.weight,
    });
    Answer::with(&shown.collect::<Vec<_>>())
}
