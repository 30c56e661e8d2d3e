//! All SQL of the key pool.
//!
//! Where a statement knows the hash or the id of what it wants, the group's condition is written `+group_id`: otherwise
//! SQLite may take the index on the group, and read all of its keys for each lot. A lot is bound as one JSON list: building
//! and binding a statement with thousands of values takes longer than running it.

use std::collections::HashMap;

use sea_query::{Asterisk, Cond, Expr, ExprTrait, Func, Order, Query};
use serde::Serialize;
use sqlx::{FromRow, Row as _, Sqlite, SqliteConnection, SqlitePool, Transaction, sqlite::SqliteRow};

use super::{KEYS_PER_LOT, KeyStatus, pool::Change, stored::Sort};
use crate::{
    db::{self, ApiKeys, Timestamp},
    group::GroupId,
};

/// Which keys of a group some hashes name.
macro_rules! among_hashes {
    () => {
        "+group_id = ? AND key_hash IN (SELECT value FROM json_each(?))"
    };
}

const KNOWN_HASHES: &str = concat!("SELECT key_hash FROM api_keys WHERE ", among_hashes!());
const IDS_BY_HASH: &str = concat!("SELECT key_hash, id FROM api_keys WHERE ", among_hashes!());
const INVALID_BY_HASH: &str =
    concat!("SELECT id, key_value, key_hash FROM api_keys WHERE ", among_hashes!(), " AND +status = 'invalid'");
const DELETE_BY_HASH: &str = concat!("DELETE FROM api_keys WHERE ", among_hashes!(), " RETURNING id");
#[cfg(test)]
pub(super) const ALL_BY_HASH: [&str; 4] = [KNOWN_HASHES, IDS_BY_HASH, INVALID_BY_HASH, DELETE_BY_HASH];

/// Id, stored text and hash.
pub(super) type Stored = (i64, String, Option<String>);

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
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use ApiKeys as K;
        Ok(Self {
            id: row.try_get(K::Id.name())?,
            key_value: row.try_get(K::KeyValue.name())?,
            key_hash: row.try_get(K::KeyHash.name())?,
            group_id: row.try_get(K::GroupId.name())?,
            status: row.try_get(K::Status.name())?,
            notes: row.try_get(K::Notes.name())?,
            request_count: row.try_get(K::RequestCount.name())?,
            failure_count: row.try_get(K::FailureCount.name())?,
            last_used_at: row.try_get(K::LastUsedAt.name())?,
            created_at: row.try_get(K::CreatedAt.name())?,
            updated_at: row.try_get(K::UpdatedAt.name())?,
        })
    }
}

/// Active keys above an id, as one text of JSON lists: a row of the driver for each of a million keys would take
/// longer than all the rest of the start.
pub(super) async fn active_keys_above(
    readers: &SqlitePool,
    id: i64,
    limit: u32,
    with_hash: bool,
) -> Result<(Option<i64>, String), db::Error> {
    // `+status`: in the order of the table, which is that of the ids.
    let text = if with_hash {
        "SELECT max(id), json_group_array(json_array(id, group_id, failure_count, CAST(key_value AS TEXT), key_hash)) \
         FROM (SELECT * FROM api_keys WHERE id > ? AND +status = 'active' ORDER BY id LIMIT ?)"
    } else {
        "SELECT max(id), json_group_array(json_array(id, group_id, failure_count, CAST(key_value AS TEXT), NULL)) \
         FROM (SELECT * FROM api_keys WHERE id > ? AND +status = 'active' ORDER BY id LIMIT ?)"
    };
    Ok(sqlx::query_as(text).bind(id).bind(limit).fetch_one(readers).await?)
}

/// Texts and hashes of some keys, the oldest and the newest: a file that two passphrases wrote has both kinds.
pub(super) async fn sample(readers: &SqlitePool, limit: u64) -> Result<Vec<(String, String)>, db::Error> {
    let mut rows = Vec::new();
    for order in [Order::Asc, Order::Desc] {
        let (text, values) = db::build(
            Query::select()
                .columns([ApiKeys::KeyValue, ApiKeys::KeyHash])
                .from(ApiKeys::Table)
                .and_where(Expr::col(ApiKeys::KeyHash).ne(""))
                .and_where(Expr::col(ApiKeys::KeyValue).ne(""))
                .order_by(ApiKeys::Id, order)
                .limit(limit),
        );
        rows.extend(sqlx::query_as_with::<_, (String, String), _>(text, values).fetch_all(readers).await?);
    }
    Ok(rows)
}

