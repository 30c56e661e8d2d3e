//! GET /api/logs/export: the keys of the entries that match, each with its newest one, as a file.

use std::fmt::Write as _;

use axum::body::Body;
use bytes::Bytes;
use chrono::Local;
use http::header::CONTENT_DISPOSITION;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Api, Wanted, filter, key_text};
use crate::{
    api::{
        answer::{Content, Sent},
        query::Query,
        refusal::Refusal,
    },
    request_log::{LoggedEntry, Search, SearchError},
};

const ROWS_PER_LOT: usize = 1_000;
/// Lots that may wait for a client that reads slowly.
const LOTS_PENDING_MAX: usize = 2;
const HEADING: &str = "key_value,group_name,status_code\n";

type Lot = Result<Bytes, SearchError>;

pub(in crate::api) struct KeysFile;

impl Content for KeysFile {
    const TYPE: &'static str = "text/csv; charset=utf-8";
    const DESCRIPTION: &'static str = "A heading, and a line for each key: its text, the group, the status";
}

pub(in crate::api) async fn export(api: Api, query: Query<Wanted>) -> Result<Sent<KeysFile>, Refusal> {
    // All that can go wrong with the search does so before the first byte.
    let row_ids = api.log_search.newest_of_each_key(&filter(&query)?).await?;
    let (sender, lots) = mpsc::channel::<Lot>(LOTS_PENDING_MAX);
    tokio::spawn(send(api.log_search.clone(), row_ids, sender));
    let name = format!("log_keys_export_{}.csv", Local::now().format("%Y%m%d%H%M%S"));
    let headers = [(CONTENT_DISPOSITION, format!("attachment; filename={name}"))];
    Ok(Sent::new((headers, Body::from_stream(ReceiverStream::new(lots)))))
}

/// Ends early when the client leaves. An error breaks the file off, which no client takes for its end.
async fn send(search: Search, row_ids: Vec<i64>, to: mpsc::Sender<Lot>) {
    if to.send(Ok(Bytes::from_static(HEADING.as_bytes()))).await.is_err() {
        return;
    }
    for lot in row_ids.chunks(ROWS_PER_LOT) {
        let lot = search.entries(lot).await.map(|entries| Bytes::from(lines(&entries)));
        if let Err(error) = &lot {
            tracing::error!(%error, "An export of the request log broke off");
        }
        let is_last = lot.is_err();
        if to.send(lot).await.is_err() || is_last {
            return;
        }
    }
}

fn lines(entries: &[LoggedEntry]) -> String {
    let mut text = String::new();
    for entry in entries {
        push_field(&mut text, key_text(&entry.key));
        text.push(',');
        push_field(&mut text, &entry.group_name);
        // Writing to a string cannot fail.
        let _ = writeln!(text, ",{}", entry.status_code);
    }
    text
}

/// Quoted only where a reader would take it apart (RFC 4180), or lose the space that it begins with.
fn push_field(line: &mut String, field: &str) {
    if field.contains([',', '"', '\r', '\n']) || field.starts_with(char::is_whitespace) {
        line.push('"');
        line.push_str(&field.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (field, expected) in [
            ("sk-plain", "sk-plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" led by a space", "\" led by a space\""),
            ("ended by one ", "ended by one "),
        ] {
            let mut line = String::new();
            push_field(&mut line, field);
            assert_eq!(line, expected);
        }
    }
}
