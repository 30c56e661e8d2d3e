//! All SQL of the figures.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Scope, Span,
    tally::{Counts, Tally},
};
use crate::{
    db::{Engine, Error, GroupHourlyStats, Readers, Source as _, Sql, Timestamp, Transaction},
    group::GroupId,
};

/// How far a clock on a wall can be from UTC.
const WALL_CLOCK_OFFSET_MAX: TimeDelta = TimeDelta::hours(14);
/// Ids of rows ascend with the times of their entries, but for those that several threads handed over in one lot. So
/// between the first and the last row of a span, only those close to either end may have ended outside it.
const ROWS_OUT_OF_ORDER_MAX: i64 = 16_384;

/// Adds a tally to the stored figures.
pub(crate) async fn add_tally(transaction: &mut Transaction, tally: Tally) -> Result<(), Error> {
    use GroupHourlyStats as S;
    let engine = transaction.engine();
    let [table, time, group, created] = [S::Table, S::Time, S::GroupId, S::CreatedAt].map(GroupHourlyStats::name);
    let [success, failure, retry, aborted, updated] =
        [S::SuccessCount, S::FailureCount, S::RetryCount, S::AbortedCount, S::UpdatedAt].map(GroupHourlyStats::name);
    let excluded = |column| engine.excluded(column);
    // The two columns of ours are NULL in a row that the original began.
    let text = format!(
        "INSERT INTO {table} ({time}, {group}, {success}, {failure}, {retry}, {aborted}, {created}, {updated}) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) {on_conflict} \
         {success} = {table}.{success} + {}, {failure} = {table}.{failure} + {}, \
         {retry} = coalesce({table}.{retry}, 0) + {}, {aborted} = coalesce({table}.{aborted}, 0) + {}, {updated} = {}",
        excluded(success),
        excluded(failure),
        excluded(retry),
        excluded(aborted),
        excluded(updated),
        on_conflict = engine.on_conflict(&format!("{time}, {group}")),
    );
    let now = Timestamp::now();
    let Counts { successes, failures, retries, aborted } = tally.counts;
    let sql = Sql::made(engine, text).bind(tally.hour).bind(tally.group_id).bind(successes).bind(failures);
    transaction.execute(sql.bind(retries).bind(aborted).bind(now).bind(now)).await?;
    Ok(())
}

/// The counts of each hour that begins within a span and has any, in no order.
pub(super) async fn hours(readers: &Readers, scope: Scope, span: Span) -> Result<Vec<(DateTime<Utc>, Counts)>, Error> {
    if readers.engine().is_sqlite() {
        hours_of_texts(readers, scope, span).await
    } else {
        hours_of_times(readers, scope, span).await
    }
}

async fn hours_of_texts(
    readers: &Readers,
    scope: Scope,
    (from, to): Span,
) -> Result<Vec<(DateTime<Utc>, Counts)>, Error> {
    // The text of an hour that the original wrote is its local time: the index finds what may be meant, the instant
    // decides.
    let sql = Sql::new(
        Engine::Sqlite,
        "SELECT unixepoch(time), sum(success_count), sum(failure_count), sum(coalesce(retry_count, 0)), \
           sum(coalesce(aborted_count, 0)) FROM group_hourly_stats \
         WHERE time >= ? AND time < ? AND unixepoch(time) >= ? AND unixepoch(time) < ?",
    );
    let sql = sql.bind(Timestamp(from - WALL_CLOCK_OFFSET_MAX)).bind(Timestamp(to + WALL_CLOCK_OFFSET_MAX));
    let mut sql = sql.bind(first_second(from)).bind(first_second(to));
    push_scope(&mut sql, scope);
    sql.push(" GROUP BY 1");
    let rows: Vec<(i64, i64, i64, i64, i64)> = readers.all(sql).await?;
    let hours = rows.into_iter().filter_map(|(second, successes, failures, retries, aborted)| {
        Some((DateTime::from_timestamp(second, 0)?, Counts { successes, failures, retries, aborted }))
    });
    Ok(hours.collect())
}

