//! GET /api/groups/config-options: settings that a group may override, with the values that it would inherit.

use serde::Serialize;
use serde_json::Value;

use super::Api;
use crate::{
    api::{answer::Answer, language::Language, refusal::Refusal},
    settings,
};

#[derive(Serialize)]
struct ConfigOption {
    key: &'static str,
    name: String,
    description: String,
    default_value: Value,
}

pub(in crate::api) async fn config_options(api: Api, language: Language) -> Result<Answer, Refusal> {
    let snapshot = api.directory.current();
    let options = settings::overridable().map(|setting| ConfigOption {
        key: setting.key,
        name: language.say(setting.name_key, &[]),
        description: language.say(&setting.description_key(), &[]),
        default_value: setting.current(&snapshot.settings).to_json(),
    });
    Answer::with(&options.collect::<Vec<_>>())
}
