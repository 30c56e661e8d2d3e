//! From the environment to a [`Config`]: every problem is found before any is reported.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    num::NonZero,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use super::{
    Config, Cors, DatabaseDsn, DatabasePool, IpBlock, Log, Metrics, OutboundProxy, RedisDsn, Server, auth_key, dotenv,
    environment::{Environment, limit},
    proxy_url,
};
use crate::crypto::Secret;

const BODY_BUFFER_BYTES_MAX: u64 = 16 * 1024 * 1024;
const BODY_BYTES_MAX: u64 = 512 * 1024 * 1024;
const SHUTDOWN_SECONDS_MIN: i64 = 10;
const CONNECTIONS_MAX: i64 = 16_384;
/// The lead over the database needs one of its own, so that a lock that is waited for stops nobody else.
const DATABASE_CONNECTIONS_MIN: i64 = 2;
const DATABASE_CONNECTIONS: i64 = 20;
const DATABASE_CONNECTIONS_MAX: i64 = 10_000;
const WORKER_THREADS_MAX: i64 = 1024;
/// Shorter secrets can be guessed.
const SECRET_BYTES_MIN: usize = 16;
const GUESSED_FIRST: [&str; 5] = ["password", "sk-123456", "123456", "admin", "secret"];

/// Every variable that [`Config::load`] reads, with its default and meaning, for the help text.
pub(crate) const VARIABLES: &[(&str, &str, &str)] = &[
    ("PORT", "3001", "TCP port"),
    ("HOST", "0.0.0.0", "address to listen on"),
    (
        "AUTH_KEY",
        "",
        "management key; empty with SQLite: generated into auth.key beside the file; with a database server it must be set, and equal on all nodes",
    ),
    ("PROXY_KEYS", "", "proxy keys that a fresh database starts with, comma separated"),
    ("ENCRYPTION_KEY", "", "passphrase for stored keys; empty: they are stored in clear"),
    (
        "DATABASE_DSN",
        "./data/gpt-load.db",
        "path of a SQLite file, user:password@tcp(host:3306)/name for MySQL and MariaDB, or postgres://user:password@host/name",
    ),
    ("DATABASE_MAX_CONNECTIONS", "20", "connections of this node to a database server at most; SQLite's are fixed"),
    ("DATABASE_MIN_CONNECTIONS", "1", "connections to a database server that are kept even when idle"),
    ("DATABASE_ACQUIRE_TIMEOUT", "10", "seconds that a statement waits for a connection to a database server"),
    ("DATABASE_IDLE_TIMEOUT", "600", "seconds that a connection to a database server may idle; 0: no limit"),
    ("DATABASE_CONNECTION_LIFETIME", "3600", "seconds after which a connection is made anew; 0: no limit"),
    ("REDIS_DSN", "", "redis://user:password@host:6379/0, for quick notices between nodes; unused with SQLite"),
    ("IS_SLAVE", "false", "leave the work that is done once to other nodes; needs a database server"),
    (
        "SERVER_READ_TIMEOUT",
        "60",
        "seconds that the head of a request may take, and that its body may pause; 0: no limit",
    ),
    ("SERVER_WRITE_TIMEOUT", "600", "seconds that a client may leave an answer untaken; 0: no limit"),
    ("SERVER_IDLE_TIMEOUT", "120", "seconds that a connection may idle; 0: as SERVER_READ_TIMEOUT, below 0: no limit"),
    ("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT", "10", "seconds that a stop waits for running requests"),
    ("MAX_CONCURRENT_REQUESTS", "100", "proxied requests in flight at most"),
    (
        "MAX_CONNECTIONS",
        "16384",
        "connections of clients at most; half of the system's limit of open files if that is less",
    ),
    ("WORKER_THREADS", "one a core", "threads that serve proxied requests"),
    (
        "REQUEST_BODY_BUFFER_BYTES",
        "16777216",
        "larger request bodies are streamed, and not retried once they have begun",
    ),
    ("REQUEST_BODY_BYTES_MAX", "536870912", "larger request bodies are refused"),
    ("TRUSTED_PROXIES", "", "addresses or blocks (10.0.0.0/8) whose X-Forwarded-For is believed, comma separated"),
    ("METRICS_TOKEN", "", "bearer token for /metrics; without it only the management key opens it"),
    ("METRICS_ADDRESS", "", "host:port of a further listener that serves /metrics openly and nothing else"),
    ("ENABLE_CORS", "false", "answer browsers of other origins"),
    ("ALLOWED_ORIGINS", "", "origins, comma separated, or *"),
    ("ALLOWED_METHODS", "GET,POST,PUT,DELETE,OPTIONS", "methods, comma separated"),
    ("ALLOWED_HEADERS", "*", "request headers, comma separated"),
    ("ALLOW_CREDENTIALS", "false", "let browsers send credentials"),
    ("LOG_LEVEL", "info", "trace, debug, info, warn or error"),
    ("LOG_FORMAT", "text", "text or json"),
    ("LOG_ENABLE_FILE", "false", "write the log to a file too"),
    ("LOG_FILE_PATH", "./data/logs/app.log", "that file; it is rotated by size"),
    ("HTTP_PROXY", "", "outbound proxy for http:// upstreams; http, https or socks5"),
    ("HTTPS_PROXY", "", "outbound proxy for https:// upstreams"),
    ("NO_PROXY", "", "hosts that are reached without a proxy, comma separated; host:port excepts one port"),
    ("TZ", "", "time zone of the log's times, such as Asia/Shanghai; everything else is in UTC"),
];

