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
    crypto::{self, Cipher, Secret},
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
        "the stored keys are encrypted, but ENCRYPTION_KEY is not set: set it to the value that they were stored with"
    )]
    EncryptionKeyMissing,
    #[error("the stored keys are not encrypted, but ENCRYPTION_KEY is set: unset it")]
    KeysInClear,
    #[error(
        "none of the stored keys can be decrypted with this ENCRYPTION_KEY: set it to the value that they were stored with"
    )]
    EncryptionKeyWrong,
    #[error("a task that decrypts keys died: {0}")]
    Task(#[from] tokio::task::JoinError),
}

struct Piece {
    keys: Vec<(Arc<Key>, u32)>,
    unreadable: usize,
    unsendable: usize,
}

pub(super) async fn load(database: &Database, cipher: &Cipher) -> Result<HashMap<GroupId, Arc<Pool>>, OpenError> {
    check_passphrase(&queries::sample(database.readers(), SAMPLE_KEYS).await?, cipher)?;
    let pieces_at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let mut pools: HashMap<GroupId, Arc<Pool>> = HashMap::new();
    let (mut unreadable, mut unsendable) = (0, 0);
    let mut pending: VecDeque<JoinHandle<Result<Piece, serde_json::Error>>> = VecDeque::new();
    let mut last_id = Some(i64::MIN);
    while let Some(id) = last_id {
        let (id, keys) = queries::active_keys_above(database.readers(), id, KEYS_PER_PIECE, !cipher.is_on()).await?;
        last_id = id;
        let cipher = cipher.clone();
        // The next piece is read while these are decrypted; they are taken in the order of their ids.
        pending.push_back(tokio::task::spawn_blocking(move || decrypt(keys, &cipher)));
        while pending.len() > pieces_at_once || (last_id.is_none() && !pending.is_empty()) {
            if let Some(task) = pending.pop_front() {
                let piece = task.await??;
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
    if unreadable > 0 {
        tracing::warn!(unreadable, "{unreadable} stored keys cannot be decrypted and are left out of rotation");
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
    let mut piece = Piece { keys: Vec::with_capacity(stored.len()), unreadable: 0, unsendable: 0 };
    for (id, group_id, failure_count, text, hash) in stored {
        match readable(&text, hash.as_deref(), cipher) {
            Some(secret) if !channel::is_sendable(secret.expose()) => {
                tracing::debug!(key.id = id, "Key {id} cannot be sent");
                piece.unsendable += 1;
            }
            Some(secret) => {
                let failure_count = u32::try_from(failure_count).unwrap_or(0);
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

/// The key in clear. Encryption vouches for what it decrypts; without it only the hash tells a key from the ciphertext
/// of one, and a ciphertext must never be sent to an upstream.
pub(super) fn readable(text: &str, hash: Option<&str>, cipher: &Cipher) -> Option<Secret> {
    let secret = cipher.decrypt(text).ok().filter(|secret| !secret.expose().is_empty())?;
    let is_ciphertext = !cipher.is_on() && hash.is_some_and(|hash| !hash.is_empty() && !is_in_clear(text, hash));
    (!is_ciphertext).then_some(secret)
}

pub(super) fn is_in_clear(text: &str, hash: &str) -> bool {
    let mut expected = [0; 64];
    hex::encode_to_slice(crypto::digest(text), &mut expected).is_ok() && expected == *hash.as_bytes()
}

/// A wrong passphrase is found here, before any key is burnt with it.
fn check_passphrase(sample: &[(String, String)], cipher: &Cipher) -> Result<(), OpenError> {
    if sample.is_empty() || sample.iter().any(|(text, hash)| readable(text, Some(hash), cipher).is_some()) {
        return Ok(());
    }
    Err(if !cipher.is_on() {
        OpenError::EncryptionKeyMissing
    } else if sample.iter().any(|(text, hash)| is_in_clear(text, hash)) {
        OpenError::KeysInClear
    } else {
        OpenError::EncryptionKeyWrong
    })
}
