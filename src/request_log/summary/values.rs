//! Which models, groups, addresses and so on the requests of a span had.

use std::collections::HashMap;

use super::{duration_of, measures::percentile};
use crate::request_log::{
    Verdict,
    search::{Extent, Looked},
};

/// What requests are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    StatusCode,
    Verdict,
    Model,
    GroupName,
    ParentGroupName,
    ClientKey,
    /// Scheme, host and port of where an attempt went.
    UpstreamAddr,
    SourceIp,
}

/// One value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueFigures {
    pub(crate) value: String,
    /// Requests with it, also those whose client left; of upstreams and keys, attempts.
    pub(crate) count: u64,
    /// Of them those that failed.
    pub(crate) failures: u64,
    pub(crate) p95_duration_ms: Option<u32>,
}

impl Field {
    pub(crate) const ALL: [Self; 8] = [
        Self::StatusCode,
        Self::Verdict,
        Self::Model,
        Self::GroupName,
        Self::ParentGroupName,
        Self::ClientKey,
        Self::UpstreamAddr,
        Self::SourceIp,
    ];

    /// As it is called in an entry of the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::StatusCode => "status_code",
            Self::Verdict => "verdict",
            Self::Model => "model",
            Self::GroupName => "group_name",
            Self::ParentGroupName => "parent_group_name",
            Self::ClientKey => "client_key",
            Self::UpstreamAddr => "upstream_addr",
            Self::SourceIp => "source_ip",
        }
    }

    /// Where each attempt counts, not each request: what a retry saved a client from is seen here.
    pub(super) fn is_of_attempts(self) -> bool {
        self == Self::UpstreamAddr
    }

    /// Hands over a row's value, if it has one.
    pub(super) fn with(self, row: &Looked<'_>, mut take: impl FnMut(&str)) {
        let value = match self {
            Self::StatusCode => return take(&row.status_code.to_string()),
            Self::Verdict => row.verdict,
            Self::Model => row.model,
            Self::GroupName => row.group_name,
            Self::ParentGroupName => row.parent_name,
            Self::ClientKey => row.client_key,
            Self::UpstreamAddr => origin(row.upstream),
            Self::SourceIp => row.source_ip,
        };
        if !value.is_empty() {
            take(value);
        }
    }
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + "://".len());
    let end = address[host..].find(['/', '?']).map_or(address.len(), |at| host + at);
    &address[..end]
}

#[derive(Default)]
pub(super) struct Values(HashMap<String, Counts>);

/// What is counted of one value, or key.
#[derive(Default)]
pub(super) struct Counts {
    count: u64,
    failures: u64,
    durations: Vec<u32>,
}

impl Counts {
    pub(super) fn add(&mut self, row: &Looked<'_>) {
        self.count += 1;
        self.failures += u64::from(!row.is_success && row.verdict != Verdict::ClientGone.name());
        self.durations.extend(duration_of(row));
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn figures(mut self, value: String, extent: Extent) -> ValueFigures {
        ValueFigures {
            value,
            count: extent.scaled(self.count),
            failures: extent.scaled(self.failures),
            p95_duration_ms: percentile(&mut self.durations, 95),
        }
    }
}

impl Values {
    pub(super) fn add(&mut self, value: &str, row: &Looked<'_>) {
        // Most values are there already, and then none is copied.
        match self.0.get_mut(value) {
            Some(counts) => counts.add(row),
            None => self.0.entry(value.to_owned()).or_default().add(row),
        }
    }

    pub(super) fn most_frequent(self, most: usize, extent: Extent) -> Vec<ValueFigures> {
        let mut all: Vec<(String, Counts)> = self.0.into_iter().collect();
        all.sort_by(|(a, of_a), (b, of_b)| of_b.count.cmp(&of_a.count).then_with(|| a.cmp(b)));
        all.truncate(most);
        all.into_iter().map(|(value, counts)| counts.figures(value, extent)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_known_by_its_origin() {
        for (address, expected) in [
            ("https://api.example.com/v1/chat?x=1", "https://api.example.com"),
            ("http://10.0.0.7:8080?x", "http://10.0.0.7:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("api.example.com/v1", "api.example.com"),
            ("", ""),
        ] {
            assert_eq!(origin(address), expected);
        }
    }
}
