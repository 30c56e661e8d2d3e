//! PUT /api/groups/reorder: gives several groups their positions, all of them or none.

use super::Api;
use crate::{
    api::{
        answer::Answer,
        body::{Body, Fields, FromFields, Misread},
        document::{
            Shape,
            shape::{id, integer, some_of},
        },
        refusal::Refusal,
    },
    group::{self, GroupId},
};

pub(in crate::api) struct Order(Vec<Position>);

struct Position {
    id: GroupId,
    sort: i64,
}

impl FromFields for Order {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self(fields.list("items")?.unwrap_or_default()))
    }

    fn shape() -> Shape {
        Shape::default().needed("items", some_of::<Position>(), "At least one group, each once")
    }
}

impl FromFields for Position {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { id: fields.id("id")?, sort: fields.integer("sort")?.unwrap_or_default() })
    }

    fn shape() -> Shape {
        Shape::default().needed("id", id(), "The group").optional(
            "sort",
            integer(0, i64::MAX),
            "Its place, lowest first; 0 unless given",
        )
    }
}

pub(in crate::api) async fn reorder(api: Api, Body(Order(wanted)): Body<Order>) -> Result<Answer, Refusal> {
    let positions: Vec<_> = wanted.into_iter().map(|Position { id, sort }| (id, sort)).collect();
    group::reorder(&api.database, &positions).await?;
    api.put_into_effect().await?;
    Ok(Answer::saying("success.groups_reordered"))
}
