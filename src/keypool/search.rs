//! Keys found by a part of their text or of their notes.
//!
//! Stored keys are encrypted, so no statement can look into them. Those in rotation are in memory in clear; the others are
//! decrypted in lots, off the threads that serve.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use tokio::task::JoinHandle;

use super::{KEYS_PER_LOT, KeyPools, KeyStatus, Pool, StoredKey, load::readable, queries};
use crate::{
    crypto::{Cipher, Secret},
    db,
    group::GroupId,
};

/// Keys that one query names and one task looks through.
const KEYS_PER_PIECE: u32 = 10_000;
/// Pieces that are looked through while the next one is read.
const PIECES_AT_ONCE: usize = 3;

/// What a search finds.
pub(super) struct Found {
    /// In ascending order.
    pub(super) ids: Vec<i64>,
    /// Every key that was looked at, so that nothing need be said about ids.
    pub(super) is_everything: bool,
}

/// What is looked for, in lower case.
struct Part(Secret);

impl KeyPools {
    /// Keys of a group with this part in their text or their notes.
    pub(super) async fn search(
        &self,
        group_id: GroupId,
        status: Option<KeyStatus>,
        hash: Option<String>,
        part: &Secret,
    ) -> Result<Found, db::Error> {
        let part = Arc::new(Part(Secret::new(part.expose().to_lowercase())));
        let readers = self.shared.database.readers();
        let mut found = Found { ids: Vec::new(), is_everything: true };
        let mut pending: VecDeque<JoinHandle<Result<(Vec<i64>, usize), db::Error>>> = VecDeque::new();
        let mut last_id = Some(i64::MIN);
        while last_id.is_some() || !pending.is_empty() {
            if let Some(above_id) = last_id {
                let (id, ids, notes) =
                    queries::searched_above(readers, group_id, status, hash.as_deref(), above_id, KEYS_PER_PIECE)
                        .await?;
                last_id = id;
                if id.is_some() {
                    pending.push_back(tokio::spawn(self.clone().look_through(group_id, ids, notes, part.clone())));
                }
            }
            // In the order of their ids.
            while pending.len() > PIECES_AT_ONCE || last_id.is_none() {
                let Some(piece) = pending.pop_front() else { break };
                let (mut ids, count) = piece.await.map_err(other)??;
                found.is_everything &= ids.len() == count;
                found.ids.append(&mut ids);
            }
        }
        Ok(found)
    }

    /// Keys of all groups: those that are exactly the text, and those with it as a part of their text or their notes, no
    /// more than `count_max`, as far as they are found by the deadline. Whether these are all there are is told besides.
    pub(crate) async fn search_everywhere(
        &self,
        text: &Secret,
        count_max: usize,
        deadline: Instant,
    ) -> Result<(Vec<StoredKey>, bool), db::Error> {
        self.store_changes().await?;
        let readers = self.shared.database.readers();
        // By the index of hashes: at once, however many keys there are.
        let hash = self.shared.cipher.hash(text.expose());
        let mut ids = queries::ids_of_hash(readers, &hash, count_max + 1).await?;
        let part = Arc::new(Part(Secret::new(text.expose().to_lowercase())));
        let mut is_complete = true;
        'groups: for group_id in queries::groups_with_keys(readers).await? {
            let mut above_id = i64::MIN;
            loop {
                if ids.len() > count_max || Instant::now() >= deadline {
                    is_complete = false;
                    break 'groups;
                }
                let (last_id, found, notes) =
                    queries::searched_above(readers, group_id, None, None, above_id, KEYS_PER_PIECE).await?;
                let Some(last_id) = last_id else { break };
                above_id = last_id;
                let (matching, _) = self.clone().look_through(group_id, found, notes, part.clone()).await?;
                let known: HashSet<i64> = ids.iter().copied().collect();
                ids.extend(matching.into_iter().filter(|id| !known.contains(id)));
            }
        }
        is_complete &= ids.len() <= count_max;
        ids.truncate(count_max);
        Ok((self.shown(queries::rows(readers, &ids).await?), is_complete))
    }

    /// Which keys of a piece match, and how many there are in it.
    async fn look_through(
        self,
        group_id: GroupId,
        ids: String,
        notes: String,
        part: Arc<Part>,
    ) -> Result<(Vec<i64>, usize), db::Error> {
        let pool = self.of(group_id);
        let look = {
            let part = part.clone();
            move || in_memory(pool.as_deref(), &ids, &notes, &part)
        };
        let Looked { mut matching, elsewhere, count } =
            tokio::task::spawn_blocking(look).await.map_err(other)?.map_err(other)?;
        if !elsewhere.is_empty() {
            let texts = queries::texts_of(self.shared.database.readers(), &elsewhere).await?;
            let cipher = self.shared.cipher.clone();
            let look = move || decrypted(&texts, &cipher, &part);
            matching.append(&mut tokio::task::spawn_blocking(look).await.map_err(other)?.map_err(other)?);
            matching.sort_unstable();
        }
        Ok((matching, count))
    }
}