pub(super) fn matching(group_id: GroupId, status: Option<KeyStatus>, hash: Option<String>) -> Cond {
    let group = match hash {
        Some(_) => Expr::cust("+group_id"),
        None => Expr::col(ApiKeys::GroupId),
    };
    Cond::all()
        .add(group.eq(group_id))
        .add_option(hash.map(|hash| Expr::col(ApiKeys::KeyHash).eq(hash)))
        .add_option(status.map(|status| Expr::cust("+status").eq(status.name())))
}

pub(super) async fn count(readers: &SqlitePool, condition: Cond) -> Result<u64, db::Error> {
    let (text, values) =
        db::build(Query::select().expr(Func::count(Expr::col(Asterisk))).from(ApiKeys::Table).cond_where(condition));
    let count: i64 = sqlx::query_scalar_with(text, values).fetch_one(readers).await?;
    Ok(count.unsigned_abs())
}

/// How many keys are not active: of all groups, or of one. The index of states has all that is needed for the former;
/// for the latter only such keys are looked up, which are few where there are many.
pub(super) async fn count_out_of_rotation(readers: &SqlitePool, group_id: Option<GroupId>) -> Result<u64, db::Error> {
    let text = match group_id {
        None => {
            "SELECT (SELECT count(*) FROM api_keys WHERE status < 'active') \
                  + (SELECT count(*) FROM api_keys WHERE status > 'active')"
        }
        Some(_) => {
            "SELECT (SELECT count(*) FROM api_keys WHERE status < 'active' AND +group_id = ?1) \
                  + (SELECT count(*) FROM api_keys WHERE status > 'active' AND +group_id = ?1)"
        }
    };
    let query = sqlx::query_scalar::<_, i64>(text);
    let query = if let Some(id) = group_id { query.bind(id) } else { query };
    Ok(query.fetch_one(readers).await?.unsigned_abs())
}

/// Of all groups.
pub(super) async fn count_all(readers: &SqlitePool) -> Result<u64, db::Error> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM api_keys").fetch_one(readers).await?;
    Ok(count.unsigned_abs())
}

/// Of each group the number of its keys, and of those that are invalid.
pub(super) async fn count_by_group(readers: &SqlitePool) -> Result<Vec<(GroupId, u64, u64)>, db::Error> {
    // Both are answered by an index: all keys by that on the group, the invalid ones, which are few, by that on the status.
    let all: Vec<(GroupId, i64)> =
        sqlx::query_as("SELECT group_id, count(*) FROM api_keys GROUP BY group_id").fetch_all(readers).await?;
    let invalid = sqlx::query_as("SELECT group_id, count(*) FROM api_keys WHERE status = ? GROUP BY +group_id");
    let invalid: Vec<(GroupId, i64)> = invalid.bind(KeyStatus::Invalid.name()).fetch_all(readers).await?;
    let invalid: HashMap<GroupId, i64> = invalid.into_iter().collect();
    let of = |id: GroupId, all: i64| {
        // Between the two statements keys may have been deleted, or become invalid.
        let invalid = invalid.get(&id).copied().unwrap_or_default();
        (id, Ord::max(all, invalid).unsigned_abs(), invalid.unsigned_abs())
    };
    Ok(all.into_iter().map(|(id, all)| of(id, all)).collect())
}

pub(super) async fn page(
    readers: &SqlitePool,
    condition: Cond,
    sort: Sort,
    offset: u64,
    limit: u64,
) -> Result<Vec<Row>, db::Error> {
    use ApiKeys as K;
    let direction = if sort.is_descending { Order::Desc } else { Order::Asc };
    // First the ids alone, so that whole rows are neither sorted nor skipped.
    let mut wanted = Query::select();
    wanted
        .column(K::Id)
        .from(K::Table)
        .cond_where(condition)
        .order_by(sort.by.column(), direction.clone())
        .order_by(K::Id, direction.clone())
        // Beyond what SQLite can count to there is nothing anyway.
        .offset(Ord::min(offset, i64::MAX as u64))
        .limit(limit);
    let (text, values) = db::build(
        Query::select()
            .columns([K::Id, K::KeyValue, K::KeyHash, K::GroupId, K::Status, K::Notes, K::RequestCount])
            .columns([K::FailureCount, K::LastUsedAt, K::CreatedAt, K::UpdatedAt])
            .from(K::Table)
            .and_where(Expr::col(K::Id).in_subquery(wanted))
            .order_by(sort.by.column(), direction.clone())
            .order_by(K::Id, direction),
    );
    Ok(sqlx::query_as_with(text, values).fetch_all(readers).await?)
}

