//! Many keys of a group at once: which ones are meant, what would come of it, and the work, in lots, with other writers in
//! between.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
    time::Instant,
};

use super::{
    KeyPools, aside,
    queries::{self, Matching},
    state::{KeyState, KeyStatus, StateFilter, Statuses},
};
use crate::{
    channel,
    crypto::Secret,
    db,
    group::{self, GroupId, Key},
};

/// Which keys of a group are meant.
#[derive(Debug)]
pub(crate) enum Selection {
    Ids(Vec<i64>),
    /// All that match, but for some.
    Matching {
        /// `None`: whatever their state is.
        state: Option<StateFilter>,
        /// A part of a key's text or of its notes.
        part: Option<Secret>,
        except_ids: HashSet<i64>,
    },
}

/// What is done with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Invalid keys go back into rotation.
    Restore,
    /// Keys that were taken out by hand go back into rotation.
    Enable,
    /// Keys are taken out by hand.
    Disable,
    Delete,
    /// Into another group; counters and notes go along. A key that is there already stays where it is.
    Move {
        to: GroupId,
    },
    SetNotes(String),
}

/// What an action would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) matching: u64,
    pub(crate) by_state: BTreeMap<KeyState, u64>,
    pub(crate) would_change: u64,
}

/// What it did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) processed: usize,
    pub(crate) changed: u64,
    /// Of a move: keys that the other group has already.
    pub(crate) already_there: u64,
}

impl KeyPools {
    /// The ids of the keys that are meant, as far as the group has them, in their order.
    pub(crate) async fn select(&self, group_id: GroupId, selection: &Selection) -> Result<Vec<i64>, db::Error> {
        self.store_changes().await?;
        let readers = self.shared.database.readers();
        match selection {
            Selection::Ids(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                let mut found = Vec::with_capacity(ids.len());
                for lot in ids.chunks(self.shared.keys_per_bulk_lot) {
                    found.append(&mut queries::ids_among(readers, group_id, lot).await?);
                }
                Ok(found)
            }
            Selection::Matching { state, part, except_ids } => {
                let status = state.map(StateFilter::status);
                let mut ids = match part {
                    Some(part) => self.search(group_id, status, None, part).await?.ids,
                    None => self.ids_of(group_id, status).await?,
                };
                if *state == Some(StateFilter::Resting) {
                    let resting = self.of(group_id).map(|pool| pool.resting(Instant::now()));
                    let resting: HashSet<i64> = resting.unwrap_or_default().into_iter().collect();
                    ids.retain(|id| resting.contains(id));
                }
                if !except_ids.is_empty() {
                    ids.retain(|id| !except_ids.contains(id));
                }
                Ok(ids)
            }
        }
    }

    async fn ids_of(&self, group_id: GroupId, status: Option<KeyStatus>) -> Result<Vec<i64>, db::Error> {
        let readers = self.shared.database.readers();
        let (mut ids, mut above_id) = (Vec::new(), i64::MIN);
        loop {
            let lot = u32::try_from(self.shared.keys_per_bulk_lot).unwrap_or(u32::MAX);
            let (last_id, found, _) = queries::searched_above(readers, group_id, status, None, above_id, lot).await?;
            let Some(last_id) = last_id else { return Ok(ids) };
            let mut found: Vec<i64> =
                serde_json::from_str(&found).map_err(|error| db::Error::Other(Box::new(error)))?;
            ids.append(&mut found);
            above_id = last_id;
        }
    }

    /// What an action would do with these keys; `None`: they would be tested, which is done with each.
    pub(crate) async fn outlook(
        &self,
        group_id: GroupId,
        ids: &[i64],
        action: Option<&Action>,
    ) -> Result<Outlook, db::Error> {
        let readers = self.shared.database.readers();
        let mut by_status: HashMap<String, u64> = HashMap::new();
        let mut would_change = 0;
        for lot in ids.chunks(self.shared.keys_per_bulk_lot) {
            for (status, count) in queries::count_by_status(readers, group_id, lot).await? {
                *by_status.entry(status).or_default() += count;
            }
            would_change += match action {
                Some(Action::Move { to }) => lot.len() as u64 - queries::count_also_in(readers, *to, lot).await?,
                Some(Action::SetNotes(notes)) => queries::count_noted_otherwise(readers, lot, notes).await?,
                _ => 0,
            };
        }
        let of = |status: KeyStatus| by_status.get(status.name()).copied().unwrap_or_default();
        let matching: u64 = by_status.values().sum();
        let (active, disabled) = (of(KeyStatus::Active), of(KeyStatus::Disabled));
        let invalid = matching - active - disabled;
        let (in_rotation, resting) = self
            .of(group_id)
            .map_or((0, 0), |pool| (ids.len() - pool.missing_of(ids).len(), pool.rests_of(ids, Instant::now()).len()));
        // Counted one after the other: in between a key may have gone out.
        let in_rotation = active.min(in_rotation as u64);
        let resting = in_rotation.min(resting as u64);
        let by_state = BTreeMap::from([
            (KeyState::Active, in_rotation - resting),
            (KeyState::Resting, resting),
            (KeyState::Invalid, invalid),
            (KeyState::Disabled, disabled),
            (KeyState::Unreadable, active - in_rotation),
        ]);
        let would_change = match action {
            None | Some(Action::Delete) => matching,
            Some(Action::Restore) => invalid,
            Some(Action::Enable) => disabled,
            Some(Action::Disable) => matching - disabled,
            Some(Action::Move { .. } | Action::SetNotes(_)) => would_change.min(matching),
        };
        Ok(Outlook { matching, by_state, would_change })
    }

