//! DELETE /api/groups/{id}: a group goes with its keys and its memberships; its log stays.

use super::Api;
use crate::{
    api::{answer::Answer, path::GroupInPath, refusal::Refusal},
    group,
};

pub(in crate::api) async fn delete(api: Api, GroupInPath(id): GroupInPath) -> Result<Answer, Refusal> {
    group::delete(&api.database, id).await?;
    api.put_into_effect().await?;
    api.key_pools.forget(id);
    Ok(Answer::saying("success.group_deleted"))
}
