//! Databases of a test's own, on any engine: empty, or filled from a file of SQL.

mod address;
mod connection;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use self::address::ServerAddress;
use self::connection::AnyConnection;
use crate::engine::Engine;

/// How long a test waits for rows that must come before it fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at rows that must come.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long the end of a test waits for its database to be dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// An empty database. It is dropped with this guard, also when the test panics.
pub struct FreshDatabase {
    engine: Engine,
    dsn: String,
    place: Place,
}

enum Place {
    File { path: PathBuf, _folder: Option<TempDir> },
    Server { server: ServerAddress, name: String, dropped: bool },
}

impl FreshDatabase {
    /// A file in a folder of its own, or a database on the run's server, which `scripts/with-test-servers` starts.
    ///
    /// # Panics
    /// When the run has no such server, or it makes no database.
    pub async fn create(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            let folder = tempfile::tempdir().expect("a temporary directory");
            let path = folder.path().join("gpt-load.db");
            return Self::file(path, Some(folder));
        }
        Self::on(&ServerAddress::of_this_run(engine), true).await
    }

    /// One of the engine that this run is about.
    ///
    /// # Panics
    /// As [`Self::create`].
    pub async fn of_this_run() -> Self {
        Self::create(Engine::of_this_run()).await
    }

    /// A SQLite file in a folder that someone else takes care of.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self::file(path, None)
    }

    fn file(path: PathBuf, folder: Option<TempDir>) -> Self {
        Self { engine: Engine::Sqlite, dsn: path.display().to_string(), place: Place::File { path, _folder: folder } }
    }

    /// On this server, which outlives the database if it is to be dropped.
    pub(crate) async fn on(server: &ServerAddress, dropped: bool) -> Self {
        let name = format!("test_{:032x}", random());
        // Others may be connected to the usual template, which then cannot be copied.
        let template = if server.engine() == Engine::PostgreSql { " TEMPLATE template0" } else { "" };
        let made = server.run(&[format!("CREATE DATABASE {name}{template}")]).await;
        made.unwrap_or_else(|error| panic!("a database on {}: {error}", server.socket()));
        let dsn = server.dsn(&name);
        Self { engine: server.engine(), dsn, place: Place::Server { server: server.clone(), name, dropped } }
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// In the form that gpt-load takes.
    pub fn dsn(&self) -> &str {
        &self.dsn
    }

    /// Its name on the server; the file's path on SQLite.
    pub fn name(&self) -> String {
        match &self.place {
            Place::File { path, .. } => path.display().to_string(),
            Place::Server { name, .. } => name.clone(),
        }
    }

    /// Where its server listens.
    ///
    /// # Panics
    /// For SQLite, which has none.
    pub fn server_address(&self) -> SocketAddr {
        self.server().socket()
    }

    /// The same database through a proxy in front of its server, in the form that gpt-load takes.
    ///
    /// # Panics
    /// For SQLite, which has no server.
    pub fn dsn_through(&self, proxy: SocketAddr) -> String {
        self.server().through(proxy).dsn(&self.name())
    }

    /// The same database with times in this zone (`Asia/Shanghai`), in the form that gpt-load takes. Only MySQL's times
    /// depend on it; for the others it is [`Self::dsn`].
    pub fn dsn_in_zone(&self, zone: &str) -> String {
        self.dsn.replace("loc=UTC", &format!("loc={}", zone.replace('/', "%2F")))
    }

    fn server(&self) -> &ServerAddress {
        match &self.place {
            Place::File { .. } => panic!("SQLite has no server"),
            Place::Server { server, .. } => server,
        }
    }

    /// Runs one or more statements.
    ///
    /// # Panics
    /// When one of them fails.
    pub async fn execute(&self, statements: &str) {
        let run = async {
            let mut connection = self.connect(false).await?;
            connection.execute(statements).await?;
            connection.close().await
        };
        run.await.unwrap_or_else(|error| panic!("{error} on {} in: {}", self.engine, shortened(statements)));
    }

    /// Runs the statements of a file.
    ///
    /// # Panics
    /// When it cannot be read, or one of them fails.
    pub async fn load(&self, file: impl AsRef<Path>) {
        self.execute(&read(file.as_ref())).await;
    }

    /// The same with texts of the file replaced wherever they stand, such as the address of an upstream or a day.
    ///
    /// # Panics
    /// As [`Self::load`].
    pub async fn load_replacing(&self, file: impl AsRef<Path>, texts: &[(&str, &str)]) {
        let statements = read(file.as_ref());
        self.execute(&texts.iter().fold(statements, |statements, (text, by)| statements.replace(text, by))).await;
    }

    /// The rows that a query finds, each value as the engine prints it; NULL is `None`.
    ///
    /// # Panics
    /// When it fails.
    pub async fn rows(&self, query: &str) -> Vec<Vec<Option<String>>> {
        let found = async {
            let mut connection = self.connect(true).await?;
            let rows = connection.rows(query).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(rows)
        };
        found.await.unwrap_or_else(|error| panic!("{error} on {} in: {query}", self.engine))
    }

    /// The first column of what a query finds, with nothing for NULL.
    ///
    /// # Panics
    /// When it fails.
    pub async fn column(&self, query: &str) -> Vec<String> {
        let rows = self.rows(query).await;
        rows.into_iter().filter_map(|row| row.into_iter().next()).map(Option::unwrap_or_default).collect()
    }

    /// The same, once it is as wanted.
    ///
    /// # Panics
    /// When it does not become so in time.
    pub async fn eventually(&self, query: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let column = self.column(query).await;
            if wanted(&column) {
                return column;
            }
            assert!(Instant::now() < deadline, "{query} stays at {column:#?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn connect(&self, read_only: bool) -> Result<AnyConnection, sqlx::Error> {
        match &self.place {
            Place::File { path, .. } => AnyConnection::to_file(path, read_only).await,
            Place::Server { server, name, .. } => server.connect(Some(name)).await,
        }
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        let Place::Server { server, name, dropped: true } = &self.place else { return };
        let (server, name) = (server.clone(), name.clone());
        // The test's runtime may be the one that this thread drives, so it gets a thread and a runtime of its own. What
        // is left over goes with the server.
        let _ = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            let force = if server.engine() == Engine::PostgreSql { " WITH (FORCE)" } else { "" };
            let statements = [format!("DROP DATABASE {name}{force}")];
            let _ = runtime.block_on(async { tokio::time::timeout(DROP_TIMEOUT, server.run(&statements)).await });
        })
        .join();
    }
}

/// A number that no other test, process or run has.
fn random() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    half() << 64 | half()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Enough to find the statement again.
fn shortened(statements: &str) -> String {
    statements.chars().take(400).collect()
}
