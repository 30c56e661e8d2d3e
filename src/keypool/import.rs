//! Keys come in: read out of a pasted text, told apart from those that are there, stored, put into rotation.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use serde_json::Value;

use super::{KeyPools, KeyStatus, queries, unwatched};
use crate::{
    channel,
    crypto::Secret,
    db,
    group::{self, GroupId, Key},
};

/// Positions of keys that cannot be used, as far as they are named.
const POSITIONS_NAMED_MAX: usize = 20;
/// Keys in one call that is answered when all is done.
pub(crate) const KEYS_PER_CALL_MAX: usize = 5_000;

/// Why a text gives no list of keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysTextError {
    #[error("no valid keys found in the input text")]
    Empty,
    #[error("the JSON list holds something that is not a text, at position {position}")]
    NotOnlyTexts { position: usize },
    #[error("the key at position {position} holds a control character, which no request can carry")]
    Unsendable { position: usize },
    #[error("batch size exceeds the limit of {KEYS_PER_CALL_MAX} keys, got {count}")]
    TooMany { count: usize },
}

/// What became of the texts of an import.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ImportCounts {
    /// Texts dealt with: all of them, unless the import was told to stop.
    pub(crate) processed: usize,
    pub(crate) added: usize,
    pub(crate) duplicate_in_input: usize,
    pub(crate) already_in_group: usize,
    /// Left out, since no request can carry them.
    pub(crate) unsendable: usize,
    /// Where the first of those stand in the input, counted from 1; of a copied group nobody knows the input.
    pub(crate) unsendable_positions: Vec<usize>,
}

impl ImportCounts {
    pub(crate) fn ignored(&self) -> usize {
        self.processed - self.added
    }
}

/// The keys in a text, repeated ones included: either a JSON list of texts, or anything with white space, commas or
/// semicolons in between. `keys_max` is [`KEYS_PER_CALL_MAX`] where the caller waits for the end.
pub(crate) fn parse_keys(text: &str, keys_max: Option<usize>) -> Result<Vec<Secret>, KeysTextError> {
    // A file saved by an editor may begin with a byte-order mark, which belongs to no key.
    let text = text.trim_start_matches('\u{feff}').trim();
    let keys = match serde_json::from_str::<Vec<Value>>(text) {
        Ok(elements) => keys_of_list(&elements)?,
        Err(_) => text.split([' ', '\t', '\n', '\u{c}', '\r', ',', ';']).filter_map(key_of).collect(),
    };
    match keys.len() {
        0 => Err(KeysTextError::Empty),
        count if keys_max.is_some_and(|keys_max| count > keys_max) => Err(KeysTextError::TooMany { count }),
        _ => Ok(keys),
    }
}

/// The same for keys that are to be added: each must be one that a request can carry. A stored one that is not may still
/// be named, to be deleted.
pub(crate) fn parse_new_keys(text: &str, keys_max: Option<usize>) -> Result<Vec<Secret>, KeysTextError> {
    let keys = parse_keys(text, keys_max)?;
    match keys.iter().position(|key| !channel::is_sendable(key.expose())) {
        Some(index) => Err(KeysTextError::Unsendable { position: index + 1 }),
        None => Ok(keys),
    }
}

fn keys_of_list(elements: &[Value]) -> Result<Vec<Secret>, KeysTextError> {
    let mut keys = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        match element {
            Value::String(text) => keys.extend(key_of(text)),
            Value::Null => {}
            _ => return Err(KeysTextError::NotOnlyTexts { position: index + 1 }),
        }
    }
    Ok(keys)
}

fn key_of(item: &str) -> Option<Secret> {
    let item = item.trim();
    (!item.is_empty()).then(|| Secret::new(item))
}

impl KeyPools {
    /// Adds keys that the group does not have yet, in lots: those of a finished lot are stored and in rotation, even
    /// if a later one fails. `progress` hears after each lot how many texts are dealt with, and says whether to go on.
    ///
    /// # Errors
    /// [`db::Error::NotFound`] where the group is gone, be it in the middle of an import.
    pub(crate) async fn add(
        &self,
        group_id: GroupId,
        texts: &[Secret],
        mut progress: impl FnMut(usize) -> ControlFlow<()> + Send,
    ) -> Result<ImportCounts, db::Error> {
        let mut seen = HashSet::with_capacity(texts.len());
        let mut outcome = ImportCounts::default();
        for lot in texts.chunks(self.shared.keys_per_bulk_lot) {
            let mut fresh = Vec::with_capacity(lot.len());
            for (index, secret) in lot.iter().enumerate() {
                // Equal texts have equal hashes, so a repeated one need not be hashed.
                if !seen.insert(secret.expose()) {
                    outcome.duplicate_in_input += 1;
                } else if channel::is_sendable(secret.expose()) {
                    fresh.push((self.shared.cipher.hash(secret.expose()), secret));
                } else {
                    outcome.unsendable += 1;
                    if outcome.unsendable_positions.len() < POSITIONS_NAMED_MAX {
                        outcome.unsendable_positions.push(outcome.processed + index + 1);
                    }
                }
            }
            let fresh_count = fresh.len();
            let added = self.add_lot(group_id, fresh).await?;
            outcome.added += added;
            outcome.already_in_group += fresh_count - added;
            outcome.processed += lot.len();
            if progress(outcome.processed).is_break() {
                break;
            }
        }
        Ok(outcome)
    }

