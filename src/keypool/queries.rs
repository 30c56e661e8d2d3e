//! All SQL of the key pool.
//!
//! Where a statement knows the hash or the id of what it wants, the group's condition is written `+group_id`: otherwise
//! SQLite may take the index on the group, and read all of its keys for each lot.

use std::collections::HashMap;

use sea_query::{Asterisk, Cond, Expr, ExprTrait, Func, Order, Query};
use sqlx::{FromRow, Row as _, Sqlite, SqliteConnection, SqlitePool, Transaction, sqlite::SqliteRow};

use super::{KEYS_PER_LOT, KeyStatus, pool::Change};
use crate::{
    db::{self, ApiKeys, Timestamp},
    group::GroupId,
};

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

pub(super) async fn page(
    readers: &SqlitePool,
    condition: Cond,
    offset: u64,
    limit: u64,
) -> Result<Vec<Row>, db::Error> {
    use ApiKeys as K;
    let (text, values) = db::build(
        Query::select()
            .columns([K::Id, K::KeyValue, K::KeyHash, K::GroupId, K::Status, K::Notes, K::RequestCount])
            .columns([K::FailureCount, K::LastUsedAt, K::CreatedAt, K::UpdatedAt])
            .from(K::Table)
            .cond_where(condition)
            .order_by(K::LastUsedAt, Order::Desc)
            .order_by(K::Id, Order::Desc)
            // Beyond what SQLite can count to there is nothing anyway.
            .offset(Ord::min(offset, i64::MAX as u64))
            .limit(limit),
    );
    Ok(sqlx::query_as_with(text, values).fetch_all(readers).await?)
}

/// Which of these hashes the group has.
pub(super) async fn known_hashes(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<String>, db::Error> {
    let (text, values) = db::build(
        Query::select().column(ApiKeys::KeyHash).from(ApiKeys::Table).cond_where(among_hashes(group_id, hashes)),
    );
    Ok(sqlx::query_scalar_with(text, values).persistent(false).fetch_all(&mut **transaction).await?)
}

/// The ids of those hashes that the group has.
pub(super) async fn ids_by_hash(
    readers: &SqlitePool,
    group_id: GroupId,
    hashes: &[String],
) -> Result<HashMap<String, i64>, db::Error> {
    let mut ids = HashMap::new();
    for lot in hashes.chunks(KEYS_PER_LOT) {
        let (text, values) = db::build(
            Query::select()
                .columns([ApiKeys::KeyHash, ApiKeys::Id])
                .from(ApiKeys::Table)
                .cond_where(among_hashes(group_id, lot)),
        );
        ids.extend(sqlx::query_as_with(text, values).persistent(false).fetch_all(readers).await?);
    }
    Ok(ids)
}

/// Stores new keys, given as stored text and hash. Returns their ids and hashes.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    keys: impl Iterator<Item = (String, String)>,
) -> Result<Vec<(i64, String)>, db::Error> {
    use ApiKeys as K;
    let now = Timestamp::now();
    let mut insert = Query::insert();
    insert
        .into_table(K::Table)
        .columns([K::KeyValue, K::KeyHash, K::GroupId, K::Status, K::Notes, K::CreatedAt, K::UpdatedAt])
        .returning(Query::returning().columns([K::Id, K::KeyHash]));
    for (stored, hash) in keys {
        let active = KeyStatus::Active.name();
        insert.values_panic([
            stored.into(),
            hash.into(),
            group_id.into(),
            active.into(),
            "".into(),
            now.into(),
            now.into(),
        ]);
    }
    let (text, values) = db::build(&insert);
    Ok(sqlx::query_as_with(text, values).persistent(false).fetch_all(&mut **transaction).await?)
}

/// Returns the ids of what it deleted.
pub(super) async fn delete_by_hash(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<i64>, db::Error> {
    let (text, values) = db::build(
        Query::delete()
            .from_table(ApiKeys::Table)
            .cond_where(among_hashes(group_id, hashes))
            .returning(Query::returning().column(ApiKeys::Id)),
    );
    Ok(sqlx::query_scalar_with(text, values).persistent(false).fetch_all(&mut **transaction).await?)
}

pub(super) async fn delete_by_id(
    transaction: &mut Transaction<'static, Sqlite>,
    ids: &[i64],
) -> Result<u64, db::Error> {
    let (text, values) = db::build(
        Query::delete().from_table(ApiKeys::Table).and_where(Expr::col(ApiKeys::Id).is_in(ids.iter().copied())),
    );
    Ok(sqlx::query_with(text, values).persistent(false).execute(&mut **transaction).await?.rows_affected())
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

/// Ids and stored texts of those that are invalid.
pub(super) async fn find_invalid(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
    hashes: &[String],
) -> Result<Vec<(i64, String)>, db::Error> {
    let (text, values) = db::build(
        Query::select()
            .columns([ApiKeys::Id, ApiKeys::KeyValue])
            .from(ApiKeys::Table)
            .cond_where(among_hashes(group_id, hashes))
            .and_where(Expr::cust("+status").eq(KeyStatus::Invalid.name())),
    );
    Ok(sqlx::query_as_with(text, values).persistent(false).fetch_all(&mut **transaction).await?)
}

/// Ids and stored texts of the next keys of a group, in the order of their ids.
pub(super) async fn lot(
    connection: &mut SqliteConnection,
    group_id: GroupId,
    status: Option<KeyStatus>,
    above_id: i64,
    limit: usize,
) -> Result<Vec<(i64, String)>, db::Error> {
    let (text, values) = db::build(
        Query::select()
            .columns([ApiKeys::Id, ApiKeys::KeyValue])
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
    let (text, values) = db::build(
        Query::update()
            .table(ApiKeys::Table)
            .value(ApiKeys::Status, KeyStatus::Active.name())
            .value(ApiKeys::FailureCount, 0)
            .value(ApiKeys::UpdatedAt, Timestamp::now())
            .and_where(Expr::col(ApiKeys::Id).is_in(ids.iter().copied())),
    );
    Ok(sqlx::query_with(text, values).persistent(false).execute(&mut **transaction).await?.rows_affected())
}

pub(super) async fn store_change(
    transaction: &mut Transaction<'static, Sqlite>,
    id: i64,
    change: Change,
) -> Result<(), db::Error> {
    let status = if change.is_active { KeyStatus::Active } else { KeyStatus::Invalid };
    let (text, values) = db::build(
        Query::update()
            .table(ApiKeys::Table)
            .value(ApiKeys::Status, status.name())
            .value(ApiKeys::FailureCount, change.failure_count)
            .value(ApiKeys::UpdatedAt, Timestamp::now())
            .and_where(Expr::col(ApiKeys::Id).eq(id)),
    );
    sqlx::query_with(text, values).execute(&mut **transaction).await?;
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

fn among_hashes(group_id: GroupId, hashes: &[String]) -> Cond {
    Cond::all().add(Expr::cust("+group_id").eq(group_id)).add(Expr::col(ApiKeys::KeyHash).is_in(hashes.iter().cloned()))
}
