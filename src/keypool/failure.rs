//! What went wrong with a key, as the operator is told it.

use std::fmt;

/// Characters that are kept of a message: every database takes a text of this length.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// What an upstream said, or why nothing came from it. Whoever makes one sees to it that it holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `None`: there was no answer.
    pub(crate) status_code: Option<u16>,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status_code: Option<u16>, message: &str) -> Self {
        // No database stores the character U+0000 faithfully.
        let storable =
            message.chars().map(|character| if character == '\0' { char::REPLACEMENT_CHARACTER } else { character });
        Self { status_code, message: storable.take(MESSAGE_CHARACTERS_MAX).collect() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status_code {
            Some(status) => write!(f, "[status {status}] {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_that_every_database_stores() {
        assert_eq!(Failure::new(None, "a\0b").message, "a\u{fffd}b");
        assert_eq!(Failure::new(None, &"é".repeat(501)).message, "é".repeat(500));
    }

    #[test]
    fn a_failure_reads_with_its_status_where_there_was_an_answer() {
        assert_eq!(Failure::new(Some(401), "No such key").to_string(), "[status 401] No such key");
        assert_eq!(Failure::new(None, "refused").to_string(), "refused");
    }
}
