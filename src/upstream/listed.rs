//! The stored upstreams of a group as an operator sees them, those that cannot be used included.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::{Address, Upstreams};

/// One stored upstream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    /// As it is stored, but for what may be a credential: user information and query.
    pub(crate) url: String,
    /// `None`: what is stored is no weight.
    pub(crate) weight: Option<u32>,
    /// Of the requests that come now, from 0 to 1.
    pub(crate) share: f64,
    /// How long it still rests, because it is down.
    pub(crate) rests_for: Option<Duration>,
    /// How the log shows what went there; `None`: nothing can go there.
    pub(crate) shown_base: Option<String>,
}

/// Reads the stored form; `in_effect` is what serves now.
pub(crate) fn listed(stored: &str, in_effect: Option<&Upstreams>, now: Instant) -> Vec<Listed> {
    let stored: Vec<Json> = serde_json::from_str(stored).unwrap_or_default();
    let mut all: Vec<Listed> = Vec::with_capacity(stored.len());
    for (position, entry) in stored.iter().enumerate() {
        let url = entry["url"].as_str().unwrap_or_default();
        let weight = match &entry["weight"] {
            Json::Null => Some(0),
            weight => weight.as_i64().and_then(|weight| u32::try_from(weight).ok()),
        };
        all.push(Listed {
            url: without_credentials(url),
            weight,
            share: 0.0,
            rests_for: in_effect.and_then(|upstreams| upstreams.rest_of(position, now)),
            shown_base: Address::parse(url).ok().map(|address| address.shown_base()),
        });
    }
    let weighs = |one: &Listed| if one.shown_base.is_some() { one.weight.unwrap_or(0) } else { 0 };
    // A rest never leaves a group without upstream: where all of them rest, all are tried.
    let is_any_awake = all.iter().any(|one| weighs(one) > 0 && one.rests_for.is_none());
    let serves = |one: &Listed| !is_any_awake || one.rests_for.is_none();
    let total: f64 = all.iter().filter(|one| serves(one)).map(|one| f64::from(weighs(one))).sum();
    for one in &mut all {
        if total > 0.0 && serves(one) {
            one.share = f64::from(weighs(one)) / total;
        }
    }
    all
}

fn without_credentials(url: &str) -> String {
    let shown = url.trim().split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = shown.split_once("://").map_or(("", shown), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let separator = if scheme.is_empty() { "" } else { "://" };
    [scheme, separator, host, path].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = r#"[
        {"url": "https://me:secret@a.example.com/v1?api-key=secret", "weight": 3},
        {"url": "https://b.example.com", "weight": 1}, {"url": "https://off.example.com"},
        {"url": "me:secret@nowhere", "weight": 6}, {"url": "https://c.example.com", "weight": "x"}
    ]"#;

    fn shares(all: &[Listed]) -> Vec<f64> {
        all.iter().map(|one| one.share).collect()
    }

    #[test]
    fn an_upstream_shows_its_share_and_no_credential() {
        let now = Instant::now();
        let upstreams = Upstreams::parse(STORED).unwrap().0;
        let all = listed(STORED, Some(&upstreams), now);
        let urls: Vec<_> = all.iter().map(|one| &*one.url).collect();
        let hosts = ["https://a.example.com/v1", "https://b.example.com", "https://off.example.com", "nowhere"];
        assert_eq!(urls[..4], hosts);
        assert_eq!(all.iter().map(|one| one.weight).collect::<Vec<_>>(), [Some(3), Some(1), Some(0), Some(6), None]);
        assert_eq!(shares(&all), [0.75, 0.25, 0.0, 0.0, 0.0]);
        assert_eq!(all[0].shown_base.as_deref(), Some("https://a.example.com/v1"));
        assert!(!format!("{all:?}").contains("secret"));
    }

    #[test]
    fn the_shares_of_those_that_rest_go_to_the_others() {
        let now = Instant::now();
        let upstreams = Upstreams::parse(STORED).unwrap().0;
        upstreams.failed(0, now);
        let all = listed(STORED, Some(&upstreams), now);
        assert_eq!(shares(&all), [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert!(all[0].rests_for.is_some() && all[1].rests_for.is_none());
        upstreams.failed(1, now);
        assert_eq!(shares(&listed(STORED, Some(&upstreams), now)), [0.75, 0.25, 0.0, 0.0, 0.0]);
        assert_eq!(listed("{}", None, now), []);
    }
}
