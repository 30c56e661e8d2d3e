//! Every model that a JSON body names: at its top, in the requests of a batch, in a session, among fallbacks.

use crate::json;

/// Deeper than any API puts the name of a model.
const DEPTH_MAX: usize = 8;

/// Members whose content is the client's own, in which a `model` means nothing to the upstream.
const FREE_CONTENT: [&[u8]; 19] = [
    b"messages",
    b"input",
    b"contents",
    b"content",
    b"system",
    b"systeminstruction",
    b"instructions",
    b"prompt",
    b"metadata",
    b"labels",
    b"tools",
    b"functions",
    b"tool_choice",
    b"response_format",
    b"text",
    b"schema",
    b"parameters",
    b"properties",
    b"generationconfig",
];

/// The raw JSON strings, in the order of the text. Names of members are read in any case, as many servers read them.
pub(crate) fn named_models(text: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    walk(text, 0, &mut found);
    found
}

fn walk<'a>(text: &'a [u8], depth: usize, found: &mut Vec<&'a [u8]>) {
    if depth > DEPTH_MAX {
        return;
    }
    match text.first() {
        Some(b'[') => {
            for element in json::elements(text).unwrap_or_default() {
                walk(element, depth + 1, found);
            }
        }
        // Only the body itself has white space before it.
        _ if depth == 0 || text.starts_with(b"{") => {
            for (name, value) in json::members(text).unwrap_or_default() {
                let name = name.to_ascii_lowercase();
                match (&name[..], value.first()) {
                    (b"model" | b"basemodel" | b"base_model", Some(b'"')) => found.push(value),
                    (b"models", Some(b'[')) => {
                        let elements = json::elements(value).unwrap_or_default();
                        found.extend(elements.into_iter().filter(|element| element.starts_with(b"\"")));
                    }
                    (name, _) if FREE_CONTENT.contains(&name) => {}
                    _ => walk(value, depth + 1, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_wherever_apis_put_them_and_not_in_what_people_wrote() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<_> = named_models(text.as_bytes()).into_iter().filter_map(json::string).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(r#" {"model":"a","Mod\u0065l":"b","x":{"model":"c"}}"#, &["a", "b", "c"]);
        check(r#"{"requests":[{"params":{"model":"a","model":"b"}},{"model":"c"}]}"#, &["a", "b", "c"]);
        check(r#"{"models":["a","b",1],"baseModel":"c","base_model":"d"}"#, &["a", "b", "c", "d"]);
        check(r#"{"messages":[{"model":"a"}],"tools":[{"model":"a"}],"metadata":{"model":"a"}}"#, &[]);
        check(r#"{"model":{"type":"string"},"models":{"model":"a"}}"#, &["a"]);
        check("null", &[]);
        check("{", &[]);
        let deep = format!("{}{{\"model\":\"a\"}}{}", "{\"x\":".repeat(100_000), "}".repeat(100_000));
        check(&deep, &[]);
    }
}
