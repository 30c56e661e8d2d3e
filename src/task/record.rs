//! What is known about one task.

use serde_json::value::RawValue;

use crate::db::{self, FromRow, Row, Tasks as T, Timestamp};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Import,
    Deletion,
    Validation,
    /// Keys are put into another state, moved or annotated.
    Update,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Import => "KEY_IMPORT",
            Self::Deletion => "KEY_DELETE",
            Self::Validation => "KEY_VALIDATION",
            Self::Update => "KEY_UPDATE",
        }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    /// It was told to stop, and has not stopped yet.
    Cancelling,
    /// It came to its end.
    Finished,
    /// It was told to stop; its result says what it had done.
    Cancelled,
    /// Its error says why.
    Failed,
    /// The process ended before it did.
    Interrupted,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Running, Self::Cancelling, Self::Finished, Self::Cancelled, Self::Failed, Self::Interrupted];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Cancelling)
    }

    /// A state of a later version is over for us.
    fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.name() == name).unwrap_or(Self::Interrupted)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: i64,
    /// The name of a [`Kind`], or of one that a later version knows.
    pub(crate) kind: String,
    pub(crate) group_id: i64,
    /// As it was when the task began.
    pub(crate) group_name: String,
    pub(crate) state: State,
    /// How many of `total` things are dealt with.
    pub(crate) processed: u64,
    pub(crate) total: u64,
    /// What it did, once it is over.
    pub(crate) result: Option<Box<RawValue>>,
    /// Why it failed, in English.
    pub(crate) error: Option<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

impl FromRow for Task {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let count = |column: T| Ok::<_, db::Error>(row.get::<i64>(column.name())?.unsigned_abs());
        let result: Option<String> = row.get(T::Result.name())?;
        Ok(Self {
            id: row.get(T::Id.name())?,
            kind: row.get(T::TaskType.name())?,
            group_id: row.get(T::GroupId.name())?,
            group_name: row.get(T::GroupName.name())?,
            state: State::parse(&row.get::<String>(T::State.name())?),
            processed: count(T::Processed)?,
            total: count(T::Total)?,
            // What is no JSON cannot be shown.
            result: result.and_then(|text| RawValue::from_string(text).ok()),
            error: row.get(T::Error.name())?,
            started_at: row.get(T::StartedAt.name())?,
            finished_at: row.get(T::FinishedAt.name())?,
        })
    }
}
