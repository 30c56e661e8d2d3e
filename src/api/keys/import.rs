//! POST /api/keys/add-async: a task puts any number of keys into a group, and says which ones it left out and why.

use serde::Serialize;

use super::{Api, ImportTexts, parse_many, serving, upload::KeysToImport};
use crate::{
    api::{answer::Answer, refusal::Refusal, tasks},
    keypool::{ImportCounts, Swept, ToTest},
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
    /// Where the new keys were tested.
    #[serde(flatten)]
    tested: Option<Tested>,
}

/// What the tests of new keys said; `invalid_keys` are those that did not pass, as in a test of a group.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the members are those of a test of a group")]
struct Tested {
    valid_keys: usize,
    invalid_keys: usize,
    undecided_keys: usize,
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
            tested: None,
        }
    }

    fn and_tested(self, swept: Swept) -> Self {
        let tested = Tested {
            valid_keys: swept.valid,
            invalid_keys: swept.invalid + swept.undecided,
            undecided_keys: swept.undecided,
        };
        Self { tested: Some(tested), ..self }
    }
}

pub(in crate::api) async fn import(
    api: Api,
    KeysToImport(ImportTexts { texts, is_validated }, place): KeysToImport,
) -> Result<Answer<tasks::Shown<'static>>, Refusal> {
    api.key_pools.check_writable()?;
    let group = texts.group(&api).await?;
    if group.is_aggregate() {
        return Err(Refusal::invalid("validation.keys_of_aggregate"));
    }
    let tested_in = if is_validated { Some(serving(&api, &group)?) } else { None };
    let keys = parse_many(texts.keys_text).await?;
    drop(place);
    let new = NewTask { kind: Kind::Import, group_id: group.id, group_name: group.name, total: keys.len() as u64 };
    let (pools, validator) = (api.key_pools.clone(), api.validator.clone());
    let job = |progress: Progress| async move {
        let Some(tested_in) = tested_in else {
            let added = pools.add(group.id, &keys, |processed| progress.report(processed)).await?;
            return Outcome::new(&Imported::of(&added, None), added.processed < keys.len());
        };
        // Adding is one half of the work, testing the other; what was left out needs no test.
        let mut added = pools.add(group.id, &keys, |processed| progress.report(processed / 2)).await?;
        let was_cut = added.processed < keys.len();
        let done = added.processed + added.ignored();
        let which = ToTest::Those(std::mem::take(&mut added.added_ids).into());
        let heard = |tested| {
            // Each test hears of the cancellation itself.
            let _ = progress.report(usize::midpoint(done, tested));
        };
        let swept = validator.sweep(&tested_in, which, &progress.cancellation(), heard).await?;
        if !was_cut && !swept.was_cut {
            let _ = progress.report(keys.len());
        }
        Outcome::new(&Imported::of(&added, None).and_tested(swept), was_cut || swept.was_cut)
    };
    Answer::with(&tasks::Shown::of(&api.tasks.start(new, job).await?))
}
