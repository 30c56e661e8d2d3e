//! Text fields of a `multipart/form-data` body (RFC 7578), found by position so that one can be replaced in place.

use std::{borrow::Cow, ops::Range};

use memchr::memmem;

use crate::json;

/// Longest head of one part, in bytes; a body with a longer one is not understood.
const PART_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most parts that are looked at; a body with more is not understood.
const PARTS_MAX: usize = 1_000;

/// Where the values of one text field lie in a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) values: Vec<Range<usize>>,
    /// The whole form was understood, up to its closing delimiter: there is no other value.
    pub(crate) is_complete: bool,
}

/// The boundary, if the content type is that of a form.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut boundaries = self::parameters(parameters)?.into_iter().filter(|(name, _)| name == "boundary");
    let (_, boundary) = boundaries.next()?;
    // Of two, nobody knows which one another reader takes.
    (!boundary.is_empty() && boundaries.next().is_none()).then_some(boundary)
}

/// All values of the text field `name`. The body may be the beginning of a longer one.
pub(crate) fn text_fields(body: &[u8], boundary: &str, name: &str) -> Fields {
    let mut fields = Fields { values: Vec::new(), is_complete: false };
    let mut delimiters = Delimiters { body, dashed: format!("--{boundary}"), position: 0 };
    let mut part_start = None;
    for _ in 0..PARTS_MAX {
        let Some(delimiter) = delimiters.next() else { return fields };
        if let Some(start) = part_start {
            // Two delimiters in a row share their line break, so that the second begins before the first ends.
            let part = body.get(start..delimiter.before).unwrap_or_default();
            let Some((head, content)) = split_head(part) else { return fields };
            if is_text_field(&head, name) {
                fields.values.push(start + content..delimiter.before);
            }
        }
        fields.is_complete = delimiter.after.is_none();
        if fields.is_complete {
            return fields;
        }
        part_start = delimiter.after;
    }
    fields
}

/// Whether every reader of forms must find the same fields in this one: nothing stands before its first part or behind
/// its last, its lines end alike, and no part is named twice, in an extended form, or in an encoding of its own.
pub(crate) fn is_unambiguous(body: &[u8], boundary: &str) -> bool {
    let dashed = format!("--{boundary}");
    if !body.starts_with(dashed.as_bytes()) {
        return false;
    }
    let mut part_start = None;
    for at in memmem::find_iter(body, dashed.as_bytes()) {
        let behind = &body[at + dashed.len()..];
        if let Some(start) = part_start {
            let Some(part) = body.get(start..at).and_then(|part| part.strip_suffix(b"\r\n")) else { return false };
            if !has_plain_head(part) {
                return false;
            }
        }
        if let Some(end) = behind.strip_prefix(b"--") {
            return part_start.is_some() && end.iter().all(u8::is_ascii_whitespace);
        }
        if !behind.starts_with(b"\r\n") {
            return false;
        }
        part_start = Some(at + dashed.len() + 2);
    }
    false
}

fn has_plain_head(part: &[u8]) -> bool {
    let Some(end) = memmem::find(part, b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&part[..end]);
    let mut dispositions = 0;
    let is_plain = head.split("\r\n").all(|line| {
        let Some((header, value)) = line.split_once(':') else { return false };
        // A line that begins with a blank continues the one before.
        if header.is_empty() || header.contains(char::is_whitespace) || value.contains(['\r', '\n', '\0']) {
            return false;
        }
        match header.to_ascii_lowercase().as_str() {
            "content-disposition" => {
                dispositions += 1;
                has_plain_parameters(value)
            }
            "content-transfer-encoding" => matches!(value.trim(), "7bit" | "8bit" | "binary"),
            _ => true,
        }
    });
    is_plain && dispositions == 1
}

fn has_plain_parameters(disposition: &str) -> bool {
    let Some((kind, rest)) = disposition.split_once(';') else { return false };
    let Some(all) = parameters(rest) else { return false };
    let count = |wanted: &str| all.iter().filter(|(name, _)| name == wanted).count();
    kind.trim().eq_ignore_ascii_case("form-data")
        && count("name") == 1
        && count("filename") <= 1
        && count("filename*") <= 1
        && !all.iter().any(|(name, _)| name.starts_with("name*"))
}

/// The body with the value at each of these places, in order, replaced.
pub(crate) fn replace(body: &[u8], values: &[Range<usize>], replacement: &[u8]) -> Vec<u8> {
    let changes: Vec<_> = values.iter().map(|place| (place.clone(), replacement)).collect();
    json::splice(body, &changes)
}

