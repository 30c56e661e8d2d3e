//! Keys of a group: what is asked for in most calls, and how a key is shown.

mod add;
mod bulk;
mod clear;
mod delete;
mod delete_many;
mod export;
mod import;
mod list;
mod notes;
mod preview;
mod read;
mod restore;
mod reveal;
mod shown;
mod test;
mod test_one;
mod upload;
mod validate;

use std::sync::Arc;

use super::{
    Api,
    body::{Fields, FromFields, LONG_BODY_BYTES, Limits, Misread},
    document::{
        Shape,
        shape::{flag, id, like, some_text},
    },
    refusal::Refusal,
};
use crate::{
    crypto::Secret,
    group::{self, Group, GroupId},
    keypool::{KEYS_PER_CALL_MAX, KEYS_PER_TASK_MAX, KeysTextError, parse_keys, parse_new_keys},
};

pub(super) use self::{
    add::add,
    bulk::bulk,
    clear::{clear_all, clear_all_invalid},
    delete::delete,
    delete_many::delete_many,
    export::export,
    import::{Imported, import},
    list::list,
    notes::set_notes,
    preview::preview,
    read::read,
    restore::{restore, restore_all_invalid},
    reveal::reveal,
    test::test,
    test_one::test_one,
    upload::{KeysToDelete, KeysToImport, KeysToPreview},
    validate::validate,
};

/// A longer text cannot be one key: no server takes so long a header.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// `{"group_id": 1, "keys_text": "sk-1 sk-2"}`
pub(super) struct KeyTexts {
    group_id: GroupId,
    keys_text: String,
}

impl FromFields for KeyTexts {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { group_id: fields.needed_id("group_id")?, keys_text: fields.needed_text("keys_text")? })
    }

    fn shape() -> Shape {
        Shape::default().needed("group_id", id(), "The group").needed(
            "keys_text",
            like(some_text(), "sk-1 sk-2"),
            "Keys separated by white space, commas or semicolons, or the text of a JSON list of them; 5000 at most",
        )
    }
}

impl KeyTexts {
    /// The group must exist before its keys are looked at.
    async fn group(&self, api: &Api) -> Result<group::Record, Refusal> {
        let group = group::queries::find(api.database.readers(), self.group_id).await?;
        if self.keys_text.trim().is_empty() {
            return Err(Refusal::invalid("validation.keys_text_empty"));
        }
        Ok(group)
    }

    async fn parse_new(self) -> Result<Vec<Secret>, Refusal> {
        parse(self.keys_text, |text| parse_new_keys(text, KEYS_PER_CALL_MAX)).await
    }

    /// The keys that are meant among those of the group. A stored key may contain a separator; shown as it is and sent
    /// back, it is one key and not several.
    async fn parse_stored(self, api: &Api) -> Result<Vec<Secret>, Refusal> {
        match self.as_one_key(api).await? {
            Some(whole) => Ok(vec![whole]),
            None => parse(self.keys_text, |text| parse_keys(text, KEYS_PER_CALL_MAX)).await,
        }
    }

    /// The whole text, where a key of the group is exactly that.
    async fn as_one_key(&self, api: &Api) -> Result<Option<Secret>, Refusal> {
        let text = self.keys_text.trim();
        if text.len() > KEY_BYTES_MAX {
            return Ok(None);
        }
        let whole = Secret::new(text);
        Ok(api.key_pools.contains(self.group_id, &whole).await?.then_some(whole))
    }
}

/// The same for a task, with room for two million keys.
pub(super) struct ManyKeyTexts(KeyTexts);

impl FromFields for ManyKeyTexts {
    const LIMITS: Limits = Limits::IMPORT;

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        KeyTexts::from_fields(fields).map(Self)
    }

    fn shape() -> Shape {
        let texts = "Keys separated by white space, commas or semicolons, or the text of a JSON list of them";
        Shape::default().needed("group_id", id(), "The group").needed(
            "keys_text",
            like(some_text(), "sk-1 sk-2"),
            texts,
        )
    }
}

