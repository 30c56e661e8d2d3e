//! POST /api/groups/{id}/sub-groups: makes standard groups members of an aggregate group.

use super::Api;
use crate::{
    api::{
        answer::Answer,
        body::{Body, Fields, FromFields, Misread},
        document::{
            Shape,
            shape::{id, integer, some_of},
        },
        path::GroupInPath,
        refusal::Refusal,
    },
    group::members::{self, NewMember},
};

pub(in crate::api) struct Wanted(Vec<NewMember>);

impl FromFields for Wanted {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self(fields.list("sub_groups")?.unwrap_or_default()))
    }

    fn shape() -> Shape {
        Shape::default().needed("sub_groups", some_of::<NewMember>(), "At least one member, each once")
    }
}

impl FromFields for NewMember {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { group_id: fields.id("group_id")?, weight: fields.integer("weight")?.unwrap_or_default() })
    }

    fn shape() -> Shape {
        Shape::default().needed("group_id", id(), "A standard group of the same channel type").optional(
            "weight",
            integer(0, members::WEIGHT_MAX),
            "Its share of requests; 0, which rests it, unless given",
        )
    }
}

pub(in crate::api) async fn add(
    api: Api,
    GroupInPath(id): GroupInPath,
    Body(Wanted(wanted)): Body<Wanted>,
) -> Result<Answer, Refusal> {
    members::add(&api.database, id, &wanted).await?;
    api.put_into_effect().await?;
    Ok(Answer::saying("success.sub_groups_added"))
}
