//! All SQL of the key pool.
//!
//! Where a statement of SQLite knows the hash or the id of what it wants, the group's condition is written `+group_id`:
//! otherwise it may take the index on the group, and read all of its keys for each lot. The servers know how common a value
//! is, and need no such hint.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use sea_query::{Expr, ExprTrait, Order, Query};
use serde::Serialize;

use super::{
    Failure, KEYS_PER_LOT,
    state::{KeyStatus, LastFailure, Statuses},
    stored::Sort,
};
use crate::{
    db::{self, ApiKeys, Engine, FromRow, Readers, Row as DbRow, Source, Sql, Timestamp, Transaction},
    group::GroupId,
};

/// Rows of one statement that inserts or changes many, where each value has a place of its own.
const ROWS_PER_STATEMENT: usize = 2_000;

/// Id, stored text and hash.
pub(super) type Stored = (i64, String, Option<String>);
/// Id, group, failures, stored text, hash.
pub(super) type ActiveKey = (i64, GroupId, i64, String, Option<String>);

/// What is shown of keys: their rows, and which of them follows.
const ROWS: &str = "SELECT id, key_value, key_hash, group_id, status, notes, request_count, failure_count, last_used_at, \
                    created_at, updated_at, out_since, failure_status, failure_message, failed_at FROM api_keys WHERE ";

pub(super) struct Row {
    pub(super) id: i64,
    pub(super) key_value: String,
    pub(super) key_hash: Option<String>,
    pub(super) group_id: GroupId,
    pub(super) status: String,
    pub(super) notes: Option<String>,
    pub(super) request_count: i64,
    pub(super) failure_count: i64,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    pub(super) out_since: Option<Timestamp>,
    pub(super) last_failure: Option<LastFailure>,
}

impl FromRow for Row {
    fn from_row(row: &DbRow) -> Result<Self, db::Error> {
        use ApiKeys as K;
        let failed_at: Option<Timestamp> = row.get(K::FailedAt.name())?;
        let status: Option<i64> = row.get(K::FailureStatus.name())?;
        let message: Option<String> = row.get(K::FailureMessage.name())?;
        let status_code = status.and_then(|status| u16::try_from(status).ok());
        let failure = Failure { status_code, message: message.unwrap_or_default() };
        Ok(Self {
            id: row.get(K::Id.name())?,
            key_value: row.get(K::KeyValue.name())?,
            key_hash: row.get(K::KeyHash.name())?,
            group_id: row.get(K::GroupId.name())?,
            status: row.get(K::Status.name())?,
            notes: row.get(K::Notes.name())?,
            request_count: row.get(K::RequestCount.name())?,
            failure_count: row.get(K::FailureCount.name())?,
            last_used_at: row.get(K::LastUsedAt.name())?,
            created_at: row.get(K::CreatedAt.name())?,
            updated_at: row.get(K::UpdatedAt.name())?,
            out_since: row.get(K::OutSince.name())?,
            last_failure: failed_at.map(|at| LastFailure { failure, at }),
        })
    }
}

/// Which keys of a group are meant.
#[derive(Debug, Clone)]
pub(super) struct Matching {
    group_id: GroupId,
    statuses: Statuses,
    hash: Option<String>,
    /// Only these.
    ids: Option<Vec<i64>>,
}

impl Matching {
    pub(super) fn of(group_id: GroupId, statuses: impl Into<Statuses>, hash: Option<String>) -> Self {
        Self { group_id, statuses: statuses.into(), hash, ids: None }
    }

    /// Of those that match until now only these.
    pub(super) fn among(self, mut ids: Vec<i64>) -> Self {
        if let Some(before) = &self.ids {
            let before: HashSet<i64> = before.iter().copied().collect();
            ids.retain(|id| before.contains(id));
        }
        Self { ids: Some(ids), ..self }
    }

    fn push_to(&self, sql: &mut Sql) {
        let engine = sql.engine();
        let is_found_otherwise = self.hash.is_some() || self.ids.is_some();
        sql.push(if engine.is_sqlite() && is_found_otherwise { "+group_id = " } else { "group_id = " });
        sql.push_value(self.group_id);
        if let Some(hash) = &self.hash {
            sql.push(" AND key_hash = ").push_value(&**hash);
        }
        // By group and status there is an index; a hash or an id is found by a better one.
        let column = if engine.is_sqlite() && is_found_otherwise { " AND +status " } else { " AND status " };
        match self.statuses {
            Statuses::All => {}
            Statuses::Only(status) => {
                sql.push(column).push("= ").push_value(status.name());
            }
            Statuses::AllBut(status) => {
                sql.push(column).push("<> ").push_value(status.name());
            }
        }
        if let Some(ids) = &self.ids {
            sql.push(" AND id");
            push_ids(sql, ids);
        }
    }
}

