//! Who takes part: each node says every few seconds that it is there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::queries;
use crate::{
    db::{self, Database},
    task::Tasks,
};

const INTERVAL: Duration = Duration::from_secs(5);
/// The same after a time that failed: when the database is back, whoever lives must say so before somebody takes it for
/// dead.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// A beat that takes longer counts as failed.
const BEAT_TIMEOUT: Duration = Duration::from_secs(5);
/// Tidying up that takes longer met a database that was away.
const TIDY_TIMEOUT: Duration = Duration::from_secs(2);
/// Who was not seen for so long is taken for dead.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(20);
/// The dead are shown for this long.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// What a node may do (`IS_SLAVE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Prepares the database, and takes the duty when it is free.
    Master,
    /// Serves, and does nothing that must happen once.
    Slave,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Slave => "slave",
        }
    }
}

/// A node as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) release: String,
    /// Host name and port that it listens on.
    pub(crate) address: String,
    /// Milliseconds since 1970 by the database's clock.
    pub(crate) started_at: i64,
    pub(crate) seen_at: i64,
    pub(crate) is_alive: bool,
}

/// Says that this node is there.
pub(crate) struct Heartbeat {
    database: Database,
    role: Role,
    address: String,
}

impl Heartbeat {
    pub(crate) fn new(database: Database, role: Role, address: String) -> Self {
        Self { database, role, address }
    }

    /// Once, so that whoever looks sees this node from its start on.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn beat(&self) -> Result<(), db::Error> {
        queries::beat(&self.database, self.role.name(), &self.address).await
    }

    /// Says that it is gone: whoever waits for all nodes to stop need not wait until this one counts as dead.
    pub(crate) async fn sign_off(&self) {
        if self.database.engine().is_sqlite() {
            return;
        }
        if let Err(error) = queries::sign_off(&self.database).await {
            tracing::debug!(%error, "The other nodes are not told that this one stops");
        }
    }

    /// Until told to stop; then it signs off.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.database.engine().is_sqlite() {
            return stop.cancelled().await;
        }
        let mut pause = INTERVAL;
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            let beaten = tokio::time::timeout(BEAT_TIMEOUT, self.beat()).await;
            let beaten = beaten.unwrap_or_else(|_| Err(db::Error::text("the database does not answer")));
            pause = if beaten.is_ok() { INTERVAL } else { RETRY_INTERVAL };
            if let Err(error) = beaten {
                tracing::debug!(%error, "The other nodes could not be told that this one is there");
            }
        }
        self.sign_off().await;
    }
}

/// On the node that is on duty: forgets what no node needs any more, and ends the tasks of nodes that died.
pub(crate) async fn tidy(database: Database, tasks: Tasks, stop: CancellationToken) {
    if database.engine().is_sqlite() {
        return stop.cancelled().await;
    }
    let mut was_there = true;
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        let outcome = async {
            queries::forget_nodes(&database).await?;
            database.forget_changes().await
        };
        let outcome = tokio::time::timeout(TIDY_TIMEOUT, outcome).await;
        let mut outcome = outcome.unwrap_or_else(|_| Err(db::Error::text("the database does not answer")));
        // After a time without the database nobody was seen lately, whether dead or alive.
        if std::mem::replace(&mut was_there, outcome.is_ok()) && outcome.is_ok() && !stop.is_cancelled() {
            outcome = tasks.interrupt_tasks_of_the_dead().await;
        }
        if let Err(error) = outcome {
            tracing::debug!(%error, "Could not tidy up after other nodes");
        }
    }
}
