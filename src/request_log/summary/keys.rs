//! Which upstream keys the attempts of a span used, with what may be shown of them.

use std::collections::HashMap;

use super::values::{Counts, ValueFigures};
use crate::{
    db::{Engine, Source as _, Sql},
    group::GroupId,
    request_log::search::{Extent, LoggedKey, Looked, RowIds, Search, SearchError},
};

/// One key, by the hash that entries have as `key_hash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFigures {
    pub(crate) figures: ValueFigures,
    /// `None`: it was deleted.
    pub(crate) key_id: Option<i64>,
    /// Its ends; empty where nobody can read it.
    pub(crate) masked: String,
    pub(crate) group_name: String,
    group_id: GroupId,
}

/// By hash; the same key may be in several groups.
#[derive(Default)]
pub(super) struct Keys(HashMap<String, Vec<Used>>);

struct Used {
    group_id: GroupId,
    group_name: String,
    counts: Counts,
}

impl Keys {
    pub(super) fn add(&mut self, row: &Looked<'_>) {
        if row.key_hash.is_empty() {
            return;
        }
        if !self.0.contains_key(row.key_hash) {
            self.0.insert(row.key_hash.to_owned(), Vec::new());
        }
        let Some(groups) = self.0.get_mut(row.key_hash) else { return };
        match groups.iter_mut().find(|used| used.group_id == row.group_id) {
            Some(used) => used.counts.add(row),
            None => {
                let mut counts = Counts::default();
                counts.add(row);
                groups.push(Used { group_id: row.group_id, group_name: row.group_name.to_owned(), counts });
            }
        }
    }

    pub(super) fn most_frequent(self, most: usize, extent: Extent) -> Vec<KeyFigures> {
        let mut all: Vec<(String, Used)> = Vec::new();
        for (hash, groups) in self.0 {
            all.extend(groups.into_iter().map(|used| (hash.clone(), used)));
        }
        let order = |used: &Used| (std::cmp::Reverse(used.counts.count()), used.group_id);
        all.sort_by(|(a, of_a), (b, of_b)| order(of_a).cmp(&order(of_b)).then_with(|| a.cmp(b)));
        all.truncate(most);
        let shown = |(hash, used): (String, Used)| KeyFigures {
            figures: used.counts.figures(hash, extent),
            key_id: None,
            masked: String::new(),
            group_name: used.group_name,
            group_id: used.group_id,
        };
        all.into_iter().map(shown).collect()
    }
}

impl Search {
    /// Says of each key its id and its ends, as far as it is still there, or its entries tell.
    pub(super) async fn name_keys(&self, mut keys: Vec<KeyFigures>) -> Result<Vec<KeyFigures>, SearchError> {
        let database = self.database();
        let hashes: Vec<String> = keys.iter().map(|key| key.figures.value.clone()).collect();
        let text = "SELECT key_hash, group_id, id, key_value FROM api_keys WHERE key_hash";
        let mut sql = Sql::new(database.engine(), text);
        sql.push_among(&hashes);
        let stored: Vec<(String, GroupId, i64, String)> = database.readers().all(sql).await?;
        for key in &mut keys {
            let hash = &key.figures.value;
            let own = stored.iter().find(|(known, group_id, ..)| known == hash && *group_id == key.group_id);
            key.key_id = own.map(|(_, _, id, _)| *id);
            let ends = own.and_then(|(.., text)| self.cipher().read(text, Some(hash)).secret()).map(|key| key.masked());
            key.masked = match ends {
                Some(ends) => ends,
                None => self.ends_of(hash).await?,
            };
        }
        Ok(keys)
    }

    /// By any entry of the key: that leads to the key itself, or keeps its ends.
    async fn ends_of(&self, hash: &str) -> Result<String, SearchError> {
        let engine = self.database().engine();
        let readers = self.database().readers();
        let row = match engine {
            Engine::Sqlite => {
                let text =
                    "SELECT rowid FROM request_logs INDEXED BY idx_request_logs_key_hash WHERE key_hash = ? LIMIT 1";
                let found: Vec<i64> = readers.values(Sql::new(engine, text).bind(hash)).await?;
                RowIds::Numbers(found)
            }
            _ => {
                let text = "SELECT id FROM request_logs WHERE key_hash = ? LIMIT 1";
                RowIds::Texts(readers.values(Sql::new(engine, text).bind(hash)).await?)
            }
        };
        let entries = self.entries(&row).await?;
        Ok(match entries.first().map(|entry| &entry.key) {
            Some(LoggedKey::Known(secret)) => secret.masked(),
            Some(LoggedKey::Masked(ends)) => ends.clone(),
            Some(LoggedKey::Unreadable | LoggedKey::None) | None => String::new(),
        })
    }
}
