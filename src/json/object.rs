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

/// The text with each `(name, JSON text)` set: the member of that name gets the value, a missing one is added at the end.
/// Of a repeated member only the last stays, so that no reader takes another one, and so that a text of nothing but
/// repetitions does not grow with each of them. All other bytes stay as they are. `None`: the text is not one JSON object.
pub(crate) fn edit(text: &[u8], changes: &[(&str, &str)]) -> Option<Vec<u8>> {
    let names: Vec<&str> = changes.iter().map(|&(name, _)| name).collect();
    let found = occurrences(text, &names)?;
    let mut is_set = vec![false; changes.len()];
    let mut replacements: Vec<(Range<usize>, &str)> = Vec::with_capacity(found.len());
    for &(name, value) in found.iter().rev() {
        let place = position(text, value);
        if std::mem::replace(&mut is_set[name], true) {
            replacements.push((member_with_next_comma(text, place), ""));
        } else {
            replacements.push((place, changes[name].1));
        }
    }
    replacements.reverse();
    let mut edited = splice(text, &replacements);
    for (index, (name, value)) in changes.iter().enumerate() {
        let is_set_again = names[index + 1..].contains(name);
        if !is_set_again && !is_set[index] {
            insert_before_end(&mut edited, &format!("{}:{value}", quoted(name)));
        }
    }
    Some(edited)
}

/// The text without the members of this name, and without the commas that belonged to them.
/// `None`: the text is not one JSON object.
pub(crate) fn remove(text: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut gaps: Vec<(Range<usize>, &str)> = Vec::new();
    for (_, value) in occurrences(text, &[name])? {
        let mut gap = member_with_next_comma(text, position(text, value));
        if text[gap.end - 1] != b',' {
            // The last member of the object: the comma before it goes, unless it went with its own member.
            while let Some((before, _)) = gaps.pop_if(|(before, _)| is_blank(&text[before.end..gap.start])) {
                gap.start = before.start;
            }
            let before = trimmed_end(&text[..gap.start]);
            if text[..before].ends_with(b",") {
                gap.start = before - 1;
            }
        }
        gaps.push((gap, ""));
    }
    Some(splice(text, &gaps))
}

/// Each occurrence of a wanted member, in the order of the text: its index in `wanted`, and its raw value.
fn occurrences<'a>(text: &'a [u8], wanted: &[&str]) -> Option<Vec<(usize, &'a [u8])>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = reader.deserialize_map(Members { wanted }).ok()?;
    reader.end().ok()?;
    Some(found)
}

/// From the value of a member, the range from its name to the comma behind it; to its value where no comma follows.
fn member_with_next_comma(text: &[u8], value: Range<usize>) -> Range<usize> {
    let before_colon = trimmed_end(&text[..value.start]) - 1;
    let closing_quote = trimmed_end(&text[..before_colon]) - 1;
    // Inside a name every quote has a backslash before it; before the opening one stands a comma, a brace or white space.
    let opening_quote = (1..closing_quote).rev().find(|&at| text[at] == b'"' && text[at - 1] != b'\\');
    let start = opening_quote.unwrap_or(0);
    let after = value.end + text[value.end..].iter().take_while(|&&byte| super::is_white_space(byte)).count();
    if text.get(after) == Some(&b',') { start..after + 1 } else { start..value.end }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|&byte| super::is_white_space(byte))
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
