//! How the attempts went that were sent to some upstreams.

use chrono::{DateTime, Utc};

use super::{ROWS_ALL_MAX, ROWS_SAMPLED, duration_of, measures::percentile, within};
use crate::request_log::{
    Filter, SearchError, Verdict,
    search::{Amount, Detail, Looked, Search},
};

/// Of the attempts to one upstream; where there were many, of a sample of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UpstreamFigures {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    pub(crate) p50_duration_ms: Option<u32>,
    pub(crate) p95_duration_ms: Option<u32>,
    pub(crate) last_failure: Option<LastFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastFailure {
    pub(crate) at: DateTime<Utc>,
    pub(crate) status_code: i64,
    /// Its beginning; empty: nothing was said.
    pub(crate) message: String,
}

#[derive(Default)]
struct Seen {
    requests: u64,
    failures: u64,
    durations: Vec<u32>,
    last: Option<(i64, i64, String)>,
}

impl Search {
    /// Of each base address, as the log shows it, what the matching entries of a span say. The longest one that fits counts,
    /// and where several are the same, all of them.
    ///
    /// # Errors
    /// As those of a page.
    pub(crate) async fn of_upstreams(
        &self,
        filter: &Filter,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        bases: &[Option<String>],
    ) -> Result<Vec<UpstreamFigures>, SearchError> {
        let mut seen: Vec<Seen> = std::iter::repeat_with(Seen::default).take(bases.len()).collect();
        let mut show = |row: &Looked<'_>| {
            let fitting = bases.iter().flatten().filter(|base| is_below(row.upstream, base));
            let Some(longest) = fitting.max_by_key(|base| base.len()) else { return };
            for (base, seen) in bases.iter().zip(&mut seen) {
                if base.as_ref() == Some(longest) {
                    seen.add(row);
                }
            }
        };
        let amount = Amount::new(ROWS_ALL_MAX, ROWS_SAMPLED);
        let extent = self.look_at(&within(filter, from, to), amount, Detail::All, &mut show).await?;
        let figures = |mut seen: Seen| UpstreamFigures {
            requests: extent.scaled(seen.requests),
            failures: extent.scaled(seen.failures),
            p50_duration_ms: percentile(&mut seen.durations, 50),
            p95_duration_ms: percentile(&mut seen.durations, 95),
            last_failure: seen.last.and_then(|(at_ms, status_code, message)| {
                Some(LastFailure { at: DateTime::from_timestamp_millis(at_ms)?, status_code, message })
            }),
        };
        Ok(seen.into_iter().map(figures).collect())
    }
}

impl Seen {
    fn add(&mut self, row: &Looked<'_>) {
        self.requests += 1;
        self.durations.extend(duration_of(row));
        if row.is_success || row.verdict == Verdict::ClientGone.name() {
            return;
        }
        self.failures += 1;
        if self.last.as_ref().is_none_or(|(at_ms, ..)| *at_ms <= row.at_ms) {
            self.last = Some((row.at_ms, row.status_code, row.error.to_owned()));
        }
    }
}

fn is_below(address: &str, base: &str) -> bool {
    let rest = address.strip_prefix(base);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_below_its_base_and_no_other() {
        for (address, base, expected) in [
            ("https://a/v1/chat", "https://a/v1", true),
            ("https://a/v1/chat", "https://a", true),
            ("https://a?x", "https://a", true),
            ("https://a", "https://a", true),
            ("https://a/v10/chat", "https://a/v1", false),
            ("https://a.b/v1", "https://a", false),
            ("https://a:8080/v1", "https://a", false),
        ] {
            assert_eq!(is_below(address, base), expected, "{address} {base}");
        }
    }
}