/// The lines between parts, one after another.
struct Delimiters<'a> {
    body: &'a [u8],
    /// Two dashes and the boundary.
    dashed: String,
    position: usize,
}

struct Delimiter {
    /// End of the part before: the line break in front of the delimiter belongs to the delimiter.
    before: usize,
    /// Start of the part behind; `None` if this delimiter closes the form.
    after: Option<usize>,
}

impl Delimiters<'_> {
    fn next(&mut self) -> Option<Delimiter> {
        loop {
            let start = self.position + memmem::find(&self.body[self.position..], self.dashed.as_bytes())?;
            self.position = start + self.dashed.len();
            let Some(before) = line_break_before(self.body, start) else { continue };
            let rest = &self.body[self.position..];
            if rest.starts_with(b"--") {
                return Some(Delimiter { before, after: None });
            }
            let padding = rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
            let line_break = match &rest[padding..] {
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                // A longer boundary that begins with ours, or the end of what we have.
                _ => continue,
            };
            let after = self.position + padding + line_break;
            self.position = after;
            return Some(Delimiter { before, after: Some(after) });
        }
    }
}

/// Where the line before `start` ends; `None` if `start` is not at the beginning of a line.
fn line_break_before(body: &[u8], start: usize) -> Option<usize> {
    match &body[..start] {
        [] => Some(0),
        [.., b'\r', b'\n'] => Some(start - 2),
        [.., b'\n'] => Some(start - 1),
        _ => None,
    }
}

/// The head of a part and the offset of its content.
fn split_head(part: &[u8]) -> Option<(Cow<'_, str>, usize)> {
    let visible = &part[..part.len().min(PART_HEAD_BYTES_MAX)];
    let mut start = 0;
    loop {
        let line_end = start + memchr::memchr(b'\n', &visible[start..])?;
        if matches!(&visible[start..line_end], [] | [b'\r']) {
            return Some((String::from_utf8_lossy(&visible[..start]), line_end + 1));
        }
        start = line_end + 1;
    }
}

fn is_text_field(head: &str, name: &str) -> bool {
    head.lines().any(|line| {
        let Some((header, value)) = line.split_once(':') else { return false };
        let Some((kind, parameters)) = value.split_once(';') else { return false };
        let Some(parameters) = self::parameters(parameters) else { return false };
        let has = |wanted: &str, is_right: &dyn Fn(&str) -> bool| {
            parameters.iter().any(|(found, value)| found == wanted && is_right(value))
        };
        header.trim().eq_ignore_ascii_case("content-disposition")
            && kind.trim().eq_ignore_ascii_case("form-data")
            && has("name", &|value| value == name)
            // Some readers take an empty file name for none.
            && !has("filename", &|value| !value.is_empty())
            && !has("filename*", &|_| true)
    })
}

/// The parameters of a header value, from `a=b; c="d"`, with their names in lower case. `None`: a quote is not closed.
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, behind) = if let Some(quoted) = after.strip_prefix('"') {
            quoted_text(quoted)?
        } else {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        // Parameters without a value may stand before this one.
        let name = name.rsplit(';').next().unwrap_or_default();
        all.push((name.trim().to_ascii_lowercase(), value));
        rest = behind;
    }
    Some(all)
}

