//! All SQL of tasks.

use sea_query::{Asterisk, Expr, ExprTrait, Func, Order, Query, SelectStatement};
use sqlx::SqlitePool;

use super::{State, Task};
use crate::db::{self, Database, Tasks as T, Timestamp};

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
    let (text, values) = db::build(&insert);
    let id = sqlx::query_with(text, values).execute(&mut *writer).await?.last_insert_rowid();
    sqlx::query(
        "DELETE FROM gpt_load_tasks WHERE state <> 'running' AND id <= \
         (SELECT id FROM gpt_load_tasks ORDER BY id DESC LIMIT 1 OFFSET ?)",
    )
    .bind(history_max)
    .execute(&mut *writer)
    .await?;
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
    let (text, values) = db::build(&update);
    sqlx::query_with(text, values).execute(&mut *writer).await?;
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
    let (text, values) = db::build(&update);
    sqlx::query_with(text, values).execute(&mut *writer).await?;
    writer.commit().await?;
    Ok(())
}

pub(super) async fn find(readers: &SqlitePool, id: i64) -> Result<Task, db::Error> {
    let (text, values) = db::build(select().and_where(Expr::col(T::Id).eq(id)));
    Ok(sqlx::query_as_with(text, values).fetch_one(readers).await?)
}

pub(super) async fn ended_last(readers: &SqlitePool) -> Result<Option<Task>, db::Error> {
    let mut select = select();
    select
        .and_where(Expr::col(T::FinishedAt).is_not_null())
        .order_by(T::FinishedAt, Order::Desc)
        .order_by(T::Id, Order::Desc)
        .limit(1);
    let (text, values) = db::build(&select);
    Ok(sqlx::query_as_with(text, values).fetch_optional(readers).await?)
}

pub(super) async fn count(readers: &SqlitePool, group_id: Option<i64>) -> Result<u64, db::Error> {
    let mut select = Query::select();
    select.expr(Func::count(Expr::col(Asterisk))).from(T::Table);
    if let Some(group_id) = group_id {
        select.and_where(Expr::col(T::GroupId).eq(group_id));
    }
    let (text, values) = db::build(&select);
    let count: i64 = sqlx::query_scalar_with(text, values).fetch_one(readers).await?;
    Ok(count.unsigned_abs())
}

pub(super) async fn page(
    readers: &SqlitePool,
    group_id: Option<i64>,
    offset: u64,
    limit: u64,
) -> Result<Vec<Task>, db::Error> {
    let mut select = select();
    if let Some(group_id) = group_id {
        select.and_where(Expr::col(T::GroupId).eq(group_id));
    }
    select.order_by(T::Id, Order::Desc).offset(Ord::min(offset, i64::MAX as u64)).limit(limit);
    let (text, values) = db::build(&select);
    Ok(sqlx::query_as_with(text, values).fetch_all(readers).await?)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
