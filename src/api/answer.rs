//! The envelope of every answer. A handler says what it means; the words are chosen at the door, in the caller's language.

use std::{borrow::Cow, marker::PhantomData};

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, Object, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::{
    language::Language,
    refusal::{Reason, Refusal},
};
use crate::{db::Timestamp, group};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The time of what never happened.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// Shown in place of a key that cannot be decrypted with the present `ENCRYPTION_KEY`.
pub(super) const UNREADABLE_KEY: &str = "failed-to-decrypt";

/// A text for people.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// From the catalogue, with the values of its placeholders.
    Text(&'static str, Vec<(&'static str, String)>),
    /// The same in every language.
    Verbatim(Cow<'static, str>),
}

impl Message {
    pub(crate) const fn verbatim(text: &'static str) -> Self {
        Self::Verbatim(Cow::Borrowed(text))
    }

    fn say(&self, language: Language) -> Cow<'static, str> {
        match self {
            Self::Text(key, values) => Cow::Owned(language.say(key, values)),
            Self::Verbatim(text) => text.clone(),
        }
    }
}

/// A key of the catalogue whose text has no placeholder.
impl From<&'static str> for Message {
    fn from(key: &'static str) -> Self {
        Self::Text(key, Vec::new())
    }
}

impl From<group::Invalid> for Message {
    fn from(invalid: group::Invalid) -> Self {
        Self::Text(invalid.key, invalid.arguments)
    }
}

impl<const N: usize> From<(&'static str, [(&'static str, String); N])> for Message {
    fn from((key, values): (&'static str, [(&'static str, String); N])) -> Self {
        Self::Text(key, values.into())
    }
}

/// A success: always 200 and code 0. What its data look like is a part of its type, so that the API document knows.
#[derive(Debug)]
pub(crate) struct Answer<T = ()> {
    message: Message,
    data: Option<Box<RawValue>>,
    /// Once written, data that borrow from a row are as good as data that own it: `Answer<Shown<'a>>` is an
    /// `Answer<Shown<'static>>`.
    shape: PhantomData<fn(T)>,
}

impl<T: Serialize> Answer<T> {
    pub(crate) fn with(data: &T) -> Result<Self, Refusal> {
        let data = serde_json::value::to_raw_value(data).map_err(Refusal::internal)?;
        Ok(Self { message: "common.success".into(), data: Some(data), shape: PhantomData })
    }
}

impl Answer {
    /// Nothing to show but a message.
    pub(crate) fn saying(message: impl Into<Message>) -> Self {
        Self { message: message.into(), data: None, shape: PhantomData }
    }
}

impl<T> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let code = Code::Success(0);
        Envelope { status: StatusCode::OK, code, message: self.message, data: self.data }.into_response()
    }
}

/// Data of one kind or of another.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Either<A, B> {
    One(A),
    Other(B),
}

/// A success with one header of its own; `H` says which.
pub(super) struct Headed<H, T> {
    value: HeaderValue,
    answer: Answer<T>,
    header: PhantomData<fn(H)>,
}

/// A header that only some answers have.
pub(super) trait OwnHeader {
    const NAME: HeaderName;
    const DESCRIPTION: &'static str;
}

impl<H: OwnHeader, T> Headed<H, T> {
    pub(super) fn new(value: HeaderValue, answer: Answer<T>) -> Self {
        Self { value, answer, header: PhantomData }
    }
}

impl<H: OwnHeader, T> IntoResponse for Headed<H, T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        response.headers_mut().insert(H::NAME, self.value);
        response
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Code {
    Success(u8),
    Refusal(&'static str),
}

/// An answer that still has to be put in words.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    status: StatusCode,
    code: Code,
    message: Message,
    data: Option<Box<RawValue>>,
}

impl Envelope {
    pub(super) fn refusal(reason: Reason, message: Message) -> Self {
        // Every reason has a status that exists; should one not, it is a fault of ours.
        let status = StatusCode::from_u16(reason.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: Code::Refusal(reason.code), message, data: None }
    }

    fn written(&self, language: Language) -> Response {
        #[derive(Serialize)]
        struct Written<'a> {
            code: Code,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a RawValue>,
        }
        let message = self.message.say(language);
        json(self.status, &Written { code: self.code, message: &message, data: self.data.as_deref() })
    }
}

impl IntoResponse for Envelope {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Puts every envelope in words.
pub(super) async fn put_in_words(language: Language, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(envelope) = response.extensions_mut().remove::<Envelope>() else { return response };
    let mut written = envelope.written(language);
    for (name, value) in response.headers() {
        written.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    written
}

/// A time that every row has; in rows of old versions it may be missing.
pub(super) fn time(stored: Option<Timestamp>) -> String {
    stored.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Timestamp {}

/// A JSON answer outside the envelope, with its status.
pub(super) struct Bare<T> {
    status: StatusCode,
    value: T,
    retry_after_seconds: Option<u32>,
}

impl<T> Bare<T> {
    pub(super) fn new(status: StatusCode, value: T) -> Self {
        Self { status, value, retry_after_seconds: None }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

/// An answer that is no JSON: a file, a page, a stream. `K` says which kind.
pub(super) struct Sent<K>(Response, PhantomData<fn(K)>);

/// What is sent that is no JSON.
pub(super) trait Content {
    const TYPE: &'static str;
    const DESCRIPTION: &'static str;
}

impl<K: Content> Sent<K> {
    /// With the content type of its kind.
    pub(super) fn new(answer: impl IntoResponse) -> Self {
        let mut response = answer.into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(K::TYPE));
        Self(response, PhantomData)
    }
}

impl<K> IntoResponse for Sent<K> {
    fn into_response(self) -> Response {
        self.0
    }
}

/// The same where there is a choice of kinds.
pub(super) struct SentAs<K>(Response, PhantomData<fn(K)>);

/// The kinds that there are, each with its content type.
pub(super) trait Contents {
    const TYPES: &'static [&'static str];
    const DESCRIPTION: &'static str;
}

impl<K: Contents> SentAs<K> {
    /// With the content type of this number.
    pub(super) fn new(kind: usize, answer: impl IntoResponse) -> Self {
        let mut response = answer.into_response();
        let content_type = K::TYPES.get(kind).copied().unwrap_or("application/octet-stream");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self(response, PhantomData)
    }
}

impl<K> IntoResponse for SentAs<K> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: Serialize> IntoResponse for Bare<T> {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self.value);
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// JSON outside the envelope.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "An answer could not be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
