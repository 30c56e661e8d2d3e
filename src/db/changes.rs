//! The feed of what changed that every node holds in memory, so that each can look again.
//!
//! A change takes a lock first that all nodes share, so rules that hold when they are checked hold when it is stored, and
//! the feed is numbered in the order of the commits: whoever has seen one number has seen all below it. A file of SQLite
//! is ours alone: there the one writer is the lock, and no feed is needed.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use super::{Database, Error, FromRow, Row, Shared, Source, Sql, Transaction};

/// Ids that one entry of the feed lists; more are told as a span.
const IDS_LISTED_MAX: usize = 5_000;
/// Keys that a span may hold beside those that are meant, for each of these.
const SPAN_SPARSENESS_MAX: i64 = 4;
/// Entries that are read at once.
const ENTRIES_PER_LOOK: i64 = 1_000;
/// How long an entry is kept: a node that was away for longer loads everything anew.
const KEPT_MILLISECONDS: i64 = 3_600_000;
/// Entries that one statement deletes.
const FORGOTTEN_PER_LOT: i64 = 10_000;
/// The name of the last number, in the table of states.
pub(super) const LAST_NUMBER: &str = "changes";

/// What other nodes must look at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Settings, groups, members.
    Configuration,
    /// Some keys of a group: there or not, active or not, their failures.
    Keys { group_id: i64, ids: Vec<i64> },
    /// The same for all keys of the group with ids from the first to the last.
    KeysBetween { group_id: i64, first_id: i64, last_id: i64 },
    /// Something that a later release tells of.
    Unknown,
}

/// A transaction whose effects other nodes must hear of.
pub(crate) struct Change {
    transaction: Transaction,
    shared: Arc<Shared>,
    last_number: i64,
    changed: Vec<Changed>,
}

/// What is new in the feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Of other nodes, in their order; and up to where that is.
    New(Vec<Changed>, i64),
    /// More than the feed still has: everything must be loaded anew, and then this is the place to go on from.
    TooMany(i64),
}

struct Entry {
    number: i64,
    node: String,
    changed: Changed,
}

impl Database {
    /// A transaction that changes what other nodes hold in memory. No other change runs at the same time, on any node.
    pub(crate) async fn begin_change(&self) -> Result<Change, Error> {
        let mut transaction = self.begin().await?;
        let engine = transaction.engine();
        let last_number = if engine.is_sqlite() {
            0
        } else {
            let lock = Sql::new(engine, "SELECT value FROM gpt_load_state WHERE name = ? FOR UPDATE").bind(LAST_NUMBER);
            parse(&transaction.value::<String>(lock).await?)?
        };
        Ok(Change { transaction, shared: Arc::clone(&self.shared), last_number, changed: Vec::new() })
    }

    /// The number of the last change.
    pub(crate) async fn last_change(&self) -> Result<i64, Error> {
        if self.engine().is_sqlite() {
            return Ok(0);
        }
        let sql = self.sql("SELECT value FROM gpt_load_state WHERE name = ?").bind(LAST_NUMBER);
        parse(&self.readers().value::<String>(sql).await?)
    }

    /// What other nodes changed after the change with this number.
    pub(crate) async fn changes_since(&self, number: i64) -> Result<Changes, Error> {
        let last = self.last_change().await?;
        if last == number {
            return Ok(Changes::New(Vec::new(), number));
        }
        let text = "SELECT number, node, kind, group_id, first_id, last_id, ids FROM gpt_load_changes \
                    WHERE number > ? ORDER BY number LIMIT ?";
        let entries: Vec<Entry> = self.readers().all(self.sql(text).bind(number).bind(ENTRIES_PER_LOOK)).await?;
        // A number below ours: the database was set back, perhaps from a copy of yesterday.
        let is_complete = entries.first().is_some_and(|entry| entry.number == number + 1);
        let Some(end) = entries.last().filter(|_| is_complete && last > number) else {
            return Ok(Changes::TooMany(last));
        };
        let end = end.number;
        let of_others = entries.into_iter().filter(|entry| entry.node != self.node());
        Ok(Changes::New(of_others.map(|entry| entry.changed).collect(), end))
    }

