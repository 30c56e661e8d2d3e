//! The keys of one group in memory: whose turn it is, who rests after a rate limit, who is out.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use super::{Failure, KeyStatus, queries::NewState};
use crate::{db::Timestamp, group::Key};

/// Rests that may end in one `pick`: when thousands end in the same instant, no single request pays for all of them.
const WAKES_PER_PICK_MAX: usize = 16;
/// Rests that are over and are counted as such while nobody picks a key: a count must not hold the group's lock for long.
const WAKES_COUNTED_MAX: usize = 10_000;
/// Counters of [`Doubts`]; with this many or more keys in doubt at once, each success takes the lock.
const DOUBT_COUNTERS: usize = 512;

/// The active keys of one group. Picking takes one short lock that no other group shares, noting a success of a sound
/// key takes none, and everything costs the same with ten keys as with a million.
pub(crate) struct Pool {
    rotation: Mutex<Rotation>,
    doubts: Doubts,
}

/// What the database has to learn about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Consecutive failures, as far as this node knows.
    pub(crate) failure_count: u32,
    pub(crate) is_active: bool,
    /// Of them those that the database was not told of, since the success before them if there was one.
    pub(crate) failures: u32,
    /// A success came before these failures: what was counted until then is void.
    pub(crate) has_succeeded: bool,
    /// Failures in a row that take a key out; 0: any number is borne.
    pub(crate) threshold: u32,
}

impl Change {
    const SUCCESS: Self = Self { failure_count: 0, is_active: true, failures: 0, has_succeeded: true, threshold: 0 };

    /// What becomes of a key that nobody else uses. The last state wins, so writing it late or twice does no harm.
    pub(super) fn alone(self, id: i64) -> NewState {
        let status = if self.is_active { KeyStatus::Active } else { KeyStatus::Invalid };
        NewState { id, status, failure_count: i64::from(self.failure_count), is_out_now: !self.is_active }
    }

    /// What becomes of a key that other nodes use as well, and that is stored like this: their failures and ours add up.
    pub(super) fn among_others(self, id: i64, is_active: bool, stored_failures: i64) -> NewState {
        let before = if self.has_succeeded { 0 } else { stored_failures };
        let failure_count = before.saturating_add(i64::from(self.failures));
        let has_failed_too_often = self.threshold > 0 && failure_count >= i64::from(self.threshold);
        let is_out_now = is_active && (!self.is_active || has_failed_too_often);
        let is_active = is_active && !is_out_now;
        let status = if is_active { KeyStatus::Active } else { KeyStatus::Invalid };
        NewState { id, status, failure_count, is_out_now }
    }

    /// This and what happened after it as one.
    fn followed_by(self, newer: Self) -> Self {
        if newer.has_succeeded {
            return newer;
        }
        Self { failures: self.failures.saturating_add(newer.failures), has_succeeded: self.has_succeeded, ..newer }
    }
}

/// The keys of a group that can be picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ActiveKeys {
    pub(crate) ready: usize,
    pub(crate) resting: usize,
}

#[derive(Default)]
struct Rotation {
    ready: Ring,
    /// Keys that wait out a rate limit. They take turns as well, for the time when nobody else is left.
    resting: Ring,
    /// Who of `resting` wakes next, and until when each of them rests.
    wakes: BTreeSet<(Instant, i64)>,
    rests: HashMap<i64, Instant>,
    /// Every key of the two rings by its id.
    slots: HashMap<i64, Slot>,
    changes: HashMap<i64, Change>,
    /// The last failures among those changes, and when they were.
    failures: HashMap<i64, (Failure, Timestamp)>,
}

/// Eight bytes, since there is one for each of a million keys. Which ring the position belongs to, `rests` tells.
#[derive(Clone, Copy)]
struct Slot {
    position: u32,
    /// Consecutive ones: a success sets them back.
    failure_count: u32,
}

/// Keys that take turns. The next is the one at `cursor`; those before it had their turn in this round.
#[derive(Default)]
struct Ring {
    keys: Vec<Arc<Key>>,
    cursor: usize,
}

/// How many keys with failures there are, by a few bits of their ids: a zero says without a lock that a key has none.
struct Doubts([AtomicU32; DOUBT_COUNTERS]);

impl Pool {
    pub(crate) fn new() -> Self {
        Self { rotation: Mutex::default(), doubts: Doubts(std::array::from_fn(|_| AtomicU32::new(0))) }
    }

