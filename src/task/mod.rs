//! Long jobs with progress: at most one at a time for a group, whoever began it may leave, and what they did is kept.
//!
//! Progress lives in memory; the table of tasks hears of a beginning and of an end. Where other nodes share the database,
//! it hears of progress as well, and tells whether one of them wants a task cancelled.

mod queries;
mod record;

use std::{
    collections::HashMap,
    future::Future,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::record::{Kind, State, Task};
use crate::db::{self, Database, Timestamp};

/// Tasks that the history holds; older ones are forgotten when a new one begins.
pub(crate) const HISTORY_TASKS_MAX: u32 = 1_000;
/// How long the status shows the task that ended last.
const SHOWN_AFTER_THE_END: TimeDelta = TimeDelta::minutes(60);
/// How long whoever waits for the end of a cancelled task does so.
const END_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two looks at what other nodes are told and want.
const SHARE_INTERVAL: Duration = Duration::from_secs(1);
/// A node that was not seen for so long does not run its tasks any more.
const NODE_DEAD_AFTER: Duration = Duration::from_secs(20);
/// Between two looks whether a task of another node has ended.
const END_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Between two tries to store an end that could not be stored.
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Tries to store what is left when the program stops, and the pause between them.
const LAST_STORE_TRIES: u32 = 3;
const LAST_STORE_PAUSE: Duration = Duration::from_millis(300);
/// Of a task that was running when the process died.
const INTERRUPTED: &str = "The server stopped while this task was running; what it had done until then is kept";
/// Of a task whose job panicked; the log has the rest.
const PANICKED: &str = "The task died of a fault in the server; its log tells more";

/// The present time, so that a test can hold it.
pub(crate) type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// All tasks, running ones and those of the past. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    now: Now,
    stop: CancellationToken,
    tracker: TaskTracker,
    board: Mutex<Board>,
    /// A place was given back, or its task has begun.
    places_changed: Notify,
}

#[derive(Default)]
struct Board {
    /// By group. `None`: its beginning is being stored.
    places: HashMap<i64, Option<Arc<Running>>>,
    ended_last: Option<Task>,
    /// Tasks that are over while the table still calls them running, because it could not be written.
    unstored: Vec<Task>,
}

struct Running {
    /// As it was begun.
    task: Task,
    processed: AtomicU64,
    cancel: CancellationToken,
}

/// A task that is wanted.
pub(crate) struct NewTask {
    pub(crate) kind: Kind,
    pub(crate) group_id: i64,
    pub(crate) group_name: String,
    /// How many things there are to deal with.
    pub(crate) total: u64,
}

/// Why a task does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("a task of this group is running")]
    Busy,
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// Why a task is not cancelled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CancelError {
    #[error("the task is over")]
    Over,
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// What a job says when it ends.
#[derive(Debug)]
pub(crate) struct Outcome {
    result: Box<RawValue>,
    was_cut: bool,
}

/// Why a job failed, for the operator: it is stored and shown, so it must hold no secret.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// A job's end of its task: it reports here, and hears here that it shall stop.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Running>);

impl Outcome {
    /// `was_cut`: it stopped before its end because it was cancelled; `result` says what was done until then.
    pub(crate) fn new(result: &impl Serialize, was_cut: bool) -> Result<Self, Failure> {
        let result = serde_json::value::to_raw_value(result).map_err(|error| Failure(error.to_string()))?;
        Ok(Self { result, was_cut })
    }
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Self {
        Self(match error {
            db::Error::NotFound => "The group does not exist any more".to_owned(),
            error => format!("Database operation failed: {error}"),
        })
    }
}

