//! One record of the request log, as the data plane fills it in: plain data, nothing formatted yet.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    channel::Channel,
    group::{GroupId, Key},
};

/// What the columns of the original hold at most, in characters.
pub(super) const NAME_CHARACTERS_MAX: usize = 255;
pub(super) const ADDRESS_CHARACTERS_MAX: usize = 500;
pub(super) const USER_AGENT_CHARACTERS_MAX: usize = 512;
pub(super) const CLIENT_KEY_CHARACTERS_MAX: usize = 64;
pub(super) const UPSTREAM_REQUEST_ID_CHARACTERS_MAX: usize = 128;
/// The original's limits of long texts are in bytes, as those of MySQL's `text` are.
const REQUEST_BODY_BYTES_MAX: usize = 65_000;
pub(super) const ERROR_MESSAGE_BYTES_MAX: usize = 60_000;

/// One attempt, or the refusal of a request that never became one.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The same for all attempts of one request, and told to the client.
    pub(crate) request_id: Uuid,
    /// Counted from 1; 0: none began, or none after the last one that was tried again.
    pub(crate) attempt: u32,
    pub(crate) kind: Kind,
    pub(crate) ended_at: DateTime<Utc>,
    /// Since the request came in, so it grows from attempt to attempt.
    pub(crate) duration: Duration,
    /// From the request to the first byte of the answer's body, likewise; `None`: there was none.
    pub(crate) first_byte: Option<Duration>,
    /// The part of the duration that was our own work.
    pub(crate) overhead: Duration,
    /// The group that served, which is the member where an aggregate was asked; `None`: there is no such group.
    pub(crate) group: Option<GroupName>,
    /// The aggregate that was asked, if one was.
    pub(crate) parent: Option<GroupName>,
    /// The key that was used; `None`: none was.
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) model: String,
    /// What the upstream was asked for instead, where a redirect changed it.
    pub(crate) sent_model: Option<String>,
    /// What the upstream calls the request, by which its operator finds it; `None`: it did not say.
    pub(crate) upstream_request_id: Option<Box<str>>,
    /// 499: the client left before the answer ended.
    pub(crate) status: u16,
    pub(crate) verdict: Verdict,
    /// Empty: nothing went wrong, though the status may still be the upstream's refusal.
    pub(crate) error_message: Cow<'static, str>,
    pub(crate) source_ip: Option<IpAddr>,
    /// Path and query as the client sent them, without its credential.
    pub(crate) request_path: String,
    pub(crate) user_agent: String,
    /// Which of the proxy keys opened the group, by the label that its owner knows it by; `None`: none did.
    pub(crate) client_key: Option<Arc<str>>,
    /// Where the attempt went, without credentials; empty: nowhere.
    pub(crate) upstream_addr: String,
    pub(crate) is_stream: bool,
    /// Made by [`body_text`], only where the group wants it.
    pub(crate) request_body: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Another attempt followed.
    Retry,
    /// What the client got.
    Final,
}

/// What an attempt, or a refused request, came to: whose fault it was where it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Success,
    Client,
    Key,
    /// The key may work later: it has reached a limit.
    KeyForNow,
    Upstream,
    Ourselves,
    /// The client left, so nobody is to blame.
    ClientGone,
}

impl Verdict {
    pub(crate) const ALL: [Self; 7] =
        [Self::Success, Self::Client, Self::Key, Self::KeyForNow, Self::Upstream, Self::Ourselves, Self::ClientGone];

    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Client => "client",
            Self::Key => "key",
            Self::KeyForNow => "key_for_now",
            Self::Upstream => "upstream",
            Self::Ourselves => "ourselves",
            Self::ClientGone => "client_gone",
        }
    }
}

impl Kind {
    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Final => "final",
        }
    }
}

/// A group as it was called when the request came.
#[derive(Debug, Clone)]
pub(crate) struct GroupName {
    pub(crate) id: GroupId,
    pub(crate) name: Arc<str>,
    pub(crate) channel: Channel,
}

impl Entry {
    pub(crate) fn is_success(&self) -> bool {
        self.error_message.is_empty() && self.status < 400
    }

    /// Its row's id. A request's rows have its own id but for the last four digits, so that the table's index finds them
    /// by it; ascending in time, they also go to the end of that index.
    pub(super) fn row_uuid(&self) -> Uuid {
        let attempt = u128::from(self.attempt.min(0x7fff));
        let is_final = u128::from(self.kind == Kind::Final);
        Uuid::from_u128(self.request_id.as_u128() & !0xffff | attempt << 1 | is_final)
    }

    /// Nobody is to blame for a client that leaves, so its request is neither a success nor a failure in the figures.
    pub(super) fn is_aborted(&self) -> bool {
        self.verdict == Verdict::ClientGone
    }
}

/// The start of a request's body as the log keeps it.
pub(crate) fn body_text(body: &[u8]) -> String {
    // Some bytes more than fit, so that the last character is cut as a whole and does not look broken.
    let start = &body[..body.len().min(REQUEST_BODY_BYTES_MAX + 3)];
    let text = String::from_utf8_lossy(start);
    cut_bytes(&storable(&text), REQUEST_BODY_BYTES_MAX).to_owned()
}

/// Without NUL, which PostgreSQL refuses and which ends a text for many a reader.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace('\0', "")),
    }
}

/// The longest start that fits, and ends between two characters.
pub(super) fn cut_bytes(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

pub(super) fn cut_characters(text: &str, characters_max: usize) -> &str {
    // There are never more characters than bytes, so most texts are not looked at.
    if text.len() <= characters_max {
        return text;
    }
    text.char_indices().nth(characters_max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_between_characters_and_loses_its_nul() {
        assert_eq!(body_text(b"a\0b"), "ab");
        assert_eq!(body_text(&[b'x', 0xff, b'y']), "x\u{fffd}y");
        let long = format!("{}é-and-more", "x".repeat(REQUEST_BODY_BYTES_MAX - 1));
        assert_eq!(body_text(long.as_bytes()), "x".repeat(REQUEST_BODY_BYTES_MAX - 1));
        let whole = format!("{}é", "x".repeat(REQUEST_BODY_BYTES_MAX - 2));
        assert_eq!(body_text(format!("{whole}😀").as_bytes()), whole);
    }

    #[test]
    fn a_short_column_is_cut_by_characters() {
        #[track_caller]
        fn check(text: &str, characters_max: usize, expected: &str) {
            assert_eq!(cut_characters(text, characters_max), expected);
        }
        check("é€😀x", 3, "é€😀");
        check("é€😀", 3, "é€😀");
        check("abc", 2, "ab");
        check("abc", 0, "");
        check("", 0, "");
    }
}
