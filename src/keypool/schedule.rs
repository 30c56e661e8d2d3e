//! When invalid keys are tested again: each group in its own rhythm, each key less and less often.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{KEYS_PER_LOT, KeyStatus, Statuses, Validator, validation::Verdict};
use crate::{
    db::{self, Timestamp},
    group::{self, Group, GroupId, Key, Kind},
};

/// How often is looked for groups whose time has come.
const TICK: Duration = Duration::from_secs(5);
/// A group's rhythm is stretched by up to this part of its interval, so that groups do not test in step.
const JITTER_MAX: f64 = 0.05;
/// After a pass that the database cut short.
const PAUSE_AFTER_ERROR: TimeDelta = TimeDelta::minutes(1);
/// A key that stays dead is tested at least this often.
const KEY_INTERVAL_MAX: TimeDelta = TimeDelta::hours(24);

/// Tests invalid keys in the background and puts those that work again back into rotation.
pub(crate) struct Schedule {
    validator: Validator,
    clock: Clock,
    plans: HashMap<GroupId, Plan>,
    passes: JoinSet<Finished>,
    /// That the database cannot be read was told.
    is_failing: bool,
}

/// Time and chance, so that a test can hold them.
#[derive(Clone)]
pub(crate) struct Clock {
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// A number from 0 to below 1.
    pub(crate) chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

struct Plan {
    last: Option<DateTime<Utc>>,
    not_before: Option<DateTime<Utc>>,
    jitter: f64,
    is_running: bool,
    /// Invalid keys that were tested before.
    histories: HashMap<i64, History>,
}

/// The tests that a dead key failed in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct History {
    tested_at: DateTime<Utc>,
    failures: u32,
}

struct Finished {
    group_id: GroupId,
    histories: Result<HashMap<i64, History>, db::Error>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Arc::new(Utc::now), chance: Arc::new(rand::random) }
    }
}

impl Schedule {
    pub(crate) fn new(validator: Validator, clock: Clock) -> Self {
        Self { validator, clock, plans: HashMap::new(), passes: JoinSet::new(), is_failing: false }
    }

    /// Runs until told to stop. A pass that is cut short then is not noted as done, so it is made up for at the next
    /// start.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            self.start_due().await;
            let tick = tokio::time::sleep(TICK);
            tokio::pin!(tick);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return self.passes.shutdown().await,
                    () = &mut tick => break,
                    Some(finished) = self.passes.join_next() => self.finish(finished).await,
                }
            }
            self.validator.prune();
        }
    }

    async fn start_due(&mut self) {
        let snapshot = self.validator.shared.directory.current().clone();
        let standard = || snapshot.by_name.values().filter(|group| matches!(group.kind, Kind::Standard));
        let ids: std::collections::HashSet<GroupId> = standard().map(|group| group.id).collect();
        self.plans.retain(|id, plan| plan.is_running || ids.contains(id));
        let now = (self.clock.now)();
        for group in standard() {
            if !self.plans.contains_key(&group.id) {
                match self.plan_of(group.id).await {
                    Ok(plan) => {
                        self.is_failing = false;
                        self.plans.insert(group.id, plan)
                    }
                    Err(db::Error::NotFound) => continue,
                    Err(error) => {
                        // Said once: the other groups fare no better.
                        if !std::mem::replace(&mut self.is_failing, true) {
                            tracing::error!(%error, "Cannot read when the keys of group {} were tested", group.name);
                        }
                        return;
                    }
                };
            }
            let Some(plan) = self.plans.get_mut(&group.id) else { continue };
            if !plan.is_running && plan.is_due(interval_of(group), now) {
                plan.is_running = true;
                let histories = std::mem::take(&mut plan.histories);
                let pass = pass(self.validator.clone(), self.clock.clone(), group.clone(), histories);
                self.passes.spawn(pass);
            }
        }
    }

    async fn plan_of(&self, group_id: GroupId) -> Result<Plan, db::Error> {
        let readers = self.validator.shared.pools.shared.database.readers();
        let last = group::queries::find(readers, group_id).await?.last_validated_at;
        Ok(Plan {
            last: last.map(|last| last.0),
            not_before: None,
            jitter: (self.clock.chance)(),
            is_running: false,
            histories: HashMap::new(),
        })
    }

    async fn finish(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => return tracing::error!(%error, "A pass over invalid keys died"),
        };
        let now = (self.clock.now)();
        let database = &self.validator.shared.pools.shared.database;
        let Some(plan) = self.plans.get_mut(&finished.group_id) else { return };
        plan.is_running = false;
        let stored = match finished.histories {
            Ok(histories) => {
                plan.histories = histories;
                plan.last = Some(now);
                plan.jitter = (self.clock.chance)();
                group::queries::set_last_validated_at(database, finished.group_id, Timestamp(now)).await
            }
            Err(error) => {
                plan.not_before = Some(now + PAUSE_AFTER_ERROR);
                Err(error)
            }
        };
        if let Err(error) = stored {
            tracing::error!(group.id = finished.group_id, %error, "The database cut a pass over invalid keys short");
        }
    }
}

