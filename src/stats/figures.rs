//! The figures that the console shows: of a group, of the whole installation, hour by hour.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Counts, Scope, queries};
use crate::{
    db::{self, Database, Timestamp},
    group::GroupId,
};

pub(super) const HOUR: TimeDelta = TimeDelta::hours(1);
pub(super) const DAY_HOURS: i32 = 24;
const WEEK_HOURS: i32 = 7 * DAY_HOURS;
const MONTH_HOURS: i32 = 30 * DAY_HOURS;
/// Requests a minute are those of so many minutes, divided by them.
pub(super) const RATE_MINUTES: u32 = 10;

/// A group's counts up to now, the current hour included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Windows {
    pub(crate) day: Counts,
    pub(crate) week: Counts,
    pub(crate) month: Counts,
}

/// One hour of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) begin: DateTime<Utc>,
    pub(crate) counts: Counts,
}

/// Requests of the whole installation, and of the span before, to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overview {
    /// The last 24 hours.
    pub(crate) current: Counts,
    pub(crate) previous: Counts,
}

/// How a figure moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// In percent, or in percentage points.
    pub(crate) trend: f64,
    /// Whether that is what an operator likes to see.
    pub(crate) is_good: bool,
}

pub(crate) async fn of_group(database: &Database, id: GroupId, now: DateTime<Utc>) -> Result<Windows, db::Error> {
    let end = hour_of(now) + HOUR;
    let hours = queries::hours(database.readers(), Scope::Group(id), (end - HOUR * MONTH_HOURS, end)).await?;
    let last = |number: i32| sum(&hours, (end - HOUR * number, end));
    Ok(Windows { day: last(DAY_HOURS), week: last(WEEK_HOURS), month: last(MONTH_HOURS) })
}

/// The last 24 hours one by one, the oldest first, the current one last.
pub(crate) async fn last_day(database: &Database, scope: Scope, now: DateTime<Utc>) -> Result<Vec<Point>, db::Error> {
    let last = hour_of(now);
    let first = last - HOUR * (DAY_HOURS - 1);
    let hours = queries::hours(database.readers(), scope, (first, last + HOUR)).await?;
    let point = |number| {
        let begin = first + HOUR * number;
        Point { begin, counts: sum(&hours, (begin, begin + HOUR)) }
    };
    Ok((0..DAY_HOURS).map(point).collect())
}

pub(crate) async fn overview(database: &Database, now: DateTime<Utc>) -> Result<Overview, db::Error> {
    let day_ago = now - HOUR * DAY_HOURS;
    let two_days_ago = day_ago - HOUR * DAY_HOURS;
    let hours = queries::hours(database.readers(), Scope::All, (two_days_ago, now)).await?;
    Ok(Overview { current: sum(&hours, (day_ago, now)), previous: sum(&hours, (two_days_ago, day_ago)) })
}

/// Requests a minute over the last ten minutes, and how that differs from the ten before, in percent.
pub(crate) async fn rate(database: &Database, now: DateTime<Utc>) -> Result<(f64, Change), db::Error> {
    let minutes = TimeDelta::minutes(RATE_MINUTES.into());
    let readers = database.readers();
    let current = queries::requests_logged(readers, (now - minutes, now)).await?;
    let previous = queries::requests_logged(readers, (now - minutes * 2, now - minutes)).await?;
    Ok((float(current) / f64::from(RATE_MINUTES), growth(current, previous)))
}

impl Overview {
    pub(crate) fn requests_change(&self) -> Change {
        growth(self.current.requests(), self.previous.requests())
    }

    /// In percentage points; fewer failures are good.
    pub(crate) fn error_rate_change(&self) -> Change {
        let rate = self.current.failure_rate() * 100.0;
        if self.previous.requests() > 0 {
            let trend = rate - self.previous.failure_rate() * 100.0;
            return Change { trend, is_good: trend < 0.0 };
        }
        // Without anything to compare with, every failure is new.
        Change { trend: rate, is_good: self.current.failures == 0 }
    }
}

/// In percent of what was before.
fn growth(current: i64, previous: i64) -> Change {
    let trend = match (current, previous) {
        (0, 0) => 0.0,
        (_, 0) => 100.0,
        _ => (float(current) - float(previous)) / float(previous) * 100.0,
    };
    Change { trend, is_good: trend >= 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people needs no more than 53 bits")]
pub(super) fn float(count: i64) -> f64 {
    count as f64
}

pub(super) fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    Timestamp(at).hour().0
}

fn sum(hours: &[(DateTime<Utc>, Counts)], (from, to): super::Span) -> Counts {
    hours.iter().filter(|(hour, _)| (from..to).contains(hour)).map(|(_, counts)| *counts).sum()
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
