//! Temporary stand-in.
use chrono::{DateTime, NaiveDateTime, Utc};
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone { Utc }
impl Zone {
    pub(crate) fn to_wall(self, at: DateTime<Utc>) -> NaiveDateTime { at.naive_utc() }
    pub(crate) fn from_wall(self, wall: NaiveDateTime) -> DateTime<Utc> { wall.and_utc() }
}
