//! MySQL and MariaDB: `user:password@tcp(host:port)/database?name=value&…`, as Go programs write it, and the URL form.

use std::{fmt, path::PathBuf, time::Duration};

use super::{database_dsn::Certificates, query};
use crate::crypto::Secret;

const DEFAULT_PORT: u16 = 3306;
const LOCAL_HOST: &str = "127.0.0.1";

/// How to reach a MySQL or MariaDB server. `Debug` and `Display` show neither the password nor values of the session.
#[derive(Clone)]
pub(crate) struct MySqlDsn {
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) address: MySqlAddress,
    pub(crate) database: String,
    pub(crate) tls: MySqlTls,
    pub(crate) certificates: Certificates,
    /// The zone that times are stored in (`loc`): `UTC`, `Local` or a known name such as `Asia/Shanghai`.
    pub(crate) location: String,
    pub(crate) collation: Option<String>,
    /// How long a connection may take to be made (`timeout`).
    pub(crate) connect_timeout: Option<Duration>,
    /// Whether the password may be sent as it is (`allowCleartextPasswords`), for PAM and the like.
    pub(crate) cleartext_password: bool,
    /// What the client does not know is a session variable of the server. Values are as they are written in SQL.
    pub(crate) session: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MySqlAddress {
    Tcp { host: String, port: u16 },
    Unix { path: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MySqlTls {
    Off,
    /// Encrypted where the server can, whoever answers.
    Preferred,
    /// Encrypted, whoever answers.
    SkipVerify,
    /// Encrypted, and the server's certificate is checked, its name too.
    Verified,
}

impl MySqlDsn {
    /// The database's name starts after the last `/`, the address after the last `@` before it, and the password after
    /// the first `:`, so that odd passwords need no encoding.
    pub(super) fn parse(text: &str) -> Result<(Self, Vec<String>), String> {
        let (server, database) = text.rsplit_once('/').ok_or("names no database")?;
        // The path of a socket may have an @ of its own.
        let at = server.rfind("@unix(").or_else(|| server.rfind('@'));
        let (credentials, address) =
            at.map(|at| (&server[..at], &server[at + 1..])).ok_or("must name its server as user@tcp(host:port)")?;
        if address.contains('?') {
            return Err("has a / in its options, which must be written %2F".to_owned());
        }
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (database, options) = database.split_once('?').unwrap_or((database, ""));
        Self::of_parts(user.to_owned(), password.to_owned(), server_address(address)?, database, options)
    }

    /// `mysql://user:password@host:port/database?name=value&…` and the same with `mariadb://`, percent-encoded. The option
    /// `socket` names a Unix socket instead of the host.
    pub(super) fn parse_url(text: &str) -> Result<(Self, Vec<String>), String> {
        let (_, rest) = text.split_once("://").ok_or("must begin with mysql://")?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, database) = rest.split_once('/').ok_or("names no database")?;
        let (credentials, server) = server.rsplit_once('@').unwrap_or(("", server));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = query::host_and_port(server, DEFAULT_PORT)?;
        let host = query::decode(if host.is_empty() { LOCAL_HOST } else { &host })?;
        let user = if user.is_empty() { "root".to_owned() } else { query::decode(user)? };
        Self::of_parts(user, query::decode(password)?, MySqlAddress::Tcp { host, port }, database, options)
    }

    fn of_parts(
        user: String,
        password: String,
        address: MySqlAddress,
        database: &str,
        options: &str,
    ) -> Result<(Self, Vec<String>), String> {
        if database.is_empty() {
            return Err("names no database after the /".to_owned());
        }
        let mut dsn = Self {
            user,
            password: Some(password).filter(|password| !password.is_empty()).map(Secret::new),
            address,
            database: query::decode(database)?,
            tls: MySqlTls::Off,
            certificates: Certificates::default(),
            location: "UTC".to_owned(),
            collation: None,
            connect_timeout: None,
            cleartext_password: false,
            session: Vec::new(),
        };
        let mut warnings = Vec::new();
        for (name, value) in query::options(options) {
            dsn.take_option(&name, value, &mut warnings)?
                .map_err(|problem| format!("has an option {name} that {problem}"))?;
        }
        if dsn.certificates.certificate.is_some() != dsn.certificates.key.is_some() {
            return Err("must name ssl-cert and ssl-key together".to_owned());
        }
        Ok((dsn, warnings))
    }

    /// The outer error is about an option of an unknown name. It is not repeated: it may be the rest of a password.
    fn take_option(
        &mut self,
        name: &str,
        value: String,
        warnings: &mut Vec<String>,
    ) -> Result<Result<(), String>, String> {
        let known = match self.take_known(name, &value) {
            Ok(known) => known,
            Err(problem) => return Ok(Err(problem)),
        };
        match known {
            Known::Ignored => {}
            Known::Without(effect) => warnings.push(format!("{name} of DATABASE_DSN has no effect: {effect}")),
            Known::No => {
                self.session.push((identifier(name)?.to_owned(), sql_value(value)?));
            }
        }
        Ok(Ok(()))
    }

    fn take_known(&mut self, name: &str, value: &str) -> Result<Known, String> {
        match name {
            "collation" if value.starts_with("utf8mb4_") || value.starts_with("uca1400_") => {
                self.collation = Some(identifier(value).map_err(|_| "must be a plain name")?.to_owned());
            }
            "loc" => self.location = location(value)?,
            "timeout" => self.connect_timeout = Some(query::duration(value)?),
            "tls" => self.tls = tls(value)?,
            "ssl-mode" | "sslmode" | "sslMode" => self.tls = ssl_mode(value)?,
            "ssl-ca" => self.certificates.authority = Some(file(value)?),
            "ssl-cert" => self.certificates.certificate = Some(file(value)?),
            "ssl-key" => self.certificates.key = Some(file(value)?),
            "socket" if value.starts_with('/') => self.address = MySqlAddress::Unix { path: value.into() },
            "socket" => return Err("must be the absolute path of a Unix socket".to_owned()),
            "allowCleartextPasswords" => self.cleartext_password = query::flag(value)?,
            _ => return go_option(name, value),
        }
        Ok(Known::Ignored)
    }
}

enum Known {
    /// Has no meaning here, whatever its value.
    Ignored,
    /// The client of the original would do something that ours does not, with what happens instead.
    Without(&'static str),
    No,
}

/// Options of Go's client about how it builds its packets, and session variables that must stay as we set them. All are
/// checked, so that a slip is told.
fn go_option(name: &str, value: &str) -> Result<Known, String> {
    Ok(match name {
        "maxAllowedPacket" => query::count(value).map(|_| Known::Ignored)?,
        "allowFallbackToPlaintext"
        | "checkConnLiveness"
        | "clientFoundRows"
        | "columnsWithAlias"
        | "interpolateParams"
        | "multiStatements" => query::flag(value).map(|_| Known::Ignored)?,
        // Go's client takes several and tries them in turn.
        "charset" if value.split(',').next().is_some_and(|first| first.eq_ignore_ascii_case("utf8mb4")) => {
            Known::Ignored
        }
        "charset" | "collation" => Known::Without("texts are utf8mb4, which alone holds every one"),
        "parseTime" if query::flag(value)? => Known::Ignored,
        "parseTime" => Known::Without("times are always read as times"),
        "readTimeout" | "writeTimeout" => query::duration(value)
            .map(|_| Known::Without("how long statements may take is limited by the server's own settings"))?,
        "allowNativePasswords" if query::flag(value)? => Known::Ignored,
        "allowNativePasswords" => Known::Without("the server chooses how passwords are proved"),
        "allowAllFiles" | "compress" | "rejectReadOnly" if !query::flag(value)? => Known::Ignored,
        "allowAllFiles" => Known::Without("the server can never ask for local files"),
        "compress" => Known::Without("the protocol is not compressed"),
        "rejectReadOnly" => Known::Without("a server that turns read-only is reported, and tried again"),
        "allowOldPasswords" if !query::flag(value)? => Known::Ignored,
        "allowOldPasswords" => {
            return Err("is not supported: that method was broken; give the user a new password".to_owned());
        }
        "serverPubKey" => return Err("is not supported; use tls=true to be sure of the server".to_owned()),
        "connectionAttributes" | "timeTruncate" => Known::Without("it is not supported"),
        "time_zone" => Known::Without("times are stored in the zone that loc names"),
        "autocommit"
        | "character_set_client"
        | "character_set_results"
        | "character_set_connection"
        | "names"
        | "tx_isolation"
        | "transaction_isolation"
        | "tx_read_only"
        | "transaction_read_only" => Known::Without("it stays as this program needs it"),
        _ => Known::No,
    })
}

fn location(text: &str) -> Result<String, String> {
    if matches!(text, "Local" | "UTC") || text.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("must name a time zone, such as Local, UTC or Asia%2FShanghai".to_owned())
}

fn tls(text: &str) -> Result<MySqlTls, String> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "skip-verify" => MySqlTls::SkipVerify,
        "preferred" => MySqlTls::Preferred,
        _ if query::flag(text).map_err(|_| "must be true, false, skip-verify or preferred")? => MySqlTls::Verified,
        _ => MySqlTls::Off,
    })
}

