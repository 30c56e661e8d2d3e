//! The request log as the database has it.

use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};
use testkit::TempServer;

const PATIENCE: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub struct Logged {
    pub request_id: String,
    pub status: i64,
    /// `retry` or `final`.
    pub kind: String,
    pub error: String,
}

/// Everything that is in the log now, oldest first.
pub async fn logged(server: &TempServer) -> Vec<Logged> {
    let options = SqliteConnectOptions::new().filename(server.database_path()).read_only(true);
    let mut database = options.connect().await.expect("the database opens");
    let query = "SELECT request_id, status_code, request_type, COALESCE(error_message, '') AS error FROM request_logs ORDER BY id";
    let rows = sqlx::query(query).fetch_all(&mut database).await.expect("the log can be read");
    database.close().await.expect("the database closes");
    let entry = |row: &sqlx::sqlite::SqliteRow| Logged {
        request_id: row.get("request_id"),
        status: row.get("status_code"),
        kind: row.get("request_type"),
        error: row.get("error"),
    };
    rows.iter().map(entry).collect()
}

/// The log as soon as it is as wanted.
///
/// # Panics
/// When it does not become so in time.
pub async fn eventually_logged(server: &TempServer, wanted: impl Fn(&[Logged]) -> bool) -> Vec<Logged> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = logged(server).await;
        if wanted(&log) {
            return log;
        }
        assert!(Instant::now() < deadline, "the log stays at {log:#?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The status of the one request that was made, and what the log says about it.
pub async fn outcome(server: &TempServer) -> (i64, String) {
    let log = eventually_logged(server, |log| log.iter().any(|entry| entry.kind == "final")).await;
    let ended = log.into_iter().find(|entry| entry.kind == "final").expect("it is there");
    (ended.status, ended.error)
}
