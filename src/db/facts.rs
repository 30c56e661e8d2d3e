//! What a database says of itself: its version, and how large it is.

use super::{Database, Engine, Error, Source as _, Sql};

/// As a person who looks after it wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: String,
    /// Of all tables and indexes; of a file its own size, free pages included.
    pub(crate) size_bytes: Option<i64>,
}

/// How large one table is; what the engine does not tell is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableSize {
    /// Nearly: nobody counts them for it.
    pub(crate) rows: Option<i64>,
    /// With its indexes.
    pub(crate) bytes: Option<i64>,
}

impl Database {
    pub(crate) async fn facts(&self) -> Result<Facts, Error> {
        let (version, size) = match self.engine() {
            Engine::Sqlite => (
                "SELECT sqlite_version()",
                "SELECT page_count * page_size FROM pragma_page_count() CROSS JOIN pragma_page_size()",
            ),
            Engine::MySql(_) => (
                "SELECT version()",
                "SELECT CAST(sum(data_length + index_length) AS SIGNED) FROM information_schema.tables \
                 WHERE table_schema = database()",
            ),
            Engine::PostgreSql => {
                ("SELECT current_setting('server_version')", "SELECT pg_database_size(current_database())")
            }
        };
        let readers = self.readers();
        Ok(Facts { version: readers.value(self.sql(version)).await?, size_bytes: readers.value(self.sql(size)).await? })
    }

    pub(crate) async fn size_of(&self, table: &'static str) -> Result<TableSize, Error> {
        let engine = self.engine();
        let readers = self.readers();
        if engine.is_sqlite() {
            // One after the other: both ends at once would be a look at all rows.
            let text = format!("SELECT (SELECT max(rowid) FROM {table}) - (SELECT min(rowid) FROM {table}) + 1");
            let rows: Option<i64> = readers.value(Sql::made(engine, text)).await?;
            return Ok(TableSize { rows: Some(rows.unwrap_or(0)), bytes: None });
        }
        let text = if engine == Engine::PostgreSql {
            "SELECT n_live_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables \
             WHERE schemaname = current_schema() AND relname = ?"
        } else {
            "SELECT CAST(table_rows AS SIGNED), CAST(data_length + index_length AS SIGNED) \
             FROM information_schema.tables WHERE table_schema = database() AND table_name = ?"
        };
        let found: Option<(Option<i64>, Option<i64>)> = readers.optional(Sql::new(engine, text).bind(table)).await?;
        let (rows, bytes) = found.unwrap_or_default();
        Ok(TableSize { rows, bytes })
    }
}

#[cfg(test)]
mod tests {
    use crate::db::testing::{fresh, values};

    #[tokio::test]
    async fn a_database_tells_its_version_and_its_size() {
        let (_place, database) = fresh().await;
        let facts = database.facts().await.unwrap();
        assert!(facts.version.starts_with(|first: char| first.is_ascii_digit()), "{facts:?}");
        assert!(facts.size_bytes.unwrap() > 4_096, "{facts:?}");
        let empty = database.size_of("request_logs").await.unwrap();
        assert_eq!(empty.rows, Some(0));
        assert_eq!(empty.bytes.is_none(), database.engine().is_sqlite());
        let columns = "id, timestamp, group_id, request_type, is_success, status_code, duration, is_stream";
        let row = |number: usize| format!("'{number}', '2026-11-23 10:00:00+00:00', 1, 'final', true, 200, 1, false");
        database.run(&format!("INSERT INTO request_logs ({columns}) {}", values(30, row))).await;
        if database.engine().is_sqlite() {
            assert_eq!(database.size_of("request_logs").await.unwrap().rows, Some(30));
        }
    }
}
