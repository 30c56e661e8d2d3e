//! Keys come in: read out of a pasted text, told apart from those that are there, stored, put into rotation.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::ControlFlow,
    sync::Arc,
};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{KeyPools, Statuses, aside, queries, unwatched};
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
/// Keys that one task deals with: they are in memory until it ends.
pub(crate) const KEYS_PER_TASK_MAX: usize = 2_000_000;

/// Why a text gives no list of keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysTextError {
    #[error("no valid keys found in the input text")]
    Empty,
    #[error("the JSON list holds something that is not a text, at position {position}")]
    NotOnlyTexts { position: usize },
    #[error("the key at position {position} holds a control character, which no request can carry")]
    Unsendable { position: usize },
    #[error("batch size exceeds the limit of {limit} keys, got {count}")]
    TooMany { limit: usize, count: usize },
    /// Counted from 1, and from where the list begins.
    #[error("the JSON list breaks at line {line}, column {column}")]
    BrokenList { line: usize, column: usize },
}

/// What became of the texts of an import.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ImportCounts {
    /// Texts dealt with: all of them, unless the import was told to stop.
    pub(crate) processed: usize,
    pub(crate) added: usize,
    /// The ids of those that were added; of a copied group nobody asks for them.
    pub(crate) added_ids: Vec<i64>,
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
/// semicolons in between. `keys_max` is [`KEYS_PER_CALL_MAX`] where the caller waits for the end, or else
/// [`KEYS_PER_TASK_MAX`].
pub(crate) fn parse_keys(text: &str, keys_max: usize) -> Result<Vec<Secret>, KeysTextError> {
    // A file saved by an editor may begin with a byte-order mark, which belongs to no key.
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut list = List { read: Read::upto(keys_max), elements: 0, other_position: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = match reader.deserialize_seq(&mut list).and_then(|()| reader.end()) {
        Ok(()) => match list.other_position {
            Some(position) => return Err(KeysTextError::NotOnlyTexts { position }),
            None => list.read,
        },
        // Split, it would give keys that begin with a quote and that nobody meant.
        Err(error) if is_meant_as_a_list(text) => {
            return Err(KeysTextError::BrokenList { line: error.line(), column: error.column() });
        }
        Err(_) => {
            let mut read = Read::upto(keys_max);
            text.split([' ', '\t', '\n', '\u{c}', '\r', ',', ';']).for_each(|item| read.take(item));
            read
        }
    };
    match read.count {
        0 => Err(KeysTextError::Empty),
        count if count > keys_max => Err(KeysTextError::TooMany { limit: keys_max, count }),
        _ => Ok(read.keys),
    }
}

/// The same for keys that are to be added: each must be one that a request can carry. A stored one that is not may still
/// be named, to be deleted.
pub(crate) fn parse_new_keys(text: &str, keys_max: usize) -> Result<Vec<Secret>, KeysTextError> {
    let keys = parse_keys(text, keys_max)?;
    match keys.iter().position(|key| !channel::is_sendable(key.expose())) {
        Some(index) => Err(KeysTextError::Unsendable { position: index + 1 }),
        None => Ok(keys),
    }
}

fn is_meant_as_a_list(text: &str) -> bool {
    text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

/// Keys as they are read. Those beyond the limit are only counted, so that a text of nothing but short ones does not take
/// many times its own room.
struct Read {
    keys: Vec<Secret>,
    count: usize,
    keys_max: usize,
}

impl Read {
    fn upto(keys_max: usize) -> Self {
        Self { keys: Vec::new(), count: 0, keys_max }
    }

    fn take(&mut self, item: &str) {
        let item = item.trim();
        if item.is_empty() {
            return;
        }
        self.count += 1;
        if self.count <= self.keys_max {
            self.keys.push(Secret::new(item));
        }
    }
}

/// A JSON list, of whose elements nothing is kept but the texts.
struct List {
    read: Read,
    elements: usize,
    /// Of the first element that is neither a text nor `null`, counted from 1.
    other_position: Option<usize>,
}

impl List {
    fn refuse(&mut self) {
        self.other_position.get_or_insert(self.elements);
    }
}

impl<'de> Visitor<'de> for &mut List {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Element(&mut *self))?.is_some() {}
        Ok(())
    }
}

