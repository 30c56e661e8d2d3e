//! Entries on their way into a real database.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{TimeZone, Utc};
use testkit::FreshDatabase;

use super::*;
use crate::{
    crypto::Secret,
    db::{
        Source as _, Timestamp,
        testing::{fresh, fresh_file},
    },
    group::Key,
    request_log::{
        Verdict,
        testing::{entry, group, key},
    },
};

struct House {
    place: FreshDatabase,
    database: Database,
    log: RequestLog,
    writer: Writer,
}

async fn house() -> House {
    house_in(fresh().await, Cipher::new(None)).await
}

/// For what is about files alone: how uses of keys are counted there, from row ids.
async fn house_of_file() -> House {
    house_in(fresh_file().await, Cipher::new(None)).await
}

async fn house_in((place, database): (FreshDatabase, Database), cipher: Cipher) -> House {
    let log = RequestLog::new(1);
    let mut writer = Writer::new(log.clone(), database.clone(), cipher);
    writer.write(false).await.unwrap();
    House { place, database, log, writer }
}

impl House {
    async fn write(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.log.submit(0, entry);
        }
        self.writer.write(false).await.unwrap();
    }

    async fn execute(&self, statement: &str) {
        self.database.run(statement).await;
    }

    /// Keys 1 to `count` of group 1, with the hashes of `sk-1` and so on.
    async fn add_keys(&self, count: i64) {
        let columns = "(id, name, upstreams, channel_type, test_model)";
        self.execute(&format!("INSERT INTO groups {columns} VALUES (1, 'team', '[]', 'openai', '')")).await;
        let cipher = Cipher::new(None);
        let row = |id: i64| format!("({id}, '', '{}', 1)", cipher.hash(&format!("sk-{id}")));
        let rows: Vec<String> = (1..=count).map(row).collect();
        let insert = "INSERT INTO api_keys (id, key_value, key_hash, group_id) VALUES";
        self.execute(&format!("{insert} {}", rows.join(","))).await;
    }

    async fn count(&self) -> i64 {
        self.database.value_of("SELECT count(*) FROM request_logs").await
    }

    async fn tallies(&self) -> Vec<(String, i64, i64, i64)> {
        let text =
            "SELECT time, group_id, success_count, failure_count FROM group_hourly_stats ORDER BY time, group_id";
        let rows: Vec<(Timestamp, i64, i64, i64)> = self.database.rows_of(text).await;
        rows.into_iter().map(|(hour, group, good, bad)| (hour.to_stored(), group, good, bad)).collect()
    }

    async fn uses(&self) -> Vec<(i64, Option<Timestamp>)> {
        self.database.rows_of("SELECT request_count, last_used_at FROM api_keys ORDER BY id").await
    }

    /// The one row that there is.
    async fn row(&self) -> db::Row {
        let mut rows = self.database.readers().rows(self.database.sql("SELECT * FROM request_logs")).await.unwrap();
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }

    async fn requests_of_keys(&self) -> Vec<i64> {
        self.uses().await.into_iter().map(|(requests, _)| requests).collect()
    }

    /// The program is killed: what is in memory only is gone. Then it starts again.
    async fn restart_after_kill(&mut self) {
        self.writer = Writer::new(self.log.clone(), self.database.clone(), Cipher::new(None));
        self.writer.write(false).await.unwrap();
    }
}

fn use_of(id: i64) -> Entry {
    Entry { key: Some(key(id, 1, &format!("sk-{id}"))), ..entry(200) }
}

