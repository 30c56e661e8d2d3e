//! The request log follows its keys: a row keeps the key's masked form and the hash that finds it, and no copy of the key.

use std::collections::HashMap;

use super::{Passphrases, queries::Logged};
use crate::crypto::{Secret, is_in_clear, looks_encrypted};

/// In the place of a key that cannot be read any more; the original says the same where it shows such a row.
pub(super) const UNREADABLE: &str = "failed-to-decrypt";
/// What the original stored where it could not encrypt.
const NEVER_ENCRYPTED: &str = "failed-to-encryption";
/// In every masked form.
const MASK: &str = "****";

/// What becomes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Converted {
    /// It is as it should be.
    Same,
    To {
        value: String,
        hash: String,
    },
    /// The key is lost; the hash stays.
    Unreadable {
        value: &'static str,
        hash: String,
    },
}

/// `new_hashes`: those of the keys that are still there, by their old ones.
pub(super) fn convert(row: &Logged, passphrases: &Passphrases, new_hashes: &HashMap<String, String>) -> Converted {
    let value = row.value.as_deref().unwrap_or_default();
    let hash = row.hash.as_deref().unwrap_or_default();
    let new_hash = new_hashes.get(hash);
    let is_without_key = value.is_empty() || row.is_ours || value == NEVER_ENCRYPTED || value.contains(MASK);
    if is_without_key || value == UNREADABLE {
        return match new_hash {
            Some(new) if new != hash => Converted::To { value: value.to_owned(), hash: new.clone() },
            _ => Converted::Same,
        };
    }
    match in_clear(value, hash, passphrases) {
        Some(secret) => Converted::To { value: secret.masked(), hash: passphrases.to.hash(secret.expose()) },
        None => Converted::Unreadable { value: UNREADABLE, hash: new_hash.map_or(hash, |new| &**new).to_owned() },
    }
}

/// A row of the original has the key as it was stored when it was written: perhaps long ago, with another passphrase or
/// with none.
fn in_clear(value: &str, hash: &str, passphrases: &Passphrases) -> Option<Secret> {
    if is_in_clear(value, hash) {
        return Some(Secret::new(value));
    }
    let ciphers = [&passphrases.from, &passphrases.to];
    let decrypted = ciphers.into_iter().filter(|cipher| cipher.is_on()).find_map(|cipher| cipher.decrypt(value).ok());
    // What does not even look encrypted was written without encryption.
    decrypted.or_else(|| (!looks_encrypted(value)).then(|| Secret::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Cipher;

    const KEY: &str = "sk-test-0123456789abcdef";

    fn cipher(passphrase: &str) -> Cipher {
        Cipher::new((!passphrase.is_empty()).then(|| Secret::new(passphrase)).as_ref())
    }

    #[track_caller]
    fn check(row: (&str, &str, bool), from: &str, to: &str, expected: Option<(&str, &str)>) {
        let passphrases = Passphrases { from: cipher(from), to: cipher(to) };
        let known = HashMap::from([(passphrases.from.hash(KEY), passphrases.to.hash(KEY))]);
        let (value, hash, is_ours) = row;
        let row = Logged { place: String::new(), value: Some(value.to_owned()), hash: Some(hash.to_owned()), is_ours };
        let converted = match convert(&row, &passphrases, &known) {
            Converted::Same => None,
            Converted::To { value, hash } => Some((value, hash)),
            Converted::Unreadable { value, hash } => Some((value.to_owned(), hash)),
        };
        assert_eq!(converted, expected.map(|(value, hash)| (value.to_owned(), hash.to_owned())));
    }

    #[test]
    fn rows_keep_what_finds_a_key_and_nothing_that_is_one() {
        let (old, new, none) = (cipher("old"), cipher("new"), cipher(""));
        let masked = Secret::new(KEY).masked();
        let (old_hash, new_hash, clear_hash) = (old.hash(KEY), new.hash(KEY), none.hash(KEY));
        let sealed = old.encrypt(KEY);
        // Ours: the hash follows, as long as the key is there.
        check((&masked, &old_hash, true), "old", "new", Some((&masked, &new_hash)));
        check((&masked, "of a key that is gone", true), "old", "new", None);
        check((&masked, &clear_hash, true), "", "new", Some((&masked, &new_hash)));
        check(("****", &old_hash, true), "old", "", Some(("****", &clear_hash)));
        // The original's, in clear and encrypted.
        check((KEY, &clear_hash, false), "", "new", Some((&masked, &new_hash)));
        check((KEY, "", false), "", "new", Some((&masked, &new_hash)));
        check((&sealed, &old_hash, false), "old", "new", Some((&masked, &new_hash)));
        check((&sealed, &old_hash, false), "old", "", Some((&masked, &clear_hash)));
        // Written before the old passphrase was set, or after the new one was.
        check((KEY, &clear_hash, false), "old", "new", Some((&masked, &new_hash)));
        check((KEY, "", false), "old", "new", Some((&masked, &new_hash)));
        check((&new.encrypt(KEY), &new_hash, false), "old", "new", Some((&masked, &new_hash)));
        // With a third one: lost, and said so.
        let lost = cipher("third").encrypt(KEY);
        check((&lost, "third hash", false), "old", "new", Some((UNREADABLE, "third hash")));
        check((&lost, "third hash", false), "", "new", Some((UNREADABLE, "third hash")));
        // Nothing to convert, and what was converted before.
        check(("", "", false), "old", "new", None);
        check((NEVER_ENCRYPTED, &old_hash, false), "old", "new", Some((NEVER_ENCRYPTED, &new_hash)));
        check((UNREADABLE, "third hash", false), "old", "new", None);
        check((&masked, &new_hash, false), "old", "new", None);
    }
}
