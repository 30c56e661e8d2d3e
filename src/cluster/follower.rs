//! Takes over what other nodes changed: reads the feed twice a second, and at once when somebody says that there is news.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    db::{self, Changed, Changes, Database},
    group::Directory,
    keypool::KeyPools,
    redis::Listener,
};

/// How late a change is taken over at most when nobody tells of it.
const INTERVAL: Duration = Duration::from_millis(500);
/// A feed that takes longer to read is as good as none.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    /// The number of the last change that was taken over.
    position: AtomicI64,
    /// The feed could not be read, or not be followed.
    is_behind: AtomicBool,
}

impl Follower {
    /// Must come before anything is loaded from the database: what changes while it is loaded is then looked at again.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn open(database: Database) -> Result<Self, db::Error> {
        let position = AtomicI64::new(database.last_change().await?);
        Ok(Self { shared: Arc::new(Shared { database, position, is_behind: AtomicBool::new(false) }) })
    }

    /// What other nodes changed may be unknown here.
    pub(crate) fn is_behind(&self) -> bool {
        self.shared.is_behind.load(Ordering::Relaxed)
    }

    /// Follows until told to stop.
    pub(crate) async fn run(
        self,
        directory: Directory,
        key_pools: KeyPools,
        mut notices: Listener,
        stop: CancellationToken,
    ) {
        if self.shared.database.engine().is_sqlite() {
            return stop.cancelled().await;
        }
        loop {
            let outcome = tokio::select! {
                outcome = self.follow(&directory, &key_pools) => outcome,
                () = stop.cancelled() => return,
            };
            self.report(&outcome);
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                // While the database is away, news cannot be read anyway.
                () = notices.heard(), if outcome.is_ok() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn follow(&self, directory: &Directory, key_pools: &KeyPools) -> Result<(), db::Error> {
        loop {
            let position = self.shared.position.load(Ordering::Relaxed);
            let read = tokio::time::timeout(READ_TIMEOUT, self.shared.database.changes_since(position));
            let changes = read.await.map_err(|_| db::Error::text("the database does not answer"))??;
            let next = match changes {
                Changes::New(_, next) if next == position => return Ok(()),
                Changes::New(changed, next) => {
                    take_over(changed, directory, key_pools).await?;
                    next
                }
                Changes::TooMany(next) => {
                    tracing::info!("Loading everything anew: this node has missed more changes than are kept");
                    directory.reload().await?;
                    key_pools.look_at_all().await?;
                    next
                }
            };
            // Only now: what fails half-way is looked at again as a whole.
            self.shared.position.store(next, Ordering::Relaxed);
        }
    }

    fn report(&self, outcome: &Result<(), db::Error>) {
        let was_behind = self.shared.is_behind.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) if was_behind => tracing::info!("The changes of other nodes are followed again"),
            Err(error) if !was_behind => {
                tracing::error!(%error, "Cannot follow the changes of other nodes; serving with what is known");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

async fn take_over(changed: Vec<Changed>, directory: &Directory, key_pools: &KeyPools) -> Result<(), db::Error> {
    // Once for however many changes: it is read as a whole. Before the keys, since a new group is needed for its own.
    if changed.iter().any(|changed| matches!(changed, Changed::Configuration | Changed::Unknown)) {
        directory.reload().await?;
    }
    for changed in &changed {
        match changed {
            Changed::Unknown => key_pools.look_at_all().await?,
            known => key_pools.look_again(known).await?,
        }
    }
    Ok(())
}
