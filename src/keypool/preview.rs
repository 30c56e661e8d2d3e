//! What an import would do, found without changing anything.

use std::collections::HashSet;

use super::{KeyPools, queries};
use crate::{channel, crypto::Secret, db, group::GroupId};

/// Keys that are left out and named with the reason.
const IGNORED_NAMED_MAX: usize = 200;
/// New keys that are shown by their ends.
const SAMPLE_KEYS: usize = 5;

/// Why a key of an import is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    DuplicateInInput,
    AlreadyInGroup,
    /// No request can carry it.
    Unsendable,
}

impl Ignored {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DuplicateInInput => "duplicate_in_input",
            Self::AlreadyInGroup => "already_in_group",
            Self::Unsendable => "unsendable",
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ImportPreview {
    pub(crate) found: usize,
    pub(crate) fresh: usize,
    pub(crate) duplicate_in_input: usize,
    pub(crate) already_in_group: usize,
    pub(crate) unsendable: usize,
    /// The first of those that are left out: where they stand in the input, counted from 1, and their ends.
    pub(crate) ignored: Vec<(usize, String, Ignored)>,
    /// The ends of the first new ones.
    pub(crate) sample: Vec<String>,
}

impl KeyPools {
    /// `None`: a group that is still to be made.
    pub(crate) async fn preview_import(
        &self,
        group_id: Option<GroupId>,
        texts: &[Secret],
    ) -> Result<ImportPreview, db::Error> {
        let mut preview = ImportPreview { found: texts.len(), ..ImportPreview::default() };
        let mut seen = HashSet::with_capacity(texts.len());
        for (number, lot) in texts.chunks(self.shared.keys_per_bulk_lot).enumerate() {
            let first = number * self.shared.keys_per_bulk_lot + 1;
            let mut verdicts: Vec<Option<Ignored>> = Vec::with_capacity(lot.len());
            let mut fresh = Vec::with_capacity(lot.len());
            for (index, secret) in lot.iter().enumerate() {
                verdicts.push(if !seen.insert(secret.expose()) {
                    Some(Ignored::DuplicateInInput)
                } else if channel::is_sendable(secret.expose()) {
                    fresh.push(index);
                    None
                } else {
                    Some(Ignored::Unsendable)
                });
            }
            if let Some(group_id) = group_id {
                let wanted: Vec<Secret> = fresh.iter().map(|&index| lot[index].clone()).collect();
                let hashes = self.hashes(&wanted).await?;
                let known = queries::known_hashes(self.shared.database.readers(), group_id, &hashes).await?;
                let known: HashSet<String> = known.into_iter().collect();
                for (index, _) in fresh.into_iter().zip(&hashes).filter(|(_, hash)| known.contains(*hash)) {
                    verdicts[index] = Some(Ignored::AlreadyInGroup);
                }
            }
            for (index, (secret, verdict)) in lot.iter().zip(verdicts).enumerate() {
                preview.note(first + index, secret, verdict);
            }
        }
        Ok(preview)
    }
}

impl ImportPreview {
    fn note(&mut self, position: usize, secret: &Secret, verdict: Option<Ignored>) {
        let Some(reason) = verdict else {
            self.fresh += 1;
            if self.sample.len() < SAMPLE_KEYS {
                self.sample.push(secret.masked());
            }
            return;
        };
        match reason {
            Ignored::DuplicateInInput => self.duplicate_in_input += 1,
            Ignored::AlreadyInGroup => self.already_in_group += 1,
            Ignored::Unsendable => self.unsendable += 1,
        }
        if self.ignored.len() < IGNORED_NAMED_MAX {
            self.ignored.push((position, secret.masked(), reason));
        }
    }
}
