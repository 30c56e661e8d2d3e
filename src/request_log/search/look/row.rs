//! One row as figures need it, and the columns that it is read from.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{
    db::{self, AnyTime, Engine, FromRow, Row, Timestamp},
    group::GroupId,
};

/// Of an error's message, so much is read: enough to tell it from others, and to show it.
const ERROR_CHARACTERS_MAX: usize = 500;

/// Which columns are worth reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::request_log) enum Detail {
    /// What is counted and measured of all rows together.
    Totals,
    All,
}

/// A row of the log. What is not asked for, not known, or not there, is empty.
#[derive(Debug)]
pub(in crate::request_log) struct Looked<'a> {
    /// The end of the attempt, in milliseconds since 1970.
    pub(in crate::request_log) at_ms: i64,
    pub(in crate::request_log) group_id: GroupId,
    pub(in crate::request_log) group_name: &'a str,
    pub(in crate::request_log) parent_name: &'a str,
    pub(in crate::request_log) key_hash: &'a str,
    pub(in crate::request_log) model: &'a str,
    pub(in crate::request_log) is_success: bool,
    pub(in crate::request_log) source_ip: &'a str,
    pub(in crate::request_log) status_code: i64,
    pub(in crate::request_log) duration_ms: i64,
    /// The beginning of the message.
    pub(in crate::request_log) error: &'a str,
    /// Another attempt followed.
    pub(in crate::request_log) is_retry: bool,
    pub(in crate::request_log) upstream: &'a str,
    /// Only of what failed.
    pub(in crate::request_log) request_id: &'a str,
    pub(in crate::request_log) first_byte_ms: Option<i64>,
    pub(in crate::request_log) overhead_us: Option<i64>,
    pub(in crate::request_log) verdict: &'a str,
    pub(in crate::request_log) client_key: &'a str,
}

/// The same as a file gives it: one text holds many of them.
#[derive(Deserialize)]
pub(super) struct Written<'a>(
    #[serde(borrow)] Cow<'a, str>,
    GroupId,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    Option<i64>,
    Option<i64>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
);

impl Written<'_> {
    /// `None`: what is stored in the place of its time is none.
    pub(super) fn looked<'a>(&'a self, second: &mut Second) -> Option<Looked<'a>> {
        Some(Looked {
            at_ms: second.milliseconds(&self.0)?,
            group_id: self.1,
            group_name: &self.2,
            parent_name: &self.3,
            key_hash: &self.4,
            model: &self.5,
            is_success: self.6 != 0,
            source_ip: &self.7,
            status_code: self.8,
            duration_ms: self.9,
            error: &self.10,
            is_retry: self.11 != 0,
            upstream: &self.12,
            request_id: &self.13,
            first_byte_ms: self.14,
            overhead_us: self.15,
            verdict: &self.16,
            client_key: &self.17,
        })
    }
}

/// The same as a server gives it.
pub(super) struct Owned {
    at: Option<Timestamp>,
    texts: [String; 10],
    group_id: GroupId,
    is_success: bool,
    is_retry: bool,
    status_code: i64,
    duration_ms: i64,
    first_byte_ms: Option<i64>,
    overhead_us: Option<i64>,
}

impl FromRow for Owned {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let text = |place: usize| Ok::<_, db::Error>(row.get::<Option<String>>(place)?.unwrap_or_default());
        let number = |place: usize| Ok::<_, db::Error>(row.get::<Option<i64>>(place)?.unwrap_or_default());
        let time: Option<AnyTime> = row.get(0)?;
        Ok(Self {
            at: time.and_then(|time| time.0.ok()),
            group_id: number(1)?,
            is_success: number(6)? != 0,
            status_code: number(8)?,
            duration_ms: number(9)?,
            is_retry: number(11)? != 0,
            first_byte_ms: row.get(14)?,
            overhead_us: row.get(15)?,
            texts: [
                text(2)?,
                text(3)?,
                text(4)?,
                text(5)?,
                text(7)?,
                text(10)?,
                text(12)?,
                text(13)?,
                text(16)?,
                text(17)?,
            ],
        })
    }
}

