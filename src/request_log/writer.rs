//! The one task that writes the log: everything that waits, twice a second, in a few statements.
//!
//! The setting `request_log_write_interval_minutes` belongs to the original, which holds entries in a cache for that
//! long. It is kept for it, and has no effect here: entries are written within half a second, since that is as cheap
//! as writing them later, and a crash loses less.

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{
    Entry, GroupName, Kind, Observer, RequestLog,
    characters::Characters,
    queries,
    row::Rows,
    usage::{KeyUsage, store_progress, uses_of},
};
use crate::{
    crypto::Cipher,
    db::{self, Database},
    stats,
};

pub(crate) const WRITE_INTERVAL: Duration = Duration::from_millis(500);
/// Rows of one transaction: others who write get their turn after each. Pages that many rows share are written once for
/// all of them, so fewer and larger transactions are cheaper.
const ROWS_PER_TRANSACTION: usize = 16_384;
/// Rows of one transaction on a server, which holds the figures of their keys until its end.
const ROWS_PER_SERVER_TRANSACTION: usize = 2_000;
/// Texts of one statement on a server: MySQL takes no more than 4 MiB at once where it is told nothing.
const STATEMENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What a row takes beside its long texts, at most.
const ROW_BYTES: usize = 2_048;
/// How long a server may take for one transaction: behind a network that swallows everything, it never answers.
const SERVER_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often entries are tried again at once when transactions of other nodes are in the way.
const CONFLICTS_MAX: u32 = 5;
/// Entries that wait for a database that is away; beyond it the newest are dropped and counted.
const BACKLOG_MAX: usize = 100_000;
/// Tries to write what is left when the program stops.
const LAST_TRIES: u32 = 3;

pub(crate) struct Writer {
    log: RequestLog,
    database: Database,
    rows: Rows,
    /// Opened with the first write, since after a crash that takes a while.
    usage: Option<Usage>,
    backlog: Vec<Entry>,
    observers: Vec<Box<dyn Observer>>,
}

