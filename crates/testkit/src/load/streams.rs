//! Many streamed answers at once: whether every chunk comes, and how late.
//!
//! The mock upstream writes the moment of sending into each chunk (`--stamped`), as `INDEX@MICROSECONDS`.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::http1::{Reader, Request};
use super::process::Watched;
use super::report::{Report, Spread, Streams, microseconds};
use super::{Failures, Plan};

const READ_BYTES: usize = 16 * 1024;
const STAMP_DIGITS: usize = 16;

pub(super) struct Shape {
    pub(super) count: usize,
    pub(super) rounds: usize,
    pub(super) ramp: Duration,
    pub(super) chunks: usize,
    pub(super) gap: Duration,
}

struct Tally {
    duration: Histogram<u64>,
    first_byte: Histogram<u64>,
    chunk_delay: Histogram<u64>,
    behind_schedule: Histogram<u64>,
    gap: Histogram<u64>,
    incomplete: u64,
    chunks: u64,
    failures: Failures,
}

pub(super) fn run(plan: &Plan, shape: &Shape, request: &Request, watched: Watched) -> io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let tally = Rc::new(RefCell::new(Tally {
            duration: microseconds(),
            first_byte: microseconds(),
            chunk_delay: microseconds(),
            behind_schedule: microseconds(),
            gap: microseconds(),
            incomplete: 0,
            chunks: 0,
            failures: Failures::default(),
        }));
        let bytes: Rc<[u8]> = Rc::from(&request.bytes[..]);
        let measurement = watched.begin()?;
        let begin = Instant::now();
        let mut tasks = Vec::with_capacity(shape.count);
        for index in 0..shape.count {
            let start = tokio::time::Instant::from_std(begin + shape.ramp.mul_f64(index as f64 / shape.count as f64));
            let (address, bytes, tally) = (plan.address, Rc::clone(&bytes), Rc::clone(&tally));
            let (rounds, chunks, gap) = (shape.rounds, shape.chunks, shape.gap);
            tasks.push(tokio::task::spawn_local(async move {
                tokio::time::sleep_until(start).await;
                keep_streaming(address, &bytes, rounds, chunks, gap, &tally).await;
            }));
        }
        for task in tasks {
            task.await.map_err(io::Error::other)?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let mut tally = tally.borrow_mut();
        let complete = tally.duration.len();
        let processes = measurement.end(complete)?;
        let failures = std::mem::take(&mut tally.failures);
        let mut report = Report::new(seconds, request.bytes.len(), &tally.duration, failures, processes);
        let expected = (shape.count * shape.rounds * shape.chunks) as u64;
        report.streams = Some(Streams {
            complete,
            incomplete: tally.incomplete,
            chunks: tally.chunks,
            chunks_lost: expected.saturating_sub(tally.chunks),
            first_byte: Spread::of(&tally.first_byte),
            chunk_delay: Spread::of(&tally.chunk_delay),
            behind_schedule: Spread::of(&tally.behind_schedule),
            gap: Spread::of(&tally.gap),
        });
        Ok(report)
    })
}

async fn keep_streaming(
    address: SocketAddr,
    request: &[u8],
    rounds: usize,
    chunks: usize,
    gap: Duration,
    tally: &RefCell<Tally>,
) {
    let mut connection = None;
    for _ in 0..rounds {
        let streamed = match &mut connection {
            Some(stream) => stream_once(stream, request, gap, tally).await,
            none => match TcpStream::connect(address).await {
                Ok(stream) => stream_once(none.insert(stream), request, gap, tally).await,
                Err(error) => Err(error),
            },
        };
        match streamed {
            Ok(count) if count == chunks => {}
            Ok(count) => {
                let mut tally = tally.borrow_mut();
                tally.incomplete += 1;
                tally.failures.add(format_args!("{count} chunks instead of {chunks}"));
            }
            Err(error) => {
                connection = None;
                let mut tally = tally.borrow_mut();
                tally.incomplete += 1;
                tally.failures.add(error);
            }
        }
    }
}

/// Asks for one stream and reads it to its proper end; gives the number of chunks that came in order.
async fn stream_once(
    stream: &mut TcpStream,
    request: &[u8],
    gap: Duration,
    tally: &RefCell<Tally>,
) -> io::Result<usize> {
    let start = Instant::now();
    stream.write_all(request).await?;
    let mut reader = Reader::new();
    let mut buffer = [0; READ_BYTES];
    let mut text = Vec::new();
    let mut count = 0;
    let mut last_arrival = None;
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let arrival = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64);
        let ended = reader.take(&buffer[..read], |piece| text.extend_from_slice(piece))?;
        let mut tally = tally.borrow_mut();
        if last_arrival.is_none() {
            tally.first_byte.saturating_record((arrival - start).as_micros() as u64);
            last_arrival = Some(arrival);
        }
        for stamp in stamps(&mut text, &mut count)? {
            tally.chunks += 1;
            tally.chunk_delay.saturating_record(wall.saturating_sub(stamp));
            let due = start + gap * (count as u32 - 1);
            tally.behind_schedule.saturating_record(arrival.saturating_duration_since(due).as_micros() as u64);
            if let (Some(last), true) = (last_arrival, count > 1) {
                tally.gap.saturating_record((arrival - last).as_micros() as u64);
            }
            last_arrival = Some(arrival);
        }
        if ended {
            if reader.status != 200 {
                return Err(io::Error::other(format!("status {}", reader.status)));
            }
            tally.duration.saturating_record((arrival - start).as_micros() as u64);
            return Ok(count);
        }
    }
}

/// Takes the moments of sending out of the text so far. `count` is the index that comes next; another one is an error.
fn stamps(text: &mut Vec<u8>, count: &mut usize) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut done = 0;
    while let Some(at) = memchr::memchr(b'@', &text[done..]).map(|at| done + at) {
        let end = at + 1 + STAMP_DIGITS;
        if text.len() < end {
            break;
        }
        let digits = text[done..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let index = number(&text[at - digits..at])?;
        if index != *count as u64 {
            return Err(io::Error::other(format!("chunk {index} instead of {count}")));
        }
        found.push(number(&text[at + 1..end])?);
        *count += 1;
        done = end;
    }
    // The index stands before the '@' and may have come already; longer than this it is not.
    let index_digits_max = 20;
    let keep_from = match memchr::memchr(b'@', &text[done..]) {
        Some(_) => done,
        None => done.max(text.len().saturating_sub(index_digits_max)),
    };
    text.drain(..keep_from);
    Ok(found)
}

fn number(digits: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(digits).map_err(|_| io::ErrorKind::InvalidData)?;
    text.parse().map_err(|_| io::Error::other(format!("not a number: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_found_wherever_the_text_is_cut() {
        let whole = "data: {\"content\":\"0@1700000000000001 \"}\n\ndata: {\"content\":\"1@1700000000000002 \"}\n\ndata: [DONE]\n\n";
        for size in 1..whole.len() {
            let (mut text, mut count, mut found) = (Vec::new(), 0, Vec::new());
            for piece in whole.as_bytes().chunks(size) {
                text.extend_from_slice(piece);
                found.extend(stamps(&mut text, &mut count).unwrap());
            }
            assert_eq!(found, [1_700_000_000_000_001, 1_700_000_000_000_002], "pieces of {size}");
        }
    }

    #[test]
    fn a_lost_chunk_is_an_error() {
        let mut text = b"0@1700000000000001 2@1700000000000002 ".to_vec();
        assert!(stamps(&mut text, &mut 0).is_err());
    }
}
