//! Keys as the operator sees and handles them: listed, deleted, restored, annotated.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Instant};

use chrono::Utc;

use super::{
    KeyPools, aside,
    load::readable,
    queries::{self, Matching},
    state::{KeyState, KeyStatus, LastFailure, StateFilter, Statuses},
};
use crate::{
    channel,
    crypto::Secret,
    db::{self, ApiKeys, Timestamp},
    group::{GroupId, Key},
};

/// A row of the list of keys.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: i64,
    /// `None`: it cannot be decrypted.
    pub(crate) secret: Option<Secret>,
    pub(crate) hash: String,
    pub(crate) group_id: GroupId,
    /// As stored: a later version may know more of them.
    pub(crate) status: String,
    pub(crate) state: KeyState,
    pub(crate) resting_until: Option<Timestamp>,
    /// Since when it is invalid or disabled; `None`: it is not, or the original took it out.
    pub(crate) out_since: Option<Timestamp>,
    pub(crate) last_failure: Option<LastFailure>,
    pub(crate) notes: String,
    pub(crate) request_count: i64,
    pub(crate) failure_count: i64,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// What a list of keys can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortBy {
    LastUsedAt,
    CreatedAt,
    UpdatedAt,
    RequestCount,
    FailureCount,
    Status,
    OutSince,
    Id,
}

impl SortBy {
    pub(crate) const ALL: [Self; 8] = [
        Self::LastUsedAt,
        Self::CreatedAt,
        Self::UpdatedAt,
        Self::RequestCount,
        Self::FailureCount,
        Self::Status,
        Self::OutSince,
        Self::Id,
    ];

    pub(crate) fn name(self) -> &'static str {
        self.column().name()
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }

    pub(super) fn column(self) -> ApiKeys {
        match self {
            Self::LastUsedAt => ApiKeys::LastUsedAt,
            Self::CreatedAt => ApiKeys::CreatedAt,
            Self::UpdatedAt => ApiKeys::UpdatedAt,
            Self::RequestCount => ApiKeys::RequestCount,
            Self::FailureCount => ApiKeys::FailureCount,
            Self::Status => ApiKeys::Status,
            Self::OutSince => ApiKeys::OutSince,
            Self::Id => ApiKeys::Id,
        }
    }
}

/// The order of a list of keys. Among equals the ids decide, in the same direction; what never happened is the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) by: SortBy,
    pub(crate) is_descending: bool,
}

/// Those used last first.
impl Default for Sort {
    fn default() -> Self {
        Self { by: SortBy::LastUsedAt, is_descending: true }
    }
}

/// Which keys of a group to list.
#[derive(Debug)]
pub(crate) struct ListFilter {
    pub(crate) group_id: GroupId,
    pub(crate) state: Option<StateFilter>,
    /// The whole text of a key.
    pub(crate) text: Option<Secret>,
    /// A part of a key's text or of its notes, in any case.
    pub(crate) part: Option<Secret>,
    /// Only keys with these ids.
    pub(crate) ids: Option<Vec<i64>>,
    pub(crate) sort: Sort,
}

impl ListFilter {
    /// All keys of a group.
    pub(crate) fn of(group_id: GroupId) -> Self {
        Self { group_id, state: None, text: None, part: None, ids: None, sort: Sort::default() }
    }
}

impl KeyPools {
    /// A page of keys, and how many there are in all.
    pub(crate) async fn list(
        &self,
        filter: &ListFilter,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<StoredKey>, u64), db::Error> {
        self.store_changes().await?;
        let hash = filter.text.as_ref().map(|text| self.shared.cipher.hash(text.expose()));
        let readers = self.shared.database.readers();
        let status = filter.state.map(StateFilter::status);
        let mut matching = Matching::of(filter.group_id, status, hash.clone());
        if let Some(ids) = &filter.ids {
            matching = matching.among(ids.clone());
        }
        if filter.state == Some(StateFilter::Resting) {
            let resting = self.of(filter.group_id).map(|pool| pool.resting(Instant::now()));
            matching = matching.among(resting.unwrap_or_default());
        }
        if let Some(part) = &filter.part {
            let found = self.search(filter.group_id, status, hash, part).await?;
            if !found.is_everything {
                matching = matching.among(found.ids);
            }
        }
        let total = queries::count(readers, &matching).await?;
        let rows = queries::page(readers, &matching, filter.sort, (offset, limit), total).await?;
        Ok((self.shown(rows), total))
    }

    /// One key, of whichever group.
    ///
    /// # Errors
    /// [`db::Error::NotFound`] where there is no such key.
    pub(crate) async fn find(&self, id: i64) -> Result<StoredKey, db::Error> {
        self.store_changes().await?;
        let row = queries::row(self.shared.database.readers(), id).await?;
        self.shown(vec![row]).pop().ok_or(db::Error::NotFound)
    }

