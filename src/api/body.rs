//! Request bodies: the first JSON value, whatever the content type; names in any case; `null` counts as not given.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{document::Shape, refusal::Refusal};
use crate::db::Timestamp;

/// Pasted lists of keys are the largest bodies; a hundred thousand keys fit easily.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Of a list of keys that a task deals with: a million long keys fit.
pub(super) const IMPORT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// From this size on a body is interpreted on a thread where it may take its time.
pub(super) const LONG_BODY_BYTES: usize = 1024 * 1024;
/// A caller that sends nothing for this long has lost its place: places are few.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// No database stores it faithfully.
const UNSTORABLE: &str = "contains the character U+0000";

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    bytes_max: usize,
    /// Between two pieces.
    longest_silence: Duration,
    /// For all of it.
    time_limit: Duration,
}

impl Limits {
    /// Of a caller who holds the management key.
    const MANAGED: Self = Self { bytes_max: BODY_BYTES_MAX, longest_silence: SILENCE_MAX, time_limit: Duration::MAX };
    /// Of a list of keys that a task deals with.
    pub(super) const IMPORT: Self = Self { bytes_max: IMPORT_BYTES_MAX, ..Self::MANAGED };
    /// Of anybody: a few fields, sent at once.
    pub(super) const OPEN: Self =
        Self { bytes_max: 8 * 1024, longest_silence: SILENCE_MAX, time_limit: Duration::from_secs(10) };
}

/// A body that has been read into what the handler needs.
pub(crate) struct Body<T>(pub(crate) T);

pub(crate) trait FromFields: Sized {
    const LIMITS: Limits = Limits::MANAGED;

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread>;

    /// What `from_fields` understands, for the API document.
    fn shape() -> Shape;
}

/// Why a body is not what it should be; the text names the field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misread(Cow<'static, str>);

impl Misread {
    pub(crate) fn of(field: &str, problem: impl fmt::Display) -> Self {
        Self(format!("Field {field:?}: {problem}").into())
    }

    fn expected(field: &str, wanted: &str) -> Self {
        Self::of(field, format_args!("expected {wanted}"))
    }
}

impl From<Misread> for Refusal {
    fn from(misread: Misread) -> Self {
        Self::invalid_json(misread.0)
    }
}

impl<T: FromFields + Send + 'static, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let bytes = read(request.into_body(), T::LIMITS).await?;
        if bytes.len() < LONG_BODY_BYTES {
            return Ok(Self(interpret(&bytes)?));
        }
        let interpreted = tokio::task::spawn_blocking(move || interpret(&bytes)).await;
        Ok(Self(interpreted.map_err(Refusal::internal)??))
    }
}

fn interpret<T: FromFields>(bytes: &[u8]) -> Result<T, Misread> {
    T::from_fields(&Fields::first_in(bytes)?)
}

async fn read(body: axum::body::Body, limits: Limits) -> Result<Bytes, Refusal> {
    let Limits { bytes_max, longest_silence, time_limit } = limits;
    // A length that is told beforehand spares the caller the upload.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::too_large(bytes_max));
    }
    let begin = Instant::now();
    let mut body = Limited::new(body, bytes_max);
    let mut whole = BytesMut::new();
    loop {
        let patience = longest_silence.min(time_limit.saturating_sub(begin.elapsed()));
        let frame = tokio::time::timeout(patience, body.frame()).await.map_err(|_| Refusal::too_slow())?;
        match frame {
            None => return Ok(whole.freeze()),
            Some(Ok(frame)) => whole.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..])),
            Some(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::too_large(bytes_max)),
            Some(Err(error)) => {
                let message = format!("The request body broke off: {error}");
                return Err(Refusal::bad_request(super::answer::Message::Verbatim(message.into())));
            }
        }
    }
}

