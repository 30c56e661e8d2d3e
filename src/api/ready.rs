//! GET /ready: whether we can serve, for whoever decides where requests go. Nothing in it is secret.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::{Api, answer::Bare, document::Outside};
use crate::db::Database;

/// A database that takes longer is as good as none.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);
/// However many ask, the database is asked this often at most.
const DATABASE_INTERVAL: Duration = Duration::from_millis(500);

/// The last look at the database; while one is under way, the others wait for it.
#[derive(Default)]
pub(super) struct Probe(Mutex<Option<(Instant, bool)>>);

impl Probe {
    async fn answers(&self, database: &Database) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, answers)) = *last
            && at.elapsed() < DATABASE_INTERVAL
        {
            return answers;
        }
        let answers = match tokio::time::timeout(DATABASE_TIMEOUT, database.probe()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "Not ready: the database cannot be read");
                false
            }
            Err(_) => {
                tracing::warn!("Not ready: the database does not answer within a second");
                false
            }
        };
        *last = Some((Instant::now(), answers));
        answers
    }
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
    server: &'static str,
}

const ALL_OK: Checks = Checks { database: "ok", groups: "ok", request_log: "ok", server: "ok" };

impl Outside for Readiness {
    const STATUSES: &'static [(u16, &'static str)] = &[(200, "Able to serve"), (503, "Not able to, and why")];
}

pub(super) async fn read(api: Api) -> Bare<Readiness> {
    let check = |is_ok: bool, otherwise: &'static str| if is_ok { "ok" } else { otherwise };
    let checks = Checks {
        database: check(api.0.probe.answers(&api.database).await, "not answering"),
        groups: check(!api.directory.is_behind(), "out of date"),
        request_log: check(!api.request_log.is_failing(), "not written"),
        server: check(!api.stopping.is_cancelled(), "stopping"),
    };
    let (status, word) =
        if checks == ALL_OK { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    Bare::new(status, Readiness { status: word, checks })
}
