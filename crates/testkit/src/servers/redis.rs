//! A Redis of a test's own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::certificates::Certificates;
use super::process::{Process, Program};
use super::{PATIENCE, POLL_INTERVAL, template};
use crate::server::free_address;

/// A Redis that does not answer a command in this time is paused.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// What is special about a Redis.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Asked of everyone.
    pub password: Option<String>,
    /// Speaks TLS on its port, and nothing else.
    pub tls: bool,
    /// More words of its command line, such as `--cluster-enabled yes`.
    pub more: Vec<String>,
}

/// A running Redis, which keeps its data over a restart. It dies with this guard, or with the thread that made it.
pub struct RedisServer {
    process: Process,
    options: RedisOptions,
    address: SocketAddr,
    certificates: Certificates,
    directory: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it answers. It listens on a free loopback port and on a Unix socket.
    ///
    /// # Panics
    /// When it is not installed, and when it does not answer.
    pub async fn start(options: RedisOptions) -> Self {
        let directory = template::temporary_folder();
        let certificates = Certificates::write(directory.path());
        let address = free_address();
        let program = program(directory.path(), &options, address, &certificates);
        let mut server = Self { process: Process::start(program), options, address, certificates, directory };
        server.answers().await;
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// In the form that gpt-load takes: `redis://…`, with TLS `rediss://localhost…`.
    pub fn dsn(&self) -> String {
        self.dsn_through(self.address)
    }

    /// The same through a proxy in front of it.
    pub fn dsn_through(&self, proxy: SocketAddr) -> String {
        let credentials = self.credentials();
        if self.options.tls {
            // The certificate is for this name too, which shows that it is looked at.
            return format!("rediss://{credentials}localhost:{}/0", proxy.port());
        }
        format!("redis://{credentials}{proxy}/0")
    }

    /// Its Unix socket in the form that gpt-load takes.
    pub fn unix_dsn(&self) -> String {
        format!("unix://{}{}", self.credentials(), self.unix_socket().display())
    }

    fn credentials(&self) -> String {
        self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default()
    }

    pub fn unix_socket(&self) -> PathBuf {
        unix_socket(self.directory.path())
    }

    /// Where a client finds whom to trust.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Everything that it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Runs a command; gives a simple, numeric or bulk answer, with nothing for a null.
    ///
    /// # Panics
    /// When it does not answer, or refuses the command.
    pub async fn command(&self, words: &[&str]) -> String {
        let answer = tokio::time::timeout(COMMAND_TIMEOUT, self.try_command(words)).await;
        let answer = answer.unwrap_or_else(|_| panic!("Redis does not answer {words:?}"));
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Throws away everything that it holds.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn flush(&self) {
        self.command(&["FLUSHALL"]).await;
    }

    /// How often each command was run since it started, in order of names: `("publish", 3)`. Looking is not counted.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn commands_run(&self) -> Vec<(String, u64)> {
        let statistics = self.command(&["INFO", "commandstats"]).await;
        let line = |line: &str| {
            let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
        };
        let mut found: Vec<(String, u64)> = statistics.lines().filter_map(line).collect();
        found.retain(|(name, _)| name != "info" && name != "auth");
        found.sort();
        found
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it stays.
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

    async fn answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let problem = match tokio::time::timeout(COMMAND_TIMEOUT, self.try_command(&["PING"])).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it is silent".to_owned(),
            };
            let ended = self.process.ended();
            let hopeless = ended.is_some() || Instant::now() > deadline;
            assert!(!hopeless, "Redis does not answer ({ended:?}, {problem}): {}", self.process.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Over the Unix socket, which speaks no TLS and which no proxy cuts.
    async fn try_command(&self, words: &[&str]) -> io::Result<String> {
        let mut connection = BufReader::new(UnixStream::connect(self.unix_socket()).await?);
        if let Some(password) = &self.options.password {
            ask(&mut connection, &["AUTH", password]).await?;
        }
        ask(&mut connection, words).await
    }
}

/// One command in Redis' protocol, and its answer.
async fn ask(connection: &mut BufReader<UnixStream>, words: &[&str]) -> io::Result<String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    connection.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    if connection.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", answer)) => Ok(answer.to_owned()),
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            let mut bulk = vec![0; length];
            connection.read_exact(&mut bulk).await?;
            Ok(String::from_utf8_lossy(&bulk).into_owned())
        }
        _ => Err(io::Error::other(line.to_owned())),
    }
}

fn program(folder: &Path, options: &RedisOptions, address: SocketAddr, certificates: &Certificates) -> Program {
    let socket = unix_socket(folder);
    let port = address.port();
    // To the system at each command, not to the disk: nothing is lost when Redis alone is killed.
    let fixed =
        "--bind 127.0.0.1 --appendonly yes --appendfsync no --maxclients 1000 --daemonize no --unixsocketperm 777";
    let mut arguments: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
    arguments.extend(["--save".to_owned(), String::new()]);
    arguments.extend(["--dir".to_owned(), folder.display().to_string()]);
    arguments.extend(["--unixsocket".to_owned(), socket.display().to_string()]);
    if options.tls {
        arguments.extend(format!("--port 0 --tls-port {port} --tls-auth-clients no").split(' ').map(str::to_owned));
        arguments.extend(["--tls-ca-cert-file".to_owned(), certificates.authority_path().display().to_string()]);
        arguments.extend(["--tls-cert-file".to_owned(), certificates.certificate_path().display().to_string()]);
        arguments.extend(["--tls-key-file".to_owned(), certificates.key_path().display().to_string()]);
    } else {
        arguments.extend(["--port".to_owned(), port.to_string()]);
    }
    if let Some(password) = &options.password {
        arguments.extend(["--requirepass".to_owned(), password.clone()]);
    }
    arguments.extend(options.more.iter().cloned());
    let path = PathBuf::from("redis-server");
    let (stop_signal, end_signal) = (Signal::TERM, Signal::KILL);
    Program { path, arguments, directory: folder.to_owned(), stop_signal, end_signal }
}

fn unix_socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}
