//! `REDIS_DSN`: one Redis server, by TCP, TLS or Unix socket.

use std::{fmt, time::Duration};

use super::query;
use crate::crypto::Secret;

const DEFAULT_PORT: u16 = 6379;

#[derive(Debug)]
pub(crate) struct RedisDsn {
    address: Address,
    user: String,
    password: Option<Secret>,
    database: u32,
    dial_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    client_name: Option<String>,
}

#[derive(Debug)]
enum Address {
    Tcp { host: String, port: u16, tls: Option<Tls> },
    Unix { path: String },
}

#[derive(Debug)]
struct Tls {
    skip_verify: bool,
}

impl RedisDsn {
    /// Reads a connection string. The error repeats nothing of it that could be a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_form(text).map_err(|problem| {
            format!("{problem}; the form is redis://user:password@host:6379/0, rediss:// for TLS, or unix://user:password@/path/to/socket?db=0")
        })
    }

    fn parse_form(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("names no scheme")?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (credentials, place) = match scheme {
            // A socket's path may contain an @ as well.
            "unix" if rest.starts_with('/') => ("", rest),
            "unix" => rest.split_once('@').unwrap_or(("", rest)),
            _ => rest.rsplit_once('@').unwrap_or(("", rest)),
        };
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let mut database = 0;
        let mut address = match scheme {
            "redis" | "rediss" => {
                let (server, path) = place.split_once('/').unwrap_or((place, ""));
                if !path.is_empty() {
                    database =
                        path.parse().map_err(|_| "has something else than a database number after the server")?;
                }
                let (host, port) = query::host_and_port(server, DEFAULT_PORT)?;
                let host = if host.is_empty() { "localhost".to_owned() } else { host };
                Address::Tcp { host, port, tls: (scheme == "rediss").then_some(Tls { skip_verify: false }) }
            }
            "unix" if place.starts_with('/') => Address::Unix { path: query::decode(place)? },
            "unix" => return Err("names no absolute path of a socket".to_owned()),
            _ => return Err("has an unknown scheme".to_owned()),
        };
        let (mut dial_timeout, mut read_timeout, mut write_timeout, mut client_name) = (None, None, None, None);
        for (name, value) in query::options(options) {
            let taken = match name.as_str() {
                "db" => value.parse().map(|number| database = number).map_err(|_| "must be a whole number".to_owned()),
                "dial_timeout" => time(&value).map(|time| dial_timeout = time),
                "read_timeout" => time(&value).map(|time| read_timeout = time),
                "write_timeout" => time(&value).map(|time| write_timeout = time),
                "client_name" => {
                    client_name = Some(value);
                    Ok(())
                }
                "skip_verify" => query::flag(&value).and_then(|flag| match &mut address {
                    Address::Tcp { tls: Some(tls), .. } => {
                        tls.skip_verify = flag;
                        Ok(())
                    }
                    _ => Err("makes sense with rediss:// only".to_owned()),
                }),
                _ => check_pool_option(&name, &value)?,
            };
            taken.map_err(|problem| format!("has an option {name} that {problem}"))?;
        }
        Ok(Self {
            address,
            user: query::decode(user)?,
            password: Some(query::decode(password)?).filter(|password| !password.is_empty()).map(Secret::new),
            database,
            dial_timeout,
            read_timeout,
            write_timeout,
            client_name,
        })
    }
}

/// A bare number means seconds; what is not above zero means that there is no limit.
fn time(text: &str) -> Result<Option<Duration>, String> {
    match text.parse::<i64>() {
        Ok(seconds) => Ok(super::environment::limit(seconds)),
        Err(_) => query::duration(text).map(Some),
    }
}

