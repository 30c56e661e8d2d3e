//! Where a search goes on, as clients carry it from page to page: a text that means something to us alone.

use std::fmt;

use chrono::DateTime;

use crate::db::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Below this row of a file.
    Row(i64),
    /// Behind this entry of a server's table.
    Entry { time: Timestamp, id: String },
}

/// Characters of an id, at most.
const ID_CHARACTERS_MAX: usize = 36;
/// The year 9999 is the last that MySQL knows.
const MICROSECONDS_END: i64 = 253_402_214_400_000_000;

impl Cursor {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some((microseconds, id)) = text.split_once('~') else {
            return text.parse().ok().filter(|row_id| *row_id > 0).map(Self::Row);
        };
        let microseconds = microseconds.parse().ok().filter(|at| (0..MICROSECONDS_END).contains(at))?;
        let time = Timestamp(DateTime::from_timestamp_micros(microseconds)?);
        let is_id = id.chars().count() <= ID_CHARACTERS_MAX && !id.contains('\0');
        is_id.then(|| Self::Entry { time, id: id.to_owned() })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row_id) => write!(f, "{row_id}"),
            Self::Entry { time, id } => write!(f, "{}~{id}", time.0.timestamp_micros()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let time = Timestamp::parse_stored("2026-11-23 10:15:30.123456+00:00").unwrap();
        for cursor in [Cursor::Row(7), Cursor::Entry { time, id: "01935a80-0000-7000-8000-000000000003".to_owned() }] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for text in
            ["", "x", "-1", "0", "~", "x~y", "9223372036854775807~a", "1~a\0b", &format!("1~{}", "x".repeat(37))]
        {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
