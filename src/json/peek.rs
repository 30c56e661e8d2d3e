//! A glance at members of a JSON object, at the speed of memory: for a text that is not edited and not refused.
//!
//! Long texts are what large bodies are made of, so they are jumped over, many bytes at a time. What is no JSON gives
//! nothing or something: whoever must know that it is, asks [`super::top_level`].

use std::borrow::Cow;

/// The raw values of these members at the top level; of a repeated one the last counts.
pub(crate) fn peek<'t, const N: usize>(text: &'t [u8], names: [&[u8]; N]) -> [Option<&'t [u8]>; N] {
    let mut found = [None; N];
    let Some(mut at) = position_of(text, 0, b'{') else { return found };
    at += 1;
    // A name, its colon, its value, and what separates it from the next name.
    while let Some(name_start) = position_of(text, at, b'"') {
        let Some(name_end) = end_of_string(text, name_start) else { return found };
        let Some(colon) = position_of(text, name_end, b':') else { return found };
        let value_start = skip_white_space(text, colon + 1);
        let Some(value_end) = end_of_value(text, value_start) else { return found };
        let name = unescaped(&text[name_start..name_end]);
        if let Some(index) = names.iter().position(|wanted| *wanted == &*name) {
            found[index] = Some(&text[value_start..value_end]);
        }
        at = skip_white_space(text, value_end);
        if text.get(at) != Some(&b',') {
            return found;
        }
        at += 1;
    }
    found
}

/// What a name, with its quotes, stands for.
fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\\') {
        return Cow::Borrowed(&name[1..name.len() - 1]);
    }
    Cow::Owned(super::string(name).unwrap_or_default().into_bytes())
}

/// Where this byte stands, if nothing but white space stands before it.
fn position_of(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    let at = skip_white_space(text, from);
    (text.get(at) == Some(&byte)).then_some(at)
}

fn skip_white_space(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| super::is_white_space(**byte)).count()
}

/// Behind the closing quote of the string that begins here.
fn end_of_string(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        // Whatever is escaped does not end the string.
        at += 2;
    }
}

fn end_of_value(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => end_of_string(text, start),
        b'{' | b'[' => end_of_container(text, start),
        _ => {
            let rest = &text[start..];
            let length = rest.iter().take_while(|byte| !matches!(byte, b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r'));
            Some(start + length.count())
        }
    }
}

/// Brackets are counted without regard to their kind.
fn end_of_container(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match text.get(at)? {
            b'"' => {
                at = end_of_string(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: [Option<&str>; 2]) {
        let found = peek(text.as_bytes(), [b"model", b"stream"]);
        assert_eq!(found.map(|value| value.map(|value| std::str::from_utf8(value).unwrap())), expected, "{text}");
    }

    #[test]
    fn members_of_the_top_level_are_found() {
        check(r#"{"model":"a","stream":true}"#, [Some("\"a\""), Some("true")]);
        check(" {\n \"stream\" : false ,\t\"model\"\r: \"b\" } ", [Some("\"b\""), Some("false")]);
        check(r#"{"messages":[{"model":"no","x":"]}\""}],"model":"yes"}"#, [Some("\"yes\""), None]);
        check(r#"{"model":"a","model":"b"}"#, [Some("\"b\""), None]);
        check(r#"{"mod\u0065l":"a"}"#, [Some("\"a\""), None]);
        check(r#"{"x":"\\","model":1.5e3}"#, [Some("1.5e3"), None]);
        check(r#"{"model":{"a":[]}}"#, [Some(r#"{"a":[]}"#), None]);
    }

    #[test]
    fn what_is_no_object_gives_nothing() {
        for text in
            ["", "[]", "null", "{", "{}", "{\"model\"", "{\"model\":", "{\"model\":\"a", "{\"a\":[", "x{\"model\":1}"]
        {
            check(text, [None, None]);
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_it_and_objects_are_read_as_by_everyone(
            text in ".{0,60}",
            members in proptest::collection::vec(("model|stream|[a-z\"\\\\]{0,4}", "[ -~]{0,12}", any::<bool>()), 0..6),
        ) {
            peek(text.as_bytes(), [b"model"]);
            let object: serde_json::Map<_, _> = members
                .into_iter()
                .map(|(name, value, nested)| {
                    let value = serde_json::Value::from(value);
                    (name, if nested { serde_json::json!([{ "model": value }]) } else { value })
                })
                .collect();
            let text = serde_json::Value::from(object).to_string();
            let [model, stream] = peek(text.as_bytes(), [b"model", b"stream"]);
            let expected = super::super::top_level(text.as_bytes(), &["model", "stream"]).unwrap();
            prop_assert_eq!(&[model, stream][..], &expected[..]);
        }
    }
}