impl Progress {
    /// `processed` of all things are dealt with. The answer says whether to go on.
    pub(crate) fn report(&self, processed: usize) -> ControlFlow<()> {
        // What came up since the beginning, as a key that was restored meanwhile, was not counted then.
        self.0.processed.store(self.0.task.total.min(processed as u64), Ordering::Relaxed);
        if self.0.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Tripped when the task is cancelled.
    pub(crate) fn cancellation(&self) -> CancellationToken {
        self.0.cancel.clone()
    }
}

impl Running {
    fn shown(&self) -> Task {
        let state = if self.cancel.is_cancelled() { State::Cancelling } else { State::Running };
        Task { state, processed: self.processed.load(Ordering::Relaxed), ..self.task.clone() }
    }
}

impl Tasks {
    /// Marks the tasks that the last process left running as interrupted.
    pub(crate) async fn open(database: Database, now: Now) -> Result<Self, db::Error> {
        queries::interrupt_running(&database, Timestamp(now()), INTERRUPTED, NODE_DEAD_AFTER).await?;
        let ended_last = queries::ended_last(database.readers()).await?;
        let board = Mutex::new(Board { ended_last, ..Board::default() });
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        Ok(Self { shared: Arc::new(Shared { database, now, stop, tracker, board, places_changed: Notify::new() }) })
    }

    /// Stores ends that could not be stored at once. When told to stop, cancels what is running, waits until it has
    /// ended, and stores what is left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.run_trying_every(STORE_RETRY_INTERVAL, stop).await;
    }