    /// As they are now.
    pub(super) fn shown(&self, rows: Vec<queries::Row>) -> Vec<StoredKey> {
        let (now, steady) = (Utc::now(), Instant::now());
        let mut rests = HashMap::new();
        for of_group in rows.chunk_by(|one, next| one.group_id == next.group_id) {
            let Some(pool) = of_group.first().and_then(|row| self.of(row.group_id)) else { continue };
            rests.extend(pool.rests_of(&of_group.iter().map(|row| row.id).collect::<Vec<_>>(), steady));
        }
        let one = |row: queries::Row| {
            let secret = readable(&row.key_value, row.key_hash.as_deref(), &self.shared.cipher);
            let is_usable = secret.as_ref().is_some_and(|secret| channel::is_sendable(secret.expose()));
            let state = KeyState::of(&row.status, is_usable, rests.contains_key(&row.id));
            let until = rests.get(&row.id).filter(|_| state == KeyState::Resting);
            let is_out = matches!(state, KeyState::Invalid | KeyState::Disabled);
            StoredKey {
                id: row.id,
                secret,
                hash: row.key_hash.unwrap_or_default(),
                group_id: row.group_id,
                status: row.status,
                state,
                resting_until: until.map(|until| Timestamp(now + (*until - steady)).to_milliseconds()),
                // A key that the original restored is out no more.
                out_since: row.out_since.filter(|_| is_out),
                last_failure: row.last_failure,
                notes: row.notes.unwrap_or_default(),
                request_count: row.request_count,
                failure_count: row.failure_count,
                last_used_at: row.last_used_at,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        rows.into_iter().map(one).collect()
    }

    /// How many keys a group has, invalid ones included.
    pub(crate) async fn count(&self, group_id: GroupId) -> Result<u64, db::Error> {
        queries::count(self.shared.database.readers(), &Matching::of(group_id, Statuses::All, None)).await
    }

    /// Whether a group has this very key.
    pub(crate) async fn contains(&self, group_id: GroupId, text: &Secret) -> Result<bool, db::Error> {
        let hash = self.shared.cipher.hash(text.expose());
        let matching = Matching::of(group_id, Statuses::All, Some(hash));
        Ok(queries::count(self.shared.database.readers(), &matching).await? > 0)
    }

    /// How many keys of a group there are, and the highest id among them.
    pub(crate) async fn extent(&self, group_id: GroupId, statuses: Statuses) -> Result<(u64, i64), db::Error> {
        self.store_changes().await?;
        queries::extent(self.shared.database.readers(), &Matching::of(group_id, statuses, None)).await
    }

    /// Deletes keys by their texts, in lots. Returns how many there were. `progress` hears after each lot how many texts
    /// are dealt with, and says whether to go on.
    pub(crate) async fn delete(
        &self,
        group_id: GroupId,
        texts: &[Secret],
        mut progress: impl FnMut(usize) -> ControlFlow<()> + Send,
    ) -> Result<u64, db::Error> {
        let mut deleted = 0;
        for (index, lot) in texts.chunks(self.shared.keys_per_bulk_lot).enumerate() {
            // Before the others have to wait.
            let hashes = self.hashes(lot).await?;
            let _turn = self.turn().await;
            let mut transaction = self.begin_change().await?;
            let ids = queries::delete_by_hash(&mut transaction, group_id, &hashes).await?;
            transaction.note_keys(group_id, &ids);
            transaction.commit().await?;
            self.take_out(group_id, &ids);
            deleted += ids.len() as u64;
            if progress(index * self.shared.keys_per_bulk_lot + lot.len()).is_break() {
                break;
            }
        }
        Ok(deleted)
    }

    /// Puts invalid keys back into rotation by their texts. Returns how many were invalid.
    pub(crate) async fn restore(&self, group_id: GroupId, texts: &[Secret]) -> Result<u64, db::Error> {
        let mut restored = 0;
        for lot in texts.chunks(self.shared.keys_per_bulk_lot) {
            let hashes = self.hashes(lot).await?;
            let turn = self.turn().await;
            self.store_changes_in(&turn).await?;
            let mut transaction = self.begin_change().await?;
            let found = queries::find_invalid(&mut transaction, group_id, &hashes).await?;
            restored += self.revive_found(transaction, group_id, found, KeyStatus::Invalid).await?;
        }
        Ok(restored)
    }

    /// Puts all invalid keys of a group back into rotation. Returns how many there were.
    pub(crate) async fn restore_all_invalid(&self, group_id: GroupId) -> Result<u64, db::Error> {
        let (mut restored, mut last_id) = (0, 0);
        loop {
            let turn = self.turn().await;
            self.store_changes_in(&turn).await?;
            let mut transaction = self.begin_change().await?;
            let invalid = Statuses::Only(KeyStatus::Invalid);
            let found =
                queries::lot(&mut *transaction, group_id, invalid, last_id, self.shared.keys_per_bulk_lot).await?;
            let Some((id, ..)) = found.last() else { return Ok(restored) };
            last_id = *id;
            restored += self.revive_found(transaction, group_id, found, KeyStatus::Invalid).await?;
        }
    }

    /// Deletes all invalid keys of a group. Returns how many there were.
    pub(crate) async fn clear_invalid(&self, group_id: GroupId) -> Result<u64, db::Error> {
        self.clear(group_id, Statuses::Only(KeyStatus::Invalid)).await
    }

    /// Deletes all keys of a group. Returns how many there were.
    pub(crate) async fn clear_all(&self, group_id: GroupId) -> Result<u64, db::Error> {
        self.clear(group_id, Statuses::All).await
    }

    /// False: there is no such key.
    pub(crate) async fn set_notes(&self, id: i64, notes: &str) -> Result<bool, db::Error> {
        self.check_writable()?;
        let mut transaction = self.shared.database.begin().await?;
        let is_found = queries::set_notes(&mut transaction, id, notes).await?;
        transaction.commit().await?;
        Ok(is_found)
    }

    /// The next keys of a group in the order of their ids; without a text: it cannot be decrypted.
    pub(crate) async fn lot(
        &self,
        group_id: GroupId,
        statuses: Statuses,
        above_id: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Option<Secret>)>, db::Error> {
        self.store_changes().await?;
        let lot = queries::lot(self.shared.database.readers(), group_id, statuses, above_id, limit).await?;
        self.in_clear(lot).await
    }

    /// The same as they are shown.
    pub(crate) async fn shown_lot(
        &self,
        group_id: GroupId,
        statuses: Statuses,
        above_id: i64,
        limit: u64,
    ) -> Result<Vec<StoredKey>, db::Error> {
        self.store_changes().await?;
        let matching = Matching::of(group_id, statuses, None);
        Ok(self.shown(queries::rows_above(self.shared.database.readers(), &matching, above_id, limit).await?))
    }

    /// Those of these keys that the group has.
    pub(super) async fn lot_of(
        &self,
        group_id: GroupId,
        ids: Vec<i64>,
    ) -> Result<Vec<(i64, Option<Secret>)>, db::Error> {
        let matching = Matching::of(group_id, Statuses::All, None).among(ids);
        self.in_clear(queries::stored(self.shared.database.readers(), &matching).await?).await
    }

    /// Those that are there now: an import that is under way is not waited for.
    async fn clear(&self, group_id: GroupId, statuses: Statuses) -> Result<u64, db::Error> {
        let (_, up_to_id) = self.extent(group_id, statuses).await?;
        let (mut deleted, mut last_id) = (0, 0);
        loop {
            let turn = self.turn().await;
            self.store_changes_in(&turn).await?;
            let mut transaction = self.begin_change().await?;
            let keys_max = self.shared.keys_per_bulk_lot;
            let mut found = queries::lot(&mut *transaction, group_id, statuses, last_id, keys_max).await?;
            found.retain(|(id, ..)| *id <= up_to_id);
            let Some((id, ..)) = found.last() else { return Ok(deleted) };
            last_id = *id;
            let ids: Vec<i64> = found.iter().map(|(id, ..)| *id).collect();
            deleted += queries::delete_by_id(&mut transaction, &ids).await?;
            transaction.note_keys(group_id, &ids);
            transaction.commit().await?;
            self.take_out(group_id, &ids);
        }
    }

    pub(super) fn take_out(&self, group_id: GroupId, ids: &[i64]) {
        if let Some(pool) = self.of(group_id) {
            pool.remove(ids);
        }
    }

    /// Keys that cannot be decrypted, or sent, are stored as active, like the operator wants it, but stay out of the
    /// rotation.
    pub(super) async fn revive_found(
        &self,
        mut transaction: db::Change,
        group_id: GroupId,
        found: Vec<queries::Stored>,
        from: KeyStatus,
    ) -> Result<u64, db::Error> {
        let ids: Vec<i64> = found.iter().map(|(id, ..)| *id).collect();
        let count = match from {
            KeyStatus::Disabled => queries::enable(&mut transaction, group_id, &ids).await?,
            KeyStatus::Active | KeyStatus::Invalid => queries::revive(&mut transaction, group_id, &ids).await?,
        };
        transaction.note_keys(group_id, &ids);
        transaction.commit().await?;
        if count == 0 {
            return Ok(0);
        }
        let pool = self.ensure(group_id);
        for (id, secret) in self.in_clear(found).await? {
            match secret {
                Some(secret) if !channel::is_sendable(secret.expose()) => {
                    tracing::warn!(key.id = id, "Key {id} cannot be used: it holds a character that no header may");
                }
                Some(secret) => pool.revive(Arc::new(Key { id, group_id, secret })),
                None => tracing::warn!(key.id = id, "Key {id} cannot be used: it cannot be decrypted"),
            }
        }
        Ok(count)
    }

    async fn in_clear(&self, stored: Vec<queries::Stored>) -> Result<Vec<(i64, Option<Secret>)>, db::Error> {
        let cipher = self.shared.cipher.clone();
        let one = move |(id, text, hash): queries::Stored| (id, readable(&text, hash.as_deref(), &cipher));
        aside(move || stored.into_iter().map(one).collect()).await
    }

    pub(super) async fn hashes(&self, texts: &[Secret]) -> Result<Vec<String>, db::Error> {
        let (texts, cipher) = (texts.to_vec(), self.shared.cipher.clone());
        aside(move || texts.iter().map(|text| cipher.hash(text.expose())).collect()).await
    }
}
