//! Where `REDIS_DSN` leads, in the terms of this room.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    config::{RedisAddress, RedisDsn, RedisTls},
    crypto::Secret,
};

/// Time to connect, TLS included, where the DSN has no `dial_timeout`.
const DIAL_WITHIN: Duration = Duration::from_secs(3);
/// Time for a command and its answer, where the DSN names none. Together with the
/// heartbeat's interval, it is how long a dead server goes unnoticed.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// No limit of a DSN is taken longer than this.
const LIMIT_MAX: Duration = Duration::from_secs(3600);

pub(super) struct Target {
    pub(super) servers: Servers,
    pub(super) login: Login,
    pub(super) manners: Manners,
}

pub(super) enum Servers {
    /// One of these serves: a single server, or the nodes of a cluster, whose notices reach all of it.
    Any(Vec<Address>),
    /// The one that the sentinels call the master of that name.
    Sentinel { sentinels: Vec<Address>, login: Login, master: String, master_tls: Option<RedisTls> },
}

#[derive(Clone)]
pub(super) enum Address {
    Tcp { host: String, port: u16, tls: Option<RedisTls> },
    Unix { path: PathBuf },
}

#[derive(Clone, Default)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: u32,
}

/// How connections are made and used, and how much was said on all of them.
#[derive(Clone)]
pub(super) struct Manners {
    pub(super) dial_within: Duration,
    pub(super) answer_within: Duration,
    pub(super) client_name: Option<String>,
    commands: Arc<AtomicU64>,
}

impl Manners {
    /// To be called for each command that is sent.
    pub(super) fn count_command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }
}

impl Target {
    pub(super) fn new(dsn: &RedisDsn) -> Self {
        Self {
            servers: Servers::of(&dsn.address),
            login: Login { user: dsn.user.clone(), password: dsn.password.clone(), database: dsn.database },
            manners: Manners {
                dial_within: limit(dsn.dial_timeout, DIAL_WITHIN),
                answer_within: limit(dsn.answer_timeout, ANSWER_WITHIN),
                client_name: dsn.client_name.clone(),
                commands: Arc::default(),
            },
        }
    }
}

/// Zero stands for the default, as it does for the original.
fn limit(wanted: Option<Duration>, default: Duration) -> Duration {
    wanted.filter(|wanted| !wanted.is_zero()).unwrap_or(default).min(LIMIT_MAX)
}

impl Servers {
    fn of(address: &RedisAddress) -> Self {
        let all = |servers: &[(String, u16)], tls: Option<RedisTls>| {
            servers.iter().map(|(host, port)| Address::Tcp { host: host.clone(), port: *port, tls }).collect()
        };
        match address {
            RedisAddress::Tcp { host, port, tls } => {
                Self::Any(vec![Address::Tcp { host: host.clone(), port: *port, tls: *tls }])
            }
            RedisAddress::Unix { path } => Self::Any(vec![Address::Unix { path: path.clone() }]),
            RedisAddress::Cluster { servers, tls } => Self::Any(all(servers, *tls)),
            RedisAddress::Sentinel { sentinels, master, tls, credentials } => Self::Sentinel {
                sentinels: all(sentinels, *tls),
                login: Login {
                    user: credentials.user.clone().unwrap_or_default(),
                    password: credentials.password.clone(),
                    database: 0,
                },
                master: master.clone(),
                master_tls: *tls,
            },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix { path } => path.display().fmt(f),
        }
    }
}