/// Keys that a task adds, and perhaps tests.
pub(super) struct ImportTexts {
    texts: KeyTexts,
    is_validated: bool,
}

impl FromFields for ImportTexts {
    const LIMITS: Limits = Limits::IMPORT;

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let is_validated = fields.flag("validate")?.unwrap_or_default();
        Ok(Self { texts: KeyTexts::from_fields(fields)?, is_validated })
    }

    fn shape() -> Shape {
        let validate = "Whether the new keys are tested afterwards, in the same task";
        ManyKeyTexts::shape().optional("validate", flag(), validate)
    }
}

/// Keys that are only looked at, perhaps for a group that is still to be made.
pub(super) struct PreviewTexts {
    group_id: Option<GroupId>,
    keys_text: String,
}

impl FromFields for PreviewTexts {
    const LIMITS: Limits = Limits::IMPORT;

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let group_id = Some(fields.id("group_id")?).filter(|id| *id > 0);
        Ok(Self { group_id, keys_text: fields.needed_text("keys_text")? })
    }

    fn shape() -> Shape {
        let texts = "Keys separated by white space, commas or semicolons, or the text of a JSON list of them";
        let group = "The group that they would be added to, if there is one yet";
        Shape::default().optional("group_id", id(), group).needed("keys_text", like(some_text(), "sk-1 sk-2"), texts)
    }
}

/// The keys in a text that a task deals with, repeated ones included.
async fn parse_many(text: String) -> Result<Vec<Secret>, Refusal> {
    parse(text, |text| parse_keys(text, KEYS_PER_TASK_MAX)).await
}

/// A long text is read on a thread where it may take its time.
async fn parse(
    text: String,
    read: impl FnOnce(&str) -> Result<Vec<Secret>, KeysTextError> + Send + 'static,
) -> Result<Vec<Secret>, Refusal> {
    if text.len() < LONG_BODY_BYTES {
        return Ok(read(&text)?);
    }
    let parsed = tokio::task::spawn_blocking(move || read(&text)).await;
    Ok(parsed.map_err(Refusal::internal)??)
}

/// A group that serves, so that its keys can be tested: one of an unknown channel is stored, but cannot serve.
fn serving(api: &Api, stored: &group::Record) -> Result<Arc<Group>, Refusal> {
    let group = api.directory.current().by_name.get(&stored.name).cloned();
    group.ok_or_else(|| Refusal::absent("validation.group_not_found"))
}

/// `{"group_id": 1}`
pub(super) struct AllOfGroup {
    group_id: GroupId,
}

impl FromFields for AllOfGroup {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        Ok(Self { group_id: fields.needed_id("group_id")? })
    }

    fn shape() -> Shape {
        Shape::default().needed("group_id", id(), "The group")
    }
}

impl AllOfGroup {
    async fn existing(&self, api: &Api) -> Result<GroupId, Refusal> {
        Ok(group::queries::find(api.database.readers(), self.group_id).await?.id)
    }
}

impl From<KeysTextError> for Refusal {
    fn from(error: KeysTextError) -> Self {
        match error {
            KeysTextError::Empty => Self::invalid("validation.no_keys_found"),
            KeysTextError::NotOnlyTexts { position } => {
                Self::invalid(("validation.key_not_text", [("position", position.to_string())]))
            }
            KeysTextError::Unsendable { position } => {
                Self::invalid(("validation.key_not_sendable", [("position", position.to_string())]))
            }
            KeysTextError::TooMany { limit, count } => Self::invalid((
                "validation.too_many_keys",
                [("limit", limit.to_string()), ("count", count.to_string())],
            )),
            KeysTextError::BrokenList { line, column } => Self::invalid((
                "validation.key_list_broken",
                [("line", line.to_string()), ("column", column.to_string())],
            )),
        }
    }
}
