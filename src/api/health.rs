//! GET /health: we are alive. Nothing else is asked for it.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, answer::Bare, document::Outside};

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `healthy`: who answers is alive.
    status: &'static str,
    /// Now, in UTC, in whole seconds.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Since the start: `1h2m3.456789012s`.
    uptime: String,
}

impl Outside for Health {
    const STATUSES: &'static [(u16, &'static str)] = &[(200, "Alive")];
}

pub(super) async fn read(api: Api) -> Bare<Health> {
    let health = Health {
        status: "healthy",
        timestamp: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        uptime: in_units(api.started_at.elapsed()),
    };
    Bare::new(StatusCode::OK, health)
}

/// `1h2m3.456789012s`; below one second in the largest unit that shows a whole number: `1.5ms`.
fn in_units(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    let seconds = duration.as_secs();
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => decimal(nanos / 1_000, nanos % 1_000, 3) + "µs",
            _ => decimal(nanos / 1_000_000, nanos % 1_000_000, 6) + "ms",
        };
    }
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let rest = decimal(seconds % 60, nanos, 9) + "s";
    match (hours, minutes) {
        (0, 0) => rest,
        (0, _) => format!("{minutes}m{rest}"),
        _ => format!("{hours}h{minutes}m{rest}"),
    }
}

/// A number with so many decimals, trailing zeros cut.
fn decimal(whole: impl Into<u64>, fraction: u32, digits: usize) -> String {
    let text = format!("{}.{fraction:0digits$}", whole.into());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(nanos: u64, expected: &str) {
        assert_eq!(in_units(Duration::from_nanos(nanos)), expected);
    }

    #[test]
    fn durations_are_written_with_their_units() {
        check(0, "0s");
        check(999, "999ns");
        check(1_500, "1.5µs");
        check(1_500_000, "1.5ms");
        check(1_000_000_000, "1s");
        check(10_020_000_000, "10.02s");
        check(60_000_000_000, "1m0s");
        check(3_723_456_789_012, "1h2m3.456789012s");
        check(7_200_000_000_000, "2h0m0s");
    }
}
