//! GET /api/tasks: running and past tasks, newest first, of all groups or of one.

use super::{Api, Shown};
use crate::api::{answer::Answer, page::Page, query::Query, refusal::Refusal};

pub(in crate::api) async fn list(api: Api, page: Page, query: Query) -> Result<Answer, Refusal> {
    let group_id = match query.first("group_id") {
        None => None,
        Some(text) => {
            let id = text.parse().ok().filter(|&id: &i64| id > 0);
            Some(id.ok_or_else(|| Refusal::bad_request("validation.invalid_group_id_format"))?)
        }
    };
    let (tasks, total) = api.tasks.list(group_id, page.offset(), page.size).await?;
    Answer::with(&page.of_items(tasks.iter().map(Shown::of).collect(), total))
}