/// Among ids, however many: MySQL has places for 65,535 values, so there they stand in the text, being numbers.
fn push_ids(sql: &mut Sql, ids: &[i64]) {
    if !matches!(sql.engine(), Engine::MySql(_)) || ids.is_empty() {
        sql.push_among(ids);
        return;
    }
    let mut list = String::with_capacity(ids.len() * 8);
    for id in ids {
        // Writing to a string cannot fail.
        let _ = write!(list, "{}{id}", if list.is_empty() { "" } else { "," });
    }
    sql.push(" IN (").push(&list).push(")");
}

/// The keys of a group that some hashes name: `before` and what they are.
pub(super) fn by_hash(engine: Engine, before: &'static str, group_id: GroupId, hashes: &[String]) -> Sql {
    let mut sql = Sql::new(engine, before);
    sql.push(if engine.is_sqlite() { "+group_id = " } else { "group_id = " }).push_value(group_id);
    sql.push(" AND key_hash").push_among(hashes);
    sql
}

/// As one text where the engine can make it: a row of the driver for each of a million keys would take longer than all the
/// rest of the start.
pub(super) enum ActiveKeys {
    Json(String),
    Rows(Vec<ActiveKey>),
}

/// Active keys above an id, in the order of their ids, and the last id.
pub(super) async fn active_keys_above(
    readers: &Readers,
    id: i64,
    limit: u32,
) -> Result<(Option<i64>, ActiveKeys), db::Error> {
    let engine = readers.engine();
    if !engine.is_sqlite() {
        let text = "SELECT id, group_id, failure_count, key_value, key_hash FROM api_keys \
                    WHERE id > ? AND status = 'active' ORDER BY id LIMIT ?";
        let rows: Vec<ActiveKey> = readers.all(Sql::new(engine, text).bind(id).bind(limit)).await?;
        return Ok((rows.last().map(|(id, ..)| *id), ActiveKeys::Rows(rows)));
    }
    // `+status`: in the order of the table, which is that of the ids.
    let text = "SELECT max(id), json_group_array(json_array(id, group_id, failure_count, CAST(key_value AS TEXT), key_hash)) \
                FROM (SELECT * FROM api_keys WHERE id > ? AND +status = 'active' ORDER BY id LIMIT ?)";
    let (last_id, keys) = readers.one(Sql::new(engine, text).bind(id).bind(limit)).await?;
    Ok((last_id, ActiveKeys::Json(keys)))
}

/// Texts and hashes of some keys, the oldest and the newest: a table that two passphrases wrote has both kinds.
pub(super) async fn sample(readers: &Readers, limit: u64) -> Result<Vec<(String, String)>, db::Error> {
    Ok(sample_of_ends(readers, limit).await?.concat())
}

/// The same, apart.
pub(super) async fn sample_of_ends(readers: &Readers, limit: u64) -> Result<[Vec<(String, String)>; 2], db::Error> {
    let mut ends = [Vec::new(), Vec::new()];
    for (end, order) in ends.iter_mut().zip([Order::Asc, Order::Desc]) {
        let mut select = Query::select();
        select
            .columns([ApiKeys::KeyValue, ApiKeys::KeyHash])
            .from(ApiKeys::Table)
            .and_where(Expr::col(ApiKeys::KeyHash).ne(""))
            .and_where(Expr::col(ApiKeys::KeyValue).ne(""))
            .order_by(ApiKeys::Id, order)
            .limit(limit);
        *end = readers.all(Sql::built(readers.engine(), &select)).await?;
    }
    Ok(ends)
}

pub(super) async fn count(readers: &Readers, matching: &Matching) -> Result<u64, db::Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT count(*) FROM api_keys WHERE ");
    matching.push_to(&mut sql);
    Ok(readers.value::<i64>(sql).await?.unsigned_abs())
}

