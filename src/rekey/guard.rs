//! Alone with a database server: no node runs, none starts, and there is no second `migrate-keys`. (A SQLite file has a lock.)

use std::{future::Future, time::Duration};

use super::{Error, queries};
use crate::{
    cluster::{self, Node},
    db::{self, Database},
};

pub(super) const LEASE: &str = "migrate-keys";
/// How long nobody can begin after a migration was killed.
const LEASE_TIME: Duration = Duration::from_secs(20);
const RENEWAL_INTERVAL: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps others away while it is renewed.
pub(crate) struct Guard<'a> {
    database: &'a Database,
}

impl<'a> Guard<'a> {
    /// # Errors
    /// Somebody uses the database.
    pub(crate) async fn take(database: &'a Database, say: &mut dyn FnMut(String)) -> Result<Self, Error> {
        let guard = Self { database };
        if database.engine().is_sqlite() {
            return Ok(guard);
        }
        wait_for_lease(database, say).await?;
        // A node that starts at this moment sees the lease, or is seen here.
        if let Err(error) = check_nodes(database).await {
            guard.give_back().await?;
            return Err(error);
        }
        Ok(guard)
    }

    /// Ends when the work does, or when others may begin.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if self.database.engine().is_sqlite() {
            return work.await;
        }
        let lost = async {
            loop {
                tokio::time::sleep(RENEWAL_INTERVAL).await;
                if !cluster::acquire_lease(self.database, LEASE, LEASE_TIME).await? {
                    return Err(Error::refused(
                        "the database was out of reach for so long that others may use it: run migrate-keys again",
                    ));
                }
            }
        };
        tokio::select! {
            outcome = work => outcome,
            outcome = lost => outcome,
        }
    }

    pub(crate) async fn give_back(self) -> Result<(), Error> {
        if !self.database.engine().is_sqlite() {
            cluster::release_lease(self.database, LEASE).await?;
        }
        Ok(())
    }
}

/// A lease that somebody renews is in use; one that nobody does belongs to a run that was killed, and ends soon.
async fn wait_for_lease(database: &Database, say: &mut dyn FnMut(String)) -> Result<(), Error> {
    let mut first_end = None;
    while !cluster::acquire_lease(database, LEASE, LEASE_TIME).await? {
        let end = queries::end_of_lease(database.readers(), LEASE).await?;
        match (first_end, end) {
            (None, Some(end)) => {
                say(format!(
                    "Another migrate-keys was here less than {} s ago; waiting to see whether it still runs",
                    LEASE_TIME.as_secs()
                ));
                first_end = Some(end);
            }
            (Some(first), Some(end)) if end > first => {
                return Err(Error::refused("another migrate-keys works on this database: let it finish"));
            }
            _ => {}
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

async fn check_nodes(database: &Database) -> Result<(), Error> {
    let running: Vec<String> =
        cluster::nodes_seen(database).await?.iter().filter(|node| node.is_alive).map(name).collect();
    if running.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "servers run on this database: {}; stop all of them first (one that was killed counts as running for 20 s)",
        running.join(", ")
    )))
}

fn name(node: &Node) -> String {
    format!("{} ({})", node.address, node.role)
}

/// Whether a migration is under way on this server; another node's, so it is asked of the database.
pub(super) async fn is_taken(database: &Database) -> Result<bool, db::Error> {
    if database.engine().is_sqlite() {
        return Ok(false);
    }
    Ok(cluster::holder_of_lease(database.readers(), LEASE).await?.is_some())
}
