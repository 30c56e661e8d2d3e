//! POST /api/keys/clear-all-invalid and /clear-all: deletes the invalid keys of a group, or all of them.

use super::{AllOfGroup, Api};
use crate::api::{answer::Answer, body::Body, refusal::Refusal};

pub(in crate::api) async fn clear_all_invalid(api: Api, Body(of): Body<AllOfGroup>) -> Result<Answer, Refusal> {
    let deleted = api.key_pools.clear_invalid(of.existing(&api).await?).await?;
    Ok(Answer::saying(("success.invalid_keys_cleared", [("count", deleted.to_string())])))
}

pub(in crate::api) async fn clear_all(api: Api, Body(of): Body<AllOfGroup>) -> Result<Answer, Refusal> {
    let deleted = api.key_pools.clear_all(of.existing(&api).await?).await?;
    Ok(Answer::saying(("success.all_keys_cleared", [("count", deleted.to_string())])))
}
