//! Bodies on the wire (RFC 9112, 6 and 7): by length, in chunks, or until the connection ends.

use std::io::Write;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, header};

use super::head::{parse_trailers, write_headers};

/// Of the line before a chunk, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
const TRAILERS_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the connection ended before the body did")]
    Ended,
    #[error("a chunk of the body is not framed as one")]
    BadChunk,
    #[error("the trailers of the body cannot be read")]
    BadTrailers,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Takes the framing off a body.
#[derive(Debug)]
pub(super) enum Decoder {
    Done,
    Length(u64),
    UntilClose,
    Chunked(Chunk),
}

/// What of a chunked body comes next.
#[derive(Debug)]
pub(super) enum Chunk {
    Line,
    Data(u64),
    /// The line break behind the data.
    Break,
    Trailers,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Data(Bytes),
    Trailers(HeaderMap),
    /// More bytes are needed.
    Nothing,
    End,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Done,
            Framing::Length(bytes) => Self::Length(bytes),
            Framing::Chunked => Self::Chunked(Chunk::Line),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// What is left of a body whose length is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::UntilClose | Self::Chunked(_) => None,
        }
    }

    /// So many bytes of a body of known length were taken elsewhere.
    pub(super) fn advance(&mut self, bytes: usize) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(bytes as u64);
            if *left == 0 {
                *self = Self::Done;
            }
        }
    }

    /// Takes the next part of the body off the buffer.
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BodyError> {
        loop {
            match self {
                Self::Done => return Ok(Decoded::End),
                Self::UntilClose if buffer.is_empty() => return Ok(Decoded::Nothing),
                Self::UntilClose => return Ok(Decoded::Data(buffer.split().freeze())),
                Self::Length(left) => {
                    let data = take(buffer, left);
                    let is_whole = *left == 0;
                    if is_whole {
                        *self = Self::Done;
                    }
                    return Ok(data);
                }
                Self::Chunked(chunk) => match chunk {
                    Chunk::Line => {
                        let Some(size) = chunk_line(buffer)? else { return Ok(Decoded::Nothing) };
                        *chunk = if size == 0 { Chunk::Trailers } else { Chunk::Data(size) };
                    }
                    Chunk::Data(left) => {
                        let data = take(buffer, left);
                        if *left == 0 {
                            *chunk = Chunk::Break;
                        }
                        return Ok(data);
                    }
                    Chunk::Break => match buffer[..] {
                        [b'\r', b'\n', ..] => {
                            buffer.advance(2);
                            *chunk = Chunk::Line;
                        }
                        [] | [b'\r'] => return Ok(Decoded::Nothing),
                        _ => return Err(BodyError::BadChunk),
                    },
                    Chunk::Trailers => {
                        let Some(trailers) = trailers(buffer)? else { return Ok(Decoded::Nothing) };
                        *self = Self::Done;
                        return Ok(if trailers.is_empty() { Decoded::End } else { Decoded::Trailers(trailers) });
                    }
                },
            }
        }
    }

    /// Goes on to the end of a chunked body where it lies in the buffer already, so that the last data can be known for
    /// the last. What is wrong with it is found by the next `decode`.
    pub(super) fn look_ahead(&mut self, buffer: &mut BytesMut) {
        const END: &[u8] = b"0\r\n\r\n";
        let Self::Chunked(chunk) = self else { return };
        let rest = match (&*chunk, &buffer[..]) {
            (Chunk::Break, [b'\r', b'\n', rest @ ..]) => rest,
            (Chunk::Line, rest) => rest,
            _ => return,
        };
        if rest.starts_with(END) {
            let used = buffer.len() - rest.len() + END.len();
            buffer.advance(used);
            *self = Self::Done;
        }
    }

    /// The connection ended.
    pub(super) fn end(&mut self) -> Result<(), BodyError> {
        match self {
            Self::Done | Self::UntilClose => {
                *self = Self::Done;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) => Err(BodyError::Ended),
        }
    }
}

fn take(buffer: &mut BytesMut, left: &mut u64) -> Decoded {
    let here = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    if here == 0 {
        return Decoded::Nothing;
    }
    *left -= here as u64;
    Decoded::Data(buffer.split_to(here).freeze())
}

/// The size of the next chunk, once its line is complete.
fn chunk_line(buffer: &mut BytesMut) -> Result<Option<u64>, BodyError> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        // The carriage return does not count.
        let line = buffer.strip_suffix(b"\r").unwrap_or(buffer);
        return if line.len() > CHUNK_LINE_BYTES_MAX { Err(BodyError::BadChunk) } else { Ok(None) };
    };
    let line = buffer[..end].strip_suffix(b"\r");
    // A carriage return elsewhere would end the line for some readers.
    let line = line.filter(|line| line.len() <= CHUNK_LINE_BYTES_MAX && !line.contains(&b'\r'));
    let size = line.and_then(|line| {
        let before_extensions = line.split(|&byte| byte == b';').next()?;
        let blanks = before_extensions.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let digits = &before_extensions[..before_extensions.len() - blanks];
        // `from_str_radix` would take a sign.
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        is_number.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
    });
    let size = size.ok_or(BodyError::BadChunk)?;
    buffer.advance(end + 1);
    Ok(Some(size))
}

