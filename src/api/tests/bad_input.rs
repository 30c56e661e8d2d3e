//! Nonsense for every route, generated from the API document: it is refused by name, and nothing breaks.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{House, MANAGEMENT_KEY, Reply};
use crate::api::document;

fn document() -> Value {
    serde_json::from_str(document::text()).unwrap()
}

/// Fields that messages for people call by other names.
const IN_WORDS: &[(&str, &str)] = &[
    ("channel_type", "channel type"),
    ("items", "groups"),
    ("notes", "Notes"),
    ("sub_groups", "member group"),
    ("url", "upstream"),
    ("validation_endpoint", "test path"),
    ("weight", "upstream"),
];

/// What cannot even be read is a fault of the object that it is in.
const UNREADABLE: [&str; 3] = ["deep", "U+0000", "half a character"];

/// Two standard groups with a key each, and an aggregate group of both.
async fn furnished() -> House {
    let house = House::open().await;
    for name in ["one", "two"] {
        let id = house.group(name, json!({})).await;
        house
            .post("/api/keys/add-multiple", json!({"group_id": id, "keys_text": format!("sk-of-{name}")}))
            .await
            .data();
    }
    let aggregate = json!({"name": "all", "group_type": "aggregate", "channel_type": "openai"});
    let id = house.post("/api/groups", aggregate).await.data()["id"].clone();
    let members = json!({"sub_groups": [{"group_id": 1, "weight": 1}, {"group_id": 2, "weight": 1}]});
    house.post(&format!("/api/groups/{id}/sub-groups"), members).await.says("The member groups have been added");
    house
}

struct Operation {
    method: Method,
    path: String,
    told: Value,
}

/// All but streams, which have no end; their parameters are those of lists.
fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, verbs) in document()["paths"].as_object().unwrap() {
        for (verb, told) in verbs.as_object().unwrap() {
            if told["responses"]["200"]["content"].get("text/event-stream").is_none() {
                let method = verb.to_uppercase().parse().unwrap();
                operations.push(Operation { method, path: path.clone(), told: told.clone() });
            }
        }
    }
    operations
}

impl Operation {
    /// At things that exist: the aggregate group where one is asked for.
    fn target(&self) -> String {
        let group = if self.path.contains("/sub-groups") { "3" } else { "1" };
        self.path.replace("{id}", group).replace("{sub_group_id}", "1").replace("{group}", "one")
    }

    fn body(&self) -> Option<&Value> {
        self.told.pointer("/requestBody/content/application~1json/schema")
    }

    fn is_enveloped(&self) -> bool {
        self.path != "/api/auth/login"
    }

    async fn send(&self, house: &House, target: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder()
            .method(&self.method)
            .uri(target)
            .header(AUTHORIZATION, format!("Bearer {MANAGEMENT_KEY}"))
            .header("accept-language", "en-US");
        let answered = house.send(request.body(body.into()).unwrap());
        tokio::time::timeout(Duration::from_secs(60), answered).await.expect("an answer")
    }

    /// What is wrong with a refusal that should name one of these fields.
    fn problem(&self, reply: &Reply, fields: &[&str], what: &str) -> Option<String> {
        let names_it = || {
            let body = reply.json();
            let message = body["message"].as_str().unwrap();
            let words = IN_WORDS.iter().filter(|(name, _)| fields.contains(name)).map(|(_, words)| words);
            !self.is_enveloped() || fields.iter().chain(words).any(|name| message.contains(name))
        };
        let is_right = reply.status == 400 && names_it();
        let told = || format!("{} {}, {what}: {} {:.200}", self.method, self.path, reply.status, reply.text);
        (!is_right).then(told)
    }
}

/// A value that the schema allows: of objects what is needed, or has an example.
fn sample(schema: &Value) -> Value {
    if let Some(example) = schema["examples"].get(0).or_else(|| schema["enum"].get(0)) {
        return example.clone();
    }
    match kind(schema) {
        "object" => {
            let needed = |name: &String| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
            let members = schema["properties"].as_object().into_iter().flatten();
            let given = members.filter(|(name, member)| needed(name) || !member["examples"].is_null());
            given.map(|(name, member)| (name.clone(), sample(member))).collect()
        }
        "array" => json!([sample(&schema["items"])]),
        "integer" => json!(schema["minimum"].as_i64().unwrap_or_default().max(1)),
        "boolean" => json!(true),
        _ => json!("text"),
    }
}

