//! What other nodes changed about keys, taken over: the database is looked at again, and the pools follow it.
//!
//! Looking again says nothing about what changed, only where to look, so it does no harm to do it late, twice or for nothing.

use std::{collections::HashSet, sync::Arc};

use super::{KeyPools, KeyStatus, Pool, load::readable, queries};
use crate::{
    channel,
    db::{self, Changed},
    group::{GroupId, Key},
};

/// Keys that are compared at once.
const KEYS_PER_LOOK: u32 = 10_000;

impl KeyPools {
    /// Looks again at the keys that a change names.
    ///
    /// # Errors
    /// Those of the database: then nothing, or a part of it, was taken over, and it has to be done again.
    pub(crate) async fn look_again(&self, changed: &Changed) -> Result<(), db::Error> {
        if self.shared.is_read_only {
            return Ok(());
        }
        match changed {
            Changed::Keys { group_id, ids } => self.look_at(*group_id, ids).await,
            Changed::KeysBetween { group_id, first_id, last_id } => {
                self.look_between(*group_id, first_id - 1, *last_id).await
            }
            Changed::Configuration | Changed::Unknown => Ok(()),
        }
    }

    /// Looks at all keys of all groups.
    pub(crate) async fn look_at_all(&self) -> Result<(), db::Error> {
        if self.shared.is_read_only {
            return Ok(());
        }
        let mut groups: HashSet<GroupId> = self.shared.pools.load().keys().copied().collect();
        groups.extend(queries::groups_with_keys(self.shared.database.readers()).await?);
        for group_id in groups {
            self.look_between(group_id, 0, i64::MAX).await?;
        }
        Ok(())
    }

    async fn look_at(&self, group_id: GroupId, ids: &[i64]) -> Result<(), db::Error> {
        for lot in ids.chunks(KEYS_PER_LOOK as usize) {
            let turn = self.turn().await;
            // Our own news first: what is read below is then not older than what is in memory.
            self.store_changes_in(&turn).await?;
            let states = queries::states_of(self.shared.database.readers(), group_id, lot).await?;
            self.take_over(group_id, lot.to_vec(), states).await?;
        }
        Ok(())
    }

    async fn look_between(&self, group_id: GroupId, mut above_id: i64, last_id: i64) -> Result<(), db::Error> {
        loop {
            let turn = self.turn().await;
            self.store_changes_in(&turn).await?;
            let readers = self.shared.database.readers();
            let states = queries::states_between(readers, group_id, above_id, last_id, KEYS_PER_LOOK).await?;
            let is_last = states.len() < KEYS_PER_LOOK as usize;
            let up_to = states.last().map_or(last_id, |(id, ..)| if is_last { last_id } else { *id });
            let looked_at = self.of(group_id).map(|pool| pool.ids_between(above_id, up_to)).unwrap_or_default();
            self.take_over(group_id, looked_at, states).await?;
            if is_last {
                return Ok(());
            }
            above_id = up_to;
        }
    }

    /// Of the keys looked at, those without a state are gone.
    async fn take_over(
        &self,
        group_id: GroupId,
        looked_at: Vec<i64>,
        states: Vec<queries::KeyState>,
    ) -> Result<(), db::Error> {
        let is_active = |status: &str| status == KeyStatus::Active.name();
        let active: Vec<i64> = states.iter().filter(|(_, status, _)| is_active(status)).map(|(id, ..)| *id).collect();
        let pool = match self.of(group_id) {
            Some(pool) => pool,
            None if active.is_empty() => return Ok(()),
            None => self.ensure(group_id),
        };
        let stored: HashSet<i64> = active.iter().copied().collect();
        let gone: Vec<i64> = looked_at.into_iter().filter(|id| !stored.contains(id)).collect();
        pool.remove(&gone);
        let missing = pool.missing_of(&active);
        for (id, status, failure_count) in &states {
            pool.adopt(*id, is_active(status), *failure_count);
        }
        self.put_in(group_id, &pool, &missing, &states).await
    }

    async fn put_in(
        &self,
        group_id: GroupId,
        pool: &Pool,
        missing: &[i64],
        states: &[queries::KeyState],
    ) -> Result<(), db::Error> {
        if missing.is_empty() {
            return Ok(());
        }
        let stored = queries::stored_of(self.shared.database.readers(), missing).await?;
        let cipher = self.shared.cipher.clone();
        let readable = move |(id, text, hash): queries::Stored| {
            let secret = readable(&text, hash.as_deref(), &cipher)?;
            channel::is_sendable(secret.expose()).then(|| Arc::new(Key { id, group_id, secret }))
        };
        let mut keys: Vec<Arc<Key>> = super::aside(move || stored.into_iter().filter_map(readable).collect()).await?;
        keys.sort_unstable_by_key(|key| key.id);
        let failures: std::collections::HashMap<i64, u32> =
            states.iter().map(|(id, _, failures)| (*id, u32::try_from(*failures).unwrap_or(0))).collect();
        pool.insert(keys.into_iter().map(|key| {
            let failures = failures.get(&key.id).copied().unwrap_or_default();
            (key, failures)
        }));
        Ok(())
    }
}