/// Only these keys; `ids` is a JSON list.
pub(super) fn among_ids(ids: String) -> Expr {
    Expr::cust_with_values("id IN (SELECT value FROM json_each(?))", [ids])
}

/// How many keys match, and the highest id among them.
pub(super) async fn extent(readers: &SqlitePool, condition: Cond) -> Result<(u64, i64), db::Error> {
    let (text, values) = db::build(
        Query::select()
            .expr(Func::count(Expr::col(Asterisk)))
            .expr(Func::coalesce([Func::max(Expr::col(ApiKeys::Id)).into(), Expr::value(0_i64)]))
            .from(ApiKeys::Table)
            .cond_where(condition),
    );
    let (count, last_id): (i64, i64) = sqlx::query_as_with(text, values).fetch_one(readers).await?;
    Ok((count.unsigned_abs(), last_id))
}

/// The next keys of a group that a search looks through, in the order of their ids: the last id, all ids as a JSON list,
/// and as another one those with notes, with them. Three texts for thousands of keys: a row of the driver for each would
/// take longer than all the rest of the search.
pub(super) async fn searched_above(
    readers: &SqlitePool,
    group_id: GroupId,
    status: Option<KeyStatus>,
    hash: Option<&str>,
    above_id: i64,
    limit: u32,
) -> Result<(Option<i64>, String, String), db::Error> {
    Ok(sqlx::query_as(
        "SELECT max(id), json_group_array(id), json_group_array(json_array(id, notes)) FILTER (WHERE notes <> '') \
         FROM (SELECT id, notes FROM api_keys WHERE group_id = ?1 AND id > ?2 AND (?3 IS NULL OR +status = ?3) \
               AND (?4 IS NULL OR +key_hash = ?4) ORDER BY id LIMIT ?5)",
    )
    .bind(group_id)
    .bind(above_id)
    .bind(status.map(KeyStatus::name))
    .bind(hash)
    .bind(limit)
    .fetch_one(readers)
    .await?)
}

/// Id, stored text and hash of these keys, as a JSON list of lists.
pub(super) async fn texts_of(readers: &SqlitePool, ids: &[i64]) -> Result<String, db::Error> {
    Ok(sqlx::query_scalar(
        "SELECT json_group_array(json_array(id, CAST(key_value AS TEXT), key_hash)) FROM api_keys \
         WHERE id IN (SELECT value FROM json_each(?))",
    )
    .bind(json(ids))
    .fetch_one(readers)
    .await?)
}

/// Which of these hashes the group has.
pub(super) async fn known_hashes(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<String>, db::Error> {
    let query = sqlx::query_scalar(KNOWN_HASHES).bind(group_id).bind(json(hashes));
    Ok(query.fetch_all(&mut **transaction).await?)
}

/// The ids of those hashes that the group has.
pub(super) async fn ids_by_hash(
    readers: &SqlitePool,
    group_id: GroupId,
    hashes: &[String],
) -> Result<HashMap<String, i64>, db::Error> {
    let mut ids = HashMap::new();
    for lot in hashes.chunks(KEYS_PER_LOT) {
        let query = sqlx::query_as::<_, (String, i64)>(IDS_BY_HASH).bind(group_id).bind(json(lot));
        ids.extend(query.fetch_all(readers).await?);
    }
    Ok(ids)
}

/// Stores new keys, given as stored text and hash. Returns their ids and hashes.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    keys: &[(&str, &str)],
) -> Result<Vec<(i64, String)>, db::Error> {
    let now = Timestamp::now();
    let query = sqlx::query_as(
        "INSERT INTO api_keys (key_value, key_hash, group_id, status, notes, created_at, updated_at) \
         SELECT value ->> 0, value ->> 1, ?1, 'active', '', ?2, ?2 FROM json_each(?3) RETURNING id, key_hash",
    );
    Ok(query.bind(group_id).bind(now).bind(json(keys)).fetch_all(&mut **transaction).await?)
}

