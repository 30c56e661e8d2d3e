//! How a channel carries the upstream's key.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};

use super::{Channel, path};
use crate::crypto::Secret;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const DEFAULT_ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

impl Channel {
    /// Puts the key where this channel expects it. `path` is the upstream's, base path included. Fails on a key with
    /// characters that no header can carry.
    pub(crate) fn sign(self, path: &str, headers: &mut HeaderMap, key: &Secret) -> Result<(), InvalidHeaderValue> {
        match self {
            Self::OpenAi | Self::OpenAiResponse => bearer(headers, key),
            Self::Gemini if path::is_openai_dialect_of_gemini(path) => bearer(headers, key),
            // The query would do as well, but what is in a URL ends up in logs and error texts.
            Self::Gemini => insert(headers, X_GOOG_API_KEY, key.expose()),
            Self::Anthropic => {
                headers.entry(ANTHROPIC_VERSION).or_insert(DEFAULT_ANTHROPIC_VERSION);
                insert(headers, X_API_KEY, key.expose())
            }
        }
    }

    /// A query without what this channel's upstreams would take for a credential beside ours: they would judge by the
    /// client's, and we would blame the key. Everything else keeps its bytes.
    pub(crate) fn without_credentials(self, query: &str) -> Cow<'_, str> {
        let is_credential = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            matches!(&*path::decoded(name), "key" | "access_token" | "oauth_token")
        };
        if self != Self::Gemini || !query.split('&').any(|pair| is_credential(&pair)) {
            return query.into();
        }
        query.split('&').filter(|pair| !is_credential(pair)).collect::<Vec<_>>().join("&").into()
    }
}

/// Whether a key can stand in a header at all: one with a line break in it, or another control character, cannot.
pub(crate) fn is_sendable(key: &str) -> bool {
    HeaderValue::from_str(key).is_ok()
}

fn bearer(headers: &mut HeaderMap, key: &Secret) -> Result<(), InvalidHeaderValue> {
    insert(headers, AUTHORIZATION, &format!("Bearer {}", key.expose()))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: Channel, path: &str, expected: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        channel.sign(path, &mut headers, &Secret::new("sk-1")).unwrap();
        let signed: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(signed, expected, "{channel:?} {path}");
    }

    #[test]
    fn each_channel_carries_the_key_in_its_own_header() {
        check(Channel::OpenAi, "/v1/chat/completions", &[("authorization", "Bearer sk-1")]);
        check(Channel::OpenAiResponse, "/v1/responses", &[("authorization", "Bearer sk-1")]);
        check(Channel::Gemini, "/v1beta/models/a:generateContent", &[("x-goog-api-key", "sk-1")]);
        check(Channel::Gemini, "/base/v1beta/openai/chat/completions", &[("authorization", "Bearer sk-1")]);
        check(Channel::Anthropic, "/v1/messages", &[("anthropic-version", "2023-06-01"), ("x-api-key", "sk-1")]);
    }

    #[test]
    fn a_second_credential_leaves_the_query() {
        let check = |channel: Channel, query: &str, expected: &str| {
            assert_eq!(channel.without_credentials(query), expected, "{channel:?} {query}");
        };
        check(Channel::Gemini, "alt=sse&key=AIza&a=%2F+x", "alt=sse&a=%2F+x");
        check(Channel::Gemini, "%6Bey=AIza&access_token", "");
        check(Channel::Gemini, "keys=1&my_key=2&&x", "keys=1&my_key=2&&x");
        check(Channel::OpenAi, "key=1", "key=1");
    }

    #[test]
    fn the_client_chooses_the_version_of_the_api() {
        let mut headers = HeaderMap::from_iter([(ANTHROPIC_VERSION, HeaderValue::from_static("2099-01-01"))]);
        Channel::Anthropic.sign("/v1/messages", &mut headers, &Secret::new("sk-1")).unwrap();
        assert_eq!(headers[ANTHROPIC_VERSION], "2099-01-01");
    }

    #[test]
    fn a_key_does_not_print_and_must_fit_a_header() {
        let mut headers = HeaderMap::new();
        Channel::OpenAi.sign("/", &mut headers, &Secret::new("sk-1")).unwrap();
        assert!(!format!("{headers:?}").contains("sk-1"));
        for (key, expected) in [("sk-1", true), ("sk 1", true), ("sk\n1", false), ("sk\u{7f}1", false), ("密钥", true)]
        {
            assert_eq!(Channel::OpenAi.sign("/", &mut headers, &Secret::new(key)).is_ok(), expected, "{key:?}");
            assert_eq!(is_sendable(key), expected, "{key:?}");
        }
    }
}
