//! PUT /api/keys/{id}/notes: a remark of the operator beside a key.

use super::Api;
use crate::api::{
    answer::Answer,
    body::{Body, Fields, FromFields, Misread},
    document::{
        Shape,
        shape::{or_null, text_up_to},
    },
    path::KeyInPath,
    refusal::Refusal,
};

pub(super) const NOTES_CHARACTERS_MAX: usize = 255;

pub(in crate::api) struct Notes(String);

impl FromFields for Notes {
    /// `null` clears the notes; a forgotten field must not.
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        if fields.raw("notes").is_none() {
            return Err(Misread::of("notes", "is required"));
        }
        Ok(Self(fields.text("notes")?.unwrap_or_default().trim().to_owned()))
    }

    fn shape() -> Shape {
        let notes = or_null(text_up_to(NOTES_CHARACTERS_MAX));
        Shape::default().needed("notes", notes, "The remark; an empty text or null clears it")
    }
}

pub(in crate::api) async fn set_notes(
    api: Api,
    KeyInPath(id): KeyInPath,
    Body(Notes(notes)): Body<Notes>,
) -> Result<Answer, Refusal> {
    check_notes(&notes)?;
    if !api.key_pools.set_notes(id, &notes).await? {
        return Err(Refusal::not_found());
    }
    Ok(Answer::saying("common.success"))
}

pub(super) fn check_notes(notes: &str) -> Result<(), Refusal> {
    if notes.chars().count() > NOTES_CHARACTERS_MAX {
        let limit = NOTES_CHARACTERS_MAX.to_string();
        return Err(Refusal::invalid(("validation.notes_too_long", [("limit", limit)])));
    }
    Ok(())
}
