//! Builds everything once, runs it, and drains it.

mod body;
mod descriptors;
mod lifecycle;
mod load;
mod planes;
mod pump;
mod scrapes;
mod server;
mod worker;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chrono::Utc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    lifecycle::{Lifecycle, Signals},
    planes::Planes,
    server::Server,
};
use crate::{
    api,
    cluster::{self, Cluster, Duty, Heartbeat, Role},
    config::Config,
    crypto::Cipher,
    db::{self, Database, Migrations},
    group::Directory,
    keypool::{Clock, KeyPools, Schedule, Validator},
    metrics::{Gauges, Metrics, Reading},
    proxy::{InFlight, Proxy},
    redis::State,
    rekey,
    request_log::{Live, RequestLog, Retention, Search, Writer},
    settings, stats,
    task::Tasks,
    telemetry,
    upstream::{self, Clients},
    web::Console,
};

/// The part of a graceful stop that is kept for writing what is still in memory.
const WRITERS_BUDGET: Duration = Duration::from_secs(3);
/// How often a slave looks whether a master has prepared the database.
const MASTER_POLL_INTERVAL: Duration = Duration::from_secs(1);
const LOSSES_INTERVAL: Duration = Duration::from_secs(60);
/// Threads of the control plane: the management API, the database, background work.
const CONTROL_THREADS: usize = 2;

/// Runs the server until it is told to stop.
///
/// # Errors
/// What kept it from starting, or the death of a background job.
pub(crate) fn run(config: Config, purpose: Purpose) -> anyhow::Result<()> {
    let started_at = Instant::now();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("A TLS provider was installed already");
    }
    let listeners = Listeners {
        main: server::bind("HOST", &config.server.host, config.server.port)?,
        scrapes: match &config.metrics.address {
            Some((host, port)) => Some(server::bind("METRICS_ADDRESS", host, *port)?),
            None => None,
        },
    };
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot make the runtime of the control plane")?;
    let result = control.block_on(serve(config, purpose, listeners, started_at));
    // Management requests that did not finish in time are cut here.
    control.shutdown_timeout(Duration::from_millis(200));
    result
}

/// What a server runs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Service,
    /// To look at what does not fit `ENCRYPTION_KEY`: no key serves or is changed (`serve --diagnose`).
    Diagnosis,
}

/// What is bound before anything is started.
struct Listeners {
    main: std::net::TcpListener,
    /// For scrapers alone.
    scrapes: Option<std::net::TcpListener>,
}

async fn serve(config: Config, purpose: Purpose, listeners: Listeners, started_at: Instant) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let lifecycle = Lifecycle::default();
    let database = tokio::select! {
        database = open_database(&config) => database?,
        () = signals.next() => {
            tracing::info!("Stopped before the database was ready");
            return Ok(());
        }
    };
    let stopping = CancellationToken::new();
    let server = start(&config, purpose, listeners, started_at, &database, &lifecycle, &stopping).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %server.local_address()?,
        milliseconds = started_at.elapsed().as_millis(),
        "Serving on {}",
        server.local_address()?
    );

    // Tens of milliseconds that neither the start nor the first request has.
    drop(tokio::task::spawn_blocking(upstream::load_root_certificates));

    tokio::select! {
        () = server.accept() => lifecycle.trip("A data-plane thread"),
        () = signals.next() => tracing::info!("Stopping: requests in progress may finish"),
        () = lifecycle.died() => {}
    }
    stopping.cancel();
    let budget = config.server.graceful_shutdown_timeout;
    let stopping_since = Instant::now();
    let hurry = async {
        signals.next().await;
        tracing::warn!("Stopping at once: requests in progress are cut");
    };
    let drained = server.drain(budget.saturating_sub(WRITERS_BUDGET), hurry).await;
    if !drained {
        tracing::warn!("Some requests did not finish within the budget of the stop, and were cut");
    }
    let left = budget.saturating_sub(stopping_since.elapsed()).max(WRITERS_BUDGET);
    if !lifecycle.stop(left).await {
        tracing::error!("Some background work did not finish within the budget of the stop");
    }
    database.close().await;
    anyhow::ensure!(!lifecycle.has_died(), "a part of the server died; the log says which and why");
    anyhow::ensure!(drained, "stopped, but requests in progress were cut");
    tracing::info!("Stopped");
    Ok(())
}

