//! Where entries wait for the writer: one shard a worker, so that no two of them meet on a lock.

use std::{
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};

use super::Entry;

/// Beyond these an entry, or only its body, is dropped and counted: the data plane is never slowed down for its log.
pub(crate) const RECORDS_PENDING_MAX: usize = 100_000;
const BODY_BYTES_PENDING_MAX: usize = 64 * 1024 * 1024;

/// Room that an emptied shard starts with at most, so that a burst does not keep its memory.
const SHARD_ROOM_MAX: usize = 4_096;

pub(super) struct Buffer {
    shards: Box<[Shard]>,
    records_per_shard_max: usize,
    body_bytes_per_shard_max: usize,
    dropped: AtomicU64,
    bodies_dropped: AtomicU64,
    /// Entries that the writer has taken, but not written yet.
    backlog: AtomicUsize,
    /// In milliseconds since the beginning of 1970; 0: never.
    last_written_at: AtomicI64,
}

/// Aligned so that two workers do not share a cache line.
#[repr(align(128))]
#[derive(Default)]
struct Shard(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    entries: Vec<Entry>,
    body_bytes: usize,
}

impl Buffer {
    pub(super) fn new(workers: usize) -> Self {
        let shards = workers.max(1);
        Self {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            records_per_shard_max: RECORDS_PENDING_MAX / shards,
            body_bytes_per_shard_max: BODY_BYTES_PENDING_MAX / shards,
            dropped: AtomicU64::new(0),
            bodies_dropped: AtomicU64::new(0),
            backlog: AtomicUsize::new(0),
            last_written_at: AtomicI64::new(0),
        }
    }

    pub(super) fn push(&self, worker: usize, mut entry: Entry) {
        let shard = &self.shards[worker % self.shards.len()];
        let mut pending = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.entries.len() >= self.records_per_shard_max {
            drop(pending);
            self.count_dropped(1);
            return;
        }
        if let Some(body) = &entry.request_body {
            if pending.body_bytes + body.len() > self.body_bytes_per_shard_max {
                entry.request_body = None;
                self.bodies_dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                pending.body_bytes += body.len();
            }
        }
        pending.entries.push(entry);
    }

    /// Everything that waits, worker after worker.
    pub(super) fn take(&self) -> impl Iterator<Item = Vec<Entry>> {
        self.shards.iter().filter_map(|shard| {
            let mut pending = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.entries.is_empty() {
                return None;
            }
            pending.body_bytes = 0;
            // Under the lock, so that no entry is ever seen to be nowhere.
            self.backlog.fetch_add(pending.entries.len(), Ordering::Relaxed);
            let room = pending.entries.len().min(SHARD_ROOM_MAX);
            Some(mem::replace(&mut pending.entries, Vec::with_capacity(room)))
        })
    }

    /// The writer says how much of what it took it still has.
    pub(super) fn note_backlog(&self, entries: usize) {
        self.backlog.store(entries, Ordering::Relaxed);
    }

    pub(super) fn note_written(&self, at: DateTime<Utc>) {
        self.last_written_at.store(at.timestamp_millis(), Ordering::Relaxed);
    }

    pub(super) fn waiting(&self) -> usize {
        let count = |shard: &Shard| shard.0.lock().unwrap_or_else(PoisonError::into_inner).entries.len();
        self.shards.iter().map(count).sum::<usize>() + self.backlog.load(Ordering::Relaxed)
    }

    pub(super) fn last_written_at(&self) -> Option<DateTime<Utc>> {
        let milliseconds = self.last_written_at.load(Ordering::Relaxed);
        DateTime::from_timestamp_millis(milliseconds).filter(|_| milliseconds != 0)
    }

    pub(super) fn count_dropped(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn bodies_dropped(&self) -> u64 {
        self.bodies_dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_log::testing::entry;

    #[test]
    fn what_goes_in_comes_out_once() {
        let buffer = Buffer::new(2);
        buffer.push(0, entry(200));
        buffer.push(1, entry(404));
        buffer.push(3, entry(500));
        let taken: Vec<u16> = buffer.take().flatten().map(|entry| entry.status).collect();
        assert_eq!(taken, [200, 404, 500]);
        assert_eq!(buffer.take().count(), 0);
    }

    #[test]
    fn what_waits_is_in_a_shard_or_with_the_writer() {
        let buffer = Buffer::new(2);
        buffer.push(0, entry(200));
        buffer.push(1, entry(404));
        buffer.note_backlog(5);
        assert_eq!((buffer.waiting(), buffer.last_written_at()), (7, None));
        assert_eq!(buffer.take().flatten().count(), 2);
        assert_eq!(buffer.waiting(), 7);
        buffer.note_backlog(3);
        let at = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        buffer.note_written(at);
        assert_eq!((buffer.waiting(), buffer.last_written_at()), (3, Some(at)));
    }

    #[test]
    fn a_full_shard_sheds_and_counts() {
        let mut buffer = Buffer::new(1);
        buffer.records_per_shard_max = 2;
        for status in [200, 201, 202] {
            buffer.push(0, entry(status));
        }
        assert_eq!(buffer.dropped(), 1);
        assert_eq!(buffer.take().flatten().count(), 2);
        buffer.push(0, entry(203));
        assert_eq!(buffer.dropped(), 1, "there is room again");
    }

    #[test]
    fn bodies_give_way_before_entries_do() {
        let mut buffer = Buffer::new(1);
        buffer.body_bytes_per_shard_max = 10;
        for body in ["12345678", "12345", "12"] {
            buffer.push(0, Entry { request_body: Some(body.to_owned()), ..entry(200) });
        }
        let bodies: Vec<_> = buffer.take().flatten().map(|entry| entry.request_body).collect();
        assert_eq!(bodies, [Some("12345678".to_owned()), None, Some("12".to_owned())]);
        assert_eq!(buffer.bodies_dropped(), 1);
    }
}
