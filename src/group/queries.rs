//! All SQL of groups and their members.

use sea_query::{Asterisk, Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement};
use serde_json::value::RawValue;
use sqlx::{FromRow, Row, Sqlite, SqliteExecutor, Transaction, sqlite::SqliteRow};

use super::{GroupId, Record};
use crate::db::{self, Database, GroupSubGroups, Groups, Timestamp};

type Writer = Transaction<'static, Sqlite>;

const COLUMNS: [Groups; 18] = [
    Groups::Name,
    Groups::DisplayName,
    Groups::ProxyKeys,
    Groups::Description,
    Groups::GroupType,
    Groups::Upstreams,
    Groups::ValidationEndpoint,
    Groups::ChannelType,
    Groups::Sort,
    Groups::TestModel,
    Groups::ParamOverrides,
    Groups::Config,
    Groups::HeaderRules,
    Groups::ModelRedirectRules,
    Groups::ModelRedirectStrict,
    Groups::LastValidatedAt,
    Groups::CreatedAt,
    Groups::UpdatedAt,
];

fn select() -> SelectStatement {
    let mut select = Query::select();
    select.column((Groups::Table, Groups::Id)).columns(COLUMNS.map(|column| (Groups::Table, column)));
    select.from(Groups::Table);
    select
}

/// All groups as they are shown: by `sort`, newer ones first among equals.
pub(crate) async fn all(executor: impl SqliteExecutor<'_>) -> Result<Vec<Record>, db::Error> {
    let mut select = select();
    select.order_by(Groups::Sort, Order::Asc).order_by(Groups::Id, Order::Desc);
    fetch(executor, &select).await
}

pub(crate) async fn find(executor: impl SqliteExecutor<'_>, id: GroupId) -> Result<Record, db::Error> {
    let mut select = select();
    select.and_where(Expr::col(Groups::Id).eq(id));
    let (text, values) = db::build(&select);
    Ok(sqlx::query_as_with(text, values).fetch_one(executor).await?)
}

pub(super) async fn names(executor: impl SqliteExecutor<'_>) -> Result<Vec<String>, db::Error> {
    let (text, values) = db::build(Query::select().column(Groups::Name).from(Groups::Table));
    Ok(sqlx::query_scalar_with(text, values).fetch_all(executor).await?)
}

/// Names and proxy keys of the groups that have such keys of their own, in the order of the table.
pub(crate) async fn proxy_keys(executor: impl SqliteExecutor<'_>) -> Result<Vec<(String, String)>, db::Error> {
    let mut select = Query::select();
    select
        .columns([Groups::Name, Groups::ProxyKeys])
        .from(Groups::Table)
        .and_where(Expr::col(Groups::ProxyKeys).ne(""))
        .order_by(Groups::Id, Order::Asc);
    fetch(executor, &select).await
}

/// Those of the groups that exist, in the order of the table.
pub(super) async fn find_all(
    executor: impl SqliteExecutor<'_>,
    ids: impl IntoIterator<Item = GroupId>,
) -> Result<Vec<Record>, db::Error> {
    let mut select = select();
    select.and_where(Expr::col(Groups::Id).is_in(ids)).order_by(Groups::Id, Order::Asc);
    fetch(executor, &select).await
}

/// Stores a new group and says under which id. The record's own id is not looked at.
pub(super) async fn insert(writer: &mut Writer, record: &Record) -> Result<GroupId, db::Error> {
    let mut insert = Query::insert();
    insert.into_table(Groups::Table).columns(COLUMNS).values_panic(values(record));
    let (text, values) = db::build(&insert);
    Ok(sqlx::query_with(text, values).execute(&mut **writer).await?.last_insert_rowid())
}

/// Writes every column of a group that exists.
pub(super) async fn update(writer: &mut Writer, record: &Record) -> Result<(), db::Error> {
    let mut update = Query::update();
    update.table(Groups::Table).values(COLUMNS.into_iter().zip(values(record)));
    update.and_where(Expr::col(Groups::Id).eq(record.id));
    let (text, values) = db::build(&update);
    match sqlx::query_with(text, values).execute(&mut **writer).await?.rows_affected() {
        0 => Err(db::Error::NotFound),
        _ => Ok(()),
    }
}

