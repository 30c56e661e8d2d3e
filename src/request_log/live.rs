//! The log as it happens: whoever watches sees each entry when the writer takes it; or, where several nodes write to one
//! server, when it is found there, whichever of them wrote it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use super::{Entry, Filter, LoggedEntry, LoggedKey, Observer, queries, search::read_for_watchers};
use crate::{
    crypto::Cipher,
    db::{self, Database, Timestamp},
};

/// Entries that a watcher may be behind; one that reads too slowly misses some and hears how many.
const ENTRIES_BEHIND_MAX: usize = 4_096;

/// How often a server is asked for what is new, while somebody watches.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long after its end an entry may come to be seen there: nodes write twice a second, and their clocks differ.
const LATE_MAX: TimeDelta = TimeDelta::seconds(10);
/// Entries that one look goes through, and that are read at once.
const ENTRIES_PER_LOOK_MAX: i64 = 20_000;
const ENTRIES_PER_LOT: usize = 500;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    entries: broadcast::Sender<Arc<LoggedEntry>>,
    cipher: Cipher,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Entries come from a server.
    is_following: AtomicBool,
    somebody_watches: Notify,
    /// When the first of those who watch now began, in milliseconds since 1970.
    since: AtomicI64,
}

/// What was found on a server within the time in which late entries may still come.
#[derive(Default)]
struct Tail {
    seen: HashMap<String, Timestamp>,
    is_begun: bool,
}

/// One watcher's view of the log.
pub(crate) struct Watching {
    entries: broadcast::Receiver<Arc<LoggedEntry>>,
    filter: Filter,
    key_hash: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Watched {
    Entry(Arc<LoggedEntry>),
    /// So many entries passed unseen, whether they match or not.
    Missed(u64),
}

impl Live {
    pub(crate) fn new(cipher: Cipher) -> Self {
        Self { entries: broadcast::Sender::new(ENTRIES_BEHIND_MAX), cipher, shared: Arc::default() }
    }