async fn hours_of_times(
    readers: &Readers,
    scope: Scope,
    (from, to): Span,
) -> Result<Vec<(DateTime<Utc>, Counts)>, Error> {
    let engine = readers.engine();
    let sum = |column| engine.sum(&format!("coalesce({column}, 0)"));
    let text = format!(
        "SELECT time, {}, {}, {}, {} FROM group_hourly_stats WHERE time >= ? AND time < ?",
        sum("success_count"),
        sum("failure_count"),
        sum("retry_count"),
        sum("aborted_count")
    );
    let mut sql = Sql::made(engine, text).bind(first_moment(from)).bind(first_moment(to));
    push_scope(&mut sql, scope);
    sql.push(" GROUP BY time");
    let rows: Vec<(Timestamp, i64, i64, i64, i64)> = readers.all(sql).await?;
    let hours = rows.into_iter().map(|(hour, successes, failures, retries, aborted)| {
        (hour.0, Counts { successes, failures, retries, aborted })
    });
    Ok(hours.collect())
}

/// The counts of each group in each hour that begins within a span and has any, in no order.
pub(super) async fn hours_by_group(
    readers: &Readers,
    (from, to): Span,
) -> Result<Vec<(GroupId, DateTime<Utc>, Counts)>, Error> {
    let engine = readers.engine();
    let counts = |successes, failures, retries, aborted| Counts { successes, failures, retries, aborted };
    if engine.is_sqlite() {
        // One text: a row of the driver for each of thousands of hours takes longer than all the rest.
        let text = "SELECT json_group_array(json_array(group_id, hour, successes, failures, retries, aborted)) FROM ( \
                      SELECT group_id, unixepoch(time) AS hour, sum(success_count) AS successes, \
                        sum(failure_count) AS failures, sum(coalesce(retry_count, 0)) AS retries, \
                        sum(coalesce(aborted_count, 0)) AS aborted FROM group_hourly_stats \
                      WHERE time >= ? AND time < ? AND unixepoch(time) >= ? AND unixepoch(time) < ? GROUP BY 1, 2)";
        let sql = Sql::new(engine, text).bind(Timestamp(from - WALL_CLOCK_OFFSET_MAX));
        let sql = sql.bind(Timestamp(to + WALL_CLOCK_OFFSET_MAX)).bind(first_second(from)).bind(first_second(to));
        let text: String = readers.value(sql).await?;
        let rows: Vec<(GroupId, i64, i64, i64, i64, i64)> =
            serde_json::from_str(&text).map_err(|error| Error::Other(error.into()))?;
        let hours = rows.into_iter().filter_map(|(group_id, second, successes, failures, retries, aborted)| {
            let hour = DateTime::from_timestamp(second, 0)?;
            Some((group_id, hour, counts(successes, failures, retries, aborted)))
        });
        return Ok(hours.collect());
    }
    let text = "SELECT group_id, time, success_count, failure_count, coalesce(retry_count, 0), \
                  coalesce(aborted_count, 0) FROM group_hourly_stats WHERE time >= ? AND time < ?";
    let sql = Sql::new(engine, text).bind(first_moment(from)).bind(first_moment(to));
    let rows: Vec<(GroupId, Timestamp, i64, i64, i64, i64)> = readers.all(sql).await?;
    let hours = rows.into_iter().map(|(group_id, hour, successes, failures, retries, aborted)| {
        (group_id, hour.0, counts(successes, failures, retries, aborted))
    });
    Ok(hours.collect())
}

