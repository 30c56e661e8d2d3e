//! JSON text that is read and edited in place: whatever a change does not name keeps its bytes.
//!
//! A tree that is parsed and written again changes key order, number spelling, escapes and white space, and with them
//! what a model answers and what a prompt cache remembers. So a value is found by its position and its bytes are
//! replaced. Nothing here recurses: a body may nest as deep as it likes.

use std::ops::Range;

mod array;
mod merge_patch;
mod object;
mod peek;

pub(crate) use array::{append, elements};
pub(crate) use merge_patch::merge_patch;
pub(crate) use object::{edit, members, remove, top_level};
pub(crate) use peek::peek;

/// The text that a JSON string stands for; `None` if this is not one string, or one with half a surrogate pair.
pub(crate) fn string(value: &[u8]) -> Option<String> {
    serde_json::from_slice(value).ok()
}

/// A text as a JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text with each range replaced; the ranges are in order and do not overlap.
pub(crate) fn splice<T: AsRef<[u8]>>(text: &[u8], changes: &[(Range<usize>, T)]) -> Vec<u8> {
    let growth: usize = changes.iter().map(|(_, replacement)| replacement.as_ref().len()).sum();
    let mut spliced = Vec::with_capacity(text.len() + growth);
    let mut copied = 0;
    for (range, replacement) in changes {
        spliced.extend_from_slice(&text[copied..range.start]);
        spliced.extend_from_slice(replacement.as_ref());
        copied = range.end;
    }
    spliced.extend_from_slice(&text[copied..]);
    spliced
}

/// Where `part` lies in `whole`. It must be a slice of it.
pub(crate) fn position(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The end of `text` once white space at its end is left out.
fn trimmed_end(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| !is_white_space(byte)).map_or(0, |last| last + 1)
}

/// Puts `addition` before the closing bracket of an object or an array, behind a comma if there is something before it.
fn insert_before_end(text: &mut Vec<u8>, addition: &str) {
    let Some(closing_bracket) = trimmed_end(text).checked_sub(1) else { return };
    let end = trimmed_end(&text[..closing_bracket]);
    let is_empty = matches!(text[..end].last(), Some(b'{' | b'['));
    let comma = if is_empty { "" } else { "," };
    text.splice(end..end, comma.bytes().chain(addition.bytes()));
}

#[cfg(test)]
mod tests;
