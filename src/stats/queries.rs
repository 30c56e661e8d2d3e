//! All SQL of the figures.

use std::{fmt::Write as _, sync::LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool, Transaction};

use super::{
    Scope, Span,
    tally::{Counts, Tally},
};
use crate::{
    db::{GroupHourlyStats, Timestamp},
    group::GroupId,
};

/// How far a clock on a wall can be from UTC.
const WALL_CLOCK_OFFSET_MAX: TimeDelta = TimeDelta::hours(14);
/// Ids of rows ascend with the times of their entries, but for those that several threads handed over in one lot. So
/// between the first and the last row of a span, only those close to either end may have ended outside it.
const ROWS_OUT_OF_ORDER_MAX: i64 = 16_384;

/// Adds a tally to the stored figures.
pub(crate) async fn add_tally(transaction: &mut Transaction<'static, Sqlite>, tally: Tally) -> Result<(), sqlx::Error> {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        use GroupHourlyStats as S;
        let [table, time, group, success, failure, retry, aborted, created, updated] = [
            S::Table,
            S::Time,
            S::GroupId,
            S::SuccessCount,
            S::FailureCount,
            S::RetryCount,
            S::AbortedCount,
            S::CreatedAt,
            S::UpdatedAt,
        ]
        .map(GroupHourlyStats::name);
        let mut text = String::new();
        // Writing to a string cannot fail. The two columns of ours are NULL in a row that the original began.
        let _ = write!(
            text,
            "INSERT INTO {table} ({time}, {group}, {success}, {failure}, {retry}, {aborted}, {created}, {updated}) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT ({time}, {group}) DO UPDATE SET {success} = {success} + excluded.{success}, \
             {failure} = {failure} + excluded.{failure}, {retry} = coalesce({retry}, 0) + excluded.{retry}, \
             {aborted} = coalesce({aborted}, 0) + excluded.{aborted}, {updated} = excluded.{updated}"
        );
        text
    });
    let now = Timestamp::now();
    sqlx::query(TEXT.as_str())
        .bind(tally.hour)
        .bind(tally.group_id)
        .bind(tally.counts.successes)
        .bind(tally.counts.failures)
        .bind(tally.counts.retries)
        .bind(tally.counts.aborted)
        .bind(now)
        .bind(now)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The counts of each hour that begins within a span and has any, in no order.
pub(super) async fn hours(
    readers: &SqlitePool,
    scope: Scope,
    (from, to): Span,
) -> Result<Vec<(DateTime<Utc>, Counts)>, sqlx::Error> {
    // The text of an hour that the original wrote is its local time: the index finds what may be meant, the instant
    // decides. An aggregate that was deleted is known by the requests that came through it, as long as the log is kept;
    // that its id is not 0 is said for the sake of an index that has no others.
    let of_scope = match scope {
        Scope::Group(_) => "group_id = ?5",
        Scope::All => {
            "group_id NOT IN (SELECT id FROM groups WHERE group_type = 'aggregate') \
             AND (group_id IN (SELECT id FROM groups) \
                  OR NOT EXISTS (SELECT 1 FROM request_logs \
                                 WHERE parent_group_id = group_hourly_stats.group_id AND parent_group_id <> 0))"
        }
    };
    let text = format!(
        "SELECT unixepoch(time), sum(success_count), sum(failure_count), sum(coalesce(retry_count, 0)), \
           sum(coalesce(aborted_count, 0)) FROM group_hourly_stats \
         WHERE time >= ?1 AND time < ?2 AND unixepoch(time) >= ?3 AND unixepoch(time) < ?4 AND {of_scope} GROUP BY 1"
    );
    let mut query = sqlx::query_as::<_, (i64, i64, i64, i64, i64)>(AssertSqlSafe(text))
        .bind(Timestamp(from - WALL_CLOCK_OFFSET_MAX))
        .bind(Timestamp(to + WALL_CLOCK_OFFSET_MAX))
        .bind(first_second(from))
        .bind(first_second(to));
    if let Scope::Group(id) = scope {
        query = query.bind(id);
    }
    let rows = query.fetch_all(readers).await?;
    let hours = rows.into_iter().filter_map(|(second, successes, failures, retries, aborted)| {
        Some((DateTime::from_timestamp(second, 0)?, Counts { successes, failures, retries, aborted }))
    });
    Ok(hours.collect())
}

