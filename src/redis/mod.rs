//! Quick notices between nodes over Redis: "something changed, look into the database". The truth is never here: without
//! Redis everything works as well, only a little later.

mod link;
mod login;
mod problem;
mod session;
mod target;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::{link::Link, target::Target};
use crate::config::RedisDsn;

pub(crate) use self::problem::Problem;

/// The channel of the notices. A payload names the node that sent it.
pub(crate) const CHANNEL: &str = "gpt-load:changes";
/// Where the original keeps the names of log entries that it has not yet written to the database.
const PENDING_LOG_ENTRIES: &str = "gpt-load:pending_log_keys";
/// The sender of the notice that a probe sends, to see whether it may.
const PROBE: &str = "probe";

/// Tells other nodes of changes, and hears of theirs. Cheap to clone; all clones share one connection to Redis.
#[derive(Clone)]
pub(crate) struct Notices(Option<Arc<Shared>>);

struct Shared {
    target: Target,
    node: String,
    /// Holds at most one wish, so that many sends while one is under way become one more.
    wanted: Notify,
    /// How many times listeners were woken.
    heard: watch::Sender<u64>,
    state: watch::Sender<State>,
}

/// How it stands with Redis.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// No `REDIS_DSN` is set.
    Unused,
    /// Notices go out and come in.
    Connected,
    /// Not connected since then; the text says why, and contains no password.
    Away { since: Instant, problem: String },
}

/// Waits for notices. A notice that comes between two waits is not missed, and many of them count once.
pub(crate) struct Listener(Option<watch::Receiver<u64>>);

/// What a probe of Redis found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The address, without credentials.
    pub(crate) place: String,
    /// Log entries of the original that wait in Redis for its master to write them to the database; `None` where our
    /// rights do not suffice to count them.
    pub(crate) pending_log_entries: Option<u64>,
}

impl Notices {
    /// Prepares notices by way of `dsn`, sent in the name of `node`; connects only when [`Notices::run`] runs. Without a
    /// DSN every call does nothing.
    pub(crate) fn open(dsn: Option<&RedisDsn>, node: impl Into<String>) -> Self {
        Self(dsn.map(|dsn| {
            let problem = "Redis was not tried yet".to_owned();
            Arc::new(Shared {
                target: Target::new(dsn),
                node: node.into(),
                wanted: Notify::new(),
                heard: watch::Sender::new(0),
                state: watch::Sender::new(State::Away { since: Instant::now(), problem }),
            })
        }))
    }

    /// Tells the other nodes that something changed. Returns at once and never fails: a notice goes out in the
    /// background, at the latest when Redis is back.
    pub(crate) fn send(&self) {
        if let Some(shared) = &self.0 {
            shared.wanted.notify_one();
        }
    }

    /// Hears what comes from now on.
    pub(crate) fn listener(&self) -> Listener {
        Listener(self.0.as_ref().map(|shared| shared.heard.subscribe()))
    }

    pub(crate) fn state(&self) -> State {
        self.0.as_ref().map_or(State::Unused, |shared| shared.state.borrow().clone())
    }

    /// Commands sent to Redis since the start, those of log-ins and heartbeats among them.
    pub(crate) fn commands(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.target.manners.commands())
    }

    /// Keeps the connection until `stop`: connects, subscribes, sends and hears notices, and does it again when Redis is
    /// lost or was not there. To be run once.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        match &self.0 {
            Some(shared) => drop(stop.run_until_cancelled(session::keep_connected(shared)).await),
            None => stop.cancelled().await,
        }
    }

    /// Goes once through all that [`Notices::run`] needs, within the time limits of the DSN. The error says what was
    /// wrong and what would be right, without a password.
    pub(crate) async fn probe(dsn: &RedisDsn) -> Result<Found, Problem> {
        let link = Link::open(&Target::new(dsn), PROBE).await?;
        let pending_log_entries = link.speaker.members_of(PENDING_LOG_ENTRIES).await?;
        Ok(Found { place: link.place, pending_log_entries })
    }
}

impl Listener {
    /// Waits for the next notice of another node. Also comes back whenever the connection was made anew, since notices
    /// are lost meanwhile; without a DSN, never.
    pub(crate) async fn heard(&mut self) {
        let is_open = match &mut self.0 {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        if !is_open {
            std::future::pending::<()>().await;
        }
    }
}

impl Shared {
    fn wake(&self) {
        self.heard.send_modify(|times| *times += 1);
    }
}
