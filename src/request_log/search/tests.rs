//! Searches over a real database, compared with a look at each entry.

use std::{net::Ipv4Addr, sync::Arc};

use chrono::{TimeDelta, TimeZone, Utc};
use proptest::prelude::*;
use testkit::FreshDatabase;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    crypto::Secret,
    db::testing::{fresh, fresh_file, open_again},
    request_log::{
        Entry, Kind, Live, Observer, RequestLog, Verdict, Watched, Writer,
        testing::{entry, group, key},
    },
};

/// So small that a few hundred rows are many windows.
const SMALL: Limits = Limits {
    first_window_rows: 7,
    window_rows_max: 29,
    step_time: Duration::ZERO,
    glance_time: Duration::ZERO,
    counted_max: 40,
};

struct House {
    place: FreshDatabase,
    database: Database,
    search: Search,
}

/// A log that holds these entries, written in their order.
async fn house(entries: Vec<Entry>) -> House {
    house_in(fresh().await, entries).await
}

/// For what is about files: row ids, steps of a search, texts of times.
async fn house_of_file(entries: Vec<Entry>) -> House {
    house_in(fresh_file().await, entries).await
}

async fn house_in((place, database): (FreshDatabase, Database), entries: Vec<Entry>) -> House {
    database.rewrite_local_times().await.unwrap();
    let log = RequestLog::new(1);
    for entry in entries {
        log.submit(0, entry);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    Writer::new(log, database.clone(), Cipher::new(None)).run(stop).await;
    let search = Search::within(SMALL, database.clone(), Cipher::new(None));
    House { place, database, search }
}

impl House {
    async fn execute(&self, statement: &str) {
        self.database.run(statement).await;
    }

    async fn by_cursor(&self, filter: &Filter) -> Vec<String> {
        let (mut ids, mut below) = (Vec::new(), None);
        loop {
            let found = self.search.page(filter, Start::Below(below), 5, Bodies::Shown).await.unwrap();
            assert!(found.entries.len() <= 5 && found.total.is_none());
            ids.extend(found.entries.into_iter().map(|entry| entry.id));
            below = found.next;
            if below.is_none() {
                return ids;
            }
        }
    }

    async fn by_number(&self, filter: &Filter) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let found = self.search.page(filter, Start::Offset(ids.len() as u64), 5, Bodies::Shown).await.unwrap();
            let total = found.total.unwrap();
            let shown = found.entries.len();
            ids.extend(found.entries.into_iter().map(|entry| entry.id));
            if shown == 0 {
                assert_eq!((total.count, total.is_exact), (ids.len() as u64, true), "the end knows the number");
                return ids;
            }
            assert!(total.count >= ids.len() as u64, "{total:?} with {} shown", ids.len());
            // As many pages are offered as there are entries, or as are known to be there.
            assert_eq!(found.next.is_some(), total.count > ids.len() as u64, "{total:?} with {} shown", ids.len());
        }
    }
}

/// What each entry is like is told by a few small numbers, so that filters meet in any combination.
fn made_of(numbers: &[[u8; 4]]) -> Vec<Entry> {
    let begin = Utc.with_ymd_and_hms(2026, 11, 23, 10, 0, 0).unwrap();
    let names = ["team", "Team-2", "other_team", "100%"];
    let entry_of = |(at, [a, b, c, d]): (usize, &[u8; 4])| {
        let has_failed = a % 3 == 0;
        Entry {
            ended_at: begin + TimeDelta::seconds(i64::try_from(at).unwrap()),
            kind: if has_failed && b % 2 == 0 { Kind::Retry } else { Kind::Final },
            group: Some(group((a % 4).into(), names[usize::from(a % 4)])),
            parent: (c % 4 == 0).then(|| group(9, "all")),
            key: (d % 5 > 0).then(|| key((d % 5).into(), 1, &format!("sk-{}", d % 5))),
            model: format!("model-{}", c % 6),
            error_message: if has_failed { format!("Refused by {}", d % 3).into() } else { "".into() },
            source_ip: Some(Ipv4Addr::new(10, 0, 0, b % 3).into()),
            upstream_addr: format!("https://up-{}.example.com/v1", d % 4),
            verdict: if has_failed { Verdict::ALL[usize::from(1 + b % 6)] } else { Verdict::Success },
            client_key: (c % 3 > 0).then(|| Arc::from(format!("sk-c****{}", c % 3))),
            ..entry(if has_failed { 400 + u16::from(b % 4) } else { 200 })
        }
    };
    numbers.iter().enumerate().map(entry_of).collect()
}

