//! What the serving group makes of a request: parameter overrides and model redirects. Whatever no rule touches leaves
//! as it came.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use percent_encoding::{percent_decode, percent_decode_str};

use super::{
    content::{self, Undecoded},
    failure::Failure,
    received::{MemoryShare, Reason, Received},
};
use crate::{
    channel::{self, Channel, multipart},
    group::{Group, ModelNotConfigured},
    http1::Origin,
    json, request_log,
};

/// What a client asked for, as far as every attempt needs it.
pub(super) struct Call {
    pub(super) method: Method,
    /// Encoded, behind `/proxy/{group}`.
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// Without what must not reach an upstream.
    pub(super) headers: HeaderMap,
    /// The client announced a length, be it 0.
    pub(super) had_content_length: bool,
    /// `None`: it came over HTTP/2.
    pub(super) origin: Option<Origin>,
    pub(super) body: Received,
    pub(super) is_upgrade: bool,
}

/// The request as the serving group sends it.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// The changed body; `None`: the one that was received.
    pub(super) body: Option<Bytes>,
    /// The changed body is not encoded, though the received one was.
    pub(super) is_decoded: bool,
    /// What the decoded body takes of the memory for bodies.
    decoded_share: Option<MemoryShare>,
    /// The model that the client asked for, or an override set; empty where none can be told.
    pub(super) model: String,
    /// What the upstream is asked for instead, where a redirect changed it.
    pub(super) sent_model: Option<String>,
    pub(super) wants_stream: bool,
    pub(super) logged_body: Option<String>,
}

/// As much of a model's name as a refusal repeats.
const SHOWN_MODEL_BYTES_MAX: usize = 200;

/// Endpoints whose body names a model, or, of a batch, a file that does. In strict mode a request to one of them must name a configured one.
const ENDPOINTS_WITH_MODEL: [&str; 17] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/messages",
    "/messages/count_tokens",
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/moderations",
    "/rerank",
    "/videos",
    "/realtime",
    "/v1/batches",
];

/// # Errors
/// 400 for a model that strict mode does not know, 413 for a body that rules must read but that is too large to.
pub(super) async fn prepare(group: &Group, call: &Call) -> Result<Prepared, Failure> {
    let dialect = group.dialect(&call.path);
    let mut prepared = Prepared {
        path: call.path.clone(),
        query: call.query.as_deref().and_then(|query| {
            let kept = group.channel.without_credentials(query);
            (!kept.is_empty() || query.is_empty()).then(|| kept.into_owned())
        }),
        body: None,
        is_decoded: false,
        decoded_share: None,
        model: String::new(),
        sent_model: None,
        wants_stream: dialect.wants_stream(&call.path, call.query.as_deref()),
        logged_body: None,
    };
    redirect_path(group, &mut prepared)?;
    redirect_query(group, call, &mut prepared)?;
    if group.redirects.strict
        && (is_repeated(&call.headers, &header::CONTENT_TYPE) || is_repeated(&call.headers, &header::CONTENT_ENCODING))
    {
        check_unread(group, call, "its content type or encoding is given twice")?;
    }
    match Content::of(call) {
        Content::Nothing => {}
        Content::Json(bytes) => prepare_json(group, call, bytes, &mut prepared).await?,
        Content::Multipart(bytes, boundary) => redirect_multipart(group, call, bytes, &boundary, &mut prepared)?,
        Content::Opaque => check_unread(group, call, "its content type is not one that a model can be read from")?,
        Content::TooLarge(reason) => {
            let is_json = claims_json(&call.headers);
            if is_json && has_body_rules(group) && reason == Reason::Memory {
                return Err(Failure::no_room());
            }
            if is_json && has_body_rules(group) {
                return Err(too_large_for_rules());
            }
            check_unread(group, call, "its body is too large to read the model from")?;
        }
    }
    if group.settings.enable_request_body_logging {
        let body = prepared.body.as_ref().or_else(|| call.body.bytes());
        prepared.logged_body = prepared.logged_body.or_else(|| body.map(|body| request_log::body_text(body.as_ref())));
    } else {
        prepared.logged_body = None;
    }
    Ok(prepared)
}

