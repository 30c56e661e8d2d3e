//! POST /api/keys/{id}/test: tests one key with a real request, and acts on what the upstream says.

use std::{sync::Arc, time::Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, serving, shown::Listed};
use crate::{
    api::{answer::Answer, document::Shown, path::KeyInPath, refusal::Refusal},
    group::{self, Key},
};

#[derive(Serialize, ToSchema)]
#[schema(as = OneKeyTested)]
pub(in crate::api) struct Outcome<'a> {
    is_valid: bool,
    /// What the upstream said, or why it could not be asked.
    #[schema(required)]
    error: Option<&'a str>,
    /// Of an answer that was no success.
    #[schema(required)]
    status_code: Option<u16>,
    duration_ms: u64,
    /// As it is after the test.
    key: Listed<'a>,
}

impl Shown for Outcome<'_> {}

pub(in crate::api) async fn test_one(api: Api, KeyInPath(id): KeyInPath) -> Result<Answer<Outcome<'static>>, Refusal> {
    api.key_pools.check_writable()?;
    let before = api.key_pools.find(id).await?;
    let stored = group::queries::find(api.database.readers(), before.group_id).await?;
    let group = serving(&api, &stored)?;
    let secret = before.secret.ok_or_else(Refusal::key_unreadable)?;
    let begin = Instant::now();
    let tested = api.validator.test_one(&group, Arc::new(Key { id, group_id: group.id, secret })).await?;
    let duration_ms = begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    let after = api.key_pools.find(id).await?;
    let error = tested.failure.as_ref().map(ToString::to_string);
    Answer::with(&Outcome {
        is_valid: tested.is_valid(),
        error: error.as_deref(),
        status_code: tested.failure.as_ref().and_then(|failure| failure.status_code),
        duration_ms,
        key: Listed::of(&after, true).in_group(&stored.name),
    })
}
