//! SQLite: one writer, a few readers, one file.

use std::{fs, io, path::Path, time::Duration};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Error, Migrations, Readers, Writer,
    lock::{self, Hold},
};
use crate::config::SqliteDsn;

const READERS_MAX: u32 = 4;
/// Of the writer: room for the pages that one lot of the request log touches. With SQLite's own 2 MiB a lot of a group
/// with many keys spills, and each page is written several times. The memory is taken only as it is needed.
const WRITER_CACHE_KIBIBYTES: i64 = 16 * 1024;
/// The journal is folded into the file at this size (in pages, so at 32 or 64 MiB). Pages of indexes that change with every
/// lot are then copied once in a while and not each time.
const JOURNAL_PAGES_MAX: i64 = 8_192;
/// Of a new file: twice SQLite's own, since rows of the request log are long and their indexes many.
const PAGE_BYTES: u32 = 8 * 1024;
/// How long a connection waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Before the file is opened, or even made.
pub(super) async fn take_lock(dsn: &SqliteDsn, migrations: Migrations) -> Result<Option<fs::File>, Error> {
    let hold = match migrations {
        Migrations::Leave => return Ok(None),
        Migrations::Run | Migrations::Expect => Hold::Together,
        Migrations::RunAlone => Hold::Alone,
    };
    if migrations == Migrations::Run {
        create_folder(&dsn.path).map_err(|error| Error::at(&dsn.path, "create", error))?;
    } else {
        fs::metadata(&dsn.path).map_err(|error| Error::at(&dsn.path, "open", error))?;
    }
    lock::take(&dsn.path, hold).await
}

pub(super) async fn open(dsn: &SqliteDsn, migrations: Migrations) -> Result<(Writer, Readers, Readers), Error> {
    if migrations == Migrations::Run {
        create_private(&dsn.path).map_err(|error| Error::at(&dsn.path, "create", error))?;
    } else if let Err(error) = fs::metadata(&dsn.path) {
        return Err(Error::at(&dsn.path, "open", error));
    }
    if migrations == Migrations::Leave {
        return look_at(dsn).await;
    }
    let mut pragmas = vec![("cache_size", -WRITER_CACHE_KIBIBYTES), ("wal_autocheckpoint", JOURNAL_PAGES_MAX)];
    if migrations == Migrations::RunAlone {
        // What is replaced may be a key in clear.
        pragmas.push(("secure_delete", 1));
    }
    let writer_options = options(dsn, &pragmas);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(writer_options)
        .await
        .map_err(|error| Error::at(&dsn.path, "open", error))?;
    let reading = options(dsn, &[("query_only", 1)]);
    // Whatever is to be changed goes through the one writer, so that nobody ever finds the file locked.
    let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(reading.clone());
    let probe = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(reading);
    Ok((Writer::Sqlite(writer), Readers::Sqlite(readers), Readers::Sqlite(probe)))
}

/// Opens the file without changing anything in it or beside it.
async fn look_at(dsn: &SqliteDsn) -> Result<(Writer, Readers, Readers), Error> {
    let mut journal = dsn.path.clone().into_os_string();
    journal.push("-wal");
    let options = SqliteConnectOptions::new()
        .filename(&dsn.path)
        .read_only(true)
        // A file with no journal beside it is complete, and SQLite is kept from making one only to read it.
        .immutable(!Path::new(&journal).exists())
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(|error| Error::at(&dsn.path, "open", error))?;
    Ok((Writer::Sqlite(pool.clone()), Readers::Sqlite(pool.clone()), Readers::Sqlite(pool)))
}

/// The file is written anew, and the journal with all that was in it is cut to nothing.
pub(super) async fn compact(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::query("VACUUM").execute(writer).await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await?;
    Ok(())
}

pub(super) async fn close(writer: &SqlitePool) {
    if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await {
        tracing::warn!(%error, "Could not fold the journal into the database file: it is kept beside it");
    }
    writer.close().await;
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

fn create_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)
}

/// Creates the file, and the folders above it, for our user only: it holds keys.
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    create_folder(path)?;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
