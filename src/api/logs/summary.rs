//! GET /api/logs/summary: what the entries of a span that match add up to.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Wanted, filter};
use crate::{
    api::{
        answer::Answer,
        document::{Shape, Shown, shape::integer},
        query::{Parameters, Query, read},
        refusal::Refusal,
    },
    db::Timestamp,
    request_log::{self, Field, Filter, KeyFigures, Span, ValueFigures},
};

const BUCKETS_DEFAULT: u32 = 60;
const BUCKETS_MAX: u32 = 500;
/// Unless told otherwise, the last day is meant.
const SPAN_DEFAULT: TimeDelta = TimeDelta::hours(24);

pub(in crate::api) struct WantedSummary;

impl Parameters for WantedSummary {
    fn shape() -> Shape {
        let buckets = integer(1, BUCKETS_MAX.into());
        Wanted::shape().optional("buckets", buckets, "Parts of the span in `series`, at most; 60 unless given")
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogSummary)]
pub(in crate::api) struct Summary {
    from: Timestamp,
    /// Not included.
    to: Timestamp,
    bucket_seconds: i64,
    /// Rows that match, attempts that others followed included.
    rows_in_range: u64,
    /// Of them those that were read.
    rows_examined: usize,
    /// Only a sample was read, and counts are scaled up to all rows.
    is_estimate: bool,
    /// When the oldest entry that is kept was over; `null`: the log is empty.
    #[schema(required)]
    oldest_entry_at: Option<Timestamp>,
    totals: Figures,
    /// The same of the span of equal length before; `null`: the log does not reach back so far.
    #[schema(required)]
    previous: Option<Figures>,
    /// The oldest first.
    series: Vec<Bucket>,
    status_codes: Vec<OfValue>,
    verdicts: Vec<OfValue>,
    models: Vec<OfValue>,
    /// By name, like parent groups.
    groups: Vec<OfValue>,
    parent_groups: Vec<OfValue>,
    client_keys: Vec<OfValue>,
    /// Scheme, host and port; each attempt counts.
    upstreams: Vec<OfValue>,
    source_ips: Vec<OfValue>,
    /// Each attempt counts.
    keys: Vec<OfKey>,
    /// Each attempt that failed counts.
    errors: Vec<Error>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogFigures)]
struct Figures {
    /// Successes and failures.
    requests: u64,
    successes: u64,
    failures: u64,
    /// Requests whose client left; not among the requests.
    aborted: u64,
    /// Attempts that others followed; not among the requests either.
    retries: u64,
    /// Of requests that reached an upstream, like the next two; `null`: there was none.
    #[schema(required)]
    duration_ms: Option<Percentiles>,
    #[schema(required)]
    first_byte_ms: Option<Percentiles>,
    #[schema(required)]
    overhead_us: Option<Percentiles>,
}

#[derive(Serialize, ToSchema)]
struct Percentiles {
    p50: u32,
    p90: u32,
    p95: u32,
    p99: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogBucket)]
struct Bucket {
    begin: Timestamp,
    requests: u64,
    successes: u64,
    failures: u64,
    aborted: u64,
    retries: u64,
    #[schema(required)]
    duration_ms: Option<Percentiles>,
    #[schema(required)]
    first_byte_ms: Option<Percentiles>,
    #[schema(required)]
    overhead_us: Option<Percentiles>,
}

/// One of the twenty that occur most.
#[derive(Serialize, ToSchema)]
#[schema(as = LogValue)]
struct OfValue {
    value: String,
    /// Requests, also those whose client left.
    count: u64,
    failures: u64,
    #[schema(required)]
    p95_duration_ms: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogKeyFigures)]
struct OfKey {
    /// The `key_hash` of its entries.
    value: String,
    count: u64,
    failures: u64,
    #[schema(required)]
    p95_duration_ms: Option<u32>,
    /// `null`: it was deleted.
    #[schema(required)]
    key_id: Option<i64>,
    /// Its ends; empty where it cannot be read.
    masked: String,
    group_name: String,
}

/// Errors whose messages differ only in numbers, ids, addresses and what they quote.
#[derive(Serialize, ToSchema)]
#[schema(as = LogError)]
struct Error {
    /// The beginning of the last one's; empty: nothing was said.
    message: String,
    status_code: i64,
    count: u64,
    last_at: Timestamp,
    #[schema(required)]
    sample_request_id: Option<String>,
}

impl Shown for Summary {}