    /// Shows the entries of all nodes that write to a server, until told to stop: none are read while nobody watches. Of a
    /// file there is one writer, whose entries come as they are.
    pub(crate) async fn follow(self, database: Database, stop: CancellationToken) {
        if database.engine().is_sqlite() {
            return stop.cancelled().await;
        }
        self.shared.is_following.store(true, Ordering::Relaxed);
        let mut tail = Tail::default();
        let mut is_failing = false;
        loop {
            if self.entries.receiver_count() == 0 {
                tail = Tail::default();
                if stop.run_until_cancelled(self.shared.somebody_watches.notified()).await.is_none() {
                    return;
                }
                continue;
            }
            let Some(outcome) = stop.run_until_cancelled(self.look(&database, &mut tail)).await else { return };
            if let (Err(error), false) = (&outcome, is_failing) {
                tracing::warn!(%error, "Entries of the log cannot be shown as they come");
            }
            is_failing = outcome.is_err();
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    /// Shows what came since the last look.
    async fn look(&self, database: &Database, tail: &mut Tail) -> Result<(), db::Error> {
        let from = Timestamp(Utc::now() - LATE_MAX);
        let found = queries::ids_since(database.readers(), from, ENTRIES_PER_LOOK_MAX).await?;
        let since = self.shared.since.load(Ordering::Relaxed);
        // What is found by the first look is new only if it was not over before somebody watched.
        let is_new = |time: Timestamp| tail.is_begun || time.0.timestamp_millis() >= since;
        let fresh = found.iter().rev().filter(|(id, time)| !tail.seen.contains_key(id) && is_new(*time));
        let fresh: Vec<String> = fresh.map(|(id, _)| id.clone()).collect();
        for lot in fresh.chunks(ENTRIES_PER_LOT) {
            let mut entries = read_for_watchers(database.readers(), &self.cipher, lot).await?;
            entries.sort_by(|a, b| a.timestamp.cmp(&b.timestamp).then_with(|| a.id.cmp(&b.id)));
            for entry in entries {
                // An error says that the last watcher has left.
                drop(self.entries.send(Arc::new(entry)));
            }
            tail.seen.extend(lot.iter().map(|id| (id.clone(), from)));
        }
        tail.is_begun = true;
        tail.seen = found.into_iter().collect();
        Ok(())
    }

    /// From the next entry on, those that match.
    pub(crate) fn watch(&self, filter: Filter) -> Watching {
        let key_hash = filter.key.as_ref().map(|key| self.cipher.hash(key.expose()));
        if self.entries.receiver_count() == 0 {
            self.shared.since.store(Utc::now().timestamp_millis(), Ordering::Relaxed);
        }
        let watching = Watching { entries: self.entries.subscribe(), filter, key_hash };
        self.shared.somebody_watches.notify_one();
        watching
    }

    fn show(&self, entry: &Entry) -> LoggedEntry {
        let (group, parent) = (entry.group.as_ref(), entry.parent.as_ref());
        let key = entry.key.as_ref().map(|key| &key.secret);
        LoggedEntry {
            row_id: None,
            id: entry.row_uuid().to_string(),
            timestamp: Some(Timestamp(entry.ended_at)),
            group_id: group.map_or(0, |group| group.id),
            group_name: group.map_or_else(String::new, |group| group.name.to_string()),
            parent_group_id: parent.map_or(0, |group| group.id),
            parent_group_name: parent.map_or_else(String::new, |group| group.name.to_string()),
            key: key.map_or(LoggedKey::None, |key| LoggedKey::Masked(key.masked())),
            key_id: entry.key.as_ref().map(|key| key.id),
            key_hash: key.map_or_else(String::new, |key| self.cipher.hash(key.expose())),
            model: entry.model.clone(),
            is_success: entry.is_success(),
            source_ip: entry.source_ip.map_or_else(String::new, |address| address.to_string()),
            status_code: entry.status.into(),
            request_path: entry.request_path.clone(),
            duration_ms: whole(entry.duration.as_millis()),
            error_message: entry.error_message.to_string(),
            user_agent: entry.user_agent.clone(),
            request_type: entry.kind.name().to_owned(),
            upstream_addr: entry.upstream_addr.clone(),
            is_stream: entry.is_stream,
            // They could be hundreds of megabytes while one watcher does not read.
            request_body: String::new(),
            has_request_body: entry.request_body.as_deref().is_some_and(|body| !body.is_empty()),
            request_id: Some(entry.request_id.to_string()),
            attempt: Some(entry.attempt.into()),
            first_byte_ms: entry.first_byte.map(|duration| whole(duration.as_millis())),
            overhead_us: Some(whole(entry.overhead.as_micros())),
            verdict: Some(entry.verdict.name().to_owned()),
            client_key: entry.client_key.as_deref().map(str::to_owned),
            sent_model: entry.sent_model.clone(),
            upstream_request_id: entry.upstream_request_id.as_deref().map(str::to_owned),
        }
    }
}

fn whole(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Observer for Live {
    fn see(&mut self, entries: &[Entry]) {
        if self.shared.is_following.load(Ordering::Relaxed) {
            return;
        }
        for entry in entries {
            // Nobody watches most of the time.
            if self.entries.receiver_count() == 0 {
                return;
            }
            // An error says that the last watcher has left.
            drop(self.entries.send(Arc::new(self.show(entry))));
        }
    }
}

impl Watching {
    /// The next entry that matches; `None`: the log is closed.
    pub(crate) async fn next(&mut self) -> Option<Watched> {
        loop {
            match self.entries.recv().await {
                Ok(entry) if self.filter.matches(&entry, self.key_hash.as_deref()) => {
                    return Some(Watched::Entry(entry));
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(count)) => return Some(Watched::Missed(count)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::Secret,
        db::testing::{fresh, open_again},
        request_log::{
            Kind, RequestLog, Writer,
            testing::{entry, group, key},
        },
    };

    fn live() -> Live {
        Live::new(Cipher::new(None))
    }

    async fn statuses(watching: &mut Watching, count: usize) -> Vec<i64> {
        let mut statuses = Vec::new();
        while statuses.len() < count {
            if let Some(Watched::Entry(entry)) = watching.next().await {
                statuses.push(entry.status_code);
            }
        }
        statuses
    }

    #[tokio::test]
    async fn each_watcher_sees_what_its_filter_lets_through() {
        let mut live = live();
        let used = |text: &str| Some(key(1, 1, text));
        let mut by_key = live.watch(Filter { key: Some(Secret::new("sk-b")), ..Filter::default() });
        let mut failures = live.watch(Filter { is_success: Some(false), ..Filter::default() });
        let mut of_aggregate = live.watch(Filter { group_id: Some(7), ..Filter::default() });
        live.see(&[
            Entry { key: used("sk-a"), ..entry(200) },
            Entry { key: used("sk-b"), parent: Some(group(7, "all")), ..entry(201) },
            Entry { kind: Kind::Retry, error_message: "Overloaded".into(), ..entry(503) },
        ]);
        assert_eq!(statuses(&mut by_key, 1).await, [201]);
        assert_eq!(statuses(&mut failures, 1).await, [503]);
        assert_eq!(statuses(&mut of_aggregate, 1).await, [201]);
    }

    #[tokio::test]
    async fn no_key_is_shown_in_clear() {
        let mut live = live();
        let mut watching = live.watch(Filter::default());
        live.see(&[Entry { key: Some(key(1, 1, "sk-0123456789abcdef")), ..entry(200) }]);
        let Some(Watched::Entry(shown)) = watching.next().await else { panic!("an entry was sent") };
        assert!(!format!("{shown:?}").contains("0123456789abc"), "{shown:?}");
        assert!(matches!(&shown.key, LoggedKey::Masked(text) if text == "sk-0****cdef"), "{shown:?}");
    }

    #[tokio::test]
    async fn who_reads_too_slowly_hears_how_much_was_missed() {
        let mut live = live();
        let mut watching = live.watch(Filter::default());
        for _ in 0..ENTRIES_BEHIND_MAX + 3 {
            live.see(&[entry(200)]);
        }
        assert!(matches!(watching.next().await, Some(Watched::Missed(3))));
        assert_eq!(statuses(&mut watching, 1).await, [200]);
    }

    /// Nodes that write to one server, each with its own writer.
    #[tokio::test]
    async fn whoever_watches_sees_the_entries_of_all_nodes_each_once() {
        let (place, database) = fresh().await;
        if database.engine().is_sqlite() {
            return;
        }
        let live = live();
        let stop = CancellationToken::new();
        let following = tokio::spawn(live.clone().follow(database.clone(), stop.clone()));
        let write = async |live: &Live, statuses: std::ops::Range<u16>| {
            let log = RequestLog::new(1);
            for (at, status) in (0..).zip(statuses) {
                let ended_at = Utc::now() + TimeDelta::milliseconds(at);
                log.submit(0, Entry { ended_at, request_body: Some("{}".to_owned()), ..entry(status) });
            }
            let database = open_again(&place).await.unwrap();
            let written = CancellationToken::new();
            written.cancel();
            let writer = Writer::new(log, database, Cipher::new(None));
            writer.observed_by(Box::new(live.clone())).run(written).await;
        };
        // Nobody watches: nothing is read.
        write(&live, 200..203).await;
        let uses = database.uses();
        tokio::time::sleep(LOOK_INTERVAL * 2).await;
        assert_eq!(database.uses(), uses);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut watching = live.watch(Filter::default());
        let mut failures = live.watch(Filter { is_success: Some(false), ..Filter::default() });
        // One of them writes beside us, the other is elsewhere.
        write(&live, 203..206).await;
        write(&Live::new(Cipher::new(None)), 300..303).await;
        assert_eq!(statuses(&mut watching, 6).await, [203, 204, 205, 300, 301, 302]);
        write(&live, 400..402).await;
        assert_eq!(statuses(&mut watching, 2).await, [400, 401]);
        assert_eq!(statuses(&mut failures, 2).await, [400, 401]);
        stop.cancel();
        following.await.unwrap();
    }
}
