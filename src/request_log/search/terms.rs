//! A filter as conditions on columns, each with the index that finds its rows.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Filter, queries};
use crate::{
    crypto::Cipher,
    db::{self, Readers, Sql, Timestamp},
    group::GroupId,
    request_log::{Kind, Verdict},
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
#[derive(Debug, Clone)]
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

#[derive(Debug, Clone)]
enum Test {
    Text(String),
    Integer(i64),
    Among(Vec<String>),
    Contains(String),
    Between(String, String),
    From(String, TimesAre),
    To(String, TimesAre),
    /// What an aggregate was asked for.
    OfAggregate(GroupId),
}

/// How stored times are to be compared.
#[derive(Debug, Clone, Copy)]
enum TimesAre {
    /// All in UTC: their texts sort as they do.
    Plain,
    /// Some still in a zone of the original.
    Mixed,
}

/// An index over all rows.
const fn whole(name: &'static str) -> Index {
    Index { name, only: "", is_read_whole: false }
}

const fn partial(name: &'static str, only: &'static str) -> Index {
    Index { name, only, is_read_whole: false }
}

const IDS: Index = whole("sqlite_autoindex_request_logs_1");
const KEYS: Index = whole("idx_request_logs_key_hash");
const GROUPS: Index = whole("idx_request_logs_group_id");
const PARENTS: Index = partial("idx_request_logs_parent_group_id", "parent_group_id <> 0");
const GROUP_NAMES: Index = whole("idx_request_logs_group_name");
const PARENT_NAMES: Index = partial("idx_request_logs_parent_group_name", "parent_group_name <> ''");
const MODELS: Index = whole("idx_request_logs_model");
const RETRIES: Index = partial("idx_request_logs_request_type", "request_type <> 'final'");
const ADDRESSES: Index = whole("idx_gpt_load_logs_source_ip");
const CLIENT_KEYS: Index = partial("idx_gpt_load_logs_client_key", "client_key IS NOT NULL");
const STATUSES: Index = partial("idx_gpt_load_logs_status", "status_code <> 200");
const VERDICTS: Index = partial("idx_gpt_load_logs_verdict", "verdict <> 'success'");
const FAILURES: Index = partial("idx_gpt_load_logs_failed", "is_success = 0");
const ERRORS: Index = Index { name: "idx_gpt_load_logs_error", only: "error_message <> ''", is_read_whole: true };

/// `None`: nothing can match, since no row has such a name.
pub(super) async fn of(
    filter: &Filter,
    cipher: &Cipher,
    are_times_plain: bool,
    readers: &Readers,
) -> Result<Option<Vec<Term>>, db::Error> {
    let mut terms = Vec::new();
    let text = |column, text: &str, index| Term { column, test: Test::Text(text.to_owned()), index };
    if let Some(id) = &filter.request_id {
        let Ok(id) = Uuid::try_parse(id) else { return Ok(None) };
        let (first, last) = row_ids_of_request(id);
        terms.push(Term { column: "id", test: Test::Between(first, last), index: Some(IDS) });
        terms.push(text("request_id", &id.hyphenated().to_string(), None));
    }
    if let Some(key) = &filter.key {
        terms.push(text("key_hash", &cipher.hash(key.expose()), Some(KEYS)));
    }
    if let Some(hash) = &filter.key_hash {
        terms.push(text("key_hash", hash, Some(KEYS)));
    }
    for (part, column, index) in [
        (&filter.parent_group_name, "parent_group_name", PARENT_NAMES),
        (&filter.group_name, "group_name", GROUP_NAMES),
        (&filter.model, "model", MODELS),
    ] {
        let Some(part) = part else { continue };
        match queries::values_with(readers, column, index.only, part, VALUES_MAX).await? {
            Some(values) if values.is_empty() => return Ok(None),
            Some(values) => terms.push(Term { column, test: Test::Among(values), index: Some(index) }),
            None => terms.push(Term { column, test: Test::Contains(part.clone()), index: None }),
        }
    }
    if let Some(id) = filter.group_id {
        terms.push(if queries::is_parent(readers, id).await? {
            Term { column: "group_id", test: Test::OfAggregate(id), index: None }
        } else {
            Term { column: "group_id", test: Test::Integer(id), index: Some(GROUPS) }
        });
    }
    if let Some(is_success) = filter.is_success {
        let index = (!is_success).then_some(FAILURES);
        terms.push(Term { column: "is_success", test: Test::Integer(is_success.into()), index });
    }
    // What nearly all rows are is in no index.
    if let Some(kind) = &filter.request_type {
        terms.push(text("request_type", kind, (kind != Kind::Final.name()).then_some(RETRIES)));
    }
    if let Some(status) = filter.status_code {
        let index = (status != 200).then_some(STATUSES);
        terms.push(Term { column: "status_code", test: Test::Integer(status), index });
    }
    if let Some(address) = &filter.source_ip {
        terms.push(text("source_ip", address, Some(ADDRESSES)));
    }
    if let Some(part) = &filter.upstream_addr {
        terms.push(Term { column: "upstream_addr", test: Test::Contains(part.clone()), index: None });
    }
    if let Some(label) = &filter.client_key {
        terms.push(text("client_key", label, Some(CLIENT_KEYS)));
    }
    if let Some(verdict) = filter.verdict {
        terms.push(text("verdict", verdict.name(), (verdict != Verdict::Success).then_some(VERDICTS)));
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

/// The lowest and the highest id that a row of a request can have: they begin like the request's own id
/// ([`crate::request_log::Entry::row_uuid`]).
pub(super) fn row_ids_of_request(id: Uuid) -> (String, String) {
    let row_id = |low: u128| Uuid::from_u128(id.as_u128() & !0xffff | low).hyphenated().to_string();
    (row_id(0), row_id(0xffff))
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
        Self { column: "is_success", test: Test::Integer(0), index: Some(FAILURES) }
    }

    /// Writes the condition so that it is looked at in the row itself, whatever there is an index for.
    pub(super) fn push_plain(&self, statement: &mut Sql) {
        if let Test::OfAggregate(id) = self.test {
            statement.push("(+group_id = ").push_value(id).push(" OR +parent_group_id = ").push_value(id).push(")");
        } else {
            self.push(statement, Range { first: i64::MIN, last: i64::MAX }, false);
        }
    }

    /// Writes the condition. `is_along`: the statement goes along this term's index, and along no other.
    pub(super) fn push(&self, statement: &mut Sql, range: Range, is_along: bool) {
        // With the plus SQLite looks for no index.
        let column = if is_along { self.column.to_owned() } else { format!("+{}", self.column) };
        match &self.test {
            Test::Text(text) => {
                statement.push(&format!("{column} = ")).push_value(&**text);
            }
            Test::Integer(number) => {
                statement.push(&format!("{column} = ")).push_value(*number);
            }
            Test::Among(values) if values.len() == 1 => {
                statement.push(&format!("{column} = ")).push_value(&*values[0]);
            }
            Test::Among(values) => {
                statement.push(&format!("{column} IN ("));
                for (at, value) in values.iter().enumerate() {
                    statement.push(if at == 0 { "" } else { "," }).push_value(&**value);
                }
                statement.push(")");
            }
            Test::Contains(part) => {
                let column = self.column;
                statement.push(&format!("{column} LIKE ")).push_value(pattern(part)).push(" ESCAPE '\\'");
            }
            Test::Between(from, to) => {
                statement.push(&format!("{column} BETWEEN ")).push_value(&**from).push(" AND ").push_value(&**to);
            }
            Test::From(time, times) => push_time(statement, ">=", time, *times),
            Test::To(time, times) => push_time(statement, "<=", time, *times),
            Test::OfAggregate(id) => {
                // By two indexes at once: requests that came in through it, and those that it refused itself.
                for (part, index, only) in [
                    ("rowid IN (SELECT rowid", PARENTS, "parent_group_id"),
                    (" UNION ALL SELECT rowid", GROUPS, "group_id"),
                ] {
                    statement.push(&format!("{part} FROM request_logs INDEXED BY {} WHERE {only} = ", index.name));
                    statement.push_value(*id).push(" AND rowid >= ").push_value(range.first);
                    statement.push(" AND rowid <= ").push_value(range.last);
                    if !index.only.is_empty() {
                        statement.push(&format!(" AND {}", index.only));
                    }
                }
                statement.push(")");
            }
        }
        if let Some(index) = self.index.filter(|index| is_along && !index.only.is_empty()) {
            statement.push(&format!(" AND {}", index.only));
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

fn push_time(statement: &mut Sql, operator: &'static str, time: &str, times: TimesAre) {
    match times {
        TimesAre::Plain => statement.push(&format!("+timestamp {operator} ")).push_value(time),
        TimesAre::Mixed => statement
            .push(&format!("CASE WHEN substr(timestamp, -6) = '+00:00' THEN timestamp {operator} "))
            .push_value(time)
            .push(&format!(
                " ELSE coalesce(julianday(timestamp), julianday(substr(timestamp, 1, 19))) {operator} julianday("
            ))
            .push_value(time)
            .push(") END"),
    };
}
