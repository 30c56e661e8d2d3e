//! The real gpt-load binary in a directory of its own, for black-box tests.

mod life;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::database::FreshDatabase;
use crate::engine::Engine;
use crate::raw::{RawResponse, exchange};

/// How long a test waits for something that must happen before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at something that must happen.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Another process may take a free port between our choice and the server's start.
const START_TRIES: usize = 3;
/// Names the database of a server.
const DATABASE: &str = "DATABASE_DSN";
/// Where a server without it has its database, below its directory.
const DEFAULT_FILE: &str = "data/gpt-load.db";

/// A running server. Dropping it kills the process and removes its directory.
pub struct TempServer {
    child: Child,
    address: SocketAddr,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Unless the test named one.
    database: Option<FreshDatabase>,
    directory: TempDir,
}

/// A server that is yet to be started.
pub struct TempServerBuilder {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directory: TempDir,
}

impl TempServerBuilder {
    /// Sets an environment variable; one given earlier is replaced.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(found, _)| found != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command line, for what is not the default of it.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    /// Works on this database.
    #[must_use]
    pub fn database(self, database: &FreshDatabase) -> Self {
        self.env(DATABASE, database.dsn())
    }

    /// The server's working directory, for files that must be there when it starts.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the server and waits until it serves. Unless the test names a database, it gets an empty one of the engine
    /// of this run.
    ///
    /// # Panics
    /// When it does not serve; the message holds what it printed.
    pub async fn start(mut self) -> TempServer {
        let database = self.own_database().await;
        let address = free_address();
        let child = spawn(address, &self.arguments, &self.environment, self.directory.path());
        let mut server = TempServer {
            child,
            address,
            arguments: self.arguments,
            environment: self.environment,
            database,
            directory: self.directory,
        };
        for attempt in 1.. {
            match server.wait_until_ready().await {
                Ok(()) => break,
                Err(problem) => assert!(attempt < START_TRIES, "{problem}"),
            }
            // It has ended unless it hangs, and then it must not stay behind.
            let _ = server.child.kill();
            let _ = server.child.wait();
            server.address = free_address();
            server.child = spawn(server.address, &server.arguments, &server.environment, server.directory.path());
        }
        server
    }

    /// Starts the server and waits until it has given up; gives its status and what it printed.
    ///
    /// # Panics
    /// When it goes on running.
    pub async fn start_in_vain(mut self) -> (ExitStatus, String) {
        let _database = self.own_database().await;
        let mut child = spawn(free_address(), &self.arguments, &self.environment, self.directory.path());
        let status = wait_for_exit(&mut child).await;
        let printed = read_log(self.directory.path());
        if status.is_none() {
            // Nothing can be done about a process that does not even die.
            let _ = child.kill();
        }
        (status.unwrap_or_else(|| panic!("the server goes on running: {printed}")), printed)
    }

    /// The file where a server without `DATABASE_DSN` has it, or a database on the run's server.
    async fn own_database(&mut self) -> Option<FreshDatabase> {
        if self.environment.iter().any(|(name, _)| name == DATABASE) {
            return None;
        }
        let engine = Engine::of_this_run();
        if engine == Engine::Sqlite {
            return Some(FreshDatabase::at(self.directory.path().join(DEFAULT_FILE)));
        }
        let database = FreshDatabase::create(engine).await;
        self.environment.push((DATABASE.to_owned(), database.dsn().to_owned()));
        Some(database)
    }
}

impl TempServer {
    /// The management key of every temporary server, unless `AUTH_KEY` is set.
    pub const AUTH_KEY: &str = "Management-Key-of-a-Test-1234567890";
    /// A proxy key that every group made by `create_group` accepts.
    pub const CLIENT_KEY: &str = "sk-client";

