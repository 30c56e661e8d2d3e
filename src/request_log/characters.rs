//! Which characters the database can hold: a server's may have been made for few of them.

use std::borrow::Cow;

use super::entry::storable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Characters {
    All,
    /// MySQL's old `utf8` knows none that take four bytes.
    OfThreeBytes,
    /// Another set of characters: what all of them have in common.
    Ascii,
}

impl Characters {
    /// Of sets of characters as MySQL names them: what each of them holds.
    pub(super) fn common_to<'a>(sets: impl IntoIterator<Item = &'a str>) -> Self {
        let of_set = |set: &str| match set.to_ascii_lowercase().as_str() {
            "utf8mb4" | "utf16" | "utf32" => Self::All,
            "utf8mb3" | "utf8" | "ucs2" => Self::OfThreeBytes,
            _ => Self::Ascii,
        };
        let least = |a, b| match (a, b) {
            (Self::Ascii, _) | (_, Self::Ascii) => Self::Ascii,
            (Self::OfThreeBytes, _) | (_, Self::OfThreeBytes) => Self::OfThreeBytes,
            _ => Self::All,
        };
        sets.into_iter().map(of_set).fold(Self::All, least)
    }

    /// The text without NUL, and with a mark in place of each character that cannot be held.
    pub(super) fn only(self, text: &str) -> Cow<'_, str> {
        let text = storable(text);
        match self {
            Self::All => text,
            Self::OfThreeBytes if text.bytes().all(|byte| byte < 0xf0) => text,
            Self::OfThreeBytes => {
                let mark = |character: char| if character.len_utf8() > 3 { '\u{fffd}' } else { character };
                text.chars().map(mark).collect::<String>().into()
            }
            Self::Ascii if text.is_ascii() => text,
            Self::Ascii => {
                let mark = |character: char| if character.is_ascii() { character } else { '?' };
                text.chars().map(mark).collect::<String>().into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_set_of_characters_lacks_leaves_a_mark() {
        let text = "a\0é€😀";
        for (sets, expected) in [
            (&["utf8mb4"][..], "aé€😀"),
            (&[], "aé€😀"),
            (&["utf8mb4", "utf8mb3"], "aé€\u{fffd}"),
            (&["UTF8"], "aé€\u{fffd}"),
            (&["utf8mb3", "latin1", "utf8mb4"], "a???"),
            (&["SQL_ASCII"], "a???"),
        ] {
            assert_eq!(Characters::common_to(sets.iter().copied()).only(text), expected, "{sets:?}");
        }
        assert!(matches!(Characters::OfThreeBytes.only("é€"), Cow::Borrowed(_)));
    }
}
