//! GET /api/tasks/status: one task, as the original shows the only one that it knows.

use serde::Serialize;

use super::{Api, Shown};
use crate::api::{
    answer::{Answer, NEVER},
    refusal::Refusal,
};

/// When there is nothing to show.
#[derive(Serialize)]
struct Idle {
    task_type: &'static str,
    is_running: bool,
    processed: u64,
    total: u64,
    started_at: &'static str,
}

pub(in crate::api) async fn status(api: Api) -> Result<Answer, Refusal> {
    match api.tasks.status() {
        Some(task) => Answer::with(&Shown::of(&task)),
        None => Answer::with(&Idle { task_type: "", is_running: false, processed: 0, total: 0, started_at: NEVER }),
    }
}
