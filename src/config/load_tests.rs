//! What a whole environment is read as.

use super::*;

const STRONG: &str = "b7Q-ten-thousand-horses-9x";

struct Given {
    directory: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
}

fn given(variables: &[(&str, &str)]) -> Given {
    let directory = tempfile::tempdir().unwrap();
    let mut variables: Vec<_> = variables.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    // Relative paths would lead into the working directory of the tests.
    if !variables.iter().any(|(name, _): &(OsString, OsString)| name == "DATABASE_DSN") {
        variables.push(("DATABASE_DSN".into(), directory.path().join("data/test.db").into()));
    }
    Given { directory, variables }
}

impl Given {
    fn file(self, text: &str) -> Self {
        fs::write(self.directory.path().join(".env"), text).unwrap();
        self
    }

    fn load(&self) -> Result<(Config, Vec<String>), Vec<String>> {
        Config::load(self.directory.path(), self.variables.clone())
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.load().unwrap().0
    }

    #[track_caller]
    fn problems(&self) -> Vec<String> {
        self.load().unwrap_err()
    }

    #[track_caller]
    fn warnings(&self) -> String {
        self.load().unwrap().1.join("\n")
    }
}

#[test]
fn defaults() {
    let config = given(&[("AUTH_KEY", STRONG)]).config();
    assert_eq!((config.server.host.as_str(), config.server.port), ("0.0.0.0", 3001));
    assert_eq!(config.server.read_timeout, Some(Duration::from_secs(60)));
    assert_eq!(config.server.write_timeout, Some(Duration::from_secs(600)));
    assert_eq!(config.server.idle_timeout, Some(Duration::from_secs(120)));
    assert_eq!(config.server.graceful_shutdown_timeout, Duration::from_secs(10));
    assert_eq!(config.server.requests_max, 100);
    assert!(config.server.worker_threads >= 1);
    assert_eq!(config.server.body_buffer_bytes_max, 16 << 20);
    assert_eq!(config.server.body_bytes_max, 512 << 20);
    assert_eq!(config.auth_key.expose(), STRONG);
    assert!(config.encryption_key.is_none() && config.initial_proxy_keys.is_none() && config.cors.is_none());
    assert!(!config.log.json && config.log.file.is_none());
    assert_eq!(config.log.level, LevelFilter::INFO);
}

#[test]
fn the_process_wins_over_the_file_even_with_an_empty_value() {
    let given = given(&[("AUTH_KEY", STRONG), ("PORT", ""), ("HOST", "127.0.0.1")])
        .file("PORT=4000\nHOST=10.0.0.1\nENCRYPTION_KEY='from the file $x'\nAUTH_KEY=ignored");
    let config = given.config();
    assert_eq!((config.server.host.as_str(), config.server.port), ("127.0.0.1", 3001));
    assert_eq!(config.encryption_key.unwrap().expose(), "from the file $x");
    assert_eq!(config.auth_key.expose(), STRONG);
}