#[tokio::test]
async fn every_field_has_its_column() {
    let cipher = Cipher::new(Some(&Secret::new("a passphrase")));
    let mut house = house_in(fresh().await, cipher.clone()).await;
    let original = Entry {
        kind: Kind::Retry,
        attempt: 2,
        parent: Some(group(7, "all")),
        key: Some(key(3, 1, "sk-3-0123456789abcdef")),
        status: 429,
        verdict: Verdict::KeyForNow,
        client_key: Some(Arc::from("#1")),
        sent_model: Some("gpt-4o-mini".repeat(50)),
        upstream_request_id: Some("r".repeat(200).into()),
        error_message: "slow down".into(),
        is_stream: true,
        request_body: Some("{}".to_owned()),
        ..entry(0)
    };
    let request_id = original.request_id;
    house.write([original]).await;
    let row = house.row().await;
    let text = |name: &str| row.get::<String>(name).unwrap();
    let number = |name: &str| row.get::<i64>(name).unwrap();
    let flag = |name: &str| row.get::<bool>(name).unwrap();
    assert_eq!(text("id").len(), 36);
    assert_eq!(row.get::<Timestamp>("timestamp").unwrap().to_stored(), "2026-11-23 10:15:30+00:00");
    assert_eq!((number("group_id"), text("group_name")), (1, "team".to_owned()));
    assert_eq!((number("parent_group_id"), text("parent_group_name")), (7, "all".to_owned()));
    assert_eq!(text("key_value"), "sk-3****cdef", "no copy of the key");
    assert_eq!(text("key_hash"), cipher.hash("sk-3-0123456789abcdef"));
    assert_eq!(text("model"), "gpt-4o");
    assert_eq!((flag("is_success"), number("status_code")), (false, 429));
    assert_eq!(text("source_ip"), "203.0.113.9");
    assert_eq!(text("request_path"), "/proxy/team/v1/chat/completions");
    assert_eq!(number("duration"), 250);
    assert_eq!(text("error_message"), "slow down");
    assert_eq!(text("user_agent"), "sdk/1.0");
    assert_eq!(text("request_type"), "retry");
    assert_eq!(text("upstream_addr"), "https://api.example.com/v1/chat/completions");
    assert!(flag("is_stream"));
    assert_eq!(text("request_body"), "{}");
    assert_eq!(text("request_id"), request_id.to_string());
    assert_eq!((number("attempt"), number("first_byte_ms"), number("overhead_us")), (2, 90, 85));
    assert_eq!((text("verdict"), text("client_key")), ("key_for_now".to_owned(), "#1".to_owned()));
    assert!(text("sent_model").starts_with("gpt-4o-minigpt") && text("sent_model").len() == 255);
    assert_eq!(text("upstream_request_id"), "r".repeat(128));
}

#[tokio::test]
async fn what_is_unknown_is_stored_as_the_original_does() {
    let mut house = house().await;
    let refused = Entry { group: None, first_byte: None, source_ip: None, ..entry(404) };
    house.write([refused]).await;
    let row = house.row().await;
    for column in ["group_id", "parent_group_id"] {
        assert_eq!(row.get::<i64>(column).unwrap(), 0, "{column}");
    }
    for column in ["group_name", "parent_group_name", "key_value", "key_hash", "source_ip", "request_body"] {
        assert_eq!(row.get::<String>(column).unwrap(), "", "{column}");
    }
    assert_eq!(row.get::<Option<i64>>("first_byte_ms").unwrap(), None);
    assert_eq!(house.tallies().await, [], "a request to no group is in no group's figures");
}

#[tokio::test]
async fn long_texts_are_cut_between_characters_and_lose_their_nul() {
    let mut house = house().await;
    let long = |characters: usize| format!("\0{}", "é".repeat(characters));
    house
        .write([Entry {
            model: long(300),
            request_path: long(600),
            user_agent: long(600),
            upstream_addr: long(600),
            error_message: long(40_000).into(),
            ..entry(200)
        }])
        .await;
    let row = house.row().await;
    for (column, characters) in
        [("model", 255), ("request_path", 500), ("user_agent", 512), ("upstream_addr", 500), ("error_message", 30_000)]
    {
        assert_eq!(row.get::<String>(column).unwrap(), "é".repeat(characters), "{column}");
    }
}

