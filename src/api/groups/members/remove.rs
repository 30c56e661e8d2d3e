//! DELETE /api/groups/{id}/sub-groups/{sub_group_id}: takes a member out of an aggregate group.

use super::Api;
use crate::{
    api::{
        answer::Answer,
        path::{GroupInPath, SubGroupInPath},
        refusal::Refusal,
    },
    group::members,
};

pub(in crate::api) async fn remove(
    api: Api,
    GroupInPath(id): GroupInPath,
    SubGroupInPath(member_id): SubGroupInPath,
) -> Result<Answer, Refusal> {
    members::remove(&api.database, id, member_id).await?;
    api.put_into_effect().await?;
    Ok(Answer::saying("success.sub_group_deleted"))
}
