//! What the mock upstream is told to do with a request instead of answering as usual.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

/// The script for requests whose key has none of its own.
pub(crate) const ANY_KEY: &str = "*";

/// How one request is treated. What is not set stays as in the usual answer of the endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Play {
    pub(crate) status: Option<u16>,
    pub(crate) headers: Vec<(String, String)>,
    /// Replaces the usual body; several are sent one by one, `gap_milliseconds` apart.
    #[serde(deserialize_with = "bodies")]
    pub(crate) body: Option<Vec<Bytes>>,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) delay_milliseconds: u64,
    pub(crate) chunks: Option<usize>,
    pub(crate) gap_milliseconds: Option<u64>,
    pub(crate) ending: Ending,
    /// Whether the request's body is left unread.
    pub(crate) before_body: bool,
}

/// The compression of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Gzip,
    Brotli,
}

/// Where and how an answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// As it should.
    #[default]
    Proper,
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is closed instead of an answer.
    Close,
    /// No answer, until the client leaves.
    Hang,
    /// After this many chunks (bytes, when the body is not streamed) the connection is closed.
    CloseAfter(usize),
    /// After this many chunks (bytes, when the body is not streamed) the connection is reset.
    ResetAfter(usize),
    /// After this many chunks (bytes, when the body is not streamed) nothing comes any more, until the client leaves.
    HangAfter(usize),
    /// The body has no length of its own and ends with the connection, as in HTTP/1.0.
    UntilClose,
}

impl Play {
    /// The usual answer.
    pub fn usual() -> Self {
        Self::default()
    }

    /// This status, with an error body in the format of the endpoint.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location).body("")
    }

    pub fn reset() -> Self {
        Self::ending(Ending::Reset)
    }

    pub fn close() -> Self {
        Self::ending(Ending::Close)
    }

    pub fn hang() -> Self {
        Self::ending(Ending::Hang)
    }

    pub fn ending(ending: Ending) -> Self {
        Self { ending, ..Self::default() }
    }

    /// Adds a header; one of the same name does not replace an earlier one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body. It is JSON unless a `Content-Type` header says otherwise.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(vec![body.into()]);
        self
    }

    /// Replaces the body by one that is sent in these pieces, without a length.
    #[must_use]
    pub fn pieces<B: Into<Bytes>>(mut self, pieces: impl IntoIterator<Item = B>) -> Self {
        self.body = Some(pieces.into_iter().map(Into::into).collect());
        self.gap_milliseconds.get_or_insert(0);
        self
    }

    #[must_use]
    pub fn encoded(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// Time between the request and the answer's head.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_milliseconds = milliseconds(delay);
        self
    }

    /// The number of content chunks of a streamed answer.
    #[must_use]
    pub fn chunks(mut self, chunks: usize) -> Self {
        self.chunks = Some(chunks);
        self
    }

    /// Time between two chunks of a streamed answer.
    #[must_use]
    pub fn gap(mut self, gap: Duration) -> Self {
        self.gap_milliseconds = Some(milliseconds(gap));
        self
    }

    #[must_use]
    pub fn then(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Answers as soon as the request's head is there, leaves the body unread and closes the connection.
    #[must_use]
    pub fn before_body(mut self) -> Self {
        self.before_body = true;
        self
    }
}

/// What the requests of one key get: first the queue, then always the same.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) queue: VecDeque<Play>,
    pub(crate) then: Option<Play>,
}

impl Script {
    pub(crate) fn next(&mut self) -> Option<Play> {
        self.queue.pop_front().or_else(|| self.then.clone())
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Over HTTP a body is one text, or a list of texts.
fn bodies<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Vec<Bytes>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Given>::deserialize(source)?.map(|given| match given {
        Given::One(text) => vec![text.into()],
        Given::Many(texts) => texts.into_iter().map(Into::into).collect(),
    }))
}
