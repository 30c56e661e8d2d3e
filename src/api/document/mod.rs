//! The API in words that machines read: an OpenAPI document, made from the route table and the types of its handlers.

mod page;
mod read;
pub(super) mod shape;
mod stated;

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value, json};

pub(super) use self::{
    page::show,
    read::read,
    shape::Shape,
    stated::{Described, Outside, Shown, Stated},
};
use super::{
    download_tickets,
    refusal::Reason,
    routes::{self, Access, Route, Verb},
    session,
};

/// The whole document, as it is served and printed.
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));
static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The OpenAPI document as text.
pub(crate) fn text() -> &'static str {
    &TEXT
}

/// Chapters of the document by the beginning of their paths; the first that fits counts.
const CHAPTERS: &[(&str, &str, &str)] = &[
    ("/health", "Health", "Whether the server is alive, and able to serve"),
    ("/ready", "Health", ""),
    ("/metrics", "Metrics", "What Prometheus reads"),
    ("/api/cluster", "Cluster", "The nodes that share the database"),
    ("/api/auth", "Access", "Whether a key is right, and links that need none"),
    ("/api/session", "Access", ""),
    ("/api/download-tickets", "Access", ""),
    ("/api/integration", "Integration", "Which groups a proxy key opens, for the programs that hold one"),
    ("/proxy", "Integration", ""),
    ("/api/openapi", "Document", "This document"),
    ("/api/docs", "Document", ""),
    ("/api/channel-types", "Groups", "Where clients' requests go, and by which rules"),
    ("/api/groups", "Groups", ""),
    ("/api/keys", "Keys", "The upstreams' keys, and their tests"),
    ("/api/tasks", "Tasks", "Long work in the background"),
    ("/api/dashboard", "Dashboard", "Figures of the last hours"),
    ("/api/logs", "Logs", "What was asked, and how it went"),
    ("/api/search", "Search", "Anything by a part of its name"),
    ("/api/system", "System", "What a node runs on"),
    ("/api/settings", "Settings", "What can be changed without a restart"),
];

const INTRODUCTION: &str = "\
Manages a GPT-Load server: groups, keys, settings. What is below `/proxy/` belongs to the programs whose requests are \
proxied and is described elsewhere.

Every route that is not open needs the management key, `AUTH_KEY`, in one of four places; the first with a credential \
decides: the query parameter `key`, `Authorization: Bearer`, `X-Api-Key`, `X-Goog-Api-Key`. Where none is given, the \
console's session does as well: the cookie `gpt_load_session` that `begin_session` answers. With it, methods other than \
GET and HEAD need the header `X-GPT-Load-Console: 1` besides, or they are refused with 403 `FORBIDDEN`.

A success is always 200 with the code 0; a refusal has a code for programs and a message for people. Messages come in \
the first language of `Accept-Language`: `zh-CN`, which is the default, `en-US` or `ja-JP`. Bodies are read as JSON \
whatever their content type is; names of fields match in any case, unknown ones are ignored, `null` counts as not given.

An unknown path answers 404 `{\"error\": \"Not Found\"}`, a wrong method 405 `{\"error\": \"Method Not Allowed\"}` with \
`Allow`. A path with a slash too many at its end is redirected. `HEAD` works wherever `GET` does.";

fn document() -> Value {
    let mut paths = Map::new();
    let mut schemas = BTreeMap::new();
    let mut refusals = BTreeMap::new();
    let mut chapters = Vec::new();
    for route in routes::table() {
        let (chapter, description) = chapter(route.path);
        if !chapters.iter().any(|known: &Value| known["name"] == chapter) {
            chapters.push(json!({"name": chapter, "description": description}));
        }
        let (path, verb) = (route.path, verb(route.verb));
        let mut stated = Stated::default();
        (route.state)(&mut stated);
        schemas.extend(std::mem::take(&mut stated.schemas));
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[verb] = operation(&route, chapter, stated, &mut refusals);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "GPT-Load management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from"}],
        "security": MANAGED.into_iter().chain([SESSION]).map(|scheme| json!({scheme: []})).collect::<Value>(),
        "tags": chapters,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": refusals,
            "parameters": {"AcceptLanguage": {
                "name": "Accept-Language",
                "in": "header",
                "description": "The language of messages; the first one counts",
                "schema": {"type": "string", "examples": ["zh-CN", "en-US", "ja-JP"]},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The management key"},
                "xApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The management key"},
                "xGoogApiKey": {
                    "type": "apiKey", "in": "header", "name": "X-Goog-Api-Key", "description": "The management key",
                },
                "queryKey": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "key",
                    "description": "The management key; for links, since what is in between may write addresses down",
                },
                "metricsToken": {"type": "http", "scheme": "bearer", "description": "`METRICS_TOKEN`"},
                SESSION: {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": session::COOKIE_NAME,
                    "description": "The console's session: `begin_session`. What changes something needs the header \
                                    `X-GPT-Load-Console: 1` besides",
                },
                "ticket": {
                    "type": "apiKey",
                    "in": "query",
                    "name": download_tickets::PARAMETER,
                    "description": "A link to one download without the key, good for a minute: `create_download_ticket`",
                },
            },
        },
    });
    put_plain_types_in_place(&mut document);
    document
}

/// What a reference leads to; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|target| document.pointer(target.strip_prefix('#')?));
    target.unwrap_or(value)
}

