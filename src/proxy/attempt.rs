//! One try: a key, an upstream, credentials, send; and, of a refusal, what it says.

use std::{
    net::IpAddr,
    pin::pin,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header, response};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::{
    content,
    headers::clean_response,
    prepare::{Call, Prepared},
    received::Received,
};
use crate::{
    channel::{self, Asked, Blame},
    group::{Group, Key},
    upstream::{Answer, AnswerBody, BoxError, Clients, Limits, RequestBody, SendError},
};

/// As much of an unsuccessful answer as is read before it is judged; what is longer is passed on unread.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// What a compressed one may grow to for the judgement.
const REFUSAL_DECODED_BYTES_MAX: u64 = 256 * 1024;
/// An upstream that is slow to say what is wrong must not hold up the next try.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that differs from one attempt of a request to the next.
pub(super) struct Attempt<'a> {
    pub(super) group: &'a Group,
    pub(super) call: &'a Call,
    pub(super) prepared: &'a Prepared,
    /// Path and query for the chosen upstream.
    pub(super) target: &'a str,
    pub(super) key: &'a Key,
    pub(super) upstream: usize,
    pub(super) client: IpAddr,
    pub(super) deadline: Instant,
}

/// # Errors
/// [`SendError`] where no answer came.
pub(super) async fn send(clients: &Clients, attempt: &Attempt<'_>) -> Result<Answer, SendError> {
    let Attempt { group, call, .. } = attempt;
    let left = attempt.deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(SendError::Late);
    }
    let request = build(attempt)?;
    let pass_on = |head: &response::Parts| {
        if let Some(origin) = &call.origin {
            let mut head = head.clone();
            clean_response(&mut head.headers);
            origin.send_interim(head);
        }
    };
    let answer_timeout = group.settings.response_header_timeout.min(left);
    let spelling = call.origin.as_ref().map(|origin| &origin.spelling);
    let limits = Limits { answer_timeout, is_upgrade: call.is_upgrade, spelling, interim: &pass_on };
    let mut sending = pin!(clients.send(&group.client, group.upstreams.address(attempt.upstream), request, limits));
    let sent = match &call.body {
        Received::Streamed(body) => {
            let left_untaken = body.left_untaken(answer_timeout, group.settings.connect_timeout);
            tokio::select! {
                biased;
                sent = &mut sending => sent,
                () = left_untaken => Err(SendError::AnswerTimeout(answer_timeout)),
            }
        }
        Received::Empty | Received::Whole { .. } => sending.await,
    };
    // An upstream is down that had its time and did not answer. After other attempts it may have had a moment only.
    let whole = group.settings.response_header_timeout.min(group.settings.request_timeout);
    match sent {
        Err(SendError::AnswerTimeout(waited)) if waited < whole / 2 => Err(SendError::Late),
        sent => sent,
    }
}

fn build(attempt: &Attempt<'_>) -> Result<Request<RequestBody>, SendError> {
    let Attempt { group, call, prepared, key, .. } = attempt;
    let address = group.upstreams.address(attempt.upstream);
    let uri: Uri = attempt.target.parse().map_err(|error| SendError::Unsendable(format!("the target: {error}")))?;

    let mut headers = call.headers.clone();
    if call.is_upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    if prepared.is_decoded {
        headers.remove(header::CONTENT_ENCODING);
    }
    group.sign(&mut headers, address, uri.path(), key, attempt.client)?;

    let body = match &prepared.body {
        Some(body) => RequestBody::Whole(body.clone()),
        None => call.body.request_body(),
    };
    // RFC 9110, 8.6: a method that means a body says that there is none; Google insists on it.
    let usually_has_body = matches!(call.method, Method::POST | Method::PUT | Method::PATCH);
    if matches!(body, RequestBody::Empty) && (call.had_content_length || usually_has_body) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// An answer of 400 or above, or one whose status the group retries, read as far as it takes to judge it.
pub(super) struct Refusal {
    pub(super) parts: response::Parts,
    /// The first bytes of the body, as they came.
    pub(super) prefix: Bytes,
    pub(super) rest: AnswerBody,
    /// Why there will be no rest: what follows `prefix` is lost.
    pub(super) broken: Option<BoxError>,
    pub(super) blame: Blame,
    /// What it says, for the record.
    pub(super) message: String,
}

impl Refusal {
    pub(super) async fn read(answer: Answer, key: &Key, prepared: &Prepared) -> Self {
        let (mut parts, mut rest) = answer.into_parts();
        let mut gathered = BytesMut::new();
        let mut broken: Option<BoxError> = None;
        let reading = async {
            while gathered.len() < REFUSAL_BYTES_MAX
                && let Some(frame) = rest.frame().await
            {
                match frame.map(hyper::body::Frame::into_data) {
                    Ok(Ok(data)) => gathered.extend_from_slice(&data),
                    Ok(Err(_trailers)) => {}
                    Err(error) => return broken = Some(error),
                }
            }
        };
        // Too slow or broken off: what is there is judged, and the rest says the same thing to the client.
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, reading).await;
        let mut prefix = gathered.freeze();

        let decoded = match parts.headers.get(header::CONTENT_ENCODING) {
            None => None,
            Some(encoding) => content::decode_for_reading(&prefix, encoding, REFUSAL_DECODED_BYTES_MAX).await,
        };
        let readable = decoded.as_ref().map_or(&prefix[..], |(text, _)| text);
        let asked = Asked { path: &prepared.path, model: &prepared.model };
        let blame = channel::blame(&asked, parts.status.as_u16(), &parts.headers, readable, chrono::Utc::now());
        let message = crate::crypto::redact(&channel::parsed_message(readable), &key.secret);

        // Some upstreams repeat the key that they refuse, in whatever spelling.
        redact_headers(&mut parts.headers, key);
        let text = String::from_utf8_lossy(readable);
        let redacted = crate::crypto::redact(&text, &key.secret);
        if redacted != text {
            prefix = Bytes::from(redacted);
            parts.headers.remove(header::CONTENT_LENGTH);
            let was_encoded = parts.headers.remove(header::CONTENT_ENCODING).is_some();
            let is_whole = decoded.as_ref().is_none_or(|(_, is_whole)| *is_whole);
            if was_encoded && !(is_whole && rest.is_end_stream()) {
                broken.get_or_insert_with(|| "the rest is encoded and its beginning is not".into());
            }
        }
        Self { parts, prefix, rest, broken, blame, message }
    }
}

fn redact_headers(headers: &mut HeaderMap, key: &Key) {
    for value in headers.values_mut() {
        let Ok(text) = value.to_str() else { continue };
        let redacted = crate::crypto::redact(text, &key.secret);
        if redacted != text {
            // What is masked stays a header; if it did not, it would say nothing.
            *value = HeaderValue::try_from(redacted).unwrap_or(HeaderValue::from_static("****"));
        }
    }
}
