//! All keys of a group tested at the operator's wish, and what the tests say is done.

use std::{collections::VecDeque, sync::Arc};

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{KEYS_PER_LOT, KeyPools, Statuses, Validator, validation::Verdict};
use crate::{
    crypto::Secret,
    db,
    group::{Group, GroupId, Key},
};

/// How many keys turned out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) valid: usize,
    /// Refused by the upstream, or unreadable, which needs no request.
    pub(crate) invalid: usize,
    /// The answer said nothing about the key.
    pub(crate) undecided: usize,
    /// It was told to stop before all keys were tested.
    pub(crate) was_cut: bool,
}

impl Swept {
    pub(crate) fn tested(&self) -> usize {
        self.valid + self.invalid + self.undecided
    }
}

/// Which keys of a group.
#[derive(Debug)]
pub(crate) enum ToTest {
    /// Those of some states, with ids above the one, if any, and up to the other.
    Between {
        statuses: Statuses,
        above_id: i64,
        up_to_id: i64,
    },
    Those(VecDeque<i64>),
}

impl ToTest {
    pub(crate) fn up_to(up_to_id: i64, statuses: Statuses) -> Self {
        Self::Between { statuses, above_id: 0, up_to_id }
    }

    /// `None`: that was all.
    async fn next_lot(
        &mut self,
        pools: &KeyPools,
        group_id: GroupId,
    ) -> Result<Option<Vec<(i64, Option<Secret>)>>, db::Error> {
        match self {
            Self::Between { statuses, above_id, up_to_id } => {
                let mut lot = pools.lot(group_id, *statuses, *above_id, KEYS_PER_LOT).await?;
                lot.retain(|(id, _)| id <= up_to_id);
                let Some((last_id, _)) = lot.last() else { return Ok(None) };
                *above_id = *last_id;
                Ok(Some(lot))
            }
            Self::Those(ids) if ids.is_empty() => Ok(None),
            Self::Those(ids) => {
                let lot: Vec<i64> = ids.drain(..ids.len().min(KEYS_PER_LOT)).collect();
                // Those that are gone by now need no test.
                pools.lot_of(group_id, lot).await.map(Some)
            }
        }
    }
}

/// `None`: it was told to stop before there was an answer.
type Outcome = Result<Option<Verdict>, db::Error>;

impl Validator {
    /// Tests keys of a group, as many at a time as its settings say. What the tests did is stored when
    /// this returns. `progress` hears of each key how many are tested.
    pub(crate) async fn sweep(
        &self,
        group: &Arc<Group>,
        mut which: ToTest,
        cancel: &CancellationToken,
        mut progress: impl FnMut(usize) + Send,
    ) -> Result<Swept, db::Error> {
        let mut swept = Swept::default();
        // Of its own, so that a failure of the database stops the tests as well.
        let cancel = cancel.child_token();
        let mut tests = JoinSet::new();
        let mut failure = None;
        'lots: while failure.is_none() {
            let lot = match which.next_lot(&self.shared.pools, group.id).await {
                Ok(Some(lot)) => lot,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            for (id, secret) in lot {
                while tests.len() >= group.settings.key_validation_concurrency.max(1) {
                    note(&mut swept, &mut failure, tests.join_next().await, &mut progress);
                }
                if cancel.is_cancelled() || failure.is_some() {
                    swept.was_cut = true;
                    break 'lots;
                }
                match secret {
                    Some(secret) => {
                        let key = Arc::new(Key { id, group_id: group.id, secret });
                        tests.spawn(self.clone().test_in_turn(group.clone(), key, cancel.clone()));
                    }
                    None => {
                        swept.invalid += 1;
                        progress(swept.tested());
                    }
                }
            }
        }
        if failure.is_some() {
            cancel.cancel();
        }
        // Waited for even then: a verdict that is being stored takes effect as a whole.
        while !tests.is_empty() {
            note(&mut swept, &mut failure, tests.join_next().await, &mut progress);
        }
        self.prune();
        self.shared.pools.store_changes().await?;
        failure.map_or(Ok(swept), Err)
    }

    async fn test_in_turn(self, group: Arc<Group>, key: Arc<Key>, cancel: CancellationToken) -> Outcome {
        let Some(verdict) = cancel.run_until_cancelled(self.probe(&group, &key)).await else { return Ok(None) };
        self.act(&group, key, verdict.clone()).await.map(|()| Some(verdict))
    }
}

fn note(
    swept: &mut Swept,
    failure: &mut Option<db::Error>,
    ended: Option<Result<Outcome, JoinError>>,
    progress: &mut impl FnMut(usize),
) {
    match ended {
        None => return,
        Some(Ok(Ok(Some(Verdict::Valid)))) => swept.valid += 1,
        Some(Ok(Ok(Some(Verdict::Invalid(_))))) => swept.invalid += 1,
        Some(Ok(Ok(Some(Verdict::Undecided { .. })))) => swept.undecided += 1,
        Some(Ok(Ok(None))) => {
            swept.was_cut = true;
            return;
        }
        Some(Ok(Err(error))) => {
            failure.get_or_insert(error);
            return;
        }
        Some(Err(error)) => {
            tracing::error!(%error, "The test of a key died");
            swept.undecided += 1;
        }
    }
    progress(swept.tested());
}
