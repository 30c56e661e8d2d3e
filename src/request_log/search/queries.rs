//! All SQL of a search. Everything goes by row ids, which `mod.rs` tells why.

use super::terms::{Range, Term, pattern};
use crate::{
    db::{Engine, Error, Readers, Source as _, Sql},
    group::GroupId,
};

/// Rows at each end of a span of time whose row ids are looked at, and how far beyond them others of that time may lie:
/// entries are written within moments, and in the order of their times but for what several threads end at once.
const EDGE_ROWS: i64 = 1_000;
pub(super) const EDGE_SLACK_ROWS: i64 = 10_000;
/// Different values of a column that are looked through for those with a part in common.
const VALUES_SEEN_MAX: i64 = 20_000;

/// The terms of a statement, and the one whose index it goes along; `None`: it goes through the rows themselves.
pub(super) struct Scan {
    pub(super) terms: Vec<Term>,
    pub(super) along: Option<usize>,
}

impl Scan {
    pub(super) fn reads_whole_index(&self) -> bool {
        self.along.and_then(|at| self.terms[at].index).is_some_and(|index| index.is_read_whole)
    }

    /// From the newest failure on. Only what failed has an error, so this finds what an error's text finds.
    pub(super) fn along_failures(mut terms: Vec<Term>) -> Self {
        for term in &mut terms {
            term.index = None;
        }
        terms.push(Term::failed());
        let along = Some(terms.len() - 1);
        Self { terms, along }
    }

    /// All conditions, each looked at in the row itself.
    fn push_plain(&self, statement: &mut Sql) {
        for term in &self.terms {
            statement.push(" AND ");
            term.push_plain(statement);
        }
    }

    fn push_from(&self, statement: &mut Sql, range: Range) {
        statement.push(" FROM request_logs ");
        match self.along.and_then(|at| self.terms[at].index) {
            Some(index) => statement.push(&format!("INDEXED BY {}", index.name)),
            None => statement.push("NOT INDEXED"),
        };
        push_range(statement, range);
        for (at, term) in self.terms.iter().enumerate() {
            statement.push(" AND ");
            term.push(statement, range, self.along == Some(at));
        }
    }
}

fn new(text: &'static str) -> Sql {
    Sql::new(Engine::Sqlite, text)
}

fn push_range(statement: &mut Sql, range: Range) {
    statement.push(" WHERE rowid >= ").push_value(range.first).push(" AND rowid <= ").push_value(range.last);
}

/// From the first row to the last; `None`: there is none.
pub(super) async fn whole_range(readers: &Readers) -> Result<Option<Range>, Error> {
    // One after the other: both at once would be a look at all rows.
    let text = "SELECT (SELECT min(rowid) FROM request_logs), (SELECT max(rowid) FROM request_logs)";
    let ends: (Option<i64>, Option<i64>) = readers.one(new(text)).await?;
    Ok(ends.0.zip(ends.1).map(|(first, last)| Range { first, last }))
}

/// The lowest row id that a row of this time or later can have.
pub(super) async fn first_at(readers: &Readers, from: String) -> Result<Option<i64>, Error> {
    let sql = new("SELECT min(rowid) FROM (SELECT rowid FROM request_logs INDEXED BY idx_request_logs_timestamp \
         WHERE timestamp >= ? ORDER BY timestamp LIMIT ?)");
    let first: Option<i64> = readers.value(sql.bind(from).bind(EDGE_ROWS)).await?;
    Ok(first.map(|first| first.saturating_sub(EDGE_SLACK_ROWS)))
}

/// The highest row id that a row of this time or earlier can have.
pub(super) async fn last_at(readers: &Readers, to: String) -> Result<Option<i64>, Error> {
    let sql = new("SELECT max(rowid) FROM (SELECT rowid FROM request_logs INDEXED BY idx_request_logs_timestamp \
         WHERE timestamp <= ? ORDER BY timestamp DESC LIMIT ?)");
    let last: Option<i64> = readers.value(sql.bind(to).bind(EDGE_ROWS)).await?;
    Ok(last.map(|last| last.saturating_add(EDGE_SLACK_ROWS)))
}

/// What `columns` say of each row in a range that matches, as a JSON list of lists.
pub(super) fn read_all(columns: &str, scan: &Scan, range: Range) -> Sql {
    let mut statement = read(columns);
    statement.push("request_logs NOT INDEXED");
    push_range(&mut statement, range);
    scan.push_plain(&mut statement);
    statement
}

/// The same along the scan's index: every so-and-so-many-th of what it finds, by a number made of the row id, so that what
/// comes at regular intervals is met no more often. The others are passed over within the index.
pub(super) fn read_along(columns: &str, scan: &Scan, range: Range, each: i64) -> Sql {
    let mut statement = read(columns);
    let Some(index) = scan.along.and_then(|at| scan.terms[at].index) else {
        return read_all(columns, scan, range);
    };
    statement.push(&format!("request_logs INDEXED BY {}", index.name));
    push_range(&mut statement, range);
    if each > 1 {
        statement.push(" AND ((rowid & 1048575) * 2654435761 >> 12) % ").push_value(each).push(" = 0");
    }
    for (at, term) in scan.terms.iter().enumerate() {
        statement.push(" AND ");
        if scan.along == Some(at) {
            term.push(&mut statement, range, true);
        } else {
            term.push_plain(&mut statement);
        }
    }
    statement
}

