//! How a key is shown, in a list and alone.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        answer::{self, UNREADABLE_KEY},
        document::Shown,
        query::{Query, parse_flag, read},
        refusal::Refusal,
    },
    crypto::Secret,
    db::Timestamp,
    group::GroupId,
    keypool::StoredKey,
};

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(in crate::api) struct Listed<'a> {
    id: i64,
    /// In clear, or masked where that was asked for; `failed-to-decrypt` where the present `ENCRYPTION_KEY` is not the one
    /// it was stored with.
    key_value: Cow<'a, str>,
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
    /// Where one key was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group_name: Option<&'a str>,
}

impl Shown for Listed<'_> {}

impl<'a> Listed<'a> {
    pub(super) fn of(key: &'a StoredKey, is_masked: bool) -> Self {
        Self {
            id: key.id,
            key_value: text(key.secret.as_ref(), is_masked),
            key_hash: &key.hash,
            group_id: key.group_id,
            status: &key.status,
            notes: &key.notes,
            request_count: key.request_count,
            failure_count: key.failure_count,
            last_used_at: key.last_used_at,
            created_at: answer::time(key.created_at),
            updated_at: answer::time(key.updated_at),
            group_name: None,
        }
    }

    pub(super) fn in_group(self, name: &'a str) -> Self {
        Self { group_name: Some(name), ..self }
    }
}

fn text(secret: Option<&Secret>, is_masked: bool) -> Cow<'_, str> {
    match secret {
        None => UNREADABLE_KEY.into(),
        Some(secret) if is_masked => secret.masked().into(),
        // The one place that shows keys in clear: their owner manages them here.
        Some(secret) => secret.expose().into(),
    }
}

/// `masked=true`: keys are shown by their ends only. `None`: nothing is said about it.
pub(super) fn is_masked<P>(query: &Query<P>) -> Result<Option<bool>, Refusal> {
    read(query, "masked", "true or false", parse_flag)
}