/// Options about a pool of connections, which we do not need: one connection carries all commands. Checked all the same,
/// so that a misspelt option is told. An unknown one is not repeated: it may be the rest of a password with a `?` in it.
fn check_pool_option(name: &str, value: &str) -> Result<Result<(), String>, String> {
    Ok(match name {
        "protocol"
        | "max_retries"
        | "pool_size"
        | "min_idle_conns"
        | "max_idle_conns"
        | "max_active_conns"
        | "max_concurrent_dials" => query::count(value).map(drop),
        "min_retry_backoff"
        | "max_retry_backoff"
        | "pool_timeout"
        | "conn_max_idle_time"
        | "idle_timeout"
        | "conn_max_lifetime"
        | "max_conn_age"
        | "conn_max_lifetime_jitter" => time(value).map(drop),
        "pool_fifo" => query::flag(value).map(drop),
        _ => return Err("has an unknown option".to_owned()),
    })
}

/// Everything but the password.
impl fmt::Display for RedisDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = matches!(self.address, Address::Tcp { tls: Some(_), .. });
        f.write_str(match self.address {
            Address::Unix { .. } => "unix://",
            Address::Tcp { .. } if tls => "rediss://",
            Address::Tcp { .. } => "redis://",
        })?;
        f.write_str(&self.user)?;
        if self.password.is_some() {
            f.write_str(":****")?;
        }
        if !self.user.is_empty() || self.password.is_some() {
            f.write_str("@")?;
        }
        match &self.address {
            Address::Unix { path } => write!(f, "{path}?db={}", self.database)?,
            Address::Tcp { host, port, tls } => {
                write!(f, "{}?db={}", query::show_address(host, *port), self.database)?;
                if tls.as_ref().is_some_and(|tls| tls.skip_verify) {
                    f.write_str("&skip_verify=true")?;
                }
            }
        }
        for (name, value) in [
            ("dial_timeout", self.dial_timeout),
            ("read_timeout", self.read_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            if let Some(value) = value {
                write!(f, "&{name}={value:?}")?;
            }
        }
        if let Some(name) = &self.client_name {
            write!(f, "&client_name={name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, password: Option<&str>, shown: &str) {
        let dsn = RedisDsn::parse(text).unwrap();
        assert_eq!(dsn.password.as_ref().map(Secret::expose), password, "{text}");
        assert_eq!(dsn.to_string(), shown, "{text}");
    }

    #[test]
    fn the_forms_that_deployments_use() {
        check("redis://redis:6379/0", None, "redis://redis:6379?db=0");
        check("redis://", None, "redis://localhost:6379?db=0");
        check("redis://:p%40x@h/3", Some("p@x"), "redis://:****@h:6379?db=3");
        check("rediss://u:p@h:1?db=4&skip_verify=true", Some("p"), "rediss://u:****@h:1?db=4&skip_verify=true");
        check("unix://u:p@/run/redis@1.sock?db=2", Some("p"), "unix://u:****@/run/redis@1.sock?db=2");
        check("unix:///run/redis@1.sock", None, "unix:///run/redis@1.sock?db=0");
        check(
            "redis://[::1]/?read_timeout=3&write_timeout=500ms&dial_timeout=-1&pool_size=10&client_name=me&protocol=3",
            None,
            "redis://[::1]:6379?db=0&read_timeout=3s&write_timeout=500ms&client_name=me",
        );
    }

    #[test]
    fn mistakes_are_named_and_values_are_not() {
        for (text, expected) in [
            ("redis:6379", "names no scheme"),
            ("http://u:hunter2@h", "unknown scheme"),
            ("redis://u:hunter2@h/one", "database number"),
            ("redis://u:hunter2@h/-1", "database number"),
            ("redis://u:hunter2@h:x", "port"),
            ("redis://u:hunter2@h?pool=3", "unknown option"),
            ("redis://u:hunter2@h?skip_verify=true", "rediss://"),
            ("redis://u:hunter2@h?read_timeout=soon", "with its unit"),
            ("redis://u:hunter2@h?max_retries=many", "whole number"),
            ("unix://u:hunter2@socket", "absolute path"),
            ("redis://hidden?hunter2", "unknown option"),
        ] {
            let problem = RedisDsn::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(problem.contains("the form is redis://"), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
