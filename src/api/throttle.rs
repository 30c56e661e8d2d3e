//! Whoever tries wrong management keys has to wait, longer each time. Only a new wrong key is a try: one that is repeated,
//! as by a script with an old key, tells a guesser nothing.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::client_address::ClientAddress;
use crate::crypto;

/// Different wrong keys within a window; then the address is locked.
const FAILURES_MAX: usize = 10;
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// The first lock; each further one is twice as long.
const LOCK_MIN: Duration = Duration::from_secs(30);
const LOCK_MAX: Duration = Duration::from_secs(15 * 60);
/// After so long without a wrong key, an address starts anew.
const QUIET: Duration = Duration::from_secs(60 * 60);
/// Addresses that are remembered; beyond it the one that was quiet for longest is forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// What is known of the addresses that gave wrong keys.
#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Failures>>);

struct Failures {
    /// Different ones within the window, since the last lock; never more than [`FAILURES_MAX`].
    keys: Vec<WrongKey>,
    /// When the last one that was new came.
    last_at: Instant,
    locks: u32,
    locked_until: Option<Instant>,
}

struct WrongKey {
    /// The beginning of a digest: enough to know it again, and not the key.
    mark: u64,
    last_at: Instant,
}

/// The address has to wait so long, whatever key it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locked {
    pub(super) left: Duration,
}

impl Locked {
    /// After which the address is open again.
    pub(super) fn seconds(self) -> u32 {
        let seconds = self.left.as_secs() + u64::from(self.left.subsec_nanos() > 0);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

impl Throttle {
    /// Whether anything is taken from there.
    pub(super) fn look(&self, client: ClientAddress, now: Instant) -> Result<(), Locked> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&client.network()).map_or(Ok(()), |failures| failures.look(now))
    }

    /// Takes note of a key that was given, and says whether it is taken.
    pub(super) fn judge(
        &self,
        client: ClientAddress,
        given: &str,
        is_right: bool,
        now: Instant,
    ) -> Result<bool, Locked> {
        let address = client.network();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failures) = known.get(&address) {
            failures.look(now)?;
            if now.saturating_duration_since(failures.quiet_since()) >= QUIET {
                known.remove(&address);
            }
        }
        if is_right {
            return Ok(true);
        }
        if known.len() >= ADDRESSES_MAX && !known.contains_key(&address) {
            let stalest = known.iter().min_by_key(|(_, failures)| failures.quiet_since()).map(|(address, _)| *address);
            stalest.map(|address| known.remove(&address));
        }
        let failures = known.entry(address).or_insert_with(|| Failures::new(now));
        if let Some(lock) = failures.count(mark(given), now) {
            tracing::warn!(
                %address,
                seconds = lock.as_secs(),
                "Too many wrong management keys from {address}: none is taken from there for {} s",
                lock.as_secs()
            );
        }
        Ok(false)
    }

    /// Whoever has logged in is no stranger.
    pub(super) fn forget(&self, client: ClientAddress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&client.network());
    }
}

impl Failures {
    fn new(now: Instant) -> Self {
        Self { keys: Vec::new(), last_at: now, locks: 0, locked_until: None }
    }

    fn look(&self, now: Instant) -> Result<(), Locked> {
        let left = self.locked_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if left.is_zero() { Ok(()) } else { Err(Locked { left }) }
    }

    /// Returns for how long the address is locked from now on, if it is.
    fn count(&mut self, mark: u64, now: Instant) -> Option<Duration> {
        self.keys.retain(|key| now.saturating_duration_since(key.last_at) < WINDOW);
        if let Some(key) = self.keys.iter_mut().find(|key| key.mark == mark) {
            key.last_at = now;
            return None;
        }
        self.last_at = now;
        self.keys.push(WrongKey { mark, last_at: now });
        if self.keys.len() < FAILURES_MAX {
            return None;
        }
        let lock = LOCK_MIN.saturating_mul(2_u32.saturating_pow(self.locks)).min(LOCK_MAX);
        self.keys.clear();
        self.locks = self.locks.saturating_add(1);
        self.locked_until = Some(now + lock);
        Some(lock)
    }

    fn quiet_since(&self) -> Instant {
        self.locked_until.map_or(self.last_at, |until| until.max(self.last_at))
    }
}

