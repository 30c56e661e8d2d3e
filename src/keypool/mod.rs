//! Which key serves the next request, and when a key is taken out of rotation or put back.
//!
//! The pools in memory decide; the database follows a moment later. Only what the operator does by hand (add, delete,
//! restore) is stored first and takes effect in memory after the commit.

mod bulk;
mod counts;
mod failure;
mod import;
mod load;
mod look_again;
mod mismatch;
mod pool;
mod preview;
mod queries;
mod schedule;
mod search;
mod state;
mod stored;
mod sweep;
mod validation;

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    bulk::{Action, Selection},
    counts::KeyStates,
    failure::Failure,
    import::{ImportCounts, KEYS_PER_CALL_MAX, KEYS_PER_TASK_MAX, KeysTextError, parse_keys, parse_new_keys},
    load::{OpenError, check_passphrase},
    mismatch::Mismatch,
    pool::Pool,
    preview::Ignored,
    schedule::{Clock, Schedule},
    state::{KeyState, KeyStatus, LastFailure, StateFilter, Statuses},
    stored::{ListFilter, Sort, SortBy, StoredKey},
    sweep::{Swept, ToTest},
    validation::Validator,
};
use crate::{
    crypto::Cipher,
    db::{self, Changed, Database, Timestamp},
    group::{self, GroupId, Key},
    stats,
};

/// How long a key's new state may be known in memory only.
const STORE_INTERVAL: Duration = Duration::from_millis(300);
/// Keys that one statement or one transaction deals with, so that none holds the database for long.
const KEYS_PER_LOT: usize = 1_000;
/// Keys that are added, deleted or restored in one transaction, about half a second's work. Each touches another place of
/// the index of hashes, and a page that several of them touch is written once for all: lots of a thousand take three times
/// as long. What others write waits for so long.
const KEYS_PER_BULK_LOT: usize = 20_000;
/// Tries to store what is left when the program stops.
const LAST_STORE_TRIES: u32 = 3;

/// What bulk work reports to where nobody watches it.
pub(crate) fn unwatched(_processed: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Work for the processor that would hold up everything else on a thread of requests.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, db::Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| db::Error::Other(Box::new(error)))
}

/// The pools of all groups. Cheap to clone.
#[derive(Clone)]
pub(crate) struct KeyPools {
    shared: Arc<Shared>,
}

/// Stored keys of a group that are never picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OutOfRotation {
    pub(crate) invalid: u64,
    /// Taken out by hand.
    pub(crate) disabled: u64,
    /// Active, but they cannot be decrypted, or no header can carry them.
    pub(crate) unusable: u64,
}

struct Shared {
    database: Database,
    cipher: Cipher,
    pools: ArcSwap<HashMap<GroupId, Arc<Pool>>>,
    /// Held while the stored state of keys and their pool change together, so that the two never cross.
    turn: Mutex<()>,
    keys_per_bulk_lot: usize,
    /// For diagnosis: no key serves, and none is changed.
    is_read_only: bool,
}

impl KeyPools {
    /// Reads all active keys.
    ///
    /// # Errors
    /// Besides those of the database: when no stored key can be read with this `ENCRYPTION_KEY`.
    pub(crate) async fn open(database: Database, cipher: Cipher) -> Result<Self, OpenError> {
        Self::open_with_lots_of(KEYS_PER_BULK_LOT, database, cipher).await
    }

    async fn open_with_lots_of(
        keys_per_bulk_lot: usize,
        database: Database,
        cipher: Cipher,
    ) -> Result<Self, OpenError> {
        let pools = load::load(&database, &cipher).await?;
        Ok(Self::of_pools(pools, database, cipher, keys_per_bulk_lot, false))
    }

    /// For a look at keys that do not fit `ENCRYPTION_KEY`: none is in rotation, and whatever would change one is refused.
    pub(crate) fn open_for_diagnosis(database: Database, cipher: Cipher) -> Self {
        Self::of_pools(HashMap::new(), database, cipher, KEYS_PER_BULK_LOT, true)
    }