/// Returns the ids of what it deleted.
pub(super) async fn delete_by_hash(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<i64>, db::Error> {
    let query = sqlx::query_scalar(DELETE_BY_HASH).bind(group_id).bind(json(hashes));
    Ok(query.fetch_all(&mut **transaction).await?)
}

pub(super) async fn delete_by_id(
    transaction: &mut Transaction<'static, Sqlite>,
    ids: &[i64],
) -> Result<u64, db::Error> {
    let query = sqlx::query("DELETE FROM api_keys WHERE id IN (SELECT value FROM json_each(?))").bind(json(ids));
    Ok(query.execute(&mut **transaction).await?.rows_affected())
}

pub(super) async fn delete_all_of(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
) -> Result<(), db::Error> {
    let (text, values) =
        db::build(Query::delete().from_table(ApiKeys::Table).and_where(Expr::col(ApiKeys::GroupId).eq(group_id)));
    sqlx::query_with(text, values).execute(&mut **transaction).await?;
    Ok(())
}

/// Those that are invalid.
pub(super) async fn find_invalid(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<Stored>, db::Error> {
    let query = sqlx::query_as(INVALID_BY_HASH).bind(group_id).bind(json(hashes));
    Ok(query.fetch_all(&mut **transaction).await?)
}

/// The next keys of a group in the order of their ids.
pub(super) async fn lot(
    connection: &mut SqliteConnection,
    group_id: GroupId,
    status: Option<KeyStatus>,
    above_id: i64,
    limit: usize,
) -> Result<Vec<Stored>, db::Error> {
    let (text, values) = db::build(
        Query::select()
            .columns([ApiKeys::Id, ApiKeys::KeyValue, ApiKeys::KeyHash])
            .from(ApiKeys::Table)
            .cond_where(matching(group_id, status, None))
            .and_where(Expr::col(ApiKeys::Id).gt(above_id))
            .order_by(ApiKeys::Id, Order::Asc)
            .limit(limit as u64),
    );
    Ok(sqlx::query_as_with(text, values).fetch_all(connection).await?)
}

/// Stores keys as active without failures. Returns how many there are.
pub(super) async fn revive(transaction: &mut Transaction<'static, Sqlite>, ids: &[i64]) -> Result<u64, db::Error> {
    let query = sqlx::query(
        "UPDATE api_keys SET status = 'active', failure_count = 0, updated_at = ? \
         WHERE id IN (SELECT value FROM json_each(?))",
    );
    Ok(query.bind(Timestamp::now()).bind(json(ids)).execute(&mut **transaction).await?.rows_affected())
}

pub(super) async fn store_changes(
    transaction: &mut Transaction<'static, Sqlite>,
    changes: &[(i64, Change)],
) -> Result<(), db::Error> {
    let status = |change: &Change| if change.is_active { KeyStatus::Active } else { KeyStatus::Invalid }.name();
    let changes: Vec<_> = changes.iter().map(|(id, change)| (id, status(change), change.failure_count)).collect();
    let query = sqlx::query(
        "UPDATE api_keys SET status = changed.status, failure_count = changed.failures, updated_at = ? \
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS status, value ->> 2 AS failures FROM json_each(?)) AS changed \
         WHERE api_keys.id = changed.id",
    );
    query.bind(Timestamp::now()).bind(json(&changes)).execute(&mut **transaction).await?;
    Ok(())
}

/// False: there is no such key.
pub(super) async fn set_notes(
    transaction: &mut Transaction<'static, Sqlite>,
    id: i64,
    notes: &str,
) -> Result<bool, db::Error> {
    let (text, values) = db::build(
        Query::update()
            .table(ApiKeys::Table)
            .value(ApiKeys::Notes, notes)
            .value(ApiKeys::UpdatedAt, Timestamp::now())
            .and_where(Expr::col(ApiKeys::Id).eq(id)),
    );
    Ok(sqlx::query_with(text, values).execute(&mut **transaction).await?.rows_affected() > 0)
}

/// A list of plain values always has a text.
fn json(values: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(values).unwrap_or_default()
}