fn mark(key: &str) -> u64 {
    crypto::digest(key)[..size_of::<u64>()].iter().fold(0, |mark, byte| (mark << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    /// A key that was not tried before.
    fn guess(throttle: &Throttle, from: &str, now: Instant) -> Result<bool, Locked> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let key = format!("guess {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        throttle.judge(client(from), &key, false, now)
    }

    fn right(throttle: &Throttle, from: &str, now: Instant) -> Result<bool, Locked> {
        throttle.judge(client(from), "right", true, now)
    }

    /// Wrong keys from one address, one a second, until it is locked: when that is, and for how long.
    fn lock(throttle: &Throttle, from: &str, mut now: Instant) -> (Instant, Duration) {
        for number in 0..FAILURES_MAX {
            now += if number == 0 { Duration::ZERO } else { SECOND };
            assert_eq!(guess(throttle, from, now), Ok(false));
        }
        (now, right(throttle, from, now).unwrap_err().left)
    }

    #[test]
    fn each_lock_is_twice_as_long_as_the_one_before_up_to_a_limit() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        for seconds in [30, 60, 120, 240, 480, 900, 900] {
            let (at, left) = lock(&throttle, "192.0.2.1", now);
            assert_eq!(left, seconds * SECOND);
            let almost = at + left.saturating_sub(SECOND / 2);
            assert_eq!(guess(&throttle, "192.0.2.1", almost).unwrap_err().seconds(), 1);
            now = at + left;
            assert_eq!(right(&throttle, "192.0.2.1", now), Ok(true), "a lock ends");
        }
    }

    #[test]
    fn what_is_refused_during_a_lock_does_not_prolong_it() {
        let throttle = Throttle::default();
        let (at, left) = lock(&throttle, "192.0.2.1", Instant::now());
        for _ in 0..100 {
            guess(&throttle, "192.0.2.1", at + SECOND).unwrap_err();
        }
        assert_eq!(guess(&throttle, "192.0.2.1", at + left), Ok(false));
    }

    #[test]
    fn failures_older_than_the_window_do_not_count() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        for _ in 0..5 * FAILURES_MAX {
            assert_eq!(guess(&throttle, "192.0.2.1", now), Ok(false));
            now += WINDOW / 9 + SECOND;
        }
    }

    /// A console or a script with an old key asks again and again.
    #[test]
    fn a_wrong_key_that_is_repeated_counts_once() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        for _ in 0..100 * FAILURES_MAX {
            assert_eq!(throttle.judge(client("192.0.2.1"), "old", false, now), Ok(false));
            now += SECOND;
        }
        for _ in 0..FAILURES_MAX - 2 {
            assert_eq!(guess(&throttle, "192.0.2.1", now), Ok(false));
        }
        assert_eq!(right(&throttle, "192.0.2.1", now), Ok(true));
        assert_eq!(guess(&throttle, "192.0.2.1", now), Ok(false), "the last one that is still free");
        assert_eq!(throttle.look(client("192.0.2.1"), now), Err(Locked { left: LOCK_MIN }));
        assert_eq!(throttle.judge(client("192.0.2.1"), "old", false, now), Err(Locked { left: LOCK_MIN }));
        assert_eq!(throttle.look(client("192.0.2.2"), now), Ok(()));
    }

    /// Else the locks would be long for good.
    #[test]
    fn a_wrong_key_that_is_repeated_does_not_break_the_quiet() {
        let throttle = Throttle::default();
        let (at, left) = lock(&throttle, "192.0.2.1", Instant::now());
        let begin = at + left;
        let mut now = begin;
        while now < begin + QUIET {
            throttle.judge(client("192.0.2.1"), "old", false, now).unwrap();
            now += 30 * SECOND;
        }
        assert_eq!(lock(&throttle, "192.0.2.1", now).1, LOCK_MIN);
    }

    #[test]
    fn an_hour_of_quiet_and_a_log_in_start_anew() {
        let throttle = Throttle::default();
        let (at, left) = lock(&throttle, "192.0.2.1", Instant::now());
        let (at, left) = lock(&throttle, "192.0.2.1", at + left);
        assert_eq!(left, 60 * SECOND);
        let (at, left) = lock(&throttle, "192.0.2.1", at + left + QUIET);
        assert_eq!(left, 30 * SECOND);
        throttle.forget(client("192.0.2.1"));
        assert_eq!(lock(&throttle, "192.0.2.1", at + SECOND).1, left);
    }

    #[test]
    fn an_address_is_locked_alone_and_ipv6_by_its_network() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let (at, _) = lock(&throttle, "192.0.2.1", now);
        right(&throttle, "::ffff:192.0.2.1", at).unwrap_err();
        assert_eq!(right(&throttle, "192.0.2.2", at), Ok(true));
        let (at, _) = lock(&throttle, "2001:db8:1:2::1", now);
        right(&throttle, "2001:db8:1:2:ffff::9", at).unwrap_err();
        assert_eq!(right(&throttle, "2001:db8:1:3::1", at), Ok(true));
    }

    #[test]
    fn only_so_many_addresses_are_remembered_and_the_stalest_goes() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let (at, _) = lock(&throttle, "192.0.2.1", now);
        guess(&throttle, "192.0.2.2", at).unwrap();
        for number in 0..ADDRESSES_MAX - 1 {
            let address = IpAddr::V4((0x0a00_0000 + u32::try_from(number).unwrap()).into());
            throttle.judge(ClientAddress(address), "wrong", false, at + SECOND).unwrap();
        }
        let known = throttle.0.lock().unwrap();
        assert_eq!(known.len(), ADDRESSES_MAX);
        assert!(known.contains_key(&client("192.0.2.1").0), "a lock lasts longer than a failure");
        assert!(!known.contains_key(&client("192.0.2.2").0));
    }
}
