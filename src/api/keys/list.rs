//! GET /api/keys: the keys of a group, page by page, those used last first, or in another order that is asked for.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{
        answer::{self, Answer, UNREADABLE_KEY},
        document::{
            Shape, Shown,
            shape::{id, one_of, text},
        },
        page::{Page, Paged},
        query::{Parameters, Query},
        refusal::Refusal,
    },
    crypto::Secret,
    db::Timestamp,
    group::{self, GroupId},
    keypool::{KeyStatus, ListFilter, Sort, SortBy, StoredKey},
};

pub(super) const STATUSES: [&str; 3] = [KeyStatus::Active.name(), KeyStatus::Invalid.name(), "all"];
const ASCENDING: &str = "asc";
const DESCENDING: &str = "desc";

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(in crate::api) struct Listed<'a> {
    id: i64,
    /// In clear; `failed-to-decrypt` where the present `ENCRYPTION_KEY` is not the one it was stored with.
    key_value: &'a str,
    key_hash: &'a str,
    group_id: GroupId,
    /// `active` or `invalid`.
    status: &'a str,
    notes: &'a str,
    request_count: i64,
    failure_count: i64,
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl Shown for Listed<'_> {}

impl<'a> Listed<'a> {
    fn of(key: &'a StoredKey) -> Self {
        Self {
            id: key.id,
            // The one place that shows keys in clear: their owner manages them here.
            key_value: key.secret.as_ref().map_or(UNREADABLE_KEY, Secret::expose),
            key_hash: &key.hash,
            group_id: key.group_id,
            status: &key.status,
            notes: &key.notes,
            request_count: key.request_count,
            failure_count: key.failure_count,
            last_used_at: key.last_used_at,
            created_at: answer::time(key.created_at),
            updated_at: answer::time(key.updated_at),
        }
    }
}

pub(in crate::api) struct Filter;

impl Parameters for Filter {
    fn shape() -> Shape {
        Shape::default()
            .needed("group_id", id(), "Whose keys")
            .optional("status", one_of(&STATUSES), "Only those; all unless given")
            .optional("key_value", text(), "The key with exactly this text")
            .optional("search", text(), "Contained in a key or its notes")
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
        status: status(&query)?,
        text: query.first("key_value").map(Secret::new),
        part: query.first("search").map(Secret::new),
        sort: sort(&query)?,
        ..ListFilter::of(group_id)
    };
    let (keys, total) = api.key_pools.list(&filter, page.offset(), page.size).await?;
    Answer::with(&page.of_items(keys.iter().map(Listed::of).collect(), total))
}

pub(super) fn group_id<P>(query: &Query<P>) -> Result<GroupId, Refusal> {
    let text = query.first("group_id").ok_or_else(|| Refusal::bad_request("validation.group_id_required"))?;
    let id = text.parse().ok().filter(|&id| id > 0);
    id.ok_or_else(|| Refusal::bad_request("validation.invalid_group_id_format"))
}

/// `all` is what the export calls no filter.
pub(super) fn status<P>(query: &Query<P>) -> Result<Option<KeyStatus>, Refusal> {
    match query.first("status") {
        None | Some("all") => Ok(None),
        Some(name) => {
            KeyStatus::parse(name).map(Some).ok_or_else(|| Refusal::invalid("validation.invalid_status_filter"))
        }
    }
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
