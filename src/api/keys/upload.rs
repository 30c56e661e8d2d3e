//! Keys to import, as JSON or as a text file in a form.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::MultipartError};
use http::{StatusCode, header::CONTENT_TYPE};
use http_body::{Body as _, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::{Api, ImportTexts, KeyTexts, ManyKeyTexts, PreviewTexts};
use crate::{
    api::{
        body::{Body, IMPORT_BYTES_MAX, LONG_BODY_BYTES, SILENCE_MAX},
        query::parse_flag,
        refusal::Refusal,
    },
    group::GroupId,
};

/// A longer text is neither an id nor a flag.
const FIELD_BYTES_MAX: usize = 32;
const FILE_ENDING: &str = ".txt";

/// A place among the long uploads, held until the keys are read out of the text. `None`: a short text needs none.
pub(super) struct Place(
    #[expect(dead_code, reason = "held, and given back when it is dropped")] Option<OwnedSemaphorePermit>,
);

pub(in crate::api) struct KeysToImport(pub(super) ImportTexts, pub(super) Place);

pub(in crate::api) struct KeysToPreview {
    pub(super) group_id: Option<GroupId>,
    pub(super) keys_text: String,
    pub(super) place: Place,
}

pub(in crate::api) struct KeysToDelete(pub(super) KeyTexts, pub(super) Place);

impl Place {
    /// Waits until one is free: until then nothing of the body is taken from the client.
    async fn wait_for(api: &Api, length: SizeHint) -> Result<Self, Refusal> {
        // A length that is told beforehand spares the caller the upload, and the wait for it.
        if length.lower() > IMPORT_BYTES_MAX as u64 {
            return Err(Refusal::too_large(IMPORT_BYTES_MAX));
        }
        if length.upper().is_some_and(|bytes| bytes < LONG_BODY_BYTES as u64) {
            return Ok(Self(None));
        }
        let free = Arc::clone(&api.0.upload_places).acquire_owned();
        let place = tokio::time::timeout(SILENCE_MAX, free).await.map_err(|_| Refusal::too_busy())?;
        Ok(Self(Some(place.map_err(Refusal::internal)?)))
    }
}

impl FromRequest<Api> for KeysToDelete {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let place = Place::wait_for(api, request.body().size_hint()).await?;
        let Body(ManyKeyTexts(texts)) = Body::from_request(request, api).await?;
        Ok(Self(texts, place))
    }
}

impl FromRequest<Api> for KeysToImport {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let place = Place::wait_for(api, request.body().size_hint()).await?;
        if is_form(&request) {
            let form = read_form(request, api).await?;
            let group_id = form.group_id()?.ok_or_else(|| Refusal::bad_request("validation.group_id_required"))?;
            let is_validated = form.is_validated()?;
            let texts = KeyTexts { group_id, keys_text: form.text()? };
            return Ok(Self(ImportTexts { texts, is_validated }, place));
        }
        let Body(texts) = Body::from_request(request, api).await?;
        Ok(Self(texts, place))
    }
}

impl FromRequest<Api> for KeysToPreview {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let place = Place::wait_for(api, request.body().size_hint()).await?;
        if is_form(&request) {
            let form = read_form(request, api).await?;
            return Ok(Self { group_id: form.group_id()?, keys_text: form.text()?, place });
        }
        let Body(PreviewTexts { group_id, keys_text }) = Body::from_request(request, api).await?;
        Ok(Self { group_id, keys_text, place })
    }
}

fn is_form(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.to_ascii_lowercase().contains("multipart/form-data")
}

/// The fields that count, in whichever order they came.
#[derive(Default)]
struct Form {
    group_id: Option<String>,
    validate: Option<String>,
    file: Option<File>,
}

struct File {
    name: String,
    content: Vec<u8>,
}

async fn read_form(mut request: Request, api: &Api) -> Result<Form, Refusal> {
    DefaultBodyLimit::max(IMPORT_BYTES_MAX).apply(&mut request);
    // The original looks for the group first, and finds none in what it cannot read.
    let unreadable = || Refusal::bad_request("validation.group_id_required");
    let mut multipart = Multipart::from_request(request, api).await.map_err(|_| unreadable())?;
    let mut form = Form::default();
    while let Some(mut field) = within_time(multipart.next_field()).await?.map_err(|error| told(&error, unreadable))? {
        let file_name = field.file_name().map(str::to_owned);
        let name = field.name().unwrap_or_default().to_owned();
        let bytes_kept_max = match (name.as_str(), &file_name) {
            ("group_id", _) if form.group_id.is_none() => FIELD_BYTES_MAX,
            ("validate", _) if form.validate.is_none() => FIELD_BYTES_MAX,
            ("file", Some(_)) if form.file.is_none() => IMPORT_BYTES_MAX,
            _ => 0,
        };
        let mut content = Vec::new();
        let broken = || Refusal::bad_request("validation.failed_to_read_file");
        while let Some(piece) = within_time(field.chunk()).await?.map_err(|error| told(&error, broken))? {
            let room = bytes_kept_max - content.len();
            content.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        match (name.as_str(), file_name) {
            ("group_id", _) if form.group_id.is_none() => {
                form.group_id = Some(String::from_utf8_lossy(&content).into_owned());
            }
            ("validate", _) if form.validate.is_none() => {
                form.validate = Some(String::from_utf8_lossy(&content).into_owned());
            }
            ("file", Some(name)) if form.file.is_none() => form.file = Some(File { name, content }),
            _ => {}
        }
    }
    Ok(form)
}

async fn within_time<T>(step: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::time::timeout(SILENCE_MAX, step).await.map_err(|_| Refusal::too_slow())
}

fn told(error: &MultipartError, otherwise: impl FnOnce() -> Refusal) -> Refusal {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE { Refusal::too_large(IMPORT_BYTES_MAX) } else { otherwise() }
}

impl Form {
    fn group_id(&self) -> Result<Option<GroupId>, Refusal> {
        let Some(text) = self.group_id.as_ref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let id = text.parse().ok().filter(|&id| id > 0);
        id.map(Some).ok_or_else(|| Refusal::bad_request("validation.invalid_group_id_format"))
    }

    fn is_validated(&self) -> Result<bool, Refusal> {
        let Some(text) = self.validate.as_ref().filter(|text| !text.is_empty()) else { return Ok(false) };
        let values = [("field", "validate".to_owned()), ("wanted", "true or false".to_owned())];
        parse_flag(text).ok_or_else(|| Refusal::bad_request(("validation.invalid_parameter", values)))
    }

    fn text(self) -> Result<String, Refusal> {
        let file = self.file.ok_or_else(|| Refusal::bad_request("validation.file_required"))?;
        if !file.name.to_ascii_lowercase().ends_with(FILE_ENDING) {
            return Err(Refusal::invalid("validation.only_txt_supported"));
        }
        String::from_utf8(file.content).map_err(|_| Refusal::bad_request("validation.file_not_text"))
    }
}
