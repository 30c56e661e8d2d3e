//! Starts MariaDB, PostgreSQL and Redis, runs a command that finds them in its environment, and stops them again.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Instant;

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use testkit::{DatabaseServer, Engine, RedisOptions, RedisServer};
use tokio::signal::unix::{SignalKind, signal};

/// Worth nothing: this Redis listens on the loopback address and lives as long as the command.
const REDIS_PASSWORD: &str = "Password-of-a-Test-1234";

/// Runs a command with TEST_MYSQL and TEST_POSTGRESQL (user:password@address) and TEST_REDIS (a URL) set. All three are
/// in temporary directories and on free loopback ports, and gone when it ends.
#[derive(Parser)]
struct Arguments {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

// One thread: servers die with the thread that started them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let mut interrupted = signal(SignalKind::interrupt()).expect("signals can be caught");
    let mut asked_to_stop = signal(SignalKind::terminate()).expect("signals can be caught");

    let begun = Instant::now();
    let redis = RedisOptions { password: Some(REDIS_PASSWORD.to_owned()), ..RedisOptions::default() };
    let starting = async {
        tokio::join!(
            DatabaseServer::start(Engine::MySql),
            DatabaseServer::start(Engine::PostgreSql),
            RedisServer::start(redis)
        )
    };
    let (mysql, postgresql, redis) = tokio::select! {
        servers = starting => servers,
        _ = interrupted.recv() => return ExitCode::from(130),
        _ = asked_to_stop.recv() => return ExitCode::from(143),
    };
    eprintln!("MariaDB, PostgreSQL and Redis run since {} ms", begun.elapsed().as_millis());

    let mut words = command.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).env("TEST_MYSQL", mysql.credentials()).env("TEST_POSTGRESQL", postgresql.credentials());
    let spawned = command.env("TEST_REDIS", redis.dsn()).spawn();
    let (id, ended) = match spawned {
        Ok(mut child) => (child.id(), tokio::task::spawn_blocking(move || child.wait())),
        Err(error) => {
            eprintln!("the command cannot be started: {error}");
            return ExitCode::from(127);
        }
    };
    // An interrupt at the terminal has reached the command too; a signal to us alone has not.
    tokio::pin!(ended);
    let status = loop {
        tokio::select! {
            status = &mut ended => break status,
            _ = interrupted.recv() => pass_on(id, Signal::INT),
            _ = asked_to_stop.recv() => pass_on(id, Signal::TERM),
        }
    };
    // The guards stop the servers and remove their directories: the data are worth nothing, so nobody says good-bye.
    drop((mysql, postgresql, redis));
    match status {
        Ok(Ok(status)) => ExitCode::from(code(status)),
        problem => {
            eprintln!("the command cannot be waited for: {problem:?}");
            ExitCode::FAILURE
        }
    }
}

fn pass_on(process: u32, wanted: Signal) {
    if let Some(id) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(id, wanted);
    }
}

/// As a shell tells it.
fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
