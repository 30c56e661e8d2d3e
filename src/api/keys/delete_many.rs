//! POST /api/keys/delete-async: a task deletes any number of keys by their texts.

use serde::Serialize;

use super::{Api, parse_many, upload::KeysToDelete};
use crate::{
    api::{answer::Answer, refusal::Refusal, tasks::Shown},
    task::{Kind, NewTask, Outcome, Progress},
};

#[derive(Serialize)]
pub(super) struct Deleted {
    pub(super) deleted_count: u64,
    pub(super) ignored_count: u64,
}

pub(in crate::api) async fn delete_many(
    api: Api,
    KeysToDelete(wanted, place): KeysToDelete,
) -> Result<Answer<Shown<'static>>, Refusal> {
    api.key_pools.check_writable()?;
    let group = wanted.group(&api).await?;
    let keys = match wanted.as_one_key(&api).await? {
        Some(whole) => vec![whole],
        None => parse_many(wanted.keys_text).await?,
    };
    drop(place);
    let new = NewTask { kind: Kind::Deletion, group_id: group.id, group_name: group.name, total: keys.len() as u64 };
    let pools = api.key_pools.clone();
    let job = |progress: Progress| async move {
        let mut processed = 0;
        let heard = |now| {
            processed = now;
            progress.report(now)
        };
        let deleted_count = pools.delete(group.id, &keys, heard).await?;
        // A database of the original may hold a key twice, and then one text meets two rows.
        let deleted = Deleted { deleted_count, ignored_count: (processed as u64).saturating_sub(deleted_count) };
        Outcome::new(&deleted, processed < keys.len())
    };
    Answer::with(&Shown::of(&api.tasks.start(new, job).await?))
}
