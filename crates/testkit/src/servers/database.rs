//! A database server of a test's own: MariaDB or PostgreSQL.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::process::{Process, Program};
use super::{PASSWORD, PATIENCE, POLL_INTERVAL, USER, WARDEN, mariadb, postgresql, template};
use crate::database::{FreshDatabase, ServerAddress};
use crate::engine::Engine;
use crate::server::free_address;

/// What is special about a private server.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseOptions {
    /// Connections over TCP without TLS are refused. With TLS they are taken in any case.
    pub require_tls: bool,
}

/// A running MariaDB or PostgreSQL. It dies with this guard, or with the thread that made it.
pub struct DatabaseServer {
    process: Process,
    address: ServerAddress,
    certificates: Certificates,
    directory: TempDir,
}

impl DatabaseServer {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// For [`Engine::Sqlite`], when the server is not installed, and when it does not answer.
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, DatabaseOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(engine: Engine, options: DatabaseOptions) -> Self {
        // Copying takes a moment, in which others can prepare theirs.
        let prepared = tokio::task::spawn_blocking(move || prepare(engine, options)).await;
        let (directory, certificates) = prepared.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let socket = free_address();
        let address = ServerAddress::new(engine, USER, PASSWORD, socket, options.require_tls);
        let program = program(engine, options, directory.path(), socket, &certificates);
        let mut server = Self { process: Process::start(program), address, certificates, directory };
        server.answers().await;
        server
    }

    pub fn engine(&self) -> Engine {
        self.address.engine()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.socket()
    }

    /// The server with the account of tests, as the run's variables spell it: `user:password@127.0.0.1:PORT`.
    pub fn credentials(&self) -> String {
        self.address.to_string()
    }

    /// Its Unix socket: a file for MariaDB, for PostgreSQL the folder that clients name as their host.
    pub fn unix_socket(&self) -> PathBuf {
        match self.engine() {
            Engine::MySql => mariadb::socket(self.directory.path()),
            _ => self.directory.path().to_owned(),
        }
    }

    /// Where a client finds whom to trust.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A new empty database on it.
    ///
    /// # Panics
    /// When the server does not make one.
    pub async fn database(&self) -> FreshDatabase {
        FreshDatabase::on(&self.address, false).await
    }

    /// How a database on it is named, in the form that gpt-load takes.
    pub fn dsn(&self, database: &str) -> String {
        self.address.dsn(database)
    }

    /// The id of the process that listens.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Everything that it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Stops it in order, with clients connected or not.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// `kill -9` of all its processes.
    ///
    /// # Panics
    /// When they stay.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`], on the same port and data.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn start_again(&mut self) {
        self.process.start_again();
        self.answers().await;
    }

    /// Neither answers nor closes anything until [`Self::resume`] (SIGSTOP).
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// Ends a pause (SIGCONT).
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Refuses every write from now on, also on connections that are open, or takes them again.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn set_read_only(&self, read_only: bool) {
        let value = if read_only { "on" } else { "off" };
        let (user, statements) = match self.engine() {
            Engine::PostgreSql => {
                let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
                (USER, vec![set, "SELECT pg_reload_conf()".to_owned()])
            }
            _ => (WARDEN, vec![format!("SET GLOBAL read_only = {value}")]),
        };
        let warden = ServerAddress::new(self.engine(), user, PASSWORD, self.address(), self.address.tls());
        let set = warden.run(&statements).await;
        set.unwrap_or_else(|error| panic!("{} does not answer: {error}", self.engine()));
    }

    async fn answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(problem) = self.address.ping().await {
            let ended = self.process.ended();
            let hopeless = ended.is_some() || Instant::now() > deadline;
            assert!(!hopeless, "{} does not answer ({ended:?}, {problem}): {}", self.engine(), self.process.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

fn prepare(engine: Engine, options: DatabaseOptions) -> (TempDir, Certificates) {
    let directory = template::temporary_folder();
    match engine {
        Engine::Sqlite => panic!("SQLite has no server"),
        Engine::MySql => mariadb::prepare(directory.path()),
        Engine::PostgreSql => postgresql::prepare(directory.path(), options.require_tls),
    }
    let certificates = Certificates::write(directory.path());
    (directory, certificates)
}

fn program(
    engine: Engine,
    options: DatabaseOptions,
    folder: &Path,
    socket: SocketAddr,
    certificates: &Certificates,
) -> Program {
    match engine {
        Engine::PostgreSql => postgresql::program(folder, socket.port(), certificates),
        _ => mariadb::program(folder, socket.port(), certificates, options.require_tls),
    }
}