    fn of_pools(
        pools: HashMap<GroupId, Arc<Pool>>,
        database: Database,
        cipher: Cipher,
        keys_per_bulk_lot: usize,
        is_read_only: bool,
    ) -> Self {
        let pools = ArcSwap::from_pointee(pools);
        let shared = Shared { database, cipher, pools, turn: Mutex::new(()), keys_per_bulk_lot, is_read_only };
        Self { shared: Arc::new(shared) }
    }

    /// # Errors
    /// [`db::Error::ReadOnly`] where keys are only looked at.
    pub(crate) fn check_writable(&self) -> Result<(), db::Error> {
        if self.shared.is_read_only { Err(db::Error::ReadOnly) } else { Ok(()) }
    }

    /// For whatever changes keys.
    async fn begin_change(&self) -> Result<db::Change, db::Error> {
        self.check_writable()?;
        self.shared.database.begin_change().await
    }

    /// The pool of a group; `None`: it never had a key.
    pub(crate) fn of(&self, group_id: GroupId) -> Option<Arc<Pool>> {
        self.shared.pools.load().get(&group_id).cloned()
    }

    /// The pool of a group, made if there is none.
    pub(crate) fn ensure(&self, group_id: GroupId) -> Arc<Pool> {
        if let Some(pool) = self.of(group_id) {
            return pool;
        }
        self.shared.pools.rcu(|pools| {
            let mut pools = HashMap::clone(pools);
            pools.entry(group_id).or_insert_with(|| Arc::new(Pool::new()));
            pools
        });
        self.of(group_id).unwrap_or_else(|| Arc::new(Pool::new()))
    }

    /// How many keys of each group are stored, but not in rotation. A group that has no such key may be left out.
    pub(crate) async fn out_of_rotation(&self) -> Result<HashMap<GroupId, OutOfRotation>, db::Error> {
        let in_rotation = || -> HashMap<GroupId, u64> {
            self.shared.pools.load().iter().map(|(id, pool)| (*id, pool.active_count() as u64)).collect()
        };
        // What happens between the count in memory and that in the database must not look like keys that cannot be used:
        // the pools are counted before and after, and what is under way then is waited for.
        let before = in_rotation();
        let stored = self.states_by_group(Instant::now()).await?;
        let turn = self.turn().await;
        let after = in_rotation();
        drop(turn);
        let counts = stored.into_iter().map(|(id, states)| {
            let of = |counts: &HashMap<GroupId, u64>| counts.get(&id).copied().unwrap_or_default();
            let unusable = states.active.saturating_sub(of(&before).max(of(&after)));
            (id, OutOfRotation { invalid: states.invalid, disabled: states.disabled, unusable })
        });
        Ok(counts.collect())
    }

    /// Deletes a group with its memberships, its keys and its pool; its log stays, and so do the figures of a
    /// group that is no aggregate.
    ///
    /// # Errors
    /// [`db::Error::NotFound`] where there is no such group.
    pub(crate) async fn delete_group(&self, group_id: GroupId) -> Result<(), db::Error> {
        group::queries::find(self.shared.database.readers(), group_id).await?;
        // Most of it in lots, since others would wait long for a million keys to go at once.
        self.clear_all(group_id).await?;
        // One turn for the rest: an import or a test that is under way finds the group, or nothing of it.
        let _turn = self.turn().await;
        let mut transaction = self.begin_change().await?;
        // In this order no reference ever points to nothing.
        queries::delete_all_of(&mut transaction, group_id).await?;
        transaction.note(Changed::KeysBetween { group_id, first_id: 0, last_id: i64::MAX });
        stats::delete_of_aggregate(&mut transaction, group_id).await?;
        group::queries::delete(&mut transaction, group_id).await?;
        transaction.commit().await?;
        self.shared.pools.rcu(|pools| {
            let mut pools = HashMap::clone(pools);
            pools.remove(&group_id);
            pools
        });
        Ok(())
    }

