//! The control plane: what the operator asks for and changes, over HTTP. A folder per resource, a file per verb.

use std::{convert::Infallible, ops::Deref, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::FromRequestParts,
    middleware::{from_fn, from_fn_with_state},
};
use http::request::Parts;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::refusal::Refusal;
use crate::{
    cluster::Cluster,
    config::Cors,
    crypto::Secret,
    db::Database,
    group::Directory,
    keypool::{KeyPools, Validator},
    metrics::Metrics,
    request_log::{Live, RequestLog, Search},
    task::Tasks,
};

mod answer;
mod around;
mod authentication;
mod body;
mod channel_types;
mod client_address;
mod clock;
mod cluster;
pub(crate) mod cors;
mod dashboard;
pub(crate) mod document;
mod download;
mod download_tickets;
mod figure;
mod groups;
mod health;
mod integration;
mod keys;
mod language;
mod login;
mod logs;
mod metrics;
mod open_places;
mod page;
mod path;
mod query;
mod ready;
mod refusal;
mod routes;
mod search;
mod session;
mod settings;
mod system;
mod tasks;
#[cfg(test)]
mod tests;
mod throttle;

pub(crate) use self::{client_address::ClientAddress, clock::Clock, session::OverHttps, system::Node};

/// Management requests in flight; the data plane has a budget of its own, so neither can lock the other out.
const REQUESTS_MAX: usize = 256;
/// Callers that watch the log at once.
const LIVE_STREAMS_MAX: usize = 32;
/// Long lists of keys for tasks that are received and read at once: each may take several times its size in memory.
const LONG_UPLOADS_MAX: usize = 2;

/// What the control plane works with.
pub(crate) struct State {
    pub(crate) auth_key: Secret,
    /// Looked at for warnings only.
    pub(crate) encryption_key: Option<Secret>,
    /// Opens the metrics and nothing else.
    pub(crate) metrics_token: Option<Secret>,
    pub(crate) cors: Option<Cors>,
    /// Where groups are reached as long as no `app_url` is set: `http://localhost:3001`.
    pub(crate) own_url: String,
    pub(crate) database: Database,
    pub(crate) directory: Directory,
    pub(crate) key_pools: KeyPools,
    pub(crate) validator: Validator,
    pub(crate) log_search: Search,
    pub(crate) log_live: Live,
    pub(crate) tasks: Tasks,
    pub(crate) cluster: Cluster,
    pub(crate) request_log: RequestLog,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) started_at: Instant,
    pub(crate) node: Node,
    /// A stop has begun: what has no end of its own is to end.
    pub(crate) stopping: CancellationToken,
}

/// What every handler holds.
#[derive(Clone)]
struct Api(Arc<Inner>);

struct Inner {
    state: State,
    management_key: authentication::ManagementKey,
    throttle: throttle::Throttle,
    tickets: download_tickets::Tickets,
    sessions: session::Sessions,
    probe: ready::Probe,
    metrics_token: Option<authentication::ManagementKey>,
    budget: Semaphore,
    open_places: open_places::OpenPlaces,
    live_places: Arc<Semaphore>,
    upload_places: Arc<Semaphore>,
}

impl Api {
    /// Whether a management key is right.
    ///
    /// # Errors
    /// Too many from that address were wrong.
    fn judge(&self, given: &str, client: ClientAddress) -> Result<bool, throttle::Locked> {
        self.0.throttle.judge(client, given, self.0.management_key.is(given), self.clock.steady())
    }

    /// Puts into effect what a request has just stored.
    ///
    /// # Errors
    /// The truth where that fails: what was stored stays stored, and is in effect as soon as it can be read.
    async fn put_into_effect(&self) -> Result<(), Refusal> {
        let Err(error) = self.directory.reload().await else { return Ok(()) };
        tracing::error!(%error, "A change is stored, but cannot be put into effect; it is tried again until it works");
        // Reads only, so a stop need not wait for it; a further failure joins the task that is trying already.
        tokio::spawn(self.directory.clone().reload_until_it_works());
        Err(Refusal::not_yet_in_effect())
    }
}

impl Deref for Api {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0.state
    }
}

impl FromRequestParts<Self> for Api {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, api: &Self) -> Result<Self, Infallible> {
        Ok(api.clone())
    }
}

/// Serves everything that is not proxied, and `/proxy/{group}/api/integration/info`.
pub(crate) fn router(state: State) -> Router {
    let management_key = authentication::ManagementKey::new(&state.auth_key);
    let metrics_token = state.metrics_token.as_ref().map(authentication::ManagementKey::new);
    let tickets = download_tickets::Tickets::new(&state.auth_key);
    let sessions = session::Sessions::new(&state.auth_key);
    let api = Api(Arc::new(Inner {
        state,
        management_key,
        metrics_token,
        throttle: throttle::Throttle::default(),
        tickets,
        sessions,
        probe: ready::Probe::default(),
        budget: Semaphore::new(REQUESTS_MAX),
        open_places: open_places::OpenPlaces::default(),
        live_places: Arc::new(Semaphore::new(LIVE_STREAMS_MAX)),
        upload_places: Arc::new(Semaphore::new(LONG_UPLOADS_MAX)),
    }));
    routes::router(&api)
        // From the inside out.
        .layer(from_fn_with_state(api.clone(), around::within_budget))
        .layer(from_fn(around::in_a_task))
        .layer(from_fn(answer::put_in_words))
        .layer(from_fn(around::with_protective_headers))
        .layer(from_fn_with_state(api.clone(), around::with_cors))
        .layer(from_fn(around::logged))
        .with_state(api)
}
