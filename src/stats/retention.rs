//! Old hours are deleted, a few at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::queries;
use crate::db::{self, Database};

/// More than a year, so that a month can be compared with the same one of the year before.
const DAYS_KEPT: i64 = 400;
const INTERVAL: Duration = Duration::from_secs(6 * 3_600);
const ROWS_PER_LOT: u32 = 1_000;
/// The writer belongs to others between two lots.
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes at once and every six hours what is older than 400 days, until told to stop.
pub(crate) async fn delete_old_hours(database: Database, stop: CancellationToken) {
    loop {
        match stop.run_until_cancelled(delete_older(&database, Utc::now())).await {
            Some(Ok(0)) => {}
            Some(Ok(deleted)) => tracing::info!(deleted, "Deleted {deleted} hourly figures of long ago"),
            Some(Err(error)) => tracing::error!(%error, "Cannot delete hourly figures of long ago"),
            None => return,
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

async fn delete_older(database: &Database, now: DateTime<Utc>) -> Result<u64, db::Error> {
    let cutoff = now - TimeDelta::days(DAYS_KEPT);
    let mut deleted = 0;
    loop {
        let mut transaction = database.begin().await?;
        let lot = queries::delete_before(&mut transaction, cutoff, ROWS_PER_LOT).await?;
        transaction.commit().await?;
        deleted += lot;
        if lot < u64::from(ROWS_PER_LOT) {
            return Ok(deleted);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Timestamp, testing};

    #[tokio::test]
    async fn hours_of_long_ago_are_deleted_in_lots() {
        let (_place, database) = testing::fresh().await;
        let now = Timestamp::parse_stored("2026-11-23 10:15:00+00:00").unwrap().0;
        let old = i64::from(ROWS_PER_LOT) + 1;
        for (age, groups) in [(TimeDelta::days(DAYS_KEPT + 1), old), (TimeDelta::days(DAYS_KEPT - 1), 2)] {
            let hour = Timestamp(now - age).hour().to_stored();
            let rows: Vec<String> = (1..=groups).map(|group| format!("('{hour}', {group})")).collect();
            database.run(&format!("INSERT INTO group_hourly_stats (time, group_id) VALUES {}", rows.join(","))).await;
        }
        assert_eq!(delete_older(&database, now).await.unwrap(), old.unsigned_abs());
        assert_eq!(delete_older(&database, now).await.unwrap(), 0);
        assert_eq!(database.value_of::<i64>("SELECT count(*) FROM group_hourly_stats").await, 2);
    }
}
