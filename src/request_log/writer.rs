//! The one task that writes the log: everything that waits, twice a second, in a few statements.
//!
//! The setting `request_log_write_interval_minutes` belongs to the original, which holds entries in a cache for that
//! long. It is kept for it, and has no effect here: entries are written within half a second, since that is as cheap
//! as writing them later, and a crash loses less.

use std::{sync::atomic::Ordering, time::Duration};

use chrono::Utc;
use sqlx::{Arguments, sqlite::SqliteArguments};
use tokio_util::sync::CancellationToken;

use super::{
    Entry, GroupName, Kind, Observer, RequestLog, queries,
    row::Rows,
    usage::{KeyUsage, store_progress},
};
use crate::{
    crypto::Cipher,
    db::{self, Database},
    stats,
};

const WRITE_INTERVAL: Duration = Duration::from_millis(500);
/// Rows of one transaction: others who write get their turn after each. Pages that many rows share are written once for
/// all of them, so fewer and larger transactions are cheaper.
const ROWS_PER_TRANSACTION: usize = 16_384;
/// Entries that wait for a database that is away; beyond it the newest are dropped and counted.
const BACKLOG_MAX: usize = 100_000;
/// Tries to write what is left when the program stops.
const LAST_TRIES: u32 = 3;

pub(crate) struct Writer {
    log: RequestLog,
    database: Database,
    rows: Rows,
    /// Opened with the first write, since after a crash that takes a while.
    usage: Option<KeyUsage>,
    backlog: Vec<Entry>,
    observers: Vec<Box<dyn Observer>>,
}

/// Why some entries were not written.
#[derive(Debug)]
enum Refusal {
    /// One of them is to blame.
    Entries(sqlx::Error),
    /// The database is, or whatever is between it and us: it may work later.
    Away(db::Error),
}

impl Writer {
    pub(crate) fn new(log: RequestLog, database: Database, cipher: Cipher) -> Self {
        Self { log, database, rows: Rows::new(cipher), usage: None, backlog: Vec::new(), observers: Vec::new() }
    }

