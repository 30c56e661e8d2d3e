//! GET /api/keys/export: the keys of a group as a file, sent as they are read: one a line, or with what is known of each.

use std::fmt::Write as _;

use http::header::CONTENT_DISPOSITION;
use serde::Serialize;

use super::{
    Api,
    list::group_id,
    shown::{Reason, out_reason},
};
use crate::{
    api::{
        answer::{self, Contents, SentAs, UNREADABLE_KEY},
        document::{
            Shape,
            shape::{id, one_of},
        },
        download::{self, push_csv_field},
        query::{Parameters, Query},
        refusal::Refusal,
    },
    crypto::Secret,
    db::Timestamp,
    group,
    keypool::{KeyStatus, StoredKey},
};

/// Keys that are read at once.
const KEYS_PER_LOT: u64 = 1_000;
const ALL: &str = "all";
const STATUSES: [&str; 4] = [KeyStatus::Active.name(), KeyStatus::Invalid.name(), KeyStatus::Disabled.name(), ALL];
const HEADING: &str = "id,key,state,notes,request_count,failure_count,last_used_at,created_at,out_reason\n";

pub(in crate::api) struct Wanted;

impl Parameters for Wanted {
    fn shape() -> Shape {
        let format = "`text` (the default) has the keys alone, one a line; the others say what is known of each";
        Shape::default()
            .needed("group_id", id(), "Whose keys")
            .optional("status", one_of(&STATUSES), "Only those; all unless given")
            .optional("format", one_of(&Format::ALL.map(Format::name)), format)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Csv,
    JsonLines,
}

impl Format {
    const ALL: [Self; 3] = [Self::Text, Self::Csv, Self::JsonLines];

    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

pub(in crate::api) struct KeysFile;

impl Contents for KeysFile {
    /// In the order of the formats.
    const TYPES: &'static [&'static str] =
        &["text/plain; charset=utf-8", "text/csv; charset=utf-8", "application/x-ndjson; charset=utf-8"];
    const DESCRIPTION: &'static str =
        "The keys in clear, one a line; as text, those that cannot be decrypted are left out";
}

/// A line of JSON about one key.
#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    key: &'a str,
    state: &'static str,
    notes: &'a str,
    request_count: i64,
    failure_count: i64,
    last_used_at: Option<Timestamp>,
    created_at: String,
    out_reason: Option<Reason<'a>>,
}

pub(in crate::api) async fn export(api: Api, query: Query<Wanted>) -> Result<SentAs<KeysFile>, Refusal> {
    let group_id = group_id(&query)?;
    let status = status(&query)?;
    let format = format(&query)?;
    let group = group::queries::find(api.database.readers(), group_id).await?;
    // Before the answer begins, so that a database that is away is told as such.
    let mut lot = api.key_pools.shown_lot(group_id, status.into(), 0, KEYS_PER_LOT).await?;
    let file_name = format!("keys-{}-{}.{}", group.name, status.map_or(ALL, KeyStatus::name), format.ending());
    let body = download::body("export of keys", |writer| async move {
        if format == Format::Csv {
            writer.send(HEADING).await?;
        }
        while let Some(last) = lot.last() {
            let last_id = last.id;
            let lines = lines(&lot, format);
            if !lines.is_empty() {
                writer.send(lines).await?;
            }
            lot = api.key_pools.shown_lot(group_id, status.into(), last_id, KEYS_PER_LOT).await?;
        }
        Ok(())
    });
    let disposition = format!("attachment; filename={file_name}");
    Ok(SentAs::new(format as usize, ([(CONTENT_DISPOSITION, disposition)], body)))
}

fn format(query: &Query<Wanted>) -> Result<Format, Refusal> {
    let Some(name) = query.first("format") else { return Ok(Format::Text) };
    let values = [("field", "format".to_owned()), ("values", Format::ALL.map(Format::name).join(", "))];
    let format = Format::ALL.into_iter().find(|format| format.name() == name);
    format.ok_or_else(|| Refusal::invalid(("validation.not_one_of", values)))
}

fn status(query: &Query<Wanted>) -> Result<Option<KeyStatus>, Refusal> {
    match query.first("status") {
        None | Some(ALL) => Ok(None),
        Some(name) => {
            let values = [("field", "status".to_owned()), ("values", STATUSES.join(", "))];
            KeyStatus::parse(name).map(Some).ok_or_else(|| Refusal::invalid(("validation.not_one_of", values)))
        }
    }
}

fn lines(lot: &[StoredKey], format: Format) -> String {
    let mut lines = String::new();
    for key in lot {
        match format {
            Format::Text => {
                // What cannot be decrypted is left out.
                let Some(secret) = &key.secret else { continue };
                lines.push_str(secret.expose());
            }
            Format::Csv => push_row(&mut lines, key),
            Format::JsonLines => lines.push_str(&serde_json::to_string(&Line::of(key)).unwrap_or_default()),
        }
        lines.push('\n');
    }
    lines
}

impl<'a> Line<'a> {
    fn of(key: &'a StoredKey) -> Self {
        Self {
            id: key.id,
            key: key.secret.as_ref().map_or(UNREADABLE_KEY, Secret::expose),
            state: key.state.name(),
            notes: &key.notes,
            request_count: key.request_count,
            failure_count: key.failure_count,
            last_used_at: key.last_used_at,
            created_at: answer::time(key.created_at),
            out_reason: out_reason(key),
        }
    }
}

/// In the order of the heading.
fn push_row(lines: &mut String, key: &StoredKey) {
    let line = Line::of(key);
    let reason = line.out_reason.map(|_| key.last_failure.as_ref().map(|last| last.failure.to_string()));
    let last_used_at = line.last_used_at.map(|at| at.to_string()).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(lines, "{},", line.id);
    push_csv_field(lines, line.key);
    let _ = write!(lines, ",{},", line.state);
    push_csv_field(lines, line.notes);
    let _ = write!(lines, ",{},{},{last_used_at},{},", line.request_count, line.failure_count, line.created_at);
    push_csv_field(lines, &reason.flatten().unwrap_or_default());
}
