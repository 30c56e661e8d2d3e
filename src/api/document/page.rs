//! GET /api/docs: the document for people, one page without scripts and without anything from elsewhere.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::CONTENT_SECURITY_POLICY;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{DOCUMENT, resolved};
use crate::api::answer::{Content, Sent};

const STYLE: &str = include_str!("page.css");

static PAGE: LazyLock<String> = LazyLock::new(|| page(&DOCUMENT));

/// Nothing but our own style, and that only as it is.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

pub(in crate::api) struct Page;

impl Content for Page {
    const TYPE: &'static str = "text/html; charset=utf-8";
    const DESCRIPTION: &'static str = "A page for people";
}

pub(in crate::api) async fn show() -> Sent<Page> {
    Sent::new(([(CONTENT_SECURITY_POLICY, POLICY.as_str())], PAGE.as_str()))
}

fn page(document: &Value) -> String {
    let mut contents = String::new();
    let mut chapters = String::new();
    for tag in list(&document["tags"]) {
        let name = text(&tag["name"]);
        contents += &format!("<details open><summary>{}</summary><ul>\n", escaped(name));
        chapters += &format!("<h2>{}</h2>\n<p>{}</p>\n", escaped(name), escaped(text(&tag["description"])));
        for (path, verb, operation) in
            operations(document).filter(|(.., operation)| operation["tags"][0] == tag["name"])
        {
            let id = escaped(text(&operation["operationId"]));
            let title = title(verb, path);
            contents += &format!("<li><a href=\"#{id}\">{title}</a></li>\n");
            chapters += &format!("<section id=\"{id}\">\n<h3>{title}</h3>\n");
            chapters += &operation_shown(document, path, verb, operation);
            chapters += "</section>\n";
        }
        contents += "</ul></details>\n";
    }
    let schemas = schemas(document, &mut contents);
    let (name, version) = (&document["info"]["title"], &document["info"]["version"]);
    let introduction = text(&document["info"]["description"]).split("\n\n").map(in_paragraph);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <nav aria-label=\"Contents\">\n{contents}</nav>\n\
         <main>\n<h1>{title}</h1>\n<p class=\"soft\">Version {version}; \
         for programs: <a href=\"openapi.json\">openapi.json</a>, which needs the key</p>\n\
         {introduction}{chapters}{schemas}</main>\n</body>\n</html>\n",
        title = escaped(text(name)),
        version = escaped(text(version)),
        introduction = introduction.collect::<String>(),
    )
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    members(&document["paths"])
        .flat_map(|(path, verbs)| members(verbs).map(move |(verb, operation)| (path, verb, operation)))
}

fn title(verb: &str, path: &str) -> String {
    let shown = verb.to_uppercase();
    format!("<span class=\"verb {verb}\">{shown}</span> <code>{}</code>", escaped(path))
}

fn operation_shown(document: &Value, path: &str, verb: &str, operation: &Value) -> String {
    let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
    let mut shown = format!("<p>{}.", escaped(text(&operation["summary"])));
    shown += if is_open { " <span class=\"soft\">Open.</span></p>\n" } else { "</p>\n" };
    let parameters: Vec<_> =
        list(&operation["parameters"]).iter().map(|parameter| resolved(document, parameter)).collect();
    if !parameters.is_empty() {
        let rows = parameters.iter().map(|parameter| {
            let place = text(&parameter["in"]);
            let presence = if parameter["required"] == true { place.to_owned() } else { format!("{place}, optional") };
            row(text(&parameter["name"]), &presence, &kind(&parameter["schema"]), text(&parameter["description"]))
        });
        shown += &table("Parameters", rows.collect());
    }
    let body = &operation["requestBody"]["content"];
    for (content_type, content) in members(body) {
        shown += &table(&format!("Body, {content_type}"), fields(resolved(document, &content["schema"])));
    }
    shown +=
        &format!("<h4>Example</h4>\n<pre>{}</pre>\n", escaped(&curl(document, path, verb, operation, &parameters)));
    let answers = members(&operation["responses"]).map(|(status, answer)| {
        let answer = resolved(document, answer);
        row(status, "", &answered(answer), text(&answer["description"]))
    });
    shown + &table("Answers", answers.collect())
}

