//! GET /api/tasks/{id}: one task, running or past.

use super::{Api, Shown};
use crate::api::{answer::Answer, path::TaskInPath, refusal::Refusal};

pub(in crate::api) async fn read(api: Api, TaskInPath(id): TaskInPath) -> Result<Answer<Shown<'static>>, Refusal> {
    Answer::with(&Shown::of(&api.tasks.find(id).await?))
}
