//! GET /api/logs/entries/export: the entries that match as a file, the newest first.

use http::header::CONTENT_DISPOSITION;
use serde_json::{Map, Value};

use super::{Api, Entry, Wanted, filter};
use crate::{
    api::{
        answer::{Contents, SentAs},
        document::{
            Shape,
            shape::{one_of, text},
        },
        download::{self, Broken, push_csv_field},
        query::{Parameters, Query, read},
        refusal::Refusal,
    },
    request_log::{Bodies, Cursor, Filter, Found, LoggedEntry, Search, Start},
};

const ENTRIES_MAX: usize = 1_000_000;
const ENTRIES_PER_LOT: usize = 1_000;

/// All that an entry has, in its order.
const COLUMNS: [&str; 30] = [
    "id",
    "timestamp",
    "group_id",
    "group_name",
    "parent_group_id",
    "parent_group_name",
    "key_value",
    "key_hash",
    "key_id",
    "model",
    "is_success",
    "source_ip",
    "status_code",
    "request_path",
    "duration_ms",
    "error_message",
    "user_agent",
    "request_type",
    "upstream_addr",
    "is_stream",
    REQUEST_BODY,
    "has_request_body",
    "request_id",
    "attempt",
    "first_byte_ms",
    "overhead_us",
    "verdict",
    "client_key",
    "sent_model",
    "upstream_request_id",
];
/// Given only where it is asked for.
const REQUEST_BODY: &str = "request_body";

pub(in crate::api) struct EntriesFile;

impl Contents for EntriesFile {
    const TYPES: &'static [&'static str] = &["text/csv; charset=utf-8", "application/x-ndjson; charset=utf-8"];
    const DESCRIPTION: &'static str = "The entries, newest first: a heading and a line for each, or a JSON object a line. Where there \
                                       are more than a million, the last line says so";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    const ALL: [Self; 2] = [Self::Csv, Self::JsonLines];

    const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

pub(in crate::api) struct WantedFile;

impl Parameters for WantedFile {
    fn shape() -> Shape {
        let columns = "Names of members of an entry, with commas between them; all but `request_body` unless given";
        Wanted::shape().optional("format", one_of(&Format::ALL.map(Format::name)), "`csv` unless given").optional(
            "columns",
            text(),
            columns,
        )
    }
}

pub(in crate::api) async fn export_entries(api: Api, query: Query<WantedFile>) -> Result<SentAs<EntriesFile>, Refusal> {
    let filter = filter(&query)?;
    let named = |name: &str| Format::ALL.into_iter().find(|format| format.name() == name);
    let format = read(&query, "format", "csv or jsonl", named)?.unwrap_or(Format::Csv);
    let wanted = format!("some of {}", COLUMNS.join(", "));
    let columns = read(&query, "columns", &wanted, columns)?;
    let columns = columns.unwrap_or_else(|| COLUMNS.into_iter().filter(|name| *name != REQUEST_BODY).collect());
    let export = Export { search: api.log_search.clone(), filter, format, columns, entries_max: ENTRIES_MAX };
    // All that can go wrong with the search does so before the first byte.
    let first = export.page(None).await?;
    let name = api.clock.local(api.clock.now()).format("%Y%m%d%H%M%S");
    let name = format!("log_entries_{name}.{}", format.name());
    let body = download::body("export of entries of the request log", |writer| export.write(first, writer));
    let headers = [(CONTENT_DISPOSITION, format!("attachment; filename={name}"))];
    Ok(SentAs::new(format as usize, (headers, body)))
}

/// Known names, each once.
fn columns(text: &str) -> Option<Vec<&'static str>> {
    let mut columns = Vec::new();
    for name in text.split(',') {
        let known = COLUMNS.into_iter().find(|known| *known == name.trim())?;
        if columns.contains(&known) {
            return None;
        }
        columns.push(known);
    }
    Some(columns)
}

struct Export {
    search: Search,
    filter: Filter,
    format: Format,
    columns: Vec<&'static str>,
    entries_max: usize,
}

impl Export {
    async fn page(&self, below: Option<Cursor>) -> Result<Found, Refusal> {
        Ok(self.search.page(&self.filter, Start::Below(below), ENTRIES_PER_LOT, self.bodies()).await?)
    }

    fn bodies(&self) -> Bodies {
        if self.columns.contains(&REQUEST_BODY) { Bodies::Shown } else { Bodies::LeftOut }
    }