    /// Shows every entry to `observer` as well, when it is taken out of the buffer.
    pub(crate) fn observed_by(mut self, observer: Box<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Writes until told to stop, and then what is left.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(WRITE_INTERVAL)).await.is_some() {
            let outcome = self.write(false).await;
            self.report(outcome);
        }
        for tries_left in (0..LAST_TRIES).rev() {
            match self.write(true).await {
                Ok(()) => return,
                Err(error) if tries_left == 0 => {
                    self.log.buffer.count_dropped(self.backlog.len());
                    tracing::error!(%error, "The last {} entries of the request log are lost", self.backlog.len());
                }
                Err(_) => tokio::time::sleep(WRITE_INTERVAL).await,
            }
        }
    }

    /// Writes all that waits, and what is known about keys where its time has come.
    async fn write(&mut self, with_all_usage: bool) -> Result<(), db::Error> {
        self.collect();
        let mut usage = match self.usage.take() {
            Some(usage) => usage,
            None => KeyUsage::open(&self.database).await?,
        };
        let outcome = self.write_backlog(&mut usage).await;
        let outcome = match outcome {
            Ok(()) if with_all_usage => usage.store_all(&self.database).await,
            Ok(()) if usage.is_due() => usage.store(&self.database).await,
            other => other,
        };
        self.usage = Some(usage);
        outcome
    }

    async fn write_backlog(&mut self, usage: &mut KeyUsage) -> Result<(), db::Error> {
        let mut written = 0;
        let mut outcome = Ok(());
        let backlog = std::mem::take(&mut self.backlog);
        while outcome.is_ok() && written < backlog.len() {
            let lot = &backlog[written..backlog.len().min(written + ROWS_PER_TRANSACTION)];
            let (done, result) = self.write_lot(lot, usage).await;
            written += done;
            outcome = result;
        }
        if written > 0 {
            self.log.buffer.note_written(Utc::now());
        }
        if written < backlog.len() {
            self.backlog = backlog;
            self.backlog.drain(..written);
        }
        self.log.buffer.note_backlog(self.backlog.len());
        outcome
    }

    fn collect(&mut self) {
        let mut fresh: Vec<Entry> = Vec::new();
        for entries in self.log.buffer.take() {
            if fresh.is_empty() {
                fresh = entries;
            } else {
                fresh.extend(entries);
            }
        }
        // Each worker's are in order already. Rows are searched in the order of their ids.
        fresh.sort_by_key(|entry| entry.ended_at);
        let room = BACKLOG_MAX - self.backlog.len().min(BACKLOG_MAX);
        if fresh.len() > room {
            self.log.buffer.count_dropped(fresh.len() - room);
            fresh.truncate(room);
        }
        // What is dropped is in no figure but that of what is dropped.
        for observer in &mut self.observers {
            observer.see(&fresh);
        }
        if self.backlog.is_empty() {
            self.backlog = fresh;
        } else {
            self.backlog.append(&mut fresh);
        }
        self.log.buffer.note_backlog(self.backlog.len());
    }

    /// Writes entries, leaving out those that the database refuses. Returns how many are dealt with.
    async fn write_lot(&mut self, entries: &[Entry], usage: &mut KeyUsage) -> (usize, Result<(), db::Error>) {
        // Halves are tried in their order, so all before the one that fails are dealt with.
        let mut parts = vec![entries];
        let mut done = 0;
        while let Some(part) = parts.pop() {
            match self.try_write(part, usage).await {
                Ok(last_row_id) => {
                    usage.count(part, last_row_id);
                    done += part.len();
                }
                Err(Refusal::Away(error)) => return (done, Err(error)),
                Err(Refusal::Entries(error)) if part.len() == 1 => {
                    tracing::warn!(%error, "The database refuses an entry of the request log: it is left out");
                    self.log.buffer.count_dropped(1);
                    done += 1;
                }
                Err(Refusal::Entries(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        (done, Ok(()))
    }

    /// All of these, or none. Returns the row id of the last.
    async fn try_write(&mut self, entries: &[Entry], usage: &mut KeyUsage) -> Result<i64, Refusal> {
        let mut transaction = self.database.begin().await.map_err(Refusal::Away)?;
        let mut left = entries;
        let mut last_row_id = 0;
        let mut restarted = None;
        while !left.is_empty() {
            let (now, later) = left.split_at(queries::insert_size(left.len()));
            let mut arguments = SqliteArguments::default();
            arguments.reserve(now.len() * super::row::COLUMNS.len(), 0);
            for entry in now {
                self.rows.add(entry, &mut arguments).map_err(sqlx::Error::Encode)?;
            }
            let is_first = left.len() == entries.len();
            last_row_id = queries::insert(&mut transaction, now.len(), arguments).await?;
            if is_first && let Some(progress) = usage.restart(last_row_id + 1 - i64::try_from(now.len()).unwrap_or(0)) {
                store_progress(&mut transaction, progress).await?;
                restarted = Some(progress);
            }
            left = later;
        }
        for tally in stats::tallies(entries.iter().map(fact)) {
            stats::add_tally(&mut transaction, tally).await?;
        }
        transaction.commit().await?;
        if let Some(progress) = restarted {
            usage.adopt(progress);
        }
        Ok(last_row_id)
    }

    fn report(&self, outcome: Result<(), db::Error>) {
        // Said once when it begins and once when it ends.
        let was_failing = self.log.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) if was_failing => tracing::info!("The request log is written again"),
            Err(error) if !was_failing => {
                tracing::error!(%error, "Cannot write the request log; entries wait in memory");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        // The low byte of SQLite's code is its kind: too big, constraint, mismatch.
        const KINDS_OF_BAD_ROWS: [i32; 3] = [18, 19, 20];
        let is_bad_row = match &error {
            sqlx::Error::Encode(_) => true,
            sqlx::Error::Database(error) => error
                .code()
                .and_then(|code| code.parse::<i32>().ok())
                .is_some_and(|code| KINDS_OF_BAD_ROWS.contains(&(code & 0xff))),
            _ => false,
        };
        if is_bad_row { Self::Entries(error) } else { Self::Away(error.into()) }
    }
}

/// What counts of an entry in the hourly figures.
fn fact(entry: &Entry) -> stats::Fact {
    let outcome = match entry.kind {
        Kind::Retry => stats::Outcome::Retried,
        Kind::Final if entry.is_aborted() => stats::Outcome::Aborted,
        Kind::Final if entry.is_success() => stats::Outcome::Success,
        Kind::Final => stats::Outcome::Failure,
    };
    let id = |group: &Option<GroupName>| group.as_ref().map(|group| group.id);
    stats::Fact { ended_at: entry.ended_at, group: id(&entry.group), parent: id(&entry.parent), outcome }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
