//! What can go wrong with a statement, as far as callers tell it apart.

use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no such row")]
    NotFound,
    #[error("a row with this value exists already")]
    Duplicate,
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error that names the file, for messages at start.
    pub(super) fn at(path: &Path, doing: &str, cause: impl std::fmt::Display) -> Self {
        Self::Other(format!("cannot {doing} the database file {}: {cause}", path.display()).into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Database(error) if error.is_unique_violation() => Self::Duplicate,
            other => Self::Other(Box::new(other)),
        }
    }
}
