//! GET /api/logs/{id}: one entry of the request log, whole.

use super::{Api, Entry, MASKED};
use crate::{
    api::{
        answer::Answer,
        document::{Shape, shape::flag},
        path::LogEntryInPath,
        query::{Parameters, Query, parse_flag, read},
        refusal::Refusal,
    },
    request_log::Bodies,
};

pub(in crate::api) struct WantedEntry;

impl Parameters for WantedEntry {
    fn shape() -> Shape {
        Shape::default().optional("masked", flag(), MASKED)
    }
}

pub(in crate::api) async fn entry(
    api: Api,
    LogEntryInPath(id): LogEntryInPath,
    query: Query<WantedEntry>,
) -> Result<Answer<Entry<'static>>, Refusal> {
    let is_masked = read(&query, "masked", "true or false", parse_flag)?.unwrap_or_default();
    Answer::with(&Entry::with(&api.log_search.entry(id).await?, Bodies::Shown, is_masked))
}
