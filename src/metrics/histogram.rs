//! How often durations fell between which bounds.

use std::time::Duration;

/// Its numbers change under the lock of the tally, so a count and its buckets always agree.
#[derive(Debug)]
pub(super) struct Histogram {
    /// In seconds, ascending.
    bounds: &'static [f64],
    /// One for each bound and one for what is above all of them; not cumulative.
    counts: Box<[u64]>,
    seconds: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1].into(), seconds: 0.0 }
    }

    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        // A bound belongs to the bucket that it closes.
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.seconds += seconds;
    }

    /// All durations together, in seconds.
    pub(super) fn sum(&self) -> f64 {
        self.seconds
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bounds in seconds with the counts between them; the last bound is infinite.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_that_its_bound_closes() {
        let mut histogram = Histogram::new(&[0.1, 1.0]);
        for milliseconds in [0, 100, 101, 1_000, 1_001, 90_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        assert_eq!(histogram.buckets(), [(0.1, 2), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!(histogram.count(), 6);
        assert!((histogram.sum() - 92.202).abs() < 1e-9, "{}", histogram.sum());
    }
}
