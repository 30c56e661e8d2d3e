//! POST /api/keys/add-async: a task puts any number of keys into a group, and says which ones it left out and why.

use serde::Serialize;

use super::{Api, parse_many, upload::KeysToImport};
use crate::{
    api::{answer::Answer, refusal::Refusal, tasks},
    keypool::ImportCounts,
    task::{Kind, NewTask, Outcome, Progress},
};

/// What an import did: the two members of the original, then which keys were ignored.
#[derive(Serialize)]
pub(in crate::api) struct Imported<'a> {
    added_count: usize,
    ignored_count: usize,
    duplicate_in_input: usize,
    already_in_group: usize,
    unsendable: usize,
    /// Where the first of them stand, counted from 1.
    unsendable_positions: &'a [usize],
    /// Keys of a copied group that cannot be decrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<usize>,
}

impl<'a> Imported<'a> {
    pub(in crate::api) fn of(added: &'a ImportCounts, unreadable: Option<usize>) -> Self {
        Self {
            added_count: added.added,
            ignored_count: added.ignored(),
            duplicate_in_input: added.duplicate_in_input,
            already_in_group: added.already_in_group,
            unsendable: added.unsendable,
            unsendable_positions: &added.unsendable_positions,
            unreadable,
        }
    }
}

pub(in crate::api) async fn import(
    api: Api,
    KeysToImport(wanted, place): KeysToImport,
) -> Result<Answer<tasks::Shown<'static>>, Refusal> {
    api.key_pools.check_writable()?;
    let group = wanted.group(&api).await?;
    if group.is_aggregate() {
        return Err(Refusal::invalid("validation.keys_of_aggregate"));
    }
    let keys = parse_many(wanted.keys_text).await?;
    drop(place);
    let new = NewTask { kind: Kind::Import, group_id: group.id, group_name: group.name, total: keys.len() as u64 };
    let pools = api.key_pools.clone();
    let job = |progress: Progress| async move {
        let added = pools.add(group.id, &keys, |processed| progress.report(processed)).await?;
        Outcome::new(&Imported::of(&added, None), added.processed < keys.len())
    };
    Answer::with(&tasks::Shown::of(&api.tasks.start(new, job).await?))
}
