//! GET /api/tasks: running and past tasks, newest first, of all groups or of one.

use super::{Api, Shown};
use crate::api::{
    answer::Answer,
    document::{Shape, shape::id},
    page::{Page, Paged},
    query::{Parameters, Query},
    refusal::Refusal,
};

pub(in crate::api) struct Filter;

impl Parameters for Filter {
    fn shape() -> Shape {
        Shape::default().optional("group_id", id(), "Only tasks of this group")
    }
}

pub(in crate::api) async fn list(
    api: Api,
    page: Page,
    query: Query<Filter>,
) -> Result<Answer<Paged<Shown<'static>>>, Refusal> {
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
