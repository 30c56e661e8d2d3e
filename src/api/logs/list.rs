//! GET /api/logs: entries of the request log that match, newest first; by page number, or by cursor.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Entry, MASKED, Wanted, filter};
use crate::{
    api::{
        answer::Answer,
        document::{
            Shape, Shown,
            shape::{flag, text},
        },
        page::Page,
        query::{Parameters, Query, parse_flag, read},
        refusal::Refusal,
    },
    request_log::{Bodies, Found, Start},
};

/// What a search by cursor begins with.
const NEWEST: &str = "newest";

#[derive(Serialize, ToSchema)]
#[schema(as = LogPage)]
pub(in crate::api) struct Listed<'a> {
    items: Vec<Entry<'a>>,
    pagination: Pagination,
}

impl Shown for Listed<'_> {}

/// With a number, a page has all members but perhaps the last; with a cursor, it has size and cursor only.
#[derive(Serialize, ToSchema)]
#[schema(as = LogPagination)]
struct Pagination {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    page: Option<u64>,
    page_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total_items: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total_pages: Option<u64>,
    /// False: there are more than could be counted in the time of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total_is_exact: Option<bool>,
    /// What `cursor` continues with; `null`: that was all. By cursor, a page may be short, or empty, and still go on:
    /// nothing was found in the time of one step.
    #[schema(required)]
    next_cursor: Option<String>,
}

pub(in crate::api) struct Search;

impl Parameters for Search {
    fn shape() -> Shape {
        let cursor = "`newest`, or the `next_cursor` of the page before; it takes the place of `page`";
        Wanted::shape()
            .optional("cursor", text(), cursor)
            .optional("bodies", flag(), "`false`: entries come without `request_body`, which may be long")
            .optional("masked", flag(), MASKED)
    }
}

pub(in crate::api) async fn list(
    api: Api,
    page: Page,
    query: Query<Search>,
) -> Result<Answer<Listed<'static>>, Refusal> {
    let filter = filter(&query)?;
    let is_masked = read(&query, "masked", "true or false", parse_flag)?.unwrap_or_default();
    let start = match query.first("cursor") {
        None => Start::Offset(page.offset()),
        Some(NEWEST) => Start::Below(None),
        Some(text) => Start::Below(Some(api.log_search.cursor(text).ok_or_else(wrong_cursor)?)),
    };
    let bodies = match read(&query, "bodies", "true or false", parse_flag)? {
        Some(false) => Bodies::LeftOut,
        _ => Bodies::Shown,
    };
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let Found { entries, total, next } = api.log_search.page(&filter, start, size, bodies).await?;
    Answer::with(&Listed {
        items: entries.iter().map(|entry| Entry::with(entry, bodies, is_masked)).collect(),
        pagination: Pagination {
            page: total.map(|_| page.number),
            page_size: page.size,
            total_items: total.map(|total| total.count),
            total_pages: total.map(|total| total.count.div_ceil(page.size)),
            total_is_exact: total.map(|total| total.is_exact),
            next_cursor: next.map(|cursor| cursor.to_string()),
        },
    })
}

fn wrong_cursor() -> Refusal {
    let wanted = "newest, or the next_cursor of the page before".to_owned();
    Refusal::bad_request(("validation.invalid_parameter", [("field", "cursor".to_owned()), ("wanted", wanted)]))
}