/// The same of blocks of so many row ids, each with its first one, as far as they are in the range.
pub(super) fn read_blocks(columns: &str, scan: &Scan, range: Range, begins: &[i64], rows: i64) -> Sql {
    let mut statement = read(columns);
    // Crossed, the tables are gone through in the order in which they stand here.
    statement.push("(SELECT value AS begin FROM json_each(");
    statement.push_value(serde_json::to_string(begins).unwrap_or_default());
    statement.push(")) AS block CROSS JOIN request_logs NOT INDEXED WHERE request_logs.rowid >= block.begin");
    statement.push(" AND request_logs.rowid < block.begin + ").push_value(rows);
    statement.push(" AND request_logs.rowid <= ").push_value(range.last);
    scan.push_plain(&mut statement);
    statement
}

fn read(columns: &str) -> Sql {
    Sql::made(Engine::Sqlite, format!("SELECT json_group_array(json_array({columns})) FROM "))
}

/// How many rows a term's index finds, counted up to `most` and one more.
pub(super) async fn probe(readers: &Readers, term: &Term, range: Range, most: i64) -> Result<i64, Error> {
    let Some(index) = term.index else { return Ok(most + 1) };
    let mut statement = new("SELECT count(*) FROM (SELECT 1 FROM request_logs INDEXED BY ");
    statement.push(index.name);
    push_range(&mut statement, range);
    statement.push(" AND ");
    term.push(&mut statement, range, true);
    statement.push(" LIMIT ").push_value(most + 1).push(")");
    readers.value(statement.once()).await
}

/// Row ids that match, the highest first: up to `limit` behind the first `offset`.
pub(super) async fn window(
    readers: &Readers,
    scan: &Scan,
    range: Range,
    offset: u64,
    limit: usize,
) -> Result<Vec<i64>, Error> {
    // One text instead of a row of the driver for each id.
    let mut statement = new("SELECT json_group_array(id) FROM (SELECT rowid AS id");
    scan.push_from(&mut statement, range);
    statement.push(" ORDER BY rowid DESC LIMIT ").push_value(i64::try_from(limit).unwrap_or(i64::MAX));
    statement.push(" OFFSET ").push_value(i64::try_from(offset).unwrap_or(i64::MAX)).push(")");
    row_ids(statement, readers).await
}

pub(super) async fn count(readers: &Readers, scan: &Scan, range: Range) -> Result<u64, Error> {
    let mut statement = new("SELECT count(*)");
    scan.push_from(&mut statement, range);
    let count: i64 = readers.value(statement.once()).await?;
    Ok(count.unsigned_abs())
}

/// Of each key, the highest row id that matches, in the order of the hashes.
pub(super) async fn newest_of_each_key(readers: &Readers, scan: &Scan, range: Range) -> Result<Vec<i64>, Error> {
    let mut statement = new("SELECT json_group_array(id) FROM (SELECT max(rowid) AS id, key_hash AS hash");
    if scan.terms.is_empty() {
        // The one index that has all that is asked for.
        statement.push(" FROM request_logs INDEXED BY idx_request_logs_key_hash WHERE key_hash <> ''");
    } else {
        scan.push_from(&mut statement, range);
        statement.push(" AND +key_hash <> ''");
    }
    statement.push(" GROUP BY hash ORDER BY hash)");
    row_ids(statement, readers).await
}

async fn row_ids(statement: Sql, readers: &Readers) -> Result<Vec<i64>, Error> {
    let text: String = readers.value(statement.once()).await?;
    serde_json::from_str(&text).map_err(|error| Error::Other(error.into()))
}

/// The values of an indexed column that contain `part`, each found by a jump within the index; `None`: there are too
/// many to tell.
pub(super) async fn values_with(
    readers: &Readers,
    column: &'static str,
    only: &'static str,
    part: &str,
    most: usize,
) -> Result<Option<Vec<String>>, Error> {
    let and_only = if only.is_empty() { String::new() } else { format!(" AND {only}") };
    let text = format!(
        "WITH RECURSIVE known(value, number) AS (\
           SELECT (SELECT min({column}) FROM request_logs WHERE {column} >= ''{and_only}), 1 UNION ALL \
           SELECT (SELECT min({column}) FROM request_logs WHERE {column} > known.value{and_only}), number + 1 \
           FROM known WHERE value IS NOT NULL AND number <= {VALUES_SEEN_MAX}) \
         SELECT json_group_array(value) FILTER (WHERE value LIKE "
    );
    let mut statement = Sql::made(Engine::Sqlite, text);
    statement.push_value(pattern(part)).push(" ESCAPE '\\'), max(number) FROM known WHERE value IS NOT NULL");
    let (values, seen): (String, Option<i64>) = readers.one(statement.once()).await?;
    if seen.unwrap_or_default() > VALUES_SEEN_MAX {
        return Ok(None);
    }
    let values: Vec<String> = serde_json::from_str(&values).map_err(|error| Error::Other(error.into()))?;
    Ok((values.len() <= most).then_some(values))
}

/// The row of the entry with this id.
pub(super) async fn row_of(readers: &Readers, id: &str) -> Result<Option<i64>, Error> {
    let found: Option<(i64,)> = readers.optional(new("SELECT rowid FROM request_logs WHERE id = ?").bind(id)).await?;
    Ok(found.map(|(row_id,)| row_id))
}

/// Whether requests came in through this group as an aggregate.
pub(super) async fn is_parent(readers: &Readers, group_id: GroupId) -> Result<bool, Error> {
    let sql = new("SELECT EXISTS (SELECT 1 FROM request_logs INDEXED BY idx_request_logs_parent_group_id \
         WHERE parent_group_id = ? AND parent_group_id <> 0)");
    readers.value(sql.bind(group_id)).await
}

/// Row ids between the first and the last that no row has.
pub(super) async fn gaps(readers: &Readers) -> Result<i64, Error> {
    let sql = new("SELECT coalesce((SELECT max(rowid) FROM request_logs) - (SELECT min(rowid) FROM request_logs) + 1 \
         - (SELECT count(*) FROM request_logs), 0)");
    readers.value(sql).await
}