/// A slave that comes before the first master waits for it: only a master prepares the database.
async fn open_database(config: &Config) -> anyhow::Result<Database> {
    let migrations = if config.is_slave { Migrations::Expect } else { Migrations::Run };
    let mut has_waited = false;
    loop {
        match Database::open(&config.database, &config.database_pool, migrations).await {
            Err(db::Error::NotPrepared) => {
                if !has_waited {
                    tracing::warn!("Waiting: {}", db::Error::NotPrepared);
                    has_waited = true;
                }
                tokio::time::sleep(MASTER_POLL_INTERVAL).await;
            }
            other => return other.context("cannot open the database"),
        }
    }
}

/// Nobody migrates the keys now, they fit the passphrase, and the other nodes have the same one.
async fn open_keys(database: &Database, cipher: &Cipher, purpose: Purpose) -> anyhow::Result<KeyPools> {
    if purpose == Purpose::Diagnosis {
        tracing::warn!("Running for diagnosis: no key serves, and none can be changed");
        return Ok(KeyPools::open_for_diagnosis(database.clone(), cipher.clone()));
    }
    // Once more: whoever began meanwhile saw this node, or is seen here.
    rekey::permit_start(database, false).await?;
    let key_pools = KeyPools::open(database.clone(), cipher.clone()).await.map_err(|error| {
        let look = if error.is_about_passphrases() {
            ". Nothing was changed, and `gpt-load serve --diagnose` starts for a look at them"
        } else {
            ""
        };
        anyhow::anyhow!("cannot load the keys: {error}{look}")
    })?;
    rekey::agree_on_passphrase(database, cipher).await?;
    Ok(key_pools)
}

