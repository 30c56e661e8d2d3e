//! What a start would change about the tables, found without changing anything.

use std::collections::HashSet;

use super::{SCHEMA_VERSION, server, sqlite, stored_version};
use crate::db::{Database, Error, state};

/// What there is, and what a start would do about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// What the last release of ours brought the tables to; `None`: none was here yet.
    pub(crate) schema_version: Option<i64>,
    /// What this release brings them to.
    pub(crate) schema_version_here: i64,
    pub(crate) missing_tables: Vec<&'static str>,
    /// `table.column`
    pub(crate) missing_columns: Vec<String>,
    pub(crate) missing_indexes: Vec<&'static str>,
    /// Of versions of the original before 1.1.0.
    pub(crate) dropped_columns: Vec<&'static str>,
}

impl Outlook {
    pub(crate) fn is_complete(&self) -> bool {
        self.missing_tables.is_empty()
            && self.missing_columns.is_empty()
            && self.missing_indexes.is_empty()
            && self.dropped_columns.is_empty()
    }

    pub(crate) fn is_of_a_later_release(&self) -> bool {
        self.schema_version.is_some_and(|version| version > self.schema_version_here)
    }

    /// None of the original's tables is there: a start makes all of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing_tables.contains(&"api_keys") && self.missing_tables.contains(&"groups")
    }
}

impl Database {
    /// What a start would do about the tables.
    pub(crate) async fn outlook(&self) -> Result<Outlook, Error> {
        let has_state = self.has_table(state::TABLE).await?;
        let mut transaction = self.snapshot().await?;
        let schema_version = if has_state { stored_version(&mut transaction).await? } else { None };
        let mut outlook = Outlook { schema_version, schema_version_here: SCHEMA_VERSION, ..Outlook::default() };
        for table in self.engine().tables() {
            let (columns, indexes) = if self.engine().is_sqlite() {
                let columns = sqlite::column_names(&mut transaction, table.name).await?;
                (columns, sqlite::index_names(&mut transaction, table.name).await?)
            } else {
                let columns: HashSet<String> =
                    server::columns_of(&mut transaction, table.name).await?.into_keys().collect();
                let indexes = server::indexes_of(&mut transaction, table.name).await?;
                (columns, indexes.into_keys().collect())
            };
            if columns.is_empty() {
                outlook.missing_tables.push(table.name);
                continue;
            }
            if table.name == "request_logs" && columns.contains("retries") {
                outlook.dropped_columns.push("request_logs.retries");
            }
            let declared = super::columns(table.create).map(|(name, _)| name);
            let own = table.own_columns.iter().map(|(name, _)| *name);
            let missing = declared.chain(own).filter(|name| !columns.contains(*name));
            outlook.missing_columns.extend(missing.map(|name| format!("{}.{name}", table.name)));
            let missing = table.indexes.iter().map(|(name, _)| *name).filter(|name| !indexes.contains(*name));
            outlook.missing_indexes.extend(missing);
        }
        transaction.rollback().await?;
        Ok(outlook)
    }
}