/// The members of a JSON object, not yet interpreted.
pub(crate) struct Fields<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    fn first_in(bytes: &'a [u8]) -> Result<Self, Misread> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Misread("The request body is empty".into()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Misread("The request body is not UTF-8".into()))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        // Only the first value is looked at; what follows it is not our business.
        let first = <&RawValue>::deserialize(&mut reader)
            .map_err(|error| Misread(format!("The request body is not JSON: {error}").into()))?;
        Self::of(first).ok_or_else(|| Misread("The request body is not a JSON object".into()))
    }

    /// `null` is an object without members.
    fn of(value: &'a RawValue) -> Option<Self> {
        if is_null(value) {
            return Some(Self { members: Vec::new() });
        }
        let Members(members) = serde_json::from_str(value.get()).ok()?;
        Some(Self { members })
    }

    /// All members in their order, `null` ones included.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(name, value)| (&**name, *value))
    }

    /// The last member of that name, in any case; also when it is `null`.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().rev().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn value(&self, name: &str) -> Option<&'a RawValue> {
        self.raw(name).filter(|value| !is_null(value))
    }

    fn typed<T: DeserializeOwned>(&self, name: &str, wanted: &str) -> Result<Option<T>, Misread> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match serde_json::from_str(value.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Misread::expected(name, wanted)),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Misread> {
        let text: Option<String> = self.typed(name, "a string")?;
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(Misread::of(name, UNSTORABLE));
        }
        Ok(text)
    }

    pub(crate) fn needed_text(&self, name: &str) -> Result<String, Misread> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Misread::of(name, "is required"))
    }

    /// Integer notation only: `3.0` and `1e2` are refused.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Misread> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.get().parse() {
            Ok(integer) => Ok(Some(integer)),
            Err(_) => Err(Misread::expected(name, "an integer")),
        }
    }

    /// A row's id; 0 if there is none.
    pub(crate) fn id(&self, name: &str) -> Result<i64, Misread> {
        match self.integer(name)?.unwrap_or_default() {
            id if id < 0 => Err(Misread::expected(name, "an id that is not negative")),
            id => Ok(id),
        }
    }

    pub(crate) fn needed_id(&self, name: &str) -> Result<i64, Misread> {
        match self.id(name)? {
            0 => Err(Misread::of(name, "is required")),
            id => Ok(id),
        }
    }

    /// RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Misread> {
        let wanted = "a time such as 2026-11-25T10:00:00.000Z";
        let Some(text) = self.text(name)? else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(&text).map_err(|_| Misread::expected(name, wanted))?;
        Ok(Some(Timestamp(time.to_utc())))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Misread> {
        self.typed(name, "true or false")
    }

    /// An object as it was written, so that its numbers keep their digits.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a RawValue>, Misread> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let members: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(value.get()) {
            Ok(members) => members,
            Err(error) if value.get().starts_with('{') => return Err(Misread::of(name, error)),
            Err(_) => return Err(Misread::expected(name, "an object")),
        };
        if members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)) {
            return Err(Misread::of(name, UNSTORABLE));
        }
        Ok(Some(value))
    }

    /// An object of strings; a `null` among them counts as empty, and of repeated names the last counts.
    pub(crate) fn text_map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Misread> {
        let texts: Option<BTreeMap<String, Option<String>>> = self.typed(name, "an object of strings")?;
        let cannot_be_stored = |text: &String| text.contains('\0');
        if texts
            .iter()
            .flatten()
            .any(|(key, text)| cannot_be_stored(key) || text.as_ref().is_some_and(cannot_be_stored))
        {
            return Err(Misread::of(name, UNSTORABLE));
        }
        Ok(texts.map(|texts| texts.into_iter().map(|(key, text)| (key, text.unwrap_or_default())).collect()))
    }

    /// A list of ids, which are above 0.
    pub(crate) fn ids(&self, name: &str) -> Result<Option<Vec<i64>>, Misread> {
        let wanted = "a list of ids";
        let ids: Option<Vec<i64>> = self.typed(name, wanted)?;
        match ids {
            Some(ids) if ids.iter().any(|&id| id <= 0) => Err(Misread::expected(name, wanted)),
            ids => Ok(ids),
        }
    }

    /// An object with fields of its own.
    pub(crate) fn nested<T: FromFields>(&self, name: &str) -> Result<Option<T>, Misread> {
        let Some(value) = self.object(name)? else { return Ok(None) };
        let fields = Fields::of(value).ok_or_else(|| Misread::expected(name, "an object"))?;
        T::from_fields(&fields).map(Some)
    }

    pub(crate) fn list<T: FromFields>(&self, name: &str) -> Result<Option<Vec<T>>, Misread> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let not_a_list = || Misread::expected(name, "a list of objects");
        let elements: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| not_a_list())?;
        let element = |raw| T::from_fields(&Fields::of(raw).ok_or_else(not_a_list)?);
        elements.into_iter().map(element).collect::<Result<_, _>>().map(Some)
    }
}

