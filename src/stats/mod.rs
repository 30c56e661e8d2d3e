//! What the log adds up to: hourly tallies of each group, and the figures of the console that are made of them.

mod by_group;
mod figures;
mod queries;
mod retention;
mod tally;

use chrono::{DateTime, Utc};

pub(crate) use self::{
    by_group::{GroupFigures, by_group},
    figures::{Change, Point, last_day, of_group, overview, rate},
    queries::{add_tally, delete_of_aggregate},
    retention::delete_old_hours,
    tally::{Counts, Fact, Outcome, tallies},
};
use crate::group::GroupId;

/// Whose figures are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Group(GroupId),
    /// All groups but aggregates: what came in through one of them is counted for its member, too.
    All,
}

/// From the first instant, and before the second.
type Span = (DateTime<Utc>, DateTime<Utc>);
