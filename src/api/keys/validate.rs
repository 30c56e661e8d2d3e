//! POST /api/keys/validate-group: a task tests all keys of a group, or those of one status, and acts on each answer.

use std::sync::Arc;

use serde::Serialize;

use super::{Api, serving};
use crate::{
    api::{
        answer::Answer,
        body::{Body, Fields, FromFields, Misread},
        document::{
            Shape,
            shape::{id, one_of},
        },
        refusal::Refusal,
        tasks::Shown,
    },
    group::{self, Group, GroupId},
    keypool::{KeyStatus, Statuses, Swept, ToTest},
    task::{Kind, NewTask, Outcome, Progress, Task},
};

/// Those of a status that may be asked for.
const TESTED: [KeyStatus; 2] = [KeyStatus::Active, KeyStatus::Invalid];

/// `{"group_id": 1, "status": "invalid"}`
pub(in crate::api) struct Wanted {
    group_id: GroupId,
    status: Option<String>,
}

impl FromFields for Wanted {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let status = fields.text("status")?.filter(|status| !status.is_empty());
        Ok(Self { group_id: fields.needed_id("group_id")?, status })
    }

    fn shape() -> Shape {
        let statuses = TESTED.map(KeyStatus::name);
        Shape::default().needed("group_id", id(), "The group").optional("status", one_of(&statuses), "Only those")
    }
}

/// What the tests said: the members of the original, in which every tested key is valid or not, then what is unknown.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the members are the original's")]
struct Validated {
    total_keys: usize,
    valid_keys: usize,
    invalid_keys: usize,
    /// Of those that are not valid: nothing was said about the key, because of a limit or an outage.
    undecided_keys: usize,
}

impl From<Swept> for Validated {
    fn from(swept: Swept) -> Self {
        Self {
            total_keys: swept.tested(),
            valid_keys: swept.valid,
            invalid_keys: swept.invalid + swept.undecided,
            undecided_keys: swept.undecided,
        }
    }
}

pub(in crate::api) async fn validate(api: Api, Body(wanted): Body<Wanted>) -> Result<Answer<Shown<'static>>, Refusal> {
    api.key_pools.check_writable()?;
    let invalid_status = || Refusal::invalid("validation.invalid_status_value");
    let status = |name: String| TESTED.into_iter().find(|status| status.name() == name).ok_or_else(invalid_status);
    let statuses = match wanted.status.map(status).transpose()? {
        Some(status) => Statuses::Only(status),
        // What was taken out by hand is left alone.
        None => Statuses::AllBut(KeyStatus::Disabled),
    };
    let stored = group::queries::find(api.database.readers(), wanted.group_id).await?;
    let group = serving(&api, &stored)?;
    let (count, last_id) = api.key_pools.extent(group.id, statuses).await?;
    if count == 0 {
        return Err(Refusal::invalid(("validation.no_keys_to_validate", [("name", stored.name)])));
    }
    let task = start(&api, group, stored.name, ToTest::up_to(last_id, statuses), count).await?;
    Answer::with(&Shown::of(&task))
}

/// The same for keys that were chosen.
pub(super) async fn validate_those(api: &Api, group: Arc<Group>, name: String, ids: Vec<i64>) -> Result<Task, Refusal> {
    let count = ids.len() as u64;
    start(api, group, name, ToTest::Those(ids.into()), count).await
}

async fn start(api: &Api, group: Arc<Group>, group_name: String, which: ToTest, total: u64) -> Result<Task, Refusal> {
    let new = NewTask { kind: Kind::Validation, group_id: group.id, group_name, total };
    let validator = api.validator.clone();
    let job = |progress: Progress| async move {
        let heard = |tested| {
            // Each test hears of the cancellation itself.
            let _ = progress.report(tested);
        };
        let swept = validator.sweep(&group, which, &progress.cancellation(), heard).await?;
        Outcome::new(&Validated::from(swept), swept.was_cut)
    };
    Ok(api.tasks.start(new, job).await?)
}
