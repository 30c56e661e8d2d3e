//! The load generator as a program: one run, its report as JSON on the standard output.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use testkit::load::{Mode, Plan, run};

/// Sends chat requests to one address and measures the answers and the processes involved.
#[derive(Parser)]
struct Arguments {
    /// Where to send the requests.
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// The credential, sent as a bearer token.
    #[arg(long, default_value = "sk-load")]
    key: String,
    /// The size of the message in each request.
    #[arg(long, default_value_t = 64)]
    message_bytes: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 1.0)]
    warm_up_seconds: f64,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Requests per second, whether or not earlier ones are answered. Without it, as fast as the answers come.
    #[arg(long)]
    rate: Option<u32>,
    /// Streamed answers, so many at once, instead of plain ones.
    #[arg(long, conflicts_with = "rate")]
    streams: Option<usize>,
    /// How many streams each connection asks for, one after another.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Time over which the first streams are started.
    #[arg(long, default_value_t = 1000)]
    ramp_ms: u64,
    /// The chunks that each stream must have.
    #[arg(long, default_value_t = 50)]
    chunks: usize,
    /// The time between two chunks that the upstream was told to keep.
    #[arg(long, default_value_t = 20)]
    gap_ms: u64,
    /// Processes to measure, as NAME=PID,PID; may be given several times.
    #[arg(long, value_parser = watched)]
    watch: Vec<(String, Vec<u32>)>,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let connections = arguments.connections;
    let mode = match (arguments.streams, arguments.rate) {
        (Some(count), _) => Mode::Streams {
            count,
            rounds: arguments.rounds,
            ramp: Duration::from_millis(arguments.ramp_ms),
            chunks: arguments.chunks,
            gap: Duration::from_millis(arguments.gap_ms),
        },
        (None, Some(requests_per_second)) => Mode::Open { connections, requests_per_second },
        (None, None) => Mode::Closed { connections },
    };
    let report = run(&Plan {
        address: arguments.address,
        path: arguments.path,
        key: arguments.key,
        message_bytes: arguments.message_bytes,
        mode,
        warm_up: Duration::from_secs_f64(arguments.warm_up_seconds),
        duration: Duration::from_secs_f64(arguments.seconds),
        watched: arguments.watch,
    })?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn watched(text: &str) -> Result<(String, Vec<u32>), String> {
    let (name, ids) = text.split_once('=').ok_or("expected NAME=PID,PID")?;
    let ids = ids.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|error| format!("{ids}: {error}"))?;
    Ok((name.to_owned(), ids))
}
