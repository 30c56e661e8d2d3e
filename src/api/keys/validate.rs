//! POST /api/keys/validate-group: a task tests all keys of a group, or those of one status, and acts on each answer.

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
    group::{self, GroupId},
    keypool::{KeyStatus, Swept},
    task::{Kind, NewTask, Outcome, Progress},
};

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
        let statuses = [KeyStatus::Active.name(), KeyStatus::Invalid.name()];
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
    let status = wanted.status.map(|name| KeyStatus::parse(&name).ok_or_else(invalid_status)).transpose()?;
    let stored = group::queries::find(api.database.readers(), wanted.group_id).await?;
    let group = serving(&api, &stored)?;
    let (count, last_id) = api.key_pools.extent(group.id, status).await?;
    if count == 0 {
        return Err(Refusal::invalid(("validation.no_keys_to_validate", [("name", stored.name)])));
    }
    let new = NewTask { kind: Kind::Validation, group_id: group.id, group_name: stored.name, total: count };
    let validator = api.validator.clone();
    let job = |progress: Progress| async move {
        let heard = |tested| {
            // Each test hears of the cancellation itself.
            let _ = progress.report(tested);
        };
        let swept = validator.sweep(&group, (status, last_id), &progress.cancellation(), heard).await?;
        Outcome::new(&Validated::from(swept), swept.was_cut)
    };
    Answer::with(&Shown::of(&api.tasks.start(new, job).await?))
}
