//! How often and when each key was used. On a server that is stored along with the rows. In a file it is counted in memory
//! from the rows that were written, and stored in large lots.
//!
//! A group of many keys uses another one for each request, so storing each use at once would double the work of the
//! log. What is stored along with the counts is up to which row they were counted; what a crash swallows is counted
//! again from the rows behind that.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    time::Duration,
};

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Entry, queries};
use crate::db::{self, Database, Timestamp, Transaction};

const STATE_NAME: &str = "key_usage";
/// Counts wait longer the more keys they are spread over, since then a longer wait saves more: about this many keys a
/// second are written, until the wait is as long as it may get.
const KEYS_PER_SECOND: u64 = 500;
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Keys or rows that one transaction deals with.
const KEYS_PER_LOT: usize = 5_000;
const RECOUNTED_ROWS_PER_LOT: i64 = 50_000;

pub(super) struct KeyUsage {
    progress: Progress,
    /// The newest row that was counted in memory.
    last_row_id: i64,
    counts: HashMap<i64, Use>,
    /// Counts that are being stored, the highest key id first, so that the next lot is at the end.
    storing: Vec<(i64, Use)>,
    since: Instant,
}

/// What is stored about the counts in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The uses of all rows up to this one are in the figures of their keys.
    counted_up_to: i64,
    /// And those of further rows, for some of the keys, when a crash came between two lots.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    partly: Option<Partly>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Partly {
    counted_up_to: i64,
    key_ids_up_to: i64,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    requests: u64,
    last_at: DateTime<Utc>,
}

impl KeyUsage {
    /// Takes up where the last run ended, however it ended.
    pub(super) async fn open(database: &Database) -> Result<Self, db::Error> {
        let last_row_id = queries::last_row_id(database.readers()).await?;
        let stored = queries::state(database.readers(), STATE_NAME).await?;
        // Without a trace of ours, whoever wrote the rows has counted them.
        let progress = stored
            .and_then(|text| serde_json::from_str::<Progress>(&text).ok())
            .unwrap_or(Progress { counted_up_to: last_row_id, partly: None });
        let mut usage =
            Self { progress, last_row_id, counts: HashMap::new(), storing: Vec::new(), since: Instant::now() };
        usage.recount(database).await?;
        Ok(usage)
    }

    /// When all rows were deleted, ids start anew, below what is noted as counted. What is to be noted instead, within
    /// the transaction that inserts a row with this id, and to be handed to [`KeyUsage::adopt`] after the commit.
    pub(super) fn restart(&self, first_row_id: i64) -> Option<Progress> {
        if first_row_id > self.progress.counted_up_to {
            return None;
        }
        let counted_up_to = first_row_id - 1;
        let partly = self.progress.partly.map(|partly| Partly { counted_up_to, ..partly });
        Some(Progress { counted_up_to, partly })
    }

    pub(super) fn adopt(&mut self, progress: Progress) {
        self.progress = progress;
    }

    /// Counts rows that were committed, the newest of which has this id.
    pub(super) fn count(&mut self, entries: &[Entry], last_row_id: i64) {
        for entry in entries {
            let Some(key) = &entry.key else { continue };
            let ended_at = stored_end(entry);
            let used = self.counts.entry(key.id).or_insert(Use { requests: 0, last_at: ended_at });
            used.requests += 1;
            used.last_at = used.last_at.max(ended_at);
        }
        self.last_row_id = last_row_id;
    }

    pub(super) fn is_due(&self) -> bool {
        if self.counts.is_empty() && self.storing.is_empty() {
            return false;
        }
        let wait = Duration::from_secs(self.counts.len() as u64 / KEYS_PER_SECOND).clamp(WAIT_MIN, WAIT_MAX);
        !self.storing.is_empty() || self.since.elapsed() >= wait
    }

    pub(super) async fn store_all(&mut self, database: &Database) -> Result<(), db::Error> {
        while !(self.counts.is_empty() && self.storing.is_empty()) {
            self.store(database).await?;
        }
        Ok(())
    }