    pub fn builder() -> TempServerBuilder {
        let environment = [("AUTH_KEY", Self::AUTH_KEY), ("HOST", "127.0.0.1"), ("TZ", "UTC")];
        TempServerBuilder {
            arguments: Vec::new(),
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// A server with an empty database and nothing special in its environment.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server's working directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where its SQLite database is unless `DATABASE_DSN` is set.
    pub fn database_path(&self) -> PathBuf {
        self.directory.path().join(DEFAULT_FILE)
    }

    /// The database that was made for it.
    ///
    /// # Panics
    /// When the test named another one.
    pub fn database(&self) -> &FreshDatabase {
        self.database.as_ref().expect("the test named no database")
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that the server has printed so far.
    pub fn log(&self) -> String {
        read_log(self.directory.path())
    }

    /// Waits until the server has printed this.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn says(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not in what the server says: {}", self.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// A management request, with the management key.
    pub async fn manage(&self, method: &str, target: &str, body: Option<&Value>) -> RawResponse {
        self.send(method, target, &format!("Bearer {}", self.auth_key()), body).await
    }

    /// A request to a group, with the client key.
    pub async fn proxied(&self, method: &str, target: &str, body: Option<&Value>) -> RawResponse {
        self.send(method, target, &format!("Bearer {}", Self::CLIENT_KEY), body).await
    }

    /// Exactly these bytes on a connection of their own.
    pub async fn exchange(&self, request: impl AsRef<[u8]>) -> RawResponse {
        exchange(self.address, request).await
    }

    async fn send(&self, method: &str, target: &str, authorization: &str, body: Option<&Value>) -> RawResponse {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nAccept-Language: en-US\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.exchange(request).await
    }

    fn auth_key(&self) -> &str {
        self.environment.iter().find(|(name, _)| name == "AUTH_KEY").map_or(Self::AUTH_KEY, |(_, value)| value)
    }

    /// The `data` of a management request that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn managed(&self, method: &str, target: &str, body: Option<&Value>) -> Value {
        let response = self.manage(method, target, body).await;
        assert_eq!(response.status, 200, "{method} {target}: {}", response.text());
        response.json()["data"].take()
    }

    /// Makes a standard group of this channel type towards this upstream, with the members of `more` added or replaced.
    /// Gives its id.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn create_group(&self, name: &str, channel_type: &str, upstream: &str, more: Value) -> i64 {
        let mut group = json!({
            "name": name, "channel_type": channel_type, "test_model": "mock-small", "proxy_keys": Self::CLIENT_KEY,
            "upstreams": [{ "url": upstream, "weight": 1 }],
        });
        for (member, value) in more.as_object().cloned().unwrap_or_default() {
            group[member] = value;
        }
        let created = self.managed("POST", "/api/groups", Some(&group)).await;
        created["id"].as_i64().unwrap_or_else(|| panic!("a group without id: {created}"))
    }

    /// Makes an aggregate group of these members with their weights. Gives its id.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn create_aggregate(&self, name: &str, channel_type: &str, members: &[(i64, i64)]) -> i64 {
        let aggregate = json!({ "group_type": "aggregate" });
        let id = self.create_group(name, channel_type, "http://unused.invalid", aggregate).await;
        let member = |(group, weight): &(i64, i64)| json!({ "group_id": group, "weight": weight });
        let members = json!({ "sub_groups": members.iter().map(member).collect::<Vec<_>>() });
        self.managed("POST", &format!("/api/groups/{id}/sub-groups"), Some(&members)).await;
        id
    }

    /// Adds upstream keys to a group.
    ///
    /// # Panics
    /// When the server does not take all of them.
    pub async fn add_keys(&self, group: i64, keys: &[&str]) {
        let body = json!({ "group_id": group, "keys_text": keys.join("\n") });
        let added = self.managed("POST", "/api/keys/add-multiple", Some(&body)).await;
        assert_eq!(added["added_count"], keys.len(), "{added}");
    }

    /// Changes system settings.
    ///
    /// # Panics
    /// When the server refuses them.
    pub async fn change_settings(&self, settings: Value) {
        self.managed("PUT", "/api/settings", Some(&settings)).await;
    }

    /// Asks for `target` until its `data` is as wanted, and gives it.
    ///
    /// # Panics
    /// When it does not become so in time.
    pub async fn eventually(&self, target: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let data = self.managed("GET", target, None).await;
            if wanted(&data) {
                return data;
            }
            assert!(Instant::now() < deadline, "{target} stays at {data:#}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if TcpStream::connect(self.address).await.is_ok() {
                let health = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
                if self.exchange(health).await.status == 200 {
                    return Ok(());
                }
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended with {status}: {}", self.log()));
            }
            if Instant::now() > deadline {
                return Err(format!("the server does not serve: {}", self.log()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for TempServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(address: SocketAddr, arguments: &[String], environment: &[(String, String)], directory: &Path) -> Child {
    let binary = binary();
    let log = File::options().create(true).append(true).open(directory.join("printed.log")).expect("a log file");
    let mut command = Command::new(&binary);
    command.args(arguments).env_clear().env("PORT", address.port().to_string()).current_dir(directory);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("starting {}: {error}", binary.display()))
}

/// The binary that cargo built for this test: named in the environment, or beside the test itself.
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("CARGO_BIN_EXE_gpt-load") {
        return named.into();
    }
    let own = std::env::current_exe().expect("the test has a path");
    let built = own.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    built.join("gpt-load")
}

/// A port that is free and stays so until the server has it: below those that the system gives to whoever asks for any,
/// and never given twice by this process. A server on a port that another test's server took meanwhile would end, and its
/// test would talk to the other one.
///
/// # Panics
/// Never: the range ends below 65,536.
pub fn free_address() -> SocketAddr {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = std::process::id().wrapping_mul(131).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + turn % COUNT).expect("the range ends below 65,536");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn read_log(directory: &Path) -> String {
    fs::read_to_string(directory.join("printed.log")).unwrap_or_default()
}

async fn wait_for_exit(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    None
}
