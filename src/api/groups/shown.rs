//! How a group is shown: as the console edits it, and as the whole record that lists of names and members hold.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    api::{
        answer::{self, NEVER},
        document,
    },
    db::Timestamp,
    group::{GroupId, Record},
};

/// A group with the address that clients use.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub(in crate::api) struct Shown<'a> {
    id: GroupId,
    name: &'a str,
    /// Where clients reach the group; empty if the service address is none.
    endpoint: String,
    display_name: &'a str,
    description: &'a str,
    /// `standard` or `aggregate`.
    group_type: &'a str,
    #[schema(value_type = Vec<Upstream>, required)]
    upstreams: &'a RawValue,
    channel_type: &'a str,
    sort: i64,
    test_model: &'a str,
    validation_endpoint: &'a str,
    #[schema(value_type = Option<Object>, required)]
    param_overrides: Option<&'a RawValue>,
    #[schema(value_type = Option<HashMap<String, String>>, required)]
    model_redirect_rules: Option<&'a RawValue>,
    model_redirect_strict: bool,
    #[schema(value_type = Option<Object>, required)]
    config: Option<&'a RawValue>,
    #[schema(value_type = Option<Vec<HeaderRule>>, required)]
    header_rules: Option<&'a RawValue>,
    proxy_keys: &'a str,
    #[schema(required)]
    last_validated_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    #[schema(value_type = String, format = DateTime)]
    updated_at: String,
}

impl document::Shown for Shown<'_> {}

impl<'a> Shown<'a> {
    pub(super) fn of(group: &'a Record, app_url: &str) -> Self {
        Self {
            id: group.id,
            name: &group.name,
            endpoint: endpoint(app_url, &group.name),
            display_name: &group.display_name,
            description: &group.description,
            group_type: group.group_type.name(),
            upstreams: &group.upstreams,
            channel_type: &group.channel_type,
            sort: group.sort,
            test_model: &group.test_model,
            validation_endpoint: &group.validation_endpoint,
            param_overrides: group.param_overrides.as_deref(),
            model_redirect_rules: group.model_redirect_rules.as_deref(),
            model_redirect_strict: group.model_redirect_strict,
            config: group.config.as_deref(),
            header_rules: group.header_rules.as_deref(),
            proxy_keys: &group.proxy_keys,
            last_validated_at: group.last_validated_at,
            created_at: answer::time(group.created_at),
            updated_at: answer::time(group.updated_at),
        }
    }
}

/// The service address with the group's path; empty if that address is none.
fn endpoint(app_url: &str, name: &str) -> String {
    let Ok(mut url) = url::Url::parse(app_url) else { return String::new() };
    if url.cannot_be_a_base() {
        return String::new();
    }
    let path = format!("{}/proxy/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.into()
}

/// What applies to a group, in a record where it is not worked out: every member has its zero value.
#[derive(Default, Serialize, ToSchema)]
struct NoSettings {
    app_url: &'static str,
    proxy_keys: &'static str,
    request_log_retention_days: u8,
    request_log_write_interval_minutes: u8,
    enable_request_body_logging: bool,
    request_timeout: u8,
    connect_timeout: u8,
    idle_conn_timeout: u8,
    response_header_timeout: u8,
    max_idle_conns: u8,
    max_idle_conns_per_host: u8,
    proxy_url: &'static str,
    max_retries: u8,
    blacklist_threshold: u8,
    failover_status_codes: &'static str,
    key_validation_interval_minutes: u8,
    key_validation_concurrency: u8,
    key_validation_timeout_seconds: u8,
}

/// The whole record of a group, with members that are never filled in but that its readers expect.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupRecord)]
pub(in crate::api) struct Raw<'a> {
    id: GroupId,
    effective_config: NoSettings,
    name: &'a str,
    endpoint: &'static str,
    display_name: &'a str,
    proxy_keys: &'a str,
    description: &'a str,
    /// `standard` or `aggregate`.
    group_type: &'a str,
    #[schema(value_type = Option<Vec<Upstream>>, required)]
    upstreams: Option<&'a RawValue>,
    validation_endpoint: &'a str,
    channel_type: &'a str,
    sort: i64,
    test_model: &'a str,
    #[schema(value_type = Option<Object>, required)]
    param_overrides: Option<&'a RawValue>,
    #[schema(value_type = Option<Object>, required)]
    config: Option<&'a RawValue>,
    #[schema(value_type = Option<Vec<HeaderRule>>, required)]
    header_rules: Option<&'a RawValue>,
    #[schema(value_type = Option<HashMap<String, String>>, required)]
    model_redirect_rules: Option<&'a RawValue>,
    model_redirect_strict: bool,
    /// Always null.
    #[schema(value_type = Option<Object>, required)]
    api_keys: Option<()>,
    #[schema(required)]
    last_validated_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Cow<'a, str>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Cow<'a, str>,
}

impl document::Shown for Raw<'_> {}

impl<'a> Raw<'a> {
    pub(super) fn of(group: &'a Record) -> Self {
        Self {
            proxy_keys: &group.proxy_keys,
            description: &group.description,
            group_type: group.group_type.name(),
            upstreams: Some(&group.upstreams),
            validation_endpoint: &group.validation_endpoint,
            channel_type: &group.channel_type,
            sort: group.sort,
            test_model: &group.test_model,
            param_overrides: group.param_overrides.as_deref(),
            config: group.config.as_deref(),
            header_rules: group.header_rules.as_deref(),
            model_redirect_rules: group.model_redirect_rules.as_deref(),
            model_redirect_strict: group.model_redirect_strict,
            last_validated_at: group.last_validated_at,
            created_at: answer::time(group.created_at).into(),
            updated_at: answer::time(group.updated_at).into(),
            ..Self::with_names_only(group)
        }
    }

    pub(super) fn with_names_only(group: &'a Record) -> Self {
        Self {
            id: group.id,
            effective_config: NoSettings::default(),
            name: &group.name,
            endpoint: "",
            display_name: &group.display_name,
            proxy_keys: "",
            description: "",
            group_type: "",
            upstreams: None,
            validation_endpoint: "",
            channel_type: "",
            sort: 0,
            test_model: "",
            param_overrides: None,
            config: None,
            header_rules: None,
            model_redirect_rules: None,
            model_redirect_strict: false,
            api_keys: None,
            last_validated_at: None,
            created_at: NEVER.into(),
            updated_at: NEVER.into(),
        }
    }
}

// Stored JSON is shown as it was written; these say what is in it.

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes stored JSON, which is shown without being read")]
struct Upstream {
    /// The base address.
    url: String,
    /// Its share of requests; 0 rests it.
    weight: u64,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes stored JSON, which is shown without being read")]
struct HeaderRule {
    key: String,
    value: String,
    /// `set` or `remove`.
    action: String,
}
