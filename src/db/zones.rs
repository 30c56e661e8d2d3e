//! Times that the original wrote in its local zone, rewritten in UTC.
//!
//! They are read right as they are, but SQL compares times as texts, and only texts with one offset sort like instants.
//! The work is done in small lots while everything else goes on, and it finds nothing to do once it is done.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Database, Engine, Error, Source, Sql, Timestamp};

/// Rows that one transaction rewrites.
const LOT_ROWS: i64 = 500;
/// The writer belongs to others between two lots.
const PAUSE: Duration = Duration::from_millis(20);

const COLUMNS: &[(&str, &str)] = &[
    ("api_keys", "last_used_at"),
    ("api_keys", "created_at"),
    ("api_keys", "updated_at"),
    ("groups", "last_validated_at"),
    ("groups", "created_at"),
    ("groups", "updated_at"),
    ("group_sub_groups", "created_at"),
    ("group_sub_groups", "updated_at"),
    ("system_settings", "created_at"),
    ("system_settings", "updated_at"),
    ("group_hourly_stats", "created_at"),
    ("group_hourly_stats", "updated_at"),
];

impl Database {
    /// Rewrites every stored time that is not in UTC; hours that are the same instant become one row. Returns how many
    /// rows were touched. Dropping the future stops the work between two lots.
    pub(crate) async fn rewrite_local_times(&self) -> Result<u64, Error> {
        if !self.engine().is_sqlite() {
            // The servers have a type for times.
            return Ok(0);
        }
        let mut rewritten = self.merge_hours().await?;
        // The log has an index over its times, so that looking for work does not read the whole table.
        rewritten += self.rewrite_column("request_logs", "timestamp", "timestamp").await?;
        self.shared.are_times_utc.store(true, Ordering::Relaxed);
        for (table, column) in COLUMNS {
            rewritten += self.rewrite_column(table, column, "rowid").await?;
        }
        Ok(rewritten)
    }

    /// From the newest on, since those are asked for soonest: how many requests there were in the last minutes.
    async fn rewrite_column(&self, table: &str, column: &str, order: &str) -> Result<u64, Error> {
        let select = format!(
            "SELECT rowid, {column} FROM {table} WHERE ({order}, rowid) < (?, ?) \
             AND {column} NOT LIKE '%+00:00' ORDER BY {order} DESC, rowid DESC LIMIT ?"
        );
        // The row may have changed since it was looked at: then it has been written by us.
        let update = format!("UPDATE {table} SET {column} = ? WHERE rowid = ? AND {column} = ?");
        let mut rewritten = 0;
        // Above every time, which begins with a digit.
        let mut last = (i64::MAX, "~".to_owned());
        loop {
            let select = Sql::made(Engine::Sqlite, select.clone());
            let select = if order == "rowid" { select.bind(last.0) } else { select.bind(last.1) };
            let lot: Vec<(i64, String)> = self.readers().all(select.bind(last.0).bind(LOT_ROWS)).await?;
            let Some(end) = lot.last().cloned() else {
                return Ok(rewritten);
            };
            last = end;
            let mut writer = self.begin().await?;
            for (row, text) in &lot {
                let Some(time) = Timestamp::parse_stored(text) else {
                    tracing::warn!("Row {row} of {table} holds {text:?} as {column}, which is no time: left as it is");
                    continue;
                };
                let update = Sql::made(Engine::Sqlite, update.clone()).bind(time).bind(*row).bind(&**text);
                rewritten += writer.execute(update).await?.rows_affected;
            }
            writer.commit().await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn merge_hours(&self) -> Result<u64, Error> {
        let mut merged = 0;
        let mut last = i64::MIN;
        loop {
            let select = self.sql(
                "SELECT id, time FROM group_hourly_stats WHERE id > ? AND time NOT LIKE '%+00:00' ORDER BY id LIMIT ?",
            );
            let lot: Vec<(i64, String)> = self.readers().all(select.bind(last).bind(LOT_ROWS)).await?;
            let Some((end, _)) = lot.last() else {
                return Ok(merged);
            };
            last = *end;
            let mut writer = self.begin().await?;
            for (id, text) in &lot {
                let Some(time) = Timestamp::parse_stored(text) else {
                    tracing::warn!("Row {id} of group_hourly_stats holds {text:?}, which is no time: left as it is");
                    continue;
                };
                // Taken out first, so that it is not in its own way.
                let delete = self.sql(
                    "DELETE FROM group_hourly_stats WHERE id = ? AND time = ? \
                     RETURNING group_id, success_count, failure_count, created_at, updated_at",
                );
                let taken: Option<(i64, i64, i64, Option<Timestamp>, Option<Timestamp>)> =
                    writer.optional(delete.bind(*id).bind(&**text)).await?;
                let Some((group, successes, failures, created, updated)) = taken else { continue };
                let insert = self.sql(
                    "INSERT INTO group_hourly_stats \
                     (id, time, group_id, success_count, failure_count, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?) \
                     ON CONFLICT (time, group_id) DO UPDATE SET success_count = success_count + excluded.success_count, \
                     failure_count = failure_count + excluded.failure_count",
                );
                let insert = insert.bind(*id).bind(time.hour()).bind(group).bind(successes).bind(failures);
                writer.execute(insert.bind(created).bind(updated)).await?;
                merged += 1;
            }
            writer.commit().await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing;

    async fn texts(database: &Database, query: &'static str) -> Vec<String> {
        database.readers().values(database.sql(query)).await.unwrap()
    }

    #[tokio::test]
    async fn local_times_become_utc_and_equal_hours_one_row() {
        let (_folder, path) = testing::file_of_1_0_13().await;
        testing::write_file(
            &path,
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count) VALUES
                 ('2025-07-02 02:00:00+00:00', 1, 4, 2), ('2025-07-02 07:30:00+05:30', 1, 10, 0),
                 ('2025-07-02 10:00:00+08:00', 2, 1, 1);
             INSERT INTO request_logs (id, timestamp, group_id, is_success, status_code, duration, retries, is_stream) VALUES
                 ('odd', 'yesterday', 1, 1, 200, 1, 0, 0), ('utc', '2025-07-02 01:00:00+00:00', 1, 1, 200, 1, 0, 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
             INSERT INTO request_logs (id, timestamp, group_id, is_success, status_code, duration, retries, is_stream)
             SELECT 'log-' || i, '2025-07-02 09:00:00+08:00', 1, 1, 200, 1, 0, 0 FROM n",
        )
        .await;
        let database = testing::open_file(&path).await.unwrap();
        assert!(database.rewrite_local_times().await.unwrap() > 1200);

        let hours = texts(
            &database,
            "SELECT time || ' ' || group_id || ' ' || success_count || ' ' || failure_count FROM group_hourly_stats ORDER BY 1",
        );
        assert_eq!(hours.await, ["2025-07-02 02:00:00+00:00 1 15 2", "2025-07-02 02:00:00+00:00 2 1 1"]);
        let logs = texts(&database, "SELECT DISTINCT timestamp FROM request_logs ORDER BY 1").await;
        let expected = ["2025-07-02 01:00:00+00:00", "2025-07-02 02:00:00.25+00:00", "yesterday"];
        assert_eq!(logs, expected);
        let groups = texts(&database, "SELECT last_validated_at FROM groups WHERE last_validated_at IS NOT NULL").await;
        assert_eq!(groups, ["2025-07-02 01:30:00.5+00:00"]);

        assert_eq!(database.rewrite_local_times().await.unwrap(), 0, "nothing is left to do");
    }
}
