//! Elements of a JSON array: listed, changed and appended.

use serde_json::value::RawValue;

use super::{insert_before_end, position, splice};

/// The raw elements; `None` if the text is not one JSON array.
pub(crate) fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
    Some(elements.into_iter().map(|element| element.get().as_bytes()).collect())
}

/// The array with those elements replaced for which `change` has something else; all other bytes stay as they are.
/// `None`: the text is not one JSON array.
pub(crate) fn edit_elements<E>(
    text: &[u8],
    mut change: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let Some(elements) = elements(text) else { return Ok(None) };
    let mut changes = Vec::new();
    for element in elements {
        if let Some(changed) = change(element)? {
            changes.push((position(text, element), changed));
        }
    }
    Ok(Some(splice(text, &changes)))
}

/// The array with further elements, given as JSON text, at its end. `text` must be one JSON array.
pub(crate) fn append<'a>(text: &[u8], additions: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut longer = text.to_vec();
    for addition in additions {
        insert_before_end(&mut longer, addition);
    }
    longer
}
