//! Every operation of the API document is part of a conversation.

use std::{fs, path::Path};

use serde_json::Value;

/// These have no text that is the same each time, or on each engine, and tests of their own.
const ELSEWHERE: [&str; 5] = ["/metrics", "/api/cluster", "/api/system", "/api/docs", "/api/openapi.json"];

/// Whether a request line is one to this path of the document, `{…}` standing for any segment.
fn is_to(line: &str, method: &str, path: &str) -> bool {
    let Some(target) = line.strip_prefix("> ").and_then(|line| line.strip_prefix(method)?.strip_prefix(' ')) else {
        return false;
    };
    let target = target.split([' ', '?']).next().unwrap_or_default();
    let (mut asked, mut wanted) = (target.split('/'), path.split('/'));
    loop {
        match (asked.next(), wanted.next()) {
            (None, None) => return true,
            (Some(asked), Some(wanted)) if wanted.starts_with('{') || asked == wanted => {}
            _ => return false,
        }
    }
}

#[test]
fn every_operation_has_been_talked_about() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&fs::read_to_string(root.join("docs/openapi.json")).unwrap()).unwrap();
    let mut said = String::new();
    for entry in fs::read_dir(root.join("tests/golden/api")).unwrap() {
        said.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let mut missing = Vec::new();
    let mut count = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|_| !ELSEWHERE.contains(&&**path)) {
            count += 1;
            let method = method.to_uppercase();
            if !said.lines().any(|line| is_to(line, &method, path)) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert!(count > 40, "the document has so many");
    assert!(missing.is_empty(), "no conversation asks for {missing:#?}");
}
