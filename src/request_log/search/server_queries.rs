//! All SQL of a search on a server: entries by their times and ids, the newest first.

use std::time::Duration;

use super::Cursor;
use crate::{
    db::{Engine, Error, Readers, Source as _, Sql, Timestamp},
    group::GroupId,
};

/// Different values of a column that are looked through for those with a part in common.
const VALUES_SEEN_MAX: i64 = 20_000;
/// What makes a wildcard of a pattern mean itself: not the backslash, which means something to MySQL already.
const ESCAPE: char = '!';

/// One condition. All of the same filter must hold.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) column: &'static str,
    pub(super) test: Test,
    /// The condition of a partial index of PostgreSQL, which it uses for a statement that repeats it.
    pub(super) only: &'static str,
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    Text(String),
    Integer(i64),
    Flag(bool),
    Among(Vec<String>),
    Between(String, String),
    Contains(String),
    From(Timestamp),
    To(Timestamp),
    /// The group that served, or the aggregate that was asked.
    OfGroup(GroupId),
    /// Those of an aggregate that did not come in through it: that it refused itself.
    OfAggregateAlone(GroupId),
}

impl Condition {
    pub(super) fn new(column: &'static str, test: Test) -> Self {
        Self { column, test, only: "" }
    }

    pub(super) fn only(self, only: &'static str) -> Self {
        Self { only, ..self }
    }

    fn push(&self, sql: &mut Sql) {
        let column = self.column;
        match &self.test {
            Test::Text(text) => {
                sql.push(column).push(" = ").push_value(&**text);
                if let Engine::MySql(_) = sql.engine() {
                    // Its collations take letters of both cases for one.
                    sql.push(&format!(" AND CAST({column} AS BINARY) = CAST(")).push_value(&**text).push(" AS BINARY)");
                }
            }
            Test::Integer(number) => {
                sql.push(column).push(" = ").push_value(*number);
            }
            Test::Flag(flag) => {
                // A constant, as partial indexes want it.
                sql.push(column).push(if *flag { " = true" } else { " = false" });
            }
            Test::Among(values) => match &**values {
                // A list has no order of its own for an index to go along.
                [value] => {
                    sql.push(column).push(" = ").push_value(&**value);
                }
                values => {
                    sql.push(column).push_among(values);
                }
            },
            Test::Between(from, to) => {
                sql.push(column).push(" BETWEEN ").push_value(&**from).push(" AND ").push_value(&**to);
            }
            Test::Contains(part) => {
                let like = sql.engine().like();
                sql.push(&format!("{column} {like} ")).push_value(pattern(part)).push(&format!(" ESCAPE '{ESCAPE}'"));
            }
            Test::From(time) => {
                sql.push(column).push(" >= ").push_value(*time);
            }
            Test::To(time) => {
                sql.push(column).push(" <= ").push_value(*time);
            }
            Test::OfGroup(id) => {
                sql.push("(group_id = ").push_value(*id).push(" OR parent_group_id = ").push_value(*id).push(")");
            }
            Test::OfAggregateAlone(id) => {
                sql.push("group_id = ").push_value(*id).push(" AND (parent_group_id IS NULL OR parent_group_id <> ");
                sql.push_value(*id).push(")");
            }
        }
        if !self.only.is_empty() {
            sql.push(" AND ").push(self.only);
        }
    }
}

/// A part of a text for `LIKE`: what it would take for a wildcard means itself.
fn pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn push_all(sql: &mut Sql, conditions: &[Condition]) {
    for (at, condition) in conditions.iter().enumerate() {
        sql.push(if at == 0 { " WHERE " } else { " AND " });
        condition.push(sql);
    }
}

/// Which entries a page has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) below: Option<&'a Cursor>,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

/// The entries that fulfil all conditions and those of any branch, the newest first. Each branch goes along an index of its
/// own, from its newest entry, and has no entry in common with another.
pub(super) async fn page(
    readers: &Readers,
    branches: &[Vec<Condition>],
    part: Part<'_>,
    time_max: Duration,
) -> Result<Vec<(String, Timestamp)>, Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT id, timestamp FROM ");
    let limit = part.offset.saturating_add(part.limit);
    if let [conditions] = branches {
        sql.push("request_logs");
        push_page(&mut sql, conditions, part.below);
    } else {
        for (at, conditions) in branches.iter().enumerate() {
            sql.push(if at == 0 { "(" } else { " UNION ALL " });
            sql.push("(SELECT id, timestamp FROM request_logs");
            push_page(&mut sql, conditions, part.below);
            sql.push(" LIMIT ").push_value(limit).push(")");
        }
        sql.push(") AS found ORDER BY timestamp DESC, id DESC");
    }
    sql.push(" LIMIT ").push_value(part.limit).push(" OFFSET ").push_value(part.offset);
    readers.all(sql.once().within(time_max)).await
}

fn push_page(sql: &mut Sql, conditions: &[Condition], below: Option<&Cursor>) {
    push_all(sql, conditions);
    if let Some(Cursor::Entry { time, id }) = below {
        sql.push(if conditions.is_empty() { " WHERE " } else { " AND " });
        sql.push("timestamp <= ").push_value(*time).push(" AND (timestamp < ").push_value(*time);
        sql.push(" OR id < ").push_value(&**id).push(")");
    }
    sql.push(" ORDER BY timestamp DESC, id DESC");
}