    async fn write(self, first: Found, writer: download::Writer) -> Result<(), Broken> {
        if self.format == Format::Csv {
            writer.send(format!("{}\n", self.columns.join(","))).await?;
        }
        let mut left = self.entries_max;
        let Found { mut entries, mut next, .. } = first;
        loop {
            let is_cut = entries.len() > left || (entries.len() == left && next.is_some());
            entries.truncate(left);
            left -= entries.len();
            if !entries.is_empty() {
                writer.send(self.lines(&entries)?).await?;
            }
            if is_cut {
                return writer.send(self.cut()).await;
            }
            let Some(below) = next else { return Ok(()) };
            let start = Start::Below(Some(below));
            Found { entries, next, .. } = self.search.page(&self.filter, start, ENTRIES_PER_LOT, self.bodies()).await?;
        }
    }

    fn lines(&self, entries: &[LoggedEntry]) -> Result<String, Broken> {
        let mut lines = String::with_capacity(entries.len() * 512);
        for entry in entries {
            let Value::Object(mut members) = serde_json::to_value(Entry::with(entry, self.bodies(), true))? else {
                continue;
            };
            match self.format {
                Format::JsonLines => {
                    let mut wanted = Map::with_capacity(self.columns.len());
                    for name in &self.columns {
                        wanted.insert((*name).to_owned(), members.remove(*name).unwrap_or(Value::Null));
                    }
                    lines.push_str(&serde_json::to_string(&wanted)?);
                }
                Format::Csv => {
                    for (at, name) in self.columns.iter().enumerate() {
                        lines.push_str(if at == 0 { "" } else { "," });
                        match members.get(*name) {
                            None | Some(Value::Null) => {}
                            Some(Value::String(text)) => push_text(&mut lines, text),
                            Some(value) => lines.push_str(&value.to_string()),
                        }
                    }
                }
            }
            lines.push('\n');
        }
        Ok(lines)
    }

    /// So that a part is not taken for the whole.
    fn cut(&self) -> String {
        match self.format {
            Format::Csv => format!("# cut after {} entries: there are more\n", self.entries_max),
            Format::JsonLines => format!("{{\"cut_after_entries\":{}}}\n", self.entries_max),
        }
    }
}

/// What a spreadsheet would take for a formula gets an apostrophe before it: such texts come from anyone who may ask.
fn push_text(line: &mut String, text: &str) {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        push_csv_field(line, &format!("'{text}"));
    } else {
        push_csv_field(line, text);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        crypto::Cipher,
        db::testing::fresh,
        request_log::{Entry as LogEntry, RequestLog, Writer, testing::entry},
    };

    #[test]
    fn columns_are_named_by_what_an_entry_has() {
        assert_eq!(columns("id, status_code"), Some(vec!["id", "status_code"]));
        for text in ["id,id", "body", "id,,model", ","] {
            assert_eq!(columns(text), None, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_formula_is_none() {
        for (text, expected) in [("=1+1", "'=1+1"), ("@x,y", "\"'@x,y\""), ("gpt-4o", "gpt-4o"), ("", ""), ("-", "'-")]
        {
            let mut line = String::new();
            push_text(&mut line, text);
            assert_eq!(line, expected);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_cut_says_so_and_one_that_is_not_does_not() {
        let (_place, database) = fresh().await;
        let log = RequestLog::new(1);
        for status in 200..203 {
            log.submit(0, LogEntry { request_id: uuid::Uuid::now_v7(), ..entry(status) });
        }
        let stop = CancellationToken::new();
        stop.cancel();
        Writer::new(log, database.clone(), Cipher::new(None)).run(stop).await;
        let search = Search::new(database, Cipher::new(None));
        let file = async |format, entries_max| {
            let columns = vec!["status_code"];
            let export = Export { search: search.clone(), filter: Filter::default(), format, columns, entries_max };
            let first = export.page(None).await.unwrap();
            let body = download::body("test", |writer| export.write(first, writer));
            String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
        };
        assert_eq!(file(Format::Csv, 3).await, "status_code\n202\n201\n200\n");
        assert_eq!(file(Format::Csv, 2).await, "status_code\n202\n201\n# cut after 2 entries: there are more\n");
        assert_eq!(file(Format::JsonLines, 1).await, "{\"status_code\":202}\n{\"cut_after_entries\":1}\n");
    }
}