    /// Stores what happened to keys, a moment after it happened, and the rest of it when told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut is_failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(STORE_INTERVAL)).await.is_some() {
            match self.store_changes().await {
                Ok(()) => is_failing = false,
                Err(error) => {
                    // Said once: the changes are kept and tried again until it works.
                    if !is_failing {
                        tracing::error!(%error, "Cannot store the state of keys; it is kept in memory");
                    }
                    is_failing = true;
                }
            }
        }
        for tries_left in (0..LAST_STORE_TRIES).rev() {
            match self.store_changes().await {
                Ok(()) => return,
                Err(error) if tries_left == 0 => tracing::error!(%error, "The last changes of keys are lost"),
                Err(_) => tokio::time::sleep(STORE_INTERVAL).await,
            }
        }
    }

    /// A key passed a test: it is stored as active without failures, and is in rotation. False: it was taken out by hand,
    /// moved, or deleted meanwhile, perhaps with its group, whose pool does not come back then.
    pub(crate) async fn revive(&self, key: Arc<Key>) -> Result<bool, db::Error> {
        let _turn = self.turn().await;
        let mut transaction = self.begin_change().await?;
        let is_stored = queries::revive(&mut transaction, key.group_id, &[key.id]).await? > 0;
        transaction.note_keys(key.group_id, &[key.id]);
        transaction.commit().await?;
        if is_stored {
            self.ensure(key.group_id).revive(key);
        }
        Ok(is_stored)
    }

    /// The same, sparing the database a key of which nothing bad is known.
    async fn revive_unless_sound(&self, key: Arc<Key>) -> Result<bool, db::Error> {
        if self.of(key.group_id).is_some_and(|pool| pool.is_sound(&key)) {
            return Ok(true);
        }
        self.revive(key).await
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.turn.lock().await
    }

    async fn store_changes(&self) -> Result<(), db::Error> {
        let turn = self.turn().await;
        self.store_changes_in(&turn).await
    }

    /// So that a statement that looks at the stored state finds the present one.
    async fn store_changes_in(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), db::Error> {
        for (group_id, pool) in self.shared.pools.load_full().iter() {
            let changes: Vec<_> = pool.take_changes().into_iter().collect();
            for (index, lot) in changes.chunks(KEYS_PER_LOT).enumerate() {
                let failures = pool.take_failures(lot.iter().map(|(id, _)| *id));
                if let Err(error) = self.store_lot(*group_id, pool, lot, &failures).await {
                    pool.keep_failures(failures);
                    pool.keep_changes(changes[index * KEYS_PER_LOT..].iter().copied());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn store_lot(
        &self,
        group_id: GroupId,
        pool: &Pool,
        lot: &[(i64, pool::Change)],
        failures: &HashMap<i64, (Failure, Timestamp)>,
    ) -> Result<(), db::Error> {
        let mut transaction = self.begin_change().await?;
        queries::store_failures(&mut transaction, failures).await?;
        if transaction.engine().is_sqlite() {
            let states: Vec<_> = lot.iter().map(|(id, change)| change.alone(*id)).collect();
            queries::store_states(&mut transaction, &states).await?;
            return transaction.commit().await;
        }
        // What other nodes have counted meanwhile counts as well. Nobody else changes these rows before the commit.
        let changes: HashMap<i64, pool::Change> = lot.iter().copied().collect();
        let stored =
            queries::states_of(&mut *transaction, group_id, &changes.keys().copied().collect::<Vec<_>>()).await?;
        let states: Vec<_> = stored
            .iter()
            // What another node's operator took out stays so; the feed tells it to this node.
            .filter(|(_, status, _)| status != KeyStatus::Disabled.name())
            .filter_map(|(id, status, failure_count)| {
                let is_active = status == KeyStatus::Active.name();
                Some(changes.get(id)?.among_others(*id, is_active, *failure_count))
            })
            .collect();
        queries::store_states(&mut transaction, &states).await?;
        transaction.note_keys(group_id, &states.iter().map(|state| state.id).collect::<Vec<_>>());
        transaction.commit().await?;
        for state in &states {
            pool.adopt(state.id, state.status == KeyStatus::Active, state.failure_count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
