//! Whether the stored keys and `ENCRYPTION_KEY` fit each other, as far as a sample of them tells.

use super::{KeyPools, queries};
use crate::{
    crypto::{Cipher, is_in_clear},
    db,
};

/// Keys that are looked at, from each end of the table.
const SAMPLE_KEYS: u64 = 10;
/// Above this share of a kind, keys count as all of that kind, and below the other one as none.
const MOST: f64 = 0.8;
const HARDLY_ANY: f64 = 0.2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// A passphrase is set, and keys are stored in clear.
    DataInClear,
    /// Keys are encrypted, and no passphrase is set.
    PassphraseMissing,
    /// Keys are encrypted with another passphrase.
    PassphraseWrong,
}

impl KeyPools {
    /// `None`: they fit, or there are no keys.
    pub(crate) async fn mismatch(&self) -> Result<Option<Mismatch>, db::Error> {
        let sample = queries::sample(self.shared.database.readers(), SAMPLE_KEYS).await?;
        let cipher = &self.shared.cipher;
        let in_clear = share(&sample, |(text, hash)| is_in_clear(text, hash));
        let ours = share(&sample, |(text, hash)| is_encrypted_by_us(text, hash, cipher));
        Ok(in_clear.zip(ours).and_then(|(in_clear, ours)| judge(cipher.is_on(), in_clear, ours)))
    }
}

fn judge(has_passphrase: bool, in_clear: f64, ours: f64) -> Option<Mismatch> {
    match has_passphrase {
        true if in_clear > MOST => Some(Mismatch::DataInClear),
        true if in_clear < HARDLY_ANY && ours < HARDLY_ANY => Some(Mismatch::PassphraseWrong),
        false if in_clear < HARDLY_ANY => Some(Mismatch::PassphraseMissing),
        _ => None,
    }
}

fn is_encrypted_by_us(text: &str, hash: &str, cipher: &Cipher) -> bool {
    cipher.is_on() && cipher.decrypt(text).is_ok_and(|clear| cipher.hash(clear.expose()) == hash)
}

/// `None`: there is nothing to take a share of.
#[expect(clippy::cast_precision_loss, reason = "a sample is small")]
fn share(sample: &[(String, String)], is_meant: impl Fn(&(String, String)) -> bool) -> Option<f64> {
    let meant = sample.iter().filter(|key| is_meant(key)).count();
    (!sample.is_empty()).then(|| meant as f64 / sample.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_tell_what_does_not_fit() {
        #[track_caller]
        fn check(has_passphrase: bool, in_clear: f64, ours: f64, expected: Option<Mismatch>) {
            assert_eq!(judge(has_passphrase, in_clear, ours), expected);
        }
        check(true, 1.0, 0.0, Some(Mismatch::DataInClear));
        check(true, 0.81, 0.19, Some(Mismatch::DataInClear));
        check(true, 0.8, 0.2, None);
        check(true, 0.2, 0.0, None);
        check(true, 0.19, 0.0, Some(Mismatch::PassphraseWrong));
        check(true, 0.0, 0.2, None);
        check(true, 0.0, 1.0, None);
        check(false, 1.0, 0.0, None);
        check(false, 0.2, 0.0, None);
        check(false, 0.19, 0.0, Some(Mismatch::PassphraseMissing));
    }
}
