//! Heads of messages: read into the types that the rest of the house uses, and written as they were spelled.

use std::{
    mem::MaybeUninit,
    ops::Range,
    sync::{Arc, LazyLock},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, request, response};
use memchr::memmem::Finder;

/// Headers of one message; more are refused.
const HEADERS_MAX: usize = 256;

type Headers<'b> = [MaybeUninit<httparse::Header<'b>>; HEADERS_MAX];

#[derive(Debug, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the head has more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    #[error("this is not HTTP/1.1: {0}")]
    Malformed(String),
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            other => Self::Malformed(other.to_string()),
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> HeadError {
    HeadError::Malformed(error.to_string())
}

/// How the headers of a message were spelled, and in which order they came. Names mean the same in any case, but some
/// servers and many people read them literally. That of an answer travels in the extensions of its parts.
#[derive(Clone)]
pub(crate) struct Spelling(Arc<Written>);

struct Written {
    head: Bytes,
    /// Each name once, with its place in `head`.
    names: Vec<(HeaderName, Range<usize>)>,
}

/// Looks for the end of a head that comes in pieces, without looking at any byte twice but for the last two.
#[derive(Default)]
pub(super) struct HeadSearch {
    searched: usize,
}

impl HeadSearch {
    /// Takes the head off the buffer once it is complete.
    ///
    /// # Errors
    /// It is larger than `bytes_max`.
    pub(super) fn take(&mut self, buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, HeadError> {
        if self.searched == 0 {
            // RFC 9112, 2.2: an empty line before a message is ignored.
            while let [b'\r', b'\n', ..] | [b'\n', ..] = buffer[..] {
                let _ = buffer.split_to(if buffer[0] == b'\n' { 1 } else { 2 });
            }
        }
        match self.end(buffer) {
            Some(end) if end > bytes_max => Err(HeadError::TooLarge(bytes_max)),
            Some(end) => {
                self.searched = 0;
                Ok(Some(buffer.split_to(end).freeze()))
            }
            None if buffer.len() > bytes_max => Err(HeadError::TooLarge(bytes_max)),
            None => {
                // Half of an empty line: it is ignored once it is whole.
                self.searched = if buffer[..] == *b"\r" { 0 } else { buffer.len() };
                Ok(None)
            }
        }
    }

    /// Behind the first empty line; some programs end their lines without the carriage return.
    fn end(&self, buffer: &[u8]) -> Option<usize> {
        static USUAL_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r\n"));
        static BARE_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\n"));
        let from = self.searched.saturating_sub(2);
        let usual = USUAL_END.find(&buffer[from..]);
        // The line break that the usual end begins with may be the second of a bare end.
        let before_usual = usual.map_or(buffer.len(), |at| from + at + 1);
        let bare = BARE_END.find(&buffer[from..before_usual]).map(|at| from + at + 2);
        bare.or(usual.map(|at| from + at + 3))
    }
}

/// # Errors
/// The head is not one of HTTP/1.0 or HTTP/1.1.
pub(super) fn parse_request(head: &Bytes) -> Result<(request::Parts, Spelling), HeadError> {
    let mut headers: Headers<'_> = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    check_end(parsed.parse_with_uninit_headers(head, &mut headers)?, head)?;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(malformed)?;
    let target = parsed.path.unwrap_or_default();
    parts.uri = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(malformed)?;
    parts.version = version(parsed.version);
    let spelling = fields(head, parsed.headers, &mut parts.headers)?;
    Ok((parts, spelling))
}

/// # Errors
/// The head is not one of HTTP/1.0 or HTTP/1.1.
pub(super) fn parse_response(head: &Bytes) -> Result<response::Parts, HeadError> {
    let mut headers: Headers<'_> = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    check_end(config.parse_response_with_uninit_headers(&mut parsed, head, &mut headers)?, head)?;
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(malformed)?;
    parts.version = version(parsed.version);
    let spelling = fields(head, parsed.headers, &mut parts.headers)?;
    parts.extensions.insert(spelling);
    Ok(parts)
}

/// # Errors
/// The lines are not header lines.
pub(super) fn parse_trailers(lines: &Bytes) -> Result<HeaderMap, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut map = HeaderMap::new();
    match httparse::parse_headers(lines, &mut headers)? {
        httparse::Status::Complete((length, parsed)) if length == lines.len() => {
            fields(lines, parsed, &mut map).map(|_| map)
        }
        httparse::Status::Complete(_) | httparse::Status::Partial => Err(malformed("the trailers end too early")),
    }
}

