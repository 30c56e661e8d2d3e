//! The record of every request: from the hot path through a bounded buffer into the database.

mod buffer;
mod characters;
mod entry;
mod live;
mod queries;
mod retention;
mod row;
mod search;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod usage;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};

pub(crate) use self::{
    buffer::RECORDS_PENDING_MAX,
    entry::{Entry, GroupName, Kind, Verdict, body_text},
    live::{Live, Watched, Watching},
    retention::Retention,
    search::{Bodies, Cursor, Filter, Found, LoggedEntry, LoggedKey, Search, SearchError, Since, Start},
    summary::{
        ErrorKind, Field, Figures, KeyFigures, Percentiles, ROWS_ALL_MAX, Span, Summary, UpstreamFigures, ValueFigures,
    },
    writer::{WRITE_INTERVAL, Writer},
};

use buffer::Buffer;

/// Sees every entry once, on its way to the database, and must not keep the writer waiting.
pub(crate) trait Observer: Send {
    fn see(&mut self, entries: &[Entry]);
}

/// Takes records from the data plane. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RequestLog {
    buffer: Arc<Buffer>,
    is_failing: Arc<AtomicBool>,
}

impl RequestLog {
    /// `workers`: how many threads submit, each under its own number.
    pub(crate) fn new(workers: usize) -> Self {
        Self { buffer: Arc::new(Buffer::new(workers)), is_failing: Arc::default() }
    }

    /// Never waits, neither for the database nor for another worker. When too many entries wait already, this one is
    /// dropped and counted.
    pub(crate) fn submit(&self, worker: usize, entry: Entry) {
        self.buffer.push(worker, entry);
    }

    /// Entries wait because the database does not take them.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Entries that are on their way to the database.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.waiting()
    }

    /// When entries were last written; `None`: none was since the start.
    pub(crate) fn last_written_at(&self) -> Option<DateTime<Utc>> {
        self.buffer.last_written_at()
    }

    /// Entries that are lost, because there were too many or because the database refused them.
    pub(crate) fn dropped(&self) -> u64 {
        self.buffer.dropped()
    }

    /// Bodies that were left out of their entry, because too much waited.
    pub(crate) fn bodies_dropped(&self) -> u64 {
        self.buffer.bodies_dropped()
    }
}
