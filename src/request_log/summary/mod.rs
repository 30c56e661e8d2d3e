//! What a span of the log adds up to: how many requests, how they went and how long they took, over time and by model,
//! group, key and more. Made of the rows themselves, or of a sample of them where there are too many to be quick.

mod errors;
mod keys;
mod measures;
mod upstreams;
mod values;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use self::{
    errors::ErrorKind,
    keys::KeyFigures,
    measures::{Figures, Percentiles},
    upstreams::UpstreamFigures,
    values::{Field, ValueFigures},
};
use self::{errors::Errors, keys::Keys, measures::Tally, values::Values};
use super::{
    Filter, Kind, Search, SearchError, Verdict,
    search::{Amount, Detail, Extent, Looked},
};

/// Up to so many rows of a span are all read; of more, so many stand for the others.
pub(crate) const ROWS_ALL_MAX: usize = 50_000;
const ROWS_SAMPLED: usize = 20_000;
/// The span before is there to compare with: it needs no more.
const ROWS_SAMPLED_BEFORE: usize = 8_000;
/// Values of each kind that are told, those with the most requests first.
const VALUES_TOLD_MAX: usize = 20;

/// What a span of the log adds up to.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) bucket: TimeDelta,
    /// Rows that match, as far as is known.
    pub(crate) rows_in_range: u64,
    /// Of them those that were read.
    pub(crate) rows_examined: usize,
    /// Not all were read: those that were stand for the others.
    pub(crate) is_estimate: bool,
    /// `None`: the log is empty.
    pub(crate) oldest_entry_at: Option<DateTime<Utc>>,
    pub(crate) totals: Figures,
    /// Of the span of equal length before; `None`: the log does not reach back so far.
    pub(crate) previous: Option<Figures>,
    /// The oldest first, each with its begin.
    pub(crate) series: Vec<(DateTime<Utc>, Figures)>,
    /// Those with the most requests first.
    pub(crate) values: HashMap<Field, Vec<ValueFigures>>,
    pub(crate) keys: Vec<KeyFigures>,
    pub(crate) errors: Vec<ErrorKind>,
}

/// A span of time, from its begin until before its end, in parts of equal length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
    /// At most; each lasts whole seconds.
    pub(crate) buckets: u32,
}

/// What of a row counts, and how.
struct Counting {
    /// The filter wants attempts that others followed: they are what is counted.
    counts_retries: bool,
}

/// How a row is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Aborted,
    Retried,
}

impl Outcome {
    fn of(row: &Looked<'_>) -> Self {
        if row.is_retry {
            Self::Retried
        } else if row.verdict == Verdict::ClientGone.name() {
            Self::Aborted
        } else if row.is_success {
            Self::Success
        } else {
            Self::Failure
        }
    }
}

impl Counting {
    fn of(filter: &Filter) -> Self {
        Self { counts_retries: filter.request_type.as_deref() == Some(Kind::Retry.name()) }
    }

    /// Whether a row is one of a value's requests.
    fn counts(&self, outcome: Outcome) -> bool {
        self.counts_retries || outcome != Outcome::Retried
    }
}

/// How long a row's request took, where that says something about upstreams: it reached one, and its client waited.
fn duration_of(row: &Looked<'_>) -> Option<u32> {
    let has_waited = row.verdict != Verdict::ClientGone.name() && !row.upstream.is_empty();
    has_waited.then(|| measures::narrow(row.duration_ms))
}