/// Builds the rooms from the ground up, and starts what runs in them.
#[expect(clippy::too_many_lines, reason = "one room after the other, from the ground up")]
async fn start(
    config: &Config,
    purpose: Purpose,
    listeners: Listeners,
    started_at: Instant,
    database: &Database,
    lifecycle: &Lifecycle,
    stopping: &CancellationToken,
) -> anyhow::Result<Server> {
    let workers = config.server.worker_threads;
    let is_diagnosis = purpose == Purpose::Diagnosis;
    rekey::permit_start(database, is_diagnosis).await?;
    let role = if config.is_slave { Role::Slave } else { Role::Master };
    if role == Role::Master {
        settings::seed(database, &config.server.host, config.server.port, config.initial_proxy_keys.as_ref())
            .await
            .context("cannot store the first settings")?;
    }
    // Before anything is loaded, so that nothing that changes meanwhile is missed.
    let cluster = Cluster::open(database.clone(), config.redis.as_ref())
        .await
        .context("cannot read the changes of other nodes")?;
    let heartbeat = Heartbeat::new(database.clone(), role, address_of_node(config));
    heartbeat.beat().await.context("cannot tell other nodes of this one")?;
    let cipher = Cipher::new(config.encryption_key.as_ref());
    let key_pools = match open_keys(database, &cipher, purpose).await {
        Ok(key_pools) => key_pools,
        Err(error) => {
            heartbeat.sign_off().await;
            return Err(error);
        }
    };
    let directory = Directory::open(database.clone()).await.context("cannot load the groups")?;
    let log = RequestLog::new(workers);
    let tasks = Tasks::open(database.clone(), Arc::new(Utc::now)).await.context("cannot read the tasks")?;

    lifecycle.run("keypool.store", |stop| key_pools.clone().run(stop));
    let log_live = Live::new(cipher.clone());
    let metrics = Metrics::new(directory.clone(), key_pools.clone(), log.clone(), started_at);
    if !is_diagnosis {
        // It counts the uses of keys as well.
        lifecycle.run("request_log.writer", |stop| {
            let writer = Writer::new(log.clone(), database.clone(), cipher.clone());
            writer.observed_by(metrics.observer()).observed_by(Box::new(log_live.clone())).run(stop)
        });
    }
    lifecycle.run("request_log.live", |stop| log_live.clone().follow(database.clone(), stop));
    run_cluster(lifecycle, &cluster, heartbeat, role, database, &tasks, &directory, &key_pools);
    let validator =
        Validator::new(directory.clone(), key_pools.clone(), Clients::new(config.outbound_proxy.clone(), 1));
    let duty = cluster.duty.clone();
    run_duties(lifecycle, &duty, database, &directory, (!is_diagnosis).then_some(&validator));
    lifecycle.run("task.tasks", |stop| tasks.clone().run(stop));
    lifecycle.run("telemetry.losses", |stop| report_losses(log.clone(), stop));
    if !is_diagnosis {
        lifecycle.run("db.local_times", |stop| rewrite_local_times(database.clone(), stop));
    }

    if let Some(listener) = listeners.scrapes {
        let listener = TcpListener::from_std(listener)?;
        tracing::info!(address = %listener.local_addr()?, "Metrics are open to all on {}", listener.local_addr()?);
        lifecycle.run("metrics.listener", |stop| scrapes::serve(listener, metrics.clone(), stop));
    }

    let in_flight = Arc::new(InFlight::new(config.server.requests_max));
    let planes = Arc::new(Planes {
        proxy: Proxy::new(
            &config.server,
            Arc::clone(&in_flight),
            directory.clone(),
            key_pools.clone(),
            log.clone(),
            rand::random,
        ),
        console: Console::embedded(),
        cors: config.cors.clone(),
        router: api::router(api::State {
            auth_key: config.auth_key.clone(),
            encryption_key: config.encryption_key.clone(),
            metrics_token: config.metrics.token.clone(),
            cors: config.cors.clone(),
            own_url: settings::url_from_address(&config.server.host, config.server.port),
            database: database.clone(),
            directory,
            key_pools,
            validator,
            log_search: Search::new(database.clone(), cipher),
            log_live,
            tasks,
            cluster: cluster.clone(),
            request_log: log,
            clock: api::Clock::system(),
            metrics: metrics.clone(),
            started_at,
            node: api::Node {
                role: role.name(),
                worker_threads: workers,
                body_buffer_bytes_max: config.server.body_buffer_bytes_max,
                body_bytes_max: config.server.body_bytes_max,
            },
            stopping: stopping.clone(),
        }),
        control: tokio::runtime::Handle::current(),
    });
    let clients = || Clients::new(config.outbound_proxy.clone(), workers);
    let connections_max = descriptors::connections_max(config.server.connections_max);
    let server = Server::start(listeners.main, &config.server, connections_max, &planes, clients)?;
    let streams = Arc::clone(&in_flight);
    metrics.watch(Gauges {
        requests_in_flight: Box::new(move || in_flight.requests()),
        streams_in_flight: Box::new(move || streams.streams()),
        connections: Box::new(server.connections()),
        requests_max: config.server.requests_max,
        connections_max,
        on_duty: Box::new(move || usize::from(duty.is_ours())),
        cluster_behind: Box::new({
            let cluster = cluster.clone();
            move || usize::from(cluster.is_behind())
        }),
        redis_connected: (!matches!(cluster.redis(), State::Unused)).then(|| -> Reading {
            let cluster = cluster.clone();
            Box::new(move || usize::from(matches!(cluster.redis(), State::Connected)))
        }),
        redis_commands: Box::new(move || count(cluster.notices.commands())),
        database_uses: Box::new({
            let database = database.clone();
            move || count(database.uses())
        }),
    });
    Ok(server)
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// This node among the others: that it is there, what it is on duty for, and what the others change.
#[expect(clippy::too_many_arguments, reason = "the rooms that a cluster ties together")]
fn run_cluster(
    lifecycle: &Lifecycle,
    cluster: &Cluster,
    heartbeat: Heartbeat,
    role: Role,
    database: &Database,
    tasks: &Tasks,
    directory: &Directory,
    key_pools: &KeyPools,
) {
    let duty = cluster.duty.clone();
    lifecycle.run("cluster.heartbeat", |stop| heartbeat.run(stop));
    lifecycle.run("cluster.duty", |stop| duty.clone().run(database.clone(), role, stop));
    lifecycle.run("cluster.tidy", |stop| {
        let (duty, database, tasks) = (duty.clone(), database.clone(), tasks.clone());
        async move { duty.run_while_ours(stop, |stop| cluster::tidy(database.clone(), tasks.clone(), stop)).await }
    });
    lifecycle.run("cluster.notices", |stop| cluster.clone().tell_others(stop));
    lifecycle.run("cluster.follower", |stop| {
        let listener = cluster.notices.listener();
        cluster.follower.clone().run(directory.clone(), key_pools.clone(), listener, stop)
    });
    lifecycle.run("redis.notices", |stop| {
        let notices = cluster.notices.clone();
        async move { notices.run(stop).await }
    });
}

/// What one node does for all.
fn run_duties(
    lifecycle: &Lifecycle,
    duty: &Duty,
    database: &Database,
    directory: &Directory,
    validator: Option<&Validator>,
) {
    lifecycle.run("request_log.retention", |stop| {
        let (duty, database, directory) = (duty.clone(), database.clone(), directory.clone());
        let days = move || directory.current().settings.request_log_retention_days;
        let job = move |stop| Retention::new(database.clone()).run(days.clone(), stop);
        async move { duty.run_while_ours(stop, job).await }
    });
    lifecycle.run("stats.retention", |stop| {
        let (duty, database) = (duty.clone(), database.clone());
        async move { duty.run_while_ours(stop, |stop| stats::delete_old_hours(database.clone(), stop)).await }
    });
    let Some(validator) = validator else { return };
    let clock = Clock { now: Arc::new(Utc::now), chance: Arc::new(rand::random) };
    lifecycle.run("keypool.validation", |stop| {
        let (duty, validator) = (duty.clone(), validator.clone());
        let job = move |stop| Schedule::new(validator.clone(), clock.clone()).run(stop);
        async move { duty.run_while_ours(stop, job).await }
    });
}

/// What other nodes know this one by.
fn address_of_node(config: &Config) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}:{}", config.server.port)
}

/// Says once a minute what was dropped, if anything was: the data plane sheds rather than waits.
async fn report_losses(log: RequestLog, stop: CancellationToken) {
    let mut reported = (0, 0, 0);
    let mut is_stopping = false;
    while !is_stopping {
        is_stopping = stop.run_until_cancelled(tokio::time::sleep(LOSSES_INTERVAL)).await.is_none();
        let dropped = (log.dropped(), log.bodies_dropped(), telemetry::lines_dropped());
        if dropped != reported {
            let (records, bodies, lines) = dropped;
            tracing::warn!(
                records,
                bodies,
                lines,
                "Dropped since the start: records of requests, logged bodies, log lines"
            );
            reported = dropped;
        }
    }
}

/// Rows that the original wrote in a local time zone are read right at once, and rewritten in the background.
async fn rewrite_local_times(database: Database, stop: CancellationToken) {
    if let Some(Err(error)) = stop.run_until_cancelled(database.rewrite_local_times()).await {
        tracing::warn!(%error, "Times of other zones are not rewritten; the next start tries again");
    }
    stop.cancelled().await;
}