/// When the uses of keys are stored.
enum Usage {
    /// In a file: later, those of many entries at once.
    Later(KeyUsage),
    /// On a server: in the transaction of their entries, so that a crash leaves nothing to be counted again.
    AtOnce,
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
            None => self.open_usage().await?,
        };
        let mut outcome = self.write_backlog(&mut usage).await;
        if let (Ok(()), Usage::Later(usage)) = (&outcome, &mut usage) {
            outcome = match with_all_usage {
                true => usage.store_all(&self.database).await,
                false if usage.is_due() => usage.store(&self.database).await,
                false => Ok(()),
            };
        }
        self.usage = Some(usage);
        outcome
    }

    async fn open_usage(&mut self) -> Result<Usage, db::Error> {
        if self.database.engine().is_sqlite() {
            return Ok(Usage::Later(KeyUsage::open(&self.database).await?));
        }
        let sets = queries::character_sets(self.database.readers()).await?;
        self.rows.characters = Characters::common_to(sets.iter().map(String::as_str));
        Ok(Usage::AtOnce)
    }

    async fn write_backlog(&mut self, usage: &mut Usage) -> Result<(), db::Error> {
        let mut written = 0;
        let mut outcome = Ok(());
        let rows_max = match usage {
            Usage::Later(_) => ROWS_PER_TRANSACTION,
            Usage::AtOnce => ROWS_PER_SERVER_TRANSACTION,
        };
        let backlog = std::mem::take(&mut self.backlog);
        while outcome.is_ok() && written < backlog.len() {
            let lot = &backlog[written..backlog.len().min(written + rows_max)];
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
    async fn write_lot(&mut self, entries: &[Entry], usage: &mut Usage) -> (usize, Result<(), db::Error>) {
        // Halves are tried in their order, so all before the one that fails are dealt with.
        let mut parts = vec![entries];
        let mut done = 0;
        let mut conflicts = 0;
        let mut present = HashSet::new();
        while let Some(part) = parts.pop() {
            let outcome = match usage {
                Usage::Later(usage) => self.write_to_file(part, usage).await,
                Usage::AtOnce => {
                    let written = tokio::time::timeout(SERVER_WRITE_TIMEOUT, self.write_to_server(part, &present));
                    let silence = |_| db::Error::text(format!("no answer within {SERVER_WRITE_TIMEOUT:?}"));
                    written.await.map_err(silence).flatten()
                }
            };
            match outcome {
                Ok(()) => done += part.len(),
                Err(db::Error::Conflict(_)) if conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    parts.push(part);
                }
                Err(error @ (db::Error::Values(_) | db::Error::Duplicate)) => {
                    if matches!((&error, &*usage), (db::Error::Duplicate, Usage::AtOnce)) {
                        match find_present(&self.database, part, &mut present).await {
                            Ok(true) => {
                                parts.push(part);
                                continue;
                            }
                            Ok(false) => {}
                            Err(error) => return (done, Err(error)),
                        }
                    }
                    if part.len() == 1 {
                        tracing::warn!(%error, "The database refuses an entry of the request log: it is left out");
                        self.log.buffer.count_dropped(1);
                        done += 1;
                    } else {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                }
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// All of these, or none; but those that are there already.
    async fn write_to_server(&mut self, entries: &[Entry], present: &HashSet<String>) -> Result<(), db::Error> {
        let is_absent = |entry: &&Entry| present.is_empty() || !present.contains(&entry.row_uuid().to_string());
        let entries: Vec<&Entry> = entries.iter().filter(is_absent).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        let engine = transaction.engine();
        let mut left = &*entries;
        while !left.is_empty() {
            let (now, later) = left.split_at(queries::insert_size(engine, fitting_a_statement(left)));
            let mut sql = queries::insert(engine, now.len());
            for entry in now {
                self.rows.add(entry, &mut sql);
            }
            transaction.execute(sql).await?;
            left = later;
        }
        queries::add_uses(&mut transaction, &uses_of(&entries)).await?;
        // Last, since every node counts in the same few rows.
        for tally in stats::tallies(entries.iter().map(|entry| fact(entry))) {
            stats::add_tally(&mut transaction, tally).await?;
        }
        transaction.commit().await
    }

    /// All of these, or none.
    async fn write_to_file(&mut self, entries: &[Entry], usage: &mut KeyUsage) -> Result<(), db::Error> {
        let mut transaction = self.database.begin().await?;
        let engine = transaction.engine();
        let mut left = entries;
        let mut last_row_id = 0;
        let mut restarted = None;
        while !left.is_empty() {
            let (now, later) = left.split_at(queries::insert_size(engine, left.len()));
            let mut sql = queries::insert(engine, now.len());
            for entry in now {
                self.rows.add(entry, &mut sql);
            }
            let is_first = left.len() == entries.len();
            last_row_id = transaction.execute(sql).await?.last_insert_id;
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
        usage.count(entries, last_row_id);
        Ok(())
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

/// When the answer to a commit was lost, its rows may be there: with all that is counted of them, since that was the same
/// commit. Whether some are that were not known to be.
async fn find_present(
    database: &Database,
    entries: &[Entry],
    present: &mut HashSet<String>,
) -> Result<bool, db::Error> {
    let ids: Vec<String> = entries.iter().map(|entry| entry.row_uuid().to_string()).collect();
    let known = present.len();
    present.extend(queries::present(database.readers(), &ids).await?);
    Ok(present.len() > known)
}

/// How many of these entries are not too long together for one statement; one always is not.
fn fitting_a_statement(entries: &[&Entry]) -> usize {
    let bytes_of = |entry: &Entry| {
        let long = entry.request_body.as_ref().map_or(0, String::len) + entry.error_message.len();
        long + entry.request_path.len() + entry.user_agent.len() + ROW_BYTES
    };
    let mut bytes = 0;
    let fits = |entry: &&&Entry| {
        bytes += bytes_of(entry);
        bytes <= STATEMENT_BYTES_MAX
    };
    entries.iter().take_while(fits).count().max(1)
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