#[tokio::test]
async fn any_number_of_entries_is_written_in_their_order() {
    let mut house = house().await;
    let statuses: Vec<u16> = (0..5_000).map(|index| 200 + index % 700).collect();
    house.write(statuses.iter().map(|status| entry(*status))).await;
    let statuses: Vec<i64> = statuses.into_iter().map(i64::from).collect();
    if house.database.engine().is_sqlite() {
        let stored: Vec<i64> = house.database.column_of("SELECT status_code FROM request_logs ORDER BY rowid").await;
        assert_eq!(stored, statuses);
    }
    let by_id: Vec<i64> = house.database.column_of("SELECT status_code FROM request_logs ORDER BY id").await;
    assert_eq!(by_id, statuses, "ids ascend");
}

#[tokio::test]
async fn one_bad_entry_costs_only_itself() {
    let mut house = house().await;
    house
        .execute(if house.database.engine().is_sqlite() {
            "CREATE TRIGGER refuse BEFORE INSERT ON request_logs WHEN NEW.model = 'bad'
             BEGIN SELECT RAISE(ABORT, 'no'); END"
        } else {
            "ALTER TABLE request_logs ADD CONSTRAINT refuse CHECK (model <> 'bad')"
        })
        .await;
    let bad = || Entry { model: "bad".to_owned(), ..entry(200) };
    let mut entries: Vec<Entry> = (0..200).map(|_| entry(200)).collect();
    entries.insert(150, bad());
    entries.insert(3, bad());
    house.write(entries).await;
    assert_eq!(house.count().await, 200);
    assert_eq!(house.log.dropped(), 2);
    assert_eq!(house.tallies().await, [("2026-11-23 10:00:00+00:00".to_owned(), 1, 200, 0)]);
}

#[tokio::test]
async fn entries_wait_for_a_database_that_is_away() {
    let mut house = house().await;
    house.execute("ALTER TABLE request_logs RENAME TO elsewhere").await;
    house.log.submit(0, entry(200));
    let outcome = house.writer.write(false).await;
    house.writer.report(outcome);
    assert!(house.log.is_failing());
    house.log.submit(0, entry(500));
    assert!(house.writer.write(false).await.is_err());
    house.execute("ALTER TABLE elsewhere RENAME TO request_logs").await;
    let outcome = house.writer.write(false).await;
    house.writer.report(outcome);
    assert!(!house.log.is_failing());
    assert_eq!(house.count().await, 2);
    assert_eq!(house.log.dropped(), 0);
    assert_eq!(house.tallies().await, [("2026-11-23 10:00:00+00:00".to_owned(), 1, 1, 1)]);
}

#[tokio::test]
async fn stopping_writes_what_is_left() {
    let mut house = house().await;
    house.add_keys(1).await;
    let stop = CancellationToken::new();
    let writer = Writer::new(house.log.clone(), house.database.clone(), Cipher::new(None));
    let task = tokio::spawn(std::mem::replace(&mut house.writer, writer).run(stop.clone()));
    house.log.submit(0, use_of(1));
    stop.cancel();
    task.await.unwrap();
    assert_eq!(house.count().await, 1);
    assert_eq!(house.requests_of_keys().await, [1]);
}

#[tokio::test]
async fn hours_count_what_clients_got_for_the_group_and_its_aggregate() {
    let mut house = house().await;
    let through_aggregate = |entry: Entry| Entry { parent: Some(group(7, "all")), ..entry };
    let next_hour = Utc.with_ymd_and_hms(2026, 11, 23, 11, 0, 0).unwrap();
    house
        .write([
            through_aggregate(Entry { kind: Kind::Retry, ..entry(429) }),
            through_aggregate(entry(200)),
            entry(404),
            entry(499),
            Entry { error_message: "the upstream broke off".into(), ..entry(200) },
        ])
        .await;
    house.write([entry(200), Entry { ended_at: next_hour, ..entry(200) }]).await;
    let hour = |number: u32| format!("2026-11-23 {number}:00:00+00:00");
    assert_eq!(house.tallies().await, [(hour(10), 1, 2, 2), (hour(10), 7, 1, 0), (hour(11), 1, 1, 0)]);
}

