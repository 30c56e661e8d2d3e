//! GET /api/groups/config-options: settings that a group may override, with the values that it would inherit.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{answer::Answer, document::Shown, language::Language, refusal::Refusal},
    settings,
};

#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ConfigOption {
    key: &'static str,
    name: String,
    description: String,
    /// What the group inherits at present: a number, a text, or true or false.
    default_value: Value,
}

impl Shown for ConfigOption {}

pub(in crate::api) async fn config_options(api: Api, language: Language) -> Result<Answer<Vec<ConfigOption>>, Refusal> {
    let snapshot = api.directory.current();
    let options = settings::overridable().map(|setting| ConfigOption {
        key: setting.key,
        name: language.say(setting.name_key, &[]),
        description: language.say(&setting.description_key(), &[]),
        default_value: setting.current(&snapshot.settings).to_json(),
    });
    Answer::with(&options.collect::<Vec<_>>())
}
