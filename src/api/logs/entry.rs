//! GET /api/logs/{id}: one entry of the request log, whole.

use super::{Api, Entry};
use crate::api::{answer::Answer, path::LogEntryInPath, refusal::Refusal};

pub(in crate::api) async fn entry(
    api: Api,
    LogEntryInPath(id): LogEntryInPath,
) -> Result<Answer<Entry<'static>>, Refusal> {
    Answer::with(&Entry::of(&api.log_search.entry(id).await?, false))
}