    /// Stores one lot of counts.
    pub(super) async fn store(&mut self, database: &Database) -> Result<(), db::Error> {
        if self.storing.is_empty() {
            self.storing = self.counts.drain().collect();
            self.storing.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
            self.since = Instant::now();
            self.progress.partly = Some(Partly { counted_up_to: self.last_row_id, key_ids_up_to: 0 });
        }
        let lot_start = self.storing.len().saturating_sub(KEYS_PER_LOT);
        let lot = &self.storing[lot_start..];
        let (Some(partly), Some((highest_id, _))) = (self.progress.partly, lot.first()) else { return Ok(()) };
        let progress = if lot_start == 0 {
            Progress { counted_up_to: partly.counted_up_to, partly: None }
        } else {
            Progress { partly: Some(Partly { key_ids_up_to: *highest_id, ..partly }), ..self.progress }
        };
        let mut transaction = database.begin().await?;
        queries::add_uses_as_json(&mut transaction, &as_json(lot)).await?;
        store_progress(&mut transaction, progress).await?;
        transaction.commit().await?;
        self.storing.truncate(lot_start);
        self.progress = progress;
        Ok(())
    }

    /// Counts from the rows what was counted in memory only when the last run was killed.
    async fn recount(&mut self, database: &Database) -> Result<(), db::Error> {
        let mut to_recount = self.last_row_id.saturating_sub(self.progress.counted_up_to);
        if to_recount > 0 {
            tracing::info!("Counting the uses of keys in {to_recount} rows of the request log again");
        }
        while to_recount > 0 {
            let from = self.progress.counted_up_to + 1;
            let mut to = self.last_row_id.min(from + RECOUNTED_ROWS_PER_LOT - 1);
            let mut key_ids_above = 0;
            let mut partly = self.progress.partly;
            if let Some(known) = partly {
                to = to.min(known.counted_up_to);
                key_ids_above = known.key_ids_up_to;
                if to >= known.counted_up_to {
                    partly = None;
                }
            }
            let progress = Progress { counted_up_to: to, partly };
            let mut transaction = database.begin().await?;
            queries::recount_uses(&mut transaction, from, to, key_ids_above).await?;
            store_progress(&mut transaction, progress).await?;
            transaction.commit().await?;
            self.progress = progress;
            to_recount = self.last_row_id - to;
        }
        let is_noted = queries::state(database.readers(), STATE_NAME).await?.is_some();
        let settled = Progress { counted_up_to: self.last_row_id, partly: None };
        if !is_noted || self.progress != settled {
            let mut transaction = database.begin().await?;
            store_progress(&mut transaction, settled).await?;
            transaction.commit().await?;
            self.progress = settled;
        }
        Ok(())
    }
}

/// Of each key, how often these entries used it and when last, in ascending order of the keys' ids.
pub(super) fn uses_of(entries: &[&Entry]) -> Vec<(i64, i64, Timestamp)> {
    let mut uses: BTreeMap<i64, (i64, Timestamp)> = BTreeMap::new();
    for entry in entries {
        let Some(key) = &entry.key else { continue };
        let ended_at = Timestamp(stored_end(entry));
        let (requests, last_at) = uses.entry(key.id).or_insert((0, ended_at));
        *requests += 1;
        *last_at = ended_at.max(*last_at);
    }
    uses.into_iter().map(|(id, (requests, last_at))| (id, requests, last_at)).collect()
}

/// As precise as the row, so that the two are equal.
fn stored_end(entry: &Entry) -> DateTime<Utc> {
    entry.ended_at.trunc_subsecs(6)
}

pub(super) async fn store_progress(transaction: &mut Transaction, progress: Progress) -> Result<(), db::Error> {
    let text = serde_json::to_string(&progress).map_err(|error| db::Error::Other(error.into()))?;
    queries::set_state(transaction, STATE_NAME, &text).await
}

fn as_json(uses: &[(i64, Use)]) -> String {
    let mut text = String::with_capacity(uses.len() * 56);
    let mut separator = '[';
    for (id, used) in uses {
        let last_at = Timestamp(used.last_at).to_stored();
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}[{id},{},\"{last_at}\"]", used.requests);
        separator = ',';
    }
    text.push(']');
    text
}
