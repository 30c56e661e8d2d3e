//! The rules that names, upstreams, headers and the other values of a group must keep.

use std::collections::{BTreeMap, HashSet};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json, value::RawValue};

use super::Invalid;
use crate::{channel::Channel, settings, upstream::Address};

const NAME_CHARACTERS_MAX: usize = 100;

/// A header rule as it is typed and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeaderRuleText {
    #[serde(default)]
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) action: String,
}

/// Headers of the connection itself: a group that sets one of them would break the framing of its requests.
const CONNECTION_HEADERS: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

pub(super) fn name(text: &str) -> Result<String, Invalid> {
    let name = text.trim();
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if (1..=NAME_CHARACTERS_MAX).contains(&name.len()) && name.bytes().all(is_allowed) {
        Ok(name.to_owned())
    } else {
        Err(Invalid::value("validation.invalid_group_name"))
    }
}

pub(super) fn channel(text: &str) -> Result<Channel, Invalid> {
    Channel::parse(text.trim()).ok_or_else(|| {
        Invalid::value("validation.invalid_channel_type").with("types", Channel::ALL.map(Channel::name).join(", "))
    })
}

pub(super) fn validation_endpoint(text: &str) -> Result<String, Invalid> {
    let endpoint = text.trim();
    if endpoint.is_empty() || (endpoint.starts_with('/') && !endpoint.contains("://")) {
        Ok(endpoint.to_owned())
    } else {
        Err(Invalid::value("validation.invalid_test_path"))
    }
}

/// Other texts: trimmed, and short enough for the columns of every database.
pub(super) fn text(field: &'static str, text: &str, characters_max: usize) -> Result<String, Invalid> {
    let text = text.trim();
    if text.chars().count() <= characters_max {
        Ok(text.to_owned())
    } else {
        Err(Invalid::value("validation.text_too_long").with("field", field).with("max", characters_max))
    }
}

/// The stored form of wanted upstreams. `None`: they were not given at all.
pub(super) fn upstreams(wanted: Option<&RawValue>) -> Result<Box<RawValue>, Invalid> {
    #[derive(Deserialize)]
    struct Wanted {
        #[serde(default)]
        url: Option<String>,
        #[serde(default)]
        weight: Option<Number>,
    }
    #[derive(Serialize)]
    struct Stored<'a> {
        url: &'a str,
        weight: u32,
    }

    let refused = |reason: String| Invalid::value("validation.invalid_upstreams").with("error", reason);
    let wanted = wanted.ok_or_else(|| refused("upstreams field is required".into()))?;
    let wanted: Option<Vec<Wanted>> = serde_json::from_str(wanted.get())
        .map_err(|_| refused("upstreams must be a list of objects with url and weight".into()))?;
    let wanted = wanted.unwrap_or_default();
    if wanted.is_empty() {
        return Err(refused("at least one upstream is required".into()));
    }
    let mut stored = Vec::with_capacity(wanted.len());
    for upstream in &wanted {
        let url = upstream.url.as_deref().unwrap_or_default().trim();
        if url.is_empty() {
            return Err(refused("upstream URL cannot be empty".into()));
        }
        // Only these two beginnings are known; everything else about the URL must hold as well.
        if !(url.starts_with("http://") || url.starts_with("https://")) || Address::parse(url).is_err() {
            return Err(refused(format!("invalid URL format for upstream: {url}")));
        }
        let weight = match &upstream.weight {
            None => 0,
            Some(number) => number
                .as_i64()
                .and_then(|weight| u32::try_from(weight).ok())
                .ok_or_else(|| refused("upstream weight must be a non-negative integer".into()))?,
        };
        stored.push(Stored { url, weight });
    }
    if stored.iter().all(|upstream| upstream.weight == 0) {
        return Err(refused("at least one upstream must have a weight greater than 0".into()));
    }
    serde_json::value::to_raw_value(&stored).map_err(|error| refused(error.to_string()))
}