/// How many requests to each group the log has an end of within a span: those that came through an aggregate count for it
/// and for the member that served, and attempts that others followed are left out.
pub(super) async fn requests_by_group(
    readers: &Readers,
    (from, to): Span,
    rows_read_max: i64,
) -> Result<HashMap<GroupId, i64>, Error> {
    let engine = readers.engine();
    let (from, to) = (Timestamp(from), Timestamp(to));
    let mut requests = HashMap::new();
    let mut add = |group_id: GroupId, count: i64| *requests.entry(group_id).or_insert(0) += count;
    if engine.is_sqlite() {
        let text = "SELECT count(*) FROM request_logs INDEXED BY idx_request_logs_timestamp \
                    WHERE timestamp >= ? AND timestamp < ?";
        let rows: i64 = readers.value(Sql::new(engine, text).bind(from).bind(to)).await?;
        // Where there are many, every so-and-so-many-th is looked up and stands for the others.
        let each = rows.saturating_add(rows_read_max - 1) / rows_read_max;
        let text = "SELECT group_id, coalesce(parent_group_id, 0), count(*) \
                    FROM request_logs INDEXED BY idx_request_logs_timestamp \
                    WHERE timestamp >= ? AND timestamp < ? AND rowid % ? = 0 AND request_type = 'final' GROUP BY 1, 2";
        let sql = Sql::new(engine, text).bind(from).bind(to).bind(each.max(1));
        for (group_id, parent_id, count) in readers.all::<(GroupId, GroupId, i64)>(sql).await? {
            add(group_id, count * each);
            if parent_id != group_id {
                add(parent_id, count * each);
            }
        }
        return Ok(requests);
    }
    // Two indexes have all that is needed for the many; what is read as rows are the few that were tried again.
    let of = |column: &str, more: &str| {
        format!(
            "(SELECT count(*) FROM request_logs WHERE {column} = known.id AND timestamp >= ? AND timestamp < ?{more})"
        )
    };
    let text = format!(
        "SELECT known.id, {} + {} FROM {} AS known",
        of("group_id", ""),
        of("parent_group_id", " AND parent_group_id <> 0"),
        engine.quoted("groups")
    );
    let sql = Sql::made(engine, text).bind(from).bind(to).bind(from).bind(to);
    for (group_id, count) in readers.all::<(GroupId, i64)>(sql).await? {
        add(group_id, count);
    }
    let text = "SELECT group_id, coalesce(parent_group_id, 0), count(*) FROM request_logs \
                WHERE request_type = 'retry' AND request_type <> 'final' AND timestamp >= ? AND timestamp < ? \
                GROUP BY group_id, coalesce(parent_group_id, 0)";
    for (group_id, parent_id, count) in
        readers.all::<(GroupId, GroupId, i64)>(Sql::new(engine, text).bind(from).bind(to)).await?
    {
        add(group_id, -count);
        add(parent_id, -count);
    }
    Ok(requests)
}

/// An aggregate that was deleted is known by the requests that came through it, as long as the log is kept; that its id
/// is not 0 is said for the sake of an index that has no others.
fn push_scope(sql: &mut Sql, scope: Scope) {
    let groups = sql.engine().quoted("groups");
    match scope {
        Scope::Group(id) => sql.push(" AND group_id = ").push_value(id),
        Scope::All => sql.push(&format!(
            " AND group_id NOT IN (SELECT id FROM {groups} WHERE group_type = 'aggregate') \
             AND (group_id IN (SELECT id FROM {groups}) \
                  OR NOT EXISTS (SELECT 1 FROM request_logs \
                                 WHERE parent_group_id = group_hourly_stats.group_id AND parent_group_id <> 0))"
        )),
    };
}

/// Hours begin at whole seconds, so the first second that is not before `at` is as good as `at`.
fn first_second(at: DateTime<Utc>) -> i64 {
    at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0)
}

/// The same as a time, so that no engine cuts it to an earlier one.
fn first_moment(at: DateTime<Utc>) -> Timestamp {
    Timestamp(DateTime::from_timestamp(first_second(at), 0).unwrap_or(at))
}