/// In the order of `COLUMNS`.
fn values(record: &Record) -> [Expr; COLUMNS.len()] {
    let json = |value: &Option<Box<RawValue>>| Expr::value(value.as_ref().map_or("null", |value| value.get()));
    [
        Expr::value(&*record.name),
        Expr::value(&*record.display_name),
        Expr::value(&*record.proxy_keys),
        Expr::value(&*record.description),
        Expr::value(record.group_type.name()),
        Expr::value(record.upstreams.get()),
        Expr::value(&*record.validation_endpoint),
        Expr::value(&*record.channel_type),
        Expr::value(record.sort),
        Expr::value(&*record.test_model),
        json(&record.param_overrides),
        json(&record.config),
        json(&record.header_rules),
        json(&record.model_redirect_rules),
        Expr::value(record.model_redirect_strict),
        Expr::value(record.last_validated_at),
        Expr::value(record.created_at),
        Expr::value(record.updated_at),
    ]
}

/// Deletes a group with its memberships. Its keys must be gone before.
pub(crate) async fn delete(writer: &mut Writer, id: GroupId) -> Result<(), db::Error> {
    let mut memberships = Query::delete();
    memberships
        .from_table(GroupSubGroups::Table)
        .and_where(Expr::col(GroupSubGroups::GroupId).eq(id).or(Expr::col(GroupSubGroups::SubGroupId).eq(id)));
    let mut group = Query::delete();
    group.from_table(Groups::Table).and_where(Expr::col(Groups::Id).eq(id));
    // In this order no reference ever points to nothing.
    let (text, values) = db::build(&memberships);
    sqlx::query_with(text, values).execute(&mut **writer).await?;
    let (text, values) = db::build(&group);
    match sqlx::query_with(text, values).execute(&mut **writer).await?.rows_affected() {
        0 => Err(db::Error::NotFound),
        _ => Ok(()),
    }
}

/// `false`: there is no such group.
pub(super) async fn set_sort(writer: &mut Writer, id: GroupId, sort: i64) -> Result<bool, db::Error> {
    let mut update = Query::update();
    update
        .table(Groups::Table)
        .value(Groups::Sort, sort)
        .value(Groups::UpdatedAt, Timestamp::now())
        .and_where(Expr::col(Groups::Id).eq(id));
    let (text, values) = db::build(&update);
    Ok(sqlx::query_with(text, values).execute(&mut **writer).await?.rows_affected() > 0)
}

/// Notes that the invalid keys of a group were all tested at that time.
pub(crate) async fn set_last_validated_at(database: &Database, id: GroupId, at: Timestamp) -> Result<(), db::Error> {
    let mut update = Query::update();
    update
        .table(Groups::Table)
        .value(Groups::LastValidatedAt, at)
        .value(Groups::UpdatedAt, at)
        .and_where(Expr::col(Groups::Id).eq(id));
    let (text, values) = db::build(&update);
    let mut writer = database.begin().await?;
    sqlx::query_with(text, values).execute(&mut *writer).await?;
    writer.commit().await?;
    Ok(())
}

/// A group that shares in the requests of an aggregate group, or such an aggregate group, with the share's weight.
#[derive(Debug)]
pub(crate) struct Weighted {
    pub(crate) group: Record,
    pub(crate) weight: i64,
}

impl FromRow<'_, SqliteRow> for Weighted {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let weight: Option<i64> = row.try_get(GroupSubGroups::Weight.name())?;
        Ok(Self { group: Record::from_row(row)?, weight: weight.unwrap_or_default() })
    }
}

/// The members of an aggregate group that exist, in the order of the table of groups.
pub(crate) async fn members(executor: impl SqliteExecutor<'_>, id: GroupId) -> Result<Vec<Weighted>, db::Error> {
    weighted(executor, GroupSubGroups::SubGroupId, GroupSubGroups::GroupId, id).await
}

/// The aggregate groups that a group is a member of.
pub(crate) async fn parents(executor: impl SqliteExecutor<'_>, id: GroupId) -> Result<Vec<Weighted>, db::Error> {
    weighted(executor, GroupSubGroups::GroupId, GroupSubGroups::SubGroupId, id).await
}

