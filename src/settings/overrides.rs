//! What a group sets differently: checked when it is saved, read leniently when it is used.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{
    GroupSettings, Setting, Value, overridable,
    table::{Field, Scope},
};

/// A setting of a group as it is in effect, and why.
pub(crate) struct Effective {
    pub(crate) setting: &'static Setting,
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// What the group would inherit.
    pub(crate) system_value: Value,
    /// What is wrong with the group's own value.
    pub(crate) problem: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Group,
    /// The settings of the installation, where they are not the default.
    System,
    Default,
}

/// The overrides as they are to be stored: without `null`s, whole numbers in plain form.
///
/// # Errors
/// The text for the caller.
pub(crate) fn check_overrides(wanted: &Map<String, Json>) -> Result<Map<String, Json>, String> {
    let overridable = |key: &str| Setting::find(key).filter(|setting| setting.may_be_overridden());
    if let Some(unknown) = wanted.keys().find(|key| overridable(key).is_none()) {
        return Err(format!("unknown config field: '{unknown}'"));
    }
    wanted
        .iter()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(key, value)| Some((key, value, overridable(key)?)))
        .map(|(key, value, setting)| Ok((key.clone(), setting.parse_json(value)?.to_json())))
        .collect()
}

impl GroupSettings {
    /// The effective settings of a group, and what is wrong with its overrides. One that cannot be used is left out
    /// alone, and the value of the installation stays in effect.
    pub(crate) fn overridden_by(&self, overrides: &Map<String, Json>) -> (Self, Vec<String>) {
        let mut effective = self.clone();
        let mut problems = Vec::new();
        for (key, value) in overrides.iter().filter(|(_, value)| !value.is_null()) {
            // Of a later version, perhaps: not worth a word at each reload.
            let Some(setting) = Setting::find(key) else { continue };
            let Scope::GroupMayOverride(field) = &setting.scope else { continue };
            problems.extend(apply(&mut effective, setting, field, value).problem);
        }
        (effective, problems)
    }

    /// Each setting that a group may override, in the order of the group form.
    pub(crate) fn explained(&self, overrides: &Map<String, Json>) -> Vec<Effective> {
        let explain = |setting: &'static Setting| {
            let Scope::GroupMayOverride(field) = &setting.scope else { return None };
            let mut effective = self.clone();
            let own = overrides.get(setting.key).filter(|value| !value.is_null());
            let own = own.map(|value| apply(&mut effective, setting, field, value));
            let system_value = field.read(self);
            let source = match &own {
                Some(own) if own.is_used => Source::Group,
                _ if system_value == setting.default() => Source::Default,
                _ => Source::System,
            };
            let problem = own.and_then(|own| own.problem);
            Some(Effective { setting, value: field.read(&effective), source, system_value, problem })
        };
        overridable().filter_map(explain).collect()
    }
}

/// What became of an override.
struct Applied {
    is_used: bool,
    problem: Option<String>,
}

/// Writes an override into `effective`, if it can be used.
fn apply(effective: &mut GroupSettings, setting: &Setting, field: &Field<GroupSettings>, value: &Json) -> Applied {
    let (value, problem) = within_bounds(setting, value);
    let Err(reason) = setting.parse_json(&value).and_then(|value| field.write(effective, &value)) else {
        return Applied { is_used: true, problem };
    };
    let mut is_used = false;
    if let ("proxy_url", Json::String(text)) = (setting.key, &*value) {
        // The table says why it is written all the same.
        let _ = field.write(effective, &Value::Text(text.clone()));
        is_used = true;
    }
    Applied { is_used, problem: Some(reason) }
}

