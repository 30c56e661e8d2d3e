//! A filter as conditions on columns, each with the index that finds its rows.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};
use uuid::Uuid;

use super::{Filter, queries};
use crate::{
    crypto::Cipher,
    db::{self, Timestamp},
    request_log::Verdict,
};

/// How far the clock on a wall can be from UTC: rows of the original are found by the text of their local time until
/// they are rewritten.
const ZONE_MAX: TimeDelta = TimeDelta::hours(14);
/// Names and models that a part of their text may stand for; beyond it rows are compared one by one.
const VALUES_MAX: usize = 1_000;

/// Row ids from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Range {
    pub(super) fn len(self) -> i64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// One condition. All of the same filter must hold.
#[derive(Debug)]
pub(super) struct Term {
    column: &'static str,
    test: Test,
    pub(super) index: Option<Index>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Index {
    pub(super) name: &'static str,
    /// The condition of a partial index, which SQLite uses only for a statement that repeats it.
    only: &'static str,
    /// Its entries do not stand in the order of row ids, so that it is only worth reading as a whole.
    pub(super) is_read_whole: bool,
}

#[derive(Debug)]
enum Test {
    Text(String),
    Integer(i64),
    Among(Vec<String>),
    Contains(String),
    Between(String, String),
    From(String, TimesAre),
    To(String, TimesAre),
    /// Of either column, whichever is given first being the term's own.
    OfEither(&'static str, i64),
}

/// How stored times are to be compared.
#[derive(Debug, Clone, Copy)]
enum TimesAre {
    /// All in UTC: their texts sort as they do.
    Plain,
    /// Some still in a zone of the original.
    Mixed,
}

impl Index {
    const fn of(name: &'static str) -> Option<Self> {
        Some(Self { name, only: "", is_read_whole: false })
    }

    const fn partial(name: &'static str, only: &'static str) -> Option<Self> {
        Some(Self { name, only, is_read_whole: false })
    }
}

const FAILURES: Option<Index> = Index::partial("idx_gpt_load_logs_failed", "is_success = 0");
const ERRORS: Index = Index { name: "idx_gpt_load_logs_error", only: "error_message <> ''", is_read_whole: true };

/// `None`: nothing can match, since no row has such a name.
pub(super) async fn of(
    filter: &Filter,
    cipher: &Cipher,
    are_times_plain: bool,
    readers: &SqlitePool,
) -> Result<Option<Vec<Term>>, db::Error> {
    let mut terms = Vec::new();
    let text = |column, text: &String, index| Term { column, test: Test::Text(text.clone()), index };
    if let Some(id) = &filter.request_id {
        let Some(term) = request_id(id) else { return Ok(None) };
        terms.push(term);
        terms.push(Term { column: "request_id", test: Test::Text(id.to_ascii_lowercase()), index: None });
    }
    if let Some(key) = &filter.key {
        let hash = cipher.hash(key.expose());
        terms.push(text("key_hash", &hash, Index::of("idx_request_logs_key_hash")));
    }
    const OF_AGGREGATES: &str = "parent_group_name <> ''";
    let names = [
        (
            &filter.parent_group_name,
            "parent_group_name",
            Index::partial("idx_request_logs_parent_group_name", OF_AGGREGATES),
        ),
        (&filter.group_name, "group_name", Index::of("idx_request_logs_group_name")),
        (&filter.model, "model", Index::of("idx_request_logs_model")),
    ];
    for (part, column, index) in names {
        let Some(part) = part else { continue };
        let only = index.map_or("", |index| index.only);
        match queries::values_with(readers, column, only, part, VALUES_MAX).await? {
            Some(values) if values.is_empty() => return Ok(None),
            Some(values) => terms.push(Term { column, test: Test::Among(values), index }),
            None => terms.push(Term { column, test: Test::Contains(part.clone()), index: None }),
        }
    }
    if let Some(id) = filter.group_id {
        let index = Index::of("idx_request_logs_group_id");
        terms.push(if queries::is_parent(readers, id).await? {
            Term { column: "group_id", test: Test::OfEither("parent_group_id", id), index: None }
        } else {
            Term { column: "group_id", test: Test::Integer(id), index }
        });
    }
    if let Some(is_success) = filter.is_success {
        let index = if is_success { None } else { FAILURES };
        terms.push(Term { column: "is_success", test: Test::Integer(is_success.into()), index });
    }
    if let Some(kind) = &filter.request_type {
        const NOT_FINAL: &str = "request_type <> 'final'";
        let index = if kind == "final" { None } else { Index::partial("idx_request_logs_request_type", NOT_FINAL) };
        terms.push(text("request_type", kind, index));
    }
    if let Some(status) = filter.status_code {
        let index = if status == 200 { None } else { Index::partial("idx_gpt_load_logs_status", "status_code <> 200") };
        terms.push(Term { column: "status_code", test: Test::Integer(status), index });
    }
    if let Some(address) = &filter.source_ip {
        terms.push(text("source_ip", address, Index::of("idx_gpt_load_logs_source_ip")));
    }
    if let Some(label) = &filter.client_key {
        let index = Index::partial("idx_gpt_load_logs_client_key", "client_key IS NOT NULL");
        terms.push(text("client_key", label, index));
    }
    if let Some(verdict) = filter.verdict {
        const NO_SUCCESS: &str = "verdict <> 'success'";
        let index = match verdict {
            Verdict::Success => None,
            _ => Index::partial("idx_gpt_load_logs_verdict", NO_SUCCESS),
        };
        terms.push(text("verdict", &verdict.name().to_owned(), index));
    }
    if let Some(part) = &filter.error_contains {
        terms.push(Term { column: "error_message", test: Test::Contains(part.clone()), index: Some(ERRORS) });
    }
    let times = if are_times_plain { TimesAre::Plain } else { TimesAre::Mixed };
    if let Some(from) = filter.start_time {
        let test = Test::From(Timestamp(from).to_stored(), times);
        terms.push(Term { column: "timestamp", test, index: None });
    }
    if let Some(to) = filter.end_time {
        let test = Test::To(Timestamp(to).to_stored(), times);
        terms.push(Term { column: "timestamp", test, index: None });
    }
    Ok(Some(terms))
}

/// The ids of a request's rows begin like the request's own id (`row::id_of` makes them so).
fn request_id(text: &str) -> Option<Term> {
    let id = Uuid::try_parse(text).ok()?.as_u128() & !0xffff;
    let row_id = |low: u128| Uuid::from_u128(id | low).hyphenated().to_string();
    let index = Index::of("sqlite_autoindex_request_logs_1");
    Some(Term { column: "id", test: Test::Between(row_id(0), row_id(0xffff)), index })
}

/// The text below which no row's time is `from` or later.
pub(super) fn text_from(from: DateTime<Utc>, are_times_plain: bool) -> String {
    let earliest = if are_times_plain { from } else { from.checked_sub_signed(ZONE_MAX).unwrap_or(from) };
    Timestamp(earliest).to_stored()
}

/// The text above which no row's time is `to` or earlier.
pub(super) fn text_to(to: DateTime<Utc>, are_times_plain: bool) -> String {
    let latest = if are_times_plain { to } else { to.checked_add_signed(ZONE_MAX).unwrap_or(to) };
    Timestamp(latest).to_stored()
}

impl Term {
    pub(super) fn failed() -> Self {
        Self { column: "is_success", test: Test::Integer(0), index: FAILURES }
    }

