//! The keys of one group in memory: whose turn it is, who rests after a rate limit, who is out.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::group::Key;

/// Rests that may end in one `pick`: when thousands end in the same instant, no single request pays for all of them.
const WAKES_PER_PICK_MAX: usize = 16;

/// The active keys of one group. Every call takes one short lock that no other group shares, and costs the same with
/// ten keys as with a million.
pub(crate) struct Pool {
    rotation: Mutex<Rotation>,
}

/// What the database has to learn about a key. The last state wins, so writing it late or twice does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) failure_count: u32,
    pub(crate) is_active: bool,
}

#[derive(Default)]
struct Rotation {
    /// Keys that are ready. The next pick is the one at `cursor`; those before it had their turn in this round.
    ready: Vec<Arc<Key>>,
    cursor: usize,
    /// Keys that wait out a rate limit, the soonest first.
    resting: BTreeMap<(Instant, i64), Arc<Key>>,
    /// Every key of `ready` and `resting` by its id.
    slots: HashMap<i64, Slot>,
    changes: HashMap<i64, Change>,
}

struct Slot {
    place: Place,
    /// Consecutive ones: a success sets them back.
    failure_count: u32,
}

#[derive(Clone, Copy)]
enum Place {
    Ready(u32),
    RestingUntil(Instant),
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { rotation: Mutex::default() }
    }

    /// The key whose turn it is. A key in `tried` is given only when every other one was tried too, a key at rest only
    /// when no other untried one is ready; so there is an answer as long as one key is active.
    pub(crate) fn pick(&self, tried: &[i64], now: Instant) -> Option<Arc<Key>> {
        let mut rotation = self.lock();
        rotation.wake_rested(now);
        rotation
            .next_ready(tried)
            .or_else(|| rotation.soonest_resting(tried))
            .or_else(|| rotation.next_ready(&[]))
            .or_else(|| rotation.soonest_resting(&[]))
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

    /// Whether the key is ready and its last use did not fail.
    pub(crate) fn is_sound(&self, key: &Key) -> bool {
        let rotation = self.lock();
        let slot = rotation.slots.get(&key.id);
        slot.is_some_and(|slot| slot.failure_count == 0 && matches!(slot.place, Place::Ready(_)))
    }

    /// The upstream accepted the key: its failures were not consecutive.
    pub(crate) fn succeeded(&self, key: &Key) {
        let mut rotation = self.lock();
        let Some(slot) = rotation.slots.get_mut(&key.id) else { return };
        if mem::take(&mut slot.failure_count) > 0 {
            rotation.changes.insert(key.id, Change { failure_count: 0, is_active: true });
        }
    }

    /// Counts a failure that is the key's own fault. At `threshold` of them in a row (0: never) the key is out before
    /// this returns, so no later pick gets it. True if this failure took it out.
    pub(crate) fn failed(&self, key: &Key, threshold: u32) -> bool {
        let mut rotation = self.lock();
        let Some(slot) = rotation.slots.get_mut(&key.id) else { return false };
        slot.failure_count = slot.failure_count.saturating_add(1);
        let failure_count = slot.failure_count;
        let is_out = threshold > 0 && failure_count >= threshold;
        rotation.changes.insert(key.id, Change { failure_count, is_active: !is_out });
        if is_out {
            rotation.remove(key.id);
        }
        is_out
    }

    /// Leaves the key alone until then, as far as others are left. The later of two rests counts.
    pub(crate) fn rest(&self, key: &Key, until: Instant) {
        let mut rotation = self.lock();
        match rotation.slots.get(&key.id) {
            None => return,
            Some(Slot { place: Place::RestingUntil(current), .. }) if *current >= until => return,
            Some(_) => {}
        }
        if let Some((key, slot)) = rotation.remove(key.id) {
            rotation.resting.insert((until, key.id), key.clone());
            rotation.slots.insert(key.id, Slot { place: Place::RestingUntil(until), ..slot });
        }
    }

    /// Puts keys into rotation, last in turn, each with its count of failures. One that is there already stays as it is.
    pub(crate) fn insert(&self, keys: impl IntoIterator<Item = (Arc<Key>, u32)>) {
        let keys = keys.into_iter();
        let mut rotation = self.lock();
        rotation.slots.reserve(keys.size_hint().0);
        rotation.ready.reserve(keys.size_hint().0);
        for (key, failure_count) in keys {
            if !rotation.slots.contains_key(&key.id) {
                rotation.push(key, failure_count);
            }
        }
    }

    /// Puts a key (back) into rotation with a clean slate: it was restored, or it passed a test. What was still to be
    /// written about it is void, the caller has stored the new state.
    pub(crate) fn revive(&self, key: Arc<Key>) {
        let mut rotation = self.lock();
        rotation.changes.remove(&key.id);
        match rotation.slots.get_mut(&key.id) {
            Some(Slot { place: Place::Ready(_), failure_count }) => *failure_count = 0,
            Some(_) => {
                rotation.remove(key.id);
                rotation.push(key, 0);
            }
            None => rotation.push(key, 0),
        }
    }

    /// Takes deleted keys out; nothing about them will be written any more.
    pub(crate) fn remove(&self, ids: &[i64]) {
        let mut rotation = self.lock();
        for id in ids {
            rotation.remove(*id);
            rotation.changes.remove(id);
        }
    }

    /// Hands over what is to be stored. Whoever cannot store it gives it back with [`Pool::keep_changes`].
    pub(super) fn take_changes(&self) -> HashMap<i64, Change> {
        mem::take(&mut self.lock().changes)
    }

    /// Takes back what could not be stored; what happened since is newer and wins.
    pub(super) fn keep_changes(&self, unwritten: impl IntoIterator<Item = (i64, Change)>) {
        let mut rotation = self.lock();
        for (id, change) in unwritten {
            rotation.changes.entry(id).or_insert(change);
        }
    }

    /// A panic cannot leave the lists half changed in a way that matters more than going on serving.
    fn lock(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rotation {
    fn wake_rested(&mut self, now: Instant) {
        for _ in 0..WAKES_PER_PICK_MAX {
            let Some((&(until, id), _)) = self.resting.first_key_value() else { return };
            if until > now {
                return;
            }
            if let Some((key, slot)) = self.remove(id) {
                self.push(key, slot.failure_count);
            }
        }
    }

    /// Looks at one key more than there are tried ones, so it need not look at all.
    fn next_ready(&mut self, tried: &[i64]) -> Option<Arc<Key>> {
        for _ in 0..self.ready.len().min(tried.len() + 1) {
            if self.cursor >= self.ready.len() {
                self.cursor = 0;
            }
            let key = &self.ready[self.cursor];
            self.cursor += 1;
            if !tried.contains(&key.id) {
                return Some(key.clone());
            }
        }
        None
    }

    fn soonest_resting(&self, tried: &[i64]) -> Option<Arc<Key>> {
        self.resting.values().take(tried.len() + 1).find(|key| !tried.contains(&key.id)).cloned()
    }

    fn push(&mut self, key: Arc<Key>, failure_count: u32) {
        let place = Place::Ready(narrow(self.ready.len()));
        self.slots.insert(key.id, Slot { place, failure_count });
        self.ready.push(key);
    }

    fn remove(&mut self, id: i64) -> Option<(Arc<Key>, Slot)> {
        let slot = self.slots.remove(&id)?;
        let key = match slot.place {
            Place::RestingUntil(until) => self.resting.remove(&(until, id))?,
            Place::Ready(position) => self.remove_ready(position as usize),
        };
        Some((key, slot))
    }

    /// Closes the gap with the last key. Where that would put a key that waits for its turn among those that had it,
    /// the one that was picked last moves instead, so nobody loses a turn.
    fn remove_ready(&mut self, position: usize) -> Arc<Key> {
        let mut gap = position;
        if position < self.cursor {
            self.cursor -= 1;
            self.ready.swap(position, self.cursor);
            self.note_position(position);
            gap = self.cursor;
        }
        let key = self.ready.swap_remove(gap);
        self.note_position(gap);
        key
    }

    fn note_position(&mut self, position: usize) {
        if let Some(key) = self.ready.get(position)
            && let Some(slot) = self.slots.get_mut(&key.id)
        {
            slot.place = Place::Ready(narrow(position));
        }
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
        assert!(!pool.failed(&first, 3));
        assert!(!pool.failed(&first, 3));
        pool.succeeded(&first);
        assert!(!pool.failed(&first, 3));
        assert!(!pool.failed(&first, 3));
        assert!(pool.failed(&first, 3));
        assert_eq!(picks(&pool, 3, Instant::now()), [2, 2, 2]);
        assert!(!pool.failed(&first, 3), "only the failure that takes it out says so");
    }

    #[test]
    fn threshold_zero_counts_but_never_takes_a_key_out() {
        let pool = pool_of([1]);
        for _ in 0..10 {
            assert!(!pool.failed(&key(1), 0));
        }
        assert_eq!(pool.take_changes()[&1], Change { failure_count: 10, is_active: true });
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
        assert_eq!(pool.pick(&[3], now).unwrap().id, 2, "the soonest first");
        assert_eq!(pool.pick(&[3, 2], now).unwrap().id, 1);
        assert_eq!(pool.active_count(), 3);
        let mut after = picks(&pool, 2, seconds(10));
        after.sort_unstable();
        assert_eq!(after, [2, 3]);
        assert_eq!(pool.pick(&[2, 3], seconds(19)).unwrap().id, 1);
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
        assert!(pool.failed(&key(1), 1));
        pool.revive(key(1));
        assert!(pool.take_changes().is_empty(), "the caller has stored the new state already");
        assert!(!pool.failed(&key(1), 2));
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
        assert!(!pool.failed(&key(1), 5));
        pool.insert([(key(1), 0)]);
        assert_eq!(pool.active_count(), 2);
        assert!(pool.failed(&key(1), 2));
    }

    #[test]
    fn changes_that_could_not_be_written_are_kept_unless_newer_ones_exist() {
        let pool = pool_of(1..=2);
        pool.failed(&key(1), 9);
        pool.failed(&key(2), 9);
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
        pool.failed(&key(1), 9);
        pool.remove(&[1]);
        assert!(pool.take_changes().is_empty());
        pool.succeeded(&key(1));
        assert!(!pool.failed(&key(1), 1));
        assert!(pool.take_changes().is_empty());
    }

    #[test]
    fn a_key_costs_at_most_200_bytes_beside_its_text() {
        // Just past the fill at which a hash table doubles: the dearest count.
        let keys = 115_000;
        let pool = pool_of(1..=keys);
        let rotation = pool.lock();
        // A hash table holds a power of two of buckets, seven eighths of them in use at most, one control byte each.
        let buckets = (rotation.slots.capacity() * 8 / 7).next_power_of_two();
        let slots = buckets * (size_of::<(i64, Slot)>() + 1);
        let ready = rotation.ready.capacity() * size_of::<Arc<Key>>();
        let reference_counts = 2 * size_of::<usize>();
        let each = size_of::<Key>() + reference_counts + (slots + ready) / usize::try_from(keys).unwrap();
        assert!(each <= 200, "{each} bytes");
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
                    Step::Fail(id) => { pool.failed(&key(id), 2); }
                    Step::Succeed(id) => pool.succeeded(&key(id)),
                    Step::Rest(id, seconds) => pool.rest(&key(id), now + Duration::from_secs(seconds)),
                    Step::Remove(id) => pool.remove(&[id]),
                    Step::Revive(id) => pool.revive(key(id)),
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                }
                let rotation = pool.lock();
                prop_assert_eq!(rotation.ready.len() + rotation.resting.len(), rotation.slots.len());
                prop_assert!(rotation.cursor <= rotation.ready.len());
                for (id, slot) in &rotation.slots {
                    match slot.place {
                        Place::Ready(position) => prop_assert_eq!(rotation.ready[position as usize].id, *id),
                        Place::RestingUntil(until) => prop_assert!(rotation.resting.contains_key(&(until, *id))),
                    }
                }
            }
        }
    }
}
