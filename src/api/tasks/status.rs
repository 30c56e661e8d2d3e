//! GET /api/tasks/status: one task, as the original shows the only one that it knows.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Shown};
use crate::api::{
    answer::{Answer, NEVER},
    document,
    refusal::Refusal,
};

/// When there is nothing to show.
#[derive(Serialize, ToSchema)]
#[schema(as = NoTask)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Idle {
    task_type: &'static str,
    is_running: bool,
    processed: u64,
    total: u64,
    started_at: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LatestTask)]
#[serde(untagged)]
pub(in crate::api) enum Latest<'a> {
    Task(Shown<'a>),
    None(Idle),
}

impl document::Shown for Latest<'_> {}

pub(in crate::api) async fn status(api: Api) -> Result<Answer<Latest<'static>>, Refusal> {
    match api.tasks.status().await? {
        Some(task) => Answer::with(&Latest::Task(Shown::of(&task))),
        None => {
            let idle = Idle { task_type: "", is_running: false, processed: 0, total: 0, started_at: NEVER };
            Answer::with(&Latest::None(idle))
        }
    }
}
