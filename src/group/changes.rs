//! Creating, changing and ordering groups: all rules are checked before anything is stored.

use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;

use super::{Error, GroupId, GroupType, HeaderRuleText, Invalid, Record, queries, validation};
use crate::db::{Database, Timestamp};

pub(crate) const DISPLAY_NAME_CHARACTERS_MAX: usize = 255;
pub(crate) const DESCRIPTION_CHARACTERS_MAX: usize = 512;
pub(crate) const MODEL_CHARACTERS_MAX: usize = 255;
pub(crate) const ENDPOINT_CHARACTERS_MAX: usize = 255;
/// Every database takes a text of this length.
pub(crate) const PROXY_KEYS_CHARACTERS_MAX: usize = 16_000;

/// A group that is wanted, as it was typed.
#[derive(Debug, Default)]
pub(crate) struct NewGroup {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) proxy_keys: String,
    /// Empty: standard.
    pub(crate) group_type: String,
    pub(crate) channel_type: String,
    /// `None`: not given; a JSON `null` is something else.
    pub(crate) upstreams: Option<Box<RawValue>>,
    pub(crate) test_model: String,
    pub(crate) validation_endpoint: String,
    pub(crate) sort: i64,
    pub(crate) param_overrides: Option<Box<RawValue>>,
    pub(crate) config: Option<Box<RawValue>>,
    pub(crate) header_rules: Vec<HeaderRuleText>,
    pub(crate) model_redirect_rules: BTreeMap<String, String>,
    pub(crate) model_redirect_strict: bool,
}

/// What is to change about a group; `None` leaves it as it is.
#[derive(Debug, Default)]
pub(crate) struct GroupPatch {
    pub(crate) name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) proxy_keys: Option<String>,
    pub(crate) channel_type: Option<String>,
    /// Given as `null`, it is refused.
    pub(crate) upstreams: Option<Box<RawValue>>,
    /// Empty leaves it as it is, too.
    pub(crate) test_model: Option<String>,
    pub(crate) validation_endpoint: Option<String>,
    pub(crate) sort: Option<i64>,
    pub(crate) param_overrides: Option<Box<RawValue>>,
    pub(crate) config: Option<Box<RawValue>>,
    pub(crate) header_rules: Option<Vec<HeaderRuleText>>,
    pub(crate) model_redirect_rules: Option<BTreeMap<String, String>>,
    pub(crate) model_redirect_strict: Option<bool>,
    /// The change is meant for the group as it was then: if somebody has changed it since, nothing is done.
    pub(crate) expected_updated_at: Option<Timestamp>,
}

/// Stores a new group and returns it as stored.
pub(crate) async fn create(database: &Database, wanted: NewGroup) -> Result<Record, Error> {
    let mut record = check_new(&wanted)?;
    let mut writer = database.begin_change().await?;
    record.id = queries::insert(&mut writer, &record).await?;
    writer.commit().await?;
    Ok(record)
}

fn check_new(wanted: &NewGroup) -> Result<Record, Invalid> {
    let name = validation::name(&wanted.name)?;
    let channel = validation::channel(&wanted.channel_type)?;
    let group_type =
        GroupType::parse(wanted.group_type.trim()).ok_or_else(|| Invalid::value("validation.invalid_group_type"))?;
    let is_aggregate = group_type == GroupType::Aggregate;
    let (test_model, upstreams, validation_endpoint) = if is_aggregate {
        // An aggregate sends nothing itself.
        ("-".to_owned(), RawValue::from_string("[]".to_owned()).unwrap_or_default(), String::new())
    } else {
        let test_model = wanted.test_model.trim();
        if test_model.is_empty() {
            return Err(Invalid::value("validation.test_model_required"));
        }
        (
            validation::text("test_model", test_model, MODEL_CHARACTERS_MAX)?,
            validation::upstreams(wanted.upstreams.as_deref())?,
            check_endpoint(&wanted.validation_endpoint)?,
        )
    };
    check_sort(wanted.sort)?;
    let now = Some(Timestamp::now());
    Ok(Record {
        id: 0,
        name,
        group_type,
        upstreams,
        validation_endpoint,
        channel_type: channel.name().to_owned(),
        sort: wanted.sort,
        test_model,
        config: validation::config(wanted.config.as_deref())?,
        header_rules: Some(validation::header_rules(&wanted.header_rules)?),
        model_redirect_rules: Some(validation::model_redirects(&wanted.model_redirect_rules, is_aggregate)?),
        model_redirect_strict: wanted.model_redirect_strict,
        param_overrides: validation::param_overrides(wanted.param_overrides.as_deref())?,
        display_name: check_display_name(&wanted.display_name)?,
        description: check_description(&wanted.description)?,
        proxy_keys: check_proxy_keys(&wanted.proxy_keys)?,
        last_validated_at: None,
        created_at: now,
        updated_at: now,
    })
}

/// Changes a group and returns it as stored. Nobody else changes groups in between, so a rule that held when it was
/// checked holds when the change is stored, and a group that was deleted stays deleted.
pub(crate) async fn update(database: &Database, id: GroupId, patch: GroupPatch) -> Result<Record, Error> {
    let mut writer = database.begin_change().await?;
    let before = queries::find(&mut *writer, id).await?;
    check_seen(&before, patch.expected_updated_at)?;
    let parents = queries::count_parents(&mut *writer, id).await?;
    let after = apply(before, &patch, parents)?;
    queries::update(&mut writer, &after).await?;
    writer.commit().await?;
    Ok(after)
}

