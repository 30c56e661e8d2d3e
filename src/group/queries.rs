//! All SQL of groups and their members.

use sea_query::{Asterisk, Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement};
use serde_json::value::RawValue;

use super::{GroupId, Record};
use crate::db::{
    self, Change, Changed, Database, Engine, FromRow, GroupSubGroups, Groups, Row, Source, Sql, Timestamp,
};

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
pub(crate) async fn all(source: impl Source) -> Result<Vec<Record>, db::Error> {
    let mut select = select();
    select.order_by(Groups::Sort, Order::Asc).order_by(Groups::Id, Order::Desc);
    fetch(source, &select).await
}

pub(crate) async fn find(source: impl Source, id: GroupId) -> Result<Record, db::Error> {
    let mut select = select();
    select.and_where(Expr::col(Groups::Id).eq(id));
    let sql = Sql::built(source.engine(), &select);
    source.one(sql).await
}

pub(super) async fn names(source: impl Source) -> Result<Vec<String>, db::Error> {
    let sql = Sql::built(source.engine(), Query::select().column(Groups::Name).from(Groups::Table));
    source.values(sql).await
}

/// Names and proxy keys of the groups that have such keys of their own, in the order of the table.
pub(crate) async fn proxy_keys(source: impl Source) -> Result<Vec<(String, String)>, db::Error> {
    let mut select = Query::select();
    select
        .columns([Groups::Name, Groups::ProxyKeys])
        .from(Groups::Table)
        .and_where(Expr::col(Groups::ProxyKeys).ne(""))
        .order_by(Groups::Id, Order::Asc);
    fetch(source, &select).await
}

/// Those of the groups that exist, in the order of the table.
pub(super) async fn find_all(
    source: impl Source,
    ids: impl IntoIterator<Item = GroupId>,
) -> Result<Vec<Record>, db::Error> {
    let mut select = select();
    select.and_where(Expr::col(Groups::Id).is_in(ids)).order_by(Groups::Id, Order::Asc);
    fetch(source, &select).await
}

/// Stores a new group and says under which id. The record's own id is not looked at.
pub(super) async fn insert(writer: &mut Change, record: &Record) -> Result<GroupId, db::Error> {
    writer.note(Changed::Configuration);
    let mut insert = Query::insert();
    insert.into_table(Groups::Table).columns(COLUMNS).values_panic(values(record, writer.engine()));
    let sql = Sql::built(writer.engine(), &insert);
    writer.insert(sql).await
}

/// Writes every column of a group that exists.
pub(super) async fn update(writer: &mut Change, record: &Record) -> Result<(), db::Error> {
    writer.note(Changed::Configuration);
    let mut update = Query::update();
    update.table(Groups::Table).values(COLUMNS.into_iter().zip(values(record, writer.engine())));
    update.and_where(Expr::col(Groups::Id).eq(record.id));
    let sql = Sql::built(writer.engine(), &update);
    match writer.execute(sql).await?.rows_affected {
        0 => Err(db::Error::NotFound),
        _ => Ok(()),
    }
}

