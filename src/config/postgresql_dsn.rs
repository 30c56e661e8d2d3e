//! PostgreSQL: the URL and keyword forms of its client library, with the gaps filled from its environment variables.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    database_dsn::Certificates,
    password_file,
    postgresql_keywords::{Keywords, choice},
    query,
};
use crate::crypto::Secret;

const DEFAULT_PORT: u16 = 5432;
const APPLICATION_NAME: &str = "gpt-load";

/// How to reach PostgreSQL. `Debug` and `Display` show neither the password nor values of session parameters.
#[derive(Clone)]
pub(crate) struct PostgreSqlDsn {
    /// Absent: the name that this process runs under.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// Tried in this order; a name that begins with `/` is the directory of a Unix socket. Never empty.
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) database: String,
    pub(crate) tls: PostgreSqlTls,
    pub(crate) certificates: Certificates,
    /// How long a connection to one host may take to be made.
    pub(crate) connect_timeout: Option<Duration>,
    /// Only a server that takes writes will do (`target_session_attrs`); otherwise whichever answers first.
    pub(crate) must_be_writable: bool,
    pub(crate) application_name: String,
    /// How many prepared statements a connection keeps; never 0.
    pub(crate) statement_cache_capacity: Option<usize>,
    /// Command-line options of the session, as `options` has them.
    pub(crate) options: Option<String>,
    /// What the client does not know is a parameter of the session.
    pub(crate) parameters: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostgreSqlTls {
    Disable,
    Prefer,
    Require,
    VerifyAuthority,
    VerifyFull,
}

impl PostgreSqlDsn {
    /// Reads either form. `gaps` looks up environment variables such as `PGPASSWORD`, for what the text leaves open.
    pub(super) fn parse(text: &str, gaps: &dyn Fn(&str) -> Option<String>) -> Result<(Self, Vec<String>), String> {
        let mut keywords = if text.contains("://") { Keywords::of_url(text)? } else { Keywords::of_assignments(text)? };
        let mut warnings = keywords.check()?;
        keywords.fill(gaps);
        let mut take = |name: &str| keywords.take(name);

        let certificates = Certificates {
            authority: take("sslrootcert").map(PathBuf::from),
            certificate: take("sslcert").map(PathBuf::from),
            key: take("sslkey").map(PathBuf::from),
        };
        if certificates.certificate.is_some() != certificates.key.is_some() {
            return Err("must name sslcert and sslkey together".to_owned());
        }
        let tls = tls(take("sslmode"), &certificates, &mut warnings)?;
        let hosts = hosts(take("host").or_else(|| take("hostaddr")), take("port"))?;
        let user = take("user");
        let database = take("dbname").ok_or("names no database")?;
        let mut password = take("password").map(Secret::new);
        if password.is_none()
            && let (Some(file), Some(user)) = (take("passfile"), &user)
        {
            match password_file::look_up(&file, &hosts, &database, user) {
                Ok(found) => password = found,
                Err(warning) => warnings.push(warning),
            }
        }
        let mut dsn = Self {
            user,
            password,
            hosts,
            database,
            tls,
            certificates,
            connect_timeout: take("connect_timeout").map(|text| seconds(&text)).transpose()?.flatten(),
            must_be_writable: must_be_writable(take("target_session_attrs"))?,
            application_name: take("application_name").unwrap_or_else(|| APPLICATION_NAME.to_owned()),
            statement_cache_capacity: statement_cache_capacity(
                take("statement_cache_capacity"),
                take("default_query_exec_mode"),
                &mut warnings,
            )?,
            options: take("options"),
            parameters: Vec::new(),
        };
        dsn.parameters = keywords.parameters()?;
        Ok((dsn, warnings))
    }
}

fn tls(mode: Option<String>, certificates: &Certificates, warnings: &mut Vec<String>) -> Result<PostgreSqlTls, String> {
    Ok(match choice("sslmode", mode, &["prefer", "disable", "allow", "require", "verify-ca", "verify-full"])? {
        "disable" => PostgreSqlTls::Disable,
        "allow" => {
            warnings.push("sslmode=allow of DATABASE_DSN acts as prefer: encrypted where the server can".to_owned());
            PostgreSqlTls::Prefer
        }
        // As PostgreSQL's own library has it: who names an authority wants it asked.
        "require" if certificates.authority.is_none() => PostgreSqlTls::Require,
        "require" | "verify-ca" => {
            warnings.push(
                "sslmode=verify-ca of DATABASE_DSN takes a certificate for any host name; write verify-full to have the name checked"
                    .to_owned(),
            );
            PostgreSqlTls::VerifyAuthority
        }
        "verify-full" => PostgreSqlTls::VerifyFull,
        _ => PostgreSqlTls::Prefer,
    })
}

