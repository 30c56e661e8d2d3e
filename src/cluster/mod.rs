//! Several nodes on one database: what one changes the others take over, and what must happen once happens on one.
//!
//! The database is the truth, and its feed of changes is read twice a second; Redis only says sooner that there is something to
//! read. So a lost notice, a Redis that is away or was flushed, a node that slept for a minute cost a moment and nothing
//! else. On SQLite there is one node, and all of this is idle.

mod duty;
mod follower;
mod nodes;
mod queries;

use self::follower::Follower;
pub(crate) use self::{
    duty::Duty,
    nodes::{Heartbeat, Node, Role, tidy},
    queries::{acquire as acquire_lease, holder as holder_of_lease, release as release_lease},
};
use crate::{
    config::RedisDsn,
    db::{self, Database},
    redis::{Notices, State},
};

/// This node among the others. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    database: Database,
    pub(crate) duty: Duty,
    pub(crate) follower: Follower,
    pub(crate) notices: Notices,
}

/// All nodes that were seen lately, and who is on duty.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// In the order of their starts.
    pub(crate) nodes: Vec<Node>,
    /// The name of a node.
    pub(crate) on_duty: Option<String>,
}

/// The nodes that were seen lately, for whoever is none of them; empty on SQLite, and where no release of ours was yet.
///
/// # Errors
/// Those of the database.
pub(crate) async fn nodes_seen(database: &Database) -> Result<Vec<Node>, db::Error> {
    if database.engine().is_sqlite() || !database.has_table("gpt_load_nodes").await? {
        return Ok(Vec::new());
    }
    queries::nodes(database.readers()).await
}

impl Cluster {
    /// Must come before anything is loaded from the database, so that nothing that changes meanwhile is missed.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn open(database: Database, redis: Option<&RedisDsn>) -> Result<Self, db::Error> {
        let redis = redis.filter(|_| !database.engine().is_sqlite());
        Ok(Self {
            duty: Duty::new(&database),
            follower: Follower::open(database.clone()).await?,
            notices: Notices::open(redis, database.node()),
            database,
        })
    }

    /// # Errors
    /// Those of the database.
    pub(crate) async fn members(&self) -> Result<Members, db::Error> {
        if self.database.engine().is_sqlite() {
            return Ok(Members::default());
        }
        let readers = self.database.readers();
        let nodes = queries::nodes(readers).await?;
        Ok(Members { nodes, on_duty: queries::holder(readers, duty::LEASE).await? })
    }

    /// What other nodes changed may be unknown here.
    pub(crate) fn is_behind(&self) -> bool {
        self.follower.is_behind()
    }

    pub(crate) fn redis(&self) -> State {
        self.notices.state()
    }

    /// Tells the other nodes of each change that this one commits, until told to stop.
    pub(crate) async fn tell_others(self, stop: tokio_util::sync::CancellationToken) {
        while stop.run_until_cancelled(self.database.changed()).await.is_some() {
            self.notices.send();
        }
    }
}

#[cfg(test)]
mod tests;
