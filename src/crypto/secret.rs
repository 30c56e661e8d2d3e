//! A text that must never be printed.

use secrecy::ExposeSecret as _;

/// Characters that [`Secret::masked`] shows at each end.
const SHOWN_AT_EACH_END: usize = 4;
/// Shorter texts are masked as a whole: at least half of a secret stays hidden.
const PARTLY_SHOWN_LENGTH_MIN: usize = 4 * SHOWN_AT_EACH_END;

/// A credential or a passphrase: `Debug` shows a masked form, the memory is wiped when dropped.
pub(crate) struct Secret(secrecy::SecretString);

impl Secret {
    pub(crate) fn new(text: impl Into<Box<str>>) -> Self {
        Self(secrecy::SecretString::from(text.into()))
    }

    /// The clear text. Every use is a place to review.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What people may see of it, such as `sk-a****9f0e`: enough to tell keys apart, too little to use one.
    pub(crate) fn masked(&self) -> String {
        let text = self.expose();
        if text.chars().count() < PARTLY_SHOWN_LENGTH_MIN {
            return "****".to_owned();
        }
        let head = text.chars().take(SHOWN_AT_EACH_END);
        // The length was checked above, so the end never overlaps the beginning.
        let tail_start = text.char_indices().rev().nth(SHOWN_AT_EACH_END - 1).map_or(text.len(), |(at, _)| at);
        head.chain("****".chars()).chain(text[tail_start..].chars()).collect()
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::new(self.expose())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    fn check(clear: &str, masked: &str) {
        let secret = Secret::new(clear);
        assert_eq!(secret.masked(), masked);
        assert_eq!(format!("{secret:?}"), masked);
        assert_eq!(secret.clone().expose(), clear);
    }

    #[test]
    fn long_secrets_show_their_ends_and_short_ones_nothing() {
        check("AIzaSyA1234567890abcd", "AIza****abcd");
        check("0123456789abcdef", "0123****cdef");
        check("0123456789abcde", "****");
        check("sk-1", "****");
        check("", "****");
        check("密钥密钥密钥密钥密钥密钥密钥密钥", "密钥密钥****密钥密钥");
    }
}
