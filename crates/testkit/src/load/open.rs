//! Open loop: requests start at a fixed rate. A late start counts as latency, so that a stall is not left out.
//!
//! Threads with blocking sockets, because they wake within some 50 microseconds where an async timer needs a millisecond.

#![expect(clippy::disallowed_methods, reason = "each of its clients is a thread")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::http1::{Reader, Request};
use super::process::Watched;
use super::report::{Report, microseconds};
use super::{Failures, Plan, lock};

const READ_BYTES: usize = 16 * 1024;

struct Clock {
    start: Instant,
    interval: Duration,
    next: AtomicU32,
    count: u32,
}

struct Tally {
    latency: Histogram<u64>,
    failures: Failures,
}

pub(super) fn run(
    plan: &Plan,
    connections: usize,
    requests_per_second: u32,
    request: &Request,
    watched: Watched,
) -> io::Result<Report> {
    let interval = Duration::from_secs(1) / requests_per_second;
    drive(plan, connections, interval, plan.warm_up, request)?;
    let measurement = watched.begin()?;
    let begin = Instant::now();
    let tally = drive(plan, connections, interval, plan.duration, request)?;
    let seconds = begin.elapsed().as_secs_f64();
    let processes = measurement.end(tally.latency.len())?;
    Ok(Report::new(seconds, request.bytes.len(), &tally.latency, tally.failures, processes))
}

fn drive(
    plan: &Plan,
    connections: usize,
    interval: Duration,
    duration: Duration,
    request: &Request,
) -> io::Result<Tally> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(connect(plan.address)?);
    }
    let count = (duration.as_secs_f64() / interval.as_secs_f64()) as u32;
    // The threads need a moment until they all wait for their turn.
    let start = Instant::now() + Duration::from_millis(20);
    let clock = Clock { start, interval, next: AtomicU32::new(0), count };
    let tally = Mutex::new(Tally { latency: microseconds(), failures: Failures::default() });
    thread::scope(|scope| {
        for stream in streams {
            scope.spawn(|| {
                let mut stream = stream;
                keep_asking(&mut stream, plan.address, &clock, request, &tally);
            });
        }
    });
    tally.into_inner().map_err(|_| io::Error::other("a generator thread panicked"))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn keep_asking(stream: &mut TcpStream, address: SocketAddr, clock: &Clock, request: &Request, tally: &Mutex<Tally>) {
    let mut buffer = vec![0; READ_BYTES];
    let mut latency = microseconds();
    let mut failures = Failures::default();
    loop {
        let turn = clock.next.fetch_add(1, Ordering::Relaxed);
        if turn >= clock.count {
            break;
        }
        let intended = clock.start + clock.interval * turn;
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        match ask(stream, &request.bytes, &mut buffer) {
            Ok(200) => latency.saturating_record(intended.elapsed().as_micros() as u64),
            Ok(status) => failures.add(format_args!("status {status}")),
            Err(error) => {
                failures.add(error);
                match connect(address) {
                    Ok(fresh) => *stream = fresh,
                    Err(_) => break,
                }
            }
        }
    }
    let mut tally = lock(tally);
    // Both were made with the same bounds.
    let _ = tally.latency.add(&latency);
    tally.failures.count += failures.count;
    tally.failures.examples.extend(failures.examples);
    tally.failures.examples.truncate(Failures::EXAMPLES_MAX);
}

fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> io::Result<u16> {
    stream.write_all(request)?;
    let mut reader = Reader::new();
    loop {
        let count = stream.read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if reader.take(&buffer[..count], |_| {})? {
            return Ok(reader.status);
        }
    }
}
