//! What can go wrong with a statement, as far as callers tell it apart.

use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no such row")]
    NotFound,
    #[error("a row with this value exists already")]
    Duplicate,
    /// The values are to blame: they will be refused again.
    #[error("the database refuses a value: {0}")]
    Values(#[source] sqlx::Error),
    /// A slave came before the first master.
    #[error(
        "the database is not prepared for this release yet: a node that is no slave (without IS_SLAVE) does that at its start"
    )]
    NotPrepared,
    /// The server runs for diagnosis only.
    #[error(
        "keys can only be looked at: the server was started with `serve --diagnose`; start it without that, with the \
         ENCRYPTION_KEY that the keys were stored with, to change them"
    )]
    ReadOnly,
    /// Another transaction was in the way; tried again, the same statements work.
    #[error("another transaction was in the way: {0}")]
    Conflict(#[source] sqlx::Error),
    /// The statement was given a time, which it would have exceeded.
    #[error("the statement took longer than it may")]
    TooLong,
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error that names the file, for messages at start.
    pub(super) fn at(path: &Path, doing: &str, cause: impl std::fmt::Display) -> Self {
        Self::text(format!("cannot {doing} the database file {}: {cause}", path.display()))
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Other(text.into().into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Encode(_) => Self::Values(error),
            sqlx::Error::Database(ref inner) if inner.is_unique_violation() => Self::Duplicate,
            sqlx::Error::Database(ref inner) => match kind(&**inner) {
                Kind::Values => Self::Values(error),
                Kind::Conflict => Self::Conflict(error),
                Kind::TooLong => Self::TooLong,
                Kind::Other => Self::Other(Box::new(error)),
            },
            other => Self::Other(Box::new(other)),
        }
    }
}

enum Kind {
    Values,
    Conflict,
    TooLong,
    Other,
}

fn kind(error: &dyn sqlx::error::DatabaseError) -> Kind {
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        // Of https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html: a column that must not be null, out of
        // range, a broken character, too long, a check that does not hold (MySQL and MariaDB); lock timeout, deadlock; and
        // the end of a statement's time (MySQL and MariaDB).
        return match error.number() {
            1048 | 1264 | 1366 | 1406 | 3819 | 4025 => Kind::Values,
            1205 | 1213 => Kind::Conflict,
            3024 | 1969 => Kind::TooLong,
            _ => Kind::Other,
        };
    }
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        // https://www.postgresql.org/docs/current/errcodes-appendix.html: data exceptions and integrity constraints;
        // serialization failure, deadlock; and the end of a statement's time.
        return match &*code {
            "40001" | "40P01" | "55P03" => Kind::Conflict,
            "57014" => Kind::TooLong,
            code if code.starts_with("22") || code.starts_with("23") => Kind::Values,
            _ => Kind::Other,
        };
    }
    // The low byte of SQLite's code is its kind: too big, constraint, mismatch.
    match code.parse::<i32>().map(|code| code & 0xff) {
        Ok(18..=20) => Kind::Values,
        _ => Kind::Other,
    }
}
