//! GET /api/settings: every setting by category, with its value, its bounds and its texts.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Api, Version, version};
use crate::{
    api::{
        answer::{Answer, Headed},
        document,
        language::Language,
        refusal::Refusal,
    },
    settings::{Setting, Settings, TABLE},
};

#[derive(Serialize, ToSchema)]
#[schema(as = SettingsCategory)]
pub(in crate::api) struct Category {
    category_name: String,
    settings: Vec<Shown>,
}

impl document::Shown for Category {}

#[derive(Serialize, ToSchema)]
#[schema(as = Setting)]
struct Shown {
    key: &'static str,
    name: String,
    /// A number, a text, or true or false.
    value: Value,
    /// `int`, `string` or `bool`.
    r#type: &'static str,
    /// As a text, whatever the type is.
    default_value: String,
    description: String,
    category: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    min_value: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_value: Option<u64>,
    required: bool,
}

pub(in crate::api) async fn list(api: Api, language: Language) -> Result<Headed<Version, Vec<Category>>, Refusal> {
    let snapshot = api.directory.current();
    // The table lists the settings of a category one after the other.
    let categories = TABLE.chunk_by(|one, next| one.category == next.category).map(|settings| Category {
        category_name: settings.first().map(|first| language.say(first.category.name_key(), &[])).unwrap_or_default(),
        settings: settings.iter().map(|setting| shown(setting, &snapshot.settings, language)).collect(),
    });
    Ok(Headed::new(version(&api), Answer::with(&categories.collect::<Vec<_>>())?))
}

fn shown(setting: &Setting, settings: &Settings, language: Language) -> Shown {
    let bounds = setting.bounds();
    Shown {
        key: setting.key,
        name: language.say(setting.name_key, &[]),
        value: setting.current(settings).to_json(),
        r#type: setting.type_name(),
        default_value: setting.default().to_string(),
        description: language.say(&setting.description_key(), &[]),
        category: language.say(setting.category.name_key(), &[]),
        min_value: bounds.map(|(minimum, _)| minimum),
        max_value: bounds.map(|(_, maximum)| maximum),
        required: setting.is_required(),
    }
}
