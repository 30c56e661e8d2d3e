//! GET /api/system: this node, what it runs on, and the limits that an operator meets.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, LIVE_STREAMS_MAX, REQUESTS_MAX, answer::Answer, body, document::Shown, page, refusal::Refusal};
use crate::{
    db::{self, RequestLogs, Timestamp},
    keypool::{KEYS_PER_CALL_MAX, KEYS_PER_TASK_MAX},
    redis::State,
    request_log::{self, SearchError},
};

/// What the database does not say by then is not known.
const DATABASE_TIME: Duration = Duration::from_secs(3);

/// How a node was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    /// `master` or `slave`.
    pub(crate) role: &'static str,
    pub(crate) worker_threads: usize,
    /// Request bodies beyond are streamed, and those beyond the second refused.
    pub(crate) body_buffer_bytes_max: u64,
    pub(crate) body_bytes_max: u64,
}

/// What is not known is `null`.
#[derive(Serialize, ToSchema)]
pub(super) struct System {
    version: &'static str,
    started_at: Timestamp,
    uptime_seconds: u64,
    /// How far the server's clock is from UTC: `+08:00`.
    time_zone: String,
    node: ThisNode,
    database: TheDatabase,
    /// `null`: none is used.
    #[schema(required)]
    redis: Option<Redis>,
    request_log: Log,
    /// Memory that the process holds.
    #[schema(required)]
    memory_bytes: Option<u64>,
    #[schema(required)]
    open_connections: Option<usize>,
    /// Proxied ones.
    #[schema(required)]
    requests_in_flight: Option<usize>,
    /// Of the data plane.
    worker_threads: usize,
    limits: Limits,
    /// 0: entries of the log are kept for ever.
    retention_days: i64,
    encryption: Encryption,
    /// It runs for diagnosis: keys are only looked at.
    read_only: bool,
    /// A newer release; `null`, since nothing outside is asked.
    #[schema(required)]
    update: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ThisNode {
    /// Another one at each start.
    id: String,
    /// `master` or `slave`.
    role: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseFacts)]
struct TheDatabase {
    /// `SQLite`, `MySQL` or `PostgreSQL`.
    engine: &'static str,
    #[schema(required)]
    version: Option<String>,
    /// All of it; of a file with its free pages.
    #[schema(required)]
    size_bytes: Option<i64>,
    /// Entries of the request log, nearly: an estimate, since nobody counts them for it.
    #[schema(required)]
    log_rows: Option<i64>,
    #[schema(required)]
    oldest_log_entry_at: Option<Timestamp>,
    /// The log with its indexes; `null` on SQLite.
    #[schema(required)]
    log_bytes: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RedisState)]
struct Redis {
    is_connected: bool,
    /// Why it is away; empty: it is not.
    problem: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogState)]
struct Log {
    /// Entries on their way to the database.
    pending: usize,
    /// Entries lost since the start.
    dropped_total: u64,
    write_interval_ms: u64,
}

/// What lies beyond is refused, cut or counted, as OPERATIONS.md says.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemLimits)]
#[expect(clippy::struct_field_names, reason = "each of them is a limit")]
struct Limits {
    /// Proxied requests at once.
    #[schema(required)]
    proxied_requests_max: Option<usize>,
    /// Of clients, on either plane.
    #[schema(required)]
    connections_max: Option<usize>,
    /// Beyond, a body is streamed and not sent again.
    request_body_buffered_bytes_max: u64,
    request_body_bytes_max: u64,
    management_requests_max: usize,
    management_body_bytes_max: usize,
    key_list_bytes_max: usize,
    keys_per_call_max: usize,
    keys_per_task_max: usize,
    page_size_max: u32,
    log_watchers_max: usize,
    log_entries_pending_max: usize,
    log_rows_summed_exactly_max: usize,
}

#[derive(Serialize, ToSchema)]
struct Encryption {
    is_on: bool,
}

impl Shown for System {}

#[derive(Default)]
struct Known {
    facts: Option<db::Facts>,
    log: Option<db::TableSize>,
    oldest_log_entry_at: Option<DateTime<Utc>>,
}

pub(super) async fn show(api: Api) -> Result<Answer<System>, Refusal> {
    let uptime = api.clock.steady().saturating_duration_since(api.started_at);
    let now = api.clock.now();
    let started_at = now - TimeDelta::from_std(uptime).unwrap_or_default();
    let Known { facts, log, oldest_log_entry_at } = known(&api).await;
    let traffic = api.metrics.traffic();
    let redis = match api.cluster.redis() {
        State::Unused => None,
        State::Connected => Some(Redis { is_connected: true, problem: String::new() }),
        State::Away { problem, .. } => Some(Redis { is_connected: false, problem }),
    };
    Answer::with(&System {
        version: env!("CARGO_PKG_VERSION"),
        started_at: Timestamp(started_at).to_milliseconds(),
        uptime_seconds: uptime.as_secs(),
        time_zone: api.clock.local(now).offset().to_string(),
        node: ThisNode { id: api.database.node().to_owned(), role: api.node.role },
        database: TheDatabase {
            engine: api.database.engine().name(),
            size_bytes: facts.as_ref().and_then(|facts| facts.size_bytes),
            version: facts.map(|facts| facts.version),
            log_rows: log.and_then(|log| log.rows),
            oldest_log_entry_at: oldest_log_entry_at.map(Timestamp),
            log_bytes: log.and_then(|log| log.bytes),
        },
        redis,
        request_log: Log {
            pending: api.request_log.waiting(),
            dropped_total: api.request_log.dropped(),
            write_interval_ms: u64::try_from(request_log::WRITE_INTERVAL.as_millis()).unwrap_or(u64::MAX),
        },
        memory_bytes: api.metrics.memory_bytes(),
        open_connections: traffic.map(|traffic| traffic.connections),
        requests_in_flight: traffic.map(|traffic| traffic.requests_in_flight),
        worker_threads: api.node.worker_threads,
        limits: Limits {
            proxied_requests_max: traffic.map(|traffic| traffic.requests_max),
            connections_max: traffic.map(|traffic| traffic.connections_max),
            request_body_buffered_bytes_max: api.node.body_buffer_bytes_max,
            request_body_bytes_max: api.node.body_bytes_max,
            management_requests_max: REQUESTS_MAX,
            management_body_bytes_max: body::BODY_BYTES_MAX,
            key_list_bytes_max: body::IMPORT_BYTES_MAX,
            keys_per_call_max: KEYS_PER_CALL_MAX,
            keys_per_task_max: KEYS_PER_TASK_MAX,
            page_size_max: page::SIZE_MAX,
            log_watchers_max: LIVE_STREAMS_MAX,
            log_entries_pending_max: request_log::RECORDS_PENDING_MAX,
            log_rows_summed_exactly_max: request_log::ROWS_ALL_MAX,
        },
        retention_days: i64::from(api.directory.current().settings.request_log_retention_days),
        encryption: Encryption { is_on: api.encryption_key.is_some() },
        read_only: api.key_pools.check_writable().is_err(),
        update: None,
    })
}

/// The page is of most use when the database is not well.
async fn known(api: &Api) -> Known {
    let mut known = Known::default();
    let asked = async {
        known.facts = Some(api.database.facts().await?);
        known.log = Some(api.database.size_of(RequestLogs::Table.name()).await?);
        known.oldest_log_entry_at = api.log_search.oldest_entry_at().await?;
        Ok::<_, SearchError>(())
    };
    if let Ok(Err(error)) = tokio::time::timeout(DATABASE_TIME, asked).await {
        tracing::warn!(%error, "The database does not say all of what it is like: {error}");
    }
    known
}