    /// Writes the condition. `is_along`: the statement goes along this term's index, and along no other.
    pub(super) fn push(&self, statement: &mut QueryBuilder<Sqlite>, is_along: bool) {
        // With the plus SQLite looks for no index.
        let column = if is_along { self.column.to_owned() } else { format!("+{}", self.column) };
        match &self.test {
            Test::Text(text) => statement.push(format!("{column} = ")).push_bind(text.clone()),
            Test::Integer(number) => statement.push(format!("{column} = ")).push_bind(*number),
            Test::Among(values) if values.len() == 1 => {
                statement.push(format!("{column} = ")).push_bind(values[0].clone())
            }
            Test::Among(values) => {
                statement.push(format!("{column} IN ("));
                let mut list = statement.separated(",");
                values.iter().for_each(|value| {
                    list.push_bind(value.clone());
                });
                statement.push(")")
            }
            Test::Contains(part) => {
                let column = self.column;
                statement.push(format!("{column} LIKE ")).push_bind(pattern(part)).push(" ESCAPE '\\'")
            }
            Test::Between(from, to) => {
                statement.push(format!("{column} BETWEEN ")).push_bind(from.clone()).push(" AND ").push_bind(to.clone())
            }
            Test::From(time, times) => push_time(statement, ">=", time, *times),
            Test::To(time, times) => push_time(statement, "<=", time, *times),
            Test::OfEither(other, number) => statement
                .push(format!("(+{} = ", self.column))
                .push_bind(*number)
                .push(format!(" OR +{other} = "))
                .push_bind(*number)
                .push(")"),
        };
        if let Some(index) = self.index.filter(|index| is_along && !index.only.is_empty()) {
            statement.push(format!(" AND {}", index.only));
        }
    }
}

/// A part of a text for `LIKE`, which compares without regard to the case of ASCII letters: what it would take for a
/// wildcard means itself.
pub(super) fn pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn push_time<'a>(
    statement: &'a mut QueryBuilder<Sqlite>,
    operator: &'static str,
    time: &str,
    times: TimesAre,
) -> &'a mut QueryBuilder<Sqlite> {
    match times {
        TimesAre::Plain => statement.push(format!("+timestamp {operator} ")).push_bind(time.to_owned()),
        TimesAre::Mixed => statement
            .push(format!("CASE WHEN substr(timestamp, -6) = '+00:00' THEN timestamp {operator} "))
            .push_bind(time.to_owned())
            .push(format!(
                " ELSE coalesce(julianday(timestamp), julianday(substr(timestamp, 1, 19))) {operator} julianday("
            ))
            .push_bind(time.to_owned())
            .push(") END"),
    }
}
