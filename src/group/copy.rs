//! A new group like another one, under the next free name.

use std::collections::HashSet;

use super::{Error, GroupId, Record, changes::DISPLAY_NAME_CHARACTERS_MAX, queries};
use crate::db::{self, Database, Timestamp};

/// Copies of one group that can be told apart by a number.
const COPIES_MAX: u32 = 1_000;
/// What a copy's display name ends with.
const DISPLAY_NAME_ENDING: &str = " Copy";

/// Stores a copy of everything but keys and memberships, and returns it as stored.
///
/// # Errors
/// Besides those of the database: [`db::Error::NotFound`] where there is no such group, [`db::Error::Duplicate`] where
/// every name that a copy could have is taken.
pub(crate) async fn copy(database: &Database, id: GroupId) -> Result<Record, Error> {
    let mut writer = database.begin_change().await?;
    let source = queries::find(&mut *writer, id).await?;
    let taken: HashSet<String> = queries::names(&mut *writer).await?.into_iter().collect();
    let name = free_name(&source.name, |name| taken.contains(name)).ok_or(db::Error::Duplicate)?;
    let now = Some(Timestamp::now());
    let mut copy = Record {
        id: 0,
        name,
        display_name: display_name(&source.display_name),
        last_validated_at: None,
        created_at: now,
        updated_at: now,
        ..source
    };
    copy.id = queries::insert(&mut writer, &copy).await?;
    writer.commit().await?;
    Ok(copy)
}

fn free_name(name: &str, is_taken: impl Fn(&str) -> bool) -> Option<String> {
    let numbered = (2..=COPIES_MAX).map(|number| format!("{name}_copy_{number}"));
    std::iter::once(format!("{name}_copy")).chain(numbered).find(|name| !is_taken(name))
}

/// Cut so that it fits its column.
fn display_name(of_source: &str) -> String {
    if of_source.is_empty() {
        return String::new();
    }
    let room = DISPLAY_NAME_CHARACTERS_MAX - DISPLAY_NAME_ENDING.len();
    of_source.chars().take(room).chain(DISPLAY_NAME_ENDING.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_name_is_taken() {
        assert_eq!(free_name("a", |_| false).as_deref(), Some("a_copy"));
        assert_eq!(free_name("a", |name| name == "a_copy").as_deref(), Some("a_copy_2"));
        assert_eq!(free_name("a", |name| name != "a_copy_1000").as_deref(), Some("a_copy_1000"));
        assert_eq!(free_name("a", |_| true), None);
    }

    #[test]
    fn a_display_name_says_that_it_is_a_copy_if_there_is_one() {
        assert_eq!(display_name(""), "");
        assert_eq!(display_name("Main"), "Main Copy");
        assert_eq!(display_name(&"é".repeat(255)), "é".repeat(250) + " Copy");
    }
}
