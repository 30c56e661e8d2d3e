//! The weighted choice, and the rest of an upstream that is down.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::Address;

/// First rest of an upstream that failed; doubled with each further failure in a row.
const REST_MIN: Duration = Duration::from_secs(1);
/// Longest rest: after it, one request finds out whether the upstream is back.
const REST_MAX: Duration = Duration::from_secs(30);

/// Smooth weighted round robin: of weights 5, 1, 1 it makes `a a b a c a a`.
pub(crate) struct WeightedChoice {
    weights: Vec<u32>,
    counters: Mutex<Vec<i64>>,
}

impl WeightedChoice {
    pub(crate) fn new(weights: Vec<u32>) -> Self {
        Self { counters: Mutex::new(vec![0; weights.len()]), weights }
    }

    /// The next entry among the eligible ones, or `None` where no eligible entry has a weight. One pass, however
    /// unequal the weights are.
    pub(crate) fn pick(&self, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        if let [weight] = self.weights[..] {
            return (weight > 0 && eligible(0)).then_some(0);
        }
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        let mut best: Option<usize> = None;
        for (index, &weight) in self.weights.iter().enumerate() {
            if weight == 0 || !eligible(index) {
                continue;
            }
            total += i64::from(weight);
            counters[index] += i64::from(weight);
            if best.is_none_or(|best| counters[index] > counters[best]) {
                best = Some(index);
            }
        }
        counters[best?] -= total;
        best
    }
}

/// The upstreams of a group.
pub(crate) struct Upstreams {
    entries: Vec<Upstream>,
    choice: WeightedChoice,
    epoch: Instant,
}

struct Upstream {
    address: Address,
    /// Milliseconds after `epoch` until which others are preferred; 0: not at rest.
    rests_until_ms: AtomicU64,
    outages_in_a_row: AtomicU32,
}

#[derive(Deserialize)]
struct Stored {
    url: String,
    #[serde(default)]
    weight: i64,
}

impl Upstreams {
    /// Reads the stored form, `[{"url":"https://host","weight":1}]`. Entries without a positive weight are left out.
    ///
    /// # Errors
    /// What is wrong, for the operator: not such an array, a URL that cannot be used, or no entry left.
    pub(crate) fn parse(stored: &str) -> Result<Self, String> {
        let stored: Vec<Stored> = serde_json::from_str(stored).map_err(|error| format!("upstreams: {error}"))?;
        let mut entries = Vec::new();
        let mut weights = Vec::new();
        for (position, entry) in stored.into_iter().enumerate() {
            let Some(weight) = u32::try_from(entry.weight).ok().filter(|&weight| weight > 0) else { continue };
            let address = Address::parse(&entry.url).map_err(|error| format!("upstream {}: {error}", position + 1))?;
            entries.push(Upstream { address, rests_until_ms: AtomicU64::new(0), outages_in_a_row: AtomicU32::new(0) });
            weights.push(weight);
        }
        if entries.is_empty() {
            return Err("no upstream has a weight above 0".to_owned());
        }
        Ok(Self { entries, choice: WeightedChoice::new(weights), epoch: Instant::now() })
    }

    /// None at all: an aggregate group, or one whose stored upstreams cannot be used.
    pub(crate) fn empty() -> Self {
        Self { entries: Vec::new(), choice: WeightedChoice::new(Vec::new()), epoch: Instant::now() }
    }

    /// The next upstream: first one that neither rests nor is in `tried`, then one that does not rest, then one that
    /// was not tried; only if there is none of these, the one whose rest ends first. A rest never leaves a group
    /// without upstream.
    pub(crate) fn pick(&self, tried: &[usize], now: Instant) -> Option<usize> {
        if let [_] = self.entries[..] {
            return Some(0);
        }
        let awake = |index: usize| self.entries[index].rests_until_ms.load(Ordering::Relaxed) <= self.ms(now);
        let untried = |index: usize| !tried.contains(&index);
        self.choice.pick(|index| awake(index) && untried(index)).or_else(|| self.choice.pick(awake)).or_else(|| {
            let soonest = |&index: &usize| self.entries[index].rests_until_ms.load(Ordering::Relaxed);
            (0..self.entries.len())
                .filter(|&index| untried(index))
                .min_by_key(soonest)
                .or_else(|| (0..self.entries.len()).min_by_key(soonest))
        })
    }

    pub(crate) fn address(&self, index: usize) -> &Address {
        &self.entries[index].address
    }

