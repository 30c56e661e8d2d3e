//! A group as it is stored: texts and JSON that are not interpreted yet.

use serde_json::value::RawValue;

use super::GroupId;
use crate::{
    channel::Channel,
    db::{self, AnyTime, FromRow, Groups, JsonText, Row, Timestamp},
};

/// A row of `groups`. JSON keeps its text, so that numbers keep their digits.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// Comma separated, as typed.
    pub(crate) proxy_keys: String,
    pub(crate) description: String,
    pub(crate) group_type: GroupType,
    /// `[{"url":…,"weight":…}]`
    pub(crate) upstreams: Box<RawValue>,
    /// Empty: the channel's default.
    pub(crate) validation_endpoint: String,
    pub(crate) channel_type: String,
    pub(crate) sort: i64,
    pub(crate) test_model: String,
    /// An object; `None` where it was never given.
    pub(crate) param_overrides: Option<Box<RawValue>>,
    /// An object of settings; `None` where it was never given.
    pub(crate) config: Option<Box<RawValue>>,
    /// An array; `None` in rows of old versions.
    pub(crate) header_rules: Option<Box<RawValue>>,
    /// An object of strings; `None` where it is stored as `null`.
    pub(crate) model_redirect_rules: Option<Box<RawValue>>,
    pub(crate) model_redirect_strict: bool,
    pub(crate) last_validated_at: Option<Timestamp>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// What a group is. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupType {
    /// Has upstreams and keys.
    Standard,
    /// Has members.
    Aggregate,
}

impl GroupType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Aggregate => "aggregate",
        }
    }

    /// Empty is what rows of old versions, and callers who do not care, say.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "standard" => Some(Self::Standard),
            "aggregate" => Some(Self::Aggregate),
            _ => None,
        }
    }
}

impl Record {
    pub(crate) fn is_aggregate(&self) -> bool {
        self.group_type == GroupType::Aggregate
    }

    /// Where keys are tested: the group's own place, or its channel's.
    pub(crate) fn effective_endpoint(&self) -> &str {
        match Channel::parse(&self.channel_type) {
            Some(channel) if self.validation_endpoint.is_empty() => channel.default_validation_endpoint(),
            _ => &self.validation_endpoint,
        }
    }
}

impl FromRow for Record {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let name = text(row, Groups::Name)?;
        let group_type = text(row, Groups::GroupType)?;
        let time = |column: Groups| stored_time(row, column, &name);
        let json = |column: Groups, kind: Json| stored_json(row, column, kind, &name);
        Ok(Self {
            id: row.get(Groups::Id.name())?,
            display_name: text(row, Groups::DisplayName)?,
            proxy_keys: text(row, Groups::ProxyKeys)?,
            description: text(row, Groups::Description)?,
            group_type: GroupType::parse(&group_type).unwrap_or_else(|| {
                tracing::warn!(group.name = %name, "Group {name} is of the unknown type {group_type:?}: taken as standard");
                GroupType::Standard
            }),
            upstreams: json(Groups::Upstreams, Json::ARRAY)?.unwrap_or_else(|| Json::ARRAY.empty()),
            validation_endpoint: text(row, Groups::ValidationEndpoint)?,
            channel_type: text(row, Groups::ChannelType)?,
            sort: row.get::<Option<i64>>(Groups::Sort.name())?.unwrap_or_default(),
            test_model: text(row, Groups::TestModel)?,
            param_overrides: json(Groups::ParamOverrides, Json::OBJECT)?,
            config: json(Groups::Config, Json::OBJECT)?,
            header_rules: json(Groups::HeaderRules, Json::ARRAY)?,
            model_redirect_rules: json(Groups::ModelRedirectRules, Json::OBJECT)?,
            model_redirect_strict: row.get::<Option<bool>>(Groups::ModelRedirectStrict.name())?.unwrap_or_default(),
            last_validated_at: time(Groups::LastValidatedAt)?,
            created_at: time(Groups::CreatedAt)?,
            updated_at: time(Groups::UpdatedAt)?,
            name,
        })
    }
}

/// Rows that are older than a column hold NULL there: it means empty.
fn text(row: &Row, column: Groups) -> Result<String, db::Error> {
    Ok(row.get::<Option<String>>(column.name())?.unwrap_or_default())
}

/// One time that nobody can read must not keep all groups from serving.
fn stored_time(row: &Row, column: Groups, group: &str) -> Result<Option<Timestamp>, db::Error> {
    match row.get::<Option<AnyTime>>(column.name())? {
        None => Ok(None),
        Some(AnyTime(Ok(time))) => Ok(Some(time)),
        Some(AnyTime(Err(text))) => {
            let column = column.name();
            tracing::warn!(group.name = %group, "Group {group}: {text:?} in {column} is no time and counts as none");
            Ok(None)
        }
    }
}

/// The shape that a JSON column must have.
#[derive(Clone, Copy)]
struct Json {
    opening: char,
    empty: &'static str,
    /// Whether SQL NULL, in rows that are older than the column, means empty rather than never given.
    null_is_empty: bool,
}

impl Json {
    const OBJECT: Self = Self { opening: '{', empty: "{}", null_is_empty: true };
    const ARRAY: Self = Self { opening: '[', empty: "[]", null_is_empty: false };

    fn empty(self) -> Box<RawValue> {
        RawValue::from_string(self.empty.to_owned()).unwrap_or_default()
    }
}

fn stored_json(row: &Row, column: Groups, kind: Json, group: &str) -> Result<Option<Box<RawValue>>, db::Error> {
    let Some(JsonText(text)) = row.get::<Option<JsonText>>(column.name())? else {
        return Ok(kind.null_is_empty.then(|| kind.empty()));
    };
    match RawValue::from_string(text) {
        Ok(value) if value.get() == "null" => Ok(None),
        Ok(value) if value.get().starts_with(kind.opening) => Ok(Some(value)),
        _ => {
            let column = column.name();
            tracing::warn!(group.name = %group, "Column {column} of group {group} holds no usable JSON: taken as empty");
            Ok(Some(kind.empty()))
        }
    }
}