/// What stands behind the last chunk, once it is complete.
fn trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, BodyError> {
    match buffer[..] {
        [b'\r', b'\n', ..] => {
            buffer.advance(2);
            return Ok(Some(HeaderMap::new()));
        }
        [] | [b'\r'] => return Ok(None),
        _ => {}
    }
    let end = memchr::memmem::find(buffer, b"\r\n\r\n").map(|at| at + 4);
    if end.unwrap_or(buffer.len()) > TRAILERS_BYTES_MAX {
        return Err(BodyError::BadTrailers);
    }
    let Some(end) = end else { return Ok(None) };
    let mut trailers = parse_trailers(&buffer.split_to(end).freeze()).map_err(|_| BodyError::BadTrailers)?;
    // RFC 9110, 6.5.1: what frames or routes a message must not come behind it.
    for name in [header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::HOST, header::CONNECTION] {
        trailers.remove(name);
    }
    Ok(Some(trailers))
}

/// The length that a message announces.
///
/// # Errors
/// It announces something that is no length, or several lengths that differ (RFC 9112, 6.3).
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    const WRONG: &str = "Content-Length is not one number";
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for part in value.as_bytes().split(|byte| *byte == b',') {
            let number = decimal(part.trim_ascii()).ok_or(WRONG)?;
            if *length.get_or_insert(number) != number {
                return Err(WRONG);
            }
        }
    }
    Ok(length)
}

/// Digits and nothing else.
fn decimal(digits: &[u8]) -> Option<u64> {
    let add = |number: u64, byte: &u8| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// Puts the framing around a body.
#[derive(Debug)]
pub(super) enum Encoder {
    /// What is still to come.
    Length(u64),
    Chunked {
        with_trailers: bool,
    },
    UntilClose,
}

impl Encoder {
    /// Takes from the headers what says how a body is framed, unless it is this length.
    pub(super) fn clean(&self, headers: &mut HeaderMap) {
        headers.remove(header::TRANSFER_ENCODING);
        if !matches!(self, Self::Length(_)) || !is_plain_length(headers) {
            headers.remove(header::CONTENT_LENGTH);
        }
    }

    /// Writes the header line that says how the body is framed. A length that is among the headers stays there.
    pub(super) fn announce(&self, headers: &HeaderMap, out: &mut Vec<u8>) {
        match self {
            Self::Length(bytes) if !headers.contains_key(header::CONTENT_LENGTH) => {
                // Writing to a vector cannot fail.
                let _ = write!(out, "Content-Length: {bytes}\r\n");
            }
            Self::Chunked { .. } => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Self::Length(_) | Self::UntilClose => {}
        }
    }

    /// What goes before data of this size; `false`: there is more of it than was announced.
    pub(super) fn before(&mut self, bytes: usize, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Length(left) => {
                let Some(rest) = left.checked_sub(bytes as u64) else { return false };
                *left = rest;
            }
            Self::Chunked { .. } => write_hexadecimal(bytes, out),
            Self::UntilClose => {}
        }
        true
    }

    /// What goes behind data.
    pub(super) fn behind(&self) -> &'static [u8] {
        if matches!(self, Self::Chunked { .. }) { b"\r\n" } else { b"" }
    }

    /// What goes behind the last data; `false`: there was less of it than was announced.
    pub(super) fn end(&self, trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::UntilClose => true,
            Self::Chunked { with_trailers } => {
                out.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers.filter(|_| *with_trailers) {
                    write_headers(out, trailers, None);
                }
                out.extend_from_slice(b"\r\n");
                true
            }
        }
    }
}

/// RFC 9110, 8.6: a length that is given several times is not passed on as it is.
fn is_plain_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    lengths.next().is_none_or(|length| length.as_bytes().iter().all(u8::is_ascii_digit)) && lengths.next().is_none()
}

