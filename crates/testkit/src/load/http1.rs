//! The least HTTP/1.1 that a load generator needs: a request ready as bytes, and a reader that finds the answer's end.

use std::io;

/// A request that is the same every time.
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
}

impl Request {
    pub(super) fn chat(host: &str, path: &str, key: &str, message_bytes: usize, streamed: bool) -> Self {
        let message = "All work and no play makes Jack a dull boy. ".repeat(message_bytes / 44 + 1);
        let message = &message[..message_bytes];
        let stream = if streamed { r#""stream":true,"# } else { "" };
        let body = format!(r#"{{"model":"mock-small",{stream}"messages":[{{"role":"user","content":"{message}"}}]}}"#);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Accept: application/json\r\nUser-Agent: load-generator\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Self { bytes: [head.into_bytes(), body.into_bytes()].concat() }
    }
}

/// Where a reader is within an answer.
enum Place {
    Head,
    Counted { left: usize },
    ChunkSize,
    Chunk { left: usize },
    ChunkEnd,
    Trailer,
    UntilClose,
}

/// Takes the bytes of one answer as they come.
pub(super) struct Reader {
    place: Place,
    pending: Vec<u8>,
    pub(super) status: u16,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { place: Place::Head, pending: Vec::new(), status: 0 }
    }

    /// Takes the next bytes and hands on what belongs to the body; true when the answer has ended with them.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut body: impl FnMut(&[u8])) -> io::Result<bool> {
        loop {
            match &mut self.place {
                Place::Head => {
                    let before = self.pending.len();
                    self.pending.extend_from_slice(bytes);
                    let from = before.saturating_sub(3);
                    let Some(end) = memchr::memmem::find(&self.pending[from..], b"\r\n\r\n") else { return Ok(false) };
                    let head_end = from + end + 4;
                    self.read_head(head_end)?;
                    bytes = &bytes[head_end - before..];
                    self.pending.clear();
                    if matches!(self.place, Place::Counted { left: 0 }) {
                        return Ok(true);
                    }
                }
                Place::Counted { left } => {
                    let here = bytes.len().min(*left);
                    body(&bytes[..here]);
                    *left -= here;
                    return Ok(*left == 0);
                }
                Place::UntilClose => {
                    body(bytes);
                    return Ok(false);
                }
                Place::Chunk { left } => {
                    let here = bytes.len().min(*left);
                    body(&bytes[..here]);
                    *left -= here;
                    bytes = &bytes[here..];
                    if *left > 0 {
                        return Ok(false);
                    }
                    self.place = Place::ChunkEnd;
                }
                Place::ChunkSize | Place::ChunkEnd | Place::Trailer => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.pending.extend_from_slice(bytes);
                        return Ok(false);
                    };
                    self.pending.extend_from_slice(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    if self.read_line()? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn read_head(&mut self, end: usize) -> io::Result<()> {
        let head = std::str::from_utf8(&self.pending[..end]).map_err(|_| io::ErrorKind::InvalidData)?;
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        self.status = status.ok_or(io::ErrorKind::InvalidData)?;
        self.place = Place::UntilClose;
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                let left = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
                self.place = Place::Counted { left };
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                self.place = Place::ChunkSize;
            }
        }
        Ok(())
    }

    /// Reads the pending line; true when it was the last of the answer.
    fn read_line(&mut self) -> io::Result<bool> {
        let line = self.pending.trim_ascii();
        let empty = line.is_empty();
        self.place = match self.place {
            Place::ChunkSize => {
                let text = std::str::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
                let size = usize::from_str_radix(text, 16).map_err(|_| io::ErrorKind::InvalidData)?;
                if size == 0 { Place::Trailer } else { Place::Chunk { left: size } }
            }
            Place::Trailer if !empty => Place::Trailer,
            Place::Trailer => return Ok(true),
            _ => Place::ChunkSize,
        };
        self.pending.clear();
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the answer in pieces of every size: the body and the end must be found in all of them.
    fn check(answer: &str, status: u16, body: &str) {
        for size in 1..=answer.len() {
            let mut reader = Reader::new();
            let mut found = Vec::new();
            let pieces: Vec<&[u8]> = answer.as_bytes().chunks(size).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let ended = reader.take(piece, |bytes| found.extend_from_slice(bytes)).unwrap();
                assert_eq!(ended, index + 1 == pieces.len(), "piece {index} of size {size}");
            }
            assert_eq!((reader.status, std::str::from_utf8(&found).unwrap()), (status, body));
        }
    }

    #[test]
    fn answers_with_a_length() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
        check("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", 503, "");
    }

    #[test]
    fn answers_in_chunks() {
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nb\r\n0123456789\n\r\n0\r\n\r\n",
            200,
            "abc0123456789\n",
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", 200, "a");
    }
}