/// Hours begin at whole seconds, so the first second that is not before `at` is as good as `at`.
fn first_second(at: DateTime<Utc>) -> i64 {
    at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0)
}

/// How many requests the log has an end of within a span. Each is one row; the attempts that others followed are not
/// counted.
pub(super) async fn requests_logged(readers: &SqlitePool, (from, to): Span) -> Result<i64, sqlx::Error> {
    // Two indexes have all that is needed, whatever else is in the rows.
    let (rows, first, last): (i64, Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT count(*), min(rowid), max(rowid) FROM request_logs INDEXED BY idx_request_logs_timestamp \
         WHERE timestamp >= ? AND timestamp < ?",
    )
    .bind(Timestamp(from))
    .bind(Timestamp(to))
    .fetch_one(readers)
    .await?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(0) };
    let retries = if last - first > 2 * ROWS_OUT_OF_ORDER_MAX {
        let (middle_first, middle_last) = (first + ROWS_OUT_OF_ORDER_MAX, last - ROWS_OUT_OF_ORDER_MAX);
        retries_within(readers, (first, middle_first - 1), (from, to)).await?
            + retries(readers, (middle_first, middle_last)).await?
            + retries_within(readers, (middle_last + 1, last), (from, to)).await?
    } else {
        retries_within(readers, (first, last), (from, to)).await?
    };
    Ok(rows - retries)
}

/// Of the rows with these ids, first and last, those that ended within a span. Each is looked up.
async fn retries_within(readers: &SqlitePool, ids: (i64, i64), (from, to): Span) -> Result<i64, sqlx::Error> {
    // The index has no final rows, and is used where a statement says that it wants none.
    sqlx::query_scalar(
        "SELECT count(*) FROM request_logs INDEXED BY idx_request_logs_request_type \
         WHERE request_type = 'retry' AND request_type <> 'final' AND rowid BETWEEN ? AND ? \
           AND timestamp >= ? AND timestamp < ?",
    )
    .bind(ids.0)
    .bind(ids.1)
    .bind(Timestamp(from))
    .bind(Timestamp(to))
    .fetch_one(readers)
    .await
}

/// Of the rows with these ids, first and last. None is looked up.
async fn retries(readers: &SqlitePool, ids: (i64, i64)) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM request_logs INDEXED BY idx_request_logs_request_type \
         WHERE request_type = 'retry' AND request_type <> 'final' AND rowid BETWEEN ? AND ?",
    )
    .bind(ids.0)
    .bind(ids.1)
    .fetch_one(readers)
    .await
}

/// Deletes the figures of a group that is an aggregate: without it, nobody could tell that its requests are counted for
/// its members as well. Those of a standard group stay.
pub(crate) async fn delete_of_aggregate(
    transaction: &mut Transaction<'static, Sqlite>,
    group_id: GroupId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM group_hourly_stats WHERE group_id = ?1 \
         AND EXISTS (SELECT 1 FROM groups WHERE id = ?1 AND group_type = 'aggregate')",
    )
    .bind(group_id)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Deletes some of the hours before `cutoff`. Returns how many rows.
pub(super) async fn delete_before(
    transaction: &mut Transaction<'static, Sqlite>,
    cutoff: DateTime<Utc>,
    rows_max: u32,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "DELETE FROM group_hourly_stats WHERE rowid IN (SELECT rowid FROM group_hourly_stats WHERE time < ? LIMIT ?)",
    )
    .bind(Timestamp(cutoff))
    .bind(rows_max)
    .execute(&mut **transaction)
    .await?;
    Ok(deleted.rows_affected())
}