/// What an answer holds: the data of an envelope, the codes of a refusal, or something of its own kind.
fn answered(answer: &Value) -> String {
    let shown = members(&answer["content"]).map(|(content_type, content)| {
        let schema = &content["schema"];
        let properties = &schema["properties"];
        if !properties["code"]["enum"].is_null() {
            return kind(&properties["code"]);
        }
        if !properties["data"].is_null() {
            return format!("<code>data</code>: {}", kind(&properties["data"]));
        }
        if !properties["code"].is_null() {
            return "a message".to_owned();
        }
        if schema.get("$ref").is_some() { kind(schema) } else { format!("<code>{}</code>", escaped(content_type)) }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn schemas(document: &Value, contents: &mut String) -> String {
    let mut shown = "<h2>Objects</h2>\n<p>What answers hold.</p>\n".to_owned();
    *contents += "<details><summary>Objects</summary><ul>\n";
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = escaped(name);
        *contents += &format!("<li><a href=\"#schema-{name}\">{name}</a></li>\n");
        shown += &format!("<section id=\"schema-{name}\">\n<h3>{name}</h3>\n");
        shown += &in_paragraph(text(&schema["description"]));
        let fields = fields(schema);
        shown += &if fields.is_empty() { format!("<p>{}</p>\n", kind(schema)) } else { table("Members", fields) };
        shown += "</section>\n";
    }
    *contents += "</ul></details>\n";
    shown
}

/// A row for each member, those of objects in lists among them.
fn fields(schema: &Value) -> String {
    let mut rows = String::new();
    push_fields(schema, "", &mut rows);
    rows
}

fn push_fields(schema: &Value, before: &str, rows: &mut String) {
    let needed = list(&schema["required"]);
    for (name, member) in members(&schema["properties"]) {
        let presence = if needed.iter().any(|needed| needed == name) { "" } else { "optional" };
        let name = format!("{before}{name}");
        *rows += &row(&name, presence, &kind(member), text(&member["description"]));
        push_fields(member, &format!("{name}."), rows);
        push_fields(&member["items"], &format!("{name}[]."), rows);
    }
}

fn table(heading: &str, rows: String) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("<h4>{}</h4>\n<table><tbody>\n{rows}</tbody></table>\n", escaped(heading))
}

/// `kind` is HTML already.
fn row(name: &str, presence: &str, kind: &str, description: &str) -> String {
    let presence = if presence.is_empty() { String::new() } else { format!(" <span class=\"soft\">{presence}</span>") };
    let description = with_code(description);
    format!("<tr><td><code>{}</code>{presence}</td><td>{kind}</td><td>{description}</td></tr>\n", escaped(name))
}

/// What a value may be, in words.
fn kind(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = escaped(target.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("<code>{}</code>", escaped(&plain(value))))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect(),
        one => vec![text(one)],
    };
    types.into_iter().map(|known| of_type(known, schema)).collect::<Vec<_>>().join(" or ")
}

fn of_type(known: &str, schema: &Value) -> String {
    match known {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if !schema["additionalProperties"]["type"].is_null() => {
            format!("object of {}", kind(&schema["additionalProperties"]))
        }
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" => match (&schema["maxLength"], &schema["pattern"]) {
            (_, Value::String(pattern)) => format!("string like <code>{}</code>", escaped(pattern)),
            (Value::Number(most), _) => format!("string, up to {most} characters"),
            _ => "string".to_owned(),
        },
        // The bounds of 64 bits are none that anybody meets.
        "integer" => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(least), Some(i64::MAX)) if least > i64::MIN => format!("integer from {least}"),
            (Some(least), None) => format!("integer from {least}"),
            (Some(least), Some(most)) if least > i64::MIN => format!("integer, {least} to {most}"),
            _ => "integer".to_owned(),
        },
        "" => "any value".to_owned(),
        other => escaped(other),
    }
}

