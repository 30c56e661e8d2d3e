//! The database on one of three engines, and the schema that we share with the original.

mod changes;
mod connect;
mod engine;
mod error;
mod facts;
mod lock;
mod migrations;
mod row;
mod server;
mod source;
mod sql;
mod sqlite;
mod state;
mod tables;
mod timestamp;
mod zones;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::time::Duration;

use sqlx::{MySqlPool, PgPool, SqlitePool};
use tokio::sync::Notify;

use self::connect::Zone;
pub(crate) use self::{
    changes::{Change, Changed, Changes},
    engine::Engine,
    error::Error,
    facts::{Facts, TableSize},
    lock::is_in_use,
    migrations::Outlook,
    row::{AnyTime, FromRow, JsonText, Row},
    source::{Readers, Source, Transaction},
    sql::Sql,
    tables::{ApiKeys, GroupHourlyStats, GroupSubGroups, Groups, RequestLogs, SystemSettings, Tasks},
    timestamp::Timestamp,
};
use crate::config::{DatabaseDsn, DatabasePool};

/// How long a stop waits for those who only read.
const READERS_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A cheap handle on the open database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    writer: Writer,
    readers: Readers,
    /// For the question whether the database answers: it must not queue behind long work.
    probe: Readers,
    are_times_utc: AtomicBool,
    /// What this process is called in the feed of changes.
    node: String,
    /// Somebody committed a change: other nodes should hear of it.
    changed: Notify,
    statements: AtomicU64,
    /// Of a SQLite file: held until the last handle is gone.
    _lock: Option<std::fs::File>,
}

#[derive(Debug)]
enum Writer {
    /// The one connection that writes.
    Sqlite(SqlitePool),
    MySql(MySqlPool, Zone),
    PostgreSql(PgPool),
}

/// Who brings the schema up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migrations {
    /// We do.
    Run,
    /// We do, and no server may use the file meanwhile.
    RunAlone,
    /// Another node does: a slave checks that it is done.
    Expect,
    /// Nobody: the database is looked at as it is, and not even the smallest thing is changed.
    Leave,
}

impl Database {
    /// Connects, or opens the file and creates it when it is missing, and brings the schema up to date.
    ///
    /// # Errors
    /// The database cannot be reached, was written by a later release, or is not prepared yet by a master.
    pub(crate) async fn open(dsn: &DatabaseDsn, pool: &DatabasePool, migrations: Migrations) -> Result<Self, Error> {
        let lock = match dsn {
            DatabaseDsn::Sqlite(dsn) => sqlite::take_lock(dsn, migrations).await?,
            DatabaseDsn::MySql(_) | DatabaseDsn::PostgreSql(_) => None,
        };
        let (writer, readers, probe) = match dsn {
            DatabaseDsn::Sqlite(dsn) => sqlite::open(dsn, migrations).await?,
            DatabaseDsn::MySql(dsn) => server::open_mysql(dsn, pool).await?,
            DatabaseDsn::PostgreSql(dsn) => server::open_postgresql(dsn, pool).await?,
        };
        let engine = Source::engine(&&readers);
        let database = Self {
            shared: Arc::new(Shared {
                engine,
                writer,
                readers,
                probe,
                are_times_utc: AtomicBool::new(!engine.is_sqlite()),
                node: uuid::Uuid::now_v7().to_string(),
                changed: Notify::new(),
                statements: AtomicU64::new(0),
                _lock: lock,
            }),
        };
        migrations::prepare(&database, migrations).await?;
        Ok(database)
    }

    pub(crate) fn engine(&self) -> Engine {
        self.shared.engine
    }

    /// What this process is called among the nodes that share the database: another name at each start.
    pub(crate) fn node(&self) -> &str {
        &self.shared.node
    }

    /// A statement for this engine.
    pub(crate) fn sql(&self, text: &'static str) -> Sql {
        Sql::new(self.engine(), text)
    }

    /// For statements that only look.
    pub(crate) fn readers(&self) -> &Readers {
        self.count_statement();
        &self.shared.readers
    }

    /// Whether no row of the log has a time in another zone, so that their texts sort as they do: not before
    /// [`Database::rewrite_local_times`] has seen to it.
    pub(crate) fn are_times_utc(&self) -> bool {
        self.shared.are_times_utc.load(Ordering::Relaxed)
    }

    /// How often somebody asked for a connection: a measure of who uses the database at all.
    pub(crate) fn uses(&self) -> u64 {
        self.shared.statements.load(Ordering::Relaxed)
    }

    fn count_statement(&self) {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks into the database, and at nothing else.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let readers = &self.shared.probe;
        readers.rows(Sql::new(readers.engine(), "SELECT 1 FROM system_settings LIMIT 1")).await?;
        Ok(())
    }

    /// A transaction that writes what no other node holds in memory. On SQLite it is the only one of its kind until it
    /// ends, so it never fails half-way because another one was faster.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        self.count_statement();
        let begin = async {
            Ok(match &self.shared.writer {
                Writer::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
                Writer::MySql(pool, zone) => Transaction::MySql(pool.begin().await?, *zone),
                Writer::PostgreSql(pool) => Transaction::PostgreSql(pool.begin_with(server::BEGIN).await?),
            })
        };
        source::answered(self.engine(), sql::ANSWER_TIMEOUT, Box::pin(begin)).await
    }

    /// For several looks at one and the same moment. (MySQL shows each of them the present: whoever looks again at each
    /// change sees the end of one that it saw half of.)
    pub(crate) async fn snapshot(&self) -> Result<Transaction, Error> {
        self.count_statement();
        Ok(match &self.shared.readers {
            Readers::Sqlite(pool) => Transaction::Sqlite(pool.begin().await?),
            Readers::MySql(pool, zone) => Transaction::MySql(pool.begin().await?, *zone),
            Readers::PostgreSql(pool) => {
                Transaction::PostgreSql(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// Ends when another change was committed by this process.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Writes tables anew, so that nothing is left of what was deleted in them or replaced.
    ///
    /// # Errors
    /// Those of the database: it needs as much room once more, and on a server the rights of the tables' owner.
    pub(crate) async fn compact(&self, tables: &[&'static str]) -> Result<(), Error> {
        self.count_statement();
        match &self.shared.writer {
            Writer::Sqlite(pool) => {
                sqlite::compact(pool).await?;
            }
            Writer::MySql(pool, _) => {
                for table in tables {
                    server::optimize_mysql(pool, table).await?;
                }
            }
            Writer::PostgreSql(pool) => {
                for table in tables {
                    let text = format!("VACUUM FULL {}", self.engine().quoted(table));
                    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(pool).await?;
                }
            }
        }
        Ok(())
    }

    /// On SQLite, leaves one complete file behind, without a journal beside it.
    pub(crate) async fn close(self) {
        // A search that nobody waits for any more must not hold up the stop.
        let readers = async { tokio::join!(self.shared.readers.close(), self.shared.probe.close()) };
        if tokio::time::timeout(READERS_CLOSE_TIMEOUT, readers).await.is_err() {
            tracing::warn!("Something is still reading in the database; it is cut with the process");
        }
        if let Writer::Sqlite(pool) = &self.shared.writer {
            sqlite::close(pool).await;
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