fn write_hexadecimal(number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 2 * size_of::<usize>()];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// Feeds the bytes in two pieces, and gives the data, the trailers, and what is left.
    fn decoded(framing: Framing, wire: &[u8], cut: usize) -> Result<(Vec<u8>, usize, Vec<u8>, bool), BodyError> {
        let (mut decoder, mut buffer) = (Decoder::new(framing), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), 0);
        for piece in [&wire[..cut.min(wire.len())], &wire[cut.min(wire.len())..]] {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer)? {
                    Decoded::Data(bytes) => data.extend_from_slice(&bytes),
                    Decoded::Trailers(map) => trailers = map.len(),
                    Decoded::Nothing | Decoded::End => break,
                }
            }
        }
        Ok((data, trailers, buffer.to_vec(), decoder.is_done()))
    }

    #[test]
    fn every_framing_is_taken_off_however_it_is_cut() {
        let chunked = b"4\r\nwiki\r\n5;name=\"x\"\r\npedia\r\n00\r\nA: 1\r\nB: 2\r\n\r\nnext";
        for cut in 0..=chunked.len() {
            let expected = (b"wikipedia".to_vec(), 2, b"next".to_vec(), true);
            assert_eq!(decoded(Framing::Chunked, chunked, cut), Ok(expected), "{cut}");
            let expected = (b"4\r\nwi".to_vec(), 0, chunked[5..].to_vec(), true);
            assert_eq!(decoded(Framing::Length(5), chunked, cut), Ok(expected), "{cut}");
        }
        assert_eq!(decoded(Framing::UntilClose, b"abc", 1), Ok((b"abc".to_vec(), 0, vec![], false)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for wire in [
            "x\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "\r\n",
            "1 1\r\n",
            "1\nab",
            "1\r\nab\r\n",
            "11111111111111111\r\n",
            "5\r\r\n",
            "5\u{c}\r\n",
            "5;a\rb\r\n",
            "0x1\r\n",
        ] {
            assert_eq!(decoded(Framing::Chunked, wire.as_bytes(), 0), Err(BodyError::BadChunk), "{wire:?}");
        }
        let long = "1".repeat(CHUNK_LINE_BYTES_MAX + 1);
        assert_eq!(decoded(Framing::Chunked, long.as_bytes(), 0), Err(BodyError::BadChunk));
    }

    #[test]
    fn trailers_end_with_the_first_empty_line() {
        let wire = b"0\r\n\nPOST /x HTTP/1.1\r\n\r\n";
        assert_eq!(decoded(Framing::Chunked, wire, 0), Err(BodyError::BadTrailers));
    }

    #[test]
    fn limits_are_the_same_however_the_bytes_are_cut() {
        for (more, is_refused) in [(0, false), (1, true)] {
            let line = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX - 2 + more));
            let trailers = format!("0\r\nA: {}\r\n\r\n", "x".repeat(TRAILERS_BYTES_MAX - 7 + more));
            for (wire, cuts) in [(line, 4094..4100), (trailers, 65_534..65_541)] {
                for cut in cuts.chain([0]) {
                    assert_eq!(decoded(Framing::Chunked, wire.as_bytes(), cut).is_err(), is_refused, "{more} {cut}");
                }
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_off_has_not_ended() {
        for framing in [Framing::Chunked, Framing::Length(3)] {
            assert_eq!(Decoder::new(framing).end(), Err(BodyError::Ended));
        }
        assert_eq!(Decoder::new(Framing::UntilClose).end(), Ok(()));
        assert_eq!(Decoder::new(Framing::Length(0)).end(), Ok(()));
    }

    #[test]
    fn the_end_is_seen_with_the_last_data() {
        let mut buffer = BytesMut::from("1\r\na\r\n0\r\n\r\nrest");
        let mut decoder = Decoder::new(Framing::Chunked);
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Data(Bytes::from_static(b"a"))));
        decoder.look_ahead(&mut buffer);
        assert!(decoder.is_done());
        assert_eq!(&buffer[..], b"rest");
    }

    #[test]
    fn lengths_must_agree() {
        let check = |values: &[&'static str], expected: Result<Option<u64>, ()>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            assert_eq!(content_length(&headers).map_err(|_| ()), expected, "{values:?}");
        };
        check(&[], Ok(None));
        check(&["7"], Ok(Some(7)));
        check(&["7", "7, 7"], Ok(Some(7)));
        for wrong in [&["7", "8"][..], &["+7"], &["-7"], &[""], &["7,"], &["0x7"], &["99999999999999999999"]] {
            check(wrong, Err(()));
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_comes_out_again(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8), cut in 0..2000usize) {
            let mut encoder = Encoder::Chunked { with_trailers: true };
            let mut wire = Vec::new();
            for piece in &pieces {
                encoder.before(piece.len(), &mut wire);
                wire.extend_from_slice(piece);
                wire.extend_from_slice(encoder.behind());
            }
            encoder.end(None, &mut wire);
            let (data, _, rest, is_done) = decoded(Framing::Chunked, &wire, cut).unwrap();
            prop_assert_eq!(data, pieces.concat());
            prop_assert!(rest.is_empty() && is_done);
        }
    }
}
