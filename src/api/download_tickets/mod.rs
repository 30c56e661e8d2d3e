//! Tickets for downloads: a link that a browser follows has no headers, and a key does not belong into a URL. A ticket
//! opens one download for a minute, on every node, without anything being stored.

mod create;

use chrono::{DateTime, Utc};
use http::{Method, Uri};

use super::Api;
use crate::crypto::{Seal, Secret};

pub(super) use self::create::create;

/// Where a ticket can lead to.
pub(super) const DOWNLOADS: [&str; 3] = ["/api/keys/export", "/api/logs/export", "/api/logs/entries/export"];
const LIFETIME_SECONDS: i64 = 60;
/// The query parameter that carries a ticket.
pub(super) const PARAMETER: &str = "ticket";
const PATH_BYTES_MAX: usize = 8 * 1024;

/// Makes and checks tickets: the time at which one expires, a dot, and a seal on that time and on what it opens.
pub(super) struct Tickets(Seal);

/// Path and query of a download, as a browser will send them.
#[derive(Debug, PartialEq, Eq)]
struct Target(String);

impl Target {
    /// `None`: it is no download.
    fn parse(text: &str) -> Option<Self> {
        if text.len() > PATH_BYTES_MAX || !text.starts_with('/') {
            return None;
        }
        // What browsers would encode is encoded before it is sealed.
        let url = url::Url::parse("http://localhost").and_then(|base| base.join(text)).ok()?;
        let has_credential = url.query_pairs().any(|(name, _)| name == "key" || name == PARAMETER);
        if !DOWNLOADS.contains(&url.path()) || url.fragment().is_some() || has_credential {
            return None;
        }
        Some(Self(match url.query() {
            None | Some("") => url.path().to_owned(),
            Some(query) => format!("{}?{query}", url.path()),
        }))
    }

    fn with_ticket(&self, ticket: &str) -> String {
        let separator = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{separator}{PARAMETER}={ticket}", self.0)
    }
}

impl Tickets {
    pub(super) fn new(auth_key: &Secret) -> Self {
        Self(Seal::new(auth_key, "gpt-load download ticket v1"))
    }

    fn issue(&self, target: &Target, now: DateTime<Utc>) -> String {
        let expires_at = now.timestamp() + LIFETIME_SECONDS;
        format!("{expires_at}.{}", self.0.on(&sealed(expires_at, &target.0)))
    }

    /// Whether a request carries a ticket for what it asks for.
    pub(super) fn open(&self, method: &Method, uri: &Uri, now: DateTime<Utc>) -> bool {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return false;
        }
        let Some((target, ticket)) = without_ticket(uri) else { return false };
        let Some((expires_at, seal)) = ticket.split_once('.') else { return false };
        let Ok(expires_at) = expires_at.parse::<i64>() else { return false };
        self.0.is_on(&sealed(expires_at, &target), seal) && now.timestamp() < expires_at
    }
}

fn sealed(expires_at: i64, target: &str) -> String {
    format!("{expires_at} {target}")
}

/// The target as it was sealed, and the ticket for it.
fn without_ticket(uri: &Uri) -> Option<(String, &str)> {
    let query = uri.query()?;
    let (before, ticket) = query.rsplit_once('&').unwrap_or(("", query));
    let ticket = ticket.strip_prefix(PARAMETER)?.strip_prefix('=')?;
    let target = if before.is_empty() { uri.path().to_owned() } else { format!("{}?{before}", uri.path()) };
    Some((target, ticket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_downloads_get_tickets_and_their_urls_are_as_browsers_send_them() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(Target::parse(text), expected.map(|target| Target(target.to_owned())), "{text}");
        }
        check("/api/keys/export?group_id=1", Some("/api/keys/export?group_id=1"));
        check("/api/logs/export", Some("/api/logs/export"));
        check("/api/logs/export?", Some("/api/logs/export"));
        check("/api/logs/export?model=a b中", Some("/api/logs/export?model=a%20b%E4%B8%AD"));
        check("/api/logs/export?key_value=sk-1", Some("/api/logs/export?key_value=sk-1"));
        for other in [
            "",
            "api/keys/export",
            "/api/keys",
            "/api/groups",
            "/api/keys/export/",
            "/api/keys/export/../../groups",
            "/api/keys/export#x",
            "/api/keys/export?key=sk",
            "/api/keys/export?%6bey=sk",
            "/api/keys/export?ticket=1",
            "//other/api/groups",
            "http://other/api/keys/export",
            &format!("/api/keys/export?x={}", "x".repeat(PATH_BYTES_MAX)),
        ] {
            check(other, None);
        }
    }

    #[test]
    fn a_ticket_opens_its_download_for_a_minute_and_nothing_else() {
        let tickets = Tickets::new(&Secret::new("sk-management"));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let target = Target::parse("/api/keys/export?group_id=1&status=all").unwrap();
        let ticket = tickets.issue(&target, now);
        let url = target.with_ticket(&ticket);
        let opens = |method: Method, target: &str, seconds: i64| {
            tickets.open(&method, &target.parse().unwrap(), now + chrono::TimeDelta::seconds(seconds))
        };
        assert!(opens(Method::GET, &url, 0));
        assert!(opens(Method::HEAD, &url, 59));
        assert!(!opens(Method::GET, &url, 60), "it has expired");
        assert!(!opens(Method::POST, &url, 0));
        let (expires_at, seal) = ticket.split_once('.').unwrap();
        for other in [
            format!("/api/keys/export?group_id=2&status=all&ticket={ticket}"),
            format!("/api/keys/export?status=all&group_id=1&ticket={ticket}"),
            format!("/api/logs/export?group_id=1&status=all&ticket={ticket}"),
            format!("/api/keys/export?group_id=1&ticket={ticket}"),
            format!("{url}&group_id=2"),
            format!("{url}&ticket=1"),
            format!("/api/keys/export?group_id=1&status=all&ticket={}9.{seal}", &expires_at[..9]),
            format!("/api/keys/export?group_id=1&status=all&ticket={expires_at}."),
            "/api/keys/export?group_id=1&status=all&ticket=".to_owned(),
            "/api/keys/export?group_id=1&status=all".to_owned(),
        ] {
            assert!(!opens(Method::GET, &other, 0), "{other}");
        }
        let target = Target::parse("/api/logs/export").unwrap();
        let url = target.with_ticket(&tickets.issue(&target, now));
        assert!(opens(Method::GET, &url, 0));
        assert!(!Tickets::new(&Secret::new("sk-other")).open(&Method::GET, &url.parse().unwrap(), now));
    }
}
