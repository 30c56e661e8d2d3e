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
    keypool::{KeyState, LastFailure, StoredKey},
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
    /// As it is stored: `active`, `invalid` or `disabled`.
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
    /// As it is now, on this node: `active`, `resting` (it waits out a limit), `invalid`, `disabled` (by hand), or
    /// `unreadable` (active, but it cannot be decrypted, or no request can carry it).
    state: &'static str,
    /// As far as this node knows.
    #[schema(required)]
    resting_until: Option<Timestamp>,
    /// Since when it is invalid or disabled; `null`: it is not, or nobody knows, as where the original took it out.
    #[schema(required)]
    out_since: Option<Timestamp>,
    /// What made it invalid; `null`: it is not, or nobody knows.
    #[schema(required)]
    out_reason: Option<Reason<'a>>,
    /// What went wrong with it last, whatever its state is now.
    #[schema(required)]
    last_failure: Option<Reason<'a>>,
    /// Where one key was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group_name: Option<&'a str>,
}

/// What an upstream said about a key, or why nothing came from it.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyFailure)]
pub(super) struct Reason<'a> {
    /// `null`: there was no answer.
    #[schema(required)]
    status_code: Option<u16>,
    message: &'a str,
    at: Timestamp,
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
            state: key.state.name(),
            resting_until: key.resting_until,
            out_since: key.out_since,
            out_reason: out_reason(key),
            last_failure: key.last_failure.as_ref().map(Reason::of),
            group_name: None,
        }
    }

    pub(super) fn in_group(self, name: &'a str) -> Self {
        Self { group_name: Some(name), ..self }
    }
}

/// What made a key invalid. Without a time it was the original that took it out.
pub(super) fn out_reason(key: &StoredKey) -> Option<Reason<'_>> {
    let is_known = key.state == KeyState::Invalid && key.out_since.is_some();
    key.last_failure.as_ref().filter(|_| is_known).map(Reason::of)
}

impl<'a> Reason<'a> {
    fn of(LastFailure { failure, at }: &'a LastFailure) -> Self {
        Self { status_code: failure.status_code, message: &failure.message, at: *at }
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
