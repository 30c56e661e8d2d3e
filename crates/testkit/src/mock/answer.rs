//! An answer before it goes on the wire, and how a script changes it.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};

use super::formats;
use super::memory::Memory;
use super::request::Request;
use super::script::{Encoding, Ending, Play};

/// What stands in a chunk where the moment of sending goes.
pub(crate) const STAMP_PLACEHOLDER: &str = "0000000000000000";

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    /// The first goes with the head, each other one `gap` after the one before.
    Stream {
        frames: Vec<Frame>,
        gap: Duration,
    },
}

/// One piece of a streamed body.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    bytes: Bytes,
    stamp_at: Option<usize>,
}

impl Frame {
    /// A piece that is sent as it is, but for the placeholder of the moment of sending.
    pub(crate) fn new(bytes: impl Into<Bytes>, stamped: bool) -> Self {
        let bytes = bytes.into();
        let stamp_at = stamped.then(|| memchr::memmem::find(&bytes, STAMP_PLACEHOLDER.as_bytes())).flatten();
        Self { bytes, stamp_at }
    }

    /// The bytes for the wire at this moment.
    pub(crate) fn bytes(&self) -> Bytes {
        let Some(at) = self.stamp_at else { return self.bytes.clone() };
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros());
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[at..at + STAMP_PLACEHOLDER.len()].copy_from_slice(format!("{micros:016}").as_bytes());
        bytes.freeze()
    }
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    pub(crate) fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut answer = Self {
            status,
            headers: Vec::with_capacity(4),
            body: Body::Whole(body.into()),
            delay: Duration::ZERO,
            ending: Ending::Proper,
        };
        answer.add("Content-Type", content_type);
        answer
    }

    pub(crate) fn stream(content_type: &str, frames: Vec<Frame>, gap: Duration) -> Self {
        let mut answer = Self::whole(200, content_type, Bytes::new());
        answer.body = Body::Stream { frames, gap };
        answer
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.add(name, value);
        self
    }

    fn replace(&mut self, name: &str, value: &str) {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self.add(name, value);
    }
}

/// What this request gets: the usual answer of its endpoint, changed by the play if there is one.
pub(crate) fn answer(request: &Request, play: Option<&Play>, memory: &Memory) -> Answer {
    let Some(play) = play else { return formats::usual(request, &pace(request, None, memory), memory) };
    let pace = pace(request, Some(play), memory);
    let mut answer = match (play.status, &play.body) {
        (status, Some(pieces)) => {
            let body = match &pieces[..] {
                [whole] if play.gap_milliseconds.is_none() => Body::Whole(whole.clone()),
                pieces => Body::Stream {
                    frames: pieces.iter().map(|piece| Frame::new(piece.clone(), false)).collect(),
                    gap: pace.gap,
                },
            };
            Answer { body, ..Answer::whole(status.unwrap_or(200), "application/json", Bytes::new()) }
        }
        (Some(status), None) if status >= 300 => formats::error(request, status),
        (status, None) => {
            let usual = formats::usual(request, &pace, memory);
            Answer { status: status.unwrap_or(usual.status), ..usual }
        }
    };
    for (name, _) in &play.headers {
        answer.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    }
    answer.headers.extend(play.headers.iter().cloned());
    answer.delay = Duration::from_millis(play.delay_milliseconds);
    answer.ending = play.ending;
    if let Some(encoding) = play.encoding {
        encode(&mut answer, encoding);
    }
    answer
}

/// How a streamed answer is paced.
pub(crate) struct Pace {
    pub(crate) chunks: usize,
    pub(crate) gap: Duration,
    pub(crate) stamped: bool,
}

/// The script's wish counts, then the request's, then the option.
fn pace(request: &Request, play: Option<&Play>, memory: &Memory) -> Pace {
    let options = &memory.options;
    let chunks = play.and_then(|play| play.chunks).or_else(|| Some(request.head.wish("chunks")? as usize));
    let gap = play.and_then(|play| play.gap_milliseconds).or_else(|| request.head.wish("gap-ms"));
    Pace {
        chunks: chunks.unwrap_or(options.chunks),
        gap: gap.map_or(options.gap, Duration::from_millis),
        stamped: options.stamped,
    }
}

fn encode(answer: &mut Answer, encoding: Encoding) {
    let clear: Vec<u8> = match &answer.body {
        Body::Whole(whole) => whole.to_vec(),
        Body::Stream { frames, .. } => frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect(),
    };
    let (name, packed) = match encoding {
        Encoding::Gzip => ("gzip", gzip(&clear)),
        Encoding::Brotli => ("br", brotli(&clear)),
    };
    answer.body = Body::Whole(packed.into());
    answer.replace("Content-Encoding", name);
}

fn gzip(clear: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(clear).and_then(|()| packer.finish()).expect("writing to memory does not fail")
}

fn brotli(clear: &[u8]) -> Vec<u8> {
    let mut packer = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20);
    packer.write_all(clear).expect("writing to memory does not fail");
    packer.into_inner()
}