/// Of each group with keys, how many it has. The index on the group has all that is needed.
pub(super) async fn totals(readers: &Readers) -> Result<Vec<(GroupId, u64)>, db::Error> {
    let sql = Sql::new(readers.engine(), "SELECT group_id, count(*) FROM api_keys GROUP BY group_id");
    let rows: Vec<(GroupId, i64)> = readers.all(sql).await?;
    Ok(rows.into_iter().map(|(id, count)| (id, count.unsigned_abs())).collect())
}

/// Of each group, or of one, how many keys have each status but the active one. The index of groups and states has all that
/// is needed.
pub(super) async fn out_by_status(
    readers: &Readers,
    group_id: Option<GroupId>,
) -> Result<Vec<(GroupId, String, u64)>, db::Error> {
    let engine = readers.engine();
    let condition = if group_id.is_some() { " AND group_id = ?" } else { "" };
    let part = |is_out: &str| {
        format!(
            "SELECT group_id, status, count(*) FROM api_keys WHERE status {is_out} 'active'{condition} \
             GROUP BY group_id, status"
        )
    };
    let mut sql = Sql::made(engine, format!("{} UNION ALL {}", part("<"), part(">")));
    if let Some(id) = group_id {
        sql = sql.bind(id).bind(id);
    }
    let rows: Vec<(GroupId, String, i64)> = readers.all(sql).await?;
    Ok(rows.into_iter().map(|(id, status, count)| (id, status, count.unsigned_abs())).collect())
}

/// `total` of them match: the second half of a long list is read from its end, which is nearer.
pub(super) async fn page(
    readers: &Readers,
    matching: &Matching,
    sort: Sort,
    (offset, limit): (u64, u64),
    total: u64,
) -> Result<Vec<Row>, db::Error> {
    let engine = readers.engine();
    let column = sort.by.column().name();
    let count = Ord::min(limit, total.saturating_sub(offset));
    let behind = total.saturating_sub(offset).saturating_sub(count);
    let is_nearer_to_the_end = behind < offset;
    let (offset, limit) = if is_nearer_to_the_end { (behind, count) } else { (offset, limit) };
    // What never happened is the earliest; PostgreSQL takes it for the latest.
    let (direction, nulls) = match (sort.is_descending != is_nearer_to_the_end, engine) {
        (true, Engine::PostgreSql) => ("DESC", " NULLS LAST"),
        (false, Engine::PostgreSql) => ("ASC", " NULLS FIRST"),
        (true, _) => ("DESC", ""),
        (false, _) => ("ASC", ""),
    };
    let order = format!(" ORDER BY {column} {direction}{nulls}, id {direction}");
    // Beyond what an engine can count to there is nothing anyway.
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut sql = Sql::new(engine, ROWS);
    if engine.is_sqlite() {
        // First the ids alone, so that whole rows are neither sorted nor skipped.
        sql.push("id IN (SELECT id FROM api_keys WHERE ");
        matching.push_to(&mut sql);
        sql.push(&order).push(" LIMIT ").push_value(limit).push(" OFFSET ").push_value(offset).push(")");
        sql.push(&order);
    } else {
        matching.push_to(&mut sql);
        sql.push(&order).push(" LIMIT ").push_value(limit).push(" OFFSET ").push_value(offset);
    }
    let mut rows = readers.all(sql).await?;
    if is_nearer_to_the_end {
        rows.reverse();
    }
    Ok(rows)
}

/// One key.
pub(super) async fn row(readers: &Readers, id: i64) -> Result<Row, db::Error> {
    let mut sql = Sql::new(readers.engine(), ROWS);
    sql.push("id = ").push_value(id);
    readers.one(sql).await
}

/// Some keys, in the order of their groups and ids.
pub(super) async fn rows(readers: &Readers, ids: &[i64]) -> Result<Vec<Row>, db::Error> {
    let mut sql = Sql::new(readers.engine(), ROWS);
    sql.push("id");
    push_ids(&mut sql, ids);
    sql.push(" ORDER BY group_id, id");
    readers.all(sql).await
}

/// The next ones in the order of their ids.
pub(super) async fn rows_above(
    readers: &Readers,
    matching: &Matching,
    above_id: i64,
    limit: u64,
) -> Result<Vec<Row>, db::Error> {
    let mut sql = Sql::new(readers.engine(), ROWS);
    matching.push_to(&mut sql);
    sql.push(" AND id > ").push_value(above_id).push(" ORDER BY id LIMIT ");
    sql.push_value(i64::try_from(limit).unwrap_or(i64::MAX));
    readers.all(sql).await
}