/// What is left over would be the next message to one reader and a part of this one to another.
fn check_end(status: httparse::Status<usize>, head: &Bytes) -> Result<(), HeadError> {
    match status {
        httparse::Status::Complete(length) if length == head.len() => Ok(()),
        _ => Err(malformed("its lines end in different ways")),
    }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn fields(head: &Bytes, parsed: &[httparse::Header<'_>], map: &mut HeaderMap) -> Result<Spelling, HeadError> {
    // With room for what is added on the way: a credential, an id, a date.
    map.reserve(parsed.len() + 4);
    let mut names = Vec::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(malformed)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(malformed)?;
        if !map.append(&name, value) {
            let start = field.name.as_ptr().addr() - head.as_ptr().addr();
            names.push((name, start..start + field.name.len()));
        }
    }
    Ok(Spelling(Arc::new(Written { head: head.clone(), names })))
}

/// Writes header lines, without the empty line behind them: first those that came, in the order and spelling in which
/// they came, then those that were added.
pub(super) fn write_headers(out: &mut Vec<u8>, headers: &HeaderMap, spelling: Option<&Spelling>) {
    let known: &[(HeaderName, Range<usize>)] = spelling.map_or(&[], |spelling| &spelling.0.names);
    let mut written = 0;
    if let Some(spelling) = spelling {
        for (name, place) in known {
            for value in headers.get_all(name) {
                write_line(out, value, |out| out.extend_from_slice(&spelling.0.head[place.clone()]));
                written += 1;
            }
        }
    }
    if written == headers.len() {
        return;
    }
    for (name, value) in headers {
        if !known.iter().any(|(known, _)| known == name) {
            write_line(out, value, |out| write_title_case(out, name.as_str()));
        }
    }
}

fn write_line(out: &mut Vec<u8>, value: &HeaderValue, write_name: impl FnOnce(&mut Vec<u8>)) {
    write_name(out);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `x-request-id` as `X-Request-Id`, which is how programs that read names literally expect them.
fn write_title_case(out: &mut Vec<u8>, name: &str) {
    let mut starts_word = true;
    out.extend(name.bytes().map(|byte| {
        let written = if starts_word { byte.to_ascii_uppercase() } else { byte };
        starts_word = byte == b'-';
        written
    }));
}

/// Whether one of the comma-separated tokens of these headers is this one, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pieces: &[&str]) -> Option<String> {
        let (mut search, mut buffer) = (HeadSearch::default(), BytesMut::new());
        for piece in pieces {
            buffer.extend_from_slice(piece.as_bytes());
            if let Some(head) = search.take(&mut buffer, 64).unwrap() {
                return Some(format!("{}|{}", String::from_utf8_lossy(&head), String::from_utf8_lossy(&buffer)));
            }
        }
        None
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_is_cut() {
        let expected = Some("GET / HTTP/1.1\r\na: b\r\n\r\n|rest".to_owned());
        assert_eq!(found(&["GET / HTTP/1.1\r\na: b\r\n\r\nrest"]), expected);
        assert_eq!(found(&["\r\n", "GET / HTTP/1.1\r", "\na: b", "\r\n", "\r", "\nrest"]), expected);
        assert_eq!(found(&["GET / HTTP/1.1\n\nx\r\n\r\n"]), Some("GET / HTTP/1.1\n\n|x\r\n\r\n".to_owned()));
        assert_eq!(found(&["\r", "\n\r\nGET / HTTP/1.1\r\na: b\r\n\r\nrest"]), expected);
        let bare = Some("GET / HTTP/1.1\n\n|\r\n".to_owned());
        assert_eq!(found(&["GET / HTTP/1.1\n\n\r\n"]), bare);
        assert_eq!(found(&["GET / HTTP/1.1\n\n"]), Some("GET / HTTP/1.1\n\n|".to_owned()));
        assert_eq!(found(&["GET / HTTP/1.1\n", "\nx"]), Some("GET / HTTP/1.1\n\n|x".to_owned()));
        assert_eq!(found(&["\r\rGET / HTTP/1.1\r\n\r\n"]), Some("\r\rGET / HTTP/1.1\r\n\r\n|".to_owned()));
        assert_eq!(found(&["GET / HTTP/1.1\r\n", "a: b\r\n"]), None);
    }

    #[test]
    fn a_head_without_end_is_refused_at_its_limit() {
        let mut buffer = BytesMut::from(&[b'x'; 65][..]);
        assert!(matches!(HeadSearch::default().take(&mut buffer, 64), Err(HeadError::TooLarge(64))));
    }

    #[test]
    fn headers_are_written_as_they_came_and_new_ones_follow() {
        let head = Bytes::from_static(
            b"GET /a%2Fb?c HTTP/1.1\r\nhOST: here\r\nX-a: 1\r\nAccept:\t*/* \r\nx-A: 2\r\nGone: 1\r\n\r\n",
        );
        let (mut parts, spelling) = parse_request(&head).unwrap();
        assert_eq!((parts.method.as_str(), parts.uri.to_string()), ("GET", "/a%2Fb?c".to_owned()));
        parts.headers.remove("gone");
        parts.headers.insert("x-new-one", HeaderValue::from_static("n"));
        parts.headers.insert("host", HeaderValue::from_static("there"));
        let mut out = Vec::new();
        write_headers(&mut out, &parts.headers, Some(&spelling));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "hOST: there\r\nX-a: 1\r\nX-a: 2\r\nAccept: */*\r\nX-New-One: n\r\n"
        );
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for head in [
            "GET / HTTP/1.1\n\nGET /x HTTP/1.1\r\n\r\n",
            "\r\rGET / HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "G@T / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
            "GET / HTTP/1.1\r\na : c\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\na: \0\r\n\r\n",
        ] {
            assert!(parse_request(&Bytes::from_static(head.as_bytes())).is_err(), "{head:?}");
        }
    }
}