/// The words of MySQL's own client.
fn ssl_mode(text: &str) -> Result<MySqlTls, String> {
    Ok(match text.to_ascii_lowercase().replace('-', "_").as_str() {
        "disabled" | "disable" => MySqlTls::Off,
        "preferred" | "prefer" => MySqlTls::Preferred,
        "required" | "require" => MySqlTls::SkipVerify,
        "verify_identity" | "verify_full" => MySqlTls::Verified,
        _ => return Err("must be DISABLED, PREFERRED, REQUIRED or VERIFY_IDENTITY".to_owned()),
    })
}

fn identifier(text: &str) -> Result<&str, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@".contains(&b)) {
        return Ok(text);
    }
    Err("has an option whose name is not made of letters, digits and _".to_owned())
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must name a file".to_owned()) } else { Ok(text.into()) }
}

/// The value stands in a `SET` statement as it is: one expression, which ends where the value ends.
fn sql_value(text: String) -> Result<String, String> {
    let mut quote = None;
    let mut depth = 0_i32;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), '\\') | (_, '\0' | '\n' | '\r') => return Err(sql_value_problem()),
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ',') if depth > 0 => {}
            (None, ',' | ';' | '#' | '/' | '\\') => return Err(sql_value_problem()),
            (None, _) => {}
        }
        if depth < 0 {
            return Err(sql_value_problem());
        }
    }
    if text.trim().is_empty() || text.contains("--") || quote.is_some() || depth != 0 {
        return Err(sql_value_problem());
    }
    Ok(text)
}

