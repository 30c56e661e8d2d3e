//! Several nodes on one database: what one changes the others take over, and what must happen once happens on one.
//!
//! The database is the truth, and its feed of changes is read twice a second; Redis only says sooner that there is something to
//! read. So a lost notice, a Redis that is away or was flushed, a node that slept for a minute cost a moment and nothing
//! else. On SQLite there is one node, and all of this is idle.

mod duty;
mod follower;
mod nodes;
mod queries;

pub(crate) use self::{
    duty::Duty,
    follower::Follower,
    nodes::{Heartbeat, Node, Role, tidy},
};
use crate::db::{self, Database};

/// All nodes that were seen lately, in the order of their starts, and the one that is on duty.
///
/// # Errors
/// Those of the database.
pub(crate) async fn nodes(database: &Database) -> Result<(Vec<Node>, Option<String>), db::Error> {
    if database.engine().is_sqlite() {
        return Ok((Vec::new(), None));
    }
    let nodes = queries::nodes(database.readers()).await?;
    let on_duty = queries::holder(database.readers(), duty::LEASE).await?;
    Ok((nodes, on_duty))
}

#[cfg(test)]
mod tests;
