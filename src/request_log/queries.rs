//! All SQL of the request log.

use std::sync::LazyLock;

use sqlx::{Sqlite, SqlitePool, Transaction, sqlite::SqliteArguments};

use super::row::COLUMNS;
use crate::db::{RequestLogs, Timestamp};

pub(super) type Writing = Transaction<'static, Sqlite>;

/// Fixed sizes, so that each statement is prepared once; any number of rows is a few of them.
static INSERTS: LazyLock<[(usize, String); 4]> = LazyLock::new(|| [128, 32, 8, 1].map(|rows| (rows, insert_of(rows))));

fn insert_of(rows: usize) -> String {
    let names = COLUMNS.map(|column| format!("\"{}\"", column.name())).join(",");
    // A row that is refused undoes the whole transaction anyway. Told so by `OR FAIL`, SQLite does not copy every page
    // aside first, in case only this statement had to be undone.
    let mut text = format!("INSERT OR FAIL INTO {} ({names}) VALUES ", RequestLogs::Table.name());
    let row = format!("({})", ["?"; COLUMNS.len()].join(","));
    for index in 0..rows {
        text.push_str(if index == 0 { "" } else { "," });
        text.push_str(&row);
    }
    text
}

/// How many rows the next statement takes when so many are left.
pub(super) fn insert_size(left: usize) -> usize {
    INSERTS.iter().map(|(rows, _)| *rows).find(|rows| *rows <= left).unwrap_or(1)
}

/// Inserts `rows` rows, a number that [`insert_size`] gave. Returns the row id of the last.
pub(super) async fn insert(
    transaction: &mut Writing,
    rows: usize,
    arguments: SqliteArguments,
) -> Result<i64, sqlx::Error> {
    let [.., (_, one)] = &*INSERTS;
    let text: &'static str = INSERTS.iter().find(|(size, _)| *size == rows).map_or(one, |(_, text)| text);
    Ok(sqlx::query_with(text, arguments).execute(&mut **transaction).await?.last_insert_rowid())
}

/// Adds to the figures of keys. `uses` is a JSON list of `[key id, requests, time of the last]`: one statement for any
/// number of keys. A last use never moves back, whatever zone the stored one was written in.
pub(super) async fn add_uses(transaction: &mut Writing, uses: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE api_keys SET request_count = request_count + used.requests, updated_at = ?, last_used_at = CASE \
           WHEN julianday(last_used_at) > julianday(used.last_at) THEN last_used_at ELSE used.last_at END \
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS requests, value ->> 2 AS last_at FROM json_each(?)) AS used \
         WHERE api_keys.id = used.id",
    )
    .bind(Timestamp::now())
    .bind(uses)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Counts the uses of keys from rows of ours with ids in `from..=to`, for keys with an id above `key_ids_above`.
pub(super) async fn recount_uses(
    transaction: &mut Writing,
    from: i64,
    to: i64,
    key_ids_above: i64,
) -> Result<(), sqlx::Error> {
    // The original counted its own rows itself. `+group_id`: a key is found by its hash, not by reading its group.
    sqlx::query(
        "UPDATE api_keys SET request_count = request_count + used.requests, updated_at = ?, last_used_at = CASE \
           WHEN julianday(last_used_at) > julianday(used.last_at) THEN last_used_at ELSE used.last_at END \
         FROM (SELECT group_id, key_hash, count(*) AS requests, max(timestamp) AS last_at FROM request_logs \
               WHERE rowid BETWEEN ? AND ? AND key_hash <> '' AND request_id IS NOT NULL \
               GROUP BY group_id, key_hash) AS used \
         WHERE api_keys.key_hash = used.key_hash AND +api_keys.group_id = used.group_id AND +api_keys.id > ?",
    )
    .bind(Timestamp::now())
    .bind(from)
    .bind(to)
    .bind(key_ids_above)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The id of the newest row; 0: there is none.
pub(super) async fn last_row_id(readers: &SqlitePool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(rowid), 0) FROM request_logs").fetch_one(readers).await
}

pub(super) async fn state(readers: &SqlitePool, name: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM gpt_load_state WHERE name = ?").bind(name).fetch_optional(readers).await
}

pub(super) async fn set_state(transaction: &mut Writing, name: &str, value: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO gpt_load_state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Whether rows with a time text in `from..to` were written with another offset than ours.
pub(super) async fn has_foreign_offsets(readers: &SqlitePool, from: &str, to: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM request_logs WHERE timestamp >= ? AND timestamp < ? \
         AND substr(timestamp, -6) <> '+00:00')",
    )
    .bind(from)
    .bind(to)
    .fetch_one(readers)
    .await
}

/// Deletes some of the rows older than `cutoff`, looking at time texts below `texts_below`. Returns how many.
pub(super) async fn delete_older(
    transaction: &mut Writing,
    cutoff: &str,
    texts_below: &str,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    // Texts with our offset compare like the instants; others are read.
    let deleted = sqlx::query(
        "DELETE FROM request_logs WHERE rowid IN (SELECT rowid FROM request_logs WHERE timestamp < ?1 AND CASE \
           WHEN substr(timestamp, -6) = '+00:00' THEN timestamp < ?2 ELSE \
           coalesce(julianday(timestamp), julianday(substr(timestamp, 1, 19))) < julianday(?2) END \
         LIMIT ?3)",
    )
    .bind(texts_below)
    .bind(cutoff)
    .bind(limit)
    .execute(&mut **transaction)
    .await?;
    Ok(deleted.rows_affected())
}
