//! DELETE /api/groups/{id}: a group goes with its keys and its memberships; its log stays.

use super::Api;
use crate::api::{answer::Answer, path::GroupInPath, refusal::Refusal};

pub(in crate::api) async fn delete(api: Api, GroupInPath(id): GroupInPath) -> Result<Answer, Refusal> {
    api.key_pools.delete_group(id).await?;
    // It would find nothing more to do.
    api.tasks.cancel_of(id);
    api.put_into_effect().await?;
    Ok(Answer::saying("success.group_deleted"))
}
