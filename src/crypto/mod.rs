//! Secrets: a text that does not print, the encryption of stored keys, and the digests that credentials are compared by.

mod cipher;
mod redact;
mod seal;
mod secret;

pub(crate) use cipher::{Cipher, Reading, is_in_clear, looks_encrypted};
pub(crate) use redact::redact;
pub(crate) use seal::Seal;
pub(crate) use secret::Secret;

/// SHA-256 of a credential. Comparing digests takes the same time wherever the texts differ.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    use sha2::Digest as _;

    sha2::Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(super::digest("abc")), expected);
    }
}
