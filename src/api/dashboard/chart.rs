//! GET /api/dashboard/chart: successes and failures of the last 24 hours, hour by hour.

use chrono::SecondsFormat;
use serde::Serialize;

use super::Api;
use crate::{
    api::{answer::Answer, language::Language, query::Query, refusal::Refusal},
    stats::{self, Scope},
};

#[derive(Serialize)]
struct Chart {
    labels: Vec<String>,
    datasets: [Dataset; 2],
}

#[derive(Serialize)]
struct Dataset {
    label: String,
    data: Vec<i64>,
    color: &'static str,
}

pub(in crate::api) async fn chart(api: Api, language: Language, query: Query) -> Result<Answer, Refusal> {
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