fn holds_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(values) => values.iter().any(holds_nul),
        serde_json::Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A member's name, borrowed unless it is written with escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields<'_> {
        Fields::first_in(text.as_bytes()).unwrap()
    }

    #[track_caller]
    fn problem<T>(result: Result<T, Misread>) -> String {
        match result {
            Ok(_) => panic!("was accepted"),
            Err(Misread(text)) => text.into_owned(),
        }
    }

    /// A body that gives a byte after each pause, for ever.
    struct Drip {
        pause: Duration,
        sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
    }

    impl Drip {
        fn of(pause: Duration) -> Self {
            Self { pause, sleep: Box::pin(tokio::time::sleep(pause)) }
        }

        fn body(pause: Duration) -> axum::body::Body {
            axum::body::Body::new(Self::of(pause))
        }
    }

    impl http_body::Body for Drip {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::ready!(self.sleep.as_mut().poll(context));
            let next = Instant::now() + self.pause;
            self.sleep.as_mut().reset(next);
            std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b" ")))))
        }
    }

    #[tokio::test]
    async fn a_body_that_stalls_gives_its_place_back() {
        let short = Duration::from_millis(50);
        let silent = read(Drip::body(Duration::from_secs(3_600)), Limits { longest_silence: short, ..Limits::MANAGED });
        assert!(format!("{:?}", silent.await.unwrap_err()).contains("408"));
        // A byte now and then does not help.
        let slow = read(Drip::body(Duration::from_millis(5)), Limits { time_limit: short, ..Limits::OPEN });
        assert!(format!("{:?}", slow.await.unwrap_err()).contains("408"));
    }

    #[tokio::test]
    async fn whoever_has_no_key_may_send_little() {
        let long = axum::body::Body::from(vec![b' '; 8 * 1024 + 1]);
        assert!(format!("{:?}", read(long, Limits::OPEN).await.unwrap_err()).contains("413"));
        let streamed = Drip::body(Duration::ZERO);
        assert!(format!("{:?}", read(streamed, Limits::OPEN).await.unwrap_err()).contains("413"));
    }

    #[test]
    fn only_the_first_value_counts() {
        assert_eq!(fields(r#" {"a": 1} and then something"#).integer("a"), Ok(Some(1)));
    }

    #[test]
    fn names_match_in_any_case_and_the_last_counts() {
        let fields = fields(r#"{"Group_ID": 1, "group_id": 2, "GROUP_I\u0044": 3}"#);
        assert_eq!(fields.needed_id("group_id"), Ok(3));
    }

    #[test]
    fn null_counts_as_not_given() {
        let fields = fields(r#"{"a": null}"#);
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.integer("a"), Ok(None));
        assert_eq!(fields.flag("a"), Ok(None));
        assert!(fields.object("a").unwrap().is_none());
        assert!(fields.raw("a").is_some());
        assert!(Fields::first_in(b"null").unwrap().raw("a").is_none());
    }

    #[test]
    fn integers_need_integer_notation() {
        assert_eq!(fields(r#"{"a": -7}"#).integer("a"), Ok(Some(-7)));
        for text in [r#"{"a": 3.0}"#, r#"{"a": 1e2}"#, r#"{"a": "3"}"#, r#"{"a": 99999999999999999999}"#] {
            assert_eq!(problem(fields(text).integer("a")), r#"Field "a": expected an integer"#);
        }
    }

    #[test]
    fn ids_are_not_negative_and_may_be_required() {
        assert!(problem(fields(r#"{"a": -1}"#).id("a")).contains("not negative"));
        assert_eq!(fields("{}").id("a"), Ok(0));
        assert!(problem(fields(r#"{"a": 0}"#).needed_id("a")).contains("is required"));
        assert!(problem(fields(r#"{"a": ""}"#).needed_text("a")).contains("is required"));
    }

    #[test]
    fn every_problem_names_its_field() {
        let fields = fields(r#"{"field": [1]}"#);
        for problem in [
            problem(fields.text("field")),
            problem(fields.flag("field")),
            problem(fields.object("field")),
            problem(fields.text_map("field")),
            problem(fields.list::<Nothing>("field")),
        ] {
            assert!(problem.contains(r#""field""#), "{problem}");
        }
    }

    struct Nothing;
    impl FromFields for Nothing {
        fn from_fields(_: &Fields<'_>) -> Result<Self, Misread> {
            Ok(Self)
        }

        fn shape() -> Shape {
            Shape::default()
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for text in ["", "  ", "[]", "1", "\"a\"", "{", "{\"a\"", "{\"a\": tru}"] {
            assert!(Fields::first_in(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Fields::first_in(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn characters_that_cannot_be_stored_are_refused() {
        assert!(problem(fields(r#"{"a": "x\u0000"}"#).text("a")).contains("U+0000"));
        assert!(problem(fields(r#"{"a": "\ud800"}"#).text("a")).contains("expected a string"));
        for object in [r#"{"a": {"x": "\u0000"}}"#, r#"{"a": {"\u0000": "x"}}"#] {
            assert!(problem(fields(object).object("a")).contains("U+0000"));
            assert!(problem(fields(object).text_map("a")).contains("U+0000"));
        }
        for nested in [r#"{"a": {"x": ["\u0000"]}}"#, r#"{"a": {"x": {"\u0000": 1}}}"#] {
            assert!(problem(fields(nested).object("a")).contains("U+0000"));
        }
        // Half a character, which no text can hold.
        assert!(problem(fields(r#"{"a": {"x": "\ud800"}}"#).object("a")).contains(r#""a""#));
    }

    #[test]
    fn objects_keep_their_text_and_maps_their_last_value() {
        let fields =
            fields(r#"{"a": {"n": 1.0, "big": 12345678901234567890123}, "b": {"x": "1", "x": "2", "y": null}}"#);
        assert_eq!(fields.object("a").unwrap().unwrap().get(), r#"{"n": 1.0, "big": 12345678901234567890123}"#);
        let map = fields.text_map("b").unwrap().unwrap();
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [("x".into(), "2".into()), ("y".into(), String::new())]);
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let text = format!(r#"{{"a": {}}}"#, "[".repeat(1_000_000));
        assert!(Fields::first_in(text.as_bytes()).is_err());
    }
}
