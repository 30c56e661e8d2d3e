//! `REDIS_DSN`: one Redis server by TCP, TLS or Unix socket, the servers of a Cluster, or those that Sentinels watch.

use std::{fmt, path::PathBuf, time::Duration};

use super::query;
use crate::crypto::Secret;

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;
const FORMS: &str = "the form is redis://user:password@host:6379/0, rediss:// for TLS, \
    unix://user:password@/path/to/socket?db=0, redis-sentinel://user:password@host:26379,host:26379/name-of-the-master/0, \
    or redis-cluster://user:password@host:6379,host:6379";

/// How to reach Redis. `Debug` and `Display` never show a password.
#[derive(Clone)]
pub(crate) struct RedisDsn {
    pub(crate) address: RedisAddress,
    /// Empty: Redis's own default user.
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    /// Always 0 of a Cluster, which has no other.
    pub(crate) database: u32,
    /// How long a connection may take to be made.
    pub(crate) dial_timeout: Option<Duration>,
    /// How long an answer may take: the longer one of `read_timeout` and `write_timeout`.
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) client_name: Option<String>,
}

/// Hosts and ports, IPv6 addresses without brackets. Lists are never empty.
#[derive(Debug, Clone)]
pub(crate) enum RedisAddress {
    Tcp { host: String, port: u16, tls: Option<RedisTls> },
    Unix { path: PathBuf },
    Sentinel { sentinels: Vec<(String, u16)>, master: String, tls: Option<RedisTls>, credentials: SentinelCredentials },
    Cluster { servers: Vec<(String, u16)>, tls: Option<RedisTls> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RedisTls {
    /// Encrypted, whoever answers.
    pub(crate) skip_verify: bool,
}

/// For the Sentinels themselves, which have users and passwords of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct SentinelCredentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl RedisDsn {
    /// Reads a connection string.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the variable's name; repeats nothing that could be a
    /// password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_form(text).map_err(|problem| format!("{problem}; {FORMS}"))
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
        let (address, database) = address(scheme, place)?;
        let mut dsn = Self {
            address,
            user: query::decode(user)?,
            password: Some(query::decode(password)?).filter(|password| !password.is_empty()).map(Secret::new),
            database: if database.is_empty() { 0 } else { number(database)? },
            dial_timeout: None,
            answer_timeout: None,
            client_name: None,
        };
        for (name, value) in query::options(options) {
            dsn.take_option(&name, value)?.map_err(|problem| format!("has an option {name} that {problem}"))?;
        }
        if matches!(dsn.address, RedisAddress::Cluster { .. }) && dsn.database != 0 {
            return Err("names a database of a Cluster, which has only 0; leave it out".to_owned());
        }
        Ok(dsn)
    }

    /// The outer error is an unknown option. It is not repeated: it may be the rest of a password with a `?` in it.
    fn take_option(&mut self, name: &str, value: String) -> Result<Result<(), String>, String> {
        Ok(match name {
            "db" => value.parse().map(|number| self.database = number).map_err(|_| "must be a whole number".to_owned()),
            "dial_timeout" => time(&value).map(|time| self.dial_timeout = time),
            "read_timeout" | "write_timeout" => {
                time(&value).map(|time| self.answer_timeout = self.answer_timeout.max(time))
            }
            "client_name" => {
                self.client_name = Some(value);
                Ok(())
            }
            "skip_verify" => query::flag(&value).and_then(|flag| self.skip_verify(flag)),
            "sentinel_user" | "sentinel_password" => match &mut self.address {
                RedisAddress::Sentinel { credentials, .. } => {
                    match name {
                        "sentinel_user" => credentials.user = Some(value),
                        _ => credentials.password = Some(Secret::new(value)),
                    }
                    Ok(())
                }
                _ => Err("makes sense with redis-sentinel:// only".to_owned()),
            },
            _ => check_pool_option(name, &value)?,
        })
    }

    fn skip_verify(&mut self, flag: bool) -> Result<(), String> {
        match &mut self.address {
            RedisAddress::Tcp { tls: Some(tls), .. }
            | RedisAddress::Sentinel { tls: Some(tls), .. }
            | RedisAddress::Cluster { tls: Some(tls), .. } => {
                tls.skip_verify = flag;
                Ok(())
            }
            _ => Err("makes sense with rediss:// only".to_owned()),
        }
    }
}

