//! The database: one writer, a few readers, and the schema that we share with the original.

mod error;
mod schema;
mod tables;
mod timestamp;
mod zones;

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_query::SqliteQueryBuilder;
use sea_query_sqlx::{SqlxBinder, SqlxValues};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use self::{
    error::Error,
    tables::{ApiKeys, GroupHourlyStats, GroupSubGroups, Groups, RequestLogs, SystemSettings, Tasks},
    timestamp::Timestamp,
};
use crate::config::{DatabaseDsn, SqliteDsn};

const READERS_MAX: u32 = 4;
/// Of the writer: room for the pages that one lot of the request log touches. With SQLite's own 2 MiB a lot of a group
/// with many keys spills, and each page is written several times. The memory is taken only as it is needed.
const WRITER_CACHE_KIBIBYTES: i64 = 16 * 1024;
/// The journal is folded into the file at this size (in pages, so at 32 or 64 MiB). Pages of indexes that change with every
/// lot are then copied once in a while and not each time.
const JOURNAL_PAGES_MAX: i64 = 8_192;
/// Of a new file: twice SQLite's own, since rows of the request log are long and their indexes many.
const PAGE_BYTES: u32 = 8 * 1024;
/// How long a stop waits for those who only read.
const READERS_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A cheap handle on the open database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    /// For the question whether the database answers: it must not queue behind long work.
    probe: SqlitePool,
    are_times_utc: Arc<AtomicBool>,
}

impl Database {
    /// Opens the file, creates it when it is missing, and brings its schema up to date.
    pub(crate) async fn open(dsn: &DatabaseDsn) -> Result<Self, Error> {
        let DatabaseDsn::Sqlite(dsn) = dsn else {
            return Err(Error::Other("this build opens SQLite only".into()));
        };
        create_private(&dsn.path).map_err(|error| Error::at(&dsn.path, "create", error))?;
        let writer_options =
            options(dsn, &[("cache_size", -WRITER_CACHE_KIBIBYTES), ("wal_autocheckpoint", JOURNAL_PAGES_MAX)]);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(writer_options)
            .await
            .map_err(|error| Error::at(&dsn.path, "open", error))?;
        let reading = options(dsn, &[("query_only", 1)]);
        let database = Self {
            writer,
            probe: SqlitePoolOptions::new().max_connections(1).connect_lazy_with(reading.clone()),
            // Whatever is to be changed goes through the one writer, so that nobody ever finds the file locked.
            readers: SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(reading),
            are_times_utc: Arc::default(),
        };
        schema::prepare(&database).await.map_err(|error| Error::at(&dsn.path, "prepare", error))?;
        Ok(database)
    }

    /// For statements that only look.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Whether no row of the log has a time in another zone, so that their texts sort as they do: not before
    /// [`Database::rewrite_local_times`] has seen to it.
    pub(crate) fn are_times_utc(&self) -> bool {
        self.are_times_utc.load(Ordering::Relaxed)
    }

    /// Looks into the file, and at nothing else.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1 FROM system_settings LIMIT 1").fetch_optional(&self.probe).await?;
        Ok(())
    }

    /// The one connection that writes. It is locked for writing from the start, so a transaction never fails half-way
    /// because another one was faster.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Leaves one complete file behind, without a journal beside it.
    pub(crate) async fn close(self) {
        // A search that nobody waits for any more must not hold up the stop.
        let readers = async { tokio::join!(self.readers.close(), self.probe.close()) };
        if tokio::time::timeout(READERS_CLOSE_TIMEOUT, readers).await.is_err() {
            tracing::warn!("Something is still reading in the database; it is cut with the process");
        }
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await {
            tracing::warn!(%error, "Could not fold the journal into the database file: it is kept beside it");
        }
        self.writer.close().await;
    }
}

/// Text and values of a statement, as `sqlx::query_with` takes them.
pub(crate) fn build(statement: &impl SqlxBinder) -> (AssertSqlSafe<String>, SqlxValues) {
    // Values are bound, never spliced into the text, so a built statement is safe by construction.
    let (text, values) = statement.build_sqlx(SqliteQueryBuilder);
    (AssertSqlSafe(text), values)
}

fn options(dsn: &SqliteDsn, pragmas: &[(&'static str, i64)]) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(&dsn.path)
        .busy_timeout(BUSY_TIMEOUT)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        // Files of the original may hold keys whose group is gone; enforcement would refuse to touch them.
        .foreign_keys(false)
        // Statements of bulk work are long, and a log is no place for them.
        .disable_statement_logging();
    let options = pragmas.iter().fold(options, |options, (name, value)| options.pragma(*name, value.to_string()));
    // The operator's own options come last: they win.
    dsn.pragmas.iter().fold(options, |options, (name, value)| options.pragma(name.to_ascii_lowercase(), value.clone()))
}

/// Creates the file, and the folders above it, for our user only: it holds keys.
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
