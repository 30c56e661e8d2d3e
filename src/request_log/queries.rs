//! All SQL of the request log.

use std::sync::LazyLock;

use super::row::COLUMNS;
use crate::db::{Engine, Error, Readers, RequestLogs, Source as _, Sql, Timestamp, Transaction};

/// Fixed sizes, so that each statement is prepared once; any number of rows is a few of them.
static INSERTS: LazyLock<[(usize, String); 4]> =
    LazyLock::new(|| [128, 32, 8, 1].map(|rows| (rows, insert_of(rows, true))));
/// A server is further away, so that more at once pay.
static SERVER_INSERTS: LazyLock<[(usize, String); 4]> =
    LazyLock::new(|| [512, 64, 8, 1].map(|rows| (rows, insert_of(rows, false))));
/// Keys of one statement on MySQL.
const USES_SIZES: [usize; 4] = [256, 32, 4, 1];

fn insert_of(rows: usize, or_fail: bool) -> String {
    let names = COLUMNS.map(RequestLogs::name).join(",");
    // A row that is refused undoes the whole transaction anyway. Told so by `OR FAIL`, SQLite does not copy every page
    // aside first, in case only this statement had to be undone.
    let verb = if or_fail { "INSERT OR FAIL" } else { "INSERT" };
    let mut text = format!("{verb} INTO {} ({names}) VALUES ", RequestLogs::Table.name());
    let row = format!("({})", ["?"; COLUMNS.len()].join(","));
    for index in 0..rows {
        text.push_str(if index == 0 { "" } else { "," });
        text.push_str(&row);
    }
    text
}

fn inserts(engine: Engine) -> &'static [(usize, String); 4] {
    if engine.is_sqlite() { &INSERTS } else { &SERVER_INSERTS }
}

/// How many rows the next statement takes when so many are left.
pub(super) fn insert_size(engine: Engine, left: usize) -> usize {
    inserts(engine).iter().map(|(rows, _)| *rows).find(|rows| *rows <= left).unwrap_or(1)
}

/// A statement that inserts `rows` rows, a number that [`insert_size`] gave.
pub(super) fn insert(engine: Engine, rows: usize) -> Sql {
    let inserts = inserts(engine);
    let [.., (_, one)] = inserts;
    let text: &'static str = inserts.iter().find(|(size, _)| *size == rows).map_or(one, |(_, text)| text);
    Sql::new(engine, text).reserve(rows * COLUMNS.len())
}

/// Adds to the figures of keys. `uses` is a JSON list of `[key id, requests, time of the last]`: one statement for any
/// number of keys. A last use never moves back, whatever zone the stored one was written in.
pub(super) async fn add_uses_as_json(transaction: &mut Transaction, uses: &str) -> Result<(), Error> {
    let sql = Sql::new(
        Engine::Sqlite,
        "UPDATE api_keys SET request_count = request_count + used.requests, updated_at = ?, last_used_at = CASE \
           WHEN julianday(last_used_at) > julianday(used.last_at) THEN last_used_at ELSE used.last_at END \
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS requests, value ->> 2 AS last_at FROM json_each(?)) AS used \
         WHERE api_keys.id = used.id",
    );
    transaction.execute(sql.bind(Timestamp::now()).bind(uses)).await?;
    Ok(())
}