impl Search {
    /// What the entries of a span that match add up to. The filter's own times are not looked at.
    ///
    /// # Errors
    /// As those of a page.
    pub(crate) async fn summary(&self, filter: &Filter, span: Span) -> Result<Summary, SearchError> {
        let bucket = span.bucket();
        let counting = Counting::of(filter);
        let mut totals = Tally::default();
        let mut series: Vec<Tally> = std::iter::repeat_with(Tally::default).take(span.count()).collect();
        let mut values: HashMap<Field, Values> = Field::ALL.map(|field| (field, Values::default())).into();
        let mut keys = Keys::default();
        let mut errors = Errors::default();
        let (from_ms, bucket_ms) = (span.from.timestamp_millis(), bucket.num_milliseconds().max(1));
        let mut show = |row: &Looked<'_>| {
            let outcome = Outcome::of(row);
            totals.add(row, outcome);
            let at = usize::try_from((row.at_ms - from_ms).max(0) / bucket_ms).unwrap_or(usize::MAX);
            let last = series.len().saturating_sub(1);
            if let Some(tally) = series.get_mut(at.min(last)) {
                tally.add(row, outcome);
            }
            for (field, values) in &mut values {
                if field.is_of_attempts() || counting.counts(outcome) {
                    field.with(row, |value| values.add(value, row));
                }
            }
            keys.add(row);
            errors.add(row);
        };
        let within = within(filter, span.from, span.to);
        let amount = Amount::new(ROWS_ALL_MAX, ROWS_SAMPLED);
        let extent = self.look_at(&within, amount, Detail::All, &mut show).await?;
        let oldest_entry_at = self.oldest_entry_at().await?;
        let previous = match span.before().filter(|(from, _)| oldest_entry_at.is_some_and(|oldest| oldest <= *from)) {
            Some((from, to)) => Some(self.totals(filter, from, to, extent).await?),
            None => None,
        };
        let shown = values.into_iter().map(|(field, values)| (field, values.most_frequent(VALUES_TOLD_MAX, extent)));
        let begins = (0..).map(|number| span.from + bucket * number);
        Ok(Summary {
            bucket,
            rows_in_range: extent.scaled(extent.rows_examined as u64),
            rows_examined: extent.rows_examined,
            is_estimate: extent.is_estimate(),
            oldest_entry_at,
            totals: totals.figures(extent),
            previous,
            series: begins.zip(series.into_iter().map(|tally| tally.figures(extent))).collect(),
            values: shown.collect(),
            keys: self.name_keys(keys.most_frequent(VALUES_TOLD_MAX, extent)).await?,
            errors: errors.most_frequent(VALUES_TOLD_MAX, extent),
        })
    }

    /// The figures of all matching rows together. Where the present ones are all known, so shall these be.
    async fn totals(
        &self,
        filter: &Filter,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        present: Extent,
    ) -> Result<Figures, SearchError> {
        let mut totals = Tally::default();
        let mut show = |row: &Looked<'_>| totals.add(row, Outcome::of(row));
        let rows_all_max = if present.is_estimate() { ROWS_SAMPLED } else { ROWS_ALL_MAX };
        let amount = Amount::new(rows_all_max, ROWS_SAMPLED_BEFORE);
        let extent = self.look_at(&within(filter, from, to), amount, Detail::Totals, &mut show).await?;
        Ok(totals.figures(extent))
    }

    /// The values of a field among the matching entries that begin like this, those with the most requests first, and
    /// whether they are an estimate.
    ///
    /// # Errors
    /// As those of a page.
    pub(crate) async fn values_of(
        &self,
        filter: &Filter,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        field: Field,
        prefix: &str,
        most: usize,
    ) -> Result<(Vec<ValueFigures>, bool), SearchError> {
        let counting = Counting::of(filter);
        let wanted = prefix.to_lowercase();
        let mut values = Values::default();
        let mut show = |row: &Looked<'_>| {
            if !field.is_of_attempts() && !counting.counts(Outcome::of(row)) {
                return;
            }
            field.with(row, |value| {
                if wanted.is_empty() || value.to_lowercase().starts_with(&wanted) {
                    values.add(value, row);
                }
            });
        };
        let amount = Amount::new(ROWS_ALL_MAX, ROWS_SAMPLED);
        let extent = self.look_at(&within(filter, from, to), amount, Detail::All, &mut show).await?;
        Ok((values.most_frequent(most, extent), extent.is_estimate()))
    }
}

/// The filter with other times: until before `to`, as no entry's time is finer than a microsecond.
fn within(filter: &Filter, from: DateTime<Utc>, to: DateTime<Utc>) -> Filter {
    let last = to - TimeDelta::microseconds(1);
    Filter { start_time: Some(from), end_time: Some(last), ..filter.clone() }
}

impl Span {
    fn bucket(self) -> TimeDelta {
        let seconds = (self.to - self.from).num_milliseconds().max(1).unsigned_abs().div_ceil(1_000);
        let seconds = seconds.div_ceil(u64::from(self.buckets.max(1))).max(1);
        TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000))
    }

    fn count(self) -> usize {
        let whole = (self.to - self.from).num_milliseconds().max(1).unsigned_abs();
        let bucket = self.bucket().num_milliseconds().max(1).unsigned_abs();
        usize::try_from(whole.div_ceil(bucket)).unwrap_or(1)
    }

    /// The span of equal length before; `None`: no calendar knows it.
    fn before(self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        Some((self.from.checked_sub_signed(self.to - self.from)?, self.from))
    }
}

#[cfg(test)]
mod tests;
