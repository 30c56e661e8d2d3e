//! The figures of all groups at once, as a board of them shows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    Counts, Point, Span,
    figures::{DAY_HOURS, HOUR, RATE_MINUTES, float, hour_of},
    queries,
};
use crate::{
    db::{self, Database},
    group::GroupId,
};

/// Of the requests of the last minutes, so many are looked at; beyond, each of them stands for others.
const ROWS_READ_MAX: i64 = 20_000;

/// What was asked of one group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupFigures {
    /// The last 24 hours one by one, the oldest first, the current one last.
    pub(crate) hours: Vec<Point>,
    /// Over the last ten minutes.
    pub(crate) requests_per_minute: f64,
}

impl GroupFigures {
    pub(crate) fn day(&self) -> Counts {
        self.hours.iter().map(|point| point.counts).sum()
    }

    /// The current hour and the one before.
    pub(crate) fn lately(&self) -> Counts {
        self.hours.iter().rev().take(2).map(|point| point.counts).sum()
    }
}

/// Of each of these groups.
pub(crate) async fn by_group(
    database: &Database,
    ids: impl IntoIterator<Item = GroupId>,
    now: DateTime<Utc>,
) -> Result<HashMap<GroupId, GroupFigures>, db::Error> {
    let readers = database.readers();
    let last = hour_of(now);
    let first = last - HOUR * (DAY_HOURS - 1);
    let quiet: Vec<Point> =
        (0..DAY_HOURS).map(|number| Point { begin: first + HOUR * number, counts: Counts::default() }).collect();
    let mut figures: HashMap<GroupId, GroupFigures> =
        ids.into_iter().map(|id| (id, GroupFigures { hours: quiet.clone(), requests_per_minute: 0.0 })).collect();
    for (group_id, hour, counts) in queries::hours_by_group(readers, (first, last + HOUR)).await? {
        // What the original counted in a zone with half an hour belongs to the hour that it began in.
        let at = usize::try_from((hour - first).num_hours()).unwrap_or(usize::MAX);
        if let Some(point) = figures.get_mut(&group_id).and_then(|figures| figures.hours.get_mut(at)) {
            point.counts = [point.counts, counts].into_iter().sum();
        }
    }
    let span: Span = (now - chrono::TimeDelta::minutes(RATE_MINUTES.into()), now);
    for (group_id, requests) in queries::requests_by_group(readers, span, ROWS_READ_MAX).await? {
        if let Some(figures) = figures.get_mut(&group_id) {
            figures.requests_per_minute = float(requests.max(0)) / f64::from(RATE_MINUTES);
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        Timestamp,
        testing::{fresh, values},
    };

    fn at(text: &str) -> DateTime<Utc> {
        Timestamp::parse_stored(text).unwrap().0
    }

    async fn log_of(rows: usize, row: impl Fn(usize) -> String) -> (testkit::FreshDatabase, Database) {
        let (place, database) = fresh().await;
        let columns =
            "id, timestamp, group_id, parent_group_id, request_type, is_success, status_code, duration, is_stream";
        database.run(&format!("INSERT INTO request_logs ({columns}) {}", values(rows, row))).await;
        (place, database)
    }

    #[tokio::test]
    async fn each_group_has_its_own_hours_and_its_rate() {
        let row = |number: usize| {
            let (minute, group, parent, kind) = match number {
                1 => (14, 1, "NULL", "final"),
                2 => (13, 1, "2", "final"),
                3 => (13, 1, "2", "retry"),
                4 => (6, 2, "0", "final"),
                5 => (15, 1, "NULL", "final"),
                _ => (4, 1, "NULL", "final"),
            };
            format!(
                "'{number}', '2026-11-23 10:{minute:02}:00+00:00', {group}, {parent}, '{kind}', true, 200, 1, false"
            )
        };
        let (_place, database) = log_of(6, row).await;
        // Groups are known by their ids where a server counts by them.
        for id in 1..=3 {
            let group = format!("({id}, 'g{id}', '[]', 'openai', 'm')");
            database
                .run(&format!("INSERT INTO groups (id, name, upstreams, channel_type, test_model) VALUES {group}"))
                .await;
        }
        database
            .run(
                "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count, retry_count, aborted_count)
                 VALUES ('2026-11-23 10:00:00+00:00', 1, 5, 1, 2, 3), ('2026-11-22 11:00:00+00:00', 1, 7, 0, NULL, NULL),
                        ('2026-11-22 10:00:00+00:00', 1, 100, 0, 0, 0), ('2026-11-23 09:00:00+00:00', 2, 0, 4, 0, 0),
                        ('2026-11-23 09:00:00+00:00', 9, 50, 0, 0, 0)",
            )
            .await;
        let figures = by_group(&database, [1, 2, 3], at("2026-11-23 10:15:00+00:00")).await.unwrap();
        assert_eq!(figures.len(), 3);
        let counts = |successes, failures, retries, aborted| Counts { successes, failures, retries, aborted };
        assert_eq!(figures[&1].hours.len(), 24);
        assert_eq!(figures[&1].hours[0], Point { begin: at("2026-11-22 11:00:00+00:00"), counts: counts(7, 0, 0, 0) });
        assert_eq!(figures[&1].hours[23], Point { begin: at("2026-11-23 10:00:00+00:00"), counts: counts(5, 1, 2, 3) });
        assert_eq!(figures[&1].day(), counts(12, 1, 2, 3));
        assert_eq!((figures[&1].lately(), figures[&2].lately()), (counts(5, 1, 2, 3), counts(0, 4, 0, 0)));
        // From 10:05 on, and before 10:15.
        let rates = [1, 2, 3].map(|id| (figures[&id].requests_per_minute * 10.0).round().to_string());
        assert_eq!(rates, ["2", "2", "0"]);
    }

    #[tokio::test]
    async fn of_many_requests_some_stand_for_all() {
        let row = |number: usize| {
            let group = 1 + number / 1_001;
            format!("'{number}', '2026-11-23 10:14:00+00:00', {group}, NULL, 'final', true, 200, 1, false")
        };
        let (_place, database) = log_of(1_500, row).await;
        for id in 1..=2 {
            let group = format!("({id}, 'g{id}', '[]', 'openai', 'm')");
            database
                .run(&format!("INSERT INTO groups (id, name, upstreams, channel_type, test_model) VALUES {group}"))
                .await;
        }
        let span = (at("2026-11-23 10:05:00+00:00"), at("2026-11-23 10:15:00+00:00"));
        let requests = queries::requests_by_group(database.readers(), span, 150).await.unwrap();
        assert_eq!((requests[&1], requests[&2]), (1_000, 500));
    }
}
