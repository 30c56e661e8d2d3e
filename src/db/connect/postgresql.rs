//! PostgreSQL: options of the driver for each server of a connection string, and the choice among them.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};

use super::authorities;
use crate::config::{PostgreSqlDsn, PostgreSqlTls};

/// How long one server may take, where the connection string does not say it and others could be tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The servers of a connection string, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    candidates: Vec<PgConnectOptions>,
    must_be_writable: bool,
    connect_timeout: Duration,
}

impl Servers {
    /// # Errors
    /// A file of certificates cannot be used, or the options of the session are no assignments.
    pub(crate) fn new(dsn: &PostgreSqlDsn) -> Result<Self, String> {
        let options = options(dsn)?;
        let candidates = dsn.hosts.iter().map(|(host, port)| for_host(options.clone(), host, *port)).collect();
        let connect_timeout = dsn.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        Ok(Self { candidates, must_be_writable: dsn.must_be_writable, connect_timeout })
    }

    /// Whether every session must be asked whether it may write.
    pub(crate) fn must_be_writable(&self) -> bool {
        self.must_be_writable
    }

    /// The first server that answers, and takes writes if that is asked for.
    ///
    /// # Errors
    /// None does; the error is the last one's.
    pub(crate) async fn choose(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let mut last = sqlx::Error::Configuration("DATABASE_DSN names no server".into());
        for candidate in &self.candidates {
            match tokio::time::timeout(self.connect_timeout, self.probe(candidate)).await {
                Ok(Ok(())) => return Ok(candidate.clone()),
                Ok(Err(error)) => last = error,
                Err(_) => last = sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
            }
        }
        Err(last)
    }

    async fn probe(&self, candidate: &PgConnectOptions) -> Result<(), sqlx::Error> {
        let mut connection = candidate.connect().await?;
        if self.must_be_writable {
            check_writable(&mut connection).await?;
        }
        connection.close().await
    }
}

/// Refuses a server that only follows another, or was set to read only.
///
/// # Errors
/// It takes no writes, or does not answer.
pub(crate) async fn check_writable(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_read_only: String = sqlx::query_scalar("SHOW transaction_read_only").fetch_one(connection).await?;
    if is_read_only == "off" {
        return Ok(());
    }
    let problem = "this server takes no writes, and DATABASE_DSN asks for one that does (target_session_attrs)";
    Err(sqlx::Error::Configuration(problem.into()))
}

fn options(dsn: &PostgreSqlDsn) -> Result<PgConnectOptions, String> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .database(&dsn.database)
        .application_name(&dsn.application_name)
        // Poolers do not know this parameter, and no number of ours has a fraction.
        .extra_float_digits(None)
        // Statements of bulk work are long, and a log is no place for them.
        .disable_statement_logging();
    if let Some(user) = &dsn.user {
        options = options.username(user);
    }
    options = options.password(dsn.password.as_ref().map_or("", |password| password.expose()));
    if let Some(capacity) = dsn.statement_cache_capacity {
        options = options.statement_cache_capacity(capacity);
    }
    if let Some(text) = &dsn.options {
        options = options.options(assignments(text)?);
    }
    if !dsn.parameters.is_empty() {
        options = options.options(dsn.parameters.iter().map(|(name, value)| (name, value)));
    }
    options = options.ssl_mode(match dsn.tls {
        PostgreSqlTls::Disable => PgSslMode::Disable,
        PostgreSqlTls::Prefer => PgSslMode::Prefer,
        PostgreSqlTls::Require => PgSslMode::Require,
        PostgreSqlTls::VerifyAuthority => PgSslMode::VerifyCa,
        PostgreSqlTls::VerifyFull => PgSslMode::VerifyFull,
    });
    if matches!(dsn.tls, PostgreSqlTls::VerifyAuthority | PostgreSqlTls::VerifyFull) {
        let authority = dsn.certificates.authority.as_deref();
        options = options.ssl_root_cert_from_pem(authorities::authorities(authority, "sslrootcert")?);
    }
    if dsn.tls != PostgreSqlTls::Disable
        && let Some((certificate, key)) = authorities::own(&dsn.certificates, ["sslcert", "sslkey"])?
    {
        options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
    }
    Ok(options)
}