enum Content<'a> {
    Nothing,
    Json(&'a Bytes),
    Multipart(&'a Bytes, String),
    /// Something that we do not read.
    Opaque,
    /// Something that we may know to read, but do not have in memory.
    TooLarge(Reason),
}

impl<'a> Content<'a> {
    fn of(call: &'a Call) -> Self {
        let bytes = match &call.body {
            Received::Empty => return Self::Nothing,
            Received::Streamed(body) => return Self::TooLarge(body.reason),
            Received::Whole { bytes, .. } => bytes,
        };
        if let Some(boundary) = multipart::boundary(content_type(&call.headers)) {
            return Self::Multipart(bytes, boundary);
        }
        // Clients mislabel JSON often enough to look at the bytes instead.
        let looks_like_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if looks_like_json || claims_json(&call.headers) || call.headers.contains_key(header::CONTENT_ENCODING) {
            Self::Json(bytes)
        } else {
            Self::Opaque
        }
    }
}

async fn prepare_json(group: &Group, call: &Call, bytes: &Bytes, prepared: &mut Prepared) -> Result<(), Failure> {
    let has_rules = has_body_rules(group);
    let encoding = call.headers.get(header::CONTENT_ENCODING);
    let text: Cow<'_, [u8]> = match encoding {
        None => Cow::Borrowed(bytes),
        // Without rules nobody needs to know what is in it.
        Some(_) if !has_rules => return Ok(()),
        Some(encoding) => {
            let mut share = call.body.further_share();
            let bytes_max = share.as_ref().map_or(0, MemoryShare::body_bytes_max);
            let mut has_room = |bytes| share.as_mut().is_some_and(|share| share.grow_to(bytes));
            match Box::pin(content::decode(bytes, encoding, bytes_max, &mut has_room)).await {
                Ok(decoded) => {
                    prepared.decoded_share = share;
                    Cow::Owned(decoded)
                }
                Err(Undecoded::TooLarge) => return Err(too_large_for_rules()),
                Err(Undecoded::NoRoom) => return Err(Failure::no_room()),
                Err(Undecoded::Unreadable) => {
                    return check_unreadable_json(group, call, "its content encoding cannot be undone");
                }
            }
        }
    };
    if !has_rules {
        // Nothing is edited or forbidden here, so that it is JSON to the last byte need not be known.
        let [model, stream] = json::peek(&text, [b"model", b"stream"]);
        prepared.wants_stream |= stream == Some(b"true");
        if prepared.model.is_empty() {
            prepared.model = model.and_then(json::string).unwrap_or_default();
        }
        return Ok(());
    }
    let mut edited: Option<Vec<u8>> = None;
    let overrides = group.overrides_for(&call.path);
    if !overrides.is_empty() {
        edited = json::merge_patch(&text, overrides);
    }
    let current = edited.as_deref().unwrap_or(&text);
    let Some(members) = json::top_level(current, &["model", "stream"]) else {
        return check_unreadable_json(group, call, "its body is not a JSON object");
    };
    prepared.wants_stream |= members[1] == Some(b"true");
    let model = members[0].and_then(json::string);
    if model.is_none() {
        check_unread(group, call, "it does not name a model")?;
    }
    let is_named_by_path = !prepared.model.is_empty();
    if !is_named_by_path {
        prepared.model = model.clone().unwrap_or_default();
    }
    let redirected = if group.redirects.strict {
        redirect_everywhere(group, call, current)?
    } else if let Some(model) = model.filter(|_| !is_named_by_path) {
        redirected(group, &model)?.and_then(|target| {
            json::edit(current, &[("model", &json::quoted(&in_form_of(&model, target, group, call)))])
        })
    } else {
        None
    };
    if let Some(redirected) = redirected {
        if !is_named_by_path {
            prepared.sent_model =
                group.redirects.target(group.channel, &prepared.model).ok().flatten().map(str::to_owned);
        }
        if group.settings.enable_request_body_logging {
            prepared.logged_body = Some(request_log::body_text(current));
        }
        edited = Some(redirected);
    }
    if let Some(edited) = edited {
        prepared.is_decoded = encoding.is_some();
        prepared.body = Some(Bytes::from(edited));
    }
    Ok(())
}

