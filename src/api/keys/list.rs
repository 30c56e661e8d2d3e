//! GET /api/keys: the keys of a group, page by page, those used last first, or in another order that is asked for.

use super::{
    Api,
    shown::{Listed, is_masked},
};
use crate::{
    api::{
        answer::Answer,
        document::{
            Shape,
            shape::{flag, id, like, one_of, text},
        },
        page::{Page, Paged},
        query::{Parameters, Query, read},
        refusal::Refusal,
    },
    crypto::Secret,
    group::{self, GroupId},
    keypool::{ListFilter, Sort, SortBy, StateFilter},
};

/// What the original's export calls no filter.
const ALL: &str = "all";
/// As many as a page may hold.
const IDS_MAX: usize = 1_000;
const ASCENDING: &str = "asc";
const DESCENDING: &str = "desc";

pub(in crate::api) struct Filter;

impl Parameters for Filter {
    fn shape() -> Shape {
        Shape::default()
            .needed("group_id", id(), "Whose keys")
            .optional("status", one_of(&statuses()), "Only those; all unless given. Resting keys are active ones")
            .optional("key_value", text(), "The key with exactly this text")
            .optional("search", text(), "Contained in a key or its notes")
            .optional("ids", like(text(), "1,2,3"), "Only the keys with these ids, 1000 at most")
            .optional("masked", flag(), "Whether keys are shown by their ends only; false unless given")
            .optional(
                "sort",
                one_of(&SortBy::ALL.map(SortBy::name)),
                "By what they are ordered; when they were used last unless given",
            )
            .optional("order", one_of(&[ASCENDING, DESCENDING]), "Descending unless given")
    }
}

pub(in crate::api) async fn list(
    api: Api,
    page: Page,
    query: Query<Filter>,
) -> Result<Answer<Paged<Listed<'static>>>, Refusal> {
    let group_id = group_id(&query)?;
    group::queries::find(api.database.readers(), group_id).await?;
    let filter = ListFilter {
        state: state(&query)?,
        text: query.first("key_value").map(Secret::new),
        part: query.first("search").map(Secret::new),
        ids: read(&query, "ids", IDS_WANTED, parse_ids)?,
        sort: sort(&query)?,
        ..ListFilter::of(group_id)
    };
    let is_masked = is_masked(&query)?.unwrap_or_default();
    let (keys, total) = api.key_pools.list(&filter, page.offset(), page.size).await?;
    Answer::with(&page.of_items(keys.iter().map(|key| Listed::of(key, is_masked)).collect(), total))
}

pub(super) fn group_id<P>(query: &Query<P>) -> Result<GroupId, Refusal> {
    let text = query.first("group_id").ok_or_else(|| Refusal::bad_request("validation.group_id_required"))?;
    let id = text.parse().ok().filter(|&id| id > 0);
    id.ok_or_else(|| Refusal::bad_request("validation.invalid_group_id_format"))
}

const IDS_WANTED: &str = "up to 1000 ids, separated by commas,";

fn parse_ids(text: &str) -> Option<Vec<i64>> {
    let ids: Vec<i64> = text.split(',').map(|id| id.trim().parse().ok()).collect::<Option<_>>()?;
    (ids.len() <= IDS_MAX).then_some(ids)
}

fn statuses() -> Vec<&'static str> {
    StateFilter::NAMES.into_iter().chain([ALL]).collect()
}

fn state<P>(query: &Query<P>) -> Result<Option<StateFilter>, Refusal> {
    let Some(name) = query.first("status").filter(|name| *name != ALL) else { return Ok(None) };
    parse_state(name).map(Some)
}

pub(super) fn parse_state(name: &str) -> Result<StateFilter, Refusal> {
    StateFilter::parse(name).ok_or_else(|| Refusal::invalid("validation.invalid_status_filter"))
}

fn sort(query: &Query<Filter>) -> Result<Sort, Refusal> {
    let one_of = |field: &str, values: String| {
        Refusal::invalid(("validation.not_one_of", [("field", field.to_owned()), ("values", values)]))
    };
    let by = match query.first("sort") {
        None => SortBy::LastUsedAt,
        Some(name) => SortBy::parse(name).ok_or_else(|| one_of("sort", SortBy::ALL.map(SortBy::name).join(", ")))?,
    };
    match query.first("order") {
        None | Some(DESCENDING) => Ok(Sort { by, is_descending: true }),
        Some(ASCENDING) => Ok(Sort { by, is_descending: false }),
        Some(_) => Err(one_of("order", [ASCENDING, DESCENDING].join(", "))),
    }
}