/// The ids of the keys with this hash, of whichever groups.
pub(super) async fn ids_of_hash(readers: &Readers, hash: &str, limit: usize) -> Result<Vec<i64>, db::Error> {
    let sql = Sql::new(readers.engine(), "SELECT id FROM api_keys WHERE key_hash = ? ORDER BY id LIMIT ?");
    readers.values(sql.bind(hash).bind(i64::try_from(limit).unwrap_or(i64::MAX))).await
}

/// How many keys match, and the highest id among them.
pub(super) async fn extent(readers: &Readers, matching: &Matching) -> Result<(u64, i64), db::Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT count(*), max(id) FROM api_keys WHERE ");
    matching.push_to(&mut sql);
    // MySQL would make a decimal number of a choice between an id and a zero.
    let (count, last_id): (i64, Option<i64>) = readers.one(sql).await?;
    Ok((count.unsigned_abs(), last_id.unwrap_or_default()))
}

/// The next keys of a group that a search looks through, in the order of their ids: the last id, all ids as a JSON list,
/// and as another one those with notes, with them. Three texts for thousands of keys: a row of SQLite's driver for each
/// would take longer than all the rest of the search.
pub(super) async fn searched_above(
    readers: &Readers,
    group_id: GroupId,
    status: Option<KeyStatus>,
    hash: Option<&str>,
    above_id: i64,
    limit: u32,
) -> Result<(Option<i64>, String, String), db::Error> {
    let engine = readers.engine();
    if engine.is_sqlite() {
        let sql = Sql::new(
            engine,
            "SELECT max(id), json_group_array(id), json_group_array(json_array(id, notes)) FILTER (WHERE notes <> '') \
             FROM (SELECT id, notes FROM api_keys WHERE group_id = ?1 AND id > ?2 AND (?3 IS NULL OR +status = ?3) \
                   AND (?4 IS NULL OR +key_hash = ?4) ORDER BY id LIMIT ?5)",
        );
        let sql = sql.bind(group_id).bind(above_id).bind(status.map(KeyStatus::name)).bind(hash).bind(limit);
        return readers.one(sql).await;
    }
    let mut sql = Sql::new(engine, "SELECT id, notes FROM api_keys WHERE ");
    Matching::of(group_id, status, hash.map(str::to_owned)).push_to(&mut sql);
    sql.push(" AND id > ").push_value(above_id).push(" ORDER BY id LIMIT ").push_value(limit);
    let rows: Vec<(i64, Option<String>)> = readers.all(sql).await?;
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    let noted: Vec<_> =
        rows.iter().filter(|(_, notes)| notes.as_ref().is_some_and(|notes| !notes.is_empty())).collect();
    Ok((ids.last().copied(), json(&ids), json(&noted)))
}

/// Id, stored text and hash of these keys, as a JSON list of lists.
pub(super) async fn texts_of(readers: &Readers, ids: &[i64]) -> Result<String, db::Error> {
    if readers.engine().is_sqlite() {
        let sql = Sql::new(
            readers.engine(),
            "SELECT json_group_array(json_array(id, CAST(key_value AS TEXT), key_hash)) FROM api_keys \
             WHERE id IN (SELECT value FROM json_each(?))",
        );
        return readers.value(sql.bind(json(ids))).await;
    }
    Ok(json(&stored_of(readers, ids).await?))
}

/// The same as rows.
pub(super) async fn stored_of(readers: &Readers, ids: &[i64]) -> Result<Vec<Stored>, db::Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT id, key_value, key_hash FROM api_keys WHERE id");
    push_ids(&mut sql, ids);
    readers.all(sql).await
}

/// Id, state and failures of some keys.
pub(super) type KeyState = (i64, String, i64);

/// The states of these keys, as far as the group has them.
pub(super) async fn states_of(source: impl Source, group_id: GroupId, ids: &[i64]) -> Result<Vec<KeyState>, db::Error> {
    let mut sql = Sql::new(source.engine(), "SELECT id, status, failure_count FROM api_keys WHERE ");
    Matching::of(group_id, Statuses::All, None).among(ids.to_vec()).push_to(&mut sql);
    source.all(sql).await
}