/// What stands between the credentials and the options, and the number of the database that it may end with.
fn address<'a>(scheme: &str, place: &'a str) -> Result<(RedisAddress, &'a str), String> {
    let tls = scheme.starts_with("rediss").then_some(RedisTls { skip_verify: false });
    let (servers, path) = place.split_once('/').unwrap_or((place, ""));
    Ok(match scheme {
        "redis" | "rediss" if servers.contains(',') => {
            return Err("names several servers; write redis-cluster:// or redis-sentinel:// for that".to_owned());
        }
        "redis" | "rediss" => {
            let (host, port) = server(servers, DEFAULT_PORT)?;
            (RedisAddress::Tcp { host, port, tls }, path)
        }
        "unix" if place.starts_with('/') => (RedisAddress::Unix { path: query::decode(place)?.into() }, ""),
        "unix" => return Err("names no absolute path of a socket".to_owned()),
        "redis-cluster" | "rediss-cluster" => {
            let servers = servers.split(',').map(|text| server(text, DEFAULT_PORT)).collect::<Result<_, _>>()?;
            (RedisAddress::Cluster { servers, tls }, path)
        }
        "redis-sentinel" | "rediss-sentinel" => {
            let sentinels = servers.split(',').map(|text| server(text, DEFAULT_SENTINEL_PORT));
            let sentinels = sentinels.collect::<Result<_, _>>()?;
            let (master, database) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err("names no master behind its Sentinels".to_owned());
            }
            let credentials = SentinelCredentials::default();
            (RedisAddress::Sentinel { sentinels, master: query::decode(master)?, tls, credentials }, database)
        }
        _ => return Err("has an unknown scheme".to_owned()),
    })
}

fn server(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = query::host_and_port(text, default_port)?;
    Ok((if host.is_empty() { "localhost".to_owned() } else { host }, port))
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "has something else than a database number after the server".to_owned())
}

/// A bare number means seconds; what is not above zero means that there is no limit.
fn time(text: &str) -> Result<Option<Duration>, String> {
    match text.parse::<i64>() {
        Ok(seconds) => Ok(super::environment::limit(seconds)),
        Err(_) => query::duration(text).map(Some),
    }
}

/// Options about a pool of connections, which we do not need: one connection carries all commands. Checked all the same,
/// so that a misspelt option is told.
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

/// Everything but the passwords.
impl fmt::Display for RedisDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, tls, places) = match &self.address {
            RedisAddress::Unix { path } => ("", None, path.display().to_string()),
            RedisAddress::Tcp { host, port, tls } => ("", *tls, query::show_address(host, *port)),
            RedisAddress::Sentinel { sentinels, master, tls, .. } => {
                ("-sentinel", *tls, format!("{}/{master}", shown(sentinels)))
            }
            RedisAddress::Cluster { servers, tls } => ("-cluster", *tls, shown(servers)),
        };
        let scheme = match (&self.address, tls) {
            (RedisAddress::Unix { .. }, _) => "unix",
            (_, Some(_)) => "rediss",
            (_, None) => "redis",
        };
        let password = if self.password.is_some() { ":****" } else { "" };
        let at = if self.user.is_empty() && self.password.is_none() { "" } else { "@" };
        write!(f, "{scheme}{kind}://{}{password}{at}{places}?db={}", self.user, self.database)?;
        if tls.is_some_and(|tls| tls.skip_verify) {
            f.write_str("&skip_verify=true")?;
        }
        for (name, value) in [("dial_timeout", self.dial_timeout), ("read_timeout", self.answer_timeout)] {
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

impl fmt::Debug for RedisDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn shown(servers: &[(String, u16)]) -> String {
    servers.iter().map(|(host, port)| query::show_address(host, *port)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, password: Option<&str>, shown: &str) -> RedisDsn {
        let dsn = RedisDsn::parse(text).unwrap();
        assert_eq!(dsn.password.as_ref().map(Secret::expose), password, "{text}");
        assert_eq!(dsn.to_string(), shown, "{text}");
        assert_eq!(format!("{dsn:?}"), shown, "{text}");
        dsn
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
            "redis://[::1]:6379?db=0&read_timeout=3s&client_name=me",
        );
    }

    #[test]
    fn sentinels_and_clusters() {
        let dsn = check(
            "redis-sentinel://u:p@a,b:1,[::1]/mymaster/2?sentinel_user=s&sentinel_password=hunter2",
            Some("p"),
            "redis-sentinel://u:****@a:26379,b:1,[::1]:26379/mymaster?db=2",
        );
        let RedisAddress::Sentinel { credentials, .. } = dsn.address else { panic!("no Sentinels") };
        assert_eq!(credentials.user.as_deref(), Some("s"));
        assert_eq!(credentials.password.unwrap().expose(), "hunter2");
        check(
            "rediss-sentinel://a/my%20master?skip_verify=true",
            None,
            "rediss-sentinel://a:26379/my master?db=0&skip_verify=true",
        );
        check("redis-cluster://:p@a,b:7000", Some("p"), "redis-cluster://:****@a:6379,b:7000?db=0");
        check("rediss-cluster://a/0", None, "rediss-cluster://a:6379?db=0");
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
            ("redis://u:hunter2@a,b", "names several servers"),
            ("redis-sentinel://u:hunter2@a,b", "names no master"),
            ("redis-sentinel://u:hunter2@a/m/x", "database number"),
            ("redis://u@a?sentinel_password=hunter2", "redis-sentinel:// only"),
            ("redis-cluster://u:hunter2@a,b/3", "has only 0"),
            ("redis-cluster://u:hunter2@a?db=1", "has only 0"),
        ] {
            let problem = RedisDsn::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(problem.contains("the form is redis://"), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
