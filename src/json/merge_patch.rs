//! JSON Merge Patch (RFC 7396), applied to a text in place.

use serde_json::Value;

use super::{edit, remove, top_level};

/// The text with the members of `patch` set: objects are merged, a `null` removes a member, everything else replaces
/// it. All that the patch does not name keeps its bytes. `None`: the text is not one JSON object.
///
/// Recursion follows the patch, which is an operator's and was parsed under serde's depth limit; never the text.
pub(crate) fn merge_patch<'a>(text: &[u8], patch: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Option<Vec<u8>> {
    merge(text, &mut patch.into_iter())
}

/// One type of iterator at every depth, or the compiler would make a function for each.
fn merge<'a>(text: &[u8], patch: &mut dyn Iterator<Item = (&'a str, &'a Value)>) -> Option<Vec<u8>> {
    let mut merged: Option<Vec<u8>> = None;
    for (name, change) in patch {
        let current = merged.as_deref().unwrap_or(text);
        merged = Some(match change {
            Value::Null => remove(current, name)?,
            Value::Object(members) => {
                let present = top_level(current, &[name])?[0].filter(|value| value.starts_with(b"{"));
                let inner = merge(present.unwrap_or(b"{}"), &mut members.iter().map(|(k, v)| (k.as_str(), v)))?;
                edit(current, &[(name, std::str::from_utf8(&inner).ok()?)])?
            }
            value => edit(current, &[(name, &value.to_string())])?,
        });
    }
    match merged {
        Some(merged) => Some(merged),
        None => top_level(text, &[]).map(|_| text.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, patch: &str, expected: Option<&str>) {
        let patch: serde_json::Map<String, Value> = serde_json::from_str(patch).unwrap();
        let merged = merge_patch(text.as_bytes(), patch.iter().map(|(name, value)| (name.as_str(), value)));
        assert_eq!(merged.map(|merged| String::from_utf8(merged).unwrap()).as_deref(), expected);
    }

    #[test]
    fn objects_are_merged_and_their_other_members_keep_their_bytes() {
        check(
            r#"{"generationConfig": { "topK" : 1.0, "seed":12345678901234567890 }, "b":"a\u003c"}"#,
            r#"{"generationConfig":{"temperature":0.20}}"#,
            Some(
                r#"{"generationConfig": { "topK" : 1.0, "seed":12345678901234567890,"temperature":0.20 }, "b":"a\u003c"}"#,
            ),
        );
    }

    #[test]
    fn null_removes_and_everything_else_replaces() {
        check(r#"{"a":1,"b":2}"#, r#"{"a":null}"#, Some(r#"{"b":2}"#));
        check(r#"{"a":{"x":1}}"#, r#"{"a":[1]}"#, Some(r#"{"a":[1]}"#));
        check(r#"{"a":1}"#, r#"{"a":{"x":{"y":null,"z":1}}}"#, Some(r#"{"a":{"x":{"z":1}}}"#));
        check("{}", r#"{"stream":true}"#, Some(r#"{"stream":true}"#));
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for text in ["null", "[]", "1", "{", "", r#"{"a":1}x"#] {
            check(text, r#"{"a":2}"#, None);
            check(text, "{}", None);
        }
    }
}