    async fn run_trying_every(self, interval: Duration, stop: CancellationToken) {
        let is_shared = !self.shared.database.engine().is_sqlite();
        let interval = if is_shared { interval.min(SHARE_INTERVAL) } else { interval };
        while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            // That it failed was said when the task ended.
            let _ = self.store_ends().await;
            if is_shared && let Err(error) = self.share_progress().await {
                tracing::debug!(%error, "Other nodes could not be told how far the tasks are");
            }
        }
        self.shared.stop.cancel();
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
        for tries_left in (0..LAST_STORE_TRIES).rev() {
            match self.store_ends().await {
                Ok(()) => return,
                Err(error) if tries_left == 0 => tracing::error!(%error, "How the last tasks ended is lost: {error}"),
                Err(_) => tokio::time::sleep(LAST_STORE_PAUSE).await,
            }
        }
    }

    /// Begins a job, unless one of this group is running: of two at once, one begins. It goes on when its caller leaves.
    pub(crate) async fn start<J, F>(&self, wanted: NewTask, job: J) -> Result<Task, StartError>
    where
        J: FnOnce(Progress) -> F,
        F: Future<Output = Result<Outcome, Failure>> + Send + 'static,
    {
        let place = self.reserve(wanted.group_id)?;
        let mut task = Task {
            id: 0,
            kind: wanted.kind.name().to_owned(),
            group_id: wanted.group_id,
            group_name: wanted.group_name,
            state: State::Running,
            processed: 0,
            total: wanted.total,
            result: None,
            error: None,
            started_at: self.now(),
            finished_at: None,
        };
        task.id = match queries::begin(&self.shared.database, &task, HISTORY_TASKS_MAX).await {
            Err(db::Error::Duplicate) => return Err(StartError::Busy),
            outcome => outcome?,
        };
        let cancel = self.shared.stop.child_token();
        let running = Arc::new(Running { task, processed: AtomicU64::new(0), cancel });
        self.board().places.insert(wanted.group_id, Some(running.clone()));
        self.shared.places_changed.notify_waiters();
        let shown = running.shown();
        let job = job(Progress(running.clone()));
        let this = self.clone();
        self.shared.tracker.spawn(async move {
            // A task of its own, so that its panic is an end like any other.
            let ended = tokio::spawn(job).await;
            this.end(place, &running, ended).await;
        });
        Ok(shown)
    }

    /// Tells a running task to stop; it does so at the next occasion. Returns it as it is now.
    pub(crate) async fn cancel(&self, id: i64) -> Result<Task, CancelError> {
        if let Some(running) = self.running().into_iter().find(|running| running.task.id == id) {
            running.cancel.cancel();
            return Ok(running.shown());
        }
        let stored = queries::find(self.shared.database.readers(), id).await?;
        if self.is_elsewhere(&stored) && queries::ask_to_cancel(&self.shared.database, id).await? {
            return Ok(Task { state: State::Cancelling, ..stored });
        }
        Err(CancelError::Over)
    }

    /// Whether another node runs it.
    fn is_elsewhere(&self, task: &Task) -> bool {
        !self.shared.database.engine().is_sqlite() && !task.state.is_over() && !self.present().contains_key(&task.id)
    }

    /// Ends the tasks of nodes that died while they ran them.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn interrupt_tasks_of_the_dead(&self) -> Result<(), db::Error> {
        queries::interrupt_running(&self.shared.database, self.now(), INTERRUPTED, NODE_DEAD_AFTER).await
    }

    /// Tells other nodes how far our tasks are, and cancels those that one of them wants cancelled.
    async fn share_progress(&self) -> Result<(), db::Error> {
        for running in self.running() {
            let processed = running.processed.load(Ordering::Relaxed);
            if queries::note_progress(&self.shared.database, running.task.id, processed).await? {
                running.cancel.cancel();
            }
        }
        Ok(())
    }

    /// Tells the task of a group to stop, if one is running, and waits until it has ended. It is not waited for longer
    /// than some seconds; then this says false.
    pub(crate) async fn end_of(&self, group_id: i64) -> bool {
        self.end_of_within(END_WAIT_MAX, group_id).await
    }

    async fn end_of_within(&self, limit: Duration, group_id: i64) -> bool {
        let ended = async {
            loop {
                let changed = self.shared.places_changed.notified();
                tokio::pin!(changed);
                // Before the look, so that no change after it is missed.
                changed.as_mut().enable();
                match self.board().places.get(&group_id) {
                    None => return,
                    Some(Some(running)) => running.cancel.cancel(),
                    // It can be told as soon as its beginning is stored.
                    Some(None) => {}
                }
                changed.await;
            }
        };
        let ended = async {
            ended.await;
            self.end_elsewhere_of(group_id).await;
        };
        tokio::time::timeout(limit, ended).await.is_ok()
    }

    /// Returns when no other node runs a task of the group.
    async fn end_elsewhere_of(&self, group_id: i64) {
        if self.shared.database.engine().is_sqlite() {
            return;
        }
        loop {
            match queries::running_of(self.shared.database.readers(), group_id).await {
                Ok(None) => return,
                Ok(Some(task)) => {
                    if let Err(error) = queries::ask_to_cancel(&self.shared.database, task.id).await {
                        tracing::debug!(%error, "Another node could not be asked to cancel task {}", task.id);
                    }
                }
                Err(error) => tracing::debug!(%error, "Could not see whether a task of group {group_id} runs"),
            }
            tokio::time::sleep(END_POLL_INTERVAL).await;
        }
    }

    /// The one that began last among those that run, or else the one that ended last, for an hour.
    ///
    /// # Errors
    /// Those of the database, where other nodes may run one.
    pub(crate) async fn status(&self) -> Result<Option<Task>, db::Error> {
        if let Some(running) = self.running().into_iter().max_by_key(|running| running.task.id) {
            return Ok(Some(running.shown()));
        }
        let mut ended = self.board().ended_last.clone();
        if !self.shared.database.engine().is_sqlite() {
            let readers = self.shared.database.readers();
            if let Some(running) = queries::began_last(readers).await? {
                return Ok(Some(running));
            }
            let stored = queries::ended_last(readers).await?;
            let ended_at = |task: &Option<Task>| task.as_ref().and_then(|task| task.finished_at);
            if ended_at(&stored) > ended_at(&ended) {
                ended = stored;
            }
        }
        let is_shown = |task: &Task| task.finished_at.is_some_and(|at| self.now().0 - at.0 < SHOWN_AFTER_THE_END);
        Ok(ended.filter(is_shown))
    }

    /// # Errors
    /// [`db::Error::NotFound`] where there is no such task, or none any more.
    pub(crate) async fn find(&self, id: i64) -> Result<Task, db::Error> {
        // Looked at before the table, so that a task that ends in between is not missed by both.
        let present = self.present();
        let stored = queries::find(self.shared.database.readers(), id).await?;
        Ok(brought_up_to_date(stored, &present))
    }

    /// Some tasks, newest first, and how many there are in all, of one group or of all.
    pub(crate) async fn list(
        &self,
        group_id: Option<i64>,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<Task>, u64), db::Error> {
        let present = self.present();
        let readers = self.shared.database.readers();
        let total = queries::count(readers, group_id).await?;
        let stored = queries::page(readers, group_id, offset, limit).await?;
        Ok((stored.into_iter().map(|task| brought_up_to_date(task, &present)).collect(), total))
    }

    fn reserve(&self, group_id: i64) -> Result<Place, StartError> {
        let mut board = self.board();
        if board.places.contains_key(&group_id) {
            return Err(StartError::Busy);
        }
        board.places.insert(group_id, None);
        drop(board);
        Ok(Place { tasks: self.clone(), group_id })
    }

    async fn end(
        &self,
        place: Place,
        running: &Running,
        ended: Result<Result<Outcome, Failure>, tokio::task::JoinError>,
    ) {
        let (state, result, error) = match ended {
            Ok(Ok(outcome)) if outcome.was_cut => (State::Cancelled, Some(outcome.result), None),
            Ok(Ok(outcome)) => (State::Finished, Some(outcome.result), None),
            Ok(Err(Failure(error))) => (State::Failed, None, Some(error)),
            Err(_) => (State::Failed, None, Some(PANICKED.to_owned())),
        };
        let task = Task { state, result, error, finished_at: Some(self.now()), ..running.shown() };
        let Task { id, kind, group_name, processed, total, .. } = &task;
        match &task.error {
            None => tracing::info!(
                task.id = id,
                processed,
                total,
                "Task {id} ({kind} of group {group_name}) ended: {}",
                state.name()
            ),
            Some(error) => tracing::error!(
                task.id = id,
                processed,
                total,
                error,
                "Task {id} ({kind} of group {group_name}) failed: {error}"
            ),
        }
        if let Err(error) = queries::end(&self.shared.database, &task).await {
            tracing::error!(task.id = task.id, %error, "Cannot store how task {} ended; it is tried again", task.id);
            self.board().unstored.push(task.clone());
        }
        self.board().ended_last = Some(task);
        // Last: as long as it is held, the task counts as running.
        drop(place);
    }

    /// Tries again what could not be stored; what still cannot is kept.
    async fn store_ends(&self) -> Result<(), db::Error> {
        let unstored = self.board().unstored.clone();
        for task in unstored {
            queries::end(&self.shared.database, &task).await?;
            self.board().unstored.retain(|kept| kept.id != task.id);
        }
        Ok(())
    }

    fn running(&self) -> Vec<Arc<Running>> {
        self.board().places.values().flatten().cloned().collect()
    }

    /// What is newer than the table.
    fn present(&self) -> HashMap<i64, Task> {
        let running = self.running().into_iter().map(|running| running.shown());
        running.chain(self.board().unstored.clone()).map(|task| (task.id, task)).collect()
    }

    fn now(&self) -> Timestamp {
        // As every engine keeps it, so that an answer before the end and one after it say the same.
        Timestamp((self.shared.now)()).to_milliseconds()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table knows of no progress.
fn brought_up_to_date(stored: Task, present: &HashMap<i64, Task>) -> Task {
    if !stored.state.is_over()
        && let Some(present) = present.get(&stored.id)
    {
        return present.clone();
    }
    stored
}

/// The right of a group's task to run; given back whatever happens.
struct Place {
    tasks: Tasks,
    group_id: i64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tasks.board().places.remove(&self.group_id);
        self.tasks.shared.places_changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