    /// The key whose turn it is. A key in `tried` is given only when every other one was tried too, a key at rest only
    /// when no other untried one is ready; so there is an answer as long as one key is active. Keys at rest take turns
    /// too: what one model's quota put to rest may serve all other models.
    pub(crate) fn pick(&self, tried: &[i64], now: Instant) -> Option<Arc<Key>> {
        let mut rotation = self.lock();
        self.wake_rested(&mut rotation, now);
        let Rotation { ready, resting, .. } = &mut *rotation;
        ready.next(tried).or_else(|| resting.next(tried)).or_else(|| ready.next(&[])).or_else(|| resting.next(&[]))
    }

    /// Whether a key is active that this request did not use yet.
    pub(crate) fn has_untried(&self, tried: &[i64]) -> bool {
        let rotation = self.lock();
        let mut tried_active = 0;
        for (index, id) in tried.iter().enumerate() {
            if rotation.slots.contains_key(id) && !tried[..index].contains(id) {
                tried_active += 1;
            }
        }
        rotation.slots.len() > tried_active
    }

    /// Keys that can be picked, resting ones included.
    pub(crate) fn active_count(&self) -> usize {
        self.lock().slots.len()
    }

    /// Each of these keys, if it is in rotation.
    pub(super) fn find(&self, ids: &[i64]) -> Vec<Option<Arc<Key>>> {
        let rotation = self.lock();
        let find = |id: &i64| {
            let slot = rotation.slots.get(id)?;
            let ring = if rotation.rests.contains_key(id) { &rotation.resting } else { &rotation.ready };
            ring.keys.get(slot.position as usize).cloned()
        };
        ids.iter().map(find).collect()
    }

    /// Until when each of these keys rests, if it does.
    pub(super) fn rests_of(&self, ids: &[i64], now: Instant) -> HashMap<i64, Instant> {
        let rotation = self.lock();
        ids.iter().filter_map(|id| Some((*id, *rotation.rests.get(id)?))).filter(|(_, until)| *until > now).collect()
    }

    /// The keys that rest.
    pub(super) fn resting(&self, now: Instant) -> Vec<i64> {
        let rotation = self.lock();
        rotation.rests.iter().filter(|(_, until)| **until > now).map(|(id, _)| *id).collect()
    }

    /// How many of them are ready, and how many rest.
    pub(crate) fn active(&self, now: Instant) -> ActiveKeys {
        let rotation = self.lock();
        // Rests that are over end with the next picks; here they are over already.
        let over = rotation.wakes.iter().take_while(|(until, _)| *until <= now).take(WAKES_COUNTED_MAX).count();
        ActiveKeys { ready: rotation.ready.keys.len() + over, resting: rotation.resting.keys.len() - over }
    }

    /// Whether the key is ready and its last use did not fail.
    pub(crate) fn is_sound(&self, key: &Key) -> bool {
        let rotation = self.lock();
        let slot = rotation.slots.get(&key.id);
        slot.is_some_and(|slot| slot.failure_count == 0 && !rotation.rests.contains_key(&key.id))
    }

    /// The upstream accepted the key: its failures were not consecutive.
    pub(crate) fn succeeded(&self, key: &Key) {
        // The case of nearly every request.
        if self.doubts.is_clear(key.id) {
            return;
        }
        let mut rotation = self.lock();
        let Some(slot) = rotation.slots.get_mut(&key.id) else { return };
        if mem::take(&mut slot.failure_count) > 0 {
            self.doubts.drop_one(key.id);
            rotation.changes.insert(key.id, Change::SUCCESS);
        }
    }

    /// Counts a failure that is the key's own fault. At `threshold` of them in a row (0: never) the key is out before
    /// this returns, so no later pick gets it. True if this failure took it out.
    pub(crate) fn failed(&self, key: &Key, threshold: u32, failure: Failure) -> bool {
        let mut rotation = self.lock();
        let Some(slot) = rotation.slots.get_mut(&key.id) else { return false };
        if slot.failure_count == 0 {
            self.doubts.add_one(key.id);
        }
        slot.failure_count = slot.failure_count.saturating_add(1);
        let failure_count = slot.failure_count;
        let is_out = threshold > 0 && failure_count >= threshold;
        let change = Change { failure_count, is_active: !is_out, failures: 1, has_succeeded: false, threshold };
        let change = rotation.changes.get(&key.id).map_or(change, |before| before.followed_by(change));
        rotation.changes.insert(key.id, change);
        rotation.failures.insert(key.id, (failure, Timestamp::now()));
        if is_out {
            self.take(&mut rotation, key.id);
        }
        is_out
    }