/// The text up to the closing quote, and what follows it. Browsers write a quote as `%22`, mail programs as `\"`.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.replace("%22", "\""), &text[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(name: &str, content: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    }

    fn found<'a>(body: &'a str, name: &str) -> (Vec<&'a str>, bool) {
        let fields = text_fields(body.as_bytes(), "x", name);
        (fields.values.iter().map(|range| &body[range.clone()]).collect(), fields.is_complete)
    }

    #[test]
    fn the_boundary_is_read_from_the_content_type() {
        let check = |content_type: &str, expected: Option<&str>| {
            assert_eq!(boundary(content_type).as_deref(), expected, "{content_type}");
        };
        check("multipart/form-data; boundary=abc", Some("abc"));
        check("Multipart/Form-Data;charset=utf-8;Boundary=\"a b;c\" ; x=y", Some("a b;c"));
        check("multipart/form-data; boundary=a=b", Some("a=b"));
        check("multipart/form-data; boundary=", None);
        check("multipart/form-data; boundary=\"a", None);
        check("multipart/form-data", None);
        check("multipart/mixed; boundary=abc", None);
        check("application/json", None);
    }

    #[test]
    fn a_text_field_is_found_among_files() {
        let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a; name=model.wav\"\r\nContent-Type: \
                    audio/wav\r\n\r\n--x is no delimiter here\r\n--xy neither\r\n";
        let body = format!("{file}{}{}--x--\r\n", part("model", "whisper-1"), part("model_name", "no"));
        assert_eq!(found(&body, "model"), (vec!["whisper-1"], true));
        assert_eq!(found(&body, "file"), (vec![], true));
    }

    #[test]
    fn forms_are_read_tolerantly() {
        let check = |body: &str, expected: &str| assert_eq!(found(body, "model"), (vec![expected], true), "{body}");
        check("--x\nContent-Disposition: form-data; name=model\n\na\n--x--", "a");
        check("preamble\r\n--x \t\r\ncontent-disposition:form-data;NAME=\"model\"\r\n\r\na\r\n--x--", "a");
        check(
            "--x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\nb\r\n--x--",
            "a\r\nb",
        );
        check("--x\r\nContent-Disposition: form-data; x; name=\"model\"\r\n\r\na\r\n--x--", "a");
        check("--x\r\n\r\nno name\r\n--x\r\nContent-Disposition: form-data; name=\"mod\\el\"\r\n\r\n\r\n--x--", "");
    }

    #[test]
    fn only_a_plain_form_is_unambiguous() {
        let model = part("model", "a");
        let check = |body: &str, expected: bool| assert_eq!(is_unambiguous(body.as_bytes(), "x"), expected, "{body}");
        check(&format!("{model}--x--\r\n"), true);
        check(
            &format!("{model}{}--x--", part("file\"; filename=\"b; name=c\"; filename*=\"utf-8''b", "--y\r\n\n-")),
            true,
        );
        for body in ["", "--x--", "--x\r\n--x--", &model, &format!("\r\n{model}--x--"), &format!("{model}--x--a")] {
            check(body, false);
        }
        check(&format!("{}--x--", model.replace("\r\n", "\n")), false);
        check(&format!("{model}{}--x--", part("n", "a --x b")), false);
        check(&format!("{}--x--", model.replace("form-data;", "form-data;\r\n")), false);
        check(&format!("{}--x--", model.replace("name=", "name*=")), false);
        check(&format!("{}--x--", model.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n")), false);
    }

    #[test]
    fn every_value_is_found() {
        let body = format!("{}{}{}--x--\r\n", part("model", "a"), part("n", "1"), part("model", "bc"));
        assert_eq!(found(&body, "model"), (vec!["a", "bc"], true));
    }

    #[test]
    fn what_was_not_seen_to_its_end_is_not_complete() {
        assert_eq!(found(&part("model", "a"), "model"), (vec![], false));
        assert_eq!(found(&format!("{}--x\r\nContent-Disp", part("model", "a")), "model"), (vec!["a"], false));
        assert_eq!(found("", "model"), (vec![], false));
        assert_eq!(found("--x\r\n--x--", "model"), (vec![], false));
        let long_head = format!("--x\r\nA: {}\r\n\r\na\r\n--x--", "a".repeat(PART_HEAD_BYTES_MAX));
        assert_eq!(found(&long_head, "model"), (vec![], false));
        let many = format!("{}--x--", part("model", "a").repeat(PARTS_MAX + 1));
        assert!(!found(&many, "model").1);
    }

    proptest! {
        #[test]
        fn any_form_keeps_all_but_the_replaced_value(
            contents in prop::collection::vec((prop::sample::select(vec!["model", "file", "n"]), "[a\r\n-]{0,12}"), 0..6),
            value in "[a-z]{0,8}",
        ) {
            let form = |value_of_model: Option<&str>| {
                let parts: String = contents.iter().map(|(name, content)| {
                    part(name, value_of_model.filter(|_| *name == "model").unwrap_or(content))
                }).collect();
                format!("{parts}--x--\r\n")
            };
            let body = form(None);
            let fields = text_fields(body.as_bytes(), "x", "model");
            prop_assert!(fields.is_complete);
            let replaced = replace(body.as_bytes(), &fields.values, value.as_bytes());
            prop_assert_eq!(String::from_utf8(replaced).unwrap(), form(Some(&value)));
        }

        #[test]
        fn nothing_makes_the_reader_panic(body in "(--x|\r\n|\n|--|a|:|;|name=|\"model\"|content-disposition|form-data){0,40}") {
            for range in text_fields(body.as_bytes(), "x", "model").values {
                prop_assert!(range.start <= range.end && range.end <= body.len());
            }
            if is_unambiguous(body.as_bytes(), "x") {
                prop_assert!(text_fields(body.as_bytes(), "x", "model").is_complete);
            }
        }
    }
}
