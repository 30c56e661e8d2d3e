//! The one answer whose content we change: a model list also names the models that a group's redirects offer.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, Limited};

use super::{
    content,
    failure::Failure,
    prepare::{Call, Prepared},
};
use crate::{group::Group, upstream::Answer};

/// A longer list is refused: it would have to be held as a whole.
const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Nor is one that grows beyond this.
const DECODED_LIST_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Whether this answer is a list that the group's redirects have something to say about.
pub(super) fn is_concerned(group: &Group, call: &Call, prepared: &Prepared, answer: &Answer) -> bool {
    answer.status().is_success()
        && (!group.listed_models.is_empty() || group.redirects.strict)
        && group.channel.is_model_list(&call.method, &prepared.path)
}

/// The list with the group's models in it. One that cannot be read passes as it came.
///
/// # Errors
/// 502 where the upstream breaks off, or sends far too much.
pub(super) async fn merge(group: &Group, prepared: &Prepared, answer: Answer) -> Result<Response<Bytes>, Failure> {
    let (mut parts, body) = answer.into_parts();
    let whole = Limited::new(body, LIST_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| {
            let inner = format!("The model list broke off: {error}");
            Failure::bad_gateway("The upstream's model list broke off", inner)
        })?
        .to_bytes();
    let decoded = match parts.headers.get(header::CONTENT_ENCODING) {
        None => None,
        Some(encoding) => content::decode(&whole, encoding, DECODED_LIST_BYTES_MAX, &mut |_| true).await.ok(),
    };
    let merged = group.channel.merge_model_list(
        decoded.as_deref().unwrap_or(&whole),
        group.listed_models.iter().map(String::as_str),
        group.redirects.strict,
        prepared.query.as_deref(),
    );
    let Some(merged) = merged else { return Ok(Response::from_parts(parts, whole)) };
    for stale in [header::CONTENT_ENCODING, header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        parts.headers.remove(stale);
    }
    parts.headers.remove("content-md5");
    parts.headers.remove("content-digest");
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(merged.len()));
    Ok(Response::from_parts(parts, Bytes::from(merged)))
}
