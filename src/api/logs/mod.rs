//! The request log: its filters as they are asked for, and how an entry is shown.

mod entries_export;
mod entry;
mod export;
mod list;
mod live;
mod summary;
mod values;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, answer,
    document::{
        Shape, Shown,
        shape::{self, flag, id, integer, one_of, text_up_to, time},
    },
    query::{Parameters, Query, parse_flag, read},
    refusal::Refusal,
};
use crate::{
    crypto::Secret,
    group::GroupId,
    request_log::{Bodies, Filter, LoggedEntry, LoggedKey, SearchError, Verdict},
};

pub(super) use self::{
    entries_export::export_entries,
    entry::entry,
    export::export,
    list::list,
    live::{LastEventId, live},
    summary::summary,
    values::values,
};

/// No column of the log that is searched holds more.
const FILTER_CHARACTERS_MAX: usize = 500;

/// Which entries are meant.
pub(super) struct Wanted;

impl Parameters for Wanted {
    fn shape() -> Shape {
        let text = || text_up_to(FILTER_CHARACTERS_MAX);
        let status = integer(i64::MIN, i64::MAX);
        Shape::default()
            .optional("parent_group_name", text(), "Contained in the name of the aggregate group that was asked")
            .optional("group_name", text(), "Contained in the name of the group that served")
            .optional("group_id", id(), "The group that served, or the aggregate group that was asked")
            .optional("key_value", shape::text(), "The key with exactly this text")
            .optional("model", text(), "Contained in the model's name")
            .optional("is_success", flag(), "How it went")
            .optional("request_type", text(), "`final`, or `retry`")
            .optional("status_code", status, "Exactly this status")
            .optional("source_ip", text(), "Exactly this address of the client")
            .optional("upstream_addr", text(), "Contained in the address of the upstream")
            .optional("error_contains", text(), "Contained in the error")
            .optional("start_time", time(), "Not before")
            .optional("end_time", time(), "Not after")
            .optional("request_id", text(), "All tries of this request")
            .optional("client_key", text(), "The label of the proxy key that asked")
            .optional("key_hash", text(), "The `key_hash` of the entries of a key")
            .optional("verdict", one_of(&Verdict::ALL.map(Verdict::name)), "Whose fault it was")
    }
}

/// What a query asks for. The original passes over what it cannot read, and then shows entries that were not asked for.
fn filter<P>(query: &Query<P>) -> Result<Filter, Refusal> {
    Ok(Filter {
        parent_group_name: text(query, "parent_group_name")?,
        group_name: text(query, "group_name")?,
        group_id: read(query, "group_id", "a positive integer", |text| {
            text.parse().ok().filter(|&id: &GroupId| id > 0)
        })?,
        // Compared as a digest, so it may be as long as a key: a URL holds no more.
        key: query.first("key_value").map(Secret::new),
        model: text(query, "model")?,
        is_success: read(query, "is_success", "true or false", parse_flag)?,
        request_type: text(query, "request_type")?,
        status_code: read(query, "status_code", "an integer", |text| text.parse().ok())?,
        source_ip: text(query, "source_ip")?,
        upstream_addr: text(query, "upstream_addr")?,
        error_contains: text(query, "error_contains")?,
        start_time: read(query, "start_time", TIME, parse_time)?,
        end_time: read(query, "end_time", TIME, parse_time)?,
        request_id: text(query, "request_id")?,
        client_key: text(query, "client_key")?,
        key_hash: text(query, "key_hash")?,
        verdict: read(query, "verdict", &format!("one of {}", Verdict::ALL.map(Verdict::name).join(", ")), verdict)?,
    })
}

const TIME: &str = "a time such as 2026-11-25T10:00:00.000Z";

fn text<P>(query: &Query<P>, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(text) = query.first(name) else { return Ok(None) };
    if text.chars().count() > FILTER_CHARACTERS_MAX {
        let values = [("field", name.to_owned()), ("max", FILTER_CHARACTERS_MAX.to_string())];
        return Err(Refusal::bad_request(("validation.text_too_long", values)));
    }
    // For SQLite a text ends there.
    if text.contains('\0') {
        let values = [("field", name.to_owned()), ("wanted", "a text without the character U+0000".to_owned())];
        return Err(Refusal::bad_request(("validation.invalid_parameter", values)));
    }
    Ok(Some(text.to_owned()))
}

