//! Instants as the database holds them: text with an offset, always written in UTC, read in every form that occurs.

use std::fmt;

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, Timelike, Utc};
use sea_query::{Nullable, Value};
use serde::{Serialize, Serializer};
use sqlx::{
    Decode, Sqlite, Type,
    error::BoxDynError,
    sqlite::{SqliteTypeInfo, SqliteValueRef},
};

/// An instant. Its stored texts sort like the instants themselves, since all of them carry the same offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(pub(crate) DateTime<Utc>);

impl Timestamp {
    /// To the millisecond, which every engine keeps.
    pub(crate) fn now() -> Self {
        Self(Utc::now()).to_milliseconds()
    }

    /// Cut, not rounded: no instant moves into the next hour.
    pub(crate) fn to_milliseconds(self) -> Self {
        Self(self.0.trunc_subsecs(3))
    }

    /// `2026-11-23 05:18:54.15+00:00`: no `T`, no `Z`, no trailing zeros in the fraction.
    pub(crate) fn to_stored(self) -> String {
        format!("{}{}+00:00", self.0.format("%Y-%m-%d %H:%M:%S"), Fraction(self.0.nanosecond()))
    }

    /// Understands every form that the original reads: `None` is something that it would choke on, too.
    pub(crate) fn parse_stored(text: &str) -> Option<Self> {
        // Another program's monotonic clock reading may trail the text; it says nothing about the instant.
        let text = text.split_once(" m=").map_or(text, |(instant, _)| instant).trim();
        let (date, rest) = text.split_at_checked("YYYY-MM-DD".len())?;
        let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
        let Some(separator) = rest.chars().next() else {
            return Some(Self(date.and_time(NaiveTime::MIN).and_utc()));
        };
        if separator != ' ' && separator != 'T' {
            return None;
        }
        let rest = &rest[1..];
        let time_bytes = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(rest.len());
        let (time, zone) = rest.split_at(time_bytes);
        let local = NaiveDateTime::new(date, parse_time(time)?);
        let offset = parse_offset(zone)?;
        Some(Self(local.checked_sub_signed(offset)?.and_utc()))
    }

    /// The whole UTC hour that the instant lies in.
    pub(crate) fn hour(self) -> Self {
        let into_the_hour =
            Duration::new(i64::from(self.0.minute() * 60 + self.0.second()), self.0.nanosecond() % 1_000_000_000);
        Self(self.0 - into_the_hour.unwrap_or_default())
    }
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    // Digits beyond the ninth are no instant that we can hold; the original never writes them.
    let text = match text.split_once('.') {
        Some((whole, fraction)) => &text[..whole.len() + 1 + fraction.len().min(9)],
        None => text,
    };
    let format = if text.matches(':').count() == 1 { "%H:%M" } else { "%H:%M:%S%.f" };
    NaiveTime::parse_from_str(text, format).ok()
}

/// What follows the time: nothing, `Z`, `+08:00`, `+08:00Z`, or ` +0800 CST`.
fn parse_offset(zone: &str) -> Option<Duration> {
    let zone = zone.strip_suffix('Z').unwrap_or(zone);
    if zone.is_empty() {
        return Some(Duration::zero());
    }
    // A numeric offset decides; the name behind it is for people.
    let digits = zone.trim_start().split(' ').next()?;
    let (sign, digits) = match digits.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits.split_at_checked(2)?,
    };
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| Duration::minutes(sign * (i64::from(hours) * 60 + i64::from(minutes))))
}

/// The digits behind the second, without trailing zeros; nothing at all for a whole second.
struct Fraction(u32);

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A leap second counts on beyond a whole second: it is written as the last instant before the next one.
        let nanoseconds = self.0.min(999_999_999);
        if nanoseconds == 0 {
            return Ok(());
        }
        let digits = format!("{nanoseconds:09}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

/// RFC 3339 in UTC, as the management API shows it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}Z", self.0.format("%Y-%m-%dT%H:%M:%S"), Fraction(self.0.nanosecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for Value {
    fn from(timestamp: Timestamp) -> Self {
        Self::ChronoDateTimeUtc(Some(timestamp.0))
    }
}

impl Nullable for Timestamp {
    fn null() -> Value {
        Value::ChronoDateTimeUtc(None)
    }
}

impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl Decode<'_, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Self::parse_stored(text).ok_or_else(|| format!("{text:?} is no timestamp").into())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(stored: &str, shown: &str) {
        assert_eq!(Timestamp::parse_stored(stored).map(|t| t.to_string()).as_deref(), Some(shown), "{stored}");
    }

    #[test]
    fn every_stored_form_is_read() {
        check("2026-11-23 05:18:54.156185388+08:00", "2026-11-22T21:18:54.156185388Z");
        check("2026-11-23 05:00:00+08:00", "2026-11-22T21:00:00Z");
        check("2024-05-01 02:00:00+00:00", "2024-05-01T02:00:00Z");
        check("2024-05-01 02:00:00.5-03:30", "2024-05-01T05:30:00.5Z");
        check("2024-05-01 02:00:00.123 +0530 IST", "2024-04-30T20:30:00.123Z");
        check("2024-05-01 02:00:00.123 +0530 +0530 m=+12.5", "2024-04-30T20:30:00.123Z");
        check("2024-05-01T02:00:00Z", "2024-05-01T02:00:00Z");
        check("2024-05-01T02:00:00+02:00Z", "2024-05-01T00:00:00Z");
        check("2024-05-01 02:00:00.25", "2024-05-01T02:00:00.25Z");
        check("2024-05-01 02:00", "2024-05-01T02:00:00Z");
        check("2024-05-01 02:00+01:00", "2024-05-01T01:00:00Z");
        check("2024-05-01", "2024-05-01T00:00:00Z");
        check("2024-05-01 02:00:00.1234567899", "2024-05-01T02:00:00.123456789Z");
        check("0001-01-01 00:00:00+00:00", "0001-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2024-13-01",
            "2024-05-01x02:00:00",
            "2024-05-01 25:00:00",
            "2024-05-01 02:00:00+8",
            "2024-05-01 02:00:00é",
        ] {
            assert_eq!(Timestamp::parse_stored(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_written_as_the_original_writes_utc() {
        let at = |nanoseconds| Timestamp(Utc.timestamp_opt(1_714_528_800, nanoseconds).unwrap());
        assert_eq!(at(0).to_stored(), "2024-05-01 02:00:00+00:00");
        assert_eq!(at(120_000_000).to_stored(), "2024-05-01 02:00:00.12+00:00");
        assert_eq!(at(1).to_stored(), "2024-05-01 02:00:00.000000001+00:00");
    }

    #[test]
    fn an_hour_starts_at_its_whole_utc_hour() {
        let at = Timestamp::parse_stored("2024-05-01 02:59:59.999999999+05:30").unwrap();
        assert_eq!(at.hour().to_stored(), "2024-04-30 21:00:00+00:00");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in -62_135_596_800_i64..253_402_300_800, nanoseconds in 0_u32..1_000_000_000) {
            let instant = Timestamp(Utc.timestamp_opt(seconds, nanoseconds).unwrap());
            prop_assert_eq!(Timestamp::parse_stored(&instant.to_stored()), Some(instant));
            prop_assert_eq!(Timestamp::parse_stored(&instant.to_string()), Some(instant));
        }

        #[test]
        fn the_offset_of_a_text_does_not_change_its_instant(
            seconds in 0_i64..4_000_000_000, nanoseconds in 0_u32..1_000_000_000, offset_minutes in -720_i32..=840,
        ) {
            let instant = Utc.timestamp_opt(seconds, nanoseconds).unwrap();
            let local = instant.with_timezone(&chrono::FixedOffset::east_opt(offset_minutes * 60).unwrap());
            let text = local.format("%Y-%m-%d %H:%M:%S%.f%:z").to_string();
            prop_assert_eq!(Timestamp::parse_stored(&text), Some(Timestamp(instant)));
        }

        #[test]
        fn texts_sort_like_instants(a in 0_i64..4_000_000_000_000, b in 0_i64..4_000_000_000_000) {
            let at = |milliseconds| Timestamp(Utc.timestamp_millis_opt(milliseconds).unwrap());
            prop_assert_eq!(at(a).cmp(&at(b)), at(a).to_stored().cmp(&at(b).to_stored()));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,40}") {
            let _ = Timestamp::parse_stored(&text);
        }
    }
}
