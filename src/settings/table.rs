//! Every setting on one page: key, type, default, bounds, and who may change it.

use std::time::Duration;

use super::{GroupSettings, Settings, StatusCodes, Value};
use crate::config::proxy_url;

const DAY_SECONDS: u64 = 24 * 60 * 60;
const YEAR_MINUTES: u64 = 366 * 24 * 60;

/// One setting. What the settings page, the validation and the start-up need to know follows from here.
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) category: Category,
    /// Message key of its name; the one of its description ends in `_desc`.
    pub(crate) name_key: &'static str,
    pub(super) scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Basic,
    Request,
    Key,
}

impl Category {
    pub(crate) fn name_key(self) -> &'static str {
        match self {
            Self::Basic => "config.category.basic",
            Self::Request => "config.category.request",
            Self::Key => "config.category.key",
        }
    }
}

pub(super) enum Scope {
    Installation(Field<Settings>),
    GroupMayOverride(Field<GroupSettings>),
}

/// Type, default and bounds of a setting, and where its value lives.
pub(super) enum Field<T> {
    Count {
        default: u64,
        bounds: (u64, u64),
        read: fn(&T) -> u64,
        write: fn(&mut T, u64),
    },
    Switch {
        read: fn(&T) -> bool,
        write: fn(&mut T, bool),
    },
    Text {
        default: &'static str,
        required: bool,
        read: fn(&T) -> &str,
        /// Refuses a text that the setting cannot mean.
        write: fn(&mut T, &str) -> Result<(), String>,
    },
}

