//! DELETE /api/groups/{id}: a group goes with its keys and its memberships; its log stays.

use super::Api;
use crate::api::{answer::Answer, path::GroupInPath, refusal::Refusal};

pub(in crate::api) async fn delete(api: Api, GroupInPath(id): GroupInPath) -> Result<Answer, Refusal> {
    // It would find nothing more to do, and what it adds meanwhile would have to be deleted, too.
    if !api.tasks.end_of(id).await {
        tracing::warn!("The task of group {id} takes long to stop; the group is deleted nevertheless");
    }
    api.key_pools.delete_group(id).await?;
    api.put_into_effect().await?;
    Ok(Answer::saying("success.group_deleted"))
}
