//! Old entries are deleted, a few at a time, so that nobody waits for it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::queries;
use crate::db::{self, Database, Timestamp};

const INTERVAL: Duration = Duration::from_secs(600);
const ROWS_PER_LOT: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(50);
/// How far the clock on a wall can be ahead of UTC.
const AHEAD_MAX: TimeDelta = TimeDelta::hours(14);

pub(crate) struct Retention {
    database: Database,
    /// No row with a time text below this has another offset than ours.
    is_ours_below: Option<Timestamp>,
}

impl Retention {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, is_ours_below: None }
    }

    /// Deletes at once and every ten minutes what is older than `days()`; 0 keeps everything.
    pub(crate) async fn run(mut self, days: impl Fn() -> u32 + Send, stop: CancellationToken) {
        loop {
            let pass = self.delete_older_than(days(), Utc::now());
            match stop.run_until_cancelled(pass).await {
                Some(Ok(0)) => {}
                Some(Ok(deleted)) => tracing::info!(deleted, "Deleted {deleted} old entries of the request log"),
                Some(Err(error)) => tracing::error!(%error, "Cannot delete old entries of the request log"),
                None => return,
            }
            if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    async fn delete_older_than(&mut self, days: u32, now: DateTime<Utc>) -> Result<u64, db::Error> {
        let Some(cutoff) = TimeDelta::try_days(i64::from(days)).and_then(|age| now.checked_sub_signed(age)) else {
            return Ok(0);
        };
        if days == 0 {
            return Ok(0);
        }
        let cutoff = Timestamp(cutoff);
        let texts = if self.database.engine().is_sqlite() {
            Some((cutoff.to_stored(), self.texts_below(cutoff).await?.to_stored()))
        } else {
            None
        };
        let mut deleted = 0;
        loop {
            let mut transaction = self.database.begin().await?;
            let lot = match &texts {
                Some((cutoff, below)) => {
                    queries::delete_older_texts(&mut transaction, cutoff, below, ROWS_PER_LOT).await?
                }
                None => queries::delete_older(&mut transaction, cutoff, ROWS_PER_LOT).await?,
            };
            transaction.commit().await?;
            deleted += lot;
            if lot < u64::from(ROWS_PER_LOT) {
                return Ok(deleted);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Below which text a row's time may be older than the cut-off. The original writes its local time, so a row from
    /// a zone ahead of UTC is older than its text says; where there is none, the text of the cut-off itself is the
    /// limit, and hours of rows need not be looked at.
    async fn texts_below(&mut self, cutoff: Timestamp) -> Result<Timestamp, db::Error> {
        let end = Timestamp(cutoff.0 + AHEAD_MAX);
        let from = self.is_ours_below.map_or(cutoff, |below| below.max(cutoff));
        let readers = self.database.readers();
        if from < end && queries::has_foreign_offsets(readers, &from.to_stored(), &end.to_stored()).await? {
            return Ok(end);
        }
        self.is_ours_below = Some(end);
        Ok(cutoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing;

    async fn left_after(database: &Database, rows: &[&str], days: u32, now: &str) -> Vec<String> {
        for (index, timestamp) in rows.iter().enumerate() {
            let row = format!("('{index:05}', '{timestamp}', 1, true, 200, 1, false)");
            let insert =
                "INSERT INTO request_logs (id, timestamp, group_id, is_success, status_code, duration, is_stream)";
            database.run(&format!("{insert} VALUES {row}")).await;
        }
        let now = Timestamp::parse_stored(now).unwrap().0;
        Retention::new(database.clone()).delete_older_than(days, now).await.unwrap();
        let ids: Vec<String> = database.column_of("SELECT id FROM request_logs ORDER BY id").await;
        ids.iter().map(|id| rows[id.parse::<usize>().unwrap()].to_owned()).collect()
    }

    /// Only texts of a file have a zone.
    #[tokio::test]
    async fn instants_decide_whatever_the_zone_of_their_text() {
        let old = [
            "2026-11-20 09:59:59.999+00:00",
            "2026-11-20 17:59:59+08:00",
            "2026-11-20 23:59:59+14:00",
            "2026-11-20 00:29:59-09:30",
            "2026-11-20 15:29:59.5 +0530 IST",
        ];
        let kept = [
            "2026-11-20 10:00:00+00:00",
            "2026-11-20 18:00:01+08:00",
            "2026-11-20 02:00:01-08:00",
            "2026-11-21 00:00:01+14:00",
        ];
        let rows: Vec<&str> = old[..4].iter().chain(&kept).copied().collect();
        let (_place, database) = testing::fresh_file().await;
        assert_eq!(left_after(&database, &rows, 3, "2026-11-23 10:00:00+00:00").await, kept);
        // A form that SQLite does not read goes when its digits, taken as UTC, are old.
        let (_place, database) = testing::fresh_file().await;
        assert_eq!(left_after(&database, &old[4..], 3, "2026-11-23 16:00:00+00:00").await, [""; 0]);
    }

    #[tokio::test]
    async fn what_is_as_old_as_the_days_is_kept() {
        let (_place, database) = testing::fresh().await;
        let rows = ["2026-11-20 09:59:59.999+00:00", "2026-11-20 10:00:00+00:00", "2026-11-23 09:00:00+00:00"];
        assert_eq!(left_after(&database, &rows, 3, "2026-11-23 10:00:00+00:00").await, rows[1..]);
    }

    #[tokio::test]
    async fn zero_days_keep_everything() {
        let (_place, database) = testing::fresh().await;
        let rows = ["1999-01-01 00:00:00+00:00"];
        assert_eq!(left_after(&database, &rows, 0, "2026-11-23 10:00:00+00:00").await, rows);
    }

    #[tokio::test]
    async fn more_than_one_lot_is_deleted() {
        let (_place, database) = testing::fresh().await;
        let row = |index: u32| format!("('{index}', '2026-01-01 00:00:00+00:00', 1, true, 200, 1, false)");
        let rows: Vec<String> = (0..=ROWS_PER_LOT).map(row).collect();
        let insert = "INSERT INTO request_logs (id, timestamp, group_id, is_success, status_code, duration, is_stream)";
        database.run(&format!("{insert} VALUES {}", rows.join(","))).await;
        let now = Timestamp::parse_stored("2026-11-23 10:00:00+00:00").unwrap().0;
        let deleted = Retention::new(database.clone()).delete_older_than(1, now).await.unwrap();
        assert_eq!(deleted, u64::from(ROWS_PER_LOT) + 1);
        assert_eq!(database.value_of::<i64>("SELECT count(*) FROM request_logs").await, 0);
    }

    #[tokio::test]
    async fn only_new_hours_are_searched_for_foreign_rows() {
        let (_place, database) = testing::fresh_file().await;
        let mut retention = Retention::new(database);
        let cutoff = Timestamp::parse_stored("2026-11-20 10:00:00+00:00").unwrap();
        assert_eq!(retention.texts_below(cutoff).await.unwrap(), cutoff);
        assert_eq!(retention.is_ours_below, Timestamp::parse_stored("2026-11-21 00:00:00+00:00"));
    }
}
