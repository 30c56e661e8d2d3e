//! GET /api/search: groups, keys, requests and settings by a part of what they are called, for the console's one field.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Api, answer,
    answer::{Answer, UNREADABLE_KEY},
    document::{
        Shape, Shown,
        shape::{integer, some_text_up_to},
    },
    language::Language,
    query::{Parameters, Query, read},
    refusal::Refusal,
};
use crate::{
    crypto::Secret,
    group::{self, GroupId, Record},
    keypool::StoredKey,
    request_log::{Bodies, Filter, LoggedEntry, Start},
    settings::TABLE,
};

/// A longer text is part of nothing.
const TEXT_CHARACTERS_MAX: usize = 500;
/// Found things of one kind, unless the caller wants another number.
const LIMIT_DEFAULT: u8 = 20;
const LIMIT_MAX: u8 = 100;
/// How long keys are looked for: a million of them may take longer.
const KEYS_TIME: Duration = Duration::from_secs(1);

pub(super) struct Wanted;

impl Parameters for Wanted {
    fn shape() -> Shape {
        let limit = integer(1, LIMIT_MAX.into());
        let text = "Contained in what is looked for, in any case; a whole key or a whole request id is found at once";
        Shape::default().needed("q", some_text_up_to(TEXT_CHARACTERS_MAX), text).optional(
            "limit",
            limit,
            "Of each kind; 20 unless given, 100 at most",
        )
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Findings)]
pub(super) struct Findings<'a> {
    groups: Vec<FoundGroup<'a>>,
    keys: Vec<FoundKey<'a>>,
    /// False: there are more, or the time was up before all keys were looked at.
    keys_are_complete: bool,
    /// The tries of the request with that id, newest first.
    requests: Vec<FoundRequest<'a>>,
    settings: Vec<FoundSetting>,
}

#[derive(Serialize, ToSchema)]
struct FoundGroup<'a> {
    id: GroupId,
    name: &'a str,
    display_name: &'a str,
    channel_type: &'a str,
}

#[derive(Serialize, ToSchema)]
struct FoundKey<'a> {
    id: i64,
    group_id: GroupId,
    /// Empty where the group is gone.
    group_name: &'a str,
    masked: String,
    /// As keys are shown.
    state: &'static str,
    notes: &'a str,
}

#[derive(Serialize, ToSchema)]
struct FoundRequest<'a> {
    request_id: &'a str,
    #[schema(format = DateTime)]
    timestamp: String,
    group_name: &'a str,
    status_code: i64,
    model: &'a str,
}

#[derive(Serialize, ToSchema)]
struct FoundSetting {
    key: &'static str,
    name: String,
}

impl Shown for Findings<'_> {}

pub(super) async fn search(
    api: Api,
    language: Language,
    query: Query<Wanted>,
) -> Result<Answer<Findings<'static>>, Refusal> {
    let wanted = format!("a text of 1 to {TEXT_CHARACTERS_MAX} characters without the character U+0000");
    let is_searchable = |text: &str| text.chars().count() <= TEXT_CHARACTERS_MAX && !text.contains('\0');
    let text = read(&query, "q", &wanted, |text| {
        Some(text.trim().to_owned()).filter(|text| !text.is_empty() && is_searchable(text))
    })?;
    let missing = || {
        let values = [("field", "q".to_owned()), ("wanted", wanted.clone())];
        Refusal::bad_request(("validation.invalid_parameter", values))
    };
    let text = text.ok_or_else(missing)?;
    let limit = read(&query, "limit", "a number from 1 to 100", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    })?;
    let limit = usize::from(limit.unwrap_or(LIMIT_DEFAULT));
    let part = text.to_lowercase();
    let all = group::queries::all(api.database.readers()).await?;
    let names: HashMap<GroupId, &str> = all.iter().map(|group| (group.id, &*group.name)).collect();
    let deadline = api.clock.steady() + KEYS_TIME;
    let (keys, keys_are_complete) = api.key_pools.search_everywhere(&Secret::new(&*text), limit, deadline).await?;
    let tries = tries(&api, &text, limit).await?;
    Answer::with(&Findings {
        groups: all.iter().filter(|group| is_called(group, &part)).take(limit).map(FoundGroup::of).collect(),
        keys: keys.iter().map(|key| FoundKey::of(key, &names)).collect(),
        keys_are_complete,
        requests: tries.iter().map(FoundRequest::of).collect(),
        settings: settings(&part, language).take(limit).collect(),
    })
}

fn is_called(group: &Record, part: &str) -> bool {
    [&group.name, &group.display_name, &group.description].iter().any(|text| text.to_lowercase().contains(part))
}

/// Of the request whose id the text is.
async fn tries(api: &Api, text: &str, limit: usize) -> Result<Vec<LoggedEntry>, Refusal> {
    if Uuid::try_parse(text).is_err() {
        return Ok(Vec::new());
    }
    let filter = Filter { request_id: Some(text.to_owned()), ..Filter::default() };
    Ok(api.log_search.page(&filter, Start::Below(None), limit, Bodies::LeftOut).await?.entries)
}

fn settings(part: &str, language: Language) -> impl Iterator<Item = FoundSetting> {
    TABLE.iter().filter_map(move |setting| {
        let name = language.say(setting.name_key, &[]);
        let is_meant = setting.key.contains(part) || name.to_lowercase().contains(part);
        is_meant.then_some(FoundSetting { key: setting.key, name })
    })
}

impl<'a> FoundGroup<'a> {
    fn of(group: &'a Record) -> Self {
        Self { id: group.id, name: &group.name, display_name: &group.display_name, channel_type: &group.channel_type }
    }
}

impl<'a> FoundKey<'a> {
    fn of(key: &'a StoredKey, names: &HashMap<GroupId, &'a str>) -> Self {
        Self {
            id: key.id,
            group_id: key.group_id,
            group_name: names.get(&key.group_id).copied().unwrap_or_default(),
            masked: key.secret.as_ref().map_or_else(|| UNREADABLE_KEY.to_owned(), Secret::masked),
            state: key.state.name(),
            notes: &key.notes,
        }
    }
}

impl<'a> FoundRequest<'a> {
    fn of(entry: &'a LoggedEntry) -> Self {
        Self {
            request_id: entry.request_id.as_deref().unwrap_or_default(),
            timestamp: answer::time(entry.timestamp),
            group_name: &entry.group_name,
            status_code: entry.status_code,
            model: &entry.model,
        }
    }
}