/// In the order in which they are shown.
pub(crate) const TABLE: &[Setting] = &[
    Setting {
        key: "app_url",
        category: Category::Basic,
        name_key: "config.app_url",
        scope: Scope::Installation(Field::Text {
            default: "http://localhost:3001",
            required: true,
            read: |settings| &settings.app_url,
            write: |settings, text| replace(&mut settings.app_url, text),
        }),
    },
    Setting {
        key: "proxy_keys",
        category: Category::Basic,
        name_key: "config.proxy_keys",
        scope: Scope::Installation(Field::Text {
            default: "",
            required: true,
            read: |settings| &settings.proxy_keys,
            write: |settings, text| replace(&mut settings.proxy_keys, text),
        }),
    },
    Setting {
        key: "request_log_retention_days",
        category: Category::Basic,
        name_key: "config.log_retention_days",
        scope: Scope::Installation(Field::Count {
            default: 7,
            bounds: (0, 36_500),
            read: |settings| settings.request_log_retention_days.into(),
            write: |settings, days| settings.request_log_retention_days = small(days),
        }),
    },
    Setting {
        key: "request_log_write_interval_minutes",
        category: Category::Basic,
        name_key: "config.log_write_interval",
        scope: Scope::Installation(Field::Count {
            default: 1,
            bounds: (0, 24 * 60),
            read: |settings| settings.request_log_write_interval_minutes.into(),
            write: |settings, minutes| settings.request_log_write_interval_minutes = small(minutes),
        }),
    },
    Setting {
        key: "enable_request_body_logging",
        category: Category::Basic,
        name_key: "config.enable_request_body_logging",
        scope: Scope::GroupMayOverride(Field::Switch {
            read: |group| group.enable_request_body_logging,
            write: |group, on| group.enable_request_body_logging = on,
        }),
    },
    Setting {
        key: "request_timeout",
        category: Category::Request,
        name_key: "config.request_timeout",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 600,
            bounds: (1, 30 * DAY_SECONDS),
            read: |group| group.request_timeout.as_secs(),
            write: |group, seconds| group.request_timeout = Duration::from_secs(seconds),
        }),
    },
    Setting {
        key: "connect_timeout",
        category: Category::Request,
        name_key: "config.connect_timeout",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 15,
            bounds: (1, DAY_SECONDS),
            read: |group| group.connect_timeout.as_secs(),
            write: |group, seconds| group.connect_timeout = Duration::from_secs(seconds),
        }),
    },
    Setting {
        key: "idle_conn_timeout",
        category: Category::Request,
        name_key: "config.idle_conn_timeout",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 120,
            bounds: (1, DAY_SECONDS),
            read: |group| group.idle_conn_timeout.as_secs(),
            write: |group, seconds| group.idle_conn_timeout = Duration::from_secs(seconds),
        }),
    },
    Setting {
        key: "response_header_timeout",
        category: Category::Request,
        name_key: "config.response_header_timeout",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 600,
            bounds: (1, 30 * DAY_SECONDS),
            read: |group| group.response_header_timeout.as_secs(),
            write: |group, seconds| group.response_header_timeout = Duration::from_secs(seconds),
        }),
    },
    Setting {
        key: "max_idle_conns",
        category: Category::Request,
        name_key: "config.max_idle_conns",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 100,
            bounds: (1, 1_000_000),
            read: |group| group.max_idle_conns as u64,
            write: |group, connections| group.max_idle_conns = size(connections),
        }),
    },
    Setting {
        key: "max_idle_conns_per_host",
        category: Category::Request,
        name_key: "config.max_idle_conns_per_host",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 50,
            bounds: (1, 1_000_000),
            read: |group| group.max_idle_conns_per_host as u64,
            write: |group, connections| group.max_idle_conns_per_host = size(connections),
        }),
    },
    Setting {
        key: "proxy_url",
        category: Category::Request,
        name_key: "config.proxy_url",
        scope: Scope::GroupMayOverride(Field::Text {
            default: "",
            required: false,
            read: |group| &group.proxy_url,
            write: |group, text| {
                // A stored one that cannot be used stays, and fails: going out without it could betray where we are.
                replace(&mut group.proxy_url, text.trim())?;
                check_proxy_url(text)
            },
        }),
    },
    Setting {
        key: "stream_idle_timeout",
        category: Category::Request,
        name_key: "config.stream_idle_timeout",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 300,
            bounds: (1, DAY_SECONDS),
            read: |group| group.stream_idle_timeout.as_secs(),
            write: |group, seconds| group.stream_idle_timeout = Duration::from_secs(seconds),
        }),
    },
    Setting {
        key: "upstream_http2",
        category: Category::Request,
        name_key: "config.upstream_http2",
        scope: Scope::GroupMayOverride(Field::Switch {
            read: |group| group.upstream_http2,
            write: |group, on| group.upstream_http2 = on,
        }),
    },
    Setting {
        key: "max_retries",
        category: Category::Key,
        name_key: "config.max_retries",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 3,
            bounds: (0, 1_000),
            read: |group| group.max_retries.into(),
            write: |group, retries| group.max_retries = small(retries),
        }),
    },
    Setting {
        key: "blacklist_threshold",
        category: Category::Key,
        name_key: "config.blacklist_threshold",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 3,
            bounds: (0, 1_000_000),
            read: |group| group.blacklist_threshold.into(),
            write: |group, failures| group.blacklist_threshold = small(failures),
        }),
    },
    Setting {
        key: "failover_status_codes",
        category: Category::Key,
        name_key: "config.failover_status_codes",
        scope: Scope::GroupMayOverride(Field::Text {
            default: "400-403,405-999",
            required: false,
            read: |group| group.failover_status_codes.as_str(),
            write: |group, text| {
                group.failover_status_codes = StatusCodes::parse(text)
                    .map_err(|reason| format!("invalid value for failover_status_codes ({text:?}): {reason}"))?;
                Ok(())
            },
        }),
    },
    Setting {
        key: "key_validation_interval_minutes",
        category: Category::Key,
        name_key: "config.key_validation_interval",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 60,
            bounds: (1, YEAR_MINUTES),
            read: |group| group.key_validation_interval.as_secs() / 60,
            write: |group, minutes| group.key_validation_interval = Duration::from_secs(minutes * 60),
        }),
    },
    Setting {
        key: "key_validation_concurrency",
        category: Category::Key,
        name_key: "config.key_validation_concurrency",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 10,
            bounds: (1, 1_000),
            read: |group| group.key_validation_concurrency as u64,
            write: |group, checks| group.key_validation_concurrency = size(checks),
        }),
    },
    Setting {
        key: "key_validation_timeout_seconds",
        category: Category::Key,
        name_key: "config.key_validation_timeout",
        scope: Scope::GroupMayOverride(Field::Count {
            default: 20,
            bounds: (1, 60 * 60),
            read: |group| group.key_validation_timeout.as_secs(),
            write: |group, seconds| group.key_validation_timeout = Duration::from_secs(seconds),
        }),
    },
];