/// The states of a group's next keys above an id and up to another, in their order.
pub(super) async fn states_between(
    readers: &Readers,
    group_id: GroupId,
    above_id: i64,
    last_id: i64,
    limit: u32,
) -> Result<Vec<KeyState>, db::Error> {
    let sql = Sql::new(
        readers.engine(),
        "SELECT id, status, failure_count FROM api_keys WHERE group_id = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
    );
    readers.all(sql.bind(group_id).bind(above_id).bind(last_id).bind(limit)).await
}

/// Groups that have keys.
pub(super) async fn groups_with_keys(readers: &Readers) -> Result<Vec<GroupId>, db::Error> {
    readers.values(Sql::new(readers.engine(), "SELECT DISTINCT group_id FROM api_keys")).await
}

/// Which of these hashes the group has.
pub(super) async fn known_hashes(
    source: impl Source,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<String>, db::Error> {
    let sql = by_hash(source.engine(), "SELECT key_hash FROM api_keys WHERE ", group_id, hashes);
    source.values(sql).await
}

/// The ids of those hashes that the group has.
pub(super) async fn ids_by_hash(
    readers: &Readers,
    group_id: GroupId,
    hashes: &[String],
) -> Result<HashMap<String, i64>, db::Error> {
    let mut ids = HashMap::new();
    for lot in hashes.chunks(KEYS_PER_LOT) {
        let sql = by_hash(readers.engine(), "SELECT key_hash, id FROM api_keys WHERE ", group_id, lot);
        ids.extend(readers.all::<(String, i64)>(sql).await?);
    }
    Ok(ids)
}

/// Stores new keys, given as stored text and hash. Returns their ids and hashes.
pub(super) async fn insert(
    transaction: &mut Transaction,
    group_id: GroupId,
    keys: &[(&str, &str)],
) -> Result<Vec<(i64, String)>, db::Error> {
    let now = Timestamp::now();
    let engine = transaction.engine();
    match engine {
        Engine::Sqlite => {
            let sql = Sql::new(
                engine,
                "INSERT INTO api_keys (key_value, key_hash, group_id, status, notes, created_at, updated_at) \
                 SELECT value ->> 0, value ->> 1, ?1, 'active', '', ?2, ?2 FROM json_each(?3) RETURNING id, key_hash",
            );
            transaction.all(sql.bind(group_id).bind(now).bind(json(keys))).await
        }
        Engine::PostgreSql => {
            let (values, hashes): (Vec<_>, Vec<_>) =
                keys.iter().map(|(value, hash)| ((*value).to_owned(), (*hash).to_owned())).unzip();
            let sql = Sql::new(
                engine,
                "INSERT INTO api_keys (group_id, status, notes, created_at, updated_at, key_value, key_hash) \
                 SELECT ?, 'active', '', ?, ?, * FROM unnest(?, ?) RETURNING id, key_hash",
            );
            let sql = sql.bind(group_id).bind(now).bind(now).bind_list(values).bind_list(hashes);
            transaction.all(sql).await
        }
        Engine::MySql(_) => {
            for lot in keys.chunks(ROWS_PER_STATEMENT) {
                let rows = vec!["(?, ?, ?, 'active', '', ?, ?)"; lot.len()].join(", ");
                let text = format!(
                    "INSERT INTO api_keys (key_value, key_hash, group_id, status, notes, created_at, updated_at) VALUES {rows}"
                );
                let mut sql = Sql::made(engine, text).once();
                for (value, hash) in lot {
                    sql = sql.bind(*value).bind(*hash).bind(group_id).bind(now).bind(now);
                }
                transaction.execute(sql).await?;
            }
            // It does not say which ids it gave; a group has each hash once.
            let hashes: Vec<String> = keys.iter().map(|(_, hash)| (*hash).to_owned()).collect();
            let sql = by_hash(engine, "SELECT id, key_hash FROM api_keys WHERE ", group_id, &hashes);
            transaction.all(sql).await
        }
    }
}

/// Returns the ids of what it deleted.
pub(super) async fn delete_by_hash(
    transaction: &mut Transaction,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<i64>, db::Error> {
    let engine = transaction.engine();
    if matches!(engine, Engine::MySql(_)) {
        let found = by_hash(engine, "SELECT id FROM api_keys WHERE ", group_id, hashes);
        let ids: Vec<i64> = transaction.values(found).await?;
        delete_by_id(transaction, &ids).await?;
        return Ok(ids);
    }
    let mut sql = by_hash(engine, "DELETE FROM api_keys WHERE ", group_id, hashes);
    sql.push(" RETURNING id");
    transaction.values(sql).await
}

pub(super) async fn delete_by_id(transaction: &mut Transaction, ids: &[i64]) -> Result<u64, db::Error> {
    let mut sql = Sql::new(transaction.engine(), "DELETE FROM api_keys WHERE id");
    push_ids(&mut sql, ids);
    Ok(transaction.execute(sql).await?.rows_affected)
}

pub(super) async fn delete_all_of(transaction: &mut Transaction, group_id: GroupId) -> Result<(), db::Error> {
    let sql = Sql::new(transaction.engine(), "DELETE FROM api_keys WHERE group_id = ?").bind(group_id);
    transaction.execute(sql).await?;
    Ok(())
}

/// Those that are invalid.
pub(super) async fn find_invalid(
    transaction: &mut Transaction,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<Stored>, db::Error> {
    let engine = transaction.engine();
    let mut sql = by_hash(engine, "SELECT id, key_value, key_hash FROM api_keys WHERE ", group_id, hashes);
    sql.push(if engine.is_sqlite() { " AND +status = 'invalid'" } else { " AND status = 'invalid'" });
    transaction.all(sql).await
}

/// The next keys of a group in the order of their ids.
pub(super) async fn lot(
    source: impl Source,
    group_id: GroupId,
    statuses: Statuses,
    above_id: i64,
    limit: usize,
) -> Result<Vec<Stored>, db::Error> {
    let mut sql = Sql::new(source.engine(), "SELECT id, key_value, key_hash FROM api_keys WHERE ");
    Matching::of(group_id, statuses, None).push_to(&mut sql);
    sql.push(" AND id > ").push_value(above_id).push(" ORDER BY id LIMIT ");
    sql.push_value(i64::try_from(limit).unwrap_or(i64::MAX));
    source.all(sql).await
}

/// Stores keys of a group as active without failures, but for those that were taken out by hand. Returns how many there are.
pub(super) async fn revive(transaction: &mut Transaction, group_id: GroupId, ids: &[i64]) -> Result<u64, db::Error> {
    revive_those(transaction, group_id, ids, Statuses::AllBut(KeyStatus::Disabled)).await
}

/// The same for keys that were taken out by hand, and for no others.
pub(super) async fn enable(transaction: &mut Transaction, group_id: GroupId, ids: &[i64]) -> Result<u64, db::Error> {
    revive_those(transaction, group_id, ids, Statuses::Only(KeyStatus::Disabled)).await
}

async fn revive_those(
    transaction: &mut Transaction,
    group_id: GroupId,
    ids: &[i64],
    statuses: Statuses,
) -> Result<u64, db::Error> {
    let text = "UPDATE api_keys SET status = 'active', failure_count = 0, out_since = NULL, updated_at = ? WHERE ";
    let mut sql = Sql::new(transaction.engine(), text).bind(Timestamp::now());
    Matching::of(group_id, statuses, None).among(ids.to_vec()).push_to(&mut sql);
    Ok(transaction.execute(sql).await?.rows_affected)
}

/// What a key's row shall say.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewState {
    pub(super) id: i64,
    pub(super) status: KeyStatus,
    pub(super) failure_count: i64,
    /// It was in rotation until now.
    pub(super) is_out_now: bool,
}

/// A key that was taken out by hand stays as it is.
pub(super) async fn store_states(transaction: &mut Transaction, states: &[NewState]) -> Result<(), db::Error> {
    let engine = transaction.engine();
    let now = Timestamp::now();
    match engine {
        Engine::Sqlite => {
            let state = |state: &NewState| (state.id, state.status.name(), state.failure_count, state.is_out_now);
            let states: Vec<_> = states.iter().map(state).collect();
            let sql = Sql::new(
                engine,
                "UPDATE api_keys SET status = changed.status, failure_count = changed.failures, updated_at = ?1, \
                     out_since = CASE WHEN changed.status = 'active' THEN NULL WHEN changed.is_out_now THEN ?1 ELSE out_since END \
                 FROM (SELECT value ->> 0 AS id, value ->> 1 AS status, value ->> 2 AS failures, value ->> 3 AS is_out_now \
                       FROM json_each(?2)) AS changed \
                 WHERE api_keys.id = changed.id AND +api_keys.status <> 'disabled'",
            );
            transaction.execute(sql.bind(now).bind(json(&states))).await?;
        }
        Engine::PostgreSql => {
            let sql = Sql::new(
                engine,
                "UPDATE api_keys SET status = changed.status, failure_count = changed.failures, updated_at = ?, \
                     out_since = CASE WHEN changed.status = 'active' THEN NULL WHEN changed.is_out_now THEN ? \
                                      ELSE out_since END \
                 FROM unnest(?, ?, ?, ?) AS changed (id, status, failures, is_out_now) \
                 WHERE api_keys.id = changed.id AND api_keys.status <> 'disabled'",
            );
            let sql = sql
                .bind(now)
                .bind(now)
                .bind_list(states.iter().map(|state| state.id).collect::<Vec<i64>>())
                .bind_list(states.iter().map(|state| state.status.name().to_owned()).collect::<Vec<String>>())
                .bind_list(states.iter().map(|state| state.failure_count).collect::<Vec<i64>>())
                .bind_list(states.iter().map(|state| state.is_out_now).collect::<Vec<bool>>());
            transaction.execute(sql).await?;
        }
        Engine::MySql(_) => {
            for lot in states.chunks(ROWS_PER_STATEMENT) {
                let rows =
                    vec!["SELECT ? AS id, ? AS status, ? AS failures, ? AS is_out_now"; lot.len()].join(" UNION ALL ");
                let text = format!(
                    "UPDATE api_keys JOIN ({rows}) AS changed ON api_keys.id = changed.id \
                     SET api_keys.status = changed.status, api_keys.failure_count = changed.failures, api_keys.updated_at = ?, \
                         api_keys.out_since = CASE WHEN changed.status = 'active' THEN NULL WHEN changed.is_out_now = 1 THEN ? \
                                                   ELSE api_keys.out_since END \
                     WHERE api_keys.status <> 'disabled'"
                );
                let mut sql = Sql::made(engine, text).once();
                for state in lot {
                    sql = sql.bind(state.id).bind(state.status.name()).bind(state.failure_count);
                    sql = sql.bind(i64::from(state.is_out_now));
                }
                transaction.execute(sql.bind(now).bind(now)).await?;
            }
        }
    }
    Ok(())
}

/// What went wrong with keys last. There are few of them at once: each has a statement of its own.
pub(super) async fn store_failures(
    transaction: &mut Transaction,
    failures: &HashMap<i64, (Failure, Timestamp)>,
) -> Result<(), db::Error> {
    let engine = transaction.engine();
    // In one order, so that two nodes never wait for each other.
    let mut ids: Vec<&i64> = failures.keys().collect();
    ids.sort_unstable();
    for id in ids {
        let (Failure { status_code, message }, at) = &failures[id];
        let text = "UPDATE api_keys SET failure_status = ?, failure_message = ?, failed_at = ? WHERE id = ?";
        let sql = Sql::new(engine, text).bind(status_code.map(i64::from)).bind(&**message).bind(*at).bind(*id);
        transaction.execute(sql).await?;
    }
    Ok(())
}

/// Takes keys of a group out by hand. Returns how many were not out so before.
pub(super) async fn disable(transaction: &mut Transaction, group_id: GroupId, ids: &[i64]) -> Result<u64, db::Error> {
    let now = Timestamp::now();
    let text = "UPDATE api_keys SET status = 'disabled', out_since = ?, updated_at = ? WHERE ";
    let mut sql = Sql::new(transaction.engine(), text).bind(now).bind(now);
    let matching = Matching::of(group_id, Statuses::AllBut(KeyStatus::Disabled), None);
    matching.among(ids.to_vec()).push_to(&mut sql);
    Ok(transaction.execute(sql).await?.rows_affected)
}

/// Which of these keys the group has, in the order of their ids.
pub(super) async fn ids_among(source: impl Source, group_id: GroupId, ids: &[i64]) -> Result<Vec<i64>, db::Error> {
    let mut sql = Sql::new(source.engine(), "SELECT id FROM api_keys WHERE ");
    Matching::of(group_id, Statuses::All, None).among(ids.to_vec()).push_to(&mut sql);
    sql.push(" ORDER BY id");
    source.values(sql).await
}

/// Keys as they are stored.
pub(super) async fn stored(source: impl Source, matching: &Matching) -> Result<Vec<Stored>, db::Error> {
    let mut sql = Sql::new(source.engine(), "SELECT id, key_value, key_hash FROM api_keys WHERE ");
    matching.push_to(&mut sql);
    source.all(sql).await
}

/// How many of these keys have each status.
pub(super) async fn count_by_status(
    readers: &Readers,
    group_id: GroupId,
    ids: &[i64],
) -> Result<Vec<(String, u64)>, db::Error> {
    let engine = readers.engine();
    let mut sql = Sql::new(engine, "SELECT status, count(*) FROM api_keys WHERE ");
    Matching::of(group_id, Statuses::All, None).among(ids.to_vec()).push_to(&mut sql);
    sql.push(if engine.is_sqlite() { " GROUP BY +status" } else { " GROUP BY status" });
    let counts: Vec<(String, i64)> = readers.all(sql).await?;
    Ok(counts.into_iter().map(|(status, count)| (status, count.unsigned_abs())).collect())
}

/// How many of these keys another group has as well.
pub(super) async fn count_also_in(readers: &Readers, group_id: GroupId, ids: &[i64]) -> Result<u64, db::Error> {
    let engine = readers.engine();
    let text = "SELECT count(*) FROM api_keys WHERE EXISTS (SELECT 1 FROM api_keys AS known \
                WHERE known.key_hash = api_keys.key_hash AND ";
    let mut sql = Sql::new(engine, text);
    sql.push(if engine.is_sqlite() { "+known.group_id = " } else { "known.group_id = " });
    sql.push_value(group_id).push(") AND id");
    push_ids(&mut sql, ids);
    Ok(readers.value::<i64>(sql).await?.unsigned_abs())
}

/// How many of these keys have other notes.
pub(super) async fn count_noted_otherwise(readers: &Readers, ids: &[i64], notes: &str) -> Result<u64, db::Error> {
    let text = "SELECT count(*) FROM api_keys WHERE coalesce(notes, '') <> ? AND id";
    let mut sql = Sql::new(readers.engine(), text).bind(notes);
    push_ids(&mut sql, ids);
    Ok(readers.value::<i64>(sql).await?.unsigned_abs())
}

/// A key on its way into another group.
pub(super) struct MovedKey {
    pub(super) id: i64,
    pub(super) text: String,
    pub(super) hash: Option<String>,
    pub(super) status: String,
    pub(super) failure_count: i64,
}

pub(super) async fn moved(source: impl Source, matching: &Matching) -> Result<Vec<MovedKey>, db::Error> {
    let text = "SELECT id, key_value, key_hash, status, failure_count FROM api_keys WHERE ";
    let mut sql = Sql::new(source.engine(), text);
    matching.push_to(&mut sql);
    sql.push(" ORDER BY id");
    let rows: Vec<(i64, String, Option<String>, String, i64)> = source.all(sql).await?;
    let key = |(id, text, hash, status, failure_count)| MovedKey { id, text, hash, status, failure_count };
    Ok(rows.into_iter().map(key).collect())
}

pub(super) async fn move_to(transaction: &mut Transaction, group_id: GroupId, ids: &[i64]) -> Result<(), db::Error> {
    let text = "UPDATE api_keys SET group_id = ?, updated_at = ? WHERE id";
    let mut sql = Sql::new(transaction.engine(), text).bind(group_id).bind(Timestamp::now());
    push_ids(&mut sql, ids);
    transaction.execute(sql).await?;
    Ok(())
}

/// Returns how many had other notes.
pub(super) async fn set_notes_of(
    transaction: &mut Transaction,
    group_id: GroupId,
    ids: &[i64],
    notes: &str,
) -> Result<u64, db::Error> {
    let engine = transaction.engine();
    let mut sql = Sql::new(engine, "UPDATE api_keys SET notes = ?, updated_at = ? WHERE ");
    sql = sql.bind(notes).bind(Timestamp::now());
    Matching::of(group_id, Statuses::All, None).among(ids.to_vec()).push_to(&mut sql);
    sql.push(" AND coalesce(notes, '') <> ").push_value(notes);
    Ok(transaction.execute(sql).await?.rows_affected)
}

/// False: there is no such key.
pub(super) async fn set_notes(transaction: &mut Transaction, id: i64, notes: &str) -> Result<bool, db::Error> {
    let sql = Sql::new(transaction.engine(), "UPDATE api_keys SET notes = ?, updated_at = ? WHERE id = ?");
    Ok(transaction.execute(sql.bind(notes).bind(Timestamp::now()).bind(id)).await?.rows_affected > 0)
}

/// A list of plain values always has a text.
fn json(values: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(values).unwrap_or_default()
}