    /// Leaves the key alone until then, as far as others are left. The later of two rests counts.
    pub(crate) fn rest(&self, key: &Key, until: Instant) {
        let mut rotation = self.lock();
        if rotation.rests.get(&key.id).is_some_and(|current| *current >= until) {
            return;
        }
        if let Some((key, failure_count)) = self.take(&mut rotation, key.id) {
            rotation.wakes.insert((until, key.id));
            rotation.rests.insert(key.id, until);
            self.put(&mut rotation, key, failure_count);
        }
    }

    /// Puts keys into rotation, last in turn, each with its count of failures. One that is there already stays as it is.
    pub(crate) fn insert(&self, keys: impl IntoIterator<Item = (Arc<Key>, u32)>) {
        let keys = keys.into_iter();
        let mut rotation = self.lock();
        rotation.slots.reserve(keys.size_hint().0);
        rotation.ready.keys.reserve(keys.size_hint().0);
        for (key, failure_count) in keys {
            if !rotation.slots.contains_key(&key.id) {
                self.put(&mut rotation, key, failure_count);
            }
        }
    }

    /// Gives back the room that growing left over: called once all keys are there.
    pub(super) fn settle(&self) {
        let mut rotation = self.lock();
        rotation.ready.keys.shrink_to_fit();
        rotation.slots.shrink_to_fit();
    }

    /// Puts a key (back) into rotation with a clean slate: it was restored, or it passed a test. What was still to be
    /// written about it is void, the caller has stored the new state.
    pub(crate) fn revive(&self, key: Arc<Key>) {
        let mut rotation = self.lock();
        rotation.changes.remove(&key.id);
        rotation.failures.remove(&key.id);
        if rotation.slots.contains_key(&key.id) && !rotation.rests.contains_key(&key.id) {
            if let Some(slot) = rotation.slots.get_mut(&key.id)
                && mem::take(&mut slot.failure_count) > 0
            {
                self.doubts.drop_one(key.id);
            }
            return;
        }
        self.take(&mut rotation, key.id);
        self.put(&mut rotation, key, 0);
    }

    /// Takes deleted keys out; nothing about them will be written any more.
    pub(crate) fn remove(&self, ids: &[i64]) {
        let mut rotation = self.lock();
        for id in ids {
            self.take(&mut rotation, *id);
            rotation.changes.remove(id);
            rotation.failures.remove(id);
        }
    }

    /// Hands over what is to be stored. Whoever cannot store it gives it back with [`Pool::keep_changes`].
    pub(super) fn take_changes(&self) -> HashMap<i64, Change> {
        mem::take(&mut self.lock().changes)
    }

    /// The same for the failures of some keys; whoever cannot store them gives them back with [`Pool::keep_failures`].
    pub(super) fn take_failures(&self, ids: impl IntoIterator<Item = i64>) -> HashMap<i64, (Failure, Timestamp)> {
        let mut rotation = self.lock();
        if rotation.failures.is_empty() {
            return HashMap::new();
        }
        ids.into_iter().filter_map(|id| Some((id, rotation.failures.remove(&id)?))).collect()
    }

    pub(super) fn keep_failures(&self, unwritten: HashMap<i64, (Failure, Timestamp)>) {
        let mut rotation = self.lock();
        for (id, failure) in unwritten {
            rotation.failures.entry(id).or_insert(failure);
        }
    }

    /// Takes back what could not be stored; what happened since is newer.
    pub(super) fn keep_changes(&self, unwritten: impl IntoIterator<Item = (i64, Change)>) {
        let mut rotation = self.lock();
        for (id, change) in unwritten {
            let change = rotation.changes.get(&id).map_or(change, |newer| change.followed_by(*newer));
            rotation.changes.insert(id, change);
        }
    }