/// RFC 3339. A `+` that was not percent-encoded arrives as a space.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok()?;
    Some(time.to_utc())
}

fn verdict(text: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|verdict| verdict.name() == text)
}

impl From<SearchError> for Refusal {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Database(error) => error.into(),
            SearchError::TooLong => Self::search_too_long(),
        }
    }
}

/// The original's members in their order, and ours.
#[derive(Serialize, ToSchema)]
#[schema(as = LogEntry)]
pub(super) struct Entry<'a> {
    id: &'a str,
    /// When it was over.
    #[schema(format = DateTime)]
    timestamp: String,
    group_id: GroupId,
    group_name: &'a str,
    parent_group_id: GroupId,
    parent_group_name: &'a str,
    /// In clear while the key is stored, or masked where that was asked for; empty if there was none.
    key_value: Cow<'a, str>,
    key_hash: &'a str,
    /// `null`: no key was used, or it was deleted since.
    #[schema(required)]
    key_id: Option<i64>,
    model: &'a str,
    is_success: bool,
    source_ip: &'a str,
    status_code: i64,
    request_path: &'a str,
    duration_ms: i64,
    error_message: &'a str,
    user_agent: &'a str,
    /// `final`, or `retry` for a try that was followed by another one.
    request_type: &'a str,
    upstream_addr: &'a str,
    is_stream: bool,
    /// Left out where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_body: Option<&'a str>,
    has_request_body: bool,
    #[schema(required)]
    request_id: Option<&'a str>,
    /// From 1.
    #[schema(required)]
    attempt: Option<i64>,
    #[schema(required)]
    first_byte_ms: Option<i64>,
    /// What the server itself took, in microseconds.
    #[schema(required)]
    overhead_us: Option<i64>,
    /// `success`, or whose fault it was.
    #[schema(required)]
    verdict: Option<&'a str>,
    #[schema(required)]
    client_key: Option<&'a str>,
    /// The model that the upstream was asked for, where a redirect changed it.
    #[schema(required)]
    sent_model: Option<&'a str>,
    /// What the upstream calls the request: its operator finds it by this.
    #[schema(required)]
    upstream_request_id: Option<&'a str>,
}

/// What `masked` means.
const MASKED: &str = "Whether keys are shown by their ends only; false unless given";

impl Shown for Entry<'_> {}

impl<'a> Entry<'a> {
    fn with(entry: &'a LoggedEntry, bodies: Bodies, is_masked: bool) -> Self {
        Self {
            id: &entry.id,
            timestamp: answer::time(entry.timestamp),
            group_id: entry.group_id,
            group_name: &entry.group_name,
            parent_group_id: entry.parent_group_id,
            parent_group_name: &entry.parent_group_name,
            key_value: key_text(&entry.key, is_masked),
            key_hash: &entry.key_hash,
            key_id: entry.key_id,
            model: &entry.model,
            is_success: entry.is_success,
            source_ip: &entry.source_ip,
            status_code: entry.status_code,
            request_path: &entry.request_path,
            duration_ms: entry.duration_ms,
            error_message: &entry.error_message,
            user_agent: &entry.user_agent,
            request_type: &entry.request_type,
            upstream_addr: &entry.upstream_addr,
            is_stream: entry.is_stream,
            request_body: (bodies == Bodies::Shown).then_some(&*entry.request_body),
            has_request_body: entry.has_request_body,
            request_id: entry.request_id.as_deref(),
            attempt: entry.attempt,
            first_byte_ms: entry.first_byte_ms,
            overhead_us: entry.overhead_us,
            verdict: entry.verdict.as_deref(),
            client_key: entry.client_key.as_deref(),
            sent_model: entry.sent_model.as_deref(),
            upstream_request_id: entry.upstream_request_id.as_deref(),
        }
    }
}

fn key_text(key: &LoggedKey, is_masked: bool) -> Cow<'_, str> {
    match key {
        LoggedKey::None => "".into(),
        LoggedKey::Known(secret) if is_masked => secret.masked().into(),
        LoggedKey::Known(secret) => secret.expose().into(),
        LoggedKey::Masked(text) => text.into(),
        LoggedKey::Unreadable => answer::UNREADABLE_KEY.into(),
    }
}