#[test]
fn all_problems_are_reported_together() {
    let problems = given(&[
        ("AUTH_KEY", STRONG),
        ("PORT", "30o1"),
        ("IS_SLAVE", "ture"),
        ("MAX_CONCURRENT_REQUESTS", "0"),
        ("ENABLE_CORS", "yes"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
        ("DATABASE_DSN", "mysql://root:hunter2@db"),
        ("DATABASE_MAX_CONNECTIONS", "1"),
        ("DATABASE_MIN_CONNECTIONS", "x"),
        ("DATABASE_ACQUIRE_TIMEOUT", "0"),
        ("REDIS_DSN", "redis:6379"),
        ("WORKER_THREADS", "many"),
    ])
    .file("A-B=1")
    .problems();
    for name in [
        "PORT is \"30o1\"",
        "IS_SLAVE is \"ture\"",
        "MAX_CONCURRENT_REQUESTS is \"0\"",
        "ALLOWED_ORIGINS is empty",
        "LOG_LEVEL is \"loud\"",
        "LOG_FORMAT is \"xml\"",
        "TRUSTED_PROXIES: \"proxy\"",
        "DATABASE_DSN names no database",
        "DATABASE_MAX_CONNECTIONS is \"1\"",
        "DATABASE_MIN_CONNECTIONS is \"x\"",
        "DATABASE_ACQUIRE_TIMEOUT is 0",
        "REDIS_DSN names no scheme",
        "WORKER_THREADS is \"many\"",
        ".env is not used: line 1",
    ] {
        assert_eq!(problems.iter().filter(|problem| problem.contains(name)).count(), 1, "{name}: {problems:?}");
    }
    assert_eq!(problems.len(), 14);
    assert!(!problems.concat().contains("hunter2"));
}

const MYSQL: (&str, &str) = ("DATABASE_DSN", "u:hunter2@tcp(db)/app");
const POSTGRESQL: (&str, &str) = ("DATABASE_DSN", "postgres://u@db/app");

#[test]
fn a_database_server_takes_redis_and_slaves() {
    let given = given(&[("AUTH_KEY", STRONG), MYSQL, ("REDIS_DSN", "redis://:hunter2@r"), ("IS_SLAVE", "1")]);
    let config = given.config();
    assert_eq!(config.database.to_string(), "MySQL at u:****@tcp(db:3306)/app?loc=UTC");
    assert_eq!(config.redis.as_ref().unwrap().to_string(), "redis://:****@r:6379?db=0");
    assert!(config.is_slave);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(given.warnings(), "");
}

#[test]
fn a_slave_without_redis_is_told_how_changes_reach_it() {
    let given = given(&[("AUTH_KEY", STRONG), POSTGRESQL, ("IS_SLAVE", "true")]);
    assert!(given.config().is_slave && given.config().redis.is_none());
    assert!(given.warnings().contains("within a second"));
}

#[test]
fn the_environment_and_the_file_fill_gaps_of_postgresql() {
    let given = given(&[("AUTH_KEY", STRONG), POSTGRESQL, ("PGSSLMODE", "require")]).file("PGPASSWORD=hunter2");
    let DatabaseDsn::PostgreSql(dsn) = given.config().database else { panic!("not PostgreSQL") };
    assert_eq!(dsn.password.unwrap().expose(), "hunter2");
    assert_eq!(dsn.tls, crate::config::PostgreSqlTls::Require);
}

#[test]
fn nodes_on_a_database_server_need_the_same_management_key() {
    for dsn in [MYSQL, POSTGRESQL] {
        let problems = given(&[dsn]).problems();
        assert!(problems.len() == 1 && problems[0].contains("openssl rand -hex 32"), "{problems:?}");
    }
}

#[test]
fn redis_beside_sqlite_is_checked_and_left_alone() {
    let given_redis = given(&[("AUTH_KEY", STRONG), ("REDIS_DSN", "redis://r")]);
    assert!(given_redis.config().redis.is_none());
    assert!(given_redis.warnings().contains("REDIS_DSN stays unused"));
    let problems = given(&[("AUTH_KEY", STRONG), ("REDIS_DSN", "redis://u:hunter2@r/x")]).problems().concat();
    assert!(problems.starts_with("REDIS_DSN has something else than a database number"), "{problems}");
    assert!(!problems.contains("hunter2"));
}

#[test]
fn the_pool_of_connections() {
    let seconds = Duration::from_secs;
    let pool = given(&[("AUTH_KEY", STRONG)]).config().database_pool;
    assert_eq!((pool.connections_min, pool.connections_max), (1, 20));
    assert_eq!(pool.acquire_timeout, seconds(10));
    assert_eq!((pool.idle_timeout, pool.lifetime_max), (Some(seconds(600)), Some(seconds(3600))));
    let pool = given(&[
        ("AUTH_KEY", STRONG),
        ("DATABASE_MAX_CONNECTIONS", "50"),
        ("DATABASE_MIN_CONNECTIONS", "0"),
        ("DATABASE_IDLE_TIMEOUT", "0"),
        ("DATABASE_CONNECTION_LIFETIME", "60"),
    ])
    .config()
    .database_pool;
    assert_eq!((pool.connections_min, pool.connections_max), (0, 50));
    assert_eq!((pool.idle_timeout, pool.lifetime_max), (None, Some(seconds(60))));
    let problems = given(&[("AUTH_KEY", STRONG), ("DATABASE_MIN_CONNECTIONS", "30")]).problems();
    assert!(problems[0].contains("must not be above"), "{problems:?}");
}

#[test]
fn timeouts() {
    let config = given(&[
        ("AUTH_KEY", STRONG),
        ("SERVER_READ_TIMEOUT", "30"),
        ("SERVER_WRITE_TIMEOUT", "0"),
        ("SERVER_IDLE_TIMEOUT", "0"),
        ("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT", "45"),
    ])
    .config();
    assert_eq!(config.server.idle_timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.server.write_timeout, None);
    assert_eq!(config.server.graceful_shutdown_timeout, Duration::from_secs(45));
    let idle_off = given(&[("AUTH_KEY", STRONG), ("SERVER_IDLE_TIMEOUT", "-1")]).config();
    assert_eq!(idle_off.server.idle_timeout, None);

    let short = given(&[("AUTH_KEY", STRONG), ("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT", "3")]);
    assert_eq!(short.config().server.graceful_shutdown_timeout, Duration::from_secs(10));
    assert!(short.warnings().contains("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT is 3"));
}

#[test]
fn weak_secrets_are_warned_about_without_being_shown() {
    let warnings = given(&[("AUTH_KEY", "zq-short"), ("ENCRYPTION_KEY", "a-long-PassWord-for-all")]).warnings();
    assert!(warnings.contains("AUTH_KEY is shorter than 16"));
    assert!(warnings.contains("ENCRYPTION_KEY contains a word"));
    assert!(!warnings.contains("zq-short") && !warnings.contains("PassWord"));
    assert_eq!(given(&[("AUTH_KEY", STRONG)]).warnings(), "");
}

#[test]
fn a_lone_node_without_a_key_gets_one_and_keeps_it() {
    let given = given(&[]);
    let (first, second) = (given.config().auth_key, given.config().auth_key);
    assert_eq!(first.expose(), second.expose());
    assert!(given.warnings().contains("data/auth.key"));
    assert!(!given.warnings().contains(first.expose()));
}

#[test]
fn a_slave_on_sqlite_is_refused_and_nothing_is_generated_beside_a_problem() {
    for variables in [&[("IS_SLAVE", "true")][..], &[("PORT", "x")]] {
        let given = given(variables);
        given.problems();
        assert!(!given.directory.path().join("data").exists());
    }
    assert!(
        given(&[("IS_SLAVE", "on"), ("AUTH_KEY", STRONG)]).problems()[0].contains("DATABASE_DSN names a SQLite file")
    );
}

#[test]
fn lists_hosts_and_files() {
    let given = given(&[
        ("AUTH_KEY", STRONG),
        ("HOST", "::"),
        ("ENABLE_CORS", "1"),
        ("ALLOWED_ORIGINS", "https://a.example, *"),
        ("ALLOW_CREDENTIALS", "on"),
        ("TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8"),
        ("LOG_ENABLE_FILE", "true"),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "WARNING"),
        ("PROXY_KEYS", "sk-a,sk-b"),
        ("REQUEST_BODY_BUFFER_BYTES", "1000"),
    ]);
    let config = given.config();
    assert_eq!(config.server.host, "[::]");
    let cors = config.cors.unwrap();
    assert_eq!(cors.origins, ["https://a.example", "*"]);
    assert_eq!(cors.methods, ["GET", "POST", "PUT", "DELETE", "OPTIONS"]);
    assert_eq!(cors.headers, ["*"]);
    assert!(cors.credentials);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.log.file, Some(PathBuf::from("./data/logs/app.log")));
    assert!(config.log.json);
    assert_eq!(config.log.level, LevelFilter::WARN);
    assert_eq!(config.initial_proxy_keys.unwrap().expose(), "sk-a,sk-b");
    assert_eq!(config.server.body_buffer_bytes_max, 1000);
    assert!(given.warnings().contains("ALLOWED_ORIGINS is *"));
}

