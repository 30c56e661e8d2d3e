//! `gpt-load check`: looks at a deployment and says what a start would do, changing nothing.

mod database;
mod environment;
mod findings;
mod keys;
mod queries;

use std::process::ExitCode;

use self::findings::Findings;
use crate::{
    config::{Config, DatabaseDsn, Offline, RedisDsn},
    db::{self, Database, Migrations},
    redis::Notices,
    web,
};

/// The exit code is 0 where nothing is wrong, else 1.
pub(super) fn check(is_json: bool) -> ExitCode {
    let mut findings = Findings::default();
    // Nothing of what can be examined goes over TLS without it.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        findings.note("environment", "a TLS provider was installed already");
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(examine(&mut findings)),
        Err(error) => findings.problem("environment", format!("no runtime can be made: {error}")),
    }
    let printed = super::print(&if is_json { findings.to_json() } else { findings.to_text() });
    if findings.problems() > 0 { ExitCode::FAILURE } else { printed }
}

async fn examine(findings: &mut Findings) {
    if web::is_built() {
        findings.ok("console", "is in this binary");
    } else {
        findings.note("console", "is not in this binary, which was built without it: `make console` builds it");
    }
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => return findings.problem("environment", format!("the working directory cannot be read: {error}")),
    };
    environment::examine_dotenv(&directory, findings);
    let config = match Config::examine(&directory, std::env::vars_os()) {
        Ok((config, warnings)) => {
            findings.ok("environment", "every variable is understood");
            for warning in warnings {
                findings.note("environment", warning);
            }
            Some(config)
        }
        Err(problems) => {
            for problem in problems {
                findings.problem("environment", problem);
            }
            None
        }
    };
    // What is wrong elsewhere does not keep anyone from looking at the data.
    let Ok((offline, _)) = Offline::load(&directory, std::env::vars_os()) else { return };
    let running = examine_data(&offline, config.as_ref(), findings).await;
    if let Some(config) = &config {
        environment::examine_port(&config.server, running, findings);
        environment::examine_log_file(&config.log, findings);
    }
    if let Some(redis) = offline.redis.as_ref().filter(|_| !matches!(offline.database, DatabaseDsn::Sqlite(_))) {
        examine_redis(redis, findings).await;
    }
}

/// Returns whether servers run on the data.
async fn examine_data(offline: &Offline, config: Option<&Config>, findings: &mut Findings) -> bool {
    let mut is_running = false;
    if let DatabaseDsn::Sqlite(file) = &offline.database {
        if !environment::examine_file(&file.path, findings) {
            return false;
        }
        is_running = db::is_in_use(&file.path);
        if is_running {
            findings.note("database", "a server runs on this file (or migrate-keys does)");
        }
    }
    let database = match Database::open(&offline.database, &offline.database_pool, Migrations::Leave).await {
        Ok(database) => database,
        Err(error) => {
            findings.problem("database", format!("cannot be opened: {error}"));
            return is_running;
        }
    };
    let encryption_key = offline.secret("ENCRYPTION_KEY");
    let outcome = async {
        let is_slave = config.is_some_and(|config| config.is_slave);
        let outlook = database::examine(&database, is_slave, findings).await?;
        if !outlook.is_empty() {
            database::examine_rows(&database, &outlook, findings).await?;
            keys::examine(&database, encryption_key.as_ref(), &outlook, findings).await?;
        }
        database::examine_nodes(&database, findings).await
    };
    match outcome.await {
        Ok(nodes_run) => is_running || nodes_run,
        Err(error) => {
            findings.problem("database", format!("cannot be examined any further: {error}"));
            is_running
        }
    }
}

async fn examine_redis(redis: &RedisDsn, findings: &mut Findings) {
    match Notices::probe(redis).await {
        Ok(found) => {
            findings.ok("redis", format!("answers at {}", found.place));
            match found.pending_log_entries {
                Some(0) => {}
                Some(count) => findings.note(
                    "redis",
                    format!("{count} log entries of the original wait there; let its master write them first, they are not used here"),
                ),
                None => findings.note("redis", "the account may not count log entries of the original that may wait there"),
            }
        }
        Err(problem) => findings.problem("redis", problem.to_string()),
    }
}