fn sql_value_problem() -> String {
    "has a session variable whose value is not written as SQL has it, such as 10 or %27text%27".to_owned()
}

/// `tcp(host:port)`, `tcp(host)`, `tcp()`, `tcp` or `unix(/path/to/socket)`.
fn server_address(text: &str) -> Result<MySqlAddress, String> {
    if let Some(rest) = text.strip_prefix("unix") {
        let inside = rest.strip_prefix('(').ok_or("must name its socket as unix(/path/to/socket)")?;
        let path = inside.strip_suffix(')').ok_or("has no ) after the socket's path")?;
        if !path.starts_with('/') {
            return Err("must name the absolute path of its socket, as in unix(/run/mysqld/mysqld.sock)".to_owned());
        }
        return Ok(MySqlAddress::Unix { path: path.into() });
    }
    let address = ["tcp4", "tcp6", "tcp"]
        .iter()
        .find_map(|protocol| text.strip_prefix(protocol))
        .ok_or("must name its server as tcp(host:port)")?;
    if address.is_empty() {
        return Ok(MySqlAddress::Tcp { host: LOCAL_HOST.to_owned(), port: DEFAULT_PORT });
    }
    let inside = address.strip_prefix('(').ok_or("must name its server as tcp(host:port)")?;
    let inside = inside.strip_suffix(')').ok_or("has no ) after the server's address")?;
    let (host, port) = query::host_and_port(inside, DEFAULT_PORT)?;
    Ok(MySqlAddress::Tcp { host: if host.is_empty() { LOCAL_HOST.to_owned() } else { host }, port })
}

/// Everything but the password, and of the session only the names.
impl fmt::Display for MySqlDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, database, location, .. } = self;
        let password = if self.password.is_some() { ":****" } else { "" };
        write!(f, "{user}{password}@")?;
        match &self.address {
            MySqlAddress::Tcp { host, port } => write!(f, "tcp({})", query::show_address(host, *port))?,
            MySqlAddress::Unix { path } => write!(f, "unix({})", path.display())?,
        }
        write!(f, "/{database}?loc={location}")?;
        f.write_str(match self.tls {
            MySqlTls::Off => "",
            MySqlTls::Preferred => "&tls=preferred",
            MySqlTls::SkipVerify => "&tls=skip-verify",
            MySqlTls::Verified => "&tls=true",
        })?;
        if let Some(collation) = &self.collation {
            write!(f, "&collation={collation}")?;
        }
        if let Some(timeout) = self.connect_timeout {
            write!(f, "&timeout={timeout:?}")?;
        }
        self.session.iter().try_for_each(|(name, _)| write!(f, "&{name}=…"))
    }
}

impl fmt::Debug for MySqlDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[path = "mysql_dsn_tests.rs"]
mod tests;
