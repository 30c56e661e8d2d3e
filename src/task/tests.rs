//! Tasks over a real database, with jobs that wait to be told.

use std::{ops::ControlFlow, sync::Mutex};

use chrono::TimeZone as _;
use serde_json::json;
use tokio::sync::oneshot;

use super::*;
use crate::db::testing;

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct HeldClock(Arc<Mutex<DateTime<Utc>>>);

impl HeldClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Utc.with_ymd_and_hms(2026, 11, 25, 10, 0, 0).unwrap())))
    }

    fn now(&self) -> Now {
        let this = self.clone();
        Arc::new(move || *this.0.lock().unwrap())
    }

    fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

struct House {
    _place: testkit::FreshDatabase,
    database: Database,
    clock: HeldClock,
    tasks: Tasks,
}

impl House {
    async fn new() -> Self {
        let (place, database) = testing::fresh().await;
        let clock = HeldClock::new();
        let tasks = Tasks::open(database.clone(), clock.now()).await.unwrap();
        Self { _place: place, database, clock, tasks }
    }

    /// What a start after this moment finds.
    async fn reopened(&self) -> Tasks {
        Tasks::open(self.database.clone(), self.clock.now()).await.unwrap()
    }

    /// A task that ends with this when told to.
    async fn held(&self, group_id: i64) -> Result<(Task, oneshot::Sender<Result<Outcome, Failure>>), StartError> {
        let (end, ended) = oneshot::channel();
        let task = self.tasks.start(wanted(group_id), |_| async move { ended.await.unwrap() }).await?;
        Ok((task, end))
    }