async fn weighted(
    executor: impl SqliteExecutor<'_>,
    shown: GroupSubGroups,
    given: GroupSubGroups,
    id: GroupId,
) -> Result<Vec<Weighted>, db::Error> {
    let mut select = select();
    select
        .column((GroupSubGroups::Table, GroupSubGroups::Weight))
        .join(
            JoinType::InnerJoin,
            GroupSubGroups::Table,
            Expr::col((GroupSubGroups::Table, shown)).equals((Groups::Table, Groups::Id)),
        )
        .and_where(Expr::col((GroupSubGroups::Table, given)).eq(id))
        .order_by((Groups::Table, Groups::Id), Order::Asc);
    fetch(executor, &select).await
}

pub(super) async fn count_parents(executor: impl SqliteExecutor<'_>, id: GroupId) -> Result<i64, db::Error> {
    let mut select = Query::select();
    select
        .expr(Func::count(Expr::col(Asterisk)))
        .from(GroupSubGroups::Table)
        .and_where(Expr::col(GroupSubGroups::SubGroupId).eq(id));
    let (text, values) = db::build(&select);
    Ok(sqlx::query_scalar_with(text, values).fetch_one(executor).await?)
}

/// Aggregate group, member and weight, in the order in which the members were added.
pub(super) async fn memberships(executor: impl SqliteExecutor<'_>) -> Result<Vec<(GroupId, GroupId, i64)>, db::Error> {
    let mut select = Query::select();
    select
        .columns([GroupSubGroups::GroupId, GroupSubGroups::SubGroupId])
        .expr(Func::coalesce([Expr::col(GroupSubGroups::Weight), Expr::value(0_i64)]))
        .from(GroupSubGroups::Table)
        .order_by(GroupSubGroups::Id, Order::Asc);
    fetch(executor, &select).await
}

pub(super) async fn add_member(
    writer: &mut Writer,
    id: GroupId,
    member: GroupId,
    weight: i64,
) -> Result<(), db::Error> {
    let now = Timestamp::now();
    let mut insert = Query::insert();
    insert
        .into_table(GroupSubGroups::Table)
        .columns([
            GroupSubGroups::GroupId,
            GroupSubGroups::SubGroupId,
            GroupSubGroups::Weight,
            GroupSubGroups::CreatedAt,
            GroupSubGroups::UpdatedAt,
        ])
        .values_panic([Expr::value(id), Expr::value(member), Expr::value(weight), Expr::value(now), Expr::value(now)]);
    let (text, values) = db::build(&insert);
    sqlx::query_with(text, values).execute(&mut **writer).await?;
    Ok(())
}

/// `false`: there is no such member.
pub(super) async fn set_weight(
    writer: &mut Writer,
    id: GroupId,
    member: GroupId,
    weight: i64,
) -> Result<bool, db::Error> {
    let mut update = Query::update();
    update
        .table(GroupSubGroups::Table)
        .value(GroupSubGroups::Weight, weight)
        .value(GroupSubGroups::UpdatedAt, Timestamp::now())
        .and_where(Expr::col(GroupSubGroups::GroupId).eq(id))
        .and_where(Expr::col(GroupSubGroups::SubGroupId).eq(member));
    let (text, values) = db::build(&update);
    Ok(sqlx::query_with(text, values).execute(&mut **writer).await?.rows_affected() > 0)
}

/// `false`: there is no such member.
pub(super) async fn remove_member(writer: &mut Writer, id: GroupId, member: GroupId) -> Result<bool, db::Error> {
    let mut delete = Query::delete();
    delete
        .from_table(GroupSubGroups::Table)
        .and_where(Expr::col(GroupSubGroups::GroupId).eq(id))
        .and_where(Expr::col(GroupSubGroups::SubGroupId).eq(member));
    let (text, values) = db::build(&delete);
    Ok(sqlx::query_with(text, values).execute(&mut **writer).await?.rows_affected() > 0)
}

async fn fetch<T>(executor: impl SqliteExecutor<'_>, select: &SelectStatement) -> Result<Vec<T>, db::Error>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let (text, values) = db::build(select);
    Ok(sqlx::query_as_with(text, values).fetch_all(executor).await?)
}
