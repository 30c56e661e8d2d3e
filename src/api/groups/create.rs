//! POST /api/groups: a new group, at once in effect.

use super::{Api, app_url, shown::Shown};
use crate::{
    api::{answer::Answer, body::Body, refusal::Refusal},
    group::{self, NewGroup},
};

pub(in crate::api) async fn create(api: Api, Body(wanted): Body<NewGroup>) -> Result<Answer<Shown<'static>>, Refusal> {
    let group = group::create(&api.database, wanted).await?;
    api.put_into_effect().await?;
    Answer::with(&Shown::of(&group, &app_url(&api)))
}