/// Adds to the figures of keys on a server: `(key id, requests, time of the last)` in ascending order of the ids, so that
/// no two nodes wait for each other.
pub(super) async fn add_uses(transaction: &mut Transaction, uses: &[(i64, i64, Timestamp)]) -> Result<(), Error> {
    if uses.is_empty() {
        return Ok(());
    }
    if transaction.engine() == Engine::PostgreSql {
        return add_uses_as_lists(transaction, uses).await;
    }
    let engine = transaction.engine();
    let mut left = uses;
    while !left.is_empty() {
        let size = USES_SIZES.into_iter().find(|size| *size <= left.len()).unwrap_or(1);
        let (now, later) = left.split_at(size);
        let row = "SELECT CAST(? AS SIGNED) AS id, CAST(? AS SIGNED) AS requests, CAST(? AS DATETIME(3)) AS last_at";
        let rows = vec![row; size].join(" UNION ALL ");
        // In the order of the list: the ids are looked up one after the other.
        let text = format!(
            "UPDATE ({rows}) AS used STRAIGHT_JOIN api_keys ON api_keys.id = used.id SET \
               api_keys.request_count = api_keys.request_count + used.requests, api_keys.updated_at = ?, \
               api_keys.last_used_at = CASE WHEN api_keys.last_used_at > used.last_at THEN api_keys.last_used_at \
                                       ELSE used.last_at END"
        );
        let mut sql = Sql::made(engine, text);
        for (id, requests, last_at) in now {
            sql.add(*id);
            sql.add(*requests);
            sql.add(*last_at);
        }
        transaction.execute(sql.bind(Timestamp::now())).await?;
        left = later;
    }
    Ok(())
}

async fn add_uses_as_lists(transaction: &mut Transaction, uses: &[(i64, i64, Timestamp)]) -> Result<(), Error> {
    let ids: Vec<i64> = uses.iter().map(|(id, ..)| *id).collect();
    // An update takes rows in whatever order it finds them.
    let lock = "SELECT count(*) FROM \
                (SELECT id FROM api_keys WHERE id = ANY(?) ORDER BY id FOR NO KEY UPDATE) AS locked";
    transaction.value::<i64>(Sql::new(Engine::PostgreSql, lock).bind_list(ids.clone())).await?;
    let update = "UPDATE api_keys SET request_count = request_count + used.requests, updated_at = ?, \
                    last_used_at = CASE WHEN last_used_at > used.last_at THEN last_used_at ELSE used.last_at END \
                  FROM unnest(?, ?, ?) AS used(id, requests, last_at) WHERE api_keys.id = used.id";
    let requests: Vec<i64> = uses.iter().map(|(_, requests, _)| *requests).collect();
    let last: Vec<_> = uses.iter().map(|(.., last_at)| last_at.0).collect();
    let sql = Sql::new(Engine::PostgreSql, update).bind(Timestamp::now());
    transaction.execute(sql.bind_list(ids).bind_list(requests).bind_list(last)).await?;
    Ok(())
}

/// Counts the uses of keys from rows of ours with ids in `from..=to`, for keys with an id above `key_ids_above`.
pub(super) async fn recount_uses(
    transaction: &mut Transaction,
    from: i64,
    to: i64,
    key_ids_above: i64,
) -> Result<(), Error> {
    // The original counted its own rows itself. `+group_id`: a key is found by its hash, not by reading its group.
    let sql = Sql::new(
        Engine::Sqlite,
        "UPDATE api_keys SET request_count = request_count + used.requests, updated_at = ?, last_used_at = CASE \
           WHEN julianday(last_used_at) > julianday(used.last_at) THEN last_used_at ELSE used.last_at END \
         FROM (SELECT group_id, key_hash, count(*) AS requests, max(timestamp) AS last_at FROM request_logs \
               WHERE rowid BETWEEN ? AND ? AND key_hash <> '' AND request_id IS NOT NULL \
               GROUP BY group_id, key_hash) AS used \
         WHERE api_keys.key_hash = used.key_hash AND +api_keys.group_id = used.group_id AND +api_keys.id > ?",
    );
    transaction.execute(sql.bind(Timestamp::now()).bind(from).bind(to).bind(key_ids_above)).await?;
    Ok(())
}

/// The id of the newest row in a file; 0: there is none.
pub(super) async fn last_row_id(readers: &Readers) -> Result<i64, Error> {
    readers.value(Sql::new(Engine::Sqlite, "SELECT coalesce(max(rowid), 0) FROM request_logs")).await
}

pub(super) async fn state(readers: &Readers, name: &str) -> Result<Option<String>, Error> {
    let sql = Sql::new(readers.engine(), "SELECT value FROM gpt_load_state WHERE name = ?").bind(name);
    Ok(readers.optional::<(String,)>(sql).await?.map(|(value,)| value))
}