    /// Takes over what is stored of a key, other nodes' news included; what is not stored yet comes on top. A key that is
    /// out goes out here, too; one that is not in rotation does not come in by this.
    pub(super) fn adopt(&self, id: i64, is_active: bool, stored_failures: i64) {
        let mut rotation = self.lock();
        if !is_active {
            self.take(&mut rotation, id);
            rotation.changes.remove(&id);
            rotation.failures.remove(&id);
            return;
        }
        let unwritten = rotation.changes.get(&id).copied();
        let Some(slot) = rotation.slots.get_mut(&id) else { return };
        let stored = u32::try_from(stored_failures).unwrap_or(0);
        let failure_count = match unwritten {
            Some(change) if change.has_succeeded => change.failures,
            Some(change) => stored.saturating_add(change.failures),
            None => stored,
        };
        match (mem::replace(&mut slot.failure_count, failure_count), failure_count) {
            (0, 1..) => self.doubts.add_one(id),
            (1.., 0) => self.doubts.drop_one(id),
            _ => {}
        }
    }

    /// Keys in rotation with ids above the one and up to the other.
    pub(super) fn ids_between(&self, above_id: i64, last_id: i64) -> Vec<i64> {
        let rotation = self.lock();
        let width = usize::try_from(last_id.saturating_sub(above_id)).unwrap_or(usize::MAX);
        if width < rotation.slots.len() {
            return (above_id + 1..=last_id).filter(|id| rotation.slots.contains_key(id)).collect();
        }
        rotation.slots.keys().copied().filter(|id| *id > above_id && *id <= last_id).collect()
    }

    /// Which of these keys are not in rotation.
    pub(super) fn missing_of(&self, ids: &[i64]) -> Vec<i64> {
        let rotation = self.lock();
        ids.iter().copied().filter(|id| !rotation.slots.contains_key(id)).collect()
    }

    fn wake_rested(&self, rotation: &mut Rotation, now: Instant) {
        for _ in 0..WAKES_PER_PICK_MAX {
            let Some(&(until, id)) = rotation.wakes.first() else { return };
            if until > now {
                return;
            }
            if let Some((key, failure_count)) = self.take(rotation, id) {
                self.put(rotation, key, failure_count);
            }
        }
    }

    /// Puts a key that is in no ring last into the one that it belongs to.
    fn put(&self, rotation: &mut Rotation, key: Arc<Key>, failure_count: u32) {
        if failure_count > 0 {
            self.doubts.add_one(key.id);
        }
        let ring = if rotation.rests.contains_key(&key.id) { &mut rotation.resting } else { &mut rotation.ready };
        rotation.slots.insert(key.id, Slot { position: narrow(ring.keys.len()), failure_count });
        ring.keys.push(key);
    }

    /// Takes a key out of its ring, with the count of its failures.
    fn take(&self, rotation: &mut Rotation, id: i64) -> Option<(Arc<Key>, u32)> {
        let Slot { position, failure_count } = rotation.slots.remove(&id)?;
        if failure_count > 0 {
            self.doubts.drop_one(id);
        }
        let ring = match rotation.rests.remove(&id) {
            Some(until) => {
                rotation.wakes.remove(&(until, id));
                &mut rotation.resting
            }
            None => &mut rotation.ready,
        };
        let slots = &mut rotation.slots;
        let key = ring.remove(position as usize, |moved, position| {
            if let Some(slot) = slots.get_mut(&moved) {
                slot.position = narrow(position);
            }
        });
        Some((key, failure_count))
    }

    /// A panic cannot leave the lists half changed in a way that matters more than going on serving.
    fn lock(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Looks at one key more than there are tried ones, so it need not look at all.
    fn next(&mut self, tried: &[i64]) -> Option<Arc<Key>> {
        for _ in 0..self.keys.len().min(tried.len() + 1) {
            if self.cursor >= self.keys.len() {
                self.cursor = 0;
            }
            let key = &self.keys[self.cursor];
            self.cursor += 1;
            if !tried.contains(&key.id) {
                return Some(Arc::clone(key));
            }
        }
        None
    }

    /// Closes the gap with the last key. Where that would put a key that waits for its turn among those that had it,
    /// the one that was picked last moves instead, so nobody loses a turn. `note` hears of each key that moved where it
    /// is now.
    fn remove(&mut self, position: usize, mut note: impl FnMut(i64, usize)) -> Arc<Key> {
        let mut gap = position;
        if position < self.cursor {
            self.cursor -= 1;
            self.keys.swap(position, self.cursor);
            note(self.keys[position].id, position);
            gap = self.cursor;
        }
        let key = self.keys.swap_remove(gap);
        if let Some(moved) = self.keys.get(gap) {
            note(moved.id, gap);
        }
        key
    }
}

impl Doubts {
    /// A failure that another thread is about to count may not be seen yet: which of the two came first is open anyway.
    fn is_clear(&self, id: i64) -> bool {
        self.counter(id).load(Ordering::Acquire) == 0
    }

