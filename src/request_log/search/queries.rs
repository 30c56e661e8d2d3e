//! All SQL of a search. Everything goes by row ids, which `mod.rs` tells why.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::terms::{Range, Term, pattern};
use crate::group::GroupId;

/// Rows at each end of a span of time whose row ids are looked at, and how far beyond them others of that time may lie:
/// entries are written within moments, and in the order of their times but for what several threads end at once.
const EDGE_ROWS: i64 = 1_000;
const EDGE_SLACK_ROWS: i64 = 10_000;
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

    fn push_from(&self, statement: &mut QueryBuilder<Sqlite>, range: Range) {
        statement.push(" FROM request_logs ");
        match self.along.and_then(|at| self.terms[at].index) {
            Some(index) => statement.push(format!("INDEXED BY {}", index.name)),
            None => statement.push("NOT INDEXED"),
        };
        push_range(statement, range);
        for (at, term) in self.terms.iter().enumerate() {
            statement.push(" AND ");
            term.push(statement, range, self.along == Some(at));
        }
    }
}

fn push_range(statement: &mut QueryBuilder<Sqlite>, range: Range) {
    statement.push(" WHERE rowid >= ").push_bind(range.first).push(" AND rowid <= ").push_bind(range.last);
}

/// From the first row to the last; `None`: there is none.
pub(super) async fn whole_range(readers: &SqlitePool) -> Result<Option<Range>, sqlx::Error> {
    // One after the other: both at once would be a look at all rows.
    let ends: (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT (SELECT min(rowid) FROM request_logs), (SELECT max(rowid) FROM request_logs)")
            .fetch_one(readers)
            .await?;
    Ok(ends.0.zip(ends.1).map(|(first, last)| Range { first, last }))
}

/// The lowest row id that a row of this time or later can have.
pub(super) async fn first_at(readers: &SqlitePool, from: String) -> Result<Option<i64>, sqlx::Error> {
    let first: Option<i64> = sqlx::query_scalar(
        "SELECT min(rowid) FROM (SELECT rowid FROM request_logs INDEXED BY idx_request_logs_timestamp \
         WHERE timestamp >= ? ORDER BY timestamp LIMIT ?)",
    )
    .bind(from)
    .bind(EDGE_ROWS)
    .fetch_one(readers)
    .await?;
    Ok(first.map(|first| first.saturating_sub(EDGE_SLACK_ROWS)))
}

/// The highest row id that a row of this time or earlier can have.
pub(super) async fn last_at(readers: &SqlitePool, to: String) -> Result<Option<i64>, sqlx::Error> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(rowid) FROM (SELECT rowid FROM request_logs INDEXED BY idx_request_logs_timestamp \
         WHERE timestamp <= ? ORDER BY timestamp DESC LIMIT ?)",
    )
    .bind(to)
    .bind(EDGE_ROWS)
    .fetch_one(readers)
    .await?;
    Ok(last.map(|last| last.saturating_add(EDGE_SLACK_ROWS)))
}

/// How many rows a term's index finds, counted up to `most` and one more.
pub(super) async fn probe(readers: &SqlitePool, term: &Term, range: Range, most: i64) -> Result<i64, sqlx::Error> {
    let Some(index) = term.index else { return Ok(most + 1) };
    let mut statement = QueryBuilder::new("SELECT count(*) FROM (SELECT 1 FROM request_logs INDEXED BY ");
    statement.push(index.name);
    push_range(&mut statement, range);
    statement.push(" AND ");
    term.push(&mut statement, range, true);
    statement.push(" LIMIT ").push_bind(most + 1).push(")");
    statement.build_query_scalar().persistent(false).fetch_one(readers).await
}

/// Row ids that match, the highest first: up to `limit` behind the first `offset`.
pub(super) async fn window(
    readers: &SqlitePool,
    scan: &Scan,
    range: Range,
    offset: u64,
    limit: usize,
) -> Result<Vec<i64>, sqlx::Error> {
    // One text instead of a row of the driver for each id.
    let mut statement = QueryBuilder::new("SELECT json_group_array(id) FROM (SELECT rowid AS id");
    scan.push_from(&mut statement, range);
    statement.push(" ORDER BY rowid DESC LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    statement.push(" OFFSET ").push_bind(i64::try_from(offset).unwrap_or(i64::MAX)).push(")");
    row_ids(statement, readers).await
}

pub(super) async fn count(readers: &SqlitePool, scan: &Scan, range: Range) -> Result<u64, sqlx::Error> {
    let mut statement = QueryBuilder::new("SELECT count(*)");
    scan.push_from(&mut statement, range);
    let count: i64 = statement.build_query_scalar().persistent(false).fetch_one(readers).await?;
    Ok(count.unsigned_abs())
}

/// Of each key, the highest row id that matches, in the order of the hashes.
pub(super) async fn newest_of_each_key(
    readers: &SqlitePool,
    scan: &Scan,
    range: Range,
) -> Result<Vec<i64>, sqlx::Error> {
    let mut statement =
        QueryBuilder::new("SELECT json_group_array(id) FROM (SELECT max(rowid) AS id, key_hash AS hash");
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

async fn row_ids(mut statement: QueryBuilder<Sqlite>, readers: &SqlitePool) -> Result<Vec<i64>, sqlx::Error> {
    let text: String = statement.build_query_scalar().persistent(false).fetch_one(readers).await?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The values of an indexed column that contain `part`, each found by a jump within the index; `None`: there are too
/// many to tell.
pub(super) async fn values_with(
    readers: &SqlitePool,
    column: &'static str,
    only: &'static str,
    part: &str,
    most: usize,
) -> Result<Option<Vec<String>>, sqlx::Error> {
    let and_only = if only.is_empty() { String::new() } else { format!(" AND {only}") };
    let mut statement = QueryBuilder::new(format!(
        "WITH RECURSIVE known(value, number) AS (\
           SELECT (SELECT min({column}) FROM request_logs WHERE {column} >= ''{and_only}), 1 UNION ALL \
           SELECT (SELECT min({column}) FROM request_logs WHERE {column} > known.value{and_only}), number + 1 \
           FROM known WHERE value IS NOT NULL AND number <= {VALUES_SEEN_MAX}) \
         SELECT json_group_array(value) FILTER (WHERE value LIKE "
    ));
    statement.push_bind(pattern(part)).push(" ESCAPE '\\'), max(number) FROM known WHERE value IS NOT NULL");
    let (values, seen): (String, Option<i64>) = statement.build_query_as().persistent(false).fetch_one(readers).await?;
    if seen.unwrap_or_default() > VALUES_SEEN_MAX {
        return Ok(None);
    }
    let values: Vec<String> = serde_json::from_str(&values).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((values.len() <= most).then_some(values))
}

/// Whether requests came in through this group as an aggregate.
pub(super) async fn is_parent(readers: &SqlitePool, group_id: GroupId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM request_logs INDEXED BY idx_request_logs_parent_group_id \
         WHERE parent_group_id = ? AND parent_group_id <> 0)",
    )
    .bind(group_id)
    .fetch_one(readers)
    .await
}

/// Row ids between the first and the last that no row has.
pub(super) async fn gaps(readers: &SqlitePool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce((SELECT max(rowid) FROM request_logs) - (SELECT min(rowid) FROM request_logs) + 1 \
         - (SELECT count(*) FROM request_logs), 0)",
    )
    .fetch_one(readers)
    .await
}
