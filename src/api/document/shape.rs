//! What callers may send, told field by field: the members of a body, or the parameters of a query. And the kinds of
//! values that several of them share.

use serde_json::{Map, Value, json};

use crate::{
    api::body::FromFields,
    channel::Channel,
    settings::{Setting, TEXT_CHARACTERS_MAX, overridable},
};

/// The members of an object, each with its kind and a sentence.
#[derive(Default)]
pub(crate) struct Shape {
    fields: Vec<Field>,
    has_no_others: bool,
}

struct Field {
    name: &'static str,
    presence: Presence,
    kind: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Needed,
    /// `null` counts as left out.
    Optional,
    /// It may be left out, but is not `null`.
    NeverNull,
}

impl Shape {
    /// A member that must be given.
    pub(crate) fn needed(self, name: &'static str, kind: Value, description: &str) -> Self {
        self.with(name, Presence::Needed, kind, description)
    }

    /// A member that may be left out; `null` counts as left out.
    pub(crate) fn optional(self, name: &'static str, kind: Value, description: &str) -> Self {
        self.with(name, Presence::Optional, kind, description)
    }

    /// A member that may be left out, but is not `null`.
    pub(crate) fn maybe(mut self, name: &'static str, kind: Value) -> Self {
        self.fields.push(Field { name, presence: Presence::NeverNull, kind });
        self
    }

    fn with(mut self, name: &'static str, presence: Presence, mut kind: Value, description: &str) -> Self {
        if !description.is_empty() {
            kind["description"] = description.into();
        }
        self.fields.push(Field { name, presence, kind });
        self
    }

    /// Where members of other names are refused rather than ignored.
    pub(crate) fn and_nothing_else(mut self) -> Self {
        self.has_no_others = true;
        self
    }

    /// As a JSON object. If nothing in it is needed, `null` does as well.
    pub(crate) fn into_schema(self) -> Value {
        let needed: Vec<_> =
            self.fields.iter().filter(|field| field.presence == Presence::Needed).map(|field| field.name).collect();
        let mut schema = json!({"type": if needed.is_empty() { json!(["object", "null"]) } else { json!("object") }});
        let member = |Field { name, presence, kind }: Field| {
            (name.to_owned(), if presence == Presence::Optional { or_null(kind) } else { kind })
        };
        schema["properties"] = Value::Object(self.fields.into_iter().map(member).collect());
        if !needed.is_empty() {
            schema["required"] = needed.into();
        }
        if self.has_no_others {
            schema["additionalProperties"] = false.into();
        }
        schema
    }

    /// As parameters of the query.
    pub(super) fn into_parameters(self) -> impl Iterator<Item = Value> {
        self.fields.into_iter().map(|Field { name, presence, mut kind }| {
            let description = kind.as_object_mut().and_then(|kind| kind.shift_remove("description"));
            json!({
                "name": name,
                "in": "query",
                "description": description.unwrap_or_default(),
                "required": presence == Presence::Needed,
                "schema": kind,
            })
        })
    }
}

/// The same kind, or `null`.
pub(crate) fn or_null(mut kind: Value) -> Value {
    if let Some(known @ Value::String(_)) = kind.get("type").cloned() {
        kind["type"] = json!([known, "null"]);
    }
    if let Some(Value::Array(values)) = kind.get_mut("enum") {
        values.push(Value::Null);
    }
    kind
}

/// Any text without the character U+0000.
pub(crate) fn text() -> Value {
    json!({"type": "string"})
}

pub(crate) fn text_up_to(characters_max: usize) -> Value {
    json!({"type": "string", "maxLength": characters_max})
}

pub(crate) fn some_text_up_to(characters_max: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": characters_max})
}

/// A text that is not empty.
pub(crate) fn some_text() -> Value {
    json!({"type": "string", "minLength": 1})
}

/// The same kind, with a value that shows what is meant.
pub(crate) fn like(mut kind: Value, example: impl Into<Value>) -> Value {
    kind["examples"] = json!([example.into()]);
    kind
}

pub(crate) fn one_of(values: &[&str]) -> Value {
    json!({"type": "string", "enum": values})
}

/// The id of a row, which is above 0.
pub(crate) fn id() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX})
}

pub(crate) fn integer(minimum: i64, maximum: i64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": minimum, "maximum": maximum})
}

pub(crate) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// RFC 3339.
pub(crate) fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

pub(crate) fn flag() -> Value {
    json!({"type": "boolean"})
}

/// A JSON object that is passed on as it was written.
pub(crate) fn free_object() -> Value {
    json!({"type": "object"})
}

/// The ids of rows.
pub(crate) fn some_ids(count_max: usize) -> Value {
    json!({"type": "array", "items": id(), "maxItems": count_max})
}

/// An object with fields of its own.
pub(crate) fn nested<T: FromFields>() -> Value {
    T::shape().into_schema()
}

/// A list with one element at least.
pub(crate) fn some_of<T: FromFields>() -> Value {
    json!({"type": "array", "items": T::shape().into_schema(), "minItems": 1})
}

pub(crate) fn list_of<T: FromFields>() -> Value {
    json!({"type": "array", "items": T::shape().into_schema()})
}

pub(crate) fn channel_type() -> Value {
    one_of(&Channel::ALL.map(Channel::name))
}

/// Names of models as clients write them, and as the upstream knows them.
pub(crate) fn redirects() -> Value {
    json!({"type": "object", "additionalProperties": {"type": ["string", "null"]}})
}

/// Upstreams of a group with their shares of requests.
pub(crate) fn upstreams() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "url": {
                    "type": "string",
                    "description": "The base address, with http:// or https://",
                    "examples": ["https://api.openai.com"],
                },
                "weight": {"type": "integer", "minimum": 0, "description": "Its share of requests; 0 rests it"},
            },
            "required": ["url", "weight"],
        },
        "examples": [[{"url": "https://api.openai.com", "weight": 1}]],
    })
}

/// What a group sets differently from the installation.
pub(crate) fn config() -> Value {
    let members: Map<_, _> = kinds(overridable()).map(|(key, kind)| (key.to_owned(), or_null(kind))).collect();
    json!({"type": "object", "properties": members, "additionalProperties": false})
}

/// Each setting with what it may be.
pub(crate) fn kinds(settings: impl Iterator<Item = &'static Setting>) -> impl Iterator<Item = (&'static str, Value)> {
    settings.map(|setting| {
        let kind = match (setting.type_name(), setting.bounds()) {
            ("int", Some((minimum, maximum))) => json!({"type": "integer", "minimum": minimum, "maximum": maximum}),
            ("int", None) => json!({"type": "integer"}),
            ("bool", _) => flag(),
            _ => json!({
                "type": "string",
                "minLength": u8::from(setting.is_required()),
                "maxLength": TEXT_CHARACTERS_MAX,
            }),
        };
        (setting.key, kind)
    })
}