    /// Deletes entries that every node has seen long ago.
    pub(crate) async fn forget_changes(&self) -> Result<(), Error> {
        if self.engine().is_sqlite() {
            return Ok(());
        }
        let text = format!(
            "DELETE FROM gpt_load_changes WHERE number <= \
             (SELECT number FROM (SELECT max(number) AS number FROM (SELECT number FROM gpt_load_changes \
              WHERE created_at < {} - ? ORDER BY number LIMIT ?) AS old) AS last)",
            self.engine().now_milliseconds()
        );
        let mut transaction = self.begin().await?;
        loop {
            let sql = Sql::made(self.engine(), text.clone()).bind(KEPT_MILLISECONDS).bind(FORGOTTEN_PER_LOT);
            if transaction.execute(sql).await?.rows_affected == 0 {
                return transaction.commit().await;
            }
        }
    }
}

impl Change {
    pub(crate) fn note(&mut self, changed: Changed) {
        if !self.transaction.engine().is_sqlite() && !self.changed.contains(&changed) {
            self.changed.push(changed);
        }
    }

    /// These keys of a group, in the shortest form.
    pub(crate) fn note_keys(&mut self, group_id: i64, ids: &[i64]) {
        let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return };
        let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let is_dense = last - first < count.saturating_mul(SPAN_SPARSENESS_MAX);
        if ids.len() > IDS_LISTED_MAX || (is_dense && ids.len() > 1) {
            self.note(Changed::KeysBetween { group_id, first_id: *first, last_id: *last });
        } else {
            self.note(Changed::Keys { group_id, ids: ids.to_vec() });
        }
    }

    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        if self.changed.is_empty() {
            return self.transaction.commit().await;
        }
        let engine = self.transaction.engine();
        let text = format!(
            "INSERT INTO gpt_load_changes (number, node, kind, group_id, first_id, last_id, ids, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, {})",
            engine.now_milliseconds()
        );
        let mut number = self.last_number;
        for changed in &self.changed {
            number += 1;
            let (kind, group_id, first_id, last_id, ids) = match changed {
                Changed::Configuration => ("configuration", None, None, None, None),
                Changed::Keys { group_id, ids } => {
                    ("keys", Some(*group_id), None, None, serde_json::to_string(ids).ok())
                }
                Changed::KeysBetween { group_id, first_id, last_id } => {
                    ("keys_between", Some(*group_id), Some(*first_id), Some(*last_id), None)
                }
                Changed::Unknown => continue,
            };
            let sql = Sql::made(engine, text.clone()).bind(number).bind(&*self.shared.node).bind(kind);
            self.transaction.execute(sql.bind(group_id).bind(first_id).bind(last_id).bind(ids)).await?;
        }
        let update = Sql::new(engine, "UPDATE gpt_load_state SET value = ? WHERE name = ?");
        self.transaction.execute(update.bind(number.to_string()).bind(LAST_NUMBER)).await?;
        self.transaction.commit().await?;
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Deref for Change {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.transaction
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut Transaction {
        &mut self.transaction
    }
}

impl FromRow for Entry {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let kind: String = row.get("kind")?;
        let group_id = || Ok::<_, Error>(row.get::<Option<i64>>("group_id")?.unwrap_or_default());
        let ids = || row.get::<Option<String>>("ids").map(Option::unwrap_or_default);
        let changed = match kind.as_str() {
            "configuration" => Changed::Configuration,
            "keys" => {
                let ids = serde_json::from_str(&ids()?).map_err(|error| Error::Other(error.into()))?;
                Changed::Keys { group_id: group_id()?, ids }
            }
            "keys_between" => Changed::KeysBetween {
                group_id: group_id()?,
                first_id: row.get("first_id")?,
                last_id: row.get("last_id")?,
            },
            _ => Changed::Unknown,
        };
        Ok(Self { number: row.get("number")?, node: row.get("node")?, changed })
    }
}

fn parse(number: &str) -> Result<i64, Error> {
    number.parse().map_err(|_| Error::text(format!("the number of the last change, {number:?}, is no number")))
}
