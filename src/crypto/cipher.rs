//! How keys are stored: AES-256-GCM in hexadecimal, and a keyed hash to find them again without decrypting.
//!
//! Both formats are the original's, so that one database serves both programs.

use std::sync::Arc;

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead as _, KeyInit as _},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Secret;

const SALT: &[u8] = b"gpt-load-encryption-v1";
const DERIVATION_ROUNDS: u32 = 100_000;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const HMAC_BLOCK_BYTES: usize = 64;
/// What the fingerprint of a passphrase is the keyed hash of.
const FINGERPRINT_OF: &str = "gpt-load: the fingerprint of ENCRYPTION_KEY";
/// The fingerprint of none.
const IN_CLEAR: &str = "in clear";
/// A nonce and a tag, in hexadecimal: no ciphertext is shorter.
const STORED_DIGITS_MIN: usize = 2 * (NONCE_BYTES + 16);

/// Encrypts and hashes keys with the operator's passphrase, or stores them in clear when there is none. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cipher(Option<Arc<Engine>>);

/// One derived key drives both: the format leaves no choice.
struct Engine {
    aead: Aes256Gcm,
    mac: Hmac<Sha256>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecryptError {
    #[error("the stored text is not hexadecimal, so it was probably stored without encryption")]
    NotHexadecimal,
    #[error("the stored text is too short to be an encrypted key")]
    TooShort,
    #[error("the stored text was encrypted with another ENCRYPTION_KEY, or it is damaged")]
    WrongKeyOrDamaged,
}

/// What a stored key is to a passphrase.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Stored with it.
    Readable(Secret),
    /// Stored without encryption, as its hash shows, although there is a passphrase.
    InClear(Secret),
    /// Stored with another passphrase, or damaged.
    Foreign,
    /// No key at all.
    Empty,
}

impl Reading {
    /// The key in clear, whichever way it was stored; `None`: it must never be sent.
    pub(crate) fn secret(self) -> Option<Secret> {
        match self {
            Self::Readable(secret) | Self::InClear(secret) => Some(secret),
            Self::Foreign | Self::Empty => None,
        }
    }
}

/// Whether the hash is that of the text as it is.
pub(crate) fn is_in_clear(text: &str, hash: &str) -> bool {
    let mut expected = [0; 64];
    hex::encode_to_slice(super::digest(text), &mut expected).is_ok() && expected == *hash.as_bytes()
}

/// Whether a text could be an encrypted key: it has the digits of one. Keys in clear hardly ever do.
pub(crate) fn looks_encrypted(text: &str) -> bool {
    text.len() >= STORED_DIGITS_MIN && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Cipher {
    /// Derives the key, which takes tens of milliseconds on purpose: do it once and clone.
    pub(crate) fn new(passphrase: Option<&Secret>) -> Self {
        Self(passphrase.map(|passphrase| {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.expose().as_bytes(), SALT, DERIVATION_ROUNDS, key.as_mut());
            Arc::new(Engine::new(&key))
        }))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The text to store. Two calls differ, since each takes a fresh nonce.
    pub(crate) fn encrypt(&self, clear: &str) -> String {
        match &self.0 {
            None => clear.to_owned(),
            Some(engine) => engine.encrypt(clear, rand::random()),
        }
    }

    pub(crate) fn decrypt(&self, stored: &str) -> Result<Secret, DecryptError> {
        match &self.0 {
            None => Ok(Secret::new(stored)),
            Some(engine) => engine.decrypt(stored),
        }
    }

    /// What tells two passphrases apart without telling either: equal passphrases give equal texts. Whoever would guess
    /// the passphrase with it has to derive the key for each guess, just as with any stored key.
    pub(crate) fn fingerprint(&self) -> String {
        match &self.0 {
            None => IN_CLEAR.to_owned(),
            Some(engine) => hex::encode(engine.mac.clone().chain_update(FINGERPRINT_OF).finalize().into_bytes()),
        }
    }

    /// A stored key, with the hash that is stored beside it.
    pub(crate) fn read(&self, stored: &str, hash: Option<&str>) -> Reading {
        if stored.is_empty() {
            return Reading::Empty;
        }
        let hash = hash.filter(|hash| !hash.is_empty());
        let is_in_clear = || hash.is_some_and(|hash| is_in_clear(stored, hash));
        match self.decrypt(stored) {
            // Encryption vouches for what it decrypts; without it only the hash tells a key from the ciphertext of one, and
            // a ciphertext must never be sent to an upstream.
            Ok(_) if self.0.is_none() && hash.is_some() && !is_in_clear() => Reading::Foreign,
            Ok(secret) if !secret.expose().is_empty() => Reading::Readable(secret),
            Ok(_) => Reading::Empty,
            Err(_) if is_in_clear() => Reading::InClear(Secret::new(stored)),
            Err(_) => Reading::Foreign,
        }
    }

    /// The text that a key is looked up by; empty for the empty key.
    pub(crate) fn hash(&self, clear: &str) -> String {
        if clear.is_empty() {
            return String::new();
        }
        match &self.0 {
            None => hex::encode(super::digest(clear)),
            Some(engine) => hex::encode(engine.mac.clone().chain_update(clear).finalize().into_bytes()),
        }
    }
}

impl Engine {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        // HMAC pads a short key with zeros to its block; doing it here leaves no length to go wrong.
        let mut block = Zeroizing::new([0; HMAC_BLOCK_BYTES]);
        block[..KEY_BYTES].copy_from_slice(key);
        Self { aead: Aes256Gcm::new(key.into()), mac: Hmac::new((&*block).into()) }
    }

    fn encrypt(&self, clear: &str, nonce: [u8; NONCE_BYTES]) -> String {
        let mut stored = nonce.to_vec();
        // AES-GCM refuses only texts of 64 GiB and more, which nobody can hand us.
        let sealed = self.aead.encrypt(&Nonce::from(nonce), clear.as_bytes()).unwrap_or_default();
        stored.extend_from_slice(&sealed);
        hex::encode(stored)
    }

    fn decrypt(&self, stored: &str) -> Result<Secret, DecryptError> {
        let bytes = hex::decode(stored).map_err(|_| DecryptError::NotHexadecimal)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(DecryptError::TooShort)?;
        let clear = self.aead.decrypt(&Nonce::from(*nonce), sealed).map_err(|_| DecryptError::WrongKeyOrDamaged)?;
        let clear = String::from_utf8(clear).map_err(|_| DecryptError::WrongKeyOrDamaged)?;
        Ok(Secret::new(clear))
    }
}

#[cfg(test)]
#[path = "cipher_tests.rs"]
mod tests;