impl Config {
    /// Reads the `.env` file of the directory and the process environment, which has precedence even with empty values.
    /// Returns the warnings beside the configuration, or else all problems.
    pub(crate) fn load(
        working_directory: &Path,
        process_environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        Self::read(working_directory, process_environment, auth_key::read_or_generate)
    }

    /// The same without writing anything: where a start would generate a management key, a warning says so, and it is
    /// empty.
    pub(crate) fn examine(
        working_directory: &Path,
        process_environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        Self::read(working_directory, process_environment, auth_key::look)
    }

    fn read(
        working_directory: &Path,
        process_environment: impl IntoIterator<Item = (OsString, OsString)>,
        stored_auth_key: fn(&Path) -> Result<(Secret, Vec<String>), String>,
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        let process_environment: Vec<_> = process_environment.into_iter().collect();
        let has_time_zone = process_environment.iter().any(|(name, _)| name == "TZ");
        let mut environment = merge(working_directory, process_environment);
        let time_zone = environment.text("TZ").filter(|_| !has_time_zone).map(str::to_owned);
        let server = server(&mut environment);
        let metrics = metrics(&mut environment);
        let cors = cors(&mut environment);
        let log = log(&mut environment);
        let outbound_proxy = outbound_proxy(&mut environment);
        let redis = redis(&mut environment);
        let database = database(&mut environment);
        let database_pool = database_pool(&mut environment);
        let is_slave = environment.flag("IS_SLAVE", false);
        for name in ["AUTH_KEY", "ENCRYPTION_KEY", "METRICS_TOKEN"] {
            warn_if_weak(&mut environment, name);
        }
        if let Some(database) = &database {
            check_roles(&mut environment, database, is_slave, redis.is_some());
        }
        let Some(database) = database.filter(|_| environment.problems.is_empty()) else {
            return Err(environment.problems);
        };
        let auth_key = match (environment.secret("AUTH_KEY"), &database) {
            (Some(key), _) => key,
            (None, DatabaseDsn::Sqlite(sqlite)) => {
                let (key, notes) = stored_auth_key(sqlite.directory()).map_err(|problem| vec![problem])?;
                environment.warnings.extend(notes);
                key
            }
            // `check_roles` has refused it already.
            (None, _) => return Err(vec!["AUTH_KEY is empty".to_owned()]),
        };
        let is_file = matches!(database, DatabaseDsn::Sqlite(_));
        let config = Self {
            server,
            metrics,
            auth_key,
            initial_proxy_keys: environment.secret("PROXY_KEYS"),
            encryption_key: environment.secret("ENCRYPTION_KEY"),
            database,
            database_pool,
            redis: redis.filter(|_| !is_file),
            is_slave,
            cors,
            log,
            outbound_proxy,
            time_zone,
        };
        Ok((config, environment.warnings))
    }
}

