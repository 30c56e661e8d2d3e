//! Members of aggregate groups: which groups may join, and with what weight.

use std::collections::HashSet;

use super::{
    Error, GroupId, Invalid, Record,
    queries::{self, Weighted},
};
use crate::db::{self, Database};

pub(crate) const WEIGHT_MAX: i64 = 1_000;

/// A group that shall join an aggregate group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewMember {
    pub(crate) group_id: GroupId,
    /// 0: it joins, but takes no requests.
    pub(crate) weight: i64,
}

/// The members of an aggregate group with their weights.
pub(crate) async fn list(database: &Database, id: GroupId) -> Result<Vec<Weighted>, Error> {
    aggregate(queries::find(database.readers(), id).await)?;
    Ok(queries::members(database.readers(), id).await?)
}

/// The aggregate groups that a group is a member of, with its weight there.
pub(crate) async fn parents(database: &Database, id: GroupId) -> Result<Vec<Weighted>, Error> {
    existing(queries::find(database.readers(), id).await)?;
    Ok(queries::parents(database.readers(), id).await?)
}

/// Lets groups join, all of them or none.
pub(crate) async fn add(database: &Database, id: GroupId, wanted: &[NewMember]) -> Result<(), Error> {
    // The rules look at groups and members that nobody changes before the new members are stored.
    let mut writer = database.begin_change().await?;
    let aggregate = aggregate(queries::find(&mut *writer, id).await)?;
    check_numbers(wanted)?;
    let groups = queries::find_all(&mut *writer, wanted.iter().map(|member| member.group_id)).await?;
    if groups.len() != wanted.len() {
        return Err(Invalid::value("validation.sub_group_not_found").into());
    }
    let present = queries::members(&mut *writer, id).await?;
    check_fit(&aggregate, &present, &groups)?;
    for member in wanted {
        queries::add_member(&mut writer, id, member.group_id, member.weight).await?;
    }
    writer.commit().await?;
    Ok(())
}

pub(crate) async fn set_weight(database: &Database, id: GroupId, member: GroupId, weight: i64) -> Result<(), Error> {
    let mut writer = database.begin_change().await?;
    aggregate(queries::find(&mut *writer, id).await)?;
    check_weight(weight)?;
    if !queries::set_weight(&mut writer, id, member, weight).await? {
        return Err(Invalid::absent("group.sub_group_not_found").into());
    }
    writer.commit().await?;
    Ok(())
}

pub(crate) async fn remove(database: &Database, id: GroupId, member: GroupId) -> Result<(), Error> {
    let mut writer = database.begin_change().await?;
    aggregate(queries::find(&mut *writer, id).await)?;
    if !queries::remove_member(&mut writer, id, member).await? {
        return Err(Invalid::absent("group.sub_group_not_found").into());
    }
    writer.commit().await?;
    Ok(())
}

fn existing(found: Result<Record, db::Error>) -> Result<Record, Error> {
    match found {
        Err(db::Error::NotFound) => Err(Invalid::absent("group.not_found").into()),
        found => Ok(found?),
    }
}

fn aggregate(found: Result<Record, db::Error>) -> Result<Record, Error> {
    let group = existing(found)?;
    if group.is_aggregate() { Ok(group) } else { Err(Invalid::request("group.not_aggregate").into()) }
}

fn check_numbers(wanted: &[NewMember]) -> Result<(), Invalid> {
    if wanted.is_empty() {
        return Err(Invalid::value("validation.sub_groups_required"));
    }
    for member in wanted {
        if member.group_id == 0 {
            return Err(Invalid::value("validation.invalid_sub_group_id"));
        }
        check_weight(member.weight)?;
    }
    Ok(())
}

fn check_weight(weight: i64) -> Result<(), Invalid> {
    match weight {
        ..0 => Err(Invalid::value("validation.sub_group_weight_negative")),
        0..=WEIGHT_MAX => Ok(()),
        _ => Err(Invalid::value("validation.sub_group_weight_max_exceeded")),
    }
}

/// A request that comes to the aggregate may go to any member, so all of them speak one format at one place.
fn check_fit(aggregate: &Record, present: &[Weighted], new: &[Record]) -> Result<(), Invalid> {
    let mut place = present.first().map(|member| member.group.effective_endpoint()).filter(|place| !place.is_empty());
    for group in new {
        if group.is_aggregate() {
            return Err(Invalid::value("validation.sub_group_cannot_be_aggregate"));
        }
        if group.channel_type != aggregate.channel_type {
            return Err(Invalid::value("validation.sub_group_channel_mismatch"));
        }
        // No place of its own (Gemini's follows from the model) conflicts with nothing.
        let own = Some(group.effective_endpoint()).filter(|own| !own.is_empty());
        if place.is_some() && place != own {
            return Err(Invalid::value("validation.sub_group_validation_endpoint_mismatch"));
        }
        place = own.or(place);
    }
    let known: HashSet<GroupId> = present.iter().map(|member| member.group.id).collect();
    match new.iter().find(|group| known.contains(&group.id)) {
        Some(group) => Err(Invalid::request("group.sub_group_already_exists").with("sub_group_id", group.id)),
        None => Ok(()),
    }
}