fn filters() -> impl Strategy<Value = Filter> {
    fn maybe<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Option<T>> {
        prop_oneof![5 => Just(None), 1 => proptest::sample::select(values).prop_map(Some)]
    }
    let texts = |values: &[&str]| maybe(values.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    let times = || maybe((0..300).collect::<Vec<i64>>());
    let at = |second| Utc.with_ymd_and_hms(2026, 11, 23, 10, 0, 0).unwrap() + TimeDelta::seconds(second);
    (
        (texts(&["all", "x"]), texts(&["team", "TEAM-", "_t", "%", "0%"]), maybe(vec![1, 2, 9, 77])),
        (texts(&["sk-1", "sk-3", "sk-9"]), texts(&["model-2", "EL-5", "none"]), maybe(vec![true, false])),
        (texts(&["final", "retry", "x"]), maybe(vec![200, 400, 402, 418]), texts(&["10.0.0.1", "10.0.0.9"])),
        (
            texts(&["refused", "by 2", "b_ 2", "nothing"]),
            times(),
            times(),
            texts(&["https://UP-1", "up-3.example", "up_1"]),
        ),
        (texts(&["sk-c****1", "sk-c****9"]), maybe(Verdict::ALL.to_vec()), maybe(vec!["sk-2", "sk-9"])),
    )
        .prop_map(move |(names, key, exact, error, ours)| Filter {
            parent_group_name: names.0,
            group_name: names.1,
            group_id: names.2,
            key: key.0.map(Secret::new),
            model: key.1,
            is_success: key.2,
            request_type: exact.0,
            status_code: exact.1,
            source_ip: exact.2,
            upstream_addr: error.3,
            error_contains: error.0,
            start_time: error.1.map(at),
            end_time: error.2.map(at),
            request_id: None,
            client_key: ours.0,
            key_hash: ours.2.map(|text| Cipher::new(None).hash(text)),
            verdict: ours.1,
        })
}

/// The same entries as a watcher with that filter sees them.
async fn watched(filter: Filter, entries: &[Entry]) -> Vec<String> {
    let mut live = Live::new(Cipher::new(None));
    let mut watching = live.watch(filter);
    live.see(entries);
    drop(live);
    let mut ids = Vec::new();
    while let Some(Watched::Entry(entry)) = watching.next().await {
        ids.push(entry.id.clone());
    }
    ids.reverse();
    ids
}

/// A server is asked for each page, and makes a database for each case.
fn cases() -> u32 {
    if testkit::Engine::of_this_run() == testkit::Engine::Sqlite { 12 } else { 4 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_a_look_at_each_entry_finds(
        numbers in proptest::collection::vec(any::<[u8; 4]>(), 0..250),
        filters in proptest::collection::vec(filters(), 12),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let ids = Uuid::now_v7();
            let with_ids = |mut entries: Vec<Entry>| {
                for (at, entry) in entries.iter_mut().enumerate() {
                    entry.request_id = Uuid::from_u128(ids.as_u128() + ((at as u128) << 16));
                }
                entries
            };
            let house = house(with_ids(made_of(&numbers))).await;
            for filter in filters {
                let found = (house.by_cursor(&filter).await, house.by_number(&filter).await);
                let text = format!("{filter:?}");
                let expected = watched(filter, &with_ids(made_of(&numbers))).await;
                assert_eq!(found.0, expected, "by cursor: {text}");
                assert_eq!(found.1, expected, "by number: {text}");
            }
        });
    }
}