    pub(crate) fn base_paths(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.address.path())
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether at least one upstream is not at rest.
    pub(crate) fn is_any_awake(&self, now: Instant) -> bool {
        let now_ms = self.ms(now);
        self.entries.iter().any(|entry| entry.rests_until_ms.load(Ordering::Relaxed) <= now_ms)
    }

    /// The upstream did not answer, or answered that it is down: others are preferred for a while.
    pub(crate) fn failed(&self, index: usize, now: Instant) {
        let entry = &self.entries[index];
        // Requests that were under way together and failed together are one outage, not many.
        if entry.rests_until_ms.load(Ordering::Relaxed) > self.ms(now) {
            return;
        }
        let outages = entry.outages_in_a_row.fetch_add(1, Ordering::Relaxed);
        let rest = REST_MIN.saturating_mul(1 << outages.min(8)).min(REST_MAX);
        entry.rests_until_ms.store(self.ms(now + rest), Ordering::Relaxed);
    }

    pub(crate) fn succeeded(&self, index: usize) {
        let entry = &self.entries[index];
        // Read first: a write would move the cache line between cores on every request.
        if entry.outages_in_a_row.load(Ordering::Relaxed) != 0 {
            entry.outages_in_a_row.store(0, Ordering::Relaxed);
            entry.rests_until_ms.store(0, Ordering::Relaxed);
        }
    }

    fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequence(weights: &[u32], steps: usize) -> String {
        let choice = WeightedChoice::new(weights.to_vec());
        (0..steps).map(|_| char::from(b'a' + u8::try_from(choice.pick(|_| true).unwrap()).unwrap())).collect()
    }

    #[test]
    fn the_choice_is_smooth() {
        assert_eq!(sequence(&[5, 1, 1], 14), "aabacaaaabacaa");
        assert_eq!(sequence(&[3, 1], 8), "aabaaaba");
        assert_eq!(sequence(&[2, 1], 6), "abaaba");
    }

    #[test]
    fn a_weight_of_zero_is_never_chosen() {
        assert_eq!(sequence(&[0, 1], 3), "bbb");
        assert_eq!(WeightedChoice::new(vec![0, 0]).pick(|_| true), None);
        assert_eq!(WeightedChoice::new(vec![]).pick(|_| true), None);
    }

    proptest! {
        #[test]
        fn over_one_round_every_entry_gets_its_weight(weights in proptest::collection::vec(0u32..50, 1..6)) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let choice = WeightedChoice::new(weights.clone());
            let mut counts = vec![0u32; weights.len()];
            for _ in 0..total {
                counts[choice.pick(|_| true).unwrap()] += 1;
            }
            prop_assert_eq!(counts, weights);
        }
    }

    #[test]
    fn an_upstream_that_is_down_rests_longer_each_time_and_others_serve() {
        let upstreams = Upstreams::parse(r#"[{"url":"http://a","weight":1},{"url":"http://b","weight":1}]"#).unwrap();
        let start = Instant::now();
        upstreams.failed(0, start);
        assert!((0..4).all(|_| upstreams.pick(&[], start) == Some(1)));
        let later = start + REST_MIN + Duration::from_millis(5);
        assert!((0..2).map(|_| upstreams.pick(&[], later)).any(|pick| pick == Some(0)));
        upstreams.failed(0, later);
        assert!((0..4).all(|_| upstreams.pick(&[], later + REST_MIN + Duration::from_millis(5)) == Some(1)));
        upstreams.succeeded(0);
        assert!((0..2).map(|_| upstreams.pick(&[], later)).any(|pick| pick == Some(0)));
    }

    #[test]
    fn when_all_rest_the_soonest_serves() {
        let upstreams = Upstreams::parse(r#"[{"url":"http://a","weight":1},{"url":"http://b","weight":1}]"#).unwrap();
        let start = Instant::now();
        upstreams.failed(1, start);
        upstreams.failed(0, start + Duration::from_millis(200));
        let now = start + Duration::from_millis(300);
        assert_eq!(upstreams.pick(&[], now), Some(1));
        assert_eq!(upstreams.pick(&[1], now), Some(0), "an untried one comes before one that was tried");
        assert!(!upstreams.is_any_awake(now));
    }

    #[test]
    fn stored_upstreams_that_cannot_serve_are_refused_with_their_position() {
        let check = |stored: &str, expected: &str| {
            let error = Upstreams::parse(stored).err().unwrap();
            assert!(error.contains(expected), "{error}");
        };
        check("[]", "no upstream has a weight");
        check(r#"[{"url":"http://a","weight":0}]"#, "no upstream has a weight");
        check(r#"[{"url":"http://a","weight":1},{"url":"x","weight":1}]"#, "upstream 2");
        check("{}", "upstreams:");
    }
}