/// How many entries fulfil all conditions, counted up to `most`.
pub(super) async fn count(
    readers: &Readers,
    conditions: &[Condition],
    most: i64,
    time_max: Duration,
) -> Result<i64, Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT count(*) FROM (SELECT 1 AS one FROM request_logs");
    push_all(&mut sql, conditions);
    sql.push(" LIMIT ").push_value(most).push(") AS found");
    readers.value(sql.once().within(time_max)).await
}

/// From the first time, and before the second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

fn push_slices(sql: &mut Sql, conditions: &[Condition], slices: &[Slice]) {
    sql.push(if conditions.is_empty() { " WHERE (" } else { " AND (" });
    for (at, slice) in slices.iter().enumerate() {
        sql.push(if at == 0 { "" } else { " OR " });
        sql.push("(timestamp >= ").push_value(slice.from).push(" AND timestamp < ").push_value(slice.to).push(")");
    }
    sql.push(")");
}

/// How many entries in any of the slices fulfil all conditions, counted up to `most`.
pub(super) async fn count_slices(
    readers: &Readers,
    conditions: &[Condition],
    slices: &[Slice],
    most: i64,
    time_max: Duration,
) -> Result<i64, Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT count(*) FROM (SELECT 1 AS one FROM request_logs");
    push_all(&mut sql, conditions);
    push_slices(&mut sql, conditions, slices);
    sql.push(" LIMIT ").push_value(most).push(") AS found");
    readers.value(sql.once().within(time_max)).await
}

/// What `columns` say of each entry that fulfils all conditions, and is in any of the slices where there are some.
pub(super) fn read(
    engine: Engine,
    columns: &str,
    conditions: &[Condition],
    slices: Option<&[Slice]>,
    most: i64,
) -> Sql {
    let mut sql = Sql::made(engine, format!("SELECT {columns} FROM request_logs"));
    push_all(&mut sql, conditions);
    if let Some(slices) = slices {
        push_slices(&mut sql, conditions, slices);
    }
    sql.push(" LIMIT ").push_value(most);
    sql
}

/// Of each key, the newest entry that fulfils all conditions, in the order of the hashes.
pub(super) async fn newest_of_each_key(
    readers: &Readers,
    conditions: &[Condition],
    time_max: Duration,
) -> Result<Vec<String>, Error> {
    // Along an index of hashes and times, where nothing else is asked.
    let mut sql = Sql::new(
        readers.engine(),
        "SELECT max(entry.id) FROM (SELECT key_hash, max(timestamp) AS last_at FROM request_logs",
    );
    push_all(&mut sql, conditions);
    sql.push(if conditions.is_empty() { " WHERE " } else { " AND " });
    sql.push("key_hash > '' GROUP BY key_hash) AS newest JOIN ");
    if conditions.is_empty() {
        sql.push("request_logs");
    } else {
        sql.push("(SELECT id, key_hash, timestamp FROM request_logs");
        push_all(&mut sql, conditions);
        sql.push(")");
    }
    sql.push(" AS entry ON entry.key_hash = newest.key_hash AND entry.timestamp = newest.last_at");
    sql.push(" GROUP BY newest.key_hash ORDER BY newest.key_hash");
    readers.values(sql.once().within(time_max)).await
}

/// The values of an indexed column; `None`: there are too many to tell.
pub(super) async fn values(
    readers: &Readers,
    column: &'static str,
    only: &'static str,
    time_max: Duration,
) -> Result<Option<Vec<String>>, Error> {
    let and_only = if only.is_empty() { String::new() } else { format!(" AND {only}") };
    let most = VALUES_SEEN_MAX + 1;
    let text = match readers.engine() {
        // Each value is found by a jump within the index, which MySQL does by itself.
        Engine::PostgreSql => format!(
            "SELECT value FROM (WITH RECURSIVE known(value, number) AS (\
               SELECT (SELECT min({column}) FROM request_logs WHERE {column} > ''{and_only}), 1 UNION ALL \
               SELECT (SELECT min({column}) FROM request_logs WHERE {column} > known.value{and_only}), number + 1 \
               FROM known WHERE value IS NOT NULL AND number < {most}) \
             SELECT value FROM known WHERE value IS NOT NULL) AS found"
        ),
        _ => format!("SELECT DISTINCT {column} FROM request_logs WHERE {column} > '' LIMIT {most}"),
    };
    let values: Vec<String> = readers.values(Sql::made(readers.engine(), text).within(time_max)).await?;
    Ok(i64::try_from(values.len()).is_ok_and(|seen| seen <= VALUES_SEEN_MAX).then_some(values))
}

/// Whether requests came in through this group as an aggregate.
pub(super) async fn is_parent(readers: &Readers, group_id: GroupId) -> Result<bool, Error> {
    let text = "SELECT 1 FROM request_logs WHERE parent_group_id = ? AND parent_group_id <> 0 LIMIT 1";
    let found: Option<(i64,)> = readers.optional(Sql::new(readers.engine(), text).bind(group_id)).await?;
    Ok(found.is_some())
}
