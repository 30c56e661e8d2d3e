//! GET /api/dashboard/chart: successes and failures of the last 24 hours, hour by hour.

use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{
        answer::Answer,
        document::{Shape, Shown, shape::integer},
        language::Language,
        query::{Parameters, Query},
        refusal::Refusal,
    },
    stats::{self, Scope},
};

#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Chart {
    labels: Vec<String>,
    #[schema(value_type = Vec<Dataset>)]
    datasets: [Dataset; 2],
}

#[derive(Serialize, ToSchema)]
struct Dataset {
    label: String,
    data: Vec<i64>,
    color: &'static str,
}

impl Shown for Chart {}

pub(in crate::api) struct OfGroup;

impl Parameters for OfGroup {
    fn shape() -> Shape {
        Shape::default().optional("groupId", integer(i64::MIN, i64::MAX), "Only requests to this group")
    }
}

pub(in crate::api) async fn chart(
    api: Api,
    language: Language,
    query: Query<OfGroup>,
) -> Result<Answer<Chart>, Refusal> {
    let scope = match query.first("groupId") {
        None => Scope::All,
        Some(text) => {
            let id = text.parse().map_err(|_| Refusal::bad_request("dashboard.invalid_chart_group_id"))?;
            Scope::Group(id)
        }
    };
    let points = stats::last_day(&api.database, scope, api.clock.now())
        .await
        .map_err(|error| Refusal::database(error, "database.chart_data_failed"))?;
    // An hour begins with an hour of UTC, also where the wall clock shows half past then.
    let label = |point: &stats::Point| api.clock.local(point.begin).to_rfc3339_opts(SecondsFormat::Secs, true);
    Answer::with(&Chart {
        labels: points.iter().map(label).collect(),
        datasets: [
            Dataset {
                label: language.say("dashboard.success_requests", &[]),
                data: points.iter().map(|point| point.counts.successes).collect(),
                color: "rgba(10, 200, 110, 1)",
            },
            Dataset {
                label: language.say("dashboard.failed_requests", &[]),
                data: points.iter().map(|point| point.counts.failures).collect(),
                color: "rgba(255, 70, 70, 1)",
            },
        ],
    })
}