/// A number that the original let through may be above our maximum: like a stored setting it is cut to it, since the
/// inherited value could be far from what is meant.
fn within_bounds<'a>(setting: &Setting, value: &'a Json) -> (Cow<'a, Json>, Option<String>) {
    let above = setting.bounds().map(|(_, maximum)| maximum).filter(|maximum| {
        #[expect(clippy::cast_precision_loss, reason = "maxima are far below 2^53")]
        value.as_f64().is_some_and(|number| number > *maximum as f64)
    });
    match above {
        Some(maximum) => {
            let problem = format!("{} ({value}) is above the maximum, {maximum} is in effect", setting.key);
            (Cow::Owned(Json::from(maximum)), Some(problem))
        }
        None => (Cow::Borrowed(value), None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn object(value: Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn overrides_are_checked_and_stored_in_plain_form() {
        let stored = check_overrides(&object(json!({
            "max_retries": 2.0, "proxy_url": "", "upstream_http2": true, "connect_timeout": null, "request_timeout": 1e3,
        })));
        let expected = json!({"max_retries": 2, "proxy_url": "", "upstream_http2": true, "request_timeout": 1000});
        assert_eq!(Json::Object(stored.unwrap()).to_string(), expected.to_string());
    }

    #[track_caller]
    fn check_refusal(wanted: Json, expected: &str) {
        assert_eq!(check_overrides(&object(wanted)).unwrap_err(), expected);
    }

    #[test]
    fn wrong_overrides_are_refused() {
        check_refusal(json!({"max_retries": "x", "colour": 1}), "unknown config field: 'colour'");
        check_refusal(json!({"app_url": "http://x"}), "unknown config field: 'app_url'");
        check_refusal(json!({"max_retries": 1.5}), "invalid value for max_retries: must be an integer");
        check_refusal(json!({"request_timeout": 0}), "value for request_timeout (0) is below minimum value (1)");
        check_refusal(
            json!({"enable_request_body_logging": 1}),
            "invalid type for enable_request_body_logging: expected a boolean, got float64",
        );
        check_refusal(
            json!({"failover_status_codes": "abc"}),
            r#"invalid value for failover_status_codes ("abc"): invalid status code: "abc""#,
        );
    }

    #[test]
    fn one_bad_override_does_not_take_the_others_along() {
        let inherited = GroupSettings::default();
        let overrides = json!({
            "max_retries": 0, "request_timeout": "soon", "blacklist_threshold": null, "failover_status_codes": "5xx",
            "proxy_url": "socks5://user:secret@proxy:1080", "of_a_later_version": [1],
        });
        let (effective, problems) = inherited.overridden_by(&object(overrides));
        assert_eq!(effective.max_retries, 0);
        assert_eq!(effective.request_timeout, inherited.request_timeout);
        assert_eq!(effective.blacklist_threshold, inherited.blacklist_threshold);
        assert_eq!(effective.failover_status_codes, inherited.failover_status_codes);
        assert_eq!(effective.proxy_url, "socks5://user:secret@proxy:1080");
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn a_number_above_its_maximum_is_cut_to_it() {
        let overrides = json!({"request_timeout": 3_000_000, "max_retries": 1e30, "connect_timeout": 0});
        let (effective, problems) = GroupSettings::default().overridden_by(&object(overrides));
        assert_eq!(effective.request_timeout.as_secs(), 30 * 24 * 60 * 60);
        assert_eq!(effective.max_retries, 1_000);
        assert_eq!(effective.connect_timeout.as_secs(), 15, "below the minimum there is nothing that could be meant");
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn every_value_has_a_source_and_an_unusable_override_its_problem() {
        #[track_caller]
        fn check(explained: &[Effective], key: &str, value: Json, source: Source, problem: Option<&str>) {
            let found = explained.iter().find(|effective| effective.setting.key == key).unwrap();
            assert_eq!((found.value.to_json(), found.source), (value, source));
            assert_eq!(found.problem.is_some(), problem.is_some(), "{:?}", found.problem);
            assert!(found.problem.as_deref().unwrap_or_default().contains(problem.unwrap_or_default()));
        }
        let inherited =
            GroupSettings { max_retries: 7, connect_timeout: Duration::from_secs(5), ..GroupSettings::default() };
        let overrides = json!({
            "max_retries": 3, "connect_timeout": "soon", "request_timeout": 3_000_000, "blacklist_threshold": null,
            "proxy_url": "nonsense", "of_a_later_version": 1,
        });
        let explained = inherited.explained(&object(overrides));
        assert_eq!(explained.len(), 16);
        // The default, but the group says so itself.
        check(&explained, "max_retries", json!(3), Source::Group, None);
        check(&explained, "connect_timeout", json!(5), Source::System, Some("expected a number"));
        check(&explained, "request_timeout", json!(2_592_000), Source::Group, Some("above the maximum"));
        check(&explained, "blacklist_threshold", json!(3), Source::Default, None);
        // It is in effect and makes every attempt fail, rather than going out without a proxy.
        check(&explained, "proxy_url", json!("nonsense"), Source::Group, Some("proxy_url"));
        check(&explained, "upstream_http2", json!(false), Source::Default, None);
    }

    #[test]
    fn an_explicit_empty_text_is_an_override() {
        let inherited = GroupSettings { proxy_url: "http://proxy:8080".into(), ..GroupSettings::default() };
        let (effective, _) = inherited.overridden_by(&object(json!({"proxy_url": "", "failover_status_codes": ""})));
        assert_eq!(effective.proxy_url, "");
        assert!(!effective.failover_status_codes.contains(500));
    }
}
