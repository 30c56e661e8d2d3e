//! The log read back: newest entries first, by any filter, quick also among millions of rows.
//!
//! A file is searched by row ids (`windows.rs`), a server's table by the times of its entries (`servers.rs`).

mod cursor;
mod filter;
mod look;
mod queries;
mod rows;
mod server_queries;
mod servers;
mod since;
mod terms;
mod windows;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use uuid::Uuid;

use self::windows::{Gaps, Limits};
pub(crate) use self::{
    cursor::Cursor,
    filter::Filter,
    rows::{Bodies, LoggedEntry, LoggedKey, RowIds},
    since::Since,
};
pub(super) use self::{
    look::{Amount, Detail, Extent, Looked},
    rows::read_for_watchers,
};
use crate::{
    crypto::Cipher,
    db::{self, Database, Source as _},
};

/// Time for a page with a number, which cannot say how far it looked.
const PAGE_TIME: Duration = Duration::from_secs(15);

/// Where a page of entries begins.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// So many matches below the newest.
    Offset(u64),
    /// Behind what a page before ended with; `None`: at the newest.
    Below(Option<Cursor>),
}

/// What is shown of them.
#[derive(Debug, Clone, Copy)]
struct Page {
    size: usize,
    bodies: Bodies,
}

/// How many entries match, as far as was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) count: u64,
    /// False: there are that many at least.
    pub(crate) is_exact: bool,
}

#[derive(Debug)]
pub(crate) struct Found {
    /// Newest first.
    pub(crate) entries: Vec<LoggedEntry>,
    /// Only where the start was an offset.
    pub(crate) total: Option<Total>,
    /// What [`Start::Below`] continues from; `None`: that was all.
    pub(crate) next: Option<Cursor>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    #[error(transparent)]
    Database(db::Error),
    #[error("the search took longer than {PAGE_TIME:?}")]
    TooLong,
}

impl From<db::Error> for SearchError {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::TooLong => Self::TooLong,
            error => Self::Database(error),
        }
    }
}

/// Searches at once: others who read need a connection, too.
const SEARCHES_MAX: usize = 2;

/// Reads the log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Search {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    cipher: Cipher,
    limits: Limits,
    places: Semaphore,
    gaps: Gaps,
}

impl Search {
    pub(crate) fn new(database: Database, cipher: Cipher) -> Self {
        Self::within(Limits::DEFAULT, database, cipher)
    }

    fn within(limits: Limits, database: Database, cipher: Cipher) -> Self {
        let places = Semaphore::new(SEARCHES_MAX);
        Self { shared: Arc::new(Shared { database, cipher, limits, places, gaps: Gaps::unknown() }) }
    }

    pub(super) fn database(&self) -> &Database {
        &self.shared.database
    }

    pub(super) fn cipher(&self) -> &Cipher {
        &self.shared.cipher
    }

    /// What a page told as its continuation; `None`: it is none of this database.
    pub(crate) fn cursor(&self, text: &str) -> Option<Cursor> {
        let cursor = Cursor::parse(text)?;
        (matches!(cursor, Cursor::Row(_)) == self.shared.database.engine().is_sqlite()).then_some(cursor)
    }

    /// Up to `size` entries that match, newest first.
    ///
    /// # Errors
    /// Besides those of the database: [`SearchError::TooLong`] where a page cannot be found in time; in a file, a search by
    /// cursor gives what it found so far instead.
    pub(crate) async fn page(
        &self,
        filter: &Filter,
        start: Start,
        size: usize,
        bodies: Bodies,
    ) -> Result<Found, SearchError> {
        let _place = self.shared.places.acquire().await;
        let page = Page { size, bodies };
        if self.shared.database.engine().is_sqlite() {
            self.page_of_file(filter, start, page).await
        } else {
            self.page_of_server(filter, start, page).await
        }
    }

    /// The entry with this id.
    ///
    /// # Errors
    /// [`db::Error::NotFound`] where there is none.
    pub(crate) async fn entry(&self, id: Uuid) -> Result<LoggedEntry, SearchError> {
        let readers = self.shared.database.readers();
        let id = id.hyphenated().to_string();
        let ids = if readers.engine().is_sqlite() {
            RowIds::Numbers(queries::row_of(readers, &id).await?.into_iter().collect())
        } else {
            RowIds::Texts(vec![id])
        };
        let found = rows::read(readers, &self.shared.cipher, &ids, Bodies::Shown).await?;
        found.into_iter().next().ok_or(SearchError::Database(db::Error::NotFound))
    }

    /// Of each key among the matching entries, the newest of them; ordered by the hash of the key.
    pub(crate) async fn newest_of_each_key(&self, filter: &Filter) -> Result<RowIds, SearchError> {
        let _place = self.shared.places.acquire().await;
        if self.shared.database.engine().is_sqlite() {
            Ok(RowIds::Numbers(self.newest_of_each_key_in_file(filter).await?))
        } else {
            Ok(RowIds::Texts(self.newest_of_each_key_on_server(filter).await?))
        }
    }

    /// The entries of these rows without bodies, in the order asked for. Rows that are gone meanwhile are left out.
    pub(crate) async fn entries(&self, ids: &RowIds) -> Result<Vec<LoggedEntry>, SearchError> {
        let readers = self.shared.database.readers();
        let mut found = rows::read(readers, &self.shared.cipher, ids, Bodies::LeftOut).await?;
        ids.sort(&mut found);
        Ok(found)
    }
}

impl Found {
    fn nothing(start: &Start) -> Self {
        let total = matches!(start, Start::Offset(_)).then_some(Total { count: 0, is_exact: true });
        Self { entries: Vec::new(), total, next: None }
    }
}

#[cfg(test)]
mod tests;