#[tokio::test]
async fn all_attempts_of_a_request_are_found_by_its_id_alone() {
    let one = Entry { kind: Kind::Retry, ..entry(429) };
    let last = Entry { request_id: one.request_id, attempt: 2, ..entry(200) };
    // The last key was gone: the same attempt ends twice.
    let gone = Entry { request_id: one.request_id, attempt: 1, ..entry(503) };
    let id = one.request_id.to_string();
    let house = house(vec![entry(200), one, gone, entry(200), last, entry(200)]).await;
    for text in [id.clone(), id.to_uppercase(), id.replace('-', "")] {
        let filter = Filter { request_id: Some(text), ..Filter::default() };
        let found = house.search.page(&filter, Start::Offset(0), 10, Bodies::Shown).await.unwrap();
        assert_eq!(found.entries.iter().map(|entry| entry.status_code).collect::<Vec<_>>(), [200, 503, 429]);
        assert_eq!(found.total, Some(Total { count: 3, is_exact: true }));
    }
    for text in ["not-an-id", "", "00000000-0000-7000-8000-000000000000"] {
        let filter = Filter { request_id: Some(text.to_owned()), ..Filter::default() };
        assert_eq!(house.by_cursor(&filter).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_search_with_no_time_goes_on_where_it_stopped() {
    let mut entries: Vec<Entry> = (0..100).map(|_| entry(200)).collect();
    entries[0].verdict = Verdict::Upstream;
    let house = house_of_file(entries).await;
    // No index finds what nearly all rows have.
    let filter = Filter { verdict: Some(Verdict::Success), ..Filter::default() };
    let first = house.search.page(&filter, Start::Below(None), 1_000, Bodies::Shown).await.unwrap();
    assert!(first.entries.len() < 99 && first.next.is_some(), "{}", first.entries.len());
    assert_eq!(house.by_cursor(&filter).await.len(), 99);
}

#[tokio::test]
async fn the_number_of_all_entries_is_exact_also_with_gaps() {
    let house = house_of_file((0..60).map(|_| entry(200)).collect()).await;
    house.execute("DELETE FROM request_logs WHERE rowid IN (1, 2, 30, 31, 60)").await;
    let all = Filter::default();
    let page = async |offset| house.search.page(&all, Start::Offset(offset), 10, Bodies::Shown).await.unwrap();
    assert_eq!(page(0).await.total, Some(Total { count: 55, is_exact: true }));
    assert_eq!(page(50).await.entries.len(), 5);
    assert_eq!(page(55).await.entries.len(), 0);
    assert_eq!(page(u64::MAX).await.entries.len(), 0);
}

#[tokio::test]
async fn a_log_without_rows_has_nothing_to_show() {
    let house = house(Vec::new()).await;
    let found = house.search.page(&Filter::default(), Start::Offset(0), 10, Bodies::Shown).await.unwrap();
    assert_eq!((found.entries.len(), found.total), (0, Some(Total { count: 0, is_exact: true })));
    assert_eq!(house.by_cursor(&Filter::default()).await, [""; 0]);
    let newest = house.search.newest_of_each_key(&Filter::default()).await.unwrap();
    assert_eq!(newest.lots(10).len(), 0);
}

#[tokio::test]
async fn a_span_of_time_holds_whatever_zone_its_rows_were_written_in() {
    let house = house_of_file(vec![entry(200)]).await;
    for (id, time) in [
        ("a", "2026-11-23 17:59:59+08:00"),
        ("b", "2026-11-23 18:00:00+08:00"),
        ("c", "2026-11-23 10:30:00+00:00"),
        ("d", "2026-11-23 01:00:00.5-10:00"),
        ("e", "2026-11-23 16:30:00.000000001 +0530 IST"),
    ] {
        let row = format!("('{id}', '{time}', 1, true, 201, 1, false)");
        let insert = "INSERT INTO request_logs (id, timestamp, group_id, is_success, status_code, duration, is_stream)";
        house.execute(&format!("{insert} VALUES {row}")).await;
    }
    let hour = |hour| Utc.with_ymd_and_hms(2026, 11, 23, hour, 0, 0).single();
    let filter = || Filter { start_time: hour(10), end_time: hour(11), status_code: Some(201), ..Filter::default() };
    // A database in which nobody has looked for times of other zones yet.
    let found = async |database: &Database| {
        let search = Search::within(SMALL, database.clone(), Cipher::new(None));
        let found = search.page(&filter(), Start::Offset(0), 10, Bodies::Shown).await.unwrap();
        let mut ids: Vec<_> = found.entries.into_iter().map(|entry| entry.id).collect();
        ids.sort();
        ids
    };
    let unsure = open_again(&house.place).await.unwrap();
    assert_eq!(found(&unsure).await, ["b", "c"]);
    house.database.rewrite_local_times().await.unwrap();
    assert_eq!(found(&house.database).await, ["b", "c"]);
}

#[tokio::test]
async fn a_key_is_shown_as_long_as_it_is_there_and_masked_afterwards() {
    let long = "sk-0123456789abcdef";
    let used = || Some(key(1, 1, long));
    let house = house(vec![Entry { key: used(), ..entry(401) }, entry(200)]).await;
    let stored: String = house.database.value_of("SELECT key_value FROM request_logs WHERE status_code = 401").await;
    assert_eq!(stored, "sk-0****cdef", "the log has no copy of it");
    let shown = async || {
        let filter = Filter { key: Some(Secret::new(long)), ..Filter::default() };
        let mut found = house.search.page(&filter, Start::Offset(0), 10, Bodies::Shown).await.unwrap();
        assert_eq!(found.entries.len(), 1);
        found.entries.remove(0).key
    };
    assert!(matches!(shown().await, LoggedKey::Masked(text) if text == "sk-0****cdef"));
    let hash = Cipher::new(None).hash(long);
    let group =
        "INSERT INTO groups (id, name, upstreams, channel_type, test_model) VALUES (1, 'a', '[]', 'openai', '')";
    house.execute(group).await;
    let values = format!("VALUES ('{long}', '{hash}', 1)");
    house.execute(&format!("INSERT INTO api_keys (key_value, key_hash, group_id) {values}")).await;
    assert!(matches!(shown().await, LoggedKey::Known(secret) if secret.expose() == long));
    // A row of the original has the key itself.
    let hash = Cipher::new(None).hash("sk-of-the-original");
    house
        .execute(&format!(
            "UPDATE request_logs SET request_id = NULL, key_value = 'sk-of-the-original', key_hash = '{hash}' \
             WHERE status_code = 401"
        ))
        .await;
    let found = house
        .search
        .page(&Filter { status_code: Some(401), ..Filter::default() }, Start::Offset(0), 1, Bodies::Shown)
        .await;
    let key = found.unwrap().entries.remove(0).key;
    assert!(matches!(&key, LoggedKey::Known(secret) if secret.expose() == "sk-of-the-original"), "{key:?}");
}

#[tokio::test]
async fn of_each_key_the_newest_entry_is_exported() {
    let used = |id: i64, status| Entry { key: Some(key(id, 1, &format!("sk-{id}"))), ..entry(status) };
    let house = house(vec![used(1, 401), used(2, 429), used(1, 200), used(2, 403), entry(500)]).await;
    let statuses = async |filter: Filter| {
        let row_ids = house.search.newest_of_each_key(&filter).await.unwrap();
        let entries = house.search.entries(&row_ids).await.unwrap();
        let mut found: Vec<_> = entries.iter().map(|entry| (entry.key_hash.clone(), entry.status_code)).collect();
        assert!(found.is_sorted(), "by their hashes");
        found.sort_by_key(|(_, status)| *status);
        found.into_iter().map(|(_, status)| status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(Filter::default()).await, [200, 403]);
    assert_eq!(statuses(Filter { is_success: Some(false), ..Filter::default() }).await, [401, 403]);
    assert_eq!(statuses(Filter { status_code: Some(429), ..Filter::default() }).await, [429]);
}

#[tokio::test]
async fn what_a_pattern_means_elsewhere_means_itself() {
    let model = |text: &str| Entry { model: text.to_owned(), error_message: text.to_owned().into(), ..entry(500) };
    let texts = ["50%", "a_b", "c\\d", "e!f", "it's", "Ü", "x"];
    let house = house(texts.iter().map(|text| model(text)).collect()).await;
    for text in texts {
        let found = async |filter: Filter| {
            let found = house.search.page(&filter, Start::Offset(0), 10, Bodies::Shown).await.unwrap();
            found.entries.into_iter().map(|entry| entry.model).collect::<Vec<_>>()
        };
        let of_model = found(Filter { model: Some(text.to_owned()), ..Filter::default() }).await;
        assert_eq!(of_model, [text]);
        let of_error = found(Filter { error_contains: Some(text.to_owned()), ..Filter::default() }).await;
        assert_eq!(of_error, [text]);
    }
}

#[tokio::test]
async fn a_label_is_another_one_in_capital_letters() {
    let labelled = |text: &str, status| Entry { client_key: Some(Arc::from(text)), ..entry(status) };
    let house = house(vec![labelled("sk-a****b", 200), labelled("sk-A****b", 201), labelled("sk-a****b ", 202)]).await;
    for (label, status) in [("sk-a****b", 200), ("sk-A****b", 201), ("sk-a****b ", 202)] {
        let filter = Filter { client_key: Some(label.to_owned()), ..Filter::default() };
        let found = house.search.page(&filter, Start::Offset(0), 10, Bodies::Shown).await.unwrap();
        assert_eq!(found.entries.iter().map(|entry| entry.status_code).collect::<Vec<_>>(), [status], "{label}");
    }
}

/// Times beyond those that a server knows are before, or after, all that it has.
#[tokio::test]
async fn any_time_can_be_asked_for() {
    let house = house(vec![entry(200)]).await;
    let year = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single();
    for (from, to, expected) in [(0, 9999, 1), (1, 2, 0), (9999, 9999, 0)] {
        let filter = Filter { start_time: year(from), end_time: year(to), ..Filter::default() };
        let found = house.search.page(&filter, Start::Offset(0), 10, Bodies::Shown).await.unwrap();
        assert_eq!(found.entries.len(), expected, "{from} to {to}");
    }
}

#[tokio::test]
async fn a_search_on_a_server_ends_with_its_time() {
    let house = house(Vec::new()).await;
    let text = match house.database.engine() {
        db::Engine::Sqlite => return,
        db::Engine::MySql(_) => "SELECT sleep(600)",
        db::Engine::PostgreSql => "SELECT 1 FROM pg_sleep(600)",
    };
    let readers = house.database.readers();
    let outcome = readers.value::<i64>(house.database.sql(text).within(Duration::from_millis(100))).await;
    assert!(matches!(outcome, Err(db::Error::TooLong)), "{outcome:?}");
    let time_left = readers.value::<i64>(house.database.sql("SELECT 7").within(Duration::from_secs(60))).await;
    assert_eq!(time_left.unwrap(), 7);
}