fn kind(schema: &Value) -> &str {
    schema["type"].get(0).unwrap_or(&schema["type"]).as_str().unwrap_or("any")
}

/// Texts of JSON that are not what the schema wants, each with a word about it.
fn nonsense(schema: &Value) -> Vec<(&'static str, String)> {
    let mut texts: Vec<(&'static str, String)> = Vec::new();
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    match kind(schema) {
        "string" => {
            texts.extend([("a number", "5".into()), ("a list", "[\"x\"]".into()), ("deep", deep)]);
            texts.extend([("U+0000", r#""a\u0000b""#.into()), ("half a character", r#""a\ud800b""#.into())]);
            if let Some(most) = schema["maxLength"].as_u64() {
                let long = "x".repeat(usize::try_from(most).unwrap() + 1);
                texts.push(("over-long", format!("{long:?}")));
            }
            if !schema["pattern"].is_null() {
                texts.push(("over-long", format!("{:?}", "x".repeat(100_000))));
            }
        }
        "integer" => {
            texts.extend([("a text", "\"five\"".into()), ("a fraction", "1.5".into()), ("deep", deep)]);
            texts.extend([("huge", "99999999999999999999".into()), ("huge", format!("1{}", "0".repeat(400)))]);
            if schema["minimum"].as_i64().is_some_and(|least| least >= 0) {
                texts.push(("negative", "-1".into()));
            }
        }
        "boolean" => texts.extend([("a text", "\"yes\"".into()), ("a number", "1".into()), ("deep", deep)]),
        "array" => {
            texts.extend([("a text", "\"x\"".into()), ("deep", deep)]);
            let others = if kind(&schema["items"]) == "integer" { "[\"x\"]" } else { "[1]" };
            texts.push(("a list of other things", others.into()));
        }
        "object" => {
            texts.extend([
                ("a text", "\"x\"".into()),
                ("a list", "[1]".into()),
                ("deep", format!("{{\"x\": {deep}}}")),
            ]);
            texts
                .extend([("U+0000", r#"{"x": "a\u0000b"}"#.into()), ("U+0000 in a name", r#"{"\u0000": "x"}"#.into())]);
            texts.push(("half a character", r#"{"x": "a\ud800b"}"#.into()));
        }
        _ => {}
    }
    texts
}

/// The text of a body in which one member has another text.
fn with_member(body: &Value, name: &str, text: &str) -> String {
    let mut body = body.clone();
    body[name] = json!("\u{1}placeholder");
    body.to_string().replace(r#""\u0001placeholder""#, text)
}

#[tokio::test]
async fn every_member_of_every_body_is_checked_and_named() {
    let house = furnished().await;
    let mut tried = 0;
    let mut problems = Vec::new();
    for operation in operations() {
        let Some(schema) = operation.body().cloned() else { continue };
        let whole = sample(&schema);
        let target = operation.target();
        for (name, member) in schema["properties"].as_object().unwrap() {
            for (what, text) in nonsense(member) {
                let reply = operation.send(&house, &target, with_member(&whole, name, &text)).await;
                problems.extend(operation.problem(&reply, &[name], &format!("{name}: {what}")));
                tried += 1;
            }
            // Members of the objects in a list, and of an object within.
            let inner = if kind(member) == "array" { &member["items"] } else { member };
            for (inner_name, inner_member) in inner["properties"].as_object().into_iter().flatten() {
                for (what, text) in nonsense(inner_member) {
                    let text = with_member(&sample(inner), inner_name, &text);
                    let text = if kind(member) == "array" { format!("[{text}]") } else { text };
                    let reply = operation.send(&house, &target, with_member(&whole, name, &text)).await;
                    // One that cannot even be read is a fault of what it is in.
                    let fields = if UNREADABLE.contains(&what) {
                        &[name.as_str(), inner_name]
                    } else {
                        &[inner_name.as_str()][..]
                    };
                    problems.extend(operation.problem(&reply, fields, &format!("{name}.{inner_name}: {what}")));
                    tried += 1;
                }
            }
        }
        for needed in schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()) {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().shift_remove(needed);
            let reply = operation.send(&house, &target, without.to_string()).await;
            problems.extend(operation.problem(&reply, &[needed], &format!("{needed} is missing")));
        }
    }
    assert_eq!(problems, [""; 0], "{problems:#?}");
    assert!(tried > 200, "{tried}");
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let house = furnished().await;
    let mut problems = Vec::new();
    let deep = "[".repeat(100_000);
    let deep_member = format!(r#"{{"a": {deep}"#);
    for operation in operations().into_iter().filter(|operation| operation.body().is_some()) {
        for body in [
            &b""[..],
            b"   ",
            b"[]",
            b"1",
            b"\"x\"",
            b"{",
            b"{\"a\"",
            b"{\"a\": tru}",
            b"{\"a\": \"\xff\"}",
            b"\xff\xfe",
            b"{\"\\ud800\": 1}",
            b"\0",
            deep.as_bytes(),
            deep_member.as_bytes(),
        ] {
            let reply = operation.send(&house, &operation.target(), body.to_vec()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
            // Of whoever has no key yet, nothing long is read.
            if operation.path == "/api/session" && reply.status == 413 {
                assert!(body.len() > 8 * 1024, "{shown}");
                continue;
            }
            problems.extend(operation.problem(&reply, &[""], &shown));
            if operation.is_enveloped() && reply.json()["code"] != "INVALID_JSON" {
                problems.push(format!("{} {shown}: {}", operation.path, reply.text));
            }
        }
    }
    assert_eq!(problems, [""; 0], "{problems:#?}");
}

#[tokio::test]
async fn an_id_in_a_path_that_is_none_is_refused_or_not_found() {
    let mut problems = Vec::new();
    let house = furnished().await;
    for operation in operations().into_iter().filter(|operation| operation.path.contains("{id}")) {
        let body = operation.body().map(|schema| sample(schema).to_string()).unwrap_or_default();
        for (id, statuses) in [
            ("x", &[400][..]),
            ("1.5", &[400]),
            ("99999999999999999999", &[400]),
            ("%00", &[400]),
            ("%ff", &[400]),
            ("0x1", &[400]),
            ("1%20", &[400]),
            ("%EF%BC%91", &[400]),
            ("-1", &[400, 404]),
            ("0", &[400, 404]),
            ("9223372036854775807", &[404]),
            ("-9223372036854775808", &[400, 404]),
        ] {
            for variable in ["{id}", "{sub_group_id}"] {
                if !operation.path.contains(variable) {
                    continue;
                }
                let target = Operation { path: operation.path.replace(variable, id), ..operation.copy() }.target();
                let reply = operation.send(&house, &target, body.clone()).await;
                // An entry of the log is known by another kind of id.
                let is_other_kind = operation.path == "/api/logs/{id}" && reply.status == 400;
                if !statuses.contains(&reply.status) && !is_other_kind {
                    problems.push(format!("{} {target}: {} {}", operation.method, reply.status, reply.text));
                }
            }
        }
    }
    assert_eq!(problems, [""; 0], "{problems:#?}");
}

impl Operation {
    fn copy(&self) -> Self {
        Self { method: self.method.clone(), path: self.path.clone(), told: self.told.clone() }
    }
}

#[tokio::test]
async fn nonsense_in_a_query_breaks_nothing() {
    let mut problems = Vec::new();
    let house = furnished().await;
    let long = "x".repeat(20_000);
    for operation in operations() {
        let parameters = operation.told["parameters"].as_array().unwrap();
        let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name);
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            // The management key is not what is tried here.
            if name == "key" {
                continue;
            }
            let group = if name != "group_id" && named("group_id").is_some() { "&group_id=1" } else { "" };
            for value in [
                "",
                "x",
                "-1",
                "0",
                "1.5",
                "1e3",
                "99999999999999999999",
                "9223372036854775807",
                "%00",
                "a%00b",
                "%ff",
                "%ED%A0%80",
                "%F0%9F%98%80",
                "'",
                "%25%27%22",
                "%5B%5B%5B",
                "true",
                "null",
                "2026-13-45T00:00:00Z",
                &long,
            ] {
                let target = format!("{}?{name}={value}{group}", operation.target());
                let reply = operation.send(&house, &target, Body::empty()).await;
                if ![200, 400, 404].contains(&reply.status) {
                    problems.push(format!("{target:.80}: {} {}", reply.status, reply.text));
                }
            }
        }
    }
    assert_eq!(problems, [""; 0], "{problems:#?}");
}
