//! Figures out of a real database, and how they are compared.

use testkit::FreshDatabase;

use super::{super::tally::Tally, *};
use crate::db::{Source as _, testing};

fn at(text: &str) -> DateTime<Utc> {
    Timestamp::parse_stored(text).unwrap().0
}

fn counts(successes: i64, failures: i64) -> Counts {
    Counts { successes, failures, ..Counts::default() }
}

async fn house(hours: &[(&str, GroupId, Counts)]) -> (FreshDatabase, Database) {
    let (place, database) = testing::fresh().await;
    store(&database, hours).await;
    (place, database)
}

/// For what is about files: texts of times with a zone, row ids, the plans of SQLite.
async fn house_of_file(hours: &[(&str, GroupId, Counts)]) -> (FreshDatabase, Database) {
    let (place, database) = testing::fresh_file().await;
    store(&database, hours).await;
    (place, database)
}

async fn store(database: &Database, hours: &[(&str, GroupId, Counts)]) {
    let mut transaction = database.begin().await.unwrap();
    for (hour, group_id, counts) in hours {
        let tally = Tally { hour: Timestamp(at(hour)), group_id: *group_id, counts: *counts };
        queries::add_tally(&mut transaction, tally).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn execute(database: &Database, statement: &str) {
    database.run(statement).await;
}

#[tokio::test]
async fn a_group_s_windows_end_with_the_current_hour() {
    let now = at("2026-11-23 10:15:00+00:00");
    let (_folder, database) = house(&[
        ("2026-11-23 10:00:00+00:00", 1, Counts { successes: 1, failures: 2, retries: 3, aborted: 4 }),
        ("2026-11-22 11:00:00+00:00", 1, counts(10, 0)),
        ("2026-11-22 10:00:00+00:00", 1, counts(100, 0)),
        ("2026-11-16 11:00:00+00:00", 1, counts(1_000, 0)),
        ("2026-11-16 10:00:00+00:00", 1, counts(10_000, 0)),
        ("2026-10-24 11:00:00+00:00", 1, counts(100_000, 0)),
        ("2026-10-24 10:00:00+00:00", 1, counts(1_000_000, 0)),
        ("2026-11-23 11:00:00+00:00", 1, counts(1_000_000, 0)),
        ("2026-11-23 10:00:00+00:00", 2, counts(1_000_000, 0)),
    ])
    .await;
    let with = |successes| Counts { successes, failures: 2, retries: 3, aborted: 4 };
    assert_eq!(
        of_group(&database, 1, now).await.unwrap(),
        Windows { day: with(11), week: with(1_111), month: with(111_111) }
    );
    assert_eq!(of_group(&database, 3, now).await.unwrap(), Windows::default());
}

#[tokio::test]
async fn counts_add_up_in_a_row_that_the_original_began() {
    let hour = "2026-11-23 10:00:00+00:00";
    let (_folder, database) = house(&[]).await;
    execute(
        &database,
        "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count)
         VALUES ('2026-11-23 10:00:00+00:00', 1, 5, 6)",
    )
    .await;
    let one = Counts { successes: 1, failures: 1, retries: 1, aborted: 1 };
    for _ in 0..2 {
        let mut transaction = database.begin().await.unwrap();
        let tally = Tally { hour: Timestamp(at(hour)), group_id: 1, counts: one };
        queries::add_tally(&mut transaction, tally).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let day = of_group(&database, 1, at(hour)).await.unwrap().day;
    assert_eq!(day, Counts { successes: 7, failures: 8, retries: 2, aborted: 2 });
}

#[tokio::test]
async fn the_last_day_counts_by_the_beginning_of_an_hour() {
    let now = at("2026-11-23 10:15:00+00:00");
    let (_folder, database) = house(&[
        ("2026-11-23 10:00:00+00:00", 1, counts(1, 0)),
        ("2026-11-22 11:00:00+00:00", 2, counts(2, 1)),
        ("2026-11-22 10:00:00+00:00", 1, counts(4, 0)),
        ("2026-11-21 11:00:00+00:00", 2, counts(8, 0)),
        ("2026-11-21 10:00:00+00:00", 1, counts(16, 0)),
    ])
    .await;
    let expected = Overview { current: counts(3, 1), previous: counts(12, 0) };
    assert_eq!(overview(&database, now).await.unwrap(), expected);
    // On the hour, that hour has not begun before now, and the one of yesterday is not older than a day.
    let expected = Overview { current: counts(6, 1), previous: counts(8 + 16, 0) };
    assert_eq!(overview(&database, at("2026-11-23 10:00:00+00:00")).await.unwrap(), expected);
}

#[tokio::test]
async fn hours_of_other_zones_count_as_the_instants_that_they_are() {
    let now = at("2026-11-23 10:15:00+00:00");
    let (_folder, database) = house_of_file(&[("2026-11-23 10:00:00+00:00", 1, counts(1, 0))]).await;
    execute(
        &database,
        "INSERT INTO group_hourly_stats (time, group_id, success_count) VALUES
         ('2026-11-23 18:00:00+08:00', 1, 2), ('2026-11-22 19:00:00+08:00', 1, 4), ('2026-11-22 18:00:00+08:00', 1, 8),
         ('2026-11-23 00:00:00-10:00', 1, 16), ('2026-11-22 01:00:00-10:00', 1, 32), ('no time', 1, 64)",
    )
    .await;
    assert_eq!(of_group(&database, 1, now).await.unwrap().day, counts(1 + 2 + 4 + 16 + 32, 0));
    let points = last_day(&database, Scope::Group(1), now).await.unwrap();
    assert_eq!((points[0].begin, points[0].counts), (at("2026-11-22 11:00:00+00:00"), counts(4 + 32, 0)));
    assert_eq!((points[23].begin, points[23].counts), (at("2026-11-23 10:00:00+00:00"), counts(1 + 2 + 16, 0)));
    assert_eq!(points.len(), 24);
}

#[tokio::test]
async fn what_came_through_an_aggregate_counts_once_also_when_it_is_gone() {
    let now = at("2026-11-23 10:15:00+00:00");
    let hour = "2026-11-23 10:00:00+00:00";
    // 1 is standard; 2 is an aggregate, 3 was one; 4 was a standard group.
    let (_folder, database) =
        house(&[(hour, 1, counts(1, 0)), (hour, 2, counts(2, 0)), (hour, 3, counts(4, 0)), (hour, 4, counts(8, 0))])
            .await;
    execute(
        &database,
        "INSERT INTO groups (id, name, group_type, upstreams, channel_type, test_model) VALUES
           (1, 'a', 'standard', '[]', 'openai', ''), (2, 'all', 'aggregate', '[]', 'openai', '');
         INSERT INTO request_logs (id, timestamp, group_id, parent_group_id, is_success, status_code, duration, is_stream)
           VALUES ('x', '2026-11-20 10:00:00+00:00', 1, 3, true, 200, 1, false)",
    )
    .await;
    assert_eq!(overview(&database, now).await.unwrap().current, counts(1 + 8, 0));
    let total = |points: Vec<Point>| points.into_iter().map(|point| point.counts).sum::<Counts>();
    assert_eq!(total(last_day(&database, Scope::All, now).await.unwrap()), counts(1 + 8, 0));
    assert_eq!(total(last_day(&database, Scope::Group(2), now).await.unwrap()), counts(2, 0));
}

#[tokio::test]
async fn the_figures_of_a_deleted_aggregate_go_and_those_of_a_standard_group_stay() {
    let hour = "2026-11-23 10:00:00+00:00";
    let (_folder, database) = house(&[(hour, 1, counts(1, 0)), (hour, 2, counts(2, 0))]).await;
    execute(
        &database,
        "INSERT INTO groups (id, name, group_type, upstreams, channel_type, test_model) VALUES
         (1, 'a', 'standard', '[]', 'openai', ''), (2, 'all', 'aggregate', '[]', 'openai', '')",
    )
    .await;
    let mut transaction = database.begin().await.unwrap();
    for group in [1, 2] {
        queries::delete_of_aggregate(&mut transaction, group).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let left: Vec<i64> = database.column_of("SELECT group_id FROM group_hourly_stats").await;
    assert_eq!(left, [1]);
}

#[tokio::test]
async fn the_rate_counts_requests_and_no_attempt_that_another_followed() {
    let now = at("2026-11-23 10:30:00+00:00");
    let (_folder, database) = house(&[]).await;
    // Not in the order of their times, as those of several threads are not.
    execute(
        &database,
        "INSERT INTO request_logs (id, timestamp, group_id, request_type, is_success, status_code, duration, is_stream)
         VALUES
         ('1', '2026-11-23 10:25:00+00:00', 1, 'retry', false, 500, 1, false),
         ('2', '2026-11-23 10:24:59.5+00:00', 1, 'final', true, 200, 1, false),
         ('3', '2026-11-23 10:20:00+00:00', 1, 'final', true, 200, 1, false),
         ('4', '2026-11-23 10:19:59.999+00:00', 1, 'final', true, 200, 1, false),
         ('5', '2026-11-23 10:10:00+00:00', 1, 'retry', false, 500, 1, false),
         ('6', '2026-11-23 10:29:59.999+00:00', 1, 'final', false, 499, 1, false),
         ('7', '2026-11-23 10:09:59.999+00:00', 1, 'final', true, 200, 1, false),
         ('8', '2026-11-23 10:30:00+00:00', 1, 'final', true, 200, 1, false)",
    )
    .await;
    let (rate, change) = rate(&database, now).await.unwrap();
    assert!((rate - 0.3).abs() < 1e-9, "{rate}");
    assert_eq!(change, Change { trend: 200.0, is_good: true });
}

#[tokio::test]
async fn many_requests_are_counted_as_exactly_as_few() {
    let (_folder, database) = house_of_file(&[]).await;
    // A hundred a second for ten minutes; of each ten rows the times are shuffled.
    execute(
        &database,
        "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 59999)
         INSERT INTO request_logs (id, timestamp, group_id, request_type, is_success, status_code, duration, is_stream)
         SELECT n, strftime('%Y-%m-%d %H:%M:%f+00:00', '2026-11-23 10:00:00', ((n + 7 * n % 10) / 100.0) || ' seconds'), 1,
                iif(n % 3 = 0, 'retry', 'final'), 1, 200, 1, 0 FROM numbers",
    )
    .await;
    for (from, to) in [("10:00:00", "10:10:00"), ("10:00:30.05", "10:09:30.05"), ("10:05:00.05", "10:06:00.05")] {
        let [from, to] = [from, to].map(|time| at(&format!("2026-11-23 {time}+00:00")));
        let sql = database
            .sql("SELECT count(*) FROM request_logs WHERE request_type = 'final' AND timestamp >= ? AND timestamp < ?");
        let expected: i64 = database.readers().value(sql.bind(Timestamp(from)).bind(Timestamp(to))).await.unwrap();
        assert!(expected > 3_000, "{expected}");
        assert_eq!(queries::requests_logged(database.readers(), (from, to)).await.unwrap(), expected, "{from} {to}");
    }
}

/// No statement reads rows that it does not have to.
#[tokio::test]
async fn figures_are_counted_in_indexes() {
    let (_folder, database) = house_of_file(&[]).await;
    let plan = async |statement: &'static str| -> String {
        let rows: Vec<(i64, i64, i64, String)> = database.rows_of(statement).await;
        rows.into_iter().map(|(.., detail)| detail).collect()
    };
    let rows = plan(
        "EXPLAIN QUERY PLAN SELECT count(*), min(rowid), max(rowid) FROM request_logs \
         INDEXED BY idx_request_logs_timestamp WHERE timestamp >= '' AND timestamp < ''",
    );
    assert!(rows.await.contains("COVERING INDEX idx_request_logs_timestamp (timestamp>? AND timestamp<?)"));
    let retries = plan(
        "EXPLAIN QUERY PLAN SELECT count(*) FROM request_logs INDEXED BY idx_request_logs_request_type \
         WHERE request_type = 'retry' AND request_type <> 'final' AND rowid BETWEEN 1 AND 2",
    );
    assert!(retries.await.contains("idx_request_logs_request_type (request_type=? AND rowid>? AND rowid<?)"));
    let parent = plan(
        "EXPLAIN QUERY PLAN SELECT 1 FROM group_hourly_stats WHERE NOT EXISTS (SELECT 1 FROM request_logs \
         WHERE parent_group_id = group_hourly_stats.group_id AND parent_group_id <> 0)",
    );
    assert!(parent.await.contains("COVERING INDEX idx_request_logs_parent_group_id"));
    let group =
        plan("EXPLAIN QUERY PLAN SELECT 1 FROM group_hourly_stats WHERE time >= '' AND time < '' AND group_id = 5");
    assert!(group.await.contains("idx_gpt_load_hours_of_group (group_id=? AND time>? AND time<?)"));
}

#[test]
fn a_figure_grows_in_percent_of_what_it_was() {
    #[track_caller]
    fn check(current: i64, previous: i64, trend: f64, is_good: bool) {
        assert_eq!(growth(current, previous), Change { trend, is_good });
    }
    check(0, 0, 0.0, true);
    check(7, 0, 100.0, true);
    check(0, 7, -100.0, false);
    check(10, 8, 25.0, true);
    check(8, 8, 0.0, true);
    check(17, 15, 13.333_333_333_333_334, true);
}

#[test]
fn an_error_rate_moves_in_points_and_falls_to_be_good() {
    #[track_caller]
    fn check(current: Counts, previous: Counts, trend: f64, is_good: bool) {
        assert_eq!(Overview { current, previous }.error_rate_change(), Change { trend, is_good });
    }
    check(counts(0, 0), counts(0, 0), 0.0, true);
    check(counts(3, 1), counts(0, 0), 25.0, false);
    check(counts(4, 0), counts(0, 0), 0.0, true);
    check(counts(3, 1), counts(1, 1), -25.0, true);
    check(counts(1, 1), counts(3, 1), 25.0, false);
    check(counts(3, 1), counts(3, 1), 0.0, false);
    check(counts(0, 0), counts(3, 1), -25.0, true);
}
