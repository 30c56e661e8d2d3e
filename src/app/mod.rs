//! Builds everything once, runs it, and drains it.

mod body;
mod client_io;
mod lifecycle;
mod load;
mod planes;
mod server;
mod worker;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use self::{
    lifecycle::{Lifecycle, Signals},
    planes::Planes,
    server::Server,
};
use crate::{
    api,
    config::Config,
    crypto::Cipher,
    db::Database,
    group::Directory,
    keypool::{KeyPools, validation},
    proxy::{Proxy, Tunnels},
    request_log::RequestLog,
    settings,
    upstream::Clients,
};

/// The part of a graceful stop that is kept for writing what is still in memory.
const WRITERS_BUDGET: Duration = Duration::from_secs(3);
/// Threads of the control plane: the management API, the database, background work.
const CONTROL_THREADS: usize = 2;

/// Runs the server until it is told to stop.
///
/// # Errors
/// What kept it from starting, or the death of a background job.
pub(crate) fn run(config: Config) -> anyhow::Result<()> {
    let started_at = Instant::now();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("A TLS provider was installed already");
    }
    let listener = server::bind(&config.server)?;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot make the runtime of the control plane")?;
    let result = control.block_on(serve(config, listener, started_at));
    // Connections that did not finish in time are cut here.
    control.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn serve(config: Config, listener: std::net::TcpListener, started_at: Instant) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let lifecycle = Lifecycle::default();
    let (server, tunnels, database) = start(config, listener, started_at, &lifecycle).await?;
    let budget = server.1;
    let server = server.0;

    tokio::select! {
        () = server.accept() => {}
        () = signals.next() => tracing::info!("Stopping: requests in progress may finish"),
        () = lifecycle.died() => {}
    }
    let stopping_since = Instant::now();
    let drained = tokio::select! {
        drained = server.drain(budget.saturating_sub(WRITERS_BUDGET), &tunnels) => drained,
        () = signals.next() => {
            tracing::warn!("Stopping at once: requests in progress are cut");
            false
        }
    };
    if !drained {
        tracing::warn!("Some requests did not finish within the budget of the stop, and were cut");
    }
    let left = budget.saturating_sub(stopping_since.elapsed()).max(WRITERS_BUDGET);
    if !lifecycle.stop(left).await {
        tracing::error!("Some background work did not finish within the budget of the stop");
    }
    database.close().await;
    anyhow::ensure!(!lifecycle.has_died(), "a background job died; the log says which and why");
    tracing::info!("Stopped");
    Ok(())
}
