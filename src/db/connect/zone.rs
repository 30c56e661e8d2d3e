//! The zone of times that are stored without one.

use chrono::{DateTime, Duration, Local, MappedLocalTime, NaiveDateTime, TimeZone, Utc};

/// Step and end of the search for a wall time before a gap. Whole days were left out where the date line moved.
const GAP_STEP_MINUTES: i64 = 15;
const GAP_MINUTES_MAX: i64 = 26 * 60;

/// MySQL's DATETIME says what a clock on a wall shows; this is where that wall is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Utc,
    /// This process's own, as `TZ` or the system has it.
    Local,
    Named(chrono_tz::Tz),
}

impl Zone {
    /// As `loc` of a connection string has it. Nothing: the name is unknown.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "UTC" => Some(Self::Utc),
            "Local" => Some(Self::Local),
            _ => name.parse().ok().map(Self::Named),
        }
    }

    /// What the clock shows at that time.
    pub(crate) fn to_wall(self, time: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Utc => time.naive_utc(),
            Self::Local => time.with_timezone(&Local).naive_local(),
            Self::Named(zone) => time.with_timezone(&zone).naive_local(),
        }
    }

    /// When the clock shows that: the first time, where it does so twice; and where it never does, since it was put
    /// forward then, as if it had been put forward later.
    #[expect(clippy::wrong_self_convention, reason = "the zone reads the wall, and is not made from it")]
    pub(crate) fn from_wall(self, wall: NaiveDateTime) -> DateTime<Utc> {
        match self {
            Self::Utc => wall.and_utc(),
            Self::Local => of_zone(&Local, wall),
            Self::Named(zone) => of_zone(&zone, wall),
        }
    }
}

fn of_zone<Z: TimeZone>(zone: &Z, wall: NaiveDateTime) -> DateTime<Utc> {
    if let Some(time) = earliest(zone, wall) {
        return time;
    }
    // The clock was put forward: what it was ahead of UTC before that still counts.
    let before_the_gap = (1..=GAP_MINUTES_MAX / GAP_STEP_MINUTES).find_map(|step| {
        let shift = Duration::minutes(step * GAP_STEP_MINUTES);
        earliest(zone, wall.checked_sub_signed(shift)?)?.checked_add_signed(shift)
    });
    before_the_gap.unwrap_or_else(|| wall.and_utc())
}

fn earliest<Z: TimeZone>(zone: &Z, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(time) => Some(time.with_timezone(&Utc)),
        MappedLocalTime::Ambiguous(one, other) => Some(one.min(other).with_timezone(&Utc)),
        MappedLocalTime::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap()
    }

    #[track_caller]
    fn check(zone: &str, shown: &str, utc: &str) {
        let found = Zone::of_name(zone).unwrap().from_wall(wall(shown));
        assert_eq!(found.naive_utc(), wall(utc), "{zone} {shown}");
    }

    #[test]
    fn a_wall_shows_a_time_of_its_zone() {
        check("UTC", "2026-07-01 12:00:00.123", "2026-07-01 12:00:00.123");
        check("Asia/Shanghai", "2026-07-01 12:00:00.123", "2026-07-01 04:00:00.123");
        check("Asia/Kathmandu", "2026-07-01 12:00:00", "2026-07-01 06:15:00");
        check("Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01 10:00:00");
        check("Europe/Berlin", "2026-01-01 12:00:00", "2026-01-01 11:00:00");
    }

    #[test]
    fn of_a_time_that_is_shown_twice_the_first_counts() {
        check("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 00:30:00");
        check("America/New_York", "2026-11-01 01:30:00", "2026-11-01 05:30:00");
        check("Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04 14:45:00");
    }

    #[test]
    fn a_time_that_was_left_out_is_shifted_forward() {
        for (zone, shown, utc, then_shown) in [
            ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 01:30:00", "2026-03-29 03:30:00"),
            ("America/New_York", "2026-03-08 02:00:00", "2026-03-08 07:00:00", "2026-03-08 03:00:00"),
            ("Australia/Lord_Howe", "2026-10-04 02:10:00", "2026-10-03 15:40:00", "2026-10-04 02:40:00"),
            // Samoa crossed the date line and left out a day.
            ("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 22:00:00", "2011-12-31 12:00:00"),
        ] {
            check(zone, shown, utc);
            let zone = Zone::of_name(zone).unwrap();
            assert_eq!(zone.to_wall(zone.from_wall(wall(shown))), wall(then_shown));
        }
    }

    #[test]
    fn what_is_written_is_read_back_but_for_the_hour_that_comes_twice() {
        let zone = Zone::of_name("Europe/Berlin").unwrap();
        let mut time = wall("2026-01-01 00:00:00").and_utc();
        let second_hour = wall("2026-10-25 01:00:00").and_utc()..wall("2026-10-25 02:00:00").and_utc();
        while time < wall("2027-01-01 00:00:00").and_utc() {
            let expected = if second_hour.contains(&time) { time - Duration::hours(1) } else { time };
            assert_eq!(zone.from_wall(zone.to_wall(time)), expected, "{time}");
            time += Duration::minutes(30);
        }
        let now = Utc::now();
        assert!((Zone::Local.from_wall(Zone::Local.to_wall(now)) - now).num_hours().abs() <= 1);
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let zone = Zone::of_name("America/New_York").unwrap();
        for wall in [NaiveDateTime::MIN, NaiveDateTime::MAX, wall("0001-01-01 00:00:00"), wall("9999-12-31 23:59:59")] {
            zone.from_wall(wall);
        }
        zone.to_wall(wall("9999-12-31 23:59:59").and_utc());
    }

    #[test]
    fn an_unknown_name_is_no_zone() {
        assert_eq!(Zone::of_name("Local"), Some(Zone::Local));
        assert_eq!(Zone::of_name("Asia/Shanghia"), None);
    }
}