/// Names and ports, each separated by commas: one port for all, or one for each.
fn hosts(names: Option<String>, ports: Option<String>) -> Result<Vec<(String, u16)>, String> {
    let names = names.unwrap_or_else(|| "localhost".to_owned());
    let names: Vec<&str> = names.split(',').map(|name| if name.is_empty() { "localhost" } else { name }).collect();
    let ports = ports.unwrap_or_default();
    let ports = ports.split(',').map(|port| match port {
        "" => Ok(DEFAULT_PORT),
        _ => port.parse().ok().filter(|&port| port > 0).ok_or("has a port that is no number from 1 to 65535"),
    });
    let ports = ports.collect::<Result<Vec<u16>, _>>()?;
    if ports.len() != 1 && ports.len() != names.len() {
        return Err("must name one port for all of its hosts, or one for each".to_owned());
    }
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
    Ok(names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), port(at))).collect())
}

/// Zero and less mean that there is no limit.
fn seconds(text: &str) -> Result<Option<Duration>, String> {
    let seconds = text.parse().map_err(|_| "has a connect_timeout that must be a whole number of seconds")?;
    Ok(super::environment::limit(seconds))
}

fn must_be_writable(attributes: Option<String>) -> Result<bool, String> {
    let words = ["any", "read-write", "primary", "read-only", "standby", "prefer-standby"];
    match choice("target_session_attrs", attributes, &words)? {
        "any" => Ok(false),
        "read-write" | "primary" => Ok(true),
        _ => Err("must have target_session_attrs=read-write, primary or any: this program writes".to_owned()),
    }
}

/// Go's client can do without prepared statements; ours cannot. A cache of 0 would leave each of them on the server.
fn statement_cache_capacity(
    capacity: Option<String>,
    mode: Option<String>,
    warnings: &mut Vec<String>,
) -> Result<Option<usize>, String> {
    let modes = ["cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"];
    let mode = choice("default_query_exec_mode", mode, &modes)?;
    let problem = "has a statement_cache_capacity that must be a whole number";
    let capacity = capacity.map(|text| text.parse().map_err(|_| problem)).transpose()?;
    if mode == "cache_statement" && capacity != Some(0) {
        return Ok(capacity);
    }
    warnings.push(
        "statements are prepared whatever DATABASE_DSN says (default_query_exec_mode, statement_cache_capacity); behind \
         PgBouncer with pool_mode=transaction its max_prepared_statements must be above 0, as it can be since version 1.21"
            .to_owned(),
    );
    Ok(None)
}

/// Everything but the password, and of session parameters only the names.
impl fmt::Display for PostgreSqlDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
        }
        if self.password.is_some() {
            f.write_str(":****")?;
        }
        if self.user.is_some() || self.password.is_some() {
            f.write_str("@")?;
        }
        let hosts: Vec<_> = self.hosts.iter().map(|(host, port)| query::show_address(host, *port)).collect();
        let mode = match self.tls {
            PostgreSqlTls::Disable => "disable",
            PostgreSqlTls::Prefer => "prefer",
            PostgreSqlTls::Require => "require",
            PostgreSqlTls::VerifyAuthority => "verify-ca",
            PostgreSqlTls::VerifyFull => "verify-full",
        };
        write!(f, "{}/{}?sslmode={mode}", hosts.join(","), self.database)?;
        if let Some(timeout) = self.connect_timeout {
            write!(f, "&connect_timeout={}", timeout.as_secs())?;
        }
        if self.must_be_writable {
            f.write_str("&target_session_attrs=read-write")?;
        }
        if self.application_name != APPLICATION_NAME {
            write!(f, "&application_name={}", self.application_name)?;
        }
        if let Some(capacity) = self.statement_cache_capacity {
            write!(f, "&statement_cache_capacity={capacity}")?;
        }
        self.parameters.iter().try_for_each(|(name, _)| write!(f, "&{name}=…"))
    }
}

impl fmt::Debug for PostgreSqlDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[path = "postgresql_dsn_tests.rs"]
mod tests;
