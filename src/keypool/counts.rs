//! How many keys groups have, and in which state they are.

use std::{collections::HashMap, time::Instant};

use super::{
    KeyPools,
    queries::{self, Matching},
    state::{KeyStatus, Statuses},
};
use crate::{db, group::GroupId};

/// The keys of one group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeyStates {
    pub(crate) total: u64,
    /// Those that rest are among them.
    pub(crate) active: u64,
    /// Of the active ones those that wait out a limit, on this node.
    pub(crate) resting: u64,
    /// Taken out by their failures.
    pub(crate) invalid: u64,
    /// Taken out by hand.
    pub(crate) disabled: u64,
}

impl KeyPools {
    /// A group without keys is left out.
    pub(crate) async fn states_by_group(&self, now: Instant) -> Result<HashMap<GroupId, KeyStates>, db::Error> {
        self.store_changes().await?;
        let readers = self.shared.database.readers();
        let mut all: HashMap<GroupId, KeyStates> = HashMap::new();
        for (group_id, total) in queries::totals(readers).await? {
            all.entry(group_id).or_default().total = total;
        }
        for (group_id, status, count) in queries::out_by_status(readers, None).await? {
            all.entry(group_id).or_default().note(&status, count);
        }
        for (group_id, states) in &mut all {
            states.complete(self.resting(*group_id, now));
        }
        Ok(all)
    }

    /// The same of one group.
    pub(crate) async fn states_of(&self, group_id: GroupId, now: Instant) -> Result<KeyStates, db::Error> {
        self.store_changes().await?;
        let readers = self.shared.database.readers();
        let total = queries::count(readers, &Matching::of(group_id, Statuses::All, None)).await?;
        let mut states = KeyStates { total, ..KeyStates::default() };
        for (_, status, count) in queries::out_by_status(readers, Some(group_id)).await? {
            states.note(&status, count);
        }
        states.complete(self.resting(group_id, now));
        Ok(states)
    }

    fn resting(&self, group_id: GroupId, now: Instant) -> u64 {
        self.of(group_id).map_or(0, |pool| pool.active(now).resting as u64)
    }
}

impl KeyStates {
    fn note(&mut self, status: &str, count: u64) {
        if status == KeyStatus::Disabled.name() {
            self.disabled += count;
        } else {
            self.invalid += count;
        }
    }

    fn complete(&mut self, resting: u64) {
        let out = self.invalid + self.disabled;
        // Between the two statements keys may have been added, or have become invalid.
        self.total = self.total.max(out);
        self.active = self.total - out;
        self.resting = resting.min(self.active);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        crypto::Cipher,
        db::testing::{fresh, values},
    };

    #[tokio::test]
    async fn keys_of_all_groups_are_counted_by_their_states() {
        let (_place, database) = fresh().await;
        let row = |number: usize| {
            let (group, status) = match number {
                1..=4 => (1, "active"),
                5..=6 => (1, "invalid"),
                7 => (1, "disabled"),
                8 => (2, "invalid"),
                _ => (3, "active"),
            };
            format!("'sk-{number}', 'hash-{number}', {group}, '{status}'")
        };
        let groups = database.engine().quoted("groups");
        let group = |number: usize| format!("'g{number}', 'standard', '[]', 'openai', 'm'");
        let columns = "name, group_type, upstreams, channel_type, test_model";
        database.run(&format!("INSERT INTO {groups} ({columns}) {}", values(3, group))).await;
        let insert = format!("INSERT INTO api_keys (key_value, key_hash, group_id, status) {}", values(9, row));
        database.run(&insert).await;
        let pools = KeyPools::open_for_diagnosis(database.clone(), Cipher::new(None));
        let now = Instant::now();
        let states =
            |total, active, resting, invalid, disabled| KeyStates { total, active, resting, invalid, disabled };
        let counted = pools.states_by_group(now).await.unwrap();
        assert_eq!((counted[&1], counted[&2]), (states(7, 4, 0, 2, 1), states(1, 0, 0, 1, 0)));
        assert_eq!(counted.get(&4), None);

        let pool = pools.ensure(3);
        let key =
            std::sync::Arc::new(crate::group::Key { id: 9, group_id: 3, secret: crate::crypto::Secret::new("sk-9") });
        pool.insert([(key.clone(), 0)]);
        pool.rest(&key, now + Duration::from_secs(60));
        assert_eq!(pools.states_by_group(now).await.unwrap()[&3], states(1, 1, 1, 0, 0));
        let later = now + Duration::from_secs(61);
        assert_eq!(pools.states_by_group(later).await.unwrap()[&3], states(1, 1, 0, 0, 0));
    }
}
