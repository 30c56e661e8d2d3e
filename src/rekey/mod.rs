//! How stored keys come to another `ENCRYPTION_KEY`, and how a start finds that they have not: `migrate-keys`.
//!
//! The new form of every key is written beside the old one, looked at again, and put in its place in one transaction; the
//! request log follows. How far it has come is in the database, so whatever breaks off goes on where it was: until the
//! switch the old passphrase holds, from then on the new one, and no server starts before the end.

mod guard;
mod logged;
mod migration;
mod progress;
mod queries;
mod start;
mod survey;

pub(crate) use self::{
    guard::Guard,
    migration::Migration,
    queries::{keys_above, left_by_the_original},
    start::{agree_on_passphrase, has_unfinished, permit_start, stored_fingerprint},
    survey::{Passphrases, rehearse},
};
use crate::db;

/// Why keys are not migrated, or a server must not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Database(#[from] db::Error),
    /// With what would be right instead.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }
}

#[cfg(test)]
mod tests;
