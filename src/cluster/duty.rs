//! Who does what must happen once: validation, clean-up. One node that is no slave holds a lease; another takes over when it
//! is not renewed.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Role, queries};
use crate::db::{self, Database};

/// All work that must happen once is one duty: there is too little of it to be shared out.
pub(super) const LEASE: &str = "duty";
/// How long a lease holds without being renewed; so long does work rest when its node dies.
const LEASE_TIME: Duration = Duration::from_secs(15);
const RENEWAL_INTERVAL: Duration = Duration::from_secs(4);
/// A node that could not renew its lease stops before others may begin: by its own clock, which may run a little slower.
const STOP_AFTER: Duration = Duration::from_secs(12);

/// Whether this node is on duty. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Duty {
    is_ours: Arc<watch::Sender<bool>>,
}

impl Duty {
    /// `Duty::run` finds out whose it is; a database that nobody shares leaves no question.
    pub(crate) fn new(database: &Database) -> Self {
        Self { is_ours: Arc::new(watch::Sender::new(database.engine().is_sqlite())) }
    }

    pub(crate) fn is_ours(&self) -> bool {
        *self.is_ours.borrow()
    }

    /// Takes the duty when it is free, keeps it, and gives it back when told to stop.
    pub(crate) async fn run(self, database: Database, role: Role, stop: CancellationToken) {
        if database.engine().is_sqlite() || role == Role::Slave {
            return stop.cancelled().await;
        }
        let mut renewed_at: Option<Instant> = None;
        loop {
            let asked_at = Instant::now();
            let ends_at = renewed_at.unwrap_or(asked_at) + STOP_AFTER;
            let answer = tokio::select! {
                answer = self.ask(&database) => answer,
                // An answer that does not come is none.
                () = tokio::time::sleep_until(ends_at.into()) => Err(db::Error::text("the database does not answer")),
                () = stop.cancelled() => break,
            };
            match answer {
                Ok(true) => renewed_at = Some(asked_at),
                Ok(false) => renewed_at = None,
                Err(error) => tracing::debug!(%error, "The duty could not be renewed"),
            }
            let is_ours = renewed_at.is_some_and(|at| at.elapsed() < STOP_AFTER);
            self.set(is_ours);
            if !is_ours {
                renewed_at = None;
            }
            if stop.run_until_cancelled(tokio::time::sleep(RENEWAL_INTERVAL)).await.is_none() {
                break;
            }
        }
        let was_ours = self.is_ours();
        self.set(false);
        if was_ours && let Err(error) = queries::release(&database, LEASE).await {
            tracing::debug!(%error, "The duty is not given back; it ends by itself");
        }
    }

    async fn ask(&self, database: &Database) -> Result<bool, db::Error> {
        queries::acquire(database, LEASE, LEASE_TIME).await
    }

    fn set(&self, is_ours: bool) {
        let was_changed = self.is_ours.send_if_modified(|present| std::mem::replace(present, is_ours) != is_ours);
        if was_changed && is_ours {
            tracing::info!("This node is on duty: it tests invalid keys and deletes what is old");
        } else if was_changed {
            tracing::info!("This node is not on duty any more");
        }
    }

    /// Runs a job whenever this node is on duty. It is told to stop when it is not, and begins anew when it is again.
    pub(crate) async fn run_while_ours<F>(&self, stop: CancellationToken, job: impl Fn(CancellationToken) -> F + Send)
    where
        F: Future<Output = ()> + Send,
    {
        let mut is_ours = self.is_ours.subscribe();
        loop {
            if stop.run_until_cancelled(becomes(&mut is_ours, true)).await.is_none() {
                return;
            }
            let job_stop = stop.child_token();
            let ended = job(job_stop.clone());
            tokio::pin!(ended);
            tokio::select! {
                () = &mut ended => {}
                () = becomes(&mut is_ours, false) => {
                    job_stop.cancel();
                    ended.await;
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }
}

async fn becomes(is_ours: &mut watch::Receiver<bool>, wanted: bool) {
    // The sender lives as long as the duty does.
    drop(is_ours.wait_for(|is_ours| *is_ours == wanted).await);
}