/// Of a request in strict mode: each model that the body names, wherever it does.
fn redirect_everywhere(group: &Group, call: &Call, text: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let mut changes = Vec::new();
    for value in channel::named_models(text) {
        let model = json::string(value).unwrap_or_default();
        if let Some(target) = redirected(group, &model)? {
            changes.push((json::position(text, value), json::quoted(&in_form_of(&model, target, group, call))));
        }
    }
    Ok((!changes.is_empty()).then(|| json::splice(text, &changes)))
}

/// Bodies of Gemini's own format call a model `models/x`.
fn in_form_of<'a>(model: &str, target: &'a str, group: &Group, call: &Call) -> Cow<'a, str> {
    let is_prefixed = |name: &str| name.starts_with("models/");
    if is_prefixed(model) && !is_prefixed(target) && group.dialect(&call.path) == Channel::Gemini {
        Cow::Owned(format!("models/{target}"))
    } else {
        Cow::Borrowed(target)
    }
}

fn redirect_path(group: &Group, prepared: &mut Prepared) -> Result<(), Failure> {
    let dialect = group.dialect(&prepared.path);
    let strict_only = || group.redirects.strict.then(|| dialect.deployment_in_path(&prepared.path)).flatten();
    let Some(place) = dialect.model_in_path(&prepared.path).or_else(strict_only) else {
        if group.redirects.strict && dialect.calls_model_by_path(&prepared.path) {
            return Err(unchecked("its path names none that can be read"));
        }
        return Ok(());
    };
    let model = percent_decode_str(&prepared.path[place.clone()]).decode_utf8_lossy().into_owned();
    if let Some(target) = redirected(group, &model)? {
        let target = target.strip_prefix("models/").unwrap_or(target);
        prepared.sent_model = Some(target.to_owned());
        prepared.path.replace_range(place, &channel::encoded(target));
    }
    prepared.model = model;
    Ok(())
}

/// A realtime session names its model in the query.
fn redirect_query(group: &Group, call: &Call, prepared: &mut Prepared) -> Result<(), Failure> {
    let is_session = prepared.path.ends_with("/realtime")
        || (group.redirects.strict && normalized(&prepared.path).ends_with("/realtime"));
    if call.method != Method::GET || !is_session || group.dialect(&call.path) == Channel::Gemini {
        return Ok(());
    }
    let query = prepared.query.as_deref().unwrap_or_default();
    if group.redirects.strict {
        let models =
            url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name.eq_ignore_ascii_case("model"));
        let models: Vec<_> = models.map(|(_, model)| model).collect();
        if models.is_empty() {
            return Err(unchecked("it does not name a model"));
        }
        for model in models {
            redirected(group, &model)?;
        }
    }
    let Some(value) = query.split('&').find_map(|pair| pair.strip_prefix("model=")) else { return Ok(()) };
    let model = percent_decode_str(value).decode_utf8_lossy().into_owned();
    if let Some(target) = redirected(group, &model)? {
        let pair = format!("model={}", channel::encoded(target));
        let pairs: Vec<&str> =
            query.split('&').map(|old| if old.starts_with("model=") { pair.as_str() } else { old }).collect();
        prepared.query = Some(pairs.join("&"));
        prepared.sent_model = Some(target.to_owned());
    }
    prepared.model = model;
    Ok(())
}