/// A name for another type (`GroupId`) is taken for a schema of its own, called `i64`; nobody needs to look that up.
fn put_plain_types_in_place(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    let is_plain = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
    let plain: BTreeMap<String, Value> = schemas
        .iter()
        .filter(|(name, _)| is_plain(name))
        .map(|(name, schema)| (format!("#/components/schemas/{name}"), schema.clone()))
        .collect();
    schemas.retain(|name, _| !is_plain(name));
    replace_references(document, &plain);
}

fn replace_references(value: &mut Value, by: &BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            if let Some(schema) = members.get("$ref").and_then(Value::as_str).and_then(|target| by.get(target)) {
                members.extend(schema.as_object().cloned().unwrap_or_default());
                members.shift_remove("$ref");
            }
            members.values_mut().for_each(|value| replace_references(value, by));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace_references(item, by)),
        _ => {}
    }
}

/// The places of the management key, the best first.
const MANAGED: [&str; 4] = ["bearer", "xApiKey", "xGoogApiKey", "queryKey"];
/// What else opens every managed route.
const SESSION: &str = "session";

fn chapter(path: &str) -> (&'static str, &'static str) {
    let found = CHAPTERS.iter().find(|(beginning, ..)| path.starts_with(beginning));
    found.map_or(("Others", ""), |&(_, name, description)| (name, description))
}

/// What answers to every method is described by the usual one.
fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::Any => "get",
        Verb::Post => "post",
        Verb::Put => "put",
        Verb::Delete => "delete",
    }
}

/// What a server that runs for diagnosis refuses.
fn changes_keys(route: &Route) -> bool {
    let only_looks =
        matches!(route.verb, Verb::Get | Verb::Any) || ["reveal_key", "preview_import"].contains(&route.name);
    (route.path.starts_with("/api/keys") && !only_looks)
        || (route.path == "/api/groups/{id}" && matches!(route.verb, Verb::Delete))
}

fn operation(route: &Route, chapter: &str, mut stated: Stated, refusals: &mut BTreeMap<String, Value>) -> Value {
    stated.refusals.extend(route.refusals);
    stated.refusals.insert(Reason::INTERNAL);
    if !routes::is_probe(route.path) {
        stated.refusals.insert(Reason::TOO_BUSY);
    }
    if changes_keys(route) {
        stated.refusals.insert(Reason::READ_ONLY);
    }
    let is_open = route.access == Access::Open;
    if !is_open {
        stated.refusals.extend([Reason::UNAUTHORIZED, Reason::TOO_MANY_FAILED_LOGINS]);
        if !matches!(route.verb, Verb::Get) {
            stated.refusals.insert(Reason::FORBIDDEN);
        }
    }
    let mut answers = refused(stated.refusals, refusals);
    // Where a handler answers in its own way, this is what it answers.
    answers.append(&mut stated.answers);
    if route.path.starts_with("/api/") {
        stated.parameters.push(json!({"$ref": "#/components/parameters/AcceptLanguage"}));
    }
    let mut operation = json!({
        "operationId": route.name,
        "tags": [chapter],
        "summary": route.summary,
        "parameters": stated.parameters,
    });
    if let Some(body) = stated.body {
        operation["requestBody"] = body;
    }
    let answers = answers.into_iter().map(|(status, answer)| (status.to_string(), answer));
    operation["responses"] = Value::Object(answers.collect());
    if is_open {
        operation["security"] = stated.credentials.iter().map(|scheme| json!({*scheme: []})).collect();
    } else if download_tickets::DOWNLOADS.contains(&route.path) {
        operation["security"] =
            MANAGED.into_iter().chain([SESSION, "ticket"]).map(|scheme| json!({scheme: []})).collect();
    }
    operation
}

/// The refusals by status, each with the codes that it may have; those that operations share are in `shared`.
fn refused(reasons: impl IntoIterator<Item = Reason>, shared: &mut BTreeMap<String, Value>) -> BTreeMap<u16, Value> {
    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for Reason { status, code } in reasons {
        codes.entry(status).or_default().push(code);
    }
    let answer = |(status, codes): (u16, Vec<&str>)| {
        let name = format!("{status}-{}", codes.join("-"));
        let mut answer = json!({
            "description": described(status),
            "content": {"application/json": {"schema": {
                "type": "object",
                "properties": {
                    "code": {"type": "string", "enum": codes},
                    "message": {"type": "string", "description": "For people, in the caller's language"},
                },
                "required": ["code", "message"],
                "additionalProperties": false,
            }}},
        });
        if [Reason::TOO_BUSY.status, Reason::TOO_MANY_FAILED_LOGINS.status].contains(&status) {
            answer["headers"] = json!({"Retry-After": {
                "description": "Seconds after which another try makes sense, where that is known",
                "schema": {"type": "integer", "minimum": 0},
            }});
        }
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        shared.insert(name, answer);
        (status, reference)
    };
    codes.into_iter().map(answer).collect()
}

fn described(status: u16) -> &'static str {
    match status {
        400 => "The request is wrong; the message says what about it",
        401 => "The key is missing or wrong",
        403 => "With a session, the header `X-GPT-Load-Console: 1` is missing",
        404 => "There is no such thing",
        408 => "The body did not arrive in time",
        409 => "It is taken, or something else is going on",
        413 => "The body is too large",
        429 => "Too many wrong keys came from this address",
        503 => "Not at the moment",
        _ => "A fault of ours; the log tells more",
    }
}