/// How the operation is called from a shell.
fn curl(document: &Value, path: &str, verb: &str, operation: &Value, parameters: &[&Value]) -> String {
    let mut target = path.to_owned();
    let mut query = Vec::new();
    for parameter in parameters {
        let name = text(&parameter["name"]);
        let value = plain(&example(document, &parameter["schema"]));
        match text(&parameter["in"]) {
            "path" => target = target.replace(&format!("{{{name}}}"), &value),
            "query" if parameter["required"] == true => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    let mut call = "curl".to_owned();
    if verb != "get" {
        call += &format!(" -X {}", verb.to_uppercase());
    }
    call += &format!(" \"http://localhost:3001{target}\"");
    if !operation["security"].as_array().is_some_and(Vec::is_empty) {
        call += " \\\n  -H \"Authorization: Bearer $AUTH_KEY\"";
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        call += &format!(" \\\n  -d '{}'", example(document, body));
    }
    call
}

/// A value that fits: of an object what is needed or has an example, or else its first member.
fn example(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    if let Some(given) = schema["examples"].get(0) {
        return given.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let first_type = schema["type"].get(0).unwrap_or(&schema["type"]);
    match text(first_type) {
        "object" => {
            let needed = list(&schema["required"]);
            let is_shown = |name: &str, member: &Value| {
                needed.iter().any(|needed| needed == name) || !member["examples"].is_null()
            };
            let mut shown: Vec<_> =
                members(&schema["properties"]).filter(|(name, member)| is_shown(name, member)).collect();
            if shown.is_empty() {
                shown.extend(members(&schema["properties"]).next());
            }
            let shown = shown.into_iter().map(|(name, member)| (name.to_owned(), example(document, member)));
            Value::Object(shown.collect::<Map<_, _>>())
        }
        "array" => Value::Array(vec![example(document, &schema["items"])]),
        "integer" => schema["minimum"].as_i64().unwrap_or_default().max(1).into(),
        "boolean" => true.into(),
        _ => "text".into(),
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A text without its quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn in_paragraph(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("<p>{}</p>\n", with_code(words)) }
}

/// What stands between backticks is code.
fn with_code(words: &str) -> String {
    let parts = words.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: &str) {
        assert_eq!(kind(&schema), expected);
    }

    #[test]
    fn kinds_are_told_in_words() {
        check(json!({}), "any value");
        check(json!({"type": ["string", "null"], "maxLength": 5}), "string, up to 5 characters or null");
        check(json!({"type": "integer", "minimum": 0, "maximum": 9}), "integer, 0 to 9");
        check(json!({"type": "integer", "minimum": 1, "maximum": i64::MAX}), "integer from 1");
        check(json!({"type": "array", "items": {"$ref": "#/x/Key"}}), "list of <a href=\"#schema-Key\">Key</a>");
        check(json!({"enum": ["a", "<b>", null]}), "<code>a</code>, <code>&lt;b&gt;</code>, <code>null</code>");
        check(json!({"oneOf": [{"type": "null"}, {"type": "boolean"}]}), "null or boolean");
    }

    #[test]
    fn an_example_holds_what_is_needed() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"type": "string"}, "c": {"type": "boolean"}},
            "required": ["a", "c"],
        });
        assert_eq!(example(&Value::Null, &schema), json!({"a": 3, "c": true}));
        let schema = json!({"type": ["object", "null"], "properties": {"b": {"type": "string"}, "c": {}}});
        assert_eq!(example(&Value::Null, &schema), json!({"b": "text"}));
    }
}
