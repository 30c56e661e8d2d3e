//! A request as the mock upstream reads it, the same for HTTP/1.1 and HTTP/2.

use std::ops::Range;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

/// The head of a request: method, target and headers, as slices of what was on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    raw: Bytes,
    method: Range<usize>,
    target: Range<usize>,
    version: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
}

impl Head {
    /// Parses an HTTP/1 head, empty line included. `None` if it is not one.
    pub(crate) fn parse(raw: Bytes) -> Option<Self> {
        let mut lines = Lines { raw: &raw, at: 0 };
        let request_line = lines.next()?;
        let mut words = request_line.clone();
        let method = next_word(&raw, &mut words)?;
        let target = next_word(&raw, &mut words)?;
        let version = words;
        if !raw[version.clone()].starts_with(b"HTTP/1.") {
            return None;
        }
        let mut headers = Vec::with_capacity(16);
        for line in lines {
            if line.is_empty() {
                break;
            }
            let colon = line.start + memchr::memchr(b':', &raw[line.clone()])?;
            headers.push((line.start..colon, trim(&raw, colon + 1..line.end)));
        }
        Some(Self { method, target, version, headers, raw })
    }

    /// The head of an HTTP/2 request, written down as if it had come over HTTP/1.
    pub(crate) fn of_http2(parts: &http::request::Parts) -> Option<Self> {
        let mut text = Vec::with_capacity(512);
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        text.extend_from_slice(format!("{} {target} HTTP/1.1\r\n", parts.method).as_bytes());
        if let Some(authority) = parts.uri.authority() {
            text.extend_from_slice(format!("host: {authority}\r\n").as_bytes());
        }
        for (name, value) in &parts.headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        Self::parse(text.into())
    }

    pub(crate) fn method(&self) -> &str {
        self.text(&self.method)
    }

    pub(crate) fn target(&self) -> &str {
        self.text(&self.target)
    }

    pub(crate) fn version(&self) -> &str {
        self.text(&self.version)
    }

    /// The value of the first header of this name, in any case.
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let same =
            |(name, _): &&(Range<usize>, Range<usize>)| self.raw[name.clone()].eq_ignore_ascii_case(wanted.as_bytes());
        self.headers.iter().find(same).map(|(_, value)| self.text(value))
    }

    pub(crate) fn header_is(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let text = |range: &Range<usize>| String::from_utf8_lossy(&self.raw[range.clone()]).into_owned();
        self.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// The percent-decoded value of a query parameter.
    pub(crate) fn query(&self, wanted: &str) -> Option<String> {
        let (_, query) = self.target().split_once('?')?;
        let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted)?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    }

    /// The credential, from any of the places where the official SDKs put it.
    pub(crate) fn key(&self) -> String {
        let bearer = self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let found = bearer.or_else(|| self.header("x-api-key")).or_else(|| self.header("x-goog-api-key"));
        found.map(str::to_owned).or_else(|| self.query("key")).unwrap_or_default()
    }

    /// A number that the client asks for by header (`x-mock-NAME`) or query (`NAME`).
    pub(crate) fn wish(&self, name: &str) -> Option<u64> {
        let header = self.header(&format!("x-mock-{name}")).and_then(|value| value.parse().ok());
        header.or_else(|| self.query(name).and_then(|value| value.parse().ok()))
    }

    fn text(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(&self.raw[range.clone()]).unwrap_or_default()
    }
}

/// A request whose body has arrived.
pub(crate) struct Request {
    pub(crate) head: Head,
    /// Cut after `BODY_BYTES_KEPT_MAX`.
    pub(crate) body: Bytes,
    pub(crate) body_bytes: u64,
    pub(crate) body_sha256: String,
}

struct Lines<'a> {
    raw: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = start + memchr::memchr(b'\n', self.raw.get(start..)?)?;
        self.at = end + 1;
        Some(start..if end > start && self.raw[end - 1] == b'\r' { end - 1 } else { end })
    }
}

/// Takes the text up to the next space off the front of `line`.
fn next_word(raw: &[u8], line: &mut Range<usize>) -> Option<Range<usize>> {
    let space = line.start + memchr::memchr(b' ', &raw[line.clone()])?;
    let word = line.start..space;
    line.start = space + 1;
    Some(word)
}

fn trim(raw: &[u8], mut range: Range<usize>) -> Range<usize> {
    while !range.is_empty() && raw[range.start].is_ascii_whitespace() {
        range.start += 1;
    }
    while !range.is_empty() && raw[range.end - 1].is_ascii_whitespace() {
        range.end -= 1;
    }
    range
}