#[test]
fn the_metrics_have_a_token_and_an_address() {
    let config = given(&[("AUTH_KEY", STRONG), ("METRICS_TOKEN", STRONG), ("METRICS_ADDRESS", "[::1]:9464")]).config();
    assert_eq!(config.metrics.token.unwrap().expose(), STRONG);
    assert_eq!(config.metrics.address, Some(("[::1]".to_owned(), 9464)));
    let config = given(&[("AUTH_KEY", STRONG)]).config();
    assert!(config.metrics.token.is_none() && config.metrics.address.is_none());
    for wrong in ["9464", ":9464", "localhost", "localhost:0", "localhost:70000", "::1:9464", "localhost:http"] {
        let problems = given(&[("AUTH_KEY", STRONG), ("METRICS_ADDRESS", wrong)]).problems();
        assert!(problems.len() == 1 && problems[0].starts_with("METRICS_ADDRESS is"), "{wrong}: {problems:?}");
    }
    assert!(given(&[("AUTH_KEY", STRONG), ("METRICS_TOKEN", "short")]).warnings().contains("METRICS_TOKEN is shorter"));
}

#[test]
fn an_outbound_proxy_that_is_none_is_refused_at_start() {
    let problems =
        given(&[("AUTH_KEY", STRONG), ("HTTP_PROXY", "htpp://me:secret@p:1"), ("https_proxy", "socks4://p")])
            .problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("HTTP_PROXY names no proxy: it must begin with http://"), "{problems:?}");
    assert!(problems[1].starts_with("https_proxy names no proxy"), "{problems:?}");
    assert!(!problems.concat().contains("secret"));
    let proxy = given(&[("AUTH_KEY", STRONG), ("HTTP_PROXY", "p:1"), ("NO_PROXY", "a.example:8443, b")])
        .config()
        .outbound_proxy;
    assert_eq!((proxy.http.as_str(), proxy.exceptions.as_str()), ("http://p:1/", "b"));
    assert_eq!(proxy.exceptions_on_port, [("a.example".to_owned(), 8443)]);
}

