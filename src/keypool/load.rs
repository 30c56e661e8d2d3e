//! The pools as they are at start: read in large pieces, decrypted on all cores.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZero,
    sync::Arc,
    thread,
};

use tokio::task::JoinHandle;

use super::{
    Pool,
    queries::{self, ActiveKeys},
};
use crate::{
    channel,
    crypto::{Cipher, Reading, Secret},
    db::{self, Database},
    group::{GroupId, Key},
};

/// Keys that one query hands over, about a megabyte.
const KEYS_PER_PIECE: u32 = 10_000;
/// Keys from each end of the table that tell whether the passphrase is the right one.
const SAMPLE_KEYS: u64 = 50;

/// Why the pools cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error("cannot read the stored keys: {0}")]
    Garbled(#[from] serde_json::Error),
    #[error(
        "the stored keys are encrypted, but ENCRYPTION_KEY is not set: set it to the passphrase that they were stored with; or, \
         to store them in clear, stop all servers and run `gpt-load migrate-keys --from-file FILE` with that passphrase in the file"
    )]
    EncryptionKeyMissing,
    #[error(
        "the stored keys are not encrypted, but ENCRYPTION_KEY is set: unset it; or, to encrypt them, stop all servers and run \
         `gpt-load migrate-keys --to-env ENCRYPTION_KEY`"
    )]
    KeysInClear,
    #[error(
        "the stored keys are encrypted with another passphrase than this ENCRYPTION_KEY: set it to the one that they were stored \
         with; or, to go on with this one, stop all servers and run \
         `gpt-load migrate-keys --from-file FILE --to-env ENCRYPTION_KEY` with the old passphrase in the file"
    )]
    EncryptionKeyWrong,
    #[error("a task that decrypts keys died: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl OpenError {
    /// The keys and `ENCRYPTION_KEY` do not fit each other.
    pub(crate) fn is_about_passphrases(&self) -> bool {
        matches!(self, Self::EncryptionKeyMissing | Self::KeysInClear | Self::EncryptionKeyWrong)
    }
}

/// What the ends of the table are to the passphrase.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sample {
    keys: usize,
    readable: usize,
    in_clear: usize,
    foreign: usize,
}

struct Piece {
    keys: Vec<(Arc<Key>, u32)>,
    in_clear: usize,
    unreadable: usize,
    unsendable: usize,
}

pub(super) async fn load(database: &Database, cipher: &Cipher) -> Result<HashMap<GroupId, Arc<Pool>>, OpenError> {
    check_passphrase(database, cipher).await?;
    let pieces_at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let mut pools: HashMap<GroupId, Arc<Pool>> = HashMap::new();
    let (mut in_clear, mut unreadable, mut unsendable) = (0, 0, 0);
    let mut pending: VecDeque<JoinHandle<Result<Piece, serde_json::Error>>> = VecDeque::new();
    let mut last_id = Some(i64::MIN);
    while let Some(id) = last_id {
        let (id, keys) = queries::active_keys_above(database.readers(), id, KEYS_PER_PIECE).await?;
        last_id = id;
        let cipher = cipher.clone();
        // The next piece is read while these are decrypted; they are taken in the order of their ids.
        pending.push_back(tokio::task::spawn_blocking(move || decrypt(keys, &cipher)));
        while pending.len() > pieces_at_once || (last_id.is_none() && !pending.is_empty()) {
            if let Some(task) = pending.pop_front() {
                let piece = task.await??;
                in_clear += piece.in_clear;
                unreadable += piece.unreadable;
                unsendable += piece.unsendable;
                fill(&mut pools, piece.keys);
            }
        }
    }
    for pool in pools.values() {
        pool.settle();
    }
    if unsendable > 0 {
        tracing::warn!(
            unsendable,
            "{unsendable} stored keys hold a character that no header may, and are left out of rotation"
        );
    }
    if in_clear > 0 {
        tracing::error!(
            in_clear,
            "{in_clear} stored keys are in clear although ENCRYPTION_KEY is set; they serve, but are not found by their texts. \
             To encrypt them, stop all servers and run `gpt-load migrate-keys --to-env ENCRYPTION_KEY`"
        );
    }
    if unreadable > 0 {
        let remedy = if cipher.is_on() {
            "To bring them to this ENCRYPTION_KEY, stop all servers and run `gpt-load migrate-keys --from-file FILE --to-env \
             ENCRYPTION_KEY` with the passphrase that they were stored with in the file"
        } else {
            "They are encrypted: set ENCRYPTION_KEY to the passphrase that they were stored with"
        };
        tracing::error!(unreadable, "{unreadable} stored keys cannot be decrypted and never serve. {remedy}");
    }
    Ok(pools)
}

fn fill(pools: &mut HashMap<GroupId, Arc<Pool>>, keys: Vec<(Arc<Key>, u32)>) {
    let mut by_group: HashMap<GroupId, Vec<(Arc<Key>, u32)>> = HashMap::new();
    for (key, failure_count) in keys {
        by_group.entry(key.group_id).or_default().push((key, failure_count));
    }
    for (group_id, keys) in by_group {
        pools.entry(group_id).or_insert_with(|| Arc::new(Pool::new())).insert(keys);
    }
}

