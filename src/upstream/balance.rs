//! The weighted choice, and the rest of an upstream that is down.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Number, Value as Json};

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
    /// Its place among the stored ones, those that cannot be used included.
    position: usize,
    address: Address,
    /// Milliseconds after `epoch` until which others are preferred; 0: not at rest.
    rests_until_ms: AtomicU64,
    outages_in_a_row: AtomicU32,
}

#[derive(Deserialize)]
struct Stored {
    url: String,
    /// Missing: 0, which rests the entry.
    #[serde(default)]
    weight: Option<Number>,
}

impl Upstreams {
    /// Reads the stored form, `[{"url":"https://host","weight":1}]`. Entries of weight 0 are left out, and so are those
    /// that cannot be used: what is wrong with them comes beside the others, for the operator.
    ///
    /// # Errors
    /// What is wrong where no entry is left.
    pub(crate) fn parse(stored: &str) -> Result<(Self, Vec<String>), String> {
        let stored: Vec<Json> = serde_json::from_str(stored).map_err(|error| format!("upstreams: {error}"))?;
        let mut entries = Vec::new();
        let mut weights = Vec::new();
        let mut problems = Vec::new();
        for (position, entry) in stored.into_iter().enumerate() {
            match entry_of(entry) {
                Ok(Some((address, weight))) => {
                    let (rests_until_ms, outages_in_a_row) = (AtomicU64::new(0), AtomicU32::new(0));
                    entries.push(Upstream { position, address, rests_until_ms, outages_in_a_row });
                    weights.push(weight);
                }
                Ok(None) => {}
                Err(problem) => problems.push(format!("upstream {}: {problem}", position + 1)),
            }
        }
        if !entries.is_empty() {
            return Ok((Self { entries, choice: WeightedChoice::new(weights), epoch: Instant::now() }, problems));
        }
        if problems.is_empty() {
            problems.push("no upstream has a weight above 0".to_owned());
        }
        Err(problems.join("; "))
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

    /// How long the one with this place among the stored ones still rests; `None`: it does not, or is not used at all.
    pub(crate) fn rest_of(&self, position: usize, now: Instant) -> Option<Duration> {
        let entry = self.entries.iter().find(|entry| entry.position == position)?;
        let rests_until_ms = entry.rests_until_ms.load(Ordering::Relaxed);
        let left = rests_until_ms.checked_sub(self.ms(now)).filter(|left| *left > 0)?;
        Some(Duration::from_millis(left))
    }

    /// How many of them rest.
    pub(crate) fn resting_count(&self, now: Instant) -> usize {
        let now_ms = self.ms(now);
        self.entries.iter().filter(|entry| entry.rests_until_ms.load(Ordering::Relaxed) > now_ms).count()
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

/// Address and weight of a stored entry; `None`: its weight is 0.
fn entry_of(stored: Json) -> Result<Option<(Address, u32)>, String> {
    let Stored { url, weight } = serde_json::from_value(stored).map_err(|error| error.to_string())?;
    let weight = match weight {
        None => 0,
        Some(weight) => weight
            .as_i64()
            .and_then(|weight| u32::try_from(weight).ok())
            .ok_or_else(|| format!("the weight {weight} is not a whole number from 0 to {}", u32::MAX))?,
    };
    if weight == 0 {
        return Ok(None);
    }
    Ok(Some((Address::parse(&url)?, weight)))
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
        let upstreams = Upstreams::parse(r#"[{"url":"http://a","weight":1},{"url":"http://b","weight":1}]"#).unwrap().0;
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
        let upstreams = Upstreams::parse(r#"[{"url":"http://a","weight":1},{"url":"http://b","weight":1}]"#).unwrap().0;
        let start = Instant::now();
        upstreams.failed(1, start);
        upstreams.failed(0, start + Duration::from_millis(200));
        let now = start + Duration::from_millis(300);
        assert_eq!(upstreams.pick(&[], now), Some(1));
        assert_eq!(upstreams.pick(&[1], now), Some(0), "an untried one comes before one that was tried");
        assert!(!upstreams.is_any_awake(now));
        assert_eq!(upstreams.resting_count(now), 2);
        assert_eq!(upstreams.rest_of(0, now), Some(Duration::from_millis(900)));
        assert_eq!((upstreams.rest_of(0, now + REST_MIN), upstreams.rest_of(2, now)), (None, None));
        assert_eq!(upstreams.resting_count(start + REST_MIN + Duration::from_millis(1)), 1);
    }

    #[test]
    fn stored_upstreams_that_cannot_serve_are_refused_with_their_position() {
        let check = |stored: &str, expected: &str| {
            let error = Upstreams::parse(stored).err().unwrap();
            assert!(error.contains(expected), "{error}");
        };
        check("[]", "no upstream has a weight");
        check(r#"[{"url":"http://a","weight":0}]"#, "no upstream has a weight");
        check(r#"[{"url":"y","weight":1},{"url":"x","weight":1}]"#, "upstream 2");
        check("{}", "upstreams:");
    }

    #[test]
    fn one_bad_entry_costs_only_itself_and_is_told() {
        let check = |bad: &str, expected: &str| {
            let stored = format!(r#"[{{"url":"http://a","weight":1}},{bad},{{"url":"http://c","weight":2}}]"#);
            let (upstreams, problems) = Upstreams::parse(&stored).unwrap();
            assert_eq!(upstreams.count(), 2, "{bad}");
            assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
            assert!(problems[0].starts_with("upstream 2") && problems[0].contains(expected), "{problems:?}");
        };
        check(r#"{"url":"x","weight":1}"#, "not a URL");
        check(r#"{"weight":1}"#, "url");
        check(r#"{"url":"http://b","weight":4294967296}"#, "4294967296");
        check(r#"{"url":"http://b","weight":1.5}"#, "1.5");
        check(r#"{"url":"http://b","weight":-1}"#, "-1");
        check(r#"{"url":"http://b","weight":"1"}"#, "number");
        check("null", "");
        let (upstreams, problems) = Upstreams::parse(r#"[{"url":"x"},{"url":"http://a","weight":1}]"#).unwrap();
        assert_eq!((upstreams.count(), problems.len()), (1, 0), "what rests is not looked at");
    }
}
