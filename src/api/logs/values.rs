//! GET /api/logs/values: which values a field of the log has within a span, for whoever chooses a filter.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, FILTER_CHARACTERS_MAX, Wanted, filter, summary::span, text};
use crate::{
    api::{
        answer::Answer,
        document::{
            Shape, Shown,
            shape::{one_of, text_up_to},
        },
        query::{Parameters, Query, read},
        refusal::Refusal,
    },
    request_log::{Field, ValueFigures},
};

const VALUES_MAX: usize = 100;

pub(in crate::api) struct WantedValues;

impl Parameters for WantedValues {
    fn shape() -> Shape {
        Wanted::shape().needed("field", one_of(&Field::ALL.map(Field::name)), "Whose values are wanted").optional(
            "prefix",
            text_up_to(FILTER_CHARACTERS_MAX),
            "What they begin with, in any case",
        )
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogValues)]
pub(in crate::api) struct Values {
    /// At most 100, those that occur most first.
    values: Vec<Counted>,
    /// Only a sample of the span was read: rare values may be missing, and counts are scaled up.
    is_estimate: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CountedLogValue)]
struct Counted {
    value: String,
    count: u64,
}

impl Shown for Values {}

pub(in crate::api) async fn values(api: Api, query: Query<WantedValues>) -> Result<Answer<Values>, Refusal> {
    let filter = filter(&query)?;
    let span = span(&filter, api.clock.now())?;
    let wanted = format!("one of {}", Field::ALL.map(Field::name).join(", "));
    let named = |name: &str| Field::ALL.into_iter().find(|field| field.name() == name);
    let field = read(&query, "field", &wanted, named)?.ok_or_else(|| {
        let values = [("field", "field".to_owned()), ("wanted", wanted.clone())];
        Refusal::bad_request(("validation.invalid_parameter", values))
    })?;
    let prefix = text(&query, "prefix")?.unwrap_or_default();
    let (values, is_estimate) = api.log_search.values_of(&filter, span, field, &prefix, VALUES_MAX).await?;
    let counted = |ValueFigures { value, count, .. }: ValueFigures| Counted { value, count };
    Answer::with(&Values { values: values.into_iter().map(counted).collect(), is_estimate })
}