/// A group of an old version may have no time; it is shown with the first of all.
fn check_seen(group: &Record, expected: Option<Timestamp>) -> Result<(), Invalid> {
    let never = || {
        Timestamp(
            chrono::NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default().and_time(chrono::NaiveTime::MIN).and_utc(),
        )
    };
    let seen = |time: Timestamp| time.to_milliseconds();
    match expected {
        // As exactly as every database keeps times.
        Some(expected) if seen(expected) != seen(group.updated_at.unwrap_or_else(never)) => {
            Err(Invalid::outdated("error.changed_meanwhile"))
        }
        _ => Ok(()),
    }
}

/// `parents`: how many aggregate groups the group is a member of.
fn apply(mut group: Record, patch: &GroupPatch, parents: i64) -> Result<Record, Invalid> {
    if let Some(name) = &patch.name {
        group.name = validation::name(name)?;
    }
    if patch.upstreams.is_some() {
        group.upstreams = validation::upstreams(patch.upstreams.as_deref())?;
    }
    if !group.is_aggregate() && parents > 0 {
        // All members of an aggregate group speak one format and are tested at one place.
        let differs = |wanted: &Option<String>, now: &str| wanted.as_ref().is_some_and(|wanted| wanted.trim() != now);
        if differs(&patch.channel_type, &group.channel_type)
            || differs(&patch.validation_endpoint, &group.validation_endpoint)
        {
            return Err(Invalid::value("validation.sub_group_referenced_cannot_modify").with("count", parents));
        }
    }
    if let Some(channel) = patch.channel_type.as_ref().filter(|_| !group.is_aggregate()) {
        validation::channel(channel)?.name().clone_into(&mut group.channel_type);
    }
    if let Some(model) = patch.test_model.as_ref().filter(|model| !model.is_empty()) {
        if model.trim().is_empty() {
            return Err(Invalid::value("validation.test_model_empty"));
        }
        group.test_model = validation::text("test_model", model, MODEL_CHARACTERS_MAX)?;
    }
    if let Some(rules) = &patch.model_redirect_rules {
        group.model_redirect_rules = Some(validation::model_redirects(rules, group.is_aggregate())?);
    }
    if let Some(endpoint) = &patch.validation_endpoint {
        group.validation_endpoint = check_endpoint(endpoint)?;
    }
    if patch.config.is_some() {
        group.config = validation::config(patch.config.as_deref())?;
    }
    if let Some(rules) = &patch.header_rules {
        group.header_rules = Some(validation::header_rules(rules)?);
    }
    if patch.param_overrides.is_some() {
        group.param_overrides = validation::param_overrides(patch.param_overrides.as_deref())?;
    }
    if let Some(text) = &patch.display_name {
        group.display_name = check_display_name(text)?;
    }
    if let Some(text) = &patch.description {
        group.description = check_description(text)?;
    }
    if let Some(text) = &patch.proxy_keys {
        group.proxy_keys = check_proxy_keys(text)?;
    }
    // A position that an old version let through may stay: the console sends it along with every other change.
    if let Some(sort) = patch.sort.filter(|sort| *sort != group.sort) {
        check_sort(sort)?;
        group.sort = sort;
    }
    group.model_redirect_strict = patch.model_redirect_strict.unwrap_or(group.model_redirect_strict);
    group.updated_at = Some(Timestamp::now());
    Ok(group)
}

fn check_sort(sort: i64) -> Result<(), Invalid> {
    if sort < 0 { Err(Invalid::value("validation.reorder_sort_negative")) } else { Ok(()) }
}

fn check_endpoint(text: &str) -> Result<String, Invalid> {
    validation::text("validation_endpoint", &validation::validation_endpoint(text)?, ENDPOINT_CHARACTERS_MAX)
}

fn check_display_name(text: &str) -> Result<String, Invalid> {
    validation::text("display_name", text, DISPLAY_NAME_CHARACTERS_MAX)
}

fn check_description(text: &str) -> Result<String, Invalid> {
    validation::text("description", text, DESCRIPTION_CHARACTERS_MAX)
}

fn check_proxy_keys(text: &str) -> Result<String, Invalid> {
    validation::text("proxy_keys", text, PROXY_KEYS_CHARACTERS_MAX)
}

/// Gives groups their positions, all of them or none.
pub(crate) async fn reorder(database: &Database, positions: &[(GroupId, i64)]) -> Result<(), Error> {
    check_positions(positions)?;
    let mut writer = database.begin_change().await?;
    for &(id, sort) in positions {
        if !queries::set_sort(&mut writer, id, sort).await? {
            return Err(Invalid::value("validation.reorder_group_not_found").into());
        }
    }
    writer.commit().await?;
    Ok(())
}

fn check_positions(positions: &[(GroupId, i64)]) -> Result<(), Invalid> {
    if positions.is_empty() {
        return Err(Invalid::value("validation.reorder_items_required"));
    }
    let mut seen = HashSet::new();
    for &(id, sort) in positions {
        if id == 0 {
            return Err(Invalid::value("validation.reorder_group_id"));
        }
        check_sort(sort)?;
        if !seen.insert(id) {
            return Err(Invalid::value("validation.reorder_duplicate_group").with("id", id));
        }
    }
    Ok(())
}
