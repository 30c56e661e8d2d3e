//! GET /api/groups: all groups as they are edited, by their position.

use super::{Api, app_url, shown::Shown};
use crate::{
    api::{answer::Answer, refusal::Refusal},
    group,
};

pub(in crate::api) async fn list(api: Api) -> Result<Answer<Vec<Shown<'static>>>, Refusal> {
    let groups = group::queries::all(api.database.readers()).await?;
    let app_url = app_url(&api);
    Answer::with(&groups.iter().map(|group| Shown::of(group, &app_url)).collect::<Vec<_>>())
}
