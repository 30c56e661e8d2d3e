//! POST /api/groups/{id}/copy: a new group like another one; a task copies its keys.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, app_url, shown::Shown};
use crate::{
    api::{
        answer::Answer,
        body::{Body, Fields, FromFields, Misread},
        document::{self, Shape, shape::one_of},
        keys::Imported,
        language::Language,
        path::GroupInPath,
        refusal::Refusal,
        tasks,
    },
    group::{self, GroupId, Record},
    keypool::{KeyStatus, Statuses},
    task::{Kind, NewTask, Outcome, Progress, StartError, Task},
};

/// `{"copy_keys": "all"}`
pub(in crate::api) struct Wanted {
    copy_keys: String,
}

impl FromFields for Wanted {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { copy_keys: fields.text("copy_keys")?.unwrap_or_default() })
    }

    fn shape() -> Shape {
        Shape::default().optional(
            "copy_keys",
            one_of(&["all", "valid_only", "none"]),
            "Which keys come along; all unless given",
        )
    }
}

/// Which keys come along.
enum Keys {
    None,
    All,
    Active,
}

impl Wanted {
    fn keys(&self) -> Result<Keys, Refusal> {
        match self.copy_keys.trim() {
            "" | "all" => Ok(Keys::All),
            "valid_only" => Ok(Keys::Active),
            "none" => Ok(Keys::None),
            _ => Err(Refusal::invalid("validation.invalid_copy_keys_value")),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = GroupCopied)]
pub(in crate::api) struct Copied<'a> {
    group: Shown<'a>,
    /// Copies the keys; absent where there are none to copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    task: Option<tasks::Shown<'a>>,
    /// The group is there, its keys are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    task_error: Option<String>,
}

impl document::Shown for Copied<'_> {}

pub(in crate::api) async fn copy(
    api: Api,
    language: Language,
    GroupInPath(id): GroupInPath,
    Body(wanted): Body<Wanted>,
) -> Result<Answer<Copied<'static>>, Refusal> {
    let keys = wanted.keys()?;
    let group = group::copy(&api.database, id).await?;
    let started = match keys {
        Keys::None => Ok(None),
        // A key that was taken out by hand must not serve elsewhere.
        Keys::All => copy_keys(&api, id, Statuses::AllBut(KeyStatus::Disabled), &group).await,
        Keys::Active => copy_keys(&api, id, Statuses::Only(KeyStatus::Active), &group).await,
    };
    let (task, task_error) = match started {
        Ok(task) => (task, None),
        Err(error) => {
            tracing::error!(%error, "The keys of group {id} are not copied to group {}: {error}", group.name);
            (None, Some(language.say("task.keys_not_copied", &[])))
        }
    };
    api.put_into_effect().await?;
    let task = task.as_ref().map(tasks::Shown::of);
    Answer::with(&Copied { group: Shown::of(&group, &app_url(&api)), task, task_error })
}

/// `None`: there is nothing to copy.
async fn copy_keys(
    api: &Api,
    source: GroupId,
    statuses: Statuses,
    target: &Record,
) -> Result<Option<Task>, StartError> {
    let (count, last_id) = api.key_pools.extent(source, statuses).await?;
    if count == 0 {
        return Ok(None);
    }
    api.key_pools.check_writable()?;
    let (pools, target_id) = (api.key_pools.clone(), target.id);
    let new = NewTask { kind: Kind::Import, group_id: target_id, group_name: target.name.clone(), total: count };
    let job = move |progress: Progress| async move {
        let mut was_cut = false;
        let heard = |processed| {
            let answer = progress.report(processed);
            was_cut = answer.is_break() && (processed as u64) < count;
            answer
        };
        let (added, unreadable) = pools.copy((source, statuses, last_id), target_id, heard).await?;
        Outcome::new(&Imported::of(&added, Some(unreadable)), was_cut)
    };
    api.tasks.start(new, job).await.map(Some)
}
