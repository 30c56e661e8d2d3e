//! Closed loop: every connection sends its next request when the last one is answered.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::http1::{Reader, Request};
use super::process::Watched;
use super::report::{Report, microseconds};
use super::{Failures, Plan};

const READ_BYTES: usize = 16 * 1024;

struct Tally {
    measuring: bool,
    latency: Histogram<u64>,
    failures: Failures,
}

pub(super) fn run(plan: &Plan, connections: usize, request: &Request, watched: Watched) -> io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let tally = Tally { measuring: false, latency: microseconds(), failures: Failures::default() };
        let tally = Rc::new(RefCell::new(tally));
        let bytes: Rc<[u8]> = Rc::from(&request.bytes[..]);
        let mut tasks = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(plan.address).await?;
            stream.set_nodelay(true)?;
            let work = keep_asking(stream, plan.address, Rc::clone(&bytes), Rc::clone(&tally));
            tasks.push(tokio::task::spawn_local(work));
        }
        tokio::time::sleep(plan.warm_up).await;
        let measurement = watched.begin()?;
        tally.borrow_mut().measuring = true;
        let begin = Instant::now();
        tokio::time::sleep(plan.duration).await;
        let seconds = begin.elapsed().as_secs_f64();
        tally.borrow_mut().measuring = false;
        let requests = tally.borrow().latency.len();
        let processes = measurement.end(requests)?;
        for task in tasks {
            task.abort();
        }
        let failures = std::mem::take(&mut tally.borrow_mut().failures);
        Ok(Report::new(seconds, request.bytes.len(), &tally.borrow().latency, failures, processes))
    })
}

async fn keep_asking(
    mut stream: TcpStream,
    address: std::net::SocketAddr,
    request: Rc<[u8]>,
    tally: Rc<RefCell<Tally>>,
) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let start = Instant::now();
        let asked = ask(&mut stream, &request, &mut buffer).await;
        let failed = {
            let mut tally = tally.borrow_mut();
            match asked {
                Ok(200) => {
                    if tally.measuring {
                        tally.latency.saturating_record(start.elapsed().as_micros() as u64);
                    }
                    false
                }
                Ok(status) => {
                    tally.failures.add(format_args!("status {status}"));
                    false
                }
                Err(error) => {
                    tally.failures.add(error);
                    true
                }
            }
        };
        if failed {
            // A connection that broke is replaced; without anybody listening there is nothing left to do here.
            match TcpStream::connect(address).await {
                Ok(fresh) => stream = fresh,
                Err(_) => return,
            }
        }
    }
}

/// Sends a request and reads its answer to the end; gives the status.
async fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> io::Result<u16> {
    stream.write_all(request).await?;
    let mut reader = Reader::new();
    loop {
        let count = stream.read(buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if reader.take(&buffer[..count], |_| {})? {
            return Ok(reader.status);
        }
    }
}