/// Where the server of this configuration is reached from its own machine: host, ready to be joined to the port, and port.
/// Nothing else of the configuration is looked at.
///
/// # Errors
/// What is wrong with the file `.env` or the port.
pub(crate) fn address(
    working_directory: &Path,
    process_environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(String, u16), String> {
    let mut environment = merge(working_directory, process_environment);
    let port = port(&mut environment);
    if !environment.problems.is_empty() {
        return Err(environment.problems.join("; "));
    }
    let host = match host(environment.text("HOST").unwrap_or("0.0.0.0")).as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "[::]" => "[::1]".to_owned(),
        host => host.to_owned(),
    };
    Ok((host, port))
}

fn port(environment: &mut Environment) -> u16 {
    // It was checked to fit.
    u16::try_from(environment.number("PORT", 3001, 1..=65535, "")).unwrap_or(u16::MAX)
}

pub(super) fn merge(directory: &Path, process: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let mut values = HashMap::new();
    match fs::read_to_string(directory.join(".env")).map(|text| dotenv::parse(&text)) {
        Ok(Ok(file)) => {
            values = file.values;
            warnings = file.warnings;
        }
        Ok(Err(problem)) => problems.push(format!("the file .env is not used: {problem}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => problems.push(format!("the file .env cannot be read: {error}")),
    }
    for (name, value) in process {
        // A name that is not even text is none of ours.
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(values.insert(name, value)),
            Err(_) if VARIABLES.iter().any(|&(known, ..)| known == name) => {
                problems.push(format!("{name} is not UTF-8 text"));
            }
            Err(_) => {}
        }
    }
    let mut environment = Environment::new(values);
    environment.problems = problems;
    environment.warnings = warnings;
    environment
}

fn server(environment: &mut Environment) -> Server {
    let read_seconds = environment.seconds("SERVER_READ_TIMEOUT", 60);
    let idle_seconds = match environment.seconds("SERVER_IDLE_TIMEOUT", 120) {
        0 => read_seconds,
        seconds => seconds,
    };
    let mut shutdown_seconds = environment.seconds("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT", SHUTDOWN_SECONDS_MIN);
    if shutdown_seconds < SHUTDOWN_SECONDS_MIN {
        environment.warnings.push(format!(
            "SERVER_GRACEFUL_SHUTDOWN_TIMEOUT is {shutdown_seconds}, which is too short to end requests in order; {SHUTDOWN_SECONDS_MIN} is used"
        ));
        shutdown_seconds = SHUTDOWN_SECONDS_MIN;
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let body_buffer_bytes_max = environment.size("REQUEST_BODY_BUFFER_BYTES", BODY_BUFFER_BYTES_MAX);
    Server {
        host: host(environment.text("HOST").unwrap_or("0.0.0.0")),
        port: port(environment),
        requests_max: whole(environment.number("MAX_CONCURRENT_REQUESTS", 100, 1..=i64::from(u32::MAX), "")),
        connections_max: whole(environment.number("MAX_CONNECTIONS", CONNECTIONS_MAX, 1..=i64::from(u32::MAX), "")),
        worker_threads: whole(environment.number("WORKER_THREADS", whole_back(cores), 1..=WORKER_THREADS_MAX, "")),
        read_timeout: limit(read_seconds),
        write_timeout: limit(environment.seconds("SERVER_WRITE_TIMEOUT", 600)),
        idle_timeout: limit(idle_seconds),
        graceful_shutdown_timeout: Duration::from_secs(shutdown_seconds.unsigned_abs()),
        trusted_proxies: trusted_proxies(environment),
        body_buffer_bytes_max,
        body_bytes_max: environment.size("REQUEST_BODY_BYTES_MAX", BODY_BYTES_MAX),
    }
}

fn metrics(environment: &mut Environment) -> Metrics {
    let address = environment.text("METRICS_ADDRESS").map(|text| {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        // An IPv6 address without brackets ends with what looks like a port.
        let is_clear = !host.is_empty() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')));
        is_clear.then(|| (host.to_owned(), port))
    });
    if address == Some(None) {
        let text = environment.text("METRICS_ADDRESS").unwrap_or_default();
        let problem = format!(
            "METRICS_ADDRESS is {text:?}, but must be a host and a port, for example METRICS_ADDRESS=127.0.0.1:9464"
        );
        environment.problems.push(problem);
    }
    Metrics { token: environment.secret("METRICS_TOKEN"), address: address.flatten() }
}

fn whole(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn whole_back(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The original needed brackets around an IPv6 address; here they may be left out.
fn host(text: &str) -> String {
    if text.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_owned() }
}

fn trusted_proxies(environment: &mut Environment) -> Vec<IpBlock> {
    let parsed = environment.list("TRUSTED_PROXIES", &[]).into_iter().map(|text| IpBlock::parse(&text));
    let (blocks, problems): (Vec<_>, Vec<_>) = parsed.partition(Result::is_ok);
    environment
        .problems
        .extend(problems.into_iter().filter_map(Result::err).map(|problem| format!("TRUSTED_PROXIES: {problem}")));
    blocks.into_iter().filter_map(Result::ok).collect()
}

fn cors(environment: &mut Environment) -> Option<Cors> {
    let credentials = environment.flag("ALLOW_CREDENTIALS", false);
    if !environment.flag("ENABLE_CORS", false) {
        return None;
    }
    let origins = environment.list("ALLOWED_ORIGINS", &[]);
    if origins.is_empty() {
        environment.problems.push(
            "ENABLE_CORS is on, but ALLOWED_ORIGINS is empty; name the origins, for example ALLOWED_ORIGINS=https://chat.example.com"
                .to_owned(),
        );
    }
    if origins.iter().any(|origin| origin == "*") {
        environment
            .warnings
            .push("ALLOWED_ORIGINS is *: every web site may call this server from its visitors' browsers".to_owned());
    }
    Some(Cors {
        origins,
        methods: environment.list("ALLOWED_METHODS", &["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
        headers: environment.list("ALLOWED_HEADERS", &["*"]),
        credentials,
    })
}

fn log(environment: &mut Environment) -> Log {
    let level = environment.word(
        "LOG_LEVEL",
        LevelFilter::INFO,
        &[
            ("trace", LevelFilter::TRACE),
            ("debug", LevelFilter::DEBUG),
            ("info", LevelFilter::INFO),
            ("warn", LevelFilter::WARN),
            ("warning", LevelFilter::WARN),
            ("error", LevelFilter::ERROR),
            ("fatal", LevelFilter::ERROR),
            ("panic", LevelFilter::ERROR),
        ],
    );
    let json = environment.word("LOG_FORMAT", false, &[("text", false), ("json", true)]);
    let path = environment.text("LOG_FILE_PATH").unwrap_or("./data/logs/app.log").to_owned();
    let file = environment.flag("LOG_ENABLE_FILE", false).then(|| PathBuf::from(path));
    Log { level, json, file }
}

/// Going out directly because of a slip of the pen could betray where the operator wanted to be unseen, so a URL that
/// cannot be used is a problem.
fn outbound_proxy(environment: &mut Environment) -> OutboundProxy {
    let (http, https) = (proxy_of(environment, "HTTP_PROXY"), proxy_of(environment, "HTTPS_PROXY"));
    let (exceptions, exceptions_on_port) = proxy_url::exceptions(either(environment, "NO_PROXY").1);
    OutboundProxy { http, https, exceptions, exceptions_on_port }
}

fn proxy_of(environment: &mut Environment, name: &str) -> String {
    let (name, text) = either(environment, name);
    if text.is_empty() {
        return String::new();
    }
    match proxy_url::from_environment(text) {
        Ok(url) => url,
        Err(problem) => {
            environment
                .problems
                .push(format!("{name} names no proxy: {problem}; for example {name}=http://proxy:8080"));
            String::new()
        }
    }
}

/// The value of a variable or of its lower-case twin, with the name that has it.
fn either<'a>(environment: &'a Environment, name: &str) -> (String, &'a str) {
    let lower_case = name.to_ascii_lowercase();
    match (environment.text(name), environment.text(&lower_case)) {
        (None, Some(text)) => (lower_case, text),
        (text, _) => (name.to_owned(), text.unwrap_or_default()),
    }
}

pub(super) fn redis(environment: &mut Environment) -> Option<RedisDsn> {
    match RedisDsn::parse(environment.text("REDIS_DSN")?) {
        Ok(dsn) => Some(dsn),
        Err(problem) => {
            environment.problems.push(format!("REDIS_DSN {problem}"));
            None
        }
    }
}

pub(super) fn database(environment: &mut Environment) -> Option<DatabaseDsn> {
    let text = environment.text("DATABASE_DSN").unwrap_or("./data/gpt-load.db");
    // The file .env may set PGPASSWORD and its like as well.
    match DatabaseDsn::parse(text, &|name| environment.text(name).map(str::to_owned)) {
        Ok((dsn, warnings)) => {
            environment.warnings.extend(warnings);
            Some(dsn)
        }
        Err(problem) => {
            environment.problems.push(format!("DATABASE_DSN {problem}"));
            None
        }
    }
}

pub(super) fn database_pool(environment: &mut Environment) -> DatabasePool {
    let bounds = DATABASE_CONNECTIONS_MIN..=DATABASE_CONNECTIONS_MAX;
    let most = environment.number("DATABASE_MAX_CONNECTIONS", DATABASE_CONNECTIONS, bounds, "");
    let fewest = environment.number("DATABASE_MIN_CONNECTIONS", 1, 0..=DATABASE_CONNECTIONS_MAX, "");
    if fewest > most {
        environment.problems.push(format!(
            "DATABASE_MIN_CONNECTIONS is {fewest}, but DATABASE_MAX_CONNECTIONS is {most}; the first must not be above the second"
        ));
    }
    let wait_seconds = environment.seconds("DATABASE_ACQUIRE_TIMEOUT", 10);
    if wait_seconds < 1 {
        environment.problems.push(format!(
            "DATABASE_ACQUIRE_TIMEOUT is {wait_seconds}, but must be at least 1, for example DATABASE_ACQUIRE_TIMEOUT=10"
        ));
    }
    // All were checked to fit.
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    DatabasePool {
        connections_max: count(most),
        connections_min: count(fewest),
        acquire_timeout: Duration::from_secs(wait_seconds.unsigned_abs()),
        idle_timeout: limit(environment.seconds("DATABASE_IDLE_TIMEOUT", 600)),
        lifetime_max: limit(environment.seconds("DATABASE_CONNECTION_LIFETIME", 3600)),
    }
}

/// What the kind of the database asks of the other variables.
fn check_roles(environment: &mut Environment, database: &DatabaseDsn, is_slave: bool, has_redis: bool) {
    if matches!(database, DatabaseDsn::Sqlite(_)) {
        if is_slave {
            environment.problems.push(
                "IS_SLAVE is true, but a slave shares the database of a master, and DATABASE_DSN names a SQLite file; \
                 set DATABASE_DSN to the master's MySQL or PostgreSQL, or remove IS_SLAVE to run alone on SQLite"
                    .to_owned(),
            );
        }
        if has_redis {
            environment.warnings.push(
                "REDIS_DSN stays unused: DATABASE_DSN names a SQLite file, which has one node, and that needs no Redis"
                    .to_owned(),
            );
        }
        return;
    }
    if environment.text("AUTH_KEY").is_none() {
        environment.problems.push(
            "AUTH_KEY is empty, but all nodes that share a database server need the same management key; set AUTH_KEY \
             to a long random one, for example the output of: openssl rand -hex 32"
                .to_owned(),
        );
    }
    if is_slave && !has_redis {
        environment.warnings.push(
            "IS_SLAVE is true and REDIS_DSN is empty: changes on other nodes reach this one by looking into the database, \
             within a second"
                .to_owned(),
        );
    }
}

fn warn_if_weak(environment: &mut Environment, name: &str) {
    if let Some(secret) = environment.secret(name) {
        environment.warnings.extend(weaknesses(name, &secret));
    }
}

/// What makes a secret easy to guess, in sentences about `name`.
pub(crate) fn weaknesses(name: &str, secret: &Secret) -> Vec<String> {
    let lower = secret.expose().to_lowercase();
    let mut reasons = Vec::new();
    if secret.expose().len() < SECRET_BYTES_MIN {
        reasons.push(format!(
            "{name} is shorter than {SECRET_BYTES_MIN} characters and can be guessed; use a long random one"
        ));
    }
    if GUESSED_FIRST.iter().any(|word| lower.contains(word)) {
        reasons.push(format!("{name} contains a word that is guessed first; use a long random one"));
    }
    reasons
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
