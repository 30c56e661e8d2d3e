//! PUT /api/settings: changes the settings that are given, all of them or none.

use serde_json::{Map, Value};

use super::{Api, IfMatch, Version, version};
use crate::{
    api::{
        answer::{Answer, Headed, Message},
        body::{Body, Fields, FromFields, Misread},
        document::{Shape, shape::kinds},
        refusal::Refusal,
    },
    settings::{self, SaveError},
};

pub(in crate::api) struct Wanted(Map<String, Value>);

impl FromFields for Wanted {
    /// Settings are told apart by their exact keys.
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let read = |(key, value): (&str, &serde_json::value::RawValue)| {
            let value = serde_json::from_str(value.get()).map_err(|error| Misread::of(key, error))?;
            Ok((key.to_owned(), value))
        };
        fields.members().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn shape() -> Shape {
        let shape = Shape::default().and_nothing_else();
        kinds(settings::TABLE.iter()).fold(shape, |shape, (key, kind)| shape.maybe(key, kind))
    }
}

pub(in crate::api) async fn update(
    api: Api,
    IfMatch(expected): IfMatch,
    Body(Wanted(wanted)): Body<Wanted>,
) -> Result<Headed<Version, ()>, Refusal> {
    if wanted.is_empty() {
        return Ok(Headed::new(version(&api), Answer::saying("common.success")));
    }
    let is_expected = expected.map(|wanted| move |version: &str| IfMatch::is_met_by(&wanted, version));
    let is_expected = is_expected.as_ref().map(|check| check as &(dyn Fn(&str) -> bool + Send + Sync));
    let changes = settings::changes(&wanted, &api.directory.current().settings)
        .map_err(|problem| Refusal::invalid(Message::Verbatim(problem.into())))?;
    settings::save(&api.database, &changes, is_expected).await.map_err(|error| match error {
        SaveError::Outdated => Refusal::changed_meanwhile(),
        SaveError::Database(error) => error.into(),
    })?;
    api.put_into_effect().await?;
    Ok(Headed::new(version(&api), Answer::saying("settings.update_success")))
}