/// The stored form of overridden settings; `None` stays `None`.
pub(super) fn config(wanted: Option<&RawValue>) -> Result<Option<Box<RawValue>>, Invalid> {
    let refused = |reason: String| Invalid::value("error.invalid_config_format").with("error", reason);
    let Some(wanted) = wanted else { return Ok(None) };
    let wanted: Option<Map<String, Json>> =
        serde_json::from_str(wanted.get()).map_err(|error| refused(error.to_string()))?;
    let Some(wanted) = wanted else { return Ok(None) };
    let stored = settings::check_overrides(&wanted).map_err(refused)?;
    serde_json::value::to_raw_value(&stored).map(Some).map_err(|error| refused(error.to_string()))
}

/// The text of the overrides is kept; only that it is one readable object is checked.
pub(super) fn param_overrides(wanted: Option<&RawValue>) -> Result<Option<Box<RawValue>>, Invalid> {
    let Some(wanted) = wanted else { return Ok(None) };
    match serde_json::from_str::<Option<Map<String, Json>>>(wanted.get()) {
        Ok(Some(_)) => Ok(Some(wanted.to_owned())),
        Ok(None) => Ok(None),
        Err(error) => Err(Invalid::value("validation.invalid_param_overrides").with("error", error)),
    }
}

/// The stored form of header rules: names in canonical form, blank ones dropped.
pub(super) fn header_rules(wanted: &[HeaderRuleText]) -> Result<Box<RawValue>, Invalid> {
    let refused = |reason: String| Invalid::value("error.process_header_rules").with("error", reason);
    let mut seen = HashSet::new();
    let mut stored = Vec::with_capacity(wanted.len());
    for rule in wanted {
        let key = canonical_header(rule.key.trim());
        if key.is_empty() {
            continue;
        }
        if let Err(reason) = check_header(&key, &rule.value, &rule.action) {
            return Err(refused(reason));
        }
        if !seen.insert(key.clone()) {
            return Err(Invalid::value("validation.duplicate_header").with("key", key));
        }
        stored.push(HeaderRuleText { key, ..rule.clone() });
    }
    serde_json::value::to_raw_value(&stored).map_err(|error| refused(error.to_string()))
}

/// What makes a header rule unusable, for saving and for reading alike.
pub(super) fn check_header(key: &str, value: &str, action: &str) -> Result<HeaderName, String> {
    let name: HeaderName = key.parse().map_err(|_| format!("{key:?} is not a header name"))?;
    if CONNECTION_HEADERS.contains(&name.as_str()) {
        return Err(format!("{key} belongs to the connection and cannot be set by a rule"));
    }
    match action {
        "remove" => Ok(name),
        "set" if HeaderValue::from_bytes(value.as_bytes()).is_ok() => Ok(name),
        "set" => Err(format!("the value for {key} holds a control character")),
        _ => Err(format!("the action for {key} must be set or remove")),
    }
}

/// Each part between dashes begins with a capital letter. What is no header name stays as it is.
fn canonical_header(key: &str) -> String {
    if key.parse::<HeaderName>().is_err() {
        return key.to_owned();
    }
    let part = |part: &str| match part.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + &rest.to_ascii_lowercase(),
        None => part.to_owned(),
    };
    key.split('-').map(part).collect::<Vec<_>>().join("-")
}

/// The stored form of model redirects.
pub(super) fn model_redirects(wanted: &BTreeMap<String, String>, is_aggregate: bool) -> Result<Box<RawValue>, Invalid> {
    if is_aggregate && !wanted.is_empty() {
        return Err(Invalid::value("validation.aggregate_no_model_redirect"));
    }
    let refused = |reason: String| Invalid::value("validation.invalid_model_redirect").with("error", reason);
    if wanted.iter().any(|(source, target)| source.trim().is_empty() || target.trim().is_empty()) {
        return Err(refused("model names must not be blank".into()));
    }
    serde_json::value::to_raw_value(wanted).map_err(|error| refused(error.to_string()))
}
