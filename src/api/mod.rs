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
    config::Cors,
    crypto::Secret,
    db::Database,
    group::Directory,
    keypool::{KeyPools, Validator},
    request_log::{Live, Search},
    task::Tasks,
};

mod answer;
mod around;
mod authentication;
mod body;
mod channel_types;
pub(crate) mod cors;
pub(crate) mod document;
mod download;
mod groups;
mod health;
mod integration;
mod keys;
mod language;
mod login;
mod logs;
mod page;
mod path;
mod query;
mod refusal;
mod routes;
mod settings;
mod tasks;
#[cfg(test)]
mod tests;

/// Requests to routes that need no management key; whoever has none cannot use up the places of whoever has it.
const OPEN_REQUESTS_MAX: usize = 64;
/// Management requests in flight; the data plane has a budget of its own, so neither can lock the other out.
const REQUESTS_MAX: usize = 256;
/// Callers that watch the log at once.
const LIVE_STREAMS_MAX: usize = 32;

/// What the control plane works with.
pub(crate) struct State {
    pub(crate) auth_key: Secret,
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
    pub(crate) started_at: Instant,
    /// A stop has begun: what has no end of its own is to end.
    pub(crate) stopping: CancellationToken,
}

/// What every handler holds.
#[derive(Clone)]
struct Api(Arc<Inner>);

struct Inner {
    state: State,
    management_key: authentication::ManagementKey,
    budget: Semaphore,
    open_budget: Semaphore,
    live_places: Arc<Semaphore>,
}

impl Api {
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
    let budget = Semaphore::new(REQUESTS_MAX);
    let open_budget = Semaphore::new(OPEN_REQUESTS_MAX);
    let live_places = Arc::new(Semaphore::new(LIVE_STREAMS_MAX));
    let api = Api(Arc::new(Inner { state, management_key, budget, open_budget, live_places }));
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