    /// Waits until a task is over.
    async fn over(&self, id: i64) -> Task {
        loop {
            let task = self.tasks.find(id).await.unwrap();
            // Only when its place is free as well.
            if task.state.is_over() && self.tasks.running().iter().all(|running| running.task.id != id) {
                return task;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn execute(&self, statement: &'static str) {
        self.database.run(statement).await;
    }
}

fn wanted(group_id: i64) -> NewTask {
    NewTask { kind: Kind::Import, group_id, group_name: format!("group-{group_id}"), total: 10 }
}

fn outcome(added: u32) -> Result<Outcome, Failure> {
    Outcome::new(&json!({"added_count": added}), false)
}

fn result_of(task: &Task) -> &str {
    task.result.as_ref().unwrap().get()
}

#[tokio::test]
async fn a_task_is_seen_from_its_beginning_to_its_end() {
    let house = House::new().await;
    assert!(house.tasks.status().await.unwrap().is_none());
    let (end, ended) = oneshot::channel();
    let (reported, wait) = oneshot::channel();
    let job = |progress: Progress| async move {
        assert_eq!(progress.report(4), ControlFlow::Continue(()));
        reported.send(()).unwrap();
        ended.await.unwrap()
    };
    let begun = house.tasks.start(wanted(7), job).await.unwrap();
    assert_eq!((begun.kind.as_str(), begun.group_id, begun.group_name.as_str()), ("KEY_IMPORT", 7, "group-7"));
    assert_eq!((begun.state, begun.total, begun.finished_at), (State::Running, 10, None));
    wait.await.unwrap();
    let running = house.tasks.status().await.unwrap().unwrap();
    assert_eq!((running.id, running.state, running.processed), (begun.id, State::Running, 4));
    assert_eq!(house.tasks.find(begun.id).await.unwrap().processed, 4, "the table is behind, the answer is not");
    house.clock.advance(TimeDelta::seconds(3));
    end.send(outcome(4)).unwrap();
    let over = house.over(begun.id).await;
    assert_eq!((over.state, over.processed, result_of(&over)), (State::Finished, 4, r#"{"added_count":4}"#));
    assert_eq!(over.finished_at.unwrap().0 - over.started_at.0, TimeDelta::seconds(3));
    assert_eq!(house.tasks.status().await.unwrap().unwrap().finished_at, over.finished_at);
}

#[tokio::test]
async fn of_two_starts_in_one_group_one_begins() {
    let house = House::new().await;
    let (first, second) = tokio::join!(house.held(1), house.held(1));
    let begun = [first, second].into_iter().filter_map(Result::ok).collect::<Vec<_>>();
    assert_eq!(begun.len(), 1);
    assert!(matches!(house.held(1).await, Err(StartError::Busy)));
    for (task, end) in begun {
        end.send(outcome(1)).unwrap();
        house.over(task.id).await;
    }
    assert!(house.held(1).await.is_ok(), "the place is free again");
}

#[tokio::test]
async fn groups_do_not_wait_for_one_another_and_the_latest_task_is_shown() {
    let house = House::new().await;
    let (first, end_first) = house.held(1).await.unwrap();
    let (second, end_second) = house.held(2).await.unwrap();
    assert_eq!(house.tasks.status().await.unwrap().unwrap().id, second.id);
    end_second.send(outcome(2)).unwrap();
    house.over(second.id).await;
    assert_eq!(
        house.tasks.status().await.unwrap().unwrap().id,
        first.id,
        "one that runs comes before one that is over"
    );
    end_first.send(outcome(1)).unwrap();
    house.over(first.id).await;
    assert_eq!(house.tasks.status().await.unwrap().unwrap().id, first.id, "the one that ended last");
    let (listed, total) = house.tasks.list(None, 0, 10).await.unwrap();
    assert_eq!((listed.iter().map(|task| task.id).collect::<Vec<_>>(), total), (vec![second.id, first.id], 2));
    let (listed, total) = house.tasks.list(Some(1), 0, 10).await.unwrap();
    assert_eq!((listed[0].id, listed.len(), total), (first.id, 1, 1));
}

#[tokio::test]
async fn a_task_is_shown_for_an_hour_after_its_end() {
    let house = House::new().await;
    let (task, end) = house.held(1).await.unwrap();
    end.send(outcome(1)).unwrap();
    house.over(task.id).await;
    house.clock.advance(TimeDelta::minutes(60) - TimeDelta::milliseconds(1));
    assert!(house.tasks.status().await.unwrap().is_some());
    assert_eq!(house.reopened().await.status().await.unwrap().unwrap().id, task.id, "also after a restart");
    house.clock.advance(TimeDelta::milliseconds(1));
    assert!(house.tasks.status().await.unwrap().is_none());
    assert_eq!(house.tasks.list(None, 0, 10).await.unwrap().1, 1, "the history keeps it");
}

#[tokio::test]
async fn a_cancelled_task_stops_at_its_next_report_and_says_what_it_did() {
    let house = House::new().await;
    let (told, wait) = oneshot::channel();
    let job = |progress: Progress| async move {
        wait.await.unwrap();
        let was_cut = progress.report(3).is_break();
        Outcome::new(&json!({"added_count": 3}), was_cut)
    };
    let task = house.tasks.start(wanted(1), job).await.unwrap();
    assert_eq!(house.tasks.cancel(task.id).await.unwrap().state, State::Cancelling);
    assert_eq!(house.tasks.status().await.unwrap().unwrap().state, State::Cancelling);
    told.send(()).unwrap();
    let over = house.over(task.id).await;
    assert_eq!((over.state, over.processed, result_of(&over)), (State::Cancelled, 3, r#"{"added_count":3}"#));
    assert!(over.error.is_none());
    assert!(matches!(house.tasks.cancel(task.id).await, Err(CancelError::Over)));
    assert!(matches!(house.tasks.cancel(99).await, Err(CancelError::Database(db::Error::NotFound))));
}

#[tokio::test]
async fn a_failure_and_a_panic_end_a_task_with_an_error() {
    let house = House::new().await;
    let (task, end) = house.held(1).await.unwrap();
    end.send(Err(Failure("no room left".to_owned()))).unwrap();
    let over = house.over(task.id).await;
    assert_eq!((over.state, over.error.as_deref(), over.result.is_none()), (State::Failed, Some("no room left"), true));
    let task = house.tasks.start(wanted(1), |_| async { panic!("of a test") }).await.unwrap();
    let over = house.over(task.id).await;
    assert_eq!((over.state, over.error.as_deref()), (State::Failed, Some(PANICKED)));
    assert_eq!(house.tasks.status().await.unwrap().unwrap().error.as_deref(), Some(PANICKED));
    assert!(house.held(1).await.is_ok(), "the place is free again");
}

#[tokio::test]
async fn a_task_that_was_running_when_the_process_died_is_interrupted() {
    let house = House::new().await;
    let (task, _end) = house.held(1).await.unwrap();
    house.clock.advance(TimeDelta::minutes(5));
    let after = house.reopened().await;
    let found = after.find(task.id).await.unwrap();
    assert_eq!((found.state, found.error.as_deref()), (State::Interrupted, Some(INTERRUPTED)));
    assert_eq!(after.status().await.unwrap().unwrap().id, task.id, "it is told without asking for the history");
    let again = after.start(wanted(1), |_| async { outcome(0) }).await.unwrap();
    assert!(again.id > task.id, "it blocks nobody");
}

#[tokio::test]
async fn the_history_forgets_the_oldest_tasks() {
    let house = House::new().await;
    house
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1005)
             INSERT INTO gpt_load_tasks (task_type, group_id, group_name, state, started_at)
             SELECT 'KEY_IMPORT', 1, 'g', 'finished', '2026-11-01 00:00:00+00:00' FROM n",
        )
        .await;
    let (task, end) = house.held(1).await.unwrap();
    assert_eq!(house.tasks.list(None, 0, 1).await.unwrap().1, u64::from(HISTORY_TASKS_MAX));
    assert!(house.tasks.find(6).await.is_err());
    assert!(house.tasks.find(7).await.is_ok());
    end.send(outcome(0)).unwrap();
    house.over(task.id).await;
}

#[tokio::test]
async fn a_task_that_cannot_be_stored_does_not_begin() {
    let house = House::new().await;
    house.execute("ALTER TABLE gpt_load_tasks RENAME TO elsewhere").await;
    assert!(matches!(house.held(1).await, Err(StartError::Database(_))));
    house.execute("ALTER TABLE elsewhere RENAME TO gpt_load_tasks").await;
    assert!(house.held(1).await.is_ok(), "the place is free again");
}

/// Lets ends be stored again.
async fn allow(house: &House) {
    let is_sqlite = house.database.engine().is_sqlite();
    house
        .execute(if is_sqlite { "DROP TRIGGER refuse" } else { "ALTER TABLE gpt_load_tasks DROP CONSTRAINT refuse" })
        .await;
}

/// A task whose end is not stored before [`allow`].
async fn ended_unstored(house: &House) -> Task {
    house
        .execute(if house.database.engine().is_sqlite() {
            "CREATE TRIGGER refuse BEFORE UPDATE ON gpt_load_tasks BEGIN SELECT RAISE(ABORT, 'no'); END"
        } else {
            "ALTER TABLE gpt_load_tasks ADD CONSTRAINT refuse CHECK (finished_at IS NULL)"
        })
        .await;
    let (task, end) = house.held(1).await.unwrap();
    end.send(outcome(5)).unwrap();
    assert_eq!(house.over(task.id).await.state, State::Finished);
    task
}

#[tokio::test]
async fn an_end_that_cannot_be_stored_is_shown_and_stored_as_soon_as_it_can_be() {
    let house = House::new().await;
    let task = ended_unstored(&house).await;
    assert!(house.tasks.store_ends().await.is_err());
    assert_eq!(house.tasks.find(task.id).await.unwrap().state, State::Finished, "still shown");
    let stop = CancellationToken::new();
    let run = tokio::spawn(house.tasks.clone().run_trying_every(Duration::from_millis(1), stop.clone()));
    allow(&house).await;
    let stored = async || queries::find(house.database.readers(), task.id).await.unwrap().state;
    while stored().await != State::Finished {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    run.await.unwrap();
    assert!(house.tasks.board().unstored.is_empty());
}

#[tokio::test]
async fn an_end_that_cannot_be_stored_is_stored_at_the_stop() {
    let house = House::new().await;
    let task = ended_unstored(&house).await;
    allow(&house).await;
    let stop = CancellationToken::new();
    stop.cancel();
    house.tasks.clone().run(stop).await;
    assert_eq!(house.reopened().await.find(task.id).await.unwrap().state, State::Finished);
}

#[tokio::test]
async fn whoever_waits_for_the_end_of_a_groups_task_has_it_cancelled() {
    let house = House::new().await;
    assert!(house.tasks.end_of(1).await, "there is none");
    let job = |progress: Progress| async move {
        progress.cancellation().cancelled().await;
        Outcome::new(&json!({"added_count": 1}), true)
    };
    let task = house.tasks.start(wanted(1), job).await.unwrap();
    assert!(house.tasks.end_of(1).await);
    assert!(house.tasks.running().is_empty());
    assert_eq!(house.tasks.find(task.id).await.unwrap().state, State::Cancelled);
    let (_, _end) = house.held(1).await.unwrap();
    assert!(!house.tasks.end_of_within(Duration::from_millis(1), 1).await, "nobody waits for ever");
}

#[tokio::test]
async fn a_task_never_says_more_than_its_total() {
    let house = House::new().await;
    let job = |progress: Progress| async move {
        assert_eq!(progress.report(12), ControlFlow::Continue(()));
        outcome(12)
    };
    let task = house.tasks.start(wanted(1), job).await.unwrap();
    assert_eq!(house.over(task.id).await.processed, 10);
}

#[tokio::test]
async fn a_stop_cancels_what_runs_and_waits_for_it() {
    let house = House::new().await;
    let stop = CancellationToken::new();
    let job = |progress: Progress| async move {
        progress.cancellation().cancelled().await;
        Outcome::new(&json!({"added_count": 1}), true)
    };
    let task = house.tasks.start(wanted(1), job).await.unwrap();
    let stopped = tokio::spawn(house.tasks.clone().run(stop.clone()));
    stop.cancel();
    stopped.await.unwrap();
    assert_eq!(house.reopened().await.find(task.id).await.unwrap().state, State::Cancelled);
}
