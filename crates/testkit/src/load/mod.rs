//! The load generator: sends requests as fast as they are answered or at a fixed rate, and measures everyone involved.

mod closed;
mod http1;
mod open;
mod process;
mod report;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use http1::Request;
use process::Watched;
pub use report::Report;

/// How the requests are timed.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Every connection sends its next request when the last one is answered.
    Closed { connections: usize },
    /// Requests start at a fixed rate whether or not earlier ones are answered; latency counts from the intended start.
    Open { connections: usize, requests_per_second: u32 },
    /// Streamed answers: so many at once, each connection asking for several in turn.
    Streams { count: usize, rounds: usize, ramp: Duration, chunks: usize, gap: Duration },
}

/// One run against one address.
#[derive(Clone, Debug)]
pub struct Plan {
    pub address: SocketAddr,
    pub path: String,
    pub key: String,
    /// The size of the message in each request.
    pub message_bytes: usize,
    pub mode: Mode,
    /// Load before the measuring starts. Streams have none.
    pub warm_up: Duration,
    /// How long the measuring takes. Streams take as long as they take.
    pub duration: Duration,
    /// Processes to measure: a name and the ids that belong to it.
    pub watched: Vec<(String, Vec<u32>)>,
}

/// Carries out the plan.
///
/// # Errors
/// When a watched process cannot be read, or nobody listens at the address.
pub fn run(plan: &Plan) -> io::Result<Report> {
    let streamed = matches!(plan.mode, Mode::Streams { .. });
    let request = Request::chat(&plan.address.to_string(), &plan.path, &plan.key, plan.message_bytes, streamed);
    // The generator itself is watched too: it takes its share of the same cores.
    let own = ("generator".to_owned(), vec![std::process::id()]);
    let watched = Watched::new(plan.watched.iter().cloned().chain([own]).collect());
    match plan.mode {
        Mode::Closed { connections } => closed::run(plan, connections, &request, watched),
        Mode::Open { connections, requests_per_second } => {
            open::run(plan, connections, requests_per_second, &request, watched)
        }
        Mode::Streams { count, rounds, ramp, chunks, gap } => {
            streams::run(plan, &streams::Shape { count, rounds, ramp, chunks, gap }, &request, watched)
        }
    }
}

/// What went wrong, counted; the first few in words.
#[derive(Default)]
struct Failures {
    count: u64,
    examples: Vec<String>,
}

impl Failures {
    const EXAMPLES_MAX: usize = 3;

    fn add(&mut self, what: impl std::fmt::Display) {
        self.count += 1;
        if self.examples.len() < Self::EXAMPLES_MAX {
            self.examples.push(what.to_string());
        }
    }
}

/// A thread that panicked has failed the run already; what the others counted stays readable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