pub(super) async fn set_state(transaction: &mut Transaction, name: &str, value: &str) -> Result<(), Error> {
    let sql = Sql::new(
        Engine::Sqlite,
        "INSERT INTO gpt_load_state (name, value) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    transaction.execute(sql.bind(name).bind(value)).await?;
    Ok(())
}

/// The sets of characters that the log's texts on a server are made of, by MySQL's names.
pub(super) async fn character_sets(readers: &Readers) -> Result<Vec<String>, Error> {
    let engine = readers.engine();
    let text = match engine {
        Engine::Sqlite => return Ok(Vec::new()),
        Engine::MySql(_) => {
            "SELECT DISTINCT CAST(character_set_name AS CHAR) FROM information_schema.columns \
             WHERE table_schema = database() AND table_name = 'request_logs' AND character_set_name IS NOT NULL"
        }
        Engine::PostgreSql => {
            "SELECT CASE getdatabaseencoding() WHEN 'UTF8' THEN 'utf8mb4' ELSE CAST(getdatabaseencoding() AS text) END"
        }
    };
    readers.values(Sql::new(engine, text)).await
}

/// Which of these rows a server has.
pub(super) async fn present(readers: &Readers, ids: &[String]) -> Result<Vec<String>, Error> {
    let mut sql = Sql::new(readers.engine(), "SELECT id FROM request_logs WHERE id");
    sql.push_among(ids);
    readers.values(sql).await
}

/// The newest rows of a server from a time on: id and time of each, the newest first.
pub(super) async fn ids_since(
    readers: &Readers,
    from: Timestamp,
    most: i64,
) -> Result<Vec<(String, Timestamp)>, Error> {
    let text = "SELECT id, timestamp FROM request_logs WHERE timestamp >= ? ORDER BY timestamp DESC, id DESC LIMIT ?";
    readers.all(Sql::new(readers.engine(), text).bind(from).bind(most)).await
}

/// Whether rows with a time text in `from..to` were written with another offset than ours.
pub(super) async fn has_foreign_offsets(readers: &Readers, from: &str, to: &str) -> Result<bool, Error> {
    let sql = Sql::new(
        Engine::Sqlite,
        "SELECT EXISTS (SELECT 1 FROM request_logs WHERE timestamp >= ? AND timestamp < ? \
         AND substr(timestamp, -6) <> '+00:00')",
    );
    readers.value(sql.bind(from).bind(to)).await
}

/// Deletes some of a file's rows older than `cutoff`, looking at time texts below `texts_below`. Returns how many.
pub(super) async fn delete_older_texts(
    transaction: &mut Transaction,
    cutoff: &str,
    texts_below: &str,
    limit: u32,
) -> Result<u64, Error> {
    // Texts with our offset compare like the instants; others are read.
    let sql = Sql::new(
        Engine::Sqlite,
        "DELETE FROM request_logs WHERE rowid IN (SELECT rowid FROM request_logs WHERE timestamp < ?1 AND CASE \
           WHEN substr(timestamp, -6) = '+00:00' THEN timestamp < ?2 ELSE \
           coalesce(julianday(timestamp), julianday(substr(timestamp, 1, 19))) < julianday(?2) END \
         LIMIT ?3)",
    );
    Ok(transaction.execute(sql.bind(texts_below).bind(cutoff).bind(limit)).await?.rows_affected)
}

/// Deletes some of a server's rows older than `cutoff`, the oldest first. Returns how many.
pub(super) async fn delete_older(transaction: &mut Transaction, cutoff: Timestamp, limit: u32) -> Result<u64, Error> {
    let engine = transaction.engine();
    let text = match engine {
        Engine::PostgreSql => {
            "DELETE FROM request_logs WHERE id IN \
             (SELECT id FROM request_logs WHERE timestamp < ? ORDER BY timestamp LIMIT ?)"
        }
        Engine::MySql(_) | Engine::Sqlite => "DELETE FROM request_logs WHERE timestamp < ? ORDER BY timestamp LIMIT ?",
    };
    Ok(transaction.execute(Sql::new(engine, text).bind(cutoff).bind(limit)).await?.rows_affected)
}