#[tokio::test]
async fn the_hourly_figures_equal_the_rows() {
    let mut house = house().await;
    let mut entries = Vec::new();
    for number in 0..400_u16 {
        entries.push(Entry {
            kind: if number % 3 == 0 { Kind::Retry } else { Kind::Final },
            ended_at: Utc.with_ymd_and_hms(2026, 11, 23, 8 + u32::from(number % 5), 59, 59).unwrap(),
            group: (number % 11 != 0).then(|| group((number % 4 + 1).into(), "team")),
            parent: (number % 2 == 0).then(|| group(7, "all")),
            error_message: if number % 13 == 0 { "broke off".into() } else { "".into() },
            ..entry([200, 404, 499, 502, 200, 301, 200][usize::from(number % 7)])
        });
    }
    house.write(entries).await;
    let of_rows =
        "SELECT timestamp, group_id, parent_group_id, request_type, status_code, is_success FROM request_logs";
    let mut rows: BTreeMap<(Timestamp, i64), [i64; 4]> = BTreeMap::new();
    let stored: Vec<(Timestamp, i64, i64, String, i64, bool)> = house.database.rows_of(of_rows).await;
    for (time, group_id, parent_id, kind, status, is_success) in stored {
        let outcome = match (&*kind, status, is_success) {
            ("retry", ..) => 2,
            (_, 499, _) => 3,
            (_, _, true) => 0,
            (_, _, false) => 1,
        };
        for group_id in [group_id, parent_id].into_iter().filter(|id| *id > 0) {
            rows.entry((time.hour(), group_id)).or_default()[outcome] += 1;
        }
    }
    let of_hours =
        "SELECT time, group_id, success_count, failure_count, retry_count, aborted_count FROM group_hourly_stats";
    let hours: Vec<(Timestamp, i64, i64, i64, i64, i64)> = house.database.rows_of(of_hours).await;
    let hours: BTreeMap<_, _> = hours.into_iter().map(|(hour, id, a, b, c, d)| ((hour, id), [a, b, c, d])).collect();
    assert_eq!(hours, rows);
    let has_all = |counts: &[i64; 4]| counts.iter().all(|count| *count > 0);
    assert!(rows.len() > 20 && rows.values().any(has_all), "all kinds occur: {rows:?}");
}

#[tokio::test]
async fn every_use_of_a_key_counts_and_its_last_use_never_moves_back() {
    let mut house = house().await;
    house.add_keys(3).await;
    // In Shanghai's wall clock the first is earlier than our entries, and looks later; the second is later.
    let (first, second) = if house.database.engine().is_sqlite() {
        ("2026-11-23 18:00:00+08:00", "2026-11-23 18:30:00+08:00")
    } else {
        ("2026-11-23 10:00:00+00:00", "2026-11-23 10:30:00+00:00")
    };
    house.execute(&format!("UPDATE api_keys SET last_used_at = '{first}' WHERE id = 1")).await;
    house.execute(&format!("UPDATE api_keys SET last_used_at = '{second}' WHERE id = 2")).await;
    let earlier = Utc.with_ymd_and_hms(2026, 11, 23, 9, 0, 0).unwrap();
    house
        .write([
            use_of(1),
            Entry { ended_at: earlier, kind: Kind::Retry, status: 429, ..use_of(1) },
            use_of(2),
            Entry { status: 499, ..use_of(3) },
        ])
        .await;
    house.writer.write(true).await.unwrap();
    let at = |text| Timestamp::parse_stored(text);
    let (ours, later) = (at("2026-11-23 10:15:30+00:00"), at("2026-11-23 10:30:00+00:00"));
    assert_eq!(house.uses().await, [(2, ours), (1, later), (1, ours)]);
}

