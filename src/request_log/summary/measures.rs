//! Counts of requests, and how long they took.

use super::{Outcome, duration_of};
use crate::request_log::search::{Extent, Looked};

/// How requests went. What nothing is known of is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    /// The client left; neither a success nor a failure.
    pub(crate) aborted: u64,
    /// Attempts that others followed; no requests.
    pub(crate) retries: u64,
    /// Of successes and failures that reached an upstream, like the other two.
    pub(crate) duration_ms: Option<Percentiles>,
    pub(crate) first_byte_ms: Option<Percentiles>,
    pub(crate) overhead_us: Option<Percentiles>,
}

impl Figures {
    pub(crate) fn requests(&self) -> u64 {
        self.successes + self.failures
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub(crate) p50: u32,
    pub(crate) p90: u32,
    pub(crate) p95: u32,
    pub(crate) p99: u32,
}

/// What is counted of rows as they come.
#[derive(Default)]
pub(super) struct Tally {
    counts: [u64; 4],
    durations: Vec<u32>,
    first_bytes: Vec<u32>,
    overheads: Vec<u32>,
}

impl Tally {
    pub(super) fn add(&mut self, row: &Looked<'_>, outcome: Outcome) {
        self.counts[outcome as usize] += 1;
        if outcome == Outcome::Retried {
            return;
        }
        let Some(duration) = duration_of(row) else { return };
        self.durations.push(duration);
        self.first_bytes.extend(row.first_byte_ms.map(narrow));
        self.overheads.extend(row.overhead_us.map(narrow));
    }

    pub(super) fn figures(mut self, extent: Extent) -> Figures {
        let count = |outcome: Outcome| extent.scaled(self.counts[outcome as usize]);
        Figures {
            successes: count(Outcome::Success),
            failures: count(Outcome::Failure),
            aborted: count(Outcome::Aborted),
            retries: count(Outcome::Retried),
            duration_ms: Percentiles::of(&mut self.durations),
            first_byte_ms: Percentiles::of(&mut self.first_bytes),
            overhead_us: Percentiles::of(&mut self.overheads),
        }
    }
}

impl Percentiles {
    fn of(values: &mut [u32]) -> Option<Self> {
        values.sort_unstable();
        let at = |percent| nearest(values, percent);
        Some(Self { p50: at(50)?, p90: at(90)?, p95: at(95)?, p99: at(99)? })
    }
}

/// The value that so many percent of all do not exceed; `None`: there are no values.
pub(super) fn percentile(values: &mut [u32], percent: usize) -> Option<u32> {
    values.sort_unstable();
    nearest(values, percent)
}

fn nearest(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Half as large, and far beyond what a request takes.
pub(super) fn narrow(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_occurred() {
        let all = |values: &[u32]| Percentiles::of(&mut values.to_vec());
        assert_eq!(all(&[]), None);
        assert_eq!(all(&[7]), Some(Percentiles { p50: 7, p90: 7, p95: 7, p99: 7 }));
        let hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(all(&hundred), Some(Percentiles { p50: 50, p90: 90, p95: 95, p99: 99 }));
        assert_eq!(percentile(&mut [3, 1, 2], 50), Some(2));
        assert_eq!(percentile(&mut [4, 3, 1, 2], 95), Some(4));
    }
}