    /// Adds the keys of one group to another, key by key: separators inside a key stay where they are. `up_to_id` is
    /// the last one to copy. Returns besides how many could not be read.
    pub(crate) async fn copy(
        &self,
        (source, status, up_to_id): (GroupId, Option<KeyStatus>, i64),
        target: GroupId,
        mut progress: impl FnMut(usize) -> ControlFlow<()> + Send,
    ) -> Result<(ImportCounts, usize), db::Error> {
        let mut outcome = ImportCounts::default();
        let (mut unreadable, mut last_id) = (0, 0);
        loop {
            let mut lot = self.lot(source, status, last_id, self.shared.keys_per_bulk_lot).await?;
            lot.retain(|(id, _)| *id <= up_to_id);
            let Some((id, _)) = lot.last() else { return Ok((outcome, unreadable)) };
            last_id = *id;
            let count = lot.len();
            let texts: Vec<Secret> = lot.into_iter().filter_map(|(_, secret)| secret).collect();
            unreadable += count - texts.len();
            let added = self.add(target, &texts, unwatched).await?;
            outcome.processed += count;
            outcome.added += added.added;
            outcome.duplicate_in_input += added.duplicate_in_input;
            outcome.already_in_group += added.already_in_group;
            outcome.unsendable += added.unsendable;
            if progress(outcome.processed).is_break() {
                return Ok((outcome, unreadable));
            }
        }
    }

    /// Looks and inserts within one turn, so that two imports at once do not store the same key twice.
    async fn add_lot(&self, group_id: GroupId, mut lot: Vec<(String, &Secret)>) -> Result<usize, db::Error> {
        let _turn = self.turn().await;
        let mut transaction = self.shared.database.begin().await?;
        // Whoever deletes the group takes the same turn, so no key comes in behind it.
        group::queries::find(&mut *transaction, group_id).await?;
        let hashes: Vec<String> = lot.iter().map(|(hash, _)| hash.clone()).collect();
        let known: HashSet<String> =
            queries::known_hashes(&mut transaction, group_id, &hashes).await?.into_iter().collect();
        lot.retain(|(hash, _)| !known.contains(hash));
        if lot.is_empty() {
            return Ok(0);
        }
        let rows: Vec<(String, &str)> =
            lot.iter().map(|(hash, secret)| (self.shared.cipher.encrypt(secret.expose()), hash.as_str())).collect();
        let ids: HashMap<String, i64> = queries::insert(&mut transaction, group_id, &rows)
            .await?
            .into_iter()
            .map(|(id, hash)| (hash, id))
            .collect();
        transaction.commit().await?;
        // Only now, so that no key serves that is not stored.
        let mut keys: Vec<_> = lot
            .iter()
            .filter_map(|(hash, secret)| Some((*ids.get(hash)?, *secret)))
            .map(|(id, secret)| (Arc::new(Key { id, group_id, secret: secret.clone() }), 0))
            .collect();
        keys.sort_unstable_by_key(|(key, _)| key.id);
        let count = keys.len();
        self.ensure(group_id).insert(keys);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], KeysTextError>) {
        let keys = parse_keys(text, None);
        let keys = keys.as_ref().map(|keys| keys.iter().map(Secret::expose).collect::<Vec<_>>());
        assert_eq!(keys, expected.as_ref().map(|keys| keys.to_vec()), "{text}");
    }

    #[test]
    fn separators_split_a_text() {
        check("sk-1\nsk-2\r\n sk-3,sk-4;;sk-5\tsk-1\u{c}", Ok(&["sk-1", "sk-2", "sk-3", "sk-4", "sk-5", "sk-1"]));
        check("\u{a0}sk\u{a0}1\u{3000}\nsk-2", Ok(&["sk\u{a0}1", "sk-2"]));
        check(" \n,; ", Err(KeysTextError::Empty));
    }

    #[test]
    fn a_json_list_keeps_separators_inside_its_keys() {
        check(r#"["sk 1", " sk,2 ", null, ""]"#, Ok(&["sk 1", "sk,2"]));
        check("[sk-1]", Ok(&["[sk-1]"]));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_with_its_place() {
        let refusal = |text: &str| parse_new_keys(text, None).map(|keys| keys.len());
        assert_eq!(refusal(r#"["sk-a", "sk-b\nsk-c"]"#), Err(KeysTextError::Unsendable { position: 2 }));
        assert_eq!(refusal("sk-a\u{7f}"), Err(KeysTextError::Unsendable { position: 1 }));
        assert_eq!(refusal(r#"["sk a", "sk-b"]"#), Ok(2));
        check(r#"["sk-b\nsk-c"]"#, Ok(&["sk-b\nsk-c"]));
    }

    #[test]
    fn a_list_without_keys_or_with_other_things_is_refused() {
        check("[]", Err(KeysTextError::Empty));
        check("[null]", Err(KeysTextError::Empty));
        check(r#"["sk-1", 5, "sk-2"]"#, Err(KeysTextError::NotOnlyTexts { position: 2 }));
        check(r#"[{"key": "sk-1"}]"#, Err(KeysTextError::NotOnlyTexts { position: 1 }));
    }

    #[test]
    fn a_byte_order_mark_belongs_to_no_key() {
        check("\u{feff}sk-1", Ok(&["sk-1"]));
        check("\u{feff}[\"sk-1\"]", Ok(&["sk-1"]));
    }

    #[test]
    fn more_keys_than_allowed_are_refused_with_their_number() {
        let text = "k ".repeat(KEYS_PER_CALL_MAX + 1);
        assert_eq!(
            parse_keys(&text, Some(KEYS_PER_CALL_MAX)).unwrap_err().to_string(),
            "batch size exceeds the limit of 5000 keys, got 5001"
        );
        assert_eq!(parse_keys(&text, None).unwrap().len(), KEYS_PER_CALL_MAX + 1);
    }
}
