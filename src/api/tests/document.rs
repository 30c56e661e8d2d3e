//! The API document: that it says what the route table says, and that the copy in `docs` is today's.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::House;
use crate::api::{
    document::{self, Stated},
    routes::{self, Verb},
};

/// Routes whose answers have no envelope, with the reason.
const OUTSIDE_THE_ENVELOPE: &[(&str, &str)] = &[
    ("/health", "probes look at the status"),
    ("/ready", "probes look at the status"),
    ("/api/auth/login", "as the original does"),
    ("/metrics", "as Prometheus reads it"),
    ("/api/keys/export", "a file"),
    ("/api/logs/entries/export", "a file"),
    ("/api/logs/export", "a file"),
    ("/api/logs/live", "a stream"),
    ("/api/docs", "a page"),
    ("/api/openapi.json", "a document of its own kind"),
];

fn document() -> Value {
    serde_json::from_str(document::text()).unwrap()
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::Any => "get",
        Verb::Post => "post",
        Verb::Put => "put",
        Verb::Delete => "delete",
    }
}

/// Every operation with its verb and path.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            operations.push((verb.clone(), path.clone(), operation.clone()));
        }
    }
    operations
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("{target}")),
        None => value,
    }
}

#[test]
fn every_route_has_its_operation_and_every_operation_its_route() {
    let of_routes: Vec<_> =
        routes::table().iter().map(|route| (verb(route.verb).to_owned(), route.path.to_owned())).collect();
    let of_document: BTreeSet<_> = operations(&document()).into_iter().map(|(verb, path, _)| (verb, path)).collect();
    assert_eq!(of_routes.len(), of_document.len(), "two routes have one operation");
    assert_eq!(of_routes.into_iter().collect::<BTreeSet<_>>(), of_document);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let mut names = BTreeSet::new();
    for (verb, path, operation) in operations(&document()) {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert!(
            name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{verb} {path}: {name}"
        );
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
        assert_ne!(operation["tags"], json!(["Others"]), "{path} belongs to no chapter");
    }
}

#[test]
fn every_variable_of_a_path_is_a_parameter_and_the_other_way_round() {
    for (_, path, operation) in operations(&document()) {
        let in_path: BTreeSet<_> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().unwrap();
        let stated: BTreeSet<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(in_path, stated, "{path}");
    }
}

#[test]
fn every_answer_is_in_the_envelope_but_for_these() {
    let document = document();
    for (verb, path, operation) in operations(&document) {
        let is_outside = OUTSIDE_THE_ENVELOPE.iter().any(|(outside, _)| *outside == path);
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = resolved(&document, answer);
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{verb} {path} {status}");
            let schema = resolved(&document, &answer["content"]["application/json"]["schema"]);
            let code = &schema["properties"]["code"];
            let is_enveloped = schema["properties"]["message"]["type"] == "string"
                && if status == "200" { code["const"] == 0 } else { code["enum"].is_array() };
            assert!(is_enveloped || is_outside, "{verb} {path} {status}: {schema}");
        }
        let statuses = operation["responses"].as_object().unwrap();
        assert!(statuses.contains_key("200") && statuses.contains_key("500"), "{verb} {path}");
    }
}

#[test]
fn no_two_schemas_share_a_name() {
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    for route in routes::table() {
        let mut stated = Stated::default();
        (route.state)(&mut stated);
        for (name, schema) in stated.schemas {
            if let Some(other) = schemas.insert(name.clone(), schema.clone()) {
                assert_eq!(other, schema, "{name} is two things");
            }
        }
    }
    assert!(schemas.len() > 10);
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(document: &Value, value: &Value) {
        resolved(document, value);
        match value {
            Value::Object(members) => members.values().for_each(|value| follow(document, value)),
            Value::Array(items) => items.iter().for_each(|item| follow(document, item)),
            _ => {}
        }
    }
    let document = document();
    follow(&document, &document);
}

/// `cargo run -- openapi > docs/openapi.json` writes it anew, and so does this test with `GOLDEN_UPDATE=1`.
#[test]
fn the_copy_in_docs_is_todays() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    if std::env::var_os("GOLDEN_UPDATE").is_some() {
        std::fs::write(path, document::text()).unwrap();
    }
    let copy = std::fs::read_to_string(path).unwrap();
    let differs = copy.lines().zip(document::text().lines()).find(|(copied, current)| copied != current);
    assert_eq!(differs, None, "run: cargo run -- openapi > docs/openapi.json");
    assert_eq!(copy.len(), document::text().len());
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let house = House::open().await;
    let reply = house.get("/api/openapi.json").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, document::text()));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn the_page_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let house = House::open().await;
    let reply = house.send(Request::get("/api/docs").body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for (_, path, operation) in operations(&document()) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(reply.text.contains(&format!("<section id=\"{name}\">")), "{name}");
        assert!(reply.text.contains(&format!("<code>{path}</code>")), "{path}");
    }
    assert!(!reply.text.contains("@import") && !reply.text.contains("url("));
    for outside in ["<script", "<link", "<img", "<iframe", "src=", " style=", " on"] {
        let tags = reply.text.split('<').map(|tag| format!("<{}", tag.split('>').next().unwrap_or_default()));
        assert!(!tags.into_iter().any(|tag| tag.contains(outside)), "{outside}");
    }
    let anchors: BTreeSet<_> = reply.text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for target in reply.text.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(anchors.contains(target), "{target} leads nowhere");
    }
}

/// A browser takes the style only if its hash is the one that the header names.
#[tokio::test]
async fn the_page_is_allowed_its_own_style_and_nothing_else() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};
    let house = House::open().await;
    let reply = house.send(Request::get("/api/docs").body(Body::empty()).unwrap()).await;
    let style = reply.text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(style))
    );
    assert_eq!(reply.header("content-security-policy"), Some(expected.as_str()));
}
