//! The headers that a group sets on or removes from outgoing requests.

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::crypto::Secret;

/// A header of the outgoing request that a group sets or removes.
#[derive(Debug, Clone)]
pub(crate) struct HeaderRule {
    pub(crate) name: HeaderName,
    pub(crate) action: HeaderAction,
}

#[derive(Debug, Clone)]
pub(crate) enum HeaderAction {
    Remove,
    /// The value with its `${…}` variables still in it.
    Set(String),
}

/// The filled-in value holds a character that no header may.
#[derive(Debug, thiserror::Error)]
#[error("the header rule for {0} makes an invalid value")]
pub(super) struct InvalidHeaderValue(HeaderName);

/// Applies a group's rules, in their order. They have the last word, also over credentials and `Host`.
///
/// # Errors
/// A value that cannot be a header once its variables are filled in.
pub(super) fn apply_rules(
    headers: &mut HeaderMap,
    rules: &[HeaderRule],
    variables: &Variables<'_>,
) -> Result<(), InvalidHeaderValue> {
    for rule in rules {
        match &rule.action {
            HeaderAction::Remove => {
                headers.remove(&rule.name);
            }
            HeaderAction::Set(template) => {
                let value = HeaderValue::try_from(variables.expand(template))
                    .map_err(|_| InvalidHeaderValue(rule.name.clone()))?;
                headers.insert(&rule.name, value);
            }
        }
    }
    Ok(())
}

/// What `${…}` stands for in a header rule.
pub(super) struct Variables<'a> {
    pub(super) client: IpAddr,
    pub(super) group: &'a str,
    pub(super) key: &'a Secret,
}

impl Variables<'_> {
    /// Fills in the known variables in one pass, so that a value never brings in another variable.
    fn expand(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some(start) = rest.find("${") {
            text.push_str(&rest[..start]);
            let Some(end) = rest[start..].find('}') else {
                rest = &rest[start..];
                break;
            };
            let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            match &rest[start + 2..start + end] {
                "CLIENT_IP" => text.push_str(&self.client.to_string()),
                "GROUP_NAME" => text.push_str(self.group),
                "API_KEY" => text.push_str(self.key.expose()),
                "TIMESTAMP_MS" => text.push_str(&since_epoch().as_millis().to_string()),
                "TIMESTAMP_S" => text.push_str(&since_epoch().as_secs().to_string()),
                _ => text.push_str(&rest[start..=start + end]),
            }
            rest = &rest[start + end + 1..];
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_once_and_unknown_ones_stay() {
        let key = Secret::new("sk-${GROUP_NAME}");
        let variables = Variables { client: "203.0.113.9".parse().unwrap(), group: "team-a", key: &key };
        let check = |template: &str, expected: &str| assert_eq!(variables.expand(template), expected);
        check("${GROUP_NAME}/${CLIENT_IP}/${FOO}", "team-a/203.0.113.9/${FOO}");
        check("Bearer ${API_KEY}", "Bearer sk-${GROUP_NAME}");
        check("open ${GROUP_NAME", "open ${GROUP_NAME");
        check("", "");
    }
}
