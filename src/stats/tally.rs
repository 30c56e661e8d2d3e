//! How requests are counted: by group and hour, each attempt once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{db::Timestamp, group::GroupId};

/// Of one record in the log, what counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) ended_at: DateTime<Utc>,
    /// The group that served; `None`: there is no such group.
    pub(crate) group: Option<GroupId>,
    /// The aggregate that was asked, if one was.
    pub(crate) parent: Option<GroupId>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    /// The client left before its answer ended: nobody failed.
    Aborted,
    /// Another attempt followed, whose outcome is what counts.
    Retried,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) successes: i64,
    pub(crate) failures: i64,
    pub(crate) retries: i64,
    pub(crate) aborted: i64,
}

impl Counts {
    /// What clients got an answer to.
    pub(crate) fn requests(self) -> i64 {
        self.successes + self.failures
    }

    /// Failures among the requests, from 0 to 1; 0 where there are none.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
    pub(crate) fn failure_rate(self) -> f64 {
        if self.requests() == 0 { 0.0 } else { self.failures as f64 / self.requests() as f64 }
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.successes += 1,
            Outcome::Failure => self.failures += 1,
            Outcome::Aborted => self.aborted += 1,
            Outcome::Retried => self.retries += 1,
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            successes: sum.successes + one.successes,
            failures: sum.failures + one.failures,
            retries: sum.retries + one.retries,
            aborted: sum.aborted + one.aborted,
        })
    }
}

/// What is added to the figures of a group in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(super) hour: Timestamp,
    pub(super) group_id: GroupId,
    pub(super) counts: Counts,
}

/// Each group's counts by hour, in the order of the table's index. What came in through an aggregate counts for it and
/// for the member that served.
pub(crate) fn tallies(facts: impl Iterator<Item = Fact>) -> impl Iterator<Item = Tally> {
    let mut counts: BTreeMap<(Timestamp, GroupId), Counts> = BTreeMap::new();
    let mut last_hour: Option<(i64, Timestamp)> = None;
    for fact in facts {
        let hour = hour_of(fact.ended_at, &mut last_hour);
        for group_id in fact.group.into_iter().chain(fact.parent) {
            counts.entry((hour, group_id)).or_default().count(fact.outcome);
        }
    }
    counts.into_iter().map(|((hour, group_id), counts)| Tally { hour, group_id, counts })
}

/// Most records of a lot end in the same hour.
fn hour_of(at: DateTime<Utc>, last: &mut Option<(i64, Timestamp)>) -> Timestamp {
    const SECONDS: i64 = 3_600;
    let number = at.timestamp().div_euclid(SECONDS);
    match last {
        Some((known, hour)) if *known == number => *hour,
        _ => last.insert((number, Timestamp(at).hour())).1,
    }
}
