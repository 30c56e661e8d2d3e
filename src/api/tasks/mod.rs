//! Long jobs: how they are going, what came of them, and how they are stopped.

mod cancel;
mod list;
mod read;
mod status;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Api, document};
use crate::{
    db::Timestamp,
    task::{State, Task},
};

pub(super) use self::{cancel::cancel, list::list, read::read, status::status};

/// A task: first the members that the original's console knows, then ours.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct Shown<'a> {
    /// `KEY_IMPORT`, `KEY_DELETE`, `KEY_VALIDATION` or `KEY_UPDATE`.
    task_type: &'a str,
    is_running: bool,
    group_name: &'a str,
    processed: u64,
    total: u64,
    /// What it did, in numbers, by its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'a str>,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, nullable = false)]
    duration_seconds: Option<Box<RawValue>>,
    id: i64,
    group_id: i64,
    state: &'static str,
    cancellable: bool,
}

impl document::Shown for Shown<'_> {}

impl<'a> Shown<'a> {
    pub(super) fn of(task: &'a Task) -> Self {
        Self {
            task_type: &task.kind,
            is_running: !task.state.is_over(),
            group_name: &task.group_name,
            processed: task.processed,
            total: task.total,
            result: task.result.as_deref(),
            error: task.error.as_deref(),
            started_at: task.started_at,
            finished_at: task.finished_at,
            duration_seconds: task.finished_at.and_then(|end| seconds_between(task.started_at, end)),
            id: task.id,
            group_id: task.group_id,
            state: task.state.name(),
            cancellable: task.state == State::Running,
        }
    }
}

/// A whole number of seconds has no decimal point. A clock that was set back took no time.
fn seconds_between(begin: Timestamp, end: Timestamp) -> Option<Box<RawValue>> {
    let duration = (end.0 - begin.0).to_std().unwrap_or_default();
    let text = match duration.subsec_nanos() {
        0 => duration.as_secs().to_string(),
        _ => duration.as_secs_f64().to_string(),
    };
    RawValue::from_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_of_seconds() {
        let at = |text| Timestamp::parse_stored(text).unwrap();
        let check = |begin, end, expected| assert_eq!(seconds_between(at(begin), at(end)).unwrap().get(), expected);
        check("2026-11-25 10:00:00.1", "2026-11-25 10:00:03.476543211", "3.376543211");
        check("2026-11-25 10:00:00", "2026-11-25 10:01:00", "60");
        check("2026-11-25 10:00:00", "2026-11-25 09:00:00", "0");
        check("2026-11-25 10:00:00", "2026-11-25 10:00:00.000001", "0.000001");
    }
}