#[test]
fn a_time_zone_that_only_the_file_sets_is_told() {
    let zone = |variables: &[(&str, &str)]| given(variables).file("TZ=Asia/Shanghai").config().time_zone;
    assert_eq!(zone(&[("AUTH_KEY", STRONG)]).as_deref(), Some("Asia/Shanghai"));
    assert_eq!(zone(&[("AUTH_KEY", STRONG), ("TZ", "UTC")]), None, "the process has it already");
    assert_eq!(given(&[("AUTH_KEY", STRONG)]).config().time_zone, None);
}

#[test]
fn the_outbound_proxy_may_be_spelt_in_lower_case() {
    let proxy = given(&[
        ("AUTH_KEY", STRONG),
        ("HTTP_PROXY", ""),
        ("http_proxy", "http://p:1"),
        ("HTTPS_PROXY", "socks5://q:2"),
        ("https_proxy", "http://ignored"),
    ])
    .file("NO_PROXY=.internal")
    .config()
    .outbound_proxy;
    assert_eq!((proxy.http.as_str(), proxy.https.as_str()), ("http://p:1/", "socks5://q:2/"));
    assert_eq!(proxy.exceptions, ".internal");
}

#[test]
fn the_server_is_reached_where_it_listens() {
    let reached = |variables: &[(&str, &str)], file: &str| {
        let given = given(variables).file(file);
        address(given.directory.path(), given.variables.clone())
    };
    assert_eq!(reached(&[], ""), Ok(("127.0.0.1".to_owned(), 3001)));
    assert_eq!(reached(&[("HOST", "::")], "PORT=4000"), Ok(("[::1]".to_owned(), 4000)));
    assert_eq!(reached(&[("HOST", "10.0.0.1"), ("LOG_LEVEL", "loud")], ""), Ok(("10.0.0.1".to_owned(), 3001)));
    assert!(reached(&[("PORT", "x")], "").unwrap_err().starts_with("PORT is \"x\""));
}

#[test]
fn the_example_file_has_every_variable_with_its_default() {
    let text = include_str!("../../.env.example");
    let (ours, for_compose) = text.split_once("# Only docker-compose.yml reads these").unwrap();
    let assignments = |text: &str| -> Vec<(String, String)> {
        // A line that is commented out begins with `#` and a name at once; explanations have a blank between.
        let lines = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
        let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let expected: Vec<_> = VARIABLES
        .iter()
        .map(|&(name, default, _)| (name.to_owned(), if name == "WORKER_THREADS" { "" } else { default }.to_owned()))
        .collect();
    assert_eq!(assignments(ours), expected, "names, order and defaults are those of VARIABLES");
    assert!(dotenv::parse(text).unwrap().warnings.is_empty());
    for (name, value) in assignments(for_compose) {
        assert!(!expected.iter().any(|(known, _)| *known == name), "{name} is ours");
        assert!(!name.ends_with("PASSWORD") || value.is_empty(), "{name} has a password that everybody knows");
    }
}

#[test]
fn values_that_are_no_text_are_refused_for_our_own_variables_only() {
    use std::os::unix::ffi::OsStringExt as _;
    let invalid = || OsString::from_vec(vec![0xff]);
    let mut given = given(&[("AUTH_KEY", STRONG)]);
    given.variables.push(("LESSOPEN".into(), invalid()));
    given.variables.push((invalid(), "x".into()));
    given.config();
    given.variables.push(("ENCRYPTION_KEY".into(), invalid()));
    assert_eq!(given.problems(), ["ENCRYPTION_KEY is not UTF-8 text"]);
}

#[test]
fn the_help_lists_every_variable_that_is_read() {
    let (_, code) = include_str!("load.rs").split_once("impl Config").unwrap();
    let read: std::collections::BTreeSet<&str> = code
        .split('"')
        .filter(|text| text.contains('_') || ["HOST", "PORT", "TZ"].contains(text))
        .filter(|text| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();
    let listed: std::collections::BTreeSet<&str> = VARIABLES.iter().map(|&(name, ..)| name).collect();
    assert_eq!(read, listed);
}