fn redirect_multipart(
    group: &Group,
    call: &Call,
    bytes: &Bytes,
    boundary: &str,
    prepared: &mut Prepared,
) -> Result<(), Failure> {
    let models = multipart::text_fields(bytes, boundary, "model");
    if !models.is_complete || (group.redirects.strict && !multipart::is_unambiguous(bytes, boundary)) {
        check_unread(group, call, "its form cannot be read to the end")?;
    }
    let Some(last) = models.values.last() else { return check_unread(group, call, "it does not name a model") };
    let model = String::from_utf8_lossy(&bytes[last.clone()]).into_owned();
    // Whichever of repeated fields the upstream takes, it must be one that is allowed.
    for value in &models.values {
        redirected(group, &String::from_utf8_lossy(&bytes[value.clone()]))?;
    }
    if let Some(target) = redirected(group, &model)? {
        prepared.body = Some(multipart::replace(bytes, &models.values, target.as_bytes()).into());
        prepared.sent_model = Some(target.to_owned());
    }
    let stream = multipart::text_fields(bytes, boundary, "stream").values;
    prepared.wants_stream |= stream.last().is_some_and(|value| &bytes[value.clone()] == b"true");
    prepared.model = model;
    Ok(())
}

fn too_large_for_rules() -> Failure {
    let message = "The request body is too large to apply the group's rules to (REQUEST_BODY_BUFFER_BYTES)";
    Failure::too_large(message.to_owned())
}

fn has_body_rules(group: &Group) -> bool {
    !group.param_overrides.is_empty() || !group.redirects.rules.is_empty() || group.redirects.strict
}

/// The model that is asked for instead.
///
/// # Errors
/// 400 where strict mode does not know the model.
fn redirected<'a>(group: &'a Group, model: &str) -> Result<Option<&'a str>, Failure> {
    group.redirects.target(group.channel, model).map_err(|ModelNotConfigured| {
        // A name may be megabytes long, and this goes into the answer and the log.
        let shown = &model[..model.floor_char_boundary(SHOWN_MODEL_BYTES_MAX)];
        let dots = if shown.len() < model.len() { "…" } else { "" };
        Failure::bad_request(format!("model '{shown}{dots}' is not configured in redirect rules"))
    })
}

/// Strict mode is a whitelist: a request that must name a model, but from which none can be read, does not pass.
fn check_unread(group: &Group, call: &Call, reason: &str) -> Result<(), Failure> {
    if !group.redirects.strict {
        return Ok(());
    }
    let is_read_only = matches!(call.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    let path = normalized(&call.path);
    let must_name_model = !is_read_only && ENDPOINTS_WITH_MODEL.iter().any(|endpoint| path.ends_with(endpoint));
    if must_name_model && group.dialect(&call.path) != Channel::Gemini {
        return Err(unchecked(reason));
    }
    Ok(())
}

/// What calls itself JSON, and may be so for a more tolerant reader than we are, names a model at any address.
fn check_unreadable_json(group: &Group, call: &Call, reason: &str) -> Result<(), Failure> {
    // A file that is uploaded asks for nothing, whatever is in it.
    let is_upload = || normalized(&call.path).starts_with("/upload/");
    if group.redirects.strict && claims_json(&call.headers) && !is_upload() {
        return Err(unchecked(reason));
    }
    check_unread(group, call, reason)
}

fn unchecked(reason: &str) -> Failure {
    Failure::bad_request(format!(
        "This group only serves configured models, and this request cannot be checked: {reason}"
    ))
}

/// A path as the most tolerant server reads it.
fn normalized(path: &str) -> String {
    let decoded = percent_decode(path.as_bytes()).decode_utf8_lossy().to_ascii_lowercase();
    let segments = decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default().trim());
    segments.filter(|segment| !segment.is_empty()).fold(String::new(), |path, segment| path + "/" + segment)
}

fn is_repeated(headers: &HeaderMap, name: &header::HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}

fn claims_json(headers: &HeaderMap) -> bool {
    content_type(headers).as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
