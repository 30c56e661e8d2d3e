//! PUT /api/groups/{id}/sub-groups/{sub_group_id}/weight: how large a share of requests a member takes; 0 rests it.

use super::Api;
use crate::{
    api::{
        answer::Answer,
        body::{Body, Fields, FromFields, Misread},
        document::{Shape, shape::integer},
        path::{GroupInPath, SubGroupInPath},
        refusal::Refusal,
    },
    group::members,
};

pub(in crate::api) struct Weight(i64);

impl FromFields for Weight {
    /// A forgotten weight must not silence a member.
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        fields.integer("weight")?.map(Self).ok_or_else(|| Misread::of("weight", "is required"))
    }

    fn shape() -> Shape {
        Shape::default().needed("weight", integer(0, members::WEIGHT_MAX), "Its share of requests; 0 rests it")
    }
}

pub(in crate::api) async fn set_weight(
    api: Api,
    GroupInPath(id): GroupInPath,
    SubGroupInPath(member_id): SubGroupInPath,
    Body(Weight(weight)): Body<Weight>,
) -> Result<Answer, Refusal> {
    members::set_weight(&api.database, id, member_id, weight).await?;
    api.put_into_effect().await?;
    Ok(Answer::saying("success.sub_group_weight_updated"))
}
