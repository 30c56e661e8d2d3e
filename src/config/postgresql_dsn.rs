//! PostgreSQL: the URL form of its client library.

use std::{fmt, time::Duration};

use super::query;
use crate::crypto::Secret;

const DEFAULT_PORT: u16 = 5432;

#[derive(Debug)]
pub(crate) struct PostgreSqlDsn {
    user: Option<String>,
    password: Option<Secret>,
    /// Tried in this order; a name that begins with `/` is the directory of a Unix socket.
    hosts: Vec<(String, u16)>,
    database: String,
    ssl_mode: String,
    connect_timeout: Option<Duration>,
    target_session_attributes: String,
    /// Files and names for TLS, and parameters of the session.
    others: Vec<(String, String)>,
}

impl PostgreSqlDsn {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (_, rest) = text.split_once("://").ok_or("must begin with postgres://")?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = server.rsplit_once('@').unwrap_or(("", server));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let mut dsn = Self {
            user: Some(query::decode(user)?).filter(|user| !user.is_empty()),
            password: Some(query::decode(password)?).filter(|password| !password.is_empty()).map(Secret::new),
            hosts: Vec::new(),
            database: query::decode(database)?,
            ssl_mode: "prefer".to_owned(),
            connect_timeout: None,
            target_session_attributes: "any".to_owned(),
            others: Vec::new(),
        };
        let (mut host_option, mut port_option) = (None, None);
        for (name, value) in query::options(options) {
            match name.as_str() {
                "host" => host_option = Some(value),
                "port" => port_option = Some(value),
                _ => dsn.take_option(&name, value).map_err(|problem| format!("has an option {name} that {problem}"))?,
            }
        }
        let port = match port_option {
            Some(port) => port.parse().map_err(|_| "has an option port that is no number from 1 to 65535")?,
            None => DEFAULT_PORT,
        };
        let hosts = host_option.map_or_else(|| query::decode(hosts), Ok)?;
        for host in hosts.split(',') {
            let (name, port) =
                if host.starts_with('/') { (host.to_owned(), port) } else { query::host_and_port(host, port)? };
            dsn.hosts.push((if name.is_empty() { "localhost".to_owned() } else { name }, port));
        }
        if dsn.database.is_empty() {
            return Err("names no database after the server".to_owned());
        }
        Ok(dsn)
    }

    fn take_option(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "dbname" | "database" => self.database = value,
            "sslmode" => {
                const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
                if !MODES.contains(&value.as_str()) {
                    return Err(format!("must be one of {}", MODES.join(", ")));
                }
                self.ssl_mode = value;
            }
            "connect_timeout" => {
                let seconds = value.parse().map_err(|_| "must be a whole number of seconds")?;
                self.connect_timeout = Some(Duration::from_secs(seconds));
            }
            "target_session_attrs" => {
                const ROLES: [&str; 6] = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];
                if !ROLES.contains(&value.as_str()) {
                    return Err(format!("must be one of {}", ROLES.join(", ")));
                }
                self.target_session_attributes = value;
            }
            // The server knows the zone by one name only.
            "TimeZone" | "timezone" | "time_zone" => self.others.push(("TimeZone".to_owned(), value)),
            // A secret of its own.
            "sslpassword" => return Err("is not supported; use a key file without a password".to_owned()),
            _ => self.others.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

/// Everything but the password.
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
        write!(f, "{}/{}?sslmode={}", hosts.join(","), self.database, self.ssl_mode)?;
        if let Some(timeout) = self.connect_timeout {
            write!(f, "&connect_timeout={}", timeout.as_secs())?;
        }
        if self.target_session_attributes != "any" {
            write!(f, "&target_session_attrs={}", self.target_session_attributes)?;
        }
        if !self.others.is_empty() {
            write!(f, "&{}", query::show(&self.others))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, password: Option<&str>, shown: &str) {
        let dsn = PostgreSqlDsn::parse(text).unwrap();
        assert_eq!(dsn.password.as_ref().map(Secret::expose), password, "{text}");
        assert_eq!(dsn.to_string(), shown, "{text}");
    }

    #[test]
    fn the_forms_that_deployments_use() {
        check("postgres://u:p@h:5433/d?sslmode=disable", Some("p"), "postgres://u:****@h:5433/d?sslmode=disable");
        check("postgresql://u@h/d", None, "postgres://u@h:5432/d?sslmode=prefer");
        check("postgres://h/d", None, "postgres://h:5432/d?sslmode=prefer");
        check("postgres:///d", None, "postgres://localhost:5432/d?sslmode=prefer");
        check("postgres://u:a%40b%2Fc+d@h/d", Some("a@b/c+d"), "postgres://u:****@h:5432/d?sslmode=prefer");
        check("postgres://u:p@a:1,b,[::1]:3/d", Some("p"), "postgres://u:****@a:1,b:5432,[::1]:3/d?sslmode=prefer");
        check(
            "postgres://u:p@x/d?host=/run/pg&port=6000",
            Some("p"),
            "postgres://u:****@/run/pg:6000/d?sslmode=prefer",
        );
        check(
            "postgres://u:p@h/d?sslmode=verify-full&connect_timeout=7&target_session_attrs=read-write&timezone=UTC&search_path=x",
            Some("p"),
            "postgres://u:****@h:5432/d?sslmode=verify-full&connect_timeout=7&target_session_attrs=read-write&TimeZone=UTC&search_path=x",
        );
        check("postgres://h/?dbname=d&user=u&password=p", Some("p"), "postgres://u:****@h:5432/d?sslmode=prefer");
    }

    #[test]
    fn mistakes_are_named_and_values_are_not() {
        for (text, expected) in [
            ("postgres://u:hunter2@h", "names no database"),
            ("postgres://u:hunter2@h:x/d", "port"),
            ("postgres://u:hunter2@h/d?sslmode=off", "must be one of disable"),
            ("postgres://u:hunter2@h/d?connect_timeout=5s", "whole number of seconds"),
            ("postgres://u:hunter2@h/d?target_session_attrs=master", "must be one of any"),
            ("postgres://u:hunter2@h/d?port=x", "port"),
            ("postgres://u:hunter2%FF@h/d", "not UTF-8"),
            ("postgres://u@h/d?sslpassword=hunter2", "not supported"),
        ] {
            let problem = PostgreSqlDsn::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
