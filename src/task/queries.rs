//! All SQL of tasks.

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
pub(super) async fn begin(database: &Database, task: &Task, history_max: u32) -> Result<i64, db::Error> {
    let mut insert = Query::insert();
    insert
        .into_table(T::Table)
        .columns([T::TaskType, T::GroupId, T::GroupName, T::State, T::Processed, T::Total, T::StartedAt])
        .values_panic([
            Expr::value(&*task.kind),
            Expr::value(task.group_id),
            Expr::value(&*task.group_name),
            Expr::value(task.state.name()),
            Expr::value(signed(task.processed)),
            Expr::value(signed(task.total)),
            Expr::value(task.started_at),
        ]);
    let mut writer = database.begin().await?;
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

/// Nothing can be running when a process starts.
pub(super) async fn interrupt_running(database: &Database, at: Timestamp, error: &str) -> Result<(), db::Error> {
    let mut update = Query::update();
    update
        .table(T::Table)
        .value(T::State, State::Interrupted.name())
        .value(T::Error, error)
        .value(T::FinishedAt, at)
        .and_where(Expr::col(T::State).eq(State::Running.name()));
    let mut writer = database.begin().await?;
    writer.execute(Sql::built(writer.engine(), &update)).await?;
    writer.commit().await?;
    Ok(())
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
