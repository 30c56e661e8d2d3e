//! POST /api/keys/test-multiple: tests keys with one real request each, and acts on what the upstream says.

use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, KeyTexts, serving};
use crate::{
    api::{answer::Answer, body::Body, document::Shown, refusal::Refusal},
    crypto::Secret,
};

#[derive(Serialize, ToSchema)]
#[schema(as = KeysTested)]
pub(in crate::api) struct Outcome<'a> {
    /// In the order that was asked for.
    results: Vec<KeyOutcome<'a>>,
    /// Milliseconds.
    total_duration: u64,
}

impl Shown for Outcome<'_> {}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyTested)]
struct KeyOutcome<'a> {
    key_value: &'a str,
    is_valid: bool,
    /// What the upstream said, or why it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

pub(in crate::api) async fn test(api: Api, Body(wanted): Body<KeyTexts>) -> Result<Answer<Outcome<'static>>, Refusal> {
    let begin = Instant::now();
    let stored = wanted.group(&api).await?;
    let group = serving(&api, &stored)?;
    let keys = wanted.parse_stored(&api).await?;
    let tested = api.validator.test(&group, &keys).await?;
    let results = keys.iter().map(Secret::expose).zip(&tested).map(|(key_value, tested)| KeyOutcome {
        key_value,
        is_valid: tested.is_valid(),
        error: tested.failure.as_ref().map(ToString::to_string),
    });
    Answer::with(&Outcome {
        results: results.collect(),
        total_duration: begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
    })
}