/// What a group may override, in the order of the group form; ours follow those of the original.
const OVERRIDABLE: &[&str] = &[
    "request_timeout",
    "idle_conn_timeout",
    "connect_timeout",
    "max_idle_conns",
    "max_idle_conns_per_host",
    "response_header_timeout",
    "proxy_url",
    "max_retries",
    "blacklist_threshold",
    "failover_status_codes",
    "key_validation_interval_minutes",
    "key_validation_concurrency",
    "key_validation_timeout_seconds",
    "enable_request_body_logging",
    "stream_idle_timeout",
    "upstream_http2",
];

pub(crate) fn overridable() -> impl Iterator<Item = &'static Setting> {
    OVERRIDABLE.iter().filter_map(|key| Setting::find(key))
}

impl Setting {
    pub(crate) fn find(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.key == key)
    }

    pub(crate) fn description_key(&self) -> String {
        format!("{}_desc", self.name_key)
    }

    /// `int`, `bool` or `string`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.default() {
            Value::Count(_) => "int",
            Value::Switch(_) => "bool",
            Value::Text(_) => "string",
        }
    }

    pub(crate) fn default(&self) -> Value {
        match &self.scope {
            Scope::Installation(field) => field.default(),
            Scope::GroupMayOverride(field) => field.default(),
        }
    }

    /// Smallest and largest number; `None` where the setting is no number.
    pub(crate) fn bounds(&self) -> Option<(u64, u64)> {
        match &self.scope {
            Scope::Installation(field) => field.bounds(),
            Scope::GroupMayOverride(field) => field.bounds(),
        }
    }

    pub(crate) fn is_required(&self) -> bool {
        match &self.scope {
            Scope::Installation(field) => field.is_required(),
            Scope::GroupMayOverride(field) => field.is_required(),
        }
    }

    pub(crate) fn may_be_overridden(&self) -> bool {
        matches!(self.scope, Scope::GroupMayOverride(_))
    }

    /// The value in effect.
    pub(crate) fn current(&self, settings: &Settings) -> Value {
        match &self.scope {
            Scope::Installation(field) => field.read(settings),
            Scope::GroupMayOverride(field) => field.read(&settings.group),
        }
    }

    pub(super) fn write(&self, settings: &mut Settings, value: &Value) -> Result<(), String> {
        match &self.scope {
            Scope::Installation(field) => field.write(settings, value),
            Scope::GroupMayOverride(field) => field.write(&mut settings.group, value),
        }
    }

    pub(super) fn reset(&self, settings: &mut Settings) {
        if let Err(reason) = self.write(settings, &self.default()) {
            // Out of reach: a test writes every default.
            tracing::error!("The default of {} cannot be used: {reason}", self.key);
        }
    }
}

impl<T> Field<T> {
    fn default(&self) -> Value {
        match self {
            Self::Count { default, .. } => Value::Count(*default),
            Self::Switch { .. } => Value::Switch(false),
            Self::Text { default, .. } => Value::Text((*default).to_owned()),
        }
    }

    fn bounds(&self) -> Option<(u64, u64)> {
        match self {
            Self::Count { bounds, .. } => Some(*bounds),
            Self::Switch { .. } | Self::Text { .. } => None,
        }
    }

    fn is_required(&self) -> bool {
        match self {
            Self::Count { .. } => true,
            Self::Switch { .. } => false,
            Self::Text { required, .. } => *required,
        }
    }

    pub(super) fn read(&self, target: &T) -> Value {
        match self {
            Self::Count { read, .. } => Value::Count(read(target)),
            Self::Switch { read, .. } => Value::Switch(read(target)),
            Self::Text { read, .. } => Value::Text(read(target).to_owned()),
        }
    }

    pub(super) fn write(&self, target: &mut T, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Count { write, .. }, Value::Count(number)) => write(target, *number),
            (Self::Switch { write, .. }, Value::Switch(on)) => write(target, *on),
            (Self::Text { write, .. }, Value::Text(text)) => return write(target, text),
            (_, value) => return Err(format!("{value} is of another type")),
        }
        Ok(())
    }
}

fn replace(target: &mut String, text: &str) -> Result<(), String> {
    text.clone_into(target);
    Ok(())
}

/// Bounds keep every number of this kind below the limit of its field.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The URL may carry a password, so no message repeats it.
fn check_proxy_url(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    proxy_url(text).map(drop).map_err(|reason| format!("invalid value for proxy_url: {reason}"))
}
