//! MySQL and MariaDB: `user:password@tcp(host:port)/database?name=value&…`, as Go programs write it.

use std::{fmt, time::Duration};

use super::query;
use crate::crypto::Secret;

const DEFAULT_PORT: u16 = 3306;

#[derive(Debug)]
pub(crate) struct MySqlDsn {
    user: String,
    password: Option<Secret>,
    host: String,
    port: u16,
    database: String,
    tls: Tls,
    /// The zone that times are stored in.
    location: String,
    charset: Option<String>,
    collation: Option<String>,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// What the client does not know is a session variable of the server.
    session: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Off,
    Preferred,
    /// Encrypted, whoever answers.
    SkipVerify,
    Verified,
}

impl MySqlDsn {
    /// The database's name starts after the last `/`, the address after the last `@` before it, and the password after
    /// the first `:`, so that odd passwords need no encoding.
    pub(super) fn parse(text: &str) -> Result<(Self, Vec<String>), String> {
        let (server, database) = text.rsplit_once('/').ok_or("names no database")?;
        let (credentials, address) = server.rsplit_once('@').ok_or("must name its server as user@tcp(host:port)")?;
        if address.contains('?') {
            return Err("has a / in its options, which must be written %2F".to_owned());
        }
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password).filter(|password| !password.is_empty())),
            None => (credentials, None),
        };
        let (host, port) = tcp_address(address)?;
        let (database, options) = database.split_once('?').unwrap_or((database, ""));
        if database.is_empty() {
            return Err("names no database after the /".to_owned());
        }
        let mut dsn = Self {
            user: user.to_owned(),
            password: password.map(Secret::new),
            host,
            port,
            database: query::decode(database)?,
            tls: Tls::Off,
            location: "UTC".to_owned(),
            charset: None,
            collation: None,
            connect_timeout: None,
            read_timeout: None,
            write_timeout: None,
            session: Vec::new(),
        };
        let mut warnings = Vec::new();
        for (name, value) in query::options(options) {
            dsn.take_option(&name, value, &mut warnings)
                .map_err(|problem| format!("has an option {name} that {problem}"))?;
        }
        Ok((dsn, warnings))
    }

    fn take_option(&mut self, name: &str, value: String, warnings: &mut Vec<String>) -> Result<(), String> {
        match name {
            "charset" => self.charset = Some(value),
            "collation" => self.collation = Some(value),
            "loc" if value.is_empty() => {
                return Err("must name a time zone, such as Local or Asia%2FShanghai".to_owned());
            }
            "loc" => self.location = value,
            "timeout" => self.connect_timeout = Some(query::duration(&value)?),
            "readTimeout" => self.read_timeout = Some(query::duration(&value)?),
            "writeTimeout" => self.write_timeout = Some(query::duration(&value)?),
            "tls" => {
                self.tls = match value.to_ascii_lowercase().as_str() {
                    "skip-verify" => Tls::SkipVerify,
                    "preferred" => Tls::Preferred,
                    _ if query::flag(&value).map_err(|_| "must be true, false, skip-verify or preferred")? => {
                        Tls::Verified
                    }
                    _ => Tls::Off,
                }
            }
            "parseTime" => {
                if !query::flag(&value)? {
                    warnings.push(
                        "parseTime=false of DATABASE_DSN has no effect: times are always read as times".to_owned(),
                    );
                }
            }
            // How Go's client builds its packets: checked, so that a slip is told, and of no further meaning here.
            "maxAllowedPacket" => drop(query::count(&value)?),
            "allowAllFiles"
            | "allowCleartextPasswords"
            | "allowFallbackToPlaintext"
            | "allowNativePasswords"
            | "allowOldPasswords"
            | "checkConnLiveness"
            | "clientFoundRows"
            | "columnsWithAlias"
            | "interpolateParams"
            | "multiStatements"
            | "rejectReadOnly" => drop(query::flag(&value)?),
            _ => self.session.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

/// `tcp(host:port)`, `tcp(host)`, `tcp()` or `tcp`.
fn tcp_address(text: &str) -> Result<(String, u16), String> {
    let address = ["tcp4", "tcp6", "tcp"]
        .iter()
        .find_map(|protocol| text.strip_prefix(protocol))
        .ok_or("must name its server as tcp(host:port)")?;
    if address.is_empty() {
        return Ok(("127.0.0.1".to_owned(), DEFAULT_PORT));
    }
    let inside = address.strip_prefix('(').ok_or("must name its server as tcp(host:port)")?;
    let inside = inside.strip_suffix(')').ok_or("has no ) after the server's address")?;
    let (host, port) = query::host_and_port(inside, DEFAULT_PORT)?;
    Ok((if host.is_empty() { "127.0.0.1".to_owned() } else { host }, port))
}

/// Everything but the password.
impl fmt::Display for MySqlDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, database, location, .. } = self;
        let password = if self.password.is_some() { ":****" } else { "" };
        write!(f, "{user}{password}@tcp({})/{database}?loc={location}", query::show_address(host, *port))?;
        match self.tls {
            Tls::Off => {}
            Tls::Preferred => f.write_str("&tls=preferred")?,
            Tls::SkipVerify => f.write_str("&tls=skip-verify")?,
            Tls::Verified => f.write_str("&tls=true")?,
        }
        for (name, value) in [("charset", &self.charset), ("collation", &self.collation)] {
            if let Some(value) = value {
                write!(f, "&{name}={value}")?;
            }
        }
        for (name, value) in [
            ("timeout", self.connect_timeout),
            ("readTimeout", self.read_timeout),
            ("writeTimeout", self.write_timeout),
        ] {
            if let Some(value) = value {
                write!(f, "&{name}={value:?}")?;
            }
        }
        if !self.session.is_empty() {
            write!(f, "&{}", query::show(&self.session))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, password: Option<&str>, shown: &str) {
        let (dsn, _) = MySqlDsn::parse(text).unwrap();
        assert_eq!(dsn.password.as_ref().map(Secret::expose), password, "{text}");
        assert_eq!(dsn.to_string(), shown, "{text}");
    }

    #[test]
    fn the_forms_that_deployments_use() {
        check(
            "root:pw@tcp(mysql:3307)/gpt-load?charset=utf8mb4&parseTime=True&loc=Asia%2FShanghai",
            Some("pw"),
            "root:****@tcp(mysql:3307)/gpt-load?loc=Asia/Shanghai&charset=utf8mb4",
        );
        check("root@tcp(db)/app", None, "root@tcp(db:3306)/app?loc=UTC");
        check("root:@tcp()/app", None, "root@tcp(127.0.0.1:3306)/app?loc=UTC");
        check("root@tcp/app", None, "root@tcp(127.0.0.1:3306)/app?loc=UTC");
        check("root@tcp([::1]:1)/a%20b", None, "root@tcp([::1]:1)/a b?loc=UTC");
        check("u:a:b@c/d%41@tcp(db)/app", Some("a:b@c/d%41"), "u:****@tcp(db:3306)/app?loc=UTC");
        check(
            "u:p@tcp(db)/app?tls=skip-verify&timeout=5s&readTimeout=1m&allowNativePasswords=false&sql_mode=ANSI",
            Some("p"),
            "u:****@tcp(db:3306)/app?loc=UTC&tls=skip-verify&timeout=5s&readTimeout=60s&sql_mode=ANSI",
        );
        check("u:p@tcp(db)/app?tls=true", Some("p"), "u:****@tcp(db:3306)/app?loc=UTC&tls=true");
        check("u:p@tcp(db)/app?tls=false&loc=Local", Some("p"), "u:****@tcp(db:3306)/app?loc=Local");
        assert_eq!(MySqlDsn::parse("u:p@tcp(db)/app?parseTime=false").unwrap().1.len(), 1);
    }

    #[test]
    fn mistakes_are_named_and_values_are_not() {
        for (text, expected) in [
            ("u:hunter2@tcp(db:3306)/", "names no database after the /"),
            ("u:hunter2@tcp(db:3306)/app?loc=Asia/Shanghai", "must be written %2F"),
            ("u:hunter2@tcp(db:port)/app", "port"),
            ("u:hunter2@tcp(db/app", "no ) after"),
            ("u:hunter2@tcpdb/app", "must name its server"),
            ("u:hunter2@tcp(db)/app?timeout=5", "option timeout that must be a time with its unit"),
            ("u:hunter2@tcp(db)/app?tls=maybe", "must be true, false, skip-verify or preferred"),
            ("u:hunter2@tcp(db)/app?parseTime=yes", "must be true or false"),
            ("u:hunter2@tcp(db)/app?loc=", "must name a time zone"),
            ("u:hunter2@tcp(db)/app?maxAllowedPacket=big", "whole number"),
        ] {
            let problem = MySqlDsn::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
