//! POST /api/tasks/{id}/cancel: a running task stops at its next occasion, and keeps what it has done.

use super::{Api, Shown};
use crate::api::{answer::Answer, path::TaskInPath, refusal::Refusal};

pub(in crate::api) async fn cancel(api: Api, TaskInPath(id): TaskInPath) -> Result<Answer<Shown<'static>>, Refusal> {
    Answer::with(&Shown::of(&api.tasks.cancel(id).await?))
}
