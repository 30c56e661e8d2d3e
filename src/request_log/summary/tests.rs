//! Summaries of real logs: of all rows, and of samples of many.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{TimeZone, Utc};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    crypto::Cipher,
    db::{Database, Engine, testing::fresh},
    request_log::{
        Entry, RequestLog, Writer,
        testing::{entry, group, key},
    },
};

fn at(hour: u32, minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, hour, minute, 0).unwrap()
}

fn last_hour() -> Span {
    Span { from: at(10, 0), to: at(11, 0), buckets: 6 }
}

async fn log_of(entries: Vec<Entry>) -> (testkit::FreshDatabase, Search) {
    let (place, database) = fresh().await;
    database.rewrite_local_times().await.unwrap();
    let log = RequestLog::new(1);
    for entry in entries {
        log.submit(0, entry);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    Writer::new(log, database.clone(), Cipher::new(None)).run(stop).await;
    (place, Search::new(database, Cipher::new(None)))
}

fn told(values: &[ValueFigures]) -> Vec<(&str, u64, u64, Option<u32>)> {
    values.iter().map(|value| (&*value.value, value.count, value.failures, value.p95_duration_ms)).collect()
}

fn percentiles(all: u32) -> Option<Percentiles> {
    Some(Percentiles { p50: all, p90: all, p95: all, p99: all })
}

#[tokio::test]
async fn a_span_adds_up_to_what_its_entries_say() {
    let slow = Duration::from_millis(900);
    let used = |text: &str| Some(key(7, 1, text));
    let failed = |status, message: &'static str| Entry { error_message: message.into(), ..entry(status) };
    let (_place, search) = log_of(vec![
        Entry { ended_at: at(9, 5), ..entry(200) },
        Entry { ended_at: at(9, 59), ..entry(500) },
        Entry { ended_at: at(10, 0), key: used("sk-0123456789abcdef"), ..entry(200) },
        Entry { ended_at: at(10, 9), duration: slow, model: "claude".to_owned(), ..entry(200) },
        Entry { ended_at: at(10, 10), kind: Kind::Retry, key: used("sk-0123456789abcdef"), ..failed(429, "Limit 5") },
        Entry { ended_at: at(10, 11), parent: Some(group(9, "all")), ..failed(429, "Limit 70") },
        Entry { ended_at: at(10, 12), source_ip: None, client_key: Some(Arc::from("sk-p****1")), ..entry(499) },
        // It reached no upstream.
        Entry {
            ended_at: at(10, 59),
            upstream_addr: String::new(),
            first_byte: None,
            group: Some(group(2, "other")),
            ..failed(503, "No key is left")
        },
        Entry { ended_at: at(11, 0), ..entry(200) },
    ])
    .await;
    let summary = search.summary(&Filter::default(), last_hour()).await.unwrap();
    assert_eq!((summary.rows_in_range, summary.rows_examined, summary.is_estimate), (6, 6, false));
    assert_eq!(summary.oldest_entry_at, Some(at(9, 5)));
    assert_eq!(
        summary.totals,
        Figures {
            successes: 2,
            failures: 2,
            aborted: 1,
            retries: 1,
            duration_ms: Some(Percentiles { p50: 250, p90: 900, p95: 900, p99: 900 }),
            first_byte_ms: percentiles(90),
            overhead_us: percentiles(85),
        }
    );
    assert_eq!(summary.previous, None, "the log begins after nine");
    let requests: Vec<_> = summary.series.iter().map(|(begin, figures)| (*begin, figures.requests())).collect();
    let ten_past = |tens: u32| at(10, 10 * tens);
    assert_eq!(
        requests,
        [(ten_past(0), 2), (ten_past(1), 1), (ten_past(2), 0), (ten_past(3), 0), (ten_past(4), 0), (ten_past(5), 1)]
    );
    assert_eq!(summary.series[5].1.duration_ms, None, "what reached no upstream took no time of one");
    assert_eq!(summary.series[1].1.aborted, 1);
    let of = |field: Field| told(&summary.values[&field]);
    let ms = Some;
    assert_eq!(
        of(Field::StatusCode),
        [("200", 2, 0, ms(900)), ("429", 1, 1, ms(250)), ("499", 1, 0, None), ("503", 1, 1, None)]
    );
    assert_eq!(
        of(Field::Verdict),
        [("client", 2, 2, ms(250)), ("success", 2, 0, ms(900)), ("client_gone", 1, 0, None)]
    );
    assert_eq!(of(Field::Model), [("gpt-4o", 4, 2, ms(250)), ("claude", 1, 0, ms(900))]);
    assert_eq!(of(Field::GroupName), [("team", 4, 1, ms(900)), ("other", 1, 1, None)]);
    assert_eq!(of(Field::ParentGroupName), [("all", 1, 1, ms(250))]);
    assert_eq!(of(Field::ClientKey), [("sk-p****1", 1, 0, None)]);
    assert_eq!(of(Field::UpstreamAddr), [("https://api.example.com", 5, 2, ms(900))]);
    assert_eq!(of(Field::SourceIp), [("203.0.113.9", 4, 2, ms(900))]);
    let keys: Vec<_> = summary.keys.iter().map(|key| (&*key.masked, &*key.group_name, key.key_id)).collect();
    assert_eq!(keys, [("sk-0****cdef", "team", None)]);
    assert_eq!((summary.keys[0].figures.count, summary.keys[0].figures.failures), (2, 1));
    let errors: Vec<_> =
        summary.errors.iter().map(|error| (&*error.message, error.status_code, error.count, error.last_at)).collect();
    assert_eq!(errors, [("Limit 70", 429, 2, at(10, 11)), ("No key is left", 503, 1, at(10, 59))]);
    assert!(summary.errors[0].sample_request_id.is_some());
}

#[tokio::test]
async fn the_span_before_is_told_where_the_log_reaches_back_to_it() {
    let (_place, search) = log_of(vec![
        Entry { ended_at: at(9, 0), ..entry(200) },
        Entry { ended_at: at(9, 30), kind: Kind::Retry, ..entry(429) },
        Entry { ended_at: at(9, 59), ..entry(500) },
        Entry { ended_at: at(10, 30), ..entry(200) },
    ])
    .await;
    let summary = search.summary(&Filter::default(), last_hour()).await.unwrap();
    let previous = summary.previous.unwrap();
    assert_eq!((previous.successes, previous.failures, previous.retries), (1, 1, 1));
    assert_eq!(summary.totals.requests(), 1);
    let later = Span { from: at(9, 30), to: at(10, 45), buckets: 6 };
    assert_eq!(search.summary(&Filter::default(), later).await.unwrap().previous, None);
}

#[tokio::test]
async fn an_empty_log_says_that_it_knows_nothing() {
    let (_place, search) = log_of(Vec::new()).await;
    let summary = search.summary(&Filter::default(), last_hour()).await.unwrap();
    assert_eq!((summary.totals, summary.previous, summary.oldest_entry_at), (Figures::default(), None, None));
    assert_eq!((summary.series.len(), summary.rows_in_range, summary.is_estimate), (6, 0, false));
    assert!(summary.values.values().all(Vec::is_empty) && summary.keys.is_empty() && summary.errors.is_empty());
}

#[tokio::test]
async fn where_attempts_are_asked_for_they_are_what_is_counted() {
    let (_place, search) = log_of(vec![
        Entry { ended_at: at(10, 1), kind: Kind::Retry, ..entry(429) },
        Entry { ended_at: at(10, 2), kind: Kind::Retry, model: "claude".to_owned(), ..entry(503) },
        Entry { ended_at: at(10, 3), ..entry(200) },
    ])
    .await;
    let retries = Filter { request_type: Some("retry".to_owned()), ..Filter::default() };
    let summary = search.summary(&retries, last_hour()).await.unwrap();
    assert_eq!((summary.totals.requests(), summary.totals.retries), (0, 2));
    assert_eq!(summary.values[&Field::Model].len(), 2);
    let times = (last_hour().from, last_hour().to);
    let (values, is_estimate) = search.values_of(&retries, times, Field::StatusCode, "4", 9).await.unwrap();
    assert_eq!((told(&values), is_estimate), (vec![("429", 1, 1, Some(250))], false));
    let (values, _) = search.values_of(&Filter::default(), times, Field::Model, "GPT", 9).await.unwrap();
    assert_eq!(told(&values), [("gpt-4o", 1, 0, Some(250))]);
}

#[tokio::test]
async fn what_a_part_of_the_log_says_is_what_the_filter_lets_through() {
    let (_place, search) = log_of(vec![
        Entry { ended_at: at(10, 1), parent: Some(group(9, "all")), ..entry(200) },
        Entry { ended_at: at(10, 2), group: Some(group(2, "other")), ..entry(500) },
        Entry { ended_at: at(10, 3), key: Some(key(1, 1, "sk-1")), ..entry(404) },
    ])
    .await;
    let count = async |filter: Filter| search.summary(&filter, last_hour()).await.unwrap().rows_examined;
    assert_eq!(count(Filter { group_id: Some(9), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { group_id: Some(1), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { is_success: Some(false), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { key_hash: Some(Cipher::new(None).hash("sk-1")), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { model: Some("none".to_owned()), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { error_contains: Some("x".to_owned()), ..Filter::default() }).await, 0);
}

/// Rows of one second each from midnight on: a tenth of them failed, a quarter went to group 2.
async fn log_of_many(database: &Database, rows: usize) {
    let digits = (0..10).map(|digit| format!("SELECT {digit} AS n")).collect::<Vec<_>>().join(" UNION ALL ");
    let (id, time) = match database.engine() {
        Engine::Sqlite => {
            ("CAST(n AS TEXT)", "strftime('%Y-%m-%d %H:%M:%S', 1795392000 + n, 'unixepoch') || '+00:00'".to_owned())
        }
        Engine::MySql(_) => ("CAST(n AS CHAR)", "TIMESTAMPADD(SECOND, n, '2026-11-23 00:00:00')".to_owned()),
        Engine::PostgreSql => {
            ("CAST(n AS text)", "timestamptz '2026-11-23 00:00:00+00' + n * interval '1 second'".to_owned())
        }
    };
    let columns = "id, timestamp, group_id, group_name, key_hash, model, is_success, status_code, duration, \
                   error_message, request_type, upstream_addr, is_stream, verdict";
    database
        .run(&format!(
            "INSERT INTO request_logs ({columns}) SELECT {id}, {time}, 1 + CASE WHEN n % 4 = 0 THEN 1 ELSE 0 END, 'g', \
               '', 'm', n % 10 <> 3, CASE WHEN n % 10 = 3 THEN 500 ELSE 200 END, n % 100, '', 'final', 'http://u/', \
               false, CASE WHEN n % 10 = 3 THEN 'upstream' ELSE 'success' END \
             FROM (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n \
                   FROM ({digits}) AS a CROSS JOIN ({digits}) AS b CROSS JOIN ({digits}) AS c CROSS JOIN ({digits}) AS d \
                   CROSS JOIN ({digits}) AS e) AS numbers WHERE n < {rows} ORDER BY n"
        ))
        .await;
}

const SMALL: Amount = Amount { rows_all_max: 2_000, rows_sampled: 1_500, growth_time_max: Duration::from_secs(600) };

#[tokio::test]
async fn of_many_rows_an_even_sample_stands_for_all() {
    const ROWS: usize = 40_000;
    let (_place, database) = fresh().await;
    database.rewrite_local_times().await.unwrap();
    log_of_many(&database, ROWS).await;
    let search = Search::new(database, Cipher::new(None));
    let day = (Utc.with_ymd_and_hms(2026, 11, 23, 0, 0, 0).unwrap(), at(12, 0));
    for (filter, expected) in [
        (Filter::default(), ROWS),
        (Filter { is_success: Some(false), ..Filter::default() }, ROWS / 10),
        (Filter { group_id: Some(2), ..Filter::default() }, ROWS / 4),
        (Filter { group_id: Some(2), status_code: Some(200), ..Filter::default() }, ROWS / 4),
        (Filter { status_code: Some(200), ..Filter::default() }, ROWS * 9 / 10),
    ] {
        let mut seen = HashSet::new();
        let mut thirds = [0_usize; 3];
        let mut show = |row: &Looked<'_>| {
            let second = usize::try_from(row.at_ms / 1_000 - day.0.timestamp()).unwrap();
            assert!(seen.insert(second), "row {second} was seen twice");
            thirds[(second * 3 / ROWS).min(2)] += 1;
        };
        let extent = search.look_at(&within(&filter, day.0, day.1), SMALL, Detail::All, &mut show).await.unwrap();
        assert!(extent.is_estimate(), "{filter:?}");
        assert!(extent.rows_examined < ROWS / 2, "{extent:?} {filter:?}");
        assert_eq!(extent.rows_examined, seen.len());
        let estimated = usize::try_from(extent.scaled(extent.rows_examined as u64)).unwrap();
        assert!(estimated.abs_diff(expected) < expected / 5, "{estimated} for {expected}: {extent:?} {filter:?}");
        let third = extent.rows_examined / 3;
        assert!(thirds.iter().all(|count| count.abs_diff(third) < third / 3), "{thirds:?} {filter:?}");
    }
    // What an index finds is read as a whole where it is little.
    let few = Filter { status_code: Some(404), ..Filter::default() };
    let extent = search.look_at(&within(&few, day.0, day.1), SMALL, Detail::All, &mut |_| {}).await.unwrap();
    assert_eq!((extent.rows_examined, extent.scale), (0, 1.0));
}

#[tokio::test]
async fn a_sample_in_a_hurry_still_goes_over_the_whole_span() {
    const ROWS: usize = 50_000;
    let (_place, database) = fresh().await;
    if !database.engine().is_sqlite() {
        return;
    }
    database.rewrite_local_times().await.unwrap();
    log_of_many(&database, ROWS).await;
    let search = Search::new(database, Cipher::new(None));
    let midnight = Utc.with_ymd_and_hms(2026, 11, 23, 0, 0, 0).unwrap();
    let day = (midnight, midnight + TimeDelta::days(1));
    let mut tenths = [0_usize; 10];
    let mut show = |row: &Looked<'_>| {
        let second = usize::try_from(row.at_ms / 1_000 - day.0.timestamp()).unwrap();
        tenths[(second * 10 / ROWS).min(9)] += 1;
    };
    let hurried = Amount { growth_time_max: Duration::ZERO, ..Amount::new(1_000, 5_000) };
    let filter = within(&Filter::default(), day.0, day.1);
    let extent = search.look_at(&filter, hurried, Detail::All, &mut show).await.unwrap();
    assert!(extent.is_estimate() && extent.rows_examined < ROWS / 2, "{extent:?}");
    assert!(tenths.iter().all(|count| *count > 0), "{tenths:?}");
    let whole = Amount { rows_all_max: ROWS, ..hurried };
    let extent = search.look_at(&filter, whole, Detail::All, &mut |_| {}).await.unwrap();
    assert_eq!((extent.rows_examined, extent.is_estimate()), (ROWS, false));
}
