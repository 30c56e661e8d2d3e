//! What an error body says: its message, and the codes that machines are meant to read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 2048;
/// Deeper values are not looked at, so that a body cannot exhaust the stack.
const DEPTH_MAX: usize = 8;
/// Most texts that are kept of one body.
const TEXTS_MAX: usize = 64;

/// The message for people in an error body, or the body itself. The body may be the beginning of a longer one.
pub(crate) fn parsed_message(body: &[u8]) -> String {
    match message(&Texts::of(body)) {
        Some(message) => cut(message).to_owned(),
        None => cut(&String::from_utf8_lossy(&body[..body.len().min(MESSAGE_BYTES_MAX + 4)])).to_owned(),
    }
}

/// A text of at most [`MESSAGE_BYTES_MAX`] bytes, ended between two characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

fn message(texts: &Texts) -> Option<&str> {
    ["error.message", "error_msg", "error", "message"]
        .into_iter()
        .filter_map(|path| texts.at(path))
        .map(str::trim)
        .find(|text| !text.is_empty())
}

/// An error body as rules read it: everything in lower case.
pub(super) struct Told {
    pub(super) message: String,
    /// Codes, types and reasons; never a text that may repeat what the client sent.
    codes: Vec<String>,
    /// Ids of exhausted quotas, and how long to wait, as Google's error details give them.
    pub(super) quotas: Vec<String>,
    pub(super) retry_delay: Option<String>,
    pub(super) is_html: bool,
}

impl Told {
    pub(super) fn by(body: &[u8]) -> Self {
        // Gemini's dialect of OpenAI's format puts the error into an array.
        let mut texts = Texts::of(body);
        for (path, _) in &mut texts.found {
            if let Some(path_of_element) = path.strip_prefix("[].") {
                *path = path_of_element.to_owned();
            }
        }
        let all = |wanted: &[&str]| -> Vec<String> {
            let is_wanted = |path: &String| wanted.contains(&path.as_str());
            texts.found.iter().filter(|(path, _)| is_wanted(path)).map(|(_, text)| text.to_lowercase()).collect()
        };
        let fallback = || String::from_utf8_lossy(&body[..body.len().min(MESSAGE_BYTES_MAX)]).trim().to_owned();
        let message = message(&texts).map_or_else(fallback, |message| cut(message).to_owned()).to_lowercase();
        Self {
            is_html: message.starts_with('<'),
            message,
            codes: all(&[
                "error.code",
                "error.type",
                "error.status",
                "error.details[].reason",
                "error.error_code",
                "code",
                "type",
                "status",
                "error_code",
            ]),
            quotas: all(&["error.details[].violations[].quotaid"]),
            retry_delay: all(&["error.details[].retrydelay"]).pop(),
        }
    }

    pub(super) fn has_code(&self, wanted: &[&str]) -> bool {
        self.codes.iter().any(|code| wanted.contains(&code.as_str()))
    }

    pub(super) fn starts_with(&self, wanted: &[&str]) -> bool {
        wanted.iter().any(|beginning| self.message.starts_with(beginning))
    }

    pub(super) fn contains(&self, wanted: &[&str]) -> bool {
        wanted.iter().any(|part| self.message.contains(part))
    }
}

/// The strings of a JSON text with the names that lead to them, in lower case, as in `error.details[].reason`. Those
/// before a syntax error, or before the end of a text that was cut off, are there too.
struct Texts {
    found: Vec<(String, String)>,
}

impl Texts {
    fn of(body: &[u8]) -> Self {
        let mut texts = Self { found: Vec::new() };
        let mut reader = serde_json::Deserializer::from_slice(body);
        // An error only ends the search.
        drop(Walk { texts: &mut texts, path: String::new(), depth: 0 }.deserialize(&mut reader));
        texts
    }

    /// Of a repeated member the last counts.
    fn at(&self, path: &str) -> Option<&str> {
        self.found.iter().rfind(|(found, _)| found == path).map(|(_, text)| text.as_str())
    }
}

struct Walk<'t> {
    texts: &'t mut Texts,
    path: String,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if self.depth > DEPTH_MAX || self.texts.found.len() >= TEXTS_MAX {
            return value.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.texts.found.push((self.path, text.to_owned()));
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    // Any other number comes as an object of one private member, which no rule looks for.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{}", self.path, name.to_lowercase());
            members.next_value_seed(Walk { texts: &mut *self.texts, path, depth: self.depth + 1 })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let path = format!("{}[]", self.path);
        let depth = self.depth + 1;
        while elements.next_element_seed(Walk { texts: &mut *self.texts, path: path.clone(), depth })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_found_in_every_form() {
        let check = |body: &str, expected: &str| assert_eq!(parsed_message(body.as_bytes()), expected, "{body}");
        check(r#"{"error":{"message":" Rate limit ","code":429}}"#, "Rate limit");
        check(r#"{"error_msg":"quota","error_code":17}"#, "quota");
        check(r#"{"error":"bad key"}"#, "bad key");
        check(r#"{"error":{"code":1},"message":"top"}"#, "top");
        check(r#"{"Error":{"MESSAGE":"any case","x":[null,true,1.5e9,{}]}}"#, "any case");
        check(r#"{"error":{"message":" "},"error_msg":3,"message":"next"}"#, "next");
        check(r#"{"error":{"message":"a"},"error":{"message":"b"}}"#, "b");
        check(r#"[{"error":{"message":"x"}}]"#, r#"[{"error":{"message":"x"}}]"#);
        check(r#"{"error":[{"message":"x"}]}"#, r#"{"error":[{"message":"x"}]}"#);
        check("<html>502</html>", "<html>502</html>");
        check(" not trimmed ", " not trimmed ");
        check("", "");
    }

    #[test]
    fn the_message_is_cut_between_two_characters() {
        let long = "é".repeat(2000);
        let expected = "é".repeat(1024);
        assert_eq!(parsed_message(format!("{{\"message\":\"{long}\"}}").as_bytes()), expected);
        assert_eq!(parsed_message(long.as_bytes()), expected);
        let shifted = parsed_message(format!("a{long}").as_bytes());
        assert_eq!((shifted.len(), shifted.ends_with('é')), (2047, true));
    }

    #[test]
    fn the_beginning_of_a_body_is_enough() {
        assert_eq!(parsed_message(br#"{"error":{"message":"found","param":"cut of"#), "found");
        assert_eq!(parsed_message(br#"{"error":{"message":"cut of"#), r#"{"error":{"message":"cut of"#);
        let deep = format!(r#"{{"message":"found","x":{}"#, "[".repeat(1_000_000));
        assert_eq!(parsed_message(deep.as_bytes()), "found");
    }

    #[test]
    fn codes_are_those_of_the_error_itself() {
        let told = Told::by(br#"[{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"},{"retryDelay":"3.5s"},{"violations":[{"quotaId":"A-PerDay"}]}]}}]"#);
        assert_eq!(told.message, "api key not valid.");
        assert!(told.has_code(&["api_key_invalid"]) && told.has_code(&["invalid_argument"]));
        assert_eq!((told.retry_delay.as_deref(), &*told.quotas), (Some("3.5s"), &["a-perday".to_owned()][..]));
        assert!(!Told::by(br#"{"input":{"code":"invalid_api_key"},"message":"x"}"#).has_code(&["invalid_api_key"]));
        assert!(Told::by(b"\n<!DOCTYPE html>").is_html);
    }
}