pub(in crate::api) async fn summary(api: Api, query: Query<WantedSummary>) -> Result<Answer<Summary>, Refusal> {
    let filter = filter(&query)?;
    let (from, to) = span(&filter, api.clock.now())?;
    let wanted = format!("an integer from 1 to {BUCKETS_MAX}");
    let buckets = read(&query, "buckets", &wanted, |text| {
        text.parse().ok().filter(|buckets| (1..=BUCKETS_MAX).contains(buckets))
    })?;
    let span = Span { from, to, buckets: buckets.unwrap_or(BUCKETS_DEFAULT) };
    let summary = api.log_search.summary(&filter, span).await?;
    Answer::with(&Summary::of(summary, span))
}

/// From when until when: the last day, unless the filter says more.
pub(super) fn span(filter: &Filter, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), Refusal> {
    let to = filter.end_time.unwrap_or(now);
    let from = filter.start_time.or_else(|| to.checked_sub_signed(SPAN_DEFAULT)).unwrap_or(to);
    if from >= to {
        let field = if filter.start_time.is_some() { "start_time" } else { "end_time" };
        let values = [("field", field.to_owned()), ("wanted", "a start before the end".to_owned())];
        return Err(Refusal::bad_request(("validation.invalid_parameter", values)));
    }
    Ok((from, to))
}

impl Summary {
    fn of(summary: request_log::Summary, span: Span) -> Self {
        let mut values = summary.values;
        let mut of = |field: Field| values.remove(&field).unwrap_or_default().into_iter().map(OfValue::from).collect();
        let bucket = |(begin, figures): (DateTime<Utc>, request_log::Figures)| {
            let Figures { requests, successes, failures, aborted, retries, duration_ms, first_byte_ms, overhead_us } =
                figures.into();
            let begin = Timestamp(begin);
            Bucket { begin, requests, successes, failures, aborted, retries, duration_ms, first_byte_ms, overhead_us }
        };
        let error = |error: request_log::ErrorKind| Error {
            message: error.message,
            status_code: error.status_code,
            count: error.count,
            last_at: Timestamp(error.last_at),
            sample_request_id: error.sample_request_id,
        };
        Self {
            from: Timestamp(span.from),
            to: Timestamp(span.to),
            bucket_seconds: summary.bucket.num_seconds(),
            rows_in_range: summary.rows_in_range,
            rows_examined: summary.rows_examined,
            is_estimate: summary.is_estimate,
            oldest_entry_at: summary.oldest_entry_at.map(Timestamp),
            totals: summary.totals.into(),
            previous: summary.previous.map(Figures::from),
            series: summary.series.into_iter().map(bucket).collect(),
            status_codes: of(Field::StatusCode),
            verdicts: of(Field::Verdict),
            models: of(Field::Model),
            groups: of(Field::GroupName),
            parent_groups: of(Field::ParentGroupName),
            client_keys: of(Field::ClientKey),
            upstreams: of(Field::UpstreamAddr),
            source_ips: of(Field::SourceIp),
            keys: summary.keys.into_iter().map(OfKey::from).collect(),
            errors: summary.errors.into_iter().map(error).collect(),
        }
    }
}

impl From<request_log::Figures> for Figures {
    fn from(figures: request_log::Figures) -> Self {
        Self {
            requests: figures.requests(),
            successes: figures.successes,
            failures: figures.failures,
            aborted: figures.aborted,
            retries: figures.retries,
            duration_ms: figures.duration_ms.map(Percentiles::from),
            first_byte_ms: figures.first_byte_ms.map(Percentiles::from),
            overhead_us: figures.overhead_us.map(Percentiles::from),
        }
    }
}

impl From<request_log::Percentiles> for Percentiles {
    fn from(request_log::Percentiles { p50, p90, p95, p99 }: request_log::Percentiles) -> Self {
        Self { p50, p90, p95, p99 }
    }
}

impl From<ValueFigures> for OfValue {
    fn from(ValueFigures { value, count, failures, p95_duration_ms }: ValueFigures) -> Self {
        Self { value, count, failures, p95_duration_ms }
    }
}

impl From<KeyFigures> for OfKey {
    fn from(key: KeyFigures) -> Self {
        let ValueFigures { value, count, failures, p95_duration_ms } = key.figures;
        let KeyFigures { key_id, masked, group_name, .. } = key;
        Self { value, count, failures, p95_duration_ms, key_id, masked, group_name }
    }
}