struct Looked {
    matching: Vec<i64>,
    /// Keys that are not in rotation, and whose notes do not match.
    elsewhere: Vec<i64>,
    count: usize,
}

fn in_memory(pool: Option<&Pool>, ids: &str, notes: &str, part: &Part) -> Result<Looked, serde_json::Error> {
    let ids: Vec<i64> = serde_json::from_str(ids)?;
    // Both lists are in the order of the ids.
    let mut notes = serde_json::from_str::<Vec<(i64, String)>>(notes)?.into_iter().peekable();
    let mut looked = Looked { matching: Vec::new(), elsewhere: Vec::new(), count: ids.len() };
    for lot in ids.chunks(KEYS_PER_LOT) {
        let keys = pool.map_or_else(|| vec![None; lot.len()], |pool| pool.find(lot));
        for (id, key) in lot.iter().zip(keys) {
            let note = notes.next_if(|(noted, _)| noted == id);
            let is_noted = note.is_some_and(|(_, note)| part.is_in(&note));
            match key {
                _ if is_noted => looked.matching.push(*id),
                Some(key) if part.is_in(key.secret.expose()) => looked.matching.push(*id),
                Some(_) => {}
                None => looked.elsewhere.push(*id),
            }
        }
    }
    Ok(looked)
}

fn decrypted(texts: &str, cipher: &Cipher, part: &Part) -> Result<Vec<i64>, serde_json::Error> {
    let stored: Vec<queries::Stored> = serde_json::from_str(texts)?;
    let is_matching = |(id, text, hash): queries::Stored| {
        let secret = readable(&text, hash.as_deref(), cipher)?;
        part.is_in(secret.expose()).then_some(id)
    };
    Ok(stored.into_iter().filter_map(is_matching).collect())
}

impl Part {
    fn is_in(&self, text: &str) -> bool {
        let part = self.0.expose();
        if !text.is_ascii() {
            return text.to_lowercase().contains(part);
        }
        let Some(first) = part.bytes().next() else { return true };
        let Some(last_start) = text.len().checked_sub(part.len()) else { return false };
        let starts = memchr::memchr2_iter(first, first.to_ascii_uppercase(), &text.as_bytes()[..=last_start]);
        starts.into_iter().any(|at| text.as_bytes()[at..at + part.len()].eq_ignore_ascii_case(part.as_bytes()))
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> db::Error {
    db::Error::Other(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(part: &str, text: &str, expected: bool) {
        assert_eq!(Part(Secret::new(part.to_lowercase())).is_in(text), expected, "{part} in {text}");
    }

    #[test]
    fn a_part_is_found_anywhere_in_any_case() {
        check("sk-A", "SK-abc", true);
        check("BC", "sk-abc", true);
        check("abc", "ab-abc", true);
        check("sk-abcd", "sk-abc", false);
        check("ü", "für ANN", true);
        check("ANN", "für ann", true);
        check("é", "E", false);
        check("x", "", false);
    }
}