impl Plan {
    fn is_due(&self, interval: TimeDelta, now: DateTime<Utc>) -> bool {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return false;
        }
        let jitter = interval.to_std().map_or(Duration::ZERO, |interval| interval.mul_f64(self.jitter * JITTER_MAX));
        let jitter = TimeDelta::from_std(jitter).unwrap_or_default();
        self.last.is_none_or(|last| now - last > interval + jitter)
    }
}

impl History {
    /// After the first failed test a key waits one interval, then two, four, and so on.
    fn is_due(self, interval: TimeDelta, now: DateTime<Utc>) -> bool {
        let doublings = self.failures.saturating_sub(1).min(16);
        let wait = interval.checked_mul(1 << doublings).map_or(KEY_INTERVAL_MAX, |wait| wait.min(KEY_INTERVAL_MAX));
        // Passes are an interval apart, more or less: the nearest one counts.
        now - self.tested_at >= wait.max(interval) - interval / 2
    }
}

fn interval_of(group: &Group) -> TimeDelta {
    TimeDelta::from_std(group.settings.key_validation_interval).unwrap_or(KEY_INTERVAL_MAX)
}

/// Tests the invalid keys of a group that are due.
async fn pass(validator: Validator, clock: Clock, group: Arc<Group>, before: HashMap<i64, History>) -> Finished {
    let histories = test_invalid(&validator, &clock, &group, &before).await;
    Finished { group_id: group.id, histories }
}

async fn test_invalid(
    validator: &Validator,
    clock: &Clock,
    group: &Arc<Group>,
    before: &HashMap<i64, History>,
) -> Result<HashMap<i64, History>, db::Error> {
    let pools = &validator.shared.pools;
    let mut after = HashMap::new();
    let mut tests: JoinSet<(i64, Result<Verdict, db::Error>)> = JoinSet::new();
    let mut last_id = 0;
    loop {
        let lot = pools.lot(group.id, Statuses::Only(KeyStatus::Invalid), last_id, KEYS_PER_LOT).await?;
        let Some((id, _)) = lot.last() else { break };
        last_id = *id;
        for (id, secret) in lot {
            let history = before.get(&id);
            if let Some(history) = history {
                after.insert(id, *history);
            }
            // One that cannot be decrypted cannot be tested.
            let Some(secret) = secret else { continue };
            if history.is_some_and(|history| !history.is_due(interval_of(group), (clock.now)())) {
                continue;
            }
            while tests.len() >= group.settings.key_validation_concurrency.max(1) {
                note(&mut after, (clock.now)(), tests.join_next().await)?;
            }
            let key = Arc::new(Key { id, group_id: group.id, secret });
            let (validator, group) = (validator.clone(), group.clone());
            tests.spawn(async move {
                let verdict = validator.probe(&group, &key).await;
                let revived = match verdict {
                    Verdict::Valid => validator.shared.pools.revive(key).await,
                    Verdict::Invalid(_) | Verdict::Undecided { .. } => Ok(false),
                };
                (id, revived.map(|_| verdict))
            });
        }
    }
    while !tests.is_empty() {
        note(&mut after, (clock.now)(), tests.join_next().await)?;
    }
    Ok(after)
}

fn note(
    histories: &mut HashMap<i64, History>,
    now: DateTime<Utc>,
    outcome: Option<Result<(i64, Result<Verdict, db::Error>), tokio::task::JoinError>>,
) -> Result<(), db::Error> {
    let Some(Ok((id, verdict))) = outcome else { return Ok(()) };
    match verdict? {
        Verdict::Valid => {
            tracing::info!(key.id = id, "Key {id} works again and is back in rotation");
            histories.remove(&id);
        }
        Verdict::Invalid(_) => {
            let failures = histories.get(&id).map_or(1, |history| history.failures + 1);
            histories.insert(id, History { tested_at: now, failures });
        }
        // It says nothing about the key, so the next pass tries again.
        Verdict::Undecided { .. } => {}
    }
    Ok(())
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