    /// Does it with these keys of the group, in lots: what is done of them stays done if a later one fails. `progress`
    /// hears after each lot how many are dealt with, and says whether to go on.
    ///
    /// # Errors
    /// [`db::Error::NotFound`] where the group that keys are moved to is gone.
    pub(crate) async fn change(
        &self,
        group_id: GroupId,
        ids: &[i64],
        action: &Action,
        mut progress: impl FnMut(usize) -> ControlFlow<()> + Send,
    ) -> Result<Changes, db::Error> {
        let mut changes = Changes::default();
        for lot in ids.chunks(self.shared.keys_per_bulk_lot) {
            let (changed, already_there) = match action {
                Action::Restore => (self.restore_lot(group_id, lot, KeyStatus::Invalid).await?, 0),
                Action::Enable => (self.restore_lot(group_id, lot, KeyStatus::Disabled).await?, 0),
                Action::Disable => (self.disable_lot(group_id, lot).await?, 0),
                Action::Delete => (self.delete_lot(group_id, lot).await?, 0),
                Action::Move { to } => self.move_lot(group_id, *to, lot).await?,
                Action::SetNotes(notes) => (self.note_lot(group_id, lot, notes).await?, 0),
            };
            changes.changed += changed;
            changes.already_there += already_there;
            changes.processed += lot.len();
            if progress(changes.processed).is_break() {
                break;
            }
        }
        Ok(changes)
    }

    async fn restore_lot(&self, group_id: GroupId, ids: &[i64], from: KeyStatus) -> Result<u64, db::Error> {
        let turn = self.turn().await;
        self.store_changes_in(&turn).await?;
        let mut transaction = self.begin_change().await?;
        let matching = Matching::of(group_id, Statuses::Only(from), None).among(ids.to_vec());
        let found = queries::stored(&mut *transaction, &matching).await?;
        self.revive_found(transaction, group_id, found, from).await
    }

    async fn disable_lot(&self, group_id: GroupId, ids: &[i64]) -> Result<u64, db::Error> {
        let turn = self.turn().await;
        self.store_changes_in(&turn).await?;
        let mut transaction = self.begin_change().await?;
        let count = queries::disable(&mut transaction, group_id, ids).await?;
        transaction.note_keys(group_id, ids);
        transaction.commit().await?;
        self.take_out(group_id, ids);
        Ok(count)
    }

    async fn delete_lot(&self, group_id: GroupId, ids: &[i64]) -> Result<u64, db::Error> {
        let _turn = self.turn().await;
        let mut transaction = self.begin_change().await?;
        // Some may have been moved since they were chosen.
        let ids = queries::ids_among(&mut *transaction, group_id, ids).await?;
        let count = queries::delete_by_id(&mut transaction, &ids).await?;
        transaction.note_keys(group_id, &ids);
        transaction.commit().await?;
        self.take_out(group_id, &ids);
        Ok(count)
    }

    async fn note_lot(&self, group_id: GroupId, ids: &[i64], notes: &str) -> Result<u64, db::Error> {
        self.check_writable()?;
        let mut transaction = self.shared.database.begin().await?;
        let count = queries::set_notes_of(&mut transaction, group_id, ids, notes).await?;
        transaction.commit().await?;
        Ok(count)
    }

    /// How many were moved, and how many the other group has already.
    async fn move_lot(&self, from: GroupId, to: GroupId, ids: &[i64]) -> Result<(u64, u64), db::Error> {
        let turn = self.turn().await;
        self.store_changes_in(&turn).await?;
        let mut transaction = self.begin_change().await?;
        // Whoever deletes the group takes the same turn, so no key comes in behind it.
        group::queries::find(&mut *transaction, to).await?;
        let matching = Matching::of(from, Statuses::All, None).among(ids.to_vec());
        let found = queries::moved(&mut *transaction, &matching).await?;
        let hashes: Vec<String> = found.iter().filter_map(|key| key.hash.clone()).collect();
        let mut known: HashSet<String> =
            queries::known_hashes(&mut *transaction, to, &hashes).await?.into_iter().collect();
        let count = found.len();
        // A key that the original stored twice is moved once.
        let moved: Vec<queries::MovedKey> =
            found.into_iter().filter(|key| key.hash.as_ref().is_none_or(|hash| known.insert(hash.clone()))).collect();
        let ids: Vec<i64> = moved.iter().map(|key| key.id).collect();
        queries::move_to(&mut transaction, to, &ids).await?;
        for (group_id, ids) in [(from, &ids), (to, &ids)] {
            transaction.note_keys(group_id, ids);
        }
        transaction.commit().await?;
        let now = Instant::now();
        let rests = self.of(from).map(|pool| pool.rests_of(&ids, now)).unwrap_or_default();
        self.take_out(from, &ids);
        let cipher = self.shared.cipher.clone();
        let serving = move |key: queries::MovedKey| {
            let secret = super::load::readable(&key.text, key.hash.as_deref(), &cipher)?;
            let is_in_rotation = key.status == KeyStatus::Active.name() && channel::is_sendable(secret.expose());
            let failures = u32::try_from(key.failure_count).unwrap_or(0);
            is_in_rotation.then(|| (Arc::new(Key { id: key.id, group_id: to, secret }), failures))
        };
        let serving: Vec<_> = aside(move || moved.into_iter().filter_map(serving).collect()).await?;
        let pool = self.ensure(to);
        pool.insert(serving.iter().cloned());
        for (key, _) in serving.iter().filter(|(key, _)| rests.contains_key(&key.id)) {
            pool.rest(key, rests[&key.id]);
        }
        Ok((ids.len() as u64, (count - ids.len()) as u64))
    }
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
