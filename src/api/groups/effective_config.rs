//! GET /api/groups/{id}/effective-config: which settings are in effect for a group, and where each value comes from.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{answer::Answer, document::Shown, language::Language, path::GroupInPath, refusal::Refusal},
    group,
    settings::Source,
};

#[derive(Serialize, ToSchema)]
#[schema(as = EffectiveSetting)]
pub(in crate::api) struct Effective {
    key: &'static str,
    name: String,
    description: String,
    value: Value,
    /// `group`, `system` or `default`.
    source: &'static str,
    /// As it is stored, also where it cannot be used; left out where the group says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group_value: Option<Value>,
    /// What the group would inherit.
    system_value: Value,
    default_value: Value,
    /// What is wrong with the group's own value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<String>,
}

impl Shown for Effective {}

pub(in crate::api) async fn effective_config(
    api: Api,
    language: Language,
    GroupInPath(id): GroupInPath,
) -> Result<Answer<Vec<Effective>>, Refusal> {
    let group = group::queries::find(api.database.readers(), id).await?;
    let own = group.config.as_deref().and_then(|config| serde_json::from_str::<Map<String, Value>>(config.get()).ok());
    let own = own.unwrap_or_default();
    let snapshot = api.directory.current();
    let all = snapshot.settings.group.explained(&own).into_iter().map(|effective| {
        let setting = effective.setting;
        Effective {
            key: setting.key,
            name: language.say(setting.name_key, &[]),
            description: language.say(&setting.description_key(), &[]),
            value: effective.value.to_json(),
            source: match effective.source {
                Source::Group => "group",
                Source::System => "system",
                Source::Default => "default",
            },
            group_value: own.get(setting.key).filter(|value| !value.is_null()).cloned(),
            system_value: effective.system_value.to_json(),
            default_value: setting.default().to_json(),
            problem: effective.problem,
        }
    });
    Answer::with(&all.collect::<Vec<_>>())
}
