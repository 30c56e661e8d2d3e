//! All SQL of tasks.

use std::time::Duration;

use sea_query::{Asterisk, Expr, ExprTrait, Func, Order, Query, SelectStatement};

use super::{State, Task};
use crate::db::{self, Database, Readers, Source, Sql, Tasks as T, Timestamp};

fn select() -> SelectStatement {
    let mut select = Query::select();
    select
        .columns([T::Id, T::TaskType, T::GroupId, T::GroupName, T::State, T::Processed, T::Total])
        .columns([T::Result, T::Error, T::StartedAt, T::FinishedAt])
        .from(T::Table);
    select
}

/// Stores a task that begins, and forgets the oldest ones beyond `history_max`. Returns its id.
///
/// # Errors
/// [`db::Error::Duplicate`] where another node runs a task of the group.
pub(super) async fn begin(database: &Database, task: &Task, history_max: u32) -> Result<i64, db::Error> {
    let mut insert = Query::insert();
    insert
        .into_table(T::Table)
        .columns([T::TaskType, T::GroupId, T::GroupName, T::State, T::Processed, T::Total, T::StartedAt, T::Node])
        .values_panic([
            Expr::value(&*task.kind),
            Expr::value(task.group_id),
            Expr::value(&*task.group_name),
            Expr::value(task.state.name()),
            Expr::value(signed(task.processed)),
            Expr::value(signed(task.total)),
            Expr::value(task.started_at),
            Expr::value(database.node()),
        ]);
    // One after the other on all nodes, so that of two at once one begins.
    let mut writer = database.begin_change().await?;
    if !database.engine().is_sqlite() && running_of(&mut *writer, task.group_id).await?.is_some() {
        return Err(db::Error::Duplicate);
    }
    let id = writer.insert(Sql::built(database.engine(), &insert)).await?;
    // In a table of its own: MySQL does not delete from a table that the statement looks into.
    let delete = database.sql(
        "DELETE FROM gpt_load_tasks WHERE state <> 'running' AND id <= \
         (SELECT id FROM (SELECT id FROM gpt_load_tasks ORDER BY id DESC LIMIT 1 OFFSET ?) AS last)",
    );
    writer.execute(delete.bind(history_max)).await?;
    writer.commit().await?;
    Ok(id)
}

pub(super) async fn end(database: &Database, task: &Task) -> Result<(), db::Error> {
    let mut update = Query::update();
    update
        .table(T::Table)
        .value(T::State, task.state.name())
        .value(T::Processed, signed(task.processed))
        .value(T::Result, task.result.as_ref().map(|result| result.get().to_owned()))
        .value(T::Error, task.error.clone())
        .value(T::FinishedAt, task.finished_at)
        .and_where(Expr::col(T::Id).eq(task.id));
    let mut writer = database.begin().await?;
    writer.execute(Sql::built(writer.engine(), &update)).await?;
    writer.commit().await?;
    Ok(())
}

/// A task that is not over, of this group.
pub(super) async fn running_of(source: impl Source, group_id: i64) -> Result<Option<Task>, db::Error> {
    let mut select = select();
    select.and_where(Expr::col(T::GroupId).eq(group_id)).and_where(is_running()).order_by(T::Id, Order::Desc).limit(1);
    let sql = Sql::built(source.engine(), &select);
    source.optional(sql).await
}

fn is_running() -> Expr {
    Expr::col(T::State).is_in([State::Running.name(), State::Cancelling.name()])
}

/// The one that began last among those that run, on any node.
pub(super) async fn began_last(readers: &Readers) -> Result<Option<Task>, db::Error> {
    let mut select = select();
    select.and_where(is_running()).order_by(T::Id, Order::Desc).limit(1);
    readers.optional(Sql::built(readers.engine(), &select)).await
}

/// Tells the node that runs a task to stop it. False: it is over.
pub(super) async fn ask_to_cancel(database: &Database, id: i64) -> Result<bool, db::Error> {
    let mut update = Query::update();
    update.table(T::Table).value(T::State, State::Cancelling.name()).and_where(Expr::col(T::Id).eq(id));
    update.and_where(is_running());
    let mut writer = database.begin().await?;
    let is_running = writer.execute(Sql::built(database.engine(), &update)).await?.rows_affected > 0;
    writer.commit().await?;
    Ok(is_running)
}

/// Lets other nodes see how far a task is. True: one of them wants it cancelled.
pub(super) async fn note_progress(database: &Database, id: i64, processed: u64) -> Result<bool, db::Error> {
    let mut update = Query::update();
    update.table(T::Table).value(T::Processed, signed(processed)).and_where(Expr::col(T::Id).eq(id));
    update.and_where(is_running());
    let mut writer = database.begin().await?;
    writer.execute(Sql::built(database.engine(), &update)).await?;
    writer.commit().await?;
    Ok(find(database.readers(), id).await?.state == State::Cancelling)
}

/// Ends tasks that nobody runs any more. On SQLite nothing can be running when a process starts; elsewhere those are meant
/// whose node was not seen for `dead_after`.
pub(super) async fn interrupt_running(
    database: &Database,
    at: Timestamp,
    error: &str,
    dead_after: Duration,
) -> Result<(), db::Error> {
    let engine = database.engine();
    let mut update = Query::update();
    update
        .table(T::Table)
        .value(T::State, State::Interrupted.name())
        .value(T::Error, error)
        .value(T::FinishedAt, at)
        .and_where(is_running());
    if !engine.is_sqlite() {
        let seen_after = format!("{} - {}", engine.now_milliseconds(), dead_after.as_millis());
        update.and_where(Expr::cust(format!(
            "(node IS NULL OR node NOT IN (SELECT node FROM gpt_load_nodes WHERE seen_at >= {seen_after}))"
        )));
    }
    let mut writer = database.begin().await?;
    writer.execute(Sql::built(engine, &update)).await?;
    writer.commit().await
}

pub(super) async fn find(readers: &Readers, id: i64) -> Result<Task, db::Error> {
    let sql = Sql::built(readers.engine(), select().and_where(Expr::col(T::Id).eq(id)));
    readers.one(sql).await
}

pub(super) async fn ended_last(readers: &Readers) -> Result<Option<Task>, db::Error> {
    let mut select = select();
    select
        .and_where(Expr::col(T::FinishedAt).is_not_null())
        .order_by(T::FinishedAt, Order::Desc)
        .order_by(T::Id, Order::Desc)
        .limit(1);
    readers.optional(Sql::built(readers.engine(), &select)).await
}

pub(super) async fn count(readers: &Readers, group_id: Option<i64>) -> Result<u64, db::Error> {
    let mut select = Query::select();
    select.expr(Func::count(Expr::col(Asterisk))).from(T::Table);
    if let Some(group_id) = group_id {
        select.and_where(Expr::col(T::GroupId).eq(group_id));
    }
    let count: i64 = readers.value(Sql::built(readers.engine(), &select)).await?;
    Ok(count.unsigned_abs())
}

pub(super) async fn page(
    readers: &Readers,
    group_id: Option<i64>,
    offset: u64,
    limit: u64,
) -> Result<Vec<Task>, db::Error> {
    let mut select = select();
    if let Some(group_id) = group_id {
        select.and_where(Expr::col(T::GroupId).eq(group_id));
    }
    select.order_by(T::Id, Order::Desc).offset(Ord::min(offset, i64::MAX as u64)).limit(limit);
    readers.all(Sql::built(readers.engine(), &select)).await
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
