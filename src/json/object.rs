//! Members of a JSON object by name: read, replaced, added, removed.

use std::ops::Range;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{insert_before_end, position, quoted, splice, trimmed_end};

/// The raw values of the wanted members, in the order of `wanted`. Of a repeated member the last counts.
/// `None`: the text is not one JSON object.
pub(crate) fn top_level<'a>(text: &'a [u8], wanted: &[&str]) -> Option<Vec<Option<&'a [u8]>>> {
    let mut values = vec![None; wanted.len()];
    for (name, value) in occurrences(text, wanted)? {
        values[name] = Some(value);
    }
    Some(values)
}

/// All members in their order: names, unescaped, and raw values. `None`: the text is not one JSON object.
pub(crate) fn members(text: &[u8]) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let all = reader.deserialize_map(AllMembers).ok()?;
    reader.end().ok()?;
    Some(all)
}

/// The text with each `(name, JSON text)` set: every member of that name gets the value, a missing one is added at the
/// end. All other bytes stay as they are. `None`: the text is not one JSON object.
pub(crate) fn edit(text: &[u8], changes: &[(&str, &str)]) -> Option<Vec<u8>> {
    let names: Vec<&str> = changes.iter().map(|&(name, _)| name).collect();
    let found = occurrences(text, &names)?;
    let replacements: Vec<_> = found.iter().map(|&(name, value)| (position(text, value), changes[name].1)).collect();
    let mut edited = splice(text, &replacements);
    for (index, (name, value)) in changes.iter().enumerate() {
        let is_set_again = names[index + 1..].contains(name);
        if !is_set_again && !found.iter().any(|&(name, _)| name == index) {
            insert_before_end(&mut edited, &format!("{}:{value}", quoted(name)));
        }
    }
    Some(edited)
}

/// The text without the members of this name, and without the commas that belonged to them.
/// `None`: the text is not one JSON object.
pub(crate) fn remove(text: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut shorter = text.to_vec();
    while let Some(&(_, value)) = occurrences(&shorter, &[name])?.last() {
        let place = member_with_comma(&shorter, position(&shorter, value));
        shorter.drain(place);
    }
    Some(shorter)
}

/// Each occurrence of a wanted member, in the order of the text: its index in `wanted`, and its raw value.
fn occurrences<'a>(text: &'a [u8], wanted: &[&str]) -> Option<Vec<(usize, &'a [u8])>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = reader.deserialize_map(Members { wanted }).ok()?;
    reader.end().ok()?;
    Some(found)
}

/// From the value of a member, the range of all that goes when the member goes.
fn member_with_comma(text: &[u8], value: Range<usize>) -> Range<usize> {
    let before_colon = trimmed_end(&text[..value.start]) - 1;
    let closing_quote = trimmed_end(&text[..before_colon]) - 1;
    // Inside a name every quote has a backslash before it; before the opening one stands a comma, a brace or white space.
    let opening_quote = (1..closing_quote).rev().find(|&at| text[at] == b'"' && text[at - 1] != b'\\');
    let start = opening_quote.unwrap_or(0);
    let after = value.end + text[value.end..].iter().take_while(|&&byte| super::is_white_space(byte)).count();
    if text.get(after) == Some(&b',') {
        return start..after + 1;
    }
    let before = trimmed_end(&text[..start]);
    match text[..before].last() {
        Some(b',') => before - 1..value.end,
        _ => start..value.end,
    }
}

struct AllMembers;

impl<'de> Visitor<'de> for AllMembers {
    type Value = Vec<(Vec<u8>, &'de [u8])>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = members.next_key_seed(NameInBytes)? {
            all.push((name, members.next_value::<&RawValue>()?.get().as_bytes()));
        }
        Ok(all)
    }
}

struct NameInBytes;

impl<'de> serde::de::DeserializeSeed<'de> for NameInBytes {
    type Value = Vec<u8>;

    fn deserialize<D: serde::Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_bytes(self)
    }
}

impl Visitor<'_> for NameInBytes {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(name.to_vec())
    }
}

struct Members<'w> {
    wanted: &'w [&'w str],
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<(usize, &'de [u8])>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(name) = members.next_key_seed(NameAmong { wanted: self.wanted })? {
            match name {
                Some(name) => found.push((name, members.next_value::<&RawValue>()?.get().as_bytes())),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads a member's name as bytes, because as text a name with half a surrogate pair would be an error.
struct NameAmong<'w> {
    wanted: &'w [&'w str],
}

impl<'de> serde::de::DeserializeSeed<'de> for NameAmong<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_bytes(self)
    }
}

impl Visitor<'_> for NameAmong<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        // Of two changes of one member the later counts.
        Ok(self.wanted.iter().rposition(|wanted| wanted.as_bytes() == name))
    }
}
