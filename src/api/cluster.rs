//! GET /api/cluster: the nodes that share the database, and how this one gets on with what they share.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, answer::Answer, document::Shown, refusal::Refusal};
use crate::{cluster, redis::State};

#[derive(Serialize, ToSchema)]
#[schema(as = Cluster)]
pub(super) struct Seen {
    /// `SQLite`, `MySQL` or `PostgreSQL`.
    database: &'static str,
    /// `unused`, `connected` or `away`.
    redis: &'static str,
    /// Why Redis is away; empty: it is not.
    redis_problem: String,
    /// What other nodes changed may be unknown here.
    is_behind: bool,
    /// Nodes seen within the last hour, in the order of their starts; empty on SQLite, where there is one.
    nodes: Vec<Node>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ClusterNode)]
struct Node {
    /// Another one at each start.
    id: String,
    /// `master`: it prepares the database, and may take the duty; `slave`: it only serves.
    role: String,
    release: String,
    /// Its host and port.
    address: String,
    /// Milliseconds since 1970, by the database's clock.
    started_at: i64,
    seen_at: i64,
    is_alive: bool,
    /// It does what must happen once: tests of invalid keys, deletion of what is old.
    is_on_duty: bool,
    is_this_one: bool,
}

impl Shown for Seen {}

pub(super) async fn show(api: Api) -> Result<Answer<Seen>, Refusal> {
    let members = api.cluster.members().await?;
    let (redis, redis_problem) = match api.cluster.redis() {
        State::Unused => ("unused", String::new()),
        State::Connected => ("connected", String::new()),
        State::Away { problem, .. } => ("away", problem),
    };
    let on_duty = members.on_duty;
    let shown = |node: cluster::Node| Node {
        is_on_duty: on_duty.as_ref() == Some(&node.name),
        is_this_one: node.name == api.database.node(),
        id: node.name,
        role: node.role,
        release: node.release,
        address: node.address,
        started_at: node.started_at,
        seen_at: node.seen_at,
        is_alive: node.is_alive,
    };
    Answer::with(&Seen {
        database: api.database.engine().name(),
        redis,
        redis_problem,
        is_behind: api.cluster.is_behind(),
        nodes: members.nodes.into_iter().map(shown).collect(),
    })
}
