//! Ids in the path of a request.

use axum::extract::{FromRequestParts, Path, RawPathParams};
use http::request::Parts;
use uuid::Uuid;

use super::{answer::Message, refusal::Refusal};

/// `{id}` of a group. One that is negative parses, and no group has it.
pub(crate) struct GroupInPath(pub(crate) i64);

/// `{group}`, by name.
pub(crate) struct GroupNameInPath(pub(crate) String);

/// `{sub_group_id}`.
pub(crate) struct SubGroupInPath(pub(crate) i64);

/// `{id}` of a key.
pub(crate) struct KeyInPath(pub(crate) i64);

/// `{id}` of a task.
pub(crate) struct TaskInPath(pub(crate) i64);

/// `{id}` of an entry of the log.
pub(crate) struct LogEntryInPath(pub(crate) Uuid);

async fn id<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Option<i64> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok()?;
    parameters.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.parse().ok())
}

impl<S: Send + Sync> FromRequestParts<S> for GroupInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = id(parts, state, "id").await;
        id.map(Self).ok_or_else(|| Refusal::bad_request("validation.invalid_group_id"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for GroupNameInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        // A name that is not UTF-8 once decoded is nobody's.
        let name = Path::<String>::from_request_parts(parts, state).await;
        name.map(|Path(name)| Self(name)).map_err(|_| Refusal::absent(Message::verbatim("Group not found")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SubGroupInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = id(parts, state, "sub_group_id").await;
        id.map(Self).ok_or_else(|| Refusal::bad_request("validation.invalid_sub_group_id"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = id(parts, state, "id").await.filter(|&id| id > 0);
        id.map(Self).ok_or_else(|| Refusal::bad_request("validation.invalid_key_id"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LogEntryInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let refusal = || Refusal::bad_request("validation.invalid_log_entry_id");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| refusal())?;
        Uuid::try_parse(&text).map(Self).map_err(|_| refusal())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TaskInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = id(parts, state, "id").await.filter(|&id| id > 0);
        id.map(Self).ok_or_else(|| Refusal::bad_request("validation.invalid_task_id"))
    }
}