impl Owned {
    pub(super) fn looked(&self) -> Option<Looked<'_>> {
        let [group_name, parent_name, key_hash, model, source_ip, error, upstream, request_id, verdict, client_key] =
            &self.texts;
        Some(Looked {
            at_ms: self.at?.0.timestamp_millis(),
            group_id: self.group_id,
            group_name,
            parent_name,
            key_hash,
            model,
            is_success: self.is_success,
            source_ip,
            status_code: self.status_code,
            duration_ms: self.duration_ms,
            error,
            is_retry: self.is_retry,
            upstream,
            request_id,
            first_byte_ms: self.first_byte_ms,
            overhead_us: self.overhead_us,
            verdict,
            client_key,
        })
    }
}

/// The columns of a look, in the order in which they are read above.
pub(super) fn columns(engine: Engine, detail: Detail) -> String {
    let is_file = engine.is_sqlite();
    // Columns of SQLite take values of any type, and one odd row must not hide all others.
    let text = |column: &str| {
        if is_file { format!("CAST(coalesce({column}, '') AS TEXT)") } else { format!("coalesce({column}, '')") }
    };
    let wide = |column: &str| if detail == Detail::All { text(column) } else { "''".to_owned() };
    let number = |column: &str| if is_file { format!("CAST({column} AS INTEGER)") } else { column.to_owned() };
    let failed_only = |value: String| match detail {
        Detail::All => format!("CASE WHEN is_success = {} THEN '' ELSE {value} END", engine_true(engine)),
        Detail::Totals => "''".to_owned(),
    };
    let flag = |condition: &str| format!("CASE WHEN {condition} THEN 1 ELSE 0 END");
    [
        if is_file { text("timestamp") } else { "timestamp".to_owned() },
        number("coalesce(group_id, 0)"),
        wide("group_name"),
        wide("parent_group_name"),
        wide("key_hash"),
        wide("model"),
        flag(&format!("is_success = {}", engine_true(engine))),
        wide("source_ip"),
        number("coalesce(status_code, 0)"),
        number("coalesce(duration, 0)"),
        failed_only(format!("substr({}, 1, {ERROR_CHARACTERS_MAX})", text("error_message"))),
        flag("request_type = 'retry'"),
        text("upstream_addr"),
        failed_only(text("request_id")),
        number("first_byte_ms"),
        number("overhead_us"),
        text("verdict"),
        wide("client_key"),
    ]
    .join(", ")
}

fn engine_true(engine: Engine) -> &'static str {
    if engine.is_sqlite() { "1" } else { "true" }
}

/// Times of rows that lie together: most of their texts begin like the one before.
#[derive(Default)]
pub(super) struct Second {
    text: String,
    milliseconds: i64,
}

impl Second {
    /// As it is stored, in milliseconds since 1970.
    fn milliseconds(&mut self, stored: &str) -> Option<i64> {
        const SECOND_BYTES: usize = "2026-11-23 10:15:30".len();
        let in_utc = stored.strip_suffix("+00:00").and_then(|text| text.split_at_checked(SECOND_BYTES));
        let Some((second, fraction)) = in_utc else {
            return Some(Timestamp::parse_stored(stored)?.0.timestamp_millis());
        };
        if self.text != second {
            self.milliseconds = Timestamp::parse_stored(second)?.0.timestamp_millis();
            second.clone_into(&mut self.text);
        }
        let digits = fraction.strip_prefix('.').unwrap_or(fraction).bytes().chain(std::iter::repeat(b'0')).take(3);
        let fraction = digits.fold(0, |sum, digit| sum * 10 + i64::from(digit.wrapping_sub(b'0') % 10));
        Some(self.milliseconds + fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let mut second = Second::default();
        for (text, expected) in [
            ("2026-11-23 10:15:30+00:00", Some("2026-11-23 10:15:30+00:00")),
            ("2026-11-23 10:15:30.5+00:00", Some("2026-11-23 10:15:30.5+00:00")),
            ("2026-11-23 10:15:30.123456+00:00", Some("2026-11-23 10:15:30.123+00:00")),
            ("2026-11-23 10:15:31.01+00:00", Some("2026-11-23 10:15:31.01+00:00")),
            ("2026-11-23 18:15:31.01+08:00", Some("2026-11-23 10:15:31.01+00:00")),
            ("yesterday", None),
            ("", None),
        ] {
            let expected = expected.map(|text| Timestamp::parse_stored(text).unwrap().0.timestamp_millis());
            assert_eq!(second.milliseconds(text), expected, "{text}");
        }
    }
}