    fn add_one(&self, id: i64) {
        self.counter(id).fetch_add(1, Ordering::Release);
    }

    fn drop_one(&self, id: i64) {
        self.counter(id).fetch_sub(1, Ordering::Release);
    }

    fn counter(&self, id: i64) -> &AtomicU32 {
        &self.0[usize::try_from(id.unsigned_abs()).unwrap_or(0) % DOUBT_COUNTERS]
    }
}

/// 2^32 keys of one group do not fit into memory.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Secret;

    fn key(id: i64) -> Arc<Key> {
        Arc::new(Key { id, group_id: 1, secret: Secret::new(format!("sk-{id}")) })
    }

    fn pool_of(ids: impl IntoIterator<Item = i64>) -> Pool {
        let pool = Pool::new();
        pool.insert(ids.into_iter().map(|id| (key(id), 0)));
        pool
    }

    fn picks(pool: &Pool, count: usize, now: Instant) -> Vec<i64> {
        (0..count).map(|_| pool.pick(&[], now).unwrap().id).collect()
    }

    #[test]
    fn keys_take_turns_in_ascending_order() {
        let pool = pool_of(1..=3);
        assert_eq!(picks(&pool, 7, Instant::now()), [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn an_empty_pool_has_no_key_to_give() {
        let pool = pool_of([]);
        assert!(pool.pick(&[], Instant::now()).is_none());
        assert!(!pool.has_untried(&[]));
    }

    #[test]
    fn a_tried_key_is_given_again_only_when_no_other_is_left() {
        let pool = pool_of(1..=3);
        let now = Instant::now();
        let mut tried = Vec::new();
        for _ in 0..3 {
            assert!(pool.has_untried(&tried));
            let next = pool.pick(&tried, now).unwrap().id;
            assert!(!tried.contains(&next));
            tried.push(next);
        }
        assert!(!pool.has_untried(&tried));
        assert!(pool.pick(&tried, now).is_some());
    }

    #[test]
    fn a_key_tried_twice_is_counted_once() {
        let pool = pool_of(1..=2);
        assert!(pool.has_untried(&[1, 1]));
        assert!(!pool.has_untried(&[1, 2, 1]));
    }

    #[test]
    fn a_key_is_out_at_the_threshold_of_consecutive_failures() {
        let pool = pool_of(1..=2);
        let first = key(1);
        assert!(!pool.failed(&first, 3, Failure::default()));
        assert!(!pool.failed(&first, 3, Failure::default()));
        pool.succeeded(&first);
        assert!(!pool.failed(&first, 3, Failure::default()));
        assert!(!pool.failed(&first, 3, Failure::default()));
        assert!(pool.failed(&first, 3, Failure::default()));
        assert_eq!(picks(&pool, 3, Instant::now()), [2, 2, 2]);
        assert!(!pool.failed(&first, 3, Failure::default()), "only the failure that takes it out says so");
    }

    #[test]
    fn threshold_zero_counts_but_never_takes_a_key_out() {
        let pool = pool_of([1]);
        for _ in 0..10 {
            assert!(!pool.failed(&key(1), 0, Failure::default()));
        }
        assert_eq!(
            pool.take_changes()[&1],
            Change { failure_count: 10, is_active: true, failures: 10, has_succeeded: false, threshold: 0 }
        );
        assert_eq!(pool.active_count(), 1);
    }

    #[test]
    fn nobody_loses_a_turn_when_a_key_is_taken_out() {
        for victim in 1..=6 {
            for already_picked in 0..6 {
                let pool = pool_of(1..=6);
                let now = Instant::now();
                let mut seen = picks(&pool, already_picked, now);
                pool.remove(&[victim]);
                let left = 6 - already_picked - usize::from(!seen.contains(&victim));
                seen.extend(picks(&pool, left, now));
                seen.push(victim);
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen, [1, 2, 3, 4, 5, 6], "victim {victim}, {already_picked} picked before");
            }
        }
    }

    #[test]
    fn a_resting_key_is_the_last_resort_and_returns_by_itself() {
        let pool = pool_of(1..=3);
        let now = Instant::now();
        let seconds = |count| now + Duration::from_secs(count);
        pool.rest(&key(1), seconds(20));
        pool.rest(&key(2), seconds(10));
        assert_eq!(picks(&pool, 2, now), [3, 3]);
        assert_eq!(pool.pick(&[3, 1], now).unwrap().id, 2);
        assert_eq!(pool.pick(&[3, 2], now).unwrap().id, 1);
        assert_eq!(pool.active_count(), 3);
        assert_eq!(pool.active(now), ActiveKeys { ready: 1, resting: 2 });
        assert_eq!(pool.active(seconds(10)), ActiveKeys { ready: 2, resting: 1 }, "it is awake before it is picked");
        let mut after = picks(&pool, 2, seconds(10));
        after.sort_unstable();
        assert_eq!(after, [2, 3]);
        assert_eq!(pool.pick(&[2, 3], seconds(19)).unwrap().id, 1);
    }

    #[test]
    fn keys_take_turns_while_all_of_them_rest() {
        let pool = pool_of(1..=3);
        let now = Instant::now();
        for (id, seconds) in [(2, 5), (1, 60), (3, 3_600)] {
            pool.rest(&key(id), now + Duration::from_secs(seconds));
        }
        let mut round = picks(&pool, 3, now);
        assert_eq!(picks(&pool, 3, now), round, "in the same order");
        round.sort_unstable();
        assert_eq!(round, [1, 2, 3], "whoever wakes first does not bear it alone");
        assert_eq!(picks(&pool, 2, now + Duration::from_secs(6)), [2, 2], "who is awake serves");
    }

    #[test]
    fn a_key_is_found_wherever_it_is_in_rotation() {
        let pool = pool_of(1..=4);
        pool.rest(&key(2), Instant::now() + Duration::from_secs(60));
        pool.remove(&[1]);
        let found: Vec<_> = pool.find(&[1, 2, 3, 4, 5]).into_iter().map(|key| key.map(|key| key.id)).collect();
        assert_eq!(found, [None, Some(2), Some(3), Some(4), None]);
    }

    #[test]
    fn rests_never_leave_a_group_without_keys() {
        let pool = pool_of([1]);
        let now = Instant::now();
        pool.rest(&key(1), now + Duration::from_secs(60));
        assert_eq!(pool.pick(&[], now).unwrap().id, 1);
        assert_eq!(pool.pick(&[1], now).unwrap().id, 1);
    }

    #[test]
    fn the_later_of_two_rests_counts() {
        let pool = pool_of(1..=2);
        let now = Instant::now();
        pool.rest(&key(1), now + Duration::from_secs(60));
        pool.rest(&key(1), now + Duration::from_secs(5));
        assert_eq!(picks(&pool, 2, now + Duration::from_secs(30)), [2, 2]);
    }

    #[test]
    fn a_revived_key_starts_with_a_clean_slate() {
        let pool = pool_of(1..=2);
        assert!(pool.failed(&key(1), 1, Failure::default()));
        pool.revive(key(1));
        assert!(pool.take_changes().is_empty(), "the caller has stored the new state already");
        assert!(!pool.failed(&key(1), 2, Failure::default()));
        assert_eq!(pool.active_count(), 2);
    }

    #[test]
    fn a_revived_key_no_longer_rests() {
        let pool = pool_of(1..=2);
        let now = Instant::now();
        pool.rest(&key(1), now + Duration::from_secs(60));
        pool.revive(key(1));
        let mut both = picks(&pool, 2, now);
        both.sort_unstable();
        assert_eq!(both, [1, 2]);
    }

    #[test]
    fn inserting_a_key_twice_changes_nothing() {
        let pool = pool_of(1..=2);
        assert!(!pool.failed(&key(1), 5, Failure::default()));
        pool.insert([(key(1), 0)]);
        assert_eq!(pool.active_count(), 2);
        assert!(pool.failed(&key(1), 2, Failure::default()));
    }

    #[test]
    fn changes_that_could_not_be_written_are_kept_unless_newer_ones_exist() {
        let pool = pool_of(1..=2);
        pool.failed(&key(1), 9, Failure::default());
        pool.failed(&key(2), 9, Failure::default());
        let unwritten = pool.take_changes();
        pool.succeeded(&key(2));
        pool.keep_changes(unwritten);
        let changes = pool.take_changes();
        assert_eq!(changes[&1].failure_count, 1);
        assert_eq!(changes[&2].failure_count, 0);
    }

    #[test]
    fn nothing_is_written_about_a_deleted_key() {
        let pool = pool_of(1..=2);
        pool.failed(&key(1), 9, Failure::default());
        pool.remove(&[1]);
        assert!(pool.take_changes().is_empty());
        pool.succeeded(&key(1));
        assert!(!pool.failed(&key(1), 1, Failure::default()));
        assert!(pool.take_changes().is_empty());
    }

    #[test]
    fn a_success_of_a_sound_key_takes_no_lock() {
        let pool = Arc::new(pool_of(1..=600));
        assert!(!pool.failed(&key(7), 9, Failure::default()));
        let guard = pool.lock();
        for id in (1..=600).filter(|id| id % 512 != 7) {
            pool.succeeded(&key(id));
        }
        drop(guard);
        pool.succeeded(&key(7));
        assert_eq!(pool.take_changes()[&7].failure_count, 0);
        let _guard = pool.lock();
        pool.succeeded(&key(7));
    }

    #[test]
    fn a_key_costs_at_most_120_bytes_beside_its_text() {
        // Just past the fill at which a hash table doubles: the dearest count.
        let keys = 115_000;
        let pool = pool_of(1..=keys);
        pool.settle();
        let rotation = pool.lock();
        // A hash table holds a power of two of buckets, seven eighths of them in use at most, one control byte each.
        let buckets = (rotation.slots.capacity() * 8 / 7).next_power_of_two();
        let slots = buckets * (size_of::<(i64, Slot)>() + 1);
        let ready = rotation.ready.keys.capacity() * size_of::<Arc<Key>>();
        let reference_counts = 2 * size_of::<usize>();
        let each = size_of::<Key>() + reference_counts + (slots + ready) / usize::try_from(keys).unwrap();
        assert!(each <= 120, "{each} bytes");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pick(Vec<i64>),
        Fail(i64),
        Succeed(i64),
        Rest(i64, u64),
        Remove(i64),
        Revive(i64),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let id = 1..=8i64;
        prop_oneof![
            proptest::collection::vec(1..=8i64, 0..8).prop_map(Step::Pick),
            id.clone().prop_map(Step::Fail),
            id.clone().prop_map(Step::Succeed),
            (id.clone(), 0..60u64).prop_map(|(id, seconds)| Step::Rest(id, seconds)),
            id.clone().prop_map(Step::Remove),
            id.prop_map(Step::Revive),
            (0..40u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_the_lists_agree_and_untried_keys_come_first(steps in proptest::collection::vec(step(), 0..120)) {
            let pool = pool_of(1..=8);
            let mut now = Instant::now();
            for step in steps {
                match step {
                    Step::Pick(tried) => {
                        let has_untried = pool.has_untried(&tried);
                        let picked = pool.pick(&tried, now);
                        prop_assert_eq!(picked.is_some(), pool.active_count() > 0);
                        if let Some(picked) = picked {
                            prop_assert_eq!(!tried.contains(&picked.id), has_untried);
                        }
                    }
                    Step::Fail(id) => { pool.failed(&key(id), 2, Failure::default()); }
                    Step::Succeed(id) => pool.succeeded(&key(id)),
                    Step::Rest(id, seconds) => pool.rest(&key(id), now + Duration::from_secs(seconds)),
                    Step::Remove(id) => pool.remove(&[id]),
                    Step::Revive(id) => pool.revive(key(id)),
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                }
                let rotation = pool.lock();
                prop_assert_eq!(rotation.ready.keys.len() + rotation.resting.keys.len(), rotation.slots.len());
                prop_assert_eq!(rotation.resting.keys.len(), rotation.rests.len());
                prop_assert_eq!(rotation.wakes.len(), rotation.rests.len());
                for ring in [&rotation.ready, &rotation.resting] {
                    prop_assert!(ring.cursor <= ring.keys.len());
                    for (position, key) in ring.keys.iter().enumerate() {
                        prop_assert_eq!(rotation.slots[&key.id].position as usize, position);
                    }
                }
                for (id, until) in &rotation.rests {
                    prop_assert!(rotation.wakes.contains(&(*until, *id)));
                }
                for id in 1..=8 {
                    let has_failures = rotation.slots.get(&id).is_some_and(|slot| slot.failure_count > 0);
                    prop_assert_eq!(pool.doubts.is_clear(id), !has_failures);
                }
            }
        }
    }
}
