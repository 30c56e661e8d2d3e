//! Where a database server is and who may use it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::connection::AnyConnection;
use crate::engine::Engine;

/// A server that does not even take a connection in this time is paused or overwhelmed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The script that starts the servers of a run.
const SCRIPT: &str = "scripts/with-test-servers";

/// A server with an account that may do everything.
#[derive(Clone)]
pub(crate) struct ServerAddress {
    engine: Engine,
    user: String,
    password: String,
    socket: SocketAddr,
    tls: bool,
}

impl ServerAddress {
    pub(crate) fn new(engine: Engine, user: &str, password: &str, socket: SocketAddr, tls: bool) -> Self {
        Self { engine, user: user.to_owned(), password: password.to_owned(), socket, tls }
    }

    /// The server of this run.
    ///
    /// # Panics
    /// When the run has none, and for SQLite.
    pub(crate) fn of_this_run(engine: Engine) -> Self {
        let variable = Self::variable(engine);
        let value = std::env::var_os(variable);
        let value = value.unwrap_or_else(|| {
            panic!("{variable} is not set: tests on {engine} run as `{SCRIPT} cargo test …`, which starts the servers")
        });
        let value = value.to_string_lossy();
        let parsed = Self::parse(engine, &value);
        parsed.unwrap_or_else(|| panic!("{variable} is {value:?}; it should be user:password@127.0.0.1:port"))
    }

    /// The variable that holds the server of a run, as `user:password@127.0.0.1:port`.
    pub(crate) fn variable(engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => panic!("SQLite has no server"),
            Engine::MySql => "TEST_MYSQL",
            Engine::PostgreSql => "TEST_POSTGRESQL",
        }
    }

    fn parse(engine: Engine, value: &str) -> Option<Self> {
        let (credentials, socket) = value.rsplit_once('@')?;
        let (user, password) = credentials.split_once(':')?;
        Some(Self::new(engine, user, password, socket.parse().ok()?, false))
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Whether it wants TLS.
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// The same server behind a proxy.
    pub(crate) fn through(&self, socket: SocketAddr) -> Self {
        Self { socket, ..self.clone() }
    }

    /// In the form that gpt-load takes.
    pub(crate) fn dsn(&self, database: &str) -> String {
        let Self { user, password, socket, tls, .. } = self;
        match self.engine {
            Engine::PostgreSql => {
                let mode = if *tls { "require" } else { "disable" };
                format!("postgres://{user}:{password}@{socket}/{database}?sslmode={mode}")
            }
            _ => {
                let more = if *tls { "&tls=skip-verify" } else { "" };
                format!("{user}:{password}@tcp({socket})/{database}?charset=utf8mb4&parseTime=True&loc=UTC{more}")
            }
        }
    }

    /// A connection to a database, or to none in particular.
    pub(super) async fn connect(&self, database: Option<&str>) -> Result<AnyConnection, sqlx::Error> {
        let connecting = async {
            let host = self.socket.ip().to_string();
            if self.engine == Engine::PostgreSql {
                let tls = if self.tls { PgSslMode::Require } else { PgSslMode::Disable };
                let options = PgConnectOptions::new_without_pgpass().host(&host).port(self.socket.port()).ssl_mode(tls);
                let options = options.username(&self.user).password(&self.password);
                Ok(AnyConnection::PostgreSql(options.database(database.unwrap_or("postgres")).connect().await?))
            } else {
                let tls = if self.tls { MySqlSslMode::Required } else { MySqlSslMode::Disabled };
                let options = MySqlConnectOptions::new().host(&host).port(self.socket.port()).ssl_mode(tls);
                let mut options = options.username(&self.user).password(&self.password);
                if let Some(database) = database {
                    options = options.database(database);
                }
                Ok(AnyConnection::MySql(options.connect().await?))
            }
        };
        let timeout = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        timeout.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut))
    }

    /// Whether it takes connections.
    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        self.run(&[]).await
    }

    /// Runs statements that belong to no database.
    pub(crate) async fn run(&self, statements: &[String]) -> Result<(), sqlx::Error> {
        let mut connection = self.connect(None).await?;
        for statement in statements {
            connection.execute(statement).await?;
        }
        connection.close().await
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}@{}", self.user, self.password, self.socket)
    }
}