fn decrypt(keys: ActiveKeys, cipher: &Cipher) -> Result<Piece, serde_json::Error> {
    let stored = match keys {
        ActiveKeys::Json(text) => serde_json::from_str(&text)?,
        ActiveKeys::Rows(rows) => rows,
    };
    let mut piece = Piece { keys: Vec::with_capacity(stored.len()), in_clear: 0, unreadable: 0, unsendable: 0 };
    for (id, group_id, failure_count, text, hash) in stored {
        let reading = cipher.read(&text, hash.as_deref());
        let is_in_clear = matches!(reading, Reading::InClear(_));
        match reading.secret() {
            Some(secret) if !channel::is_sendable(secret.expose()) => {
                tracing::debug!(key.id = id, "Key {id} cannot be sent");
                piece.unsendable += 1;
            }
            Some(secret) => {
                let failure_count = u32::try_from(failure_count).unwrap_or(0);
                piece.in_clear += usize::from(is_in_clear);
                piece.keys.push((Arc::new(Key { id, group_id, secret }), failure_count));
            }
            None => {
                tracing::debug!(key.id = id, "Key {id} cannot be decrypted");
                piece.unreadable += 1;
            }
        }
    }
    Ok(piece)
}

/// The key in clear, if it is one that may be sent.
pub(super) fn readable(text: &str, hash: Option<&str>, cipher: &Cipher) -> Option<Secret> {
    cipher.read(text, hash).secret()
}

/// A wrong passphrase is found here, before any key is burnt with it.
pub(crate) async fn check_passphrase(database: &Database, cipher: &Cipher) -> Result<(), OpenError> {
    let [oldest, newest] = queries::sample_of_ends(database.readers(), SAMPLE_KEYS).await?;
    judge(cipher.is_on(), Sample::of(&oldest, cipher), Sample::of(&newest, cipher))
}

impl Sample {
    fn of(keys: &[(String, String)], cipher: &Cipher) -> Self {
        let mut sample = Self { keys: keys.len(), ..Self::default() };
        for (text, hash) in keys {
            match cipher.read(text, Some(hash)) {
                Reading::Readable(_) => sample.readable += 1,
                Reading::InClear(_) => sample.in_clear += 1,
                Reading::Foreign | Reading::Empty => sample.foreign += 1,
            }
        }
        sample
    }
}

/// The newest keys tell which passphrase was in use last: most of them must be readable. Older ones that are not, or that
/// were stored before there was encryption, stop nobody; those that cannot be read never serve.
fn judge(has_passphrase: bool, oldest: Sample, newest: Sample) -> Result<(), OpenError> {
    let readable = oldest.readable + newest.readable;
    let is_foreign = |sample: Sample| 2 * sample.foreign > sample.keys;
    if newest.keys == 0 || (readable > 0 && !is_foreign(newest)) {
        return Ok(());
    }
    Err(if !has_passphrase {
        OpenError::EncryptionKeyMissing
    } else if readable == 0 && oldest.foreign + newest.foreign == 0 {
        OpenError::KeysInClear
    } else {
        OpenError::EncryptionKeyWrong
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_tell_which_passphrase_was_in_use_last() {
        #[track_caller]
        fn check(has_passphrase: bool, oldest: [usize; 3], newest: [usize; 3], expected: Option<&str>) {
            let sample = |[readable, in_clear, foreign]: [usize; 3]| Sample {
                keys: readable + in_clear + foreign,
                readable,
                in_clear,
                foreign,
            };
            let refusal = judge(has_passphrase, sample(oldest), sample(newest)).err().map(|error| format!("{error:?}"));
            assert_eq!(refusal.as_deref(), expected);
        }
        check(true, [0, 0, 0], [0, 0, 0], None);
        check(true, [50, 0, 0], [50, 0, 0], None);
        check(false, [50, 0, 0], [50, 0, 0], None);
        // Wrong, missing, superfluous.
        check(true, [0, 0, 50], [0, 0, 50], Some("EncryptionKeyWrong"));
        check(false, [0, 0, 50], [0, 0, 50], Some("EncryptionKeyMissing"));
        check(true, [0, 50, 0], [0, 50, 0], Some("KeysInClear"));
        // Some were stored before there was encryption, or while it was off.
        check(true, [0, 50, 0], [50, 0, 0], None);
        check(true, [50, 0, 0], [0, 50, 0], None);
        check(true, [0, 50, 0], [0, 49, 1], Some("EncryptionKeyWrong"));
        check(false, [50, 0, 0], [0, 0, 50], Some("EncryptionKeyMissing"));
        check(false, [0, 0, 50], [50, 0, 0], None);
        // The passphrase was changed without a migration.
        check(true, [50, 0, 0], [0, 0, 50], Some("EncryptionKeyWrong"));
        check(true, [50, 0, 0], [24, 0, 26], Some("EncryptionKeyWrong"));
        check(true, [0, 0, 50], [50, 0, 0], None);
        // A few that are damaged.
        check(true, [3, 0, 1], [3, 0, 1], None);
    }
}
