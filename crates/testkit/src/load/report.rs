//! What a run found, as JSON.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Failures;
use super::process::Usage;

/// The result of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seconds: f64,
    /// Answered as they should be.
    pub requests: u64,
    pub requests_per_second: f64,
    pub failures: u64,
    pub failure_examples: Vec<String>,
    pub sent_mebibytes_per_second: f64,
    pub latency: Spread,
    /// Only of streams.
    pub streams: Option<Streams>,
    pub processes: BTreeMap<String, Usage>,
}

/// How a measured time is spread, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

/// What is special to streamed answers.
#[derive(Debug, Serialize)]
pub struct Streams {
    pub complete: u64,
    pub incomplete: u64,
    pub chunks: u64,
    pub chunks_lost: u64,
    /// From the request to the first byte of the answer.
    pub first_byte: Spread,
    /// From the moment that the upstream wrote a chunk to its arrival.
    pub chunk_delay: Spread,
    /// Behind the schedule that the request began.
    pub behind_schedule: Spread,
    /// Between the arrivals of two chunks.
    pub gap: Spread,
}

impl Spread {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            mean: histogram.mean(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl Report {
    pub(super) fn new(
        seconds: f64,
        request_bytes: usize,
        latency: &Histogram<u64>,
        failures: Failures,
        processes: BTreeMap<String, Usage>,
    ) -> Self {
        let requests = latency.len();
        Self {
            seconds,
            requests,
            requests_per_second: requests as f64 / seconds,
            failures: failures.count,
            failure_examples: failures.examples,
            sent_mebibytes_per_second: requests as f64 * request_bytes as f64 / seconds / (1024.0 * 1024.0),
            latency: Spread::of(latency),
            streams: None,
            processes,
        }
    }
}

/// A histogram of microseconds, up to ten minutes, to three digits.
pub(super) fn microseconds() -> Histogram<u64> {
    Histogram::new_with_max(600_000_000, 3).expect("the bounds are constants that fit")
}
