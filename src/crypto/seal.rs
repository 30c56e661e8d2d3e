//! A seal on a text: whoever holds the secret can tell that it was made with it, and nobody else can make one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Secret, digest};

const HMAC_BLOCK_BYTES: usize = 64;

/// HMAC-SHA256 with a key that serves one purpose only.
pub(crate) struct Seal(Hmac<Sha256>);

impl Seal {
    /// The same secret and purpose make the same seals on every node.
    pub(crate) fn new(secret: &Secret, purpose: &str) -> Self {
        let root = keyed(&Zeroizing::new(digest(secret.expose())));
        let key = Zeroizing::new(root.chain_update(purpose).finalize().into_bytes().into());
        Self(keyed(&key))
    }

    /// In hexadecimal.
    pub(crate) fn on(&self, text: &str) -> String {
        hex::encode(self.0.clone().chain_update(text).finalize().into_bytes())
    }

    /// Takes the same time for every wrong seal.
    pub(crate) fn is_on(&self, text: &str, seal: &str) -> bool {
        let Ok(seal) = hex::decode(seal) else { return false };
        self.0.clone().chain_update(text).verify_slice(&seal).is_ok()
    }
}

/// HMAC pads a short key with zeros to its block; doing it here leaves no length to go wrong.
fn keyed(key: &Zeroizing<[u8; 32]>) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; HMAC_BLOCK_BYTES]);
    block[..key.len()].copy_from_slice(&**key);
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_its_text_its_purpose_and_its_secret_only() {
        let seal = Seal::new(&Secret::new("secret"), "purpose");
        let on = seal.on("text");
        assert!(seal.is_on("text", &on));
        assert!(Seal::new(&Secret::new("secret"), "purpose").is_on("text", &on), "another node has the same");
        assert!(!seal.is_on("text ", &on));
        assert!(!Seal::new(&Secret::new("secret"), "other").is_on("text", &on));
        assert!(!Seal::new(&Secret::new("other"), "purpose").is_on("text", &on));
        for wrong in ["", "00", "no hexadecimal", &on[2..], &format!("{on}00")] {
            assert!(!seal.is_on("text", wrong), "{wrong}");
        }
    }
}
