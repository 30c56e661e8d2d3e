//! POST /api/download-tickets: a link to a download that works for a minute without the management key.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, DOWNLOADS, LIFETIME_SECONDS, PATH_BYTES_MAX, Target};
use crate::api::{
    answer::Answer,
    body::{Body, Fields, FromFields, Misread},
    document::{
        Shape, Shown,
        shape::{like, some_text_up_to},
    },
    refusal::Refusal,
};

pub(in crate::api) struct Wanted {
    path: String,
}

impl FromFields for Wanted {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { path: fields.needed_text("path")? })
    }

    fn shape() -> Shape {
        let path = like(some_text_up_to(PATH_BYTES_MAX), "/api/keys/export?group_id=1");
        Shape::default().needed("path", path, "Path and query of the download, as a browser will send them")
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = DownloadTicket)]
pub(in crate::api) struct Link {
    url: String,
    ticket: String,
    expires_in_seconds: i64,
}

impl Shown for Link {}

pub(in crate::api) async fn create(api: Api, Body(wanted): Body<Wanted>) -> Result<Answer<Link>, Refusal> {
    let target = Target::parse(&wanted.path)
        .ok_or_else(|| Refusal::invalid(("validation.invalid_download_path", [("paths", DOWNLOADS.join(", "))])))?;
    let ticket = api.0.tickets.issue(&target, api.clock.now());
    Answer::with(&Link { url: target.with_ticket(&ticket), ticket, expires_in_seconds: LIFETIME_SECONDS })
}
