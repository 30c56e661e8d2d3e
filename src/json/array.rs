//! Elements of a JSON array: listed and appended.

use serde_json::value::RawValue;

use super::insert_before_end;

/// The raw elements; `None` if the text is not one JSON array.
pub(crate) fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
    Some(elements.into_iter().map(|element| element.get().as_bytes()).collect())
}

/// The array with further elements, given as JSON text, at its end. `text` must be one JSON array.
pub(crate) fn append<'a>(text: &[u8], additions: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut longer = text.to_vec();
    for addition in additions {
        insert_before_end(&mut longer, addition);
    }
    longer
}
