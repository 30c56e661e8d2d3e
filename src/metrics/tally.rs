//! Counts of entries of the request log, by group, channel and outcome.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::histogram::Histogram;
use crate::request_log::{Entry, GroupName, Kind, Observer, Verdict};

/// Names of groups that have figures of their own. Whoever renames groups all the time gets the rest under [`OTHER`].
const GROUP_NAMES_MAX: usize = 10_000;
/// Rows of one group's requests: statuses that an upstream may think up, times aggregates that may be renamed.
const REQUEST_ROWS_MAX: usize = 2_000;
/// In place of a group, or of a channel, where there is none. No group can be called so.
pub(super) const NONE: &str = "(none)";
/// All groups, or aggregates, that are too many.
pub(super) const OTHER: &str = "(other)";

/// In seconds, up to the usual time limit of a request.
const DURATION_BOUNDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const FIRST_BYTE_BOUNDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];
const OVERHEAD_BOUNDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0];

/// Changed by the log's writer, lot by lot, and read by whoever scrapes: each of them sees whole lots.
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Default)]
pub(super) struct Counts {
    /// By name. Nearly always one row: the channel of a group seldom changes.
    pub(super) groups: HashMap<Arc<str>, Vec<GroupCounts>>,
    /// By channel alone: our own work does not depend on whose request it is, and another dozen rows for each group
    /// would say the same again.
    pub(super) overheads: Vec<(&'static str, Histogram)>,
}

/// What came of the requests of one group.
pub(super) struct GroupCounts {
    pub(super) channel: &'static str,
    pub(super) requests: Vec<RequestCount>,
    /// By status.
    pub(super) attempts: Vec<(u16, u64)>,
    /// In the order of [`Verdict::ALL`].
    pub(super) verdicts: [u64; Verdict::ALL.len()],
    pub(super) durations: Histogram,
    pub(super) first_bytes: Histogram,
}

pub(super) struct RequestCount {
    /// The aggregate that was asked; `None`: the group itself was.
    pub(super) aggregate: Option<Arc<str>>,
    pub(super) status: u16,
    pub(super) count: u64,
}

/// The log's writer, as it is observed.
pub(super) struct Counting(pub(super) Arc<Tally>);

impl Observer for Counting {
    fn see(&mut self, entries: &[Entry]) {
        let mut counts = self.0.counts();
        for entry in entries {
            counts.add(entry);
        }
    }
}

impl Tally {
    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        let is_final = entry.kind == Kind::Final;
        let channel = entry.group.as_ref().map_or(NONE, |group| group.channel.name());
        if is_final {
            self.overhead(channel).observe(entry.overhead);
        }
        let group = self.group(entry.group.as_ref(), channel);
        if let Some(count) = Verdict::ALL.iter().position(|verdict| *verdict == entry.verdict) {
            group.verdicts[count] += 1;
        }
        // 0: it was refused before the first.
        if entry.attempt > 0 {
            *group.attempts_of(entry.status) += 1;
        }
        if is_final {
            *group.requests_of(entry.parent.as_ref(), entry.status) += 1;
            group.durations.observe(entry.duration);
            if let Some(first_byte) = entry.first_byte {
                group.first_bytes.observe(first_byte);
            }
        }
    }

    fn group(&mut self, group: Option<&GroupName>, channel: &'static str) -> &mut GroupCounts {
        let name = group.map_or(NONE, |group| &*group.name);
        let is_known = self.groups.contains_key(name);
        let is_full = self.groups.len() >= GROUP_NAMES_MAX;
        let key: Arc<str> = match group {
            Some(group) if is_known || !is_full => Arc::clone(&group.name),
            Some(_) => OTHER.into(),
            None => NONE.into(),
        };
        let rows = self.groups.entry(key).or_default();
        let index = rows.iter().position(|row| row.channel == channel).unwrap_or_else(|| {
            rows.push(GroupCounts::new(channel));
            rows.len() - 1
        });
        &mut rows[index]
    }

    fn overhead(&mut self, channel: &'static str) -> &mut Histogram {
        let index = self.overheads.iter().position(|(known, _)| *known == channel).unwrap_or_else(|| {
            self.overheads.push((channel, Histogram::new(OVERHEAD_BOUNDS)));
            self.overheads.len() - 1
        });
        &mut self.overheads[index].1
    }
}

impl GroupCounts {
    fn new(channel: &'static str) -> Self {
        Self {
            channel,
            requests: Vec::new(),
            attempts: Vec::new(),
            verdicts: [0; Verdict::ALL.len()],
            durations: Histogram::new(DURATION_BOUNDS),
            first_bytes: Histogram::new(FIRST_BYTE_BOUNDS),
        }
    }

    /// The usual outcomes came first, so they are found at once.
    fn attempts_of(&mut self, status: u16) -> &mut u64 {
        let index = self.attempts.iter().position(|(known, _)| *known == status).unwrap_or_else(|| {
            self.attempts.push((status, 0));
            self.attempts.len() - 1
        });
        &mut self.attempts[index].1
    }

    fn requests_of(&mut self, aggregate: Option<&GroupName>, status: u16) -> &mut u64 {
        let name = aggregate.map(|aggregate| &aggregate.name);
        if let Some(index) = self.find(name.map(|name| &**name), status) {
            return &mut self.requests[index].count;
        }
        let aggregate = match name {
            Some(_) if self.requests.len() >= REQUEST_ROWS_MAX => Some(OTHER.into()),
            name => name.cloned(),
        };
        let index = self.find(aggregate.as_deref(), status).unwrap_or_else(|| {
            self.requests.push(RequestCount { aggregate, status, count: 0 });
            self.requests.len() - 1
        });
        &mut self.requests[index].count
    }

    fn find(&self, aggregate: Option<&str>, status: u16) -> Option<usize> {
        self.requests.iter().position(|row| row.status == status && row.aggregate.as_deref() == aggregate)
    }
}
