//! What came after an entry: for whoever watched the log, lost the connection, and watches again.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Bodies, Filter, Found, LoggedEntry, Search, SearchError, Start};
use crate::db;

const ENTRIES_PER_LOOK: usize = 250;
/// What is not found by then is left out.
const TIME_MAX: Duration = Duration::from_secs(2);
/// How far the times of entries may be from the order in which they are stored.
const TIME_SLACK: TimeDelta = TimeDelta::seconds(60);

/// Entries that were stored after another one.
#[derive(Debug)]
pub(crate) struct Since {
    /// The oldest first, without bodies.
    pub(crate) entries: Vec<LoggedEntry>,
    /// False: there are more, older than these.
    pub(crate) is_complete: bool,
}

impl Search {
    /// The entries that match and came after the one with this id, up to so many, the newest of them where there are more.
    /// `None`: nobody knows that one.
    ///
    /// # Errors
    /// As those of a page.
    pub(crate) async fn since(&self, filter: &Filter, id: Uuid, most: usize) -> Result<Option<Since>, SearchError> {
        let last = match self.entry(id).await {
            Ok(entry) => entry,
            Err(SearchError::Database(db::Error::NotFound)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(at) = last.timestamp else { return Ok(None) };
        let earliest = (at.0 - TIME_SLACK).max(filter.start_time.unwrap_or(chrono::DateTime::UNIX_EPOCH));
        let within = Filter { start_time: Some(earliest), ..filter.clone() };
        let begin = Instant::now();
        let mut entries = Vec::new();
        let mut below = None;
        let is_complete = loop {
            let start = Start::Below(below);
            let Found { entries: found, next, .. } =
                self.page(&within, start, ENTRIES_PER_LOOK, Bodies::LeftOut).await?;
            let count = found.len();
            let before = entries.len();
            entries.extend(found.into_iter().filter(|entry| is_after(entry, &last)));
            let is_at_the_end = entries.len() - before < count || next.is_none();
            if entries.len() > most {
                entries.truncate(most);
                break false;
            }
            if is_at_the_end {
                break true;
            }
            if begin.elapsed() > TIME_MAX {
                break false;
            }
            below = next;
        };
        entries.reverse();
        Ok(Some(Since { entries, is_complete }))
    }
}

/// In a file by the order in which they were stored, on a server by the times of their ends.
fn is_after(entry: &LoggedEntry, last: &LoggedEntry) -> bool {
    match (entry.row_id, last.row_id) {
        (Some(entry), Some(last)) => entry > last,
        _ => (entry.timestamp, &entry.id) > (last.timestamp, &last.id),
    }
}