/// In the order of `COLUMNS`.
fn values(record: &Record, engine: Engine) -> [Expr; COLUMNS.len()] {
    let text_of_json = |text: &str| engine.json(Expr::value(text));
    let json = |value: &Option<Box<RawValue>>| text_of_json(value.as_ref().map_or("null", |value| value.get()));
    [
        Expr::value(&*record.name),
        Expr::value(&*record.display_name),
        Expr::value(&*record.proxy_keys),
        Expr::value(&*record.description),
        Expr::value(record.group_type.name()),
        text_of_json(record.upstreams.get()),
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
pub(crate) async fn delete(writer: &mut Change, id: GroupId) -> Result<(), db::Error> {
    writer.note(Changed::Configuration);
    let mut memberships = Query::delete();
    memberships
        .from_table(GroupSubGroups::Table)
        .and_where(Expr::col(GroupSubGroups::GroupId).eq(id).or(Expr::col(GroupSubGroups::SubGroupId).eq(id)));
    let mut group = Query::delete();
    group.from_table(Groups::Table).and_where(Expr::col(Groups::Id).eq(id));
    // In this order no reference ever points to nothing.
    let sql = Sql::built(writer.engine(), &memberships);
    writer.execute(sql).await?;
    let sql = Sql::built(writer.engine(), &group);
    match writer.execute(sql).await?.rows_affected {
        0 => Err(db::Error::NotFound),
        _ => Ok(()),
    }
}

/// `false`: there is no such group.
pub(super) async fn set_sort(writer: &mut Change, id: GroupId, sort: i64) -> Result<bool, db::Error> {
    writer.note(Changed::Configuration);
    let mut update = Query::update();
    update
        .table(Groups::Table)
        .value(Groups::Sort, sort)
        .value(Groups::UpdatedAt, Timestamp::now())
        .and_where(Expr::col(Groups::Id).eq(id));
    let sql = Sql::built(writer.engine(), &update);
    Ok(writer.execute(sql).await?.rows_affected > 0)
}

/// Notes that the invalid keys of a group were all tested at that time.
pub(crate) async fn set_last_validated_at(database: &Database, id: GroupId, at: Timestamp) -> Result<(), db::Error> {
    let mut update = Query::update();
    update.table(Groups::Table).value(Groups::LastValidatedAt, at).and_where(Expr::col(Groups::Id).eq(id));
    let mut writer = database.begin().await?;
    writer.execute(Sql::built(database.engine(), &update)).await?;
    writer.commit().await?;
    Ok(())
}

/// A group that shares in the requests of an aggregate group, or such an aggregate group, with the share's weight.
#[derive(Debug)]
pub(crate) struct Weighted {
    pub(crate) group: Record,
    pub(crate) weight: i64,
}

impl FromRow for Weighted {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let weight: Option<i64> = row.get(GroupSubGroups::Weight.name())?;
        Ok(Self { group: Record::from_row(row)?, weight: weight.unwrap_or_default() })
    }
}

/// The members of an aggregate group that exist, in the order of the table of groups.
pub(crate) async fn members(source: impl Source, id: GroupId) -> Result<Vec<Weighted>, db::Error> {
    weighted(source, GroupSubGroups::SubGroupId, GroupSubGroups::GroupId, id).await
}

/// The aggregate groups that a group is a member of.
pub(crate) async fn parents(source: impl Source, id: GroupId) -> Result<Vec<Weighted>, db::Error> {
    weighted(source, GroupSubGroups::GroupId, GroupSubGroups::SubGroupId, id).await
}

async fn weighted(
    source: impl Source,
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
    fetch(source, &select).await
}

pub(super) async fn count_parents(source: impl Source, id: GroupId) -> Result<i64, db::Error> {
    let mut select = Query::select();
    select
        .expr(Func::count(Expr::col(Asterisk)))
        .from(GroupSubGroups::Table)
        .and_where(Expr::col(GroupSubGroups::SubGroupId).eq(id));
    let sql = Sql::built(source.engine(), &select);
    source.value(sql).await
}

/// Aggregate group, member and weight, in the order in which the members were added.
pub(crate) async fn memberships(source: impl Source) -> Result<Vec<(GroupId, GroupId, i64)>, db::Error> {
    let mut select = Query::select();
    select
        .columns([GroupSubGroups::GroupId, GroupSubGroups::SubGroupId])
        .expr(Func::coalesce([Expr::col(GroupSubGroups::Weight), Expr::value(0_i64)]))
        .from(GroupSubGroups::Table)
        .order_by(GroupSubGroups::Id, Order::Asc);
    fetch(source, &select).await
}

pub(super) async fn add_member(
    writer: &mut Change,
    id: GroupId,
    member: GroupId,
    weight: i64,
) -> Result<(), db::Error> {
    writer.note(Changed::Configuration);
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
    let sql = Sql::built(writer.engine(), &insert);
    writer.execute(sql).await?;
    Ok(())
}

/// `false`: there is no such member.
pub(super) async fn set_weight(
    writer: &mut Change,
    id: GroupId,
    member: GroupId,
    weight: i64,
) -> Result<bool, db::Error> {
    writer.note(Changed::Configuration);
    let mut update = Query::update();
    update
        .table(GroupSubGroups::Table)
        .value(GroupSubGroups::Weight, weight)
        .value(GroupSubGroups::UpdatedAt, Timestamp::now())
        .and_where(Expr::col(GroupSubGroups::GroupId).eq(id))
        .and_where(Expr::col(GroupSubGroups::SubGroupId).eq(member));
    let sql = Sql::built(writer.engine(), &update);
    Ok(writer.execute(sql).await?.rows_affected > 0)
}

/// `false`: there is no such member.
pub(super) async fn remove_member(writer: &mut Change, id: GroupId, member: GroupId) -> Result<bool, db::Error> {
    writer.note(Changed::Configuration);
    let mut delete = Query::delete();
    delete
        .from_table(GroupSubGroups::Table)
        .and_where(Expr::col(GroupSubGroups::GroupId).eq(id))
        .and_where(Expr::col(GroupSubGroups::SubGroupId).eq(member));
    let sql = Sql::built(writer.engine(), &delete);
    Ok(writer.execute(sql).await?.rows_affected > 0)
}

async fn fetch<T: FromRow + Send>(source: impl Source, select: &SelectStatement) -> Result<Vec<T>, db::Error> {
    let sql = Sql::built(source.engine(), select);
    source.all(sql).await
}