struct Element<'a>(&'a mut List);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.elements += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.read.take(text);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.refuse();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.refuse();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.0.refuse();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.refuse();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.0.refuse();
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    /// A number, too, comes as one.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.refuse();
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
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
                    fresh.push(secret.clone());
                } else {
                    outcome.unsendable += 1;
                    if outcome.unsendable_positions.len() < POSITIONS_NAMED_MAX {
                        outcome.unsendable_positions.push(outcome.processed + index + 1);
                    }
                }
            }
            let fresh_count = fresh.len();
            let mut added = self.add_lot(group_id, fresh).await?;
            outcome.added += added.len();
            outcome.already_in_group += fresh_count - added.len();
            outcome.added_ids.append(&mut added);
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
        (source, statuses, up_to_id): (GroupId, Statuses, i64),
        target: GroupId,
        mut progress: impl FnMut(usize) -> ControlFlow<()> + Send,
    ) -> Result<(ImportCounts, usize), db::Error> {
        let mut outcome = ImportCounts::default();
        let (mut unreadable, mut last_id) = (0, 0);
        loop {
            let mut lot = self.lot(source, statuses, last_id, self.shared.keys_per_bulk_lot).await?;
            lot.retain(|(id, _)| *id <= up_to_id);
            let Some((id, _)) = lot.last() else {
                // Nothing is left either where the group was deleted meanwhile, and then not all of it was copied.
                group::queries::find(self.shared.database.readers(), source).await?;
                return Ok((outcome, unreadable));
            };
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

    /// Looks and inserts within one turn, so that two imports at once do not store the same key twice. Returns the ids of
    /// those that were new.
    async fn add_lot(&self, group_id: GroupId, lot: Vec<Secret>) -> Result<Vec<i64>, db::Error> {
        // Before the others have to wait, for those as well that are there already.
        let cipher = self.shared.cipher.clone();
        let prepare = move |secret: Secret| NewKey {
            hash: cipher.hash(secret.expose()),
            stored_text: cipher.encrypt(secret.expose()),
            secret,
        };
        let mut lot: Vec<NewKey> = aside(move || lot.into_iter().map(prepare).collect()).await?;
        let _turn = self.turn().await;
        let mut transaction = self.begin_change().await?;
        // Whoever deletes the group takes the same turn, so no key comes in behind it.
        group::queries::find(&mut *transaction, group_id).await?;
        let hashes: Vec<String> = lot.iter().map(|key| key.hash.clone()).collect();
        let known: HashSet<String> =
            queries::known_hashes(&mut *transaction, group_id, &hashes).await?.into_iter().collect();
        lot.retain(|key| !known.contains(&key.hash));
        if lot.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(&str, &str)> = lot.iter().map(|key| (&*key.stored_text, &*key.hash)).collect();
        let ids: HashMap<String, i64> = queries::insert(&mut transaction, group_id, &rows)
            .await?
            .into_iter()
            .map(|(id, hash)| (hash, id))
            .collect();
        transaction.note_keys(group_id, &ids.values().copied().collect::<Vec<_>>());
        transaction.commit().await?;
        // Only now, so that no key serves that is not stored.
        let mut keys: Vec<_> = lot
            .into_iter()
            .filter_map(|key| Some((*ids.get(&key.hash)?, key.secret)))
            .map(|(id, secret)| (Arc::new(Key { id, group_id, secret }), 0))
            .collect();
        keys.sort_unstable_by_key(|(key, _)| key.id);
        let added = keys.iter().map(|(key, _)| key.id).collect();
        self.ensure(group_id).insert(keys);
        Ok(added)
    }
}

/// A key that is about to be stored.
struct NewKey {
    hash: String,
    stored_text: String,
    secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], KeysTextError>) {
        let keys = parse_keys(text, KEYS_PER_TASK_MAX);
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
        let refusal = |text: &str| parse_new_keys(text, KEYS_PER_TASK_MAX).map(|keys| keys.len());
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
        for other in ["true", "-1", "1.5e3", "[[]]", "{}"] {
            check(&format!(r#"["sk-1", {other}, "sk-2"]"#), Err(KeysTextError::NotOnlyTexts { position: 2 }));
        }
        check(r#"["sk-\u0031"]"#, Ok(&["sk-1"]));
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
            parse_keys(&text, KEYS_PER_CALL_MAX).unwrap_err().to_string(),
            "batch size exceeds the limit of 5000 keys, got 5001"
        );
        assert_eq!(parse_keys(&text, KEYS_PER_TASK_MAX).unwrap().len(), KEYS_PER_CALL_MAX + 1);
        let too_many = Err(KeysTextError::TooMany { limit: 2, count: 3 });
        assert_eq!(parse_keys(r#"["a", "b", null, "c"]"#, 2).map(|keys| keys.len()), too_many);
    }

    #[test]
    fn keys_beyond_the_limit_are_counted_and_not_kept() {
        let mut read = Read::upto(2);
        for item in ["a", " ", "b", "c", "d"] {
            read.take(item);
        }
        assert_eq!((read.keys.len(), read.count), (2, 4));
    }

    #[test]
    fn a_list_that_breaks_is_refused_with_its_place() {
        check(r#"["sk-1", "sk-2",]"#, Err(KeysTextError::BrokenList { line: 1, column: 17 }));
        check(" [\n\"sk-1\"\n\"sk-2\"]", Err(KeysTextError::BrokenList { line: 3, column: 1 }));
        check(r#"["sk-1"] sk-2"#, Err(KeysTextError::BrokenList { line: 1, column: 10 }));
        check("[sk-1, \"sk-2\"]", Ok(&["[sk-1", "\"sk-2\"]"]));
        check("[", Ok(&["["]));
    }
}
