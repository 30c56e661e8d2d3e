//! A connection to a database of any engine, for statements as text.

use std::path::Path;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, raw_sql};

/// How long a statement waits for the server under test, which writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) enum AnyConnection {
    Sqlite(SqliteConnection),
    MySql(MySqlConnection),
    PostgreSql(PgConnection),
}

/// Each value as the engine prints it; NULL is nothing.
macro_rules! texts {
    ($connection:expr, $query:expr) => {{
        let rows = raw_sql(AssertSqlSafe($query)).fetch_all($connection).await?;
        let text = |row: &_, place| Row::try_get_unchecked::<Option<String>, _>(row, place);
        rows.iter().map(|row| (0..row.len()).map(|place| text(row, place)).collect()).collect()
    }};
}

impl AnyConnection {
    /// Opens a file as the original does: foreign keys are not enforced, and the journal stays what it is.
    pub(super) async fn to_file(path: &Path, read_only: bool) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(path).read_only(read_only).foreign_keys(false);
        let options = options.create_if_missing(!read_only);
        Ok(Self::Sqlite(options.busy_timeout(BUSY_TIMEOUT).connect().await?))
    }

    /// Runs one or more statements.
    pub(super) async fn execute(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        let statements = raw_sql(AssertSqlSafe(statements.to_owned()));
        match self {
            Self::Sqlite(connection) => statements.execute(connection).await.map(drop),
            Self::MySql(connection) => statements.execute(connection).await.map(drop),
            Self::PostgreSql(connection) => statements.execute(connection).await.map(drop),
        }
    }

    /// The rows that a query finds.
    pub(super) async fn rows(&mut self, query: &str) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
        let query = query.to_owned();
        match self {
            Self::Sqlite(connection) => texts!(connection, query),
            Self::MySql(connection) => texts!(connection, query),
            Self::PostgreSql(connection) => texts!(connection, query),
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::MySql(connection) => connection.close().await,
            Self::PostgreSql(connection) => connection.close().await,
        }
    }
}