#[tokio::test]
async fn what_a_kill_swallows_is_counted_from_the_rows() {
    let mut house = house_of_file().await;
    house.add_keys(2).await;
    house.write([use_of(1), use_of(2), use_of(1)]).await;
    assert_eq!(house.requests_of_keys().await, [0, 0], "counts are stored later");
    house.restart_after_kill().await;
    assert_eq!(house.requests_of_keys().await, [2, 1]);
    house.restart_after_kill().await;
    assert_eq!(house.requests_of_keys().await, [2, 1], "and only once");
    house.write([use_of(2)]).await;
    house.writer.write(true).await.unwrap();
    house.restart_after_kill().await;
    assert_eq!(house.requests_of_keys().await, [2, 2], "after an orderly end there is nothing to count again");
}

#[tokio::test]
async fn a_kill_between_two_lots_counts_nothing_twice() {
    let mut house = house_of_file().await;
    let keys = 5_003;
    house.add_keys(keys).await;
    house.write((1..=keys).map(use_of)).await;
    let Some(Usage::Later(mut usage)) = house.writer.usage.take() else { panic!("a file counts later") };
    usage.store(&house.database).await.unwrap();
    let stored: i64 = house.requests_of_keys().await.iter().sum();
    assert_eq!(stored, 5_000, "one lot is stored");
    house.write([use_of(1)]).await;
    house.restart_after_kill().await;
    let mut expected = vec![1; 5_003];
    expected[0] = 2;
    assert_eq!(house.requests_of_keys().await, expected);
}

#[tokio::test]
async fn row_ids_that_start_anew_are_counted() {
    let mut house = house_of_file().await;
    house.add_keys(1).await;
    house.write((0..5).map(|_| use_of(1))).await;
    house.writer.write(true).await.unwrap();
    house.execute("DELETE FROM request_logs").await;
    house.write([use_of(1)]).await;
    house.restart_after_kill().await;
    assert_eq!(house.requests_of_keys().await, [6]);
}

#[tokio::test]
async fn rows_that_the_original_wrote_are_not_counted_again() {
    let mut house = house_of_file().await;
    house.add_keys(1).await;
    house.write([use_of(1)]).await;
    house.execute("UPDATE request_logs SET request_id = NULL").await;
    house.restart_after_kill().await;
    assert_eq!(house.requests_of_keys().await, [0]);
}

#[tokio::test]
async fn each_row_has_its_own_key() {
    let mut house = house().await;
    let uses = [key(1, 1, "sk-1"), key(2, 1, "sk-2"), key(1, 1, "sk-1")];
    house.write(uses.map(|key: Arc<Key>| Entry { key: Some(key), ..entry(200) })).await;
    let hashes: Vec<String> = house.database.column_of("SELECT key_hash FROM request_logs ORDER BY id").await;
    assert_eq!(hashes, ["sk-1", "sk-2", "sk-1"].map(|text| Cipher::new(None).hash(text)));
}

#[tokio::test]
async fn entries_that_are_too_long_for_one_statement_take_several() {
    let mut house = house().await;
    let body = || Some("é".repeat(32_500));
    house.write((0..200).map(|_| Entry { request_body: body(), ..entry(200) })).await;
    assert_eq!((house.count().await, house.log.dropped()), (200, 0));
}

#[tokio::test]
async fn a_time_is_cut_and_never_moves_into_the_next_hour() {
    let mut house = house().await;
    house.add_keys(1).await;
    let last = Utc.with_ymd_and_hms(2026, 11, 23, 10, 59, 59).unwrap() + chrono::TimeDelta::nanoseconds(999_999_999);
    house.write([Entry { ended_at: last, ..use_of(1) }]).await;
    house.writer.write(true).await.unwrap();
    let stored: Timestamp = house.row().await.get("timestamp").unwrap();
    assert_eq!(stored.hour().to_stored(), "2026-11-23 10:00:00+00:00");
    assert_eq!(house.uses().await, [(1, Some(stored))]);
    assert_eq!(house.tallies().await[0].0, "2026-11-23 10:00:00+00:00");
}

#[path = "writer_server_tests.rs"]
mod servers;