/// How many requests the log has an end of within a span. Each is one row; the attempts that others followed are not
/// counted.
pub(super) async fn requests_logged(readers: &Readers, (from, to): Span) -> Result<i64, Error> {
    let engine = readers.engine();
    if !engine.is_sqlite() {
        // Two indexes have all that is needed, whatever else is in the rows.
        let text = "SELECT (SELECT count(*) FROM request_logs WHERE timestamp >= ? AND timestamp < ?) - \
                    (SELECT count(*) FROM request_logs WHERE request_type = 'retry' AND request_type <> 'final' \
                       AND timestamp >= ? AND timestamp < ?)";
        let (from, to) = (Timestamp(from), Timestamp(to));
        return readers.value(Sql::new(engine, text).bind(from).bind(to).bind(from).bind(to)).await;
    }
    // Here, too.
    let text = "SELECT count(*), min(rowid), max(rowid) FROM request_logs INDEXED BY idx_request_logs_timestamp \
                WHERE timestamp >= ? AND timestamp < ?";
    let (rows, first, last): (i64, Option<i64>, Option<i64>) =
        readers.one(Sql::new(engine, text).bind(Timestamp(from)).bind(Timestamp(to))).await?;
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
async fn retries_within(readers: &Readers, ids: (i64, i64), (from, to): Span) -> Result<i64, Error> {
    // The index has no final rows, and is used where a statement says that it wants none.
    let text = "SELECT count(*) FROM request_logs INDEXED BY idx_request_logs_request_type \
                WHERE request_type = 'retry' AND request_type <> 'final' AND rowid BETWEEN ? AND ? \
                  AND timestamp >= ? AND timestamp < ?";
    let sql = Sql::new(Engine::Sqlite, text).bind(ids.0).bind(ids.1);
    readers.value(sql.bind(Timestamp(from)).bind(Timestamp(to))).await
}

/// Of the rows with these ids, first and last. None is looked up.
async fn retries(readers: &Readers, ids: (i64, i64)) -> Result<i64, Error> {
    let text = "SELECT count(*) FROM request_logs INDEXED BY idx_request_logs_request_type \
                WHERE request_type = 'retry' AND request_type <> 'final' AND rowid BETWEEN ? AND ?";
    readers.value(Sql::new(Engine::Sqlite, text).bind(ids.0).bind(ids.1)).await
}

/// Deletes the figures of a group that is an aggregate: without it, nobody could tell that its requests are counted for
/// its members as well. Those of a standard group stay.
pub(crate) async fn delete_of_aggregate(transaction: &mut Transaction, group_id: GroupId) -> Result<(), Error> {
    let engine = transaction.engine();
    let text = format!(
        "DELETE FROM group_hourly_stats WHERE group_id = ? \
         AND EXISTS (SELECT 1 FROM {} WHERE id = ? AND group_type = 'aggregate')",
        engine.quoted("groups")
    );
    transaction.execute(Sql::made(engine, text).bind(group_id).bind(group_id)).await?;
    Ok(())
}

/// Deletes some of the hours before `cutoff`. Returns how many rows.
pub(super) async fn delete_before(
    transaction: &mut Transaction,
    cutoff: DateTime<Utc>,
    rows_max: u32,
) -> Result<u64, Error> {
    let engine = transaction.engine();
    let text = match engine {
        Engine::Sqlite => {
            "DELETE FROM group_hourly_stats \
             WHERE rowid IN (SELECT rowid FROM group_hourly_stats WHERE time < ? LIMIT ?)"
        }
        Engine::MySql(_) => "DELETE FROM group_hourly_stats WHERE time < ? ORDER BY time LIMIT ?",
        Engine::PostgreSql => {
            "DELETE FROM group_hourly_stats \
             WHERE id IN (SELECT id FROM group_hourly_stats WHERE time < ? ORDER BY time LIMIT ?)"
        }
    };
    let sql = Sql::new(engine, text).bind(Timestamp(cutoff)).bind(rows_max);
    Ok(transaction.execute(sql).await?.rows_affected)
}
