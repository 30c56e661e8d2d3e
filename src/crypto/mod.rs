//! Secrets: a type that does not print, and the encryption of stored keys.

/// A text that must never be printed: `Debug` shows a masked form, the memory is wiped when dropped.
pub(crate) struct Secret(secrecy::SecretString);

impl Secret {
    pub(crate) fn new(text: impl Into<Box<str>>) -> Self {
        Self(secrecy::SecretString::from(text.into()))
    }
    /// The clear text. Every use is a place to review.
    pub(crate) fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::new(self.expose())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// SHA-256, for comparing credentials without their length or text showing in the time it takes.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    <sha2::Sha256 as sha2::Digest>::digest(text).into()
}
