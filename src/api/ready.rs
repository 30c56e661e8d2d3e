//! GET /ready: whether we can serve, for whoever decides where requests go. Nothing in it is secret.
//!
//! What is in memory serves while the database or Redis is away. If that ended readiness, all nodes would leave their
//! balancer at once when the database that they share is away, and nobody would serve. Whoever wants it otherwise asks for
//! `/ready?strict=true`.

use std::time::{Duration, Instant};

use axum::{
    extract::{Request, State as Shared},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::{
    Api,
    answer::Bare,
    document::{Outside, Shape, shape::text},
    query::{Parameters, Query},
    refusal::Refusal,
};
use crate::{db::Database, redis::State};

/// A database that takes longer is as good as none.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);
/// However many ask, the database is asked this often at most.
const DATABASE_INTERVAL: Duration = Duration::from_millis(500);

/// The last look at the database; while one is under way, the others wait for it.
#[derive(Default)]
pub(super) struct Probe(Mutex<Option<(Instant, Seen)>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Answers,
    /// It is away, or slow.
    TakesLong,
    Fails,
}

impl Probe {
    async fn look(&self, database: &Database) -> Seen {
        let mut last = self.0.lock().await;
        if let Some((at, seen)) = *last
            && at.elapsed() < DATABASE_INTERVAL
        {
            return seen;
        }
        let (seen, problem) = match tokio::time::timeout(DATABASE_TIMEOUT, database.probe()).await {
            Ok(Ok(())) => (Seen::Answers, None),
            Ok(Err(error)) => (Seen::Fails, Some(error.to_string())),
            Err(_) => (Seen::TakesLong, Some("no answer within a second".to_owned())),
        };
        // Said once when it begins and once when it ends, however many ask.
        match (last.is_none_or(|(_, seen)| seen == Seen::Answers), problem) {
            (true, Some(problem)) => tracing::warn!("The database cannot be read: {problem}"),
            (false, None) => tracing::info!("The database can be read again"),
            _ => {}
        }
        *last = Some((Instant::now(), seen));
        seen
    }
}

/// Refuses at once what would only wait for a database server that is away, and then fail.
pub(super) async fn database_answers(Shared(api): Shared<Api>, request: Request, next: Next) -> Response {
    let is_away = !api.database.engine().is_sqlite()
        && match api.0.probe.look(&api.database).await {
            Seen::Answers => false,
            // Whoever is patient learns more from it.
            Seen::TakesLong => api.cluster.is_behind(),
            Seen::Fails => true,
        };
    if is_away { Refusal::database_away().into_response() } else { next.run(request).await }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    status: &'static str,
    checks: Checks,
}

/// Each is `ok`, or says what is wrong in a word.
#[derive(Serialize, PartialEq, ToSchema)]
struct Checks {
    database: &'static str,
    groups: &'static str,
    request_log: &'static str,
    /// What other nodes changed is known here.
    cluster: &'static str,
    /// Without `REDIS_DSN` it is `ok`: nobody misses it.
    redis: &'static str,
    server: &'static str,
}

const ALL_OK: Checks =
    Checks { database: "ok", groups: "ok", request_log: "ok", cluster: "ok", redis: "ok", server: "ok" };

pub(super) struct Wanted;

impl Parameters for Wanted {
    fn shape() -> Shape {
        Shape::default().optional(
            "strict",
            text(),
            "`true`: ready only when nothing is wrong at all; anything else counts for nothing",
        )
    }
}

impl Outside for Readiness {
    const STATUSES: &'static [(u16, &'static str)] = &[
        (200, "Able to serve; what is wrong nevertheless is told"),
        (503, "Not able to, or with `strict` something is wrong"),
    ];
}

pub(super) async fn read(api: Api, query: Query<Wanted>) -> Bare<Readiness> {
    let check = |is_ok: bool, otherwise: &'static str| if is_ok { "ok" } else { otherwise };
    let checks = Checks {
        database: check(api.0.probe.look(&api.database).await == Seen::Answers, "not answering"),
        groups: check(!api.directory.is_behind(), "out of date"),
        request_log: check(!api.request_log.is_failing(), "not written"),
        cluster: check(!api.cluster.is_behind(), "out of date"),
        redis: check(!matches!(api.cluster.redis(), State::Away { .. }), "away"),
        server: check(!api.stopping.is_cancelled(), "stopping"),
    };
    let (status, word) = if checks == ALL_OK {
        (StatusCode::OK, "ready")
    } else if checks.server == "ok" && query.first("strict") != Some("true") {
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    Bare::new(status, Readiness { status: word, checks })
}
