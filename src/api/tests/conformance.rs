//! Every answer of every test here is held against the API document: a status that it does not know, or a member that
//! looks different, fails the test.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::api::document;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(document::text()).unwrap());

/// # Panics
/// If an operation of the document does not answer so.
pub(super) fn check(method: &Method, path: &str, status: StatusCode, content_type: Option<&str>, body: &[u8]) {
    // What is no operation has answers of its own, which other tests look at.
    let Some(operation) = operation(method, path) else { return };
    // Anything may be answered by what stands around all routes: a redirect, a preflight, a wrong method.
    if status.is_redirection() || status == StatusCode::NO_CONTENT || status == StatusCode::METHOD_NOT_ALLOWED {
        return;
    }
    let answer = operation["responses"].get(status.as_str());
    let answer = answer.unwrap_or_else(|| panic!("{method} {path} answers {status}, which is not in the document"));
    let contents = resolved(answer)["content"].as_object().unwrap();
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    let given = content_type.map(essence);
    let content = contents.iter().find(|(known, _)| Some(essence(known)) == given);
    let (_, content) = content.unwrap_or_else(|| panic!("{method} {path} answers {status} as {content_type:?}"));
    if *method == Method::HEAD || given.as_deref() != Some("application/json") {
        return;
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    if let Err(problem) = conforms(&body, &content["schema"], "answer") {
        panic!("{method} {path} {status}: {problem}\n{body:#}");
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let verb = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<_> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted.iter().zip(&parts).all(|(wanted, part)| wanted == part || wanted.starts_with('{'))
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // A path without variables comes before one with them.
    let found = paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, verbs)| verbs));
    found.and_then(|verbs| verbs.get(verb))
}

fn resolved(value: &'static Value) -> &'static Value {
    value["$ref"].as_str().map_or(value, |target| DOCUMENT.pointer(target.strip_prefix('#').unwrap()).unwrap())
}

/// As far as the document's schemas of answers go.
fn conforms(value: &Value, schema: &'static Value, place: &str) -> Result<(), String> {
    let schema = resolved(schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().filter(|choice| conforms(value, choice, place).is_ok()).count();
        return if fits == 1 { Ok(()) } else { Err(format!("{place} fits {fits} of the choices")) };
    }
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(value, kind)) {
        return Err(format!("{place} is {value}, not of {kinds:?}"));
    }
    if let Some(wanted) = schema.get("const").filter(|wanted| *wanted != value) {
        return Err(format!("{place} is {value}, not {wanted}"));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        return Err(format!("{place} is {value}, not one of {allowed:?}"));
    }
    if schema["format"] == "date-time"
        && value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_err())
    {
        return Err(format!("{place} is {value}, no time"));
    }
    match value {
        Value::Object(members) => {
            for needed in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(needed) {
                    return Err(format!("{place} lacks {needed}"));
                }
            }
            for (name, member) in members {
                let place = format!("{place}.{name}");
                match (schema["properties"].get(name), &schema["additionalProperties"]) {
                    (Some(known), _) => conforms(member, known, &place)?,
                    (None, Value::Bool(false)) => return Err(format!("{place} is not in the document")),
                    (None, others @ Value::Object(_)) => conforms(member, others, &place)?,
                    // A member that is shown is told, unless the object may have any.
                    (None, _) if schema["properties"].is_object() => return Err(format!("{place} is not told")),
                    (None, _) => {}
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| match schema.get("items") {
            Some(schema) => conforms(item, schema, &format!("{place}[{at}]")),
            None => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the document names the type {other}"),
    }
}

#[test]
fn what_the_document_does_not_say_is_found() {
    let told = |method, path, status, body: &str| {
        let body = body.as_bytes().to_owned();
        std::panic::catch_unwind(move || {
            check(&method, path, StatusCode::from_u16(status).unwrap(), Some("application/json"), &body);
        })
    };
    let list = "/api/channel-types";
    assert!(told(Method::GET, list, 200, r#"{"code": 0, "message": "", "data": ["openai"]}"#).is_ok());
    for body in [
        r#"{"code": 1, "message": "", "data": []}"#,
        r#"{"code": 0, "data": []}"#,
        r#"{"code": 0, "message": "", "data": [1]}"#,
        r#"{"code": 0, "message": "", "data": null}"#,
        r#"{"code": 0, "message": "", "data": [], "more": 1}"#,
    ] {
        assert!(told(Method::GET, list, 200, body).is_err(), "{body}");
    }
    assert!(told(Method::GET, list, 404, r#"{"code": "NOT_FOUND", "message": ""}"#).is_err());
    assert!(told(Method::GET, "/api/groups/1/sub-groups", 404, r#"{"code": "NOT_FOUND", "message": ""}"#).is_ok());
    assert!(told(Method::GET, "/api/groups/1/sub-groups", 404, r#"{"code": "ELSE", "message": ""}"#).is_err());
}