/// What does not leave the machine is not encrypted, whatever the mode, as PostgreSQL's own library has it.
fn for_host(options: PgConnectOptions, host: &str, port: u16) -> PgConnectOptions {
    let options = options.host(host).port(port);
    if host.starts_with('/') { options.socket(Path::new(host)).ssl_mode(PgSslMode::Disable) } else { options }
}

/// `-c name=value`, `-cname=value` and `--name=value`; a `\` takes the meaning from the blank or `\` behind it.
fn assignments(text: &str) -> Result<Vec<(String, String)>, String> {
    let problem = || "options of DATABASE_DSN must be written like -c name=value".to_owned();
    let mut words = words(text).into_iter();
    let mut assignments = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().ok_or_else(problem)?,
            Some(assignment) => assignment.to_owned(),
            None => return Err(problem()),
        };
        let (name, value) = assignment.split_once('=').ok_or_else(problem)?;
        assignments.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(assignments)
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseDsn;

    fn servers(text: &str) -> Result<Servers, String> {
        let DatabaseDsn::PostgreSql(dsn) = DatabaseDsn::parse(text, &|_| None).unwrap().0 else {
            panic!("not PostgreSQL")
        };
        Servers::new(&dsn)
    }

    fn first(text: &str) -> PgConnectOptions {
        servers(text).unwrap().candidates.remove(0)
    }

    #[test]
    fn the_driver_gets_what_the_text_says() {
        let options = first("postgres://me:p@db:7/app?sslmode=require&search_path=a,b&statement_timeout=5s");
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("db", 7, "me"));
        assert_eq!(options.get_database(), Some("app"));
        assert_eq!(options.get_application_name(), Some("gpt-load"));
        assert_eq!(options.get_options(), Some("-c search_path=a,b -c statement_timeout=5s"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        assert_eq!(first("postgres://h/d").get_options(), None, "poolers refuse what they do not know");
    }

    #[test]
    fn a_socket_is_not_encrypted() {
        let options = first("host=/run/postgresql dbname=app sslmode=verify-full");
        assert_eq!(options.get_socket().map(std::path::PathBuf::as_path), Some(Path::new("/run/postgresql")));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Disable));
    }

    #[test]
    fn encryption_is_as_strict_as_asked() {
        let mode = |mode: &str| first(&format!("postgres://h/d?sslmode={mode}")).get_ssl_mode();
        assert!(matches!(mode("disable"), PgSslMode::Disable));
        assert!(matches!(mode("allow"), PgSslMode::Prefer));
        assert!(matches!(mode("verify-ca"), PgSslMode::VerifyCa));
        assert!(matches!(mode("verify-full"), PgSslMode::VerifyFull));
        let problem = servers("postgres://h/d?sslmode=verify-full&sslrootcert=/nonexistent").unwrap_err();
        assert!(problem.contains("sslrootcert of DATABASE_DSN: cannot read /nonexistent"), "{problem}");
    }

    #[test]
    fn every_host_is_a_candidate() {
        let servers = servers("postgres://a,b:6/d?target_session_attrs=primary&connect_timeout=3").unwrap();
        let places: Vec<_> =
            servers.candidates.iter().map(|options| (options.get_host(), options.get_port())).collect();
        assert_eq!(places, [("a", 5432), ("b", 6)]);
        assert!(servers.must_be_writable());
        assert_eq!(servers.connect_timeout, Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_passed_over_in_time() {
        // Accepts connections into its queue and never says a word.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (silent_port, gone_port) = (silent.local_addr().unwrap().port(), gone.local_addr().unwrap().port());
        drop(gone);
        let text = format!("postgres://127.0.0.1:{silent_port},127.0.0.1:{gone_port}/d?connect_timeout=1");
        let problem = servers(&text).unwrap().choose().await.unwrap_err();
        assert!(matches!(&problem, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn options_are_assignments() {
        let read = |text: &str| assignments(text);
        let expected = [("geqo", "off"), ("search_path", "a b"), ("work_mem", "4MB")];
        assert_eq!(
            read(r"-c geqo=off  -csearch_path=a\ b --work-mem=4MB").unwrap(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(read("").unwrap().is_empty());
        for text in ["geqo=off", "-c", "-c geqo", "-x"] {
            assert!(read(text).unwrap_err().contains("-c name=value"), "{text}");
        }
    }
}
