//! What went wrong in a span, each kind of error once: messages that differ only in numbers, ids, addresses and what they
//! quote are of one kind.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::request_log::{
    Verdict,
    search::{Extent, Looked},
};

/// Of a message, so much tells its kind.
const KIND_BYTES_MAX: usize = 200;
/// What is quoted and longer may be the message itself.
const QUOTED_BYTES_MAX: usize = 64;
/// Kinds that are told apart; what comes beyond is not counted, since it can hardly be among the most frequent.
const KINDS_MAX: usize = 10_000;

/// Errors of one kind and status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorKind {
    /// That of the last of them; empty: the upstream said nothing.
    pub(crate) message: String,
    pub(crate) status_code: i64,
    /// Attempts, whether others followed or not.
    pub(crate) count: u64,
    pub(crate) last_at: DateTime<Utc>,
    /// That of the last of them; `None`: rows of the original have none.
    pub(crate) sample_request_id: Option<String>,
}

#[derive(Default)]
pub(super) struct Errors(HashMap<(i64, String), Seen>);

struct Seen {
    count: u64,
    message: String,
    last_ms: i64,
    request_id: String,
}

impl Errors {
    pub(super) fn add(&mut self, row: &Looked<'_>) {
        let is_error = !row.is_success && row.verdict != Verdict::ClientGone.name();
        if !is_error {
            return;
        }
        let key = (row.status_code, kind_of(row.error));
        if self.0.len() >= KINDS_MAX && !self.0.contains_key(&key) {
            return;
        }
        let seen = self.0.entry(key).or_insert_with(|| Seen {
            count: 0,
            message: String::new(),
            last_ms: i64::MIN,
            request_id: String::new(),
        });
        seen.count += 1;
        if row.at_ms >= seen.last_ms {
            seen.last_ms = row.at_ms;
            row.error.clone_into(&mut seen.message);
            row.request_id.clone_into(&mut seen.request_id);
        }
    }

    pub(super) fn most_frequent(self, most: usize, extent: Extent) -> Vec<ErrorKind> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|(a, of_a), (b, of_b)| of_b.count.cmp(&of_a.count).then_with(|| a.cmp(b)));
        all.truncate(most);
        let shown = |((status_code, _), seen): ((i64, String), Seen)| ErrorKind {
            message: seen.message,
            status_code,
            count: extent.scaled(seen.count),
            last_at: DateTime::from_timestamp_millis(seen.last_ms).unwrap_or_default(),
            sample_request_id: Some(seen.request_id).filter(|id| !id.is_empty()),
        };
        all.into_iter().map(shown).collect()
    }
}

/// A message without what differs from one error of its kind to the next.
fn kind_of(message: &str) -> String {
    let message = &message[..message.floor_char_boundary(KIND_BYTES_MAX)];
    // In a text of JSON all that matters is quoted.
    let is_json = message.starts_with(['{', '[']);
    let mut kind = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let quoted = if is_json { None } else { quoted_bytes(rest) };
        if let Some(bytes) = quoted {
            kind.push('"');
            rest = &rest[bytes..];
        } else if is_of_word(first) {
            let end = rest.find(|character| !is_of_word(character)).unwrap_or(rest.len());
            let word = &rest[..end];
            // A number, an id, a masked key, an address: all have digits, or stars, or a scheme.
            let is_changing = word.contains("://") || word.contains(|c: char| c.is_ascii_digit() || c == '*');
            kind.push_str(if is_changing { "#" } else { word });
            rest = &rest[end..];
        } else {
            kind.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    kind
}

/// What holds a number, an id or an address together; a full stop at its end stays with it, and does no harm.
fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | ':' | '/' | '*' | '@' | '%' | '=' | '&' | '?')
}

/// The length of a short quoted text that stands at the beginning, its quotes included.
fn quoted_bytes(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'))?;
    let inner = &text[1..];
    let end = inner.find(quote).filter(|end| *end > 0 && *end <= QUOTED_BYTES_MAX)?;
    Some(end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_of_one_kind_are_one() {
        #[track_caller]
        fn same(a: &str, b: &str) {
            assert_eq!(kind_of(a), kind_of(b));
        }
        #[track_caller]
        fn different(a: &str, b: &str) {
            assert_ne!(kind_of(a), kind_of(b));
        }
        same(
            "Incorrect API key provided: sk-a1b2****9f0e. You can find your key at https://a.example.com/keys.",
            "Incorrect API key provided: sk-zzzz****0000. You can find your key at https://b.example.com/x?y=1.",
        );
        same(
            "Rate limit reached for gpt-4o in organization org-8fA1 on tokens per min: Limit 30000, Used 29871.",
            "Rate limit reached for gpt-4o in organization org-77xy on tokens per min: Limit 500, Used 1.",
        );
        same("The model `gpt-5-turbo` does not exist", "The model `o9` does not exist");
        same("error sending to 10.0.0.1:443", "error sending to 192.168.7.20:8443");
        same("request req_0aB9 failed", "request req_77 failed");
        different("The upstream did not answer", "The upstream refused the connection");
        different(r#"{"error":"quota"}"#, r#"{"error":"overloaded"}"#);
        different("it's too late", "it's too early");
        different("", "x");
    }

    proptest! {
        #[test]
        fn any_message_is_of_a_kind(text in "\\PC{0,400}") {
            prop_assert!(kind_of(&text).len() <= KIND_BYTES_MAX);
        }
    }
}
