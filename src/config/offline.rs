//! What commands read that work on the database without a server: less than a server, and no management key.

use std::{ffi::OsString, path::Path};

use super::{DatabaseDsn, DatabasePool, RedisDsn, environment::Environment, load};
use crate::crypto::Secret;

/// The part of the configuration that tells where the data are.
pub(crate) struct Offline {
    pub(crate) database: DatabaseDsn,
    pub(crate) database_pool: DatabasePool,
    pub(crate) redis: Option<RedisDsn>,
    environment: Environment,
}

impl Offline {
    /// From the same places as the configuration of a server. Returns the warnings beside it, or else all problems.
    pub(crate) fn load(
        working_directory: &Path,
        process_environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        let mut environment = load::merge(working_directory, process_environment);
        let redis = load::redis(&mut environment);
        let database = load::database(&mut environment);
        let database_pool = load::database_pool(&mut environment);
        let Some(database) = database.filter(|_| environment.problems.is_empty()) else {
            return Err(environment.problems);
        };
        let warnings = std::mem::take(&mut environment.warnings);
        Ok((Self { database, database_pool, redis, environment }, warnings))
    }

    /// The secret in a variable of any name; `None`: it is not set, or empty.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.environment.secret(name)
    }
}
