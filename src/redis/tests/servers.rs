//! Real Redis servers in temporary directories, and a stretch of network that can be cut without a farewell.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{FromRedisValue, RedisResult, aio::MultiplexedConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How long anything may take that is to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A `redis-server`, killed when dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) directory: TempDir,
    /// What the commands of tests need to get in.
    password: Option<String>,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(super) async fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::prepare(arguments);
        server.start_again().await;
        server
    }

    /// A server that does not run yet.
    pub(super) fn prepare(arguments: &[&str]) -> Self {
        let mut server = Self {
            address: testkit::free_address(),
            directory: tempfile::tempdir().unwrap(),
            password: None,
            arguments: Vec::new(),
            child: None,
        };
        server.add_arguments(arguments);
        server
    }

    /// More arguments, for one that does not run yet.
    pub(super) fn add_arguments(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        let password = self.arguments.iter().position(|argument| argument == "--requirepass");
        self.password = password.map(|at| self.arguments[at + 1].clone());
    }

    /// For one that does not run yet: it will watch masters as the file says, with the password `hunter2`.
    pub(super) fn become_sentinel(&mut self, configuration: &Path) {
        self.arguments = vec![configuration.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        self.password = Some("hunter2".to_owned());
    }

    pub(super) async fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        // The first argument may be a file, that of a sentinel.
        command.args(&self.arguments).args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"]);
        command.arg("--dir").arg(self.directory.path());
        if !self.arguments.iter().any(|argument| argument == "--sentinel") {
            command.args(["--save", "", "--enable-debug-command", "local"]);
        }
        self.child = Some(command.stdout(Stdio::null()).spawn().expect("redis-server is installed"));
        let begin = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "the server does not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(super) fn dsn(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// A connection of the test's own, beside all that is tested.
    pub(super) async fn connection(&self) -> MultiplexedConnection {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        let client = redis::Client::open(format!("redis://{password}{}", self.address)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Sends a command whose words have blanks between them.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        ask(&mut self.connection().await, command).await.unwrap()
    }
}

pub(super) async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &str) -> RedisResult<T> {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query_async(connection).await
}

/// A figure of `INFO`, such as `total_commands_processed` of `stats`; of `commandstats` the calls.
pub(super) async fn figure(connection: &mut MultiplexedConnection, section: &str, name: &str) -> u64 {
    let text: String = ask(connection, &format!("INFO {section}")).await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.unwrap_or_else(|| panic!("{text} has no {name}"));
    let number = value.strip_prefix("calls=").unwrap_or(value).split(',').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{value} is no number"))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Passes bytes on until it is cut; then it swallows all in silence, new connections as well.
pub(super) struct Network {
    pub(super) address: SocketAddr,
    is_cut: watch::Sender<bool>,
    acceptor: JoinHandle<()>,
}

impl Network {
    pub(super) async fn before(destination: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = watch::Sender::new(false);
        let cut = is_cut.subscribe();
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = cut.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(destination).await?;
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        ended = pass_on(from_client, to_server, cut.clone()) => ended,
                        ended = pass_on(from_server, to_client, cut) => ended,
                    }
                });
            }
        });
        Self { address, is_cut, acceptor }
    }

    pub(super) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(super) fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn pass_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut cut: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 || cut.wait_for(|is_cut| !is_cut).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
    }
}
