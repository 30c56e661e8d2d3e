//! How long an upstream wants a key to rest.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;

use super::told::Told;

/// Longest rest: what is wrong for longer than this is asked again meanwhile.
const REST_MAX: Duration = Duration::from_hours(1);

/// The rest that the answer asks for; `None` if it does not say.
pub(super) fn asked_for(headers: &HeaderMap, told: &Told, now: DateTime<Utc>) -> Option<Duration> {
    // A quota of a day comes with a delay for the next minute, which is of no use.
    if told.quotas.iter().any(|quota| quota.contains("perday")) {
        return Some(REST_MAX);
    }
    let milliseconds =
        || text(headers, "retry-after-ms")?.parse::<f64>().ok().and_then(|count| seconds(count / 1000.0));
    let after = || retry_after(text(headers, "retry-after")?, now);
    let delay = || go_duration(told.retry_delay.as_deref()?);
    let rest = milliseconds().or_else(after).or_else(delay).or_else(|| reset(headers, now))?;
    Some(rest.min(REST_MAX))
}

fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    match value.parse::<f64>() {
        Ok(count) => seconds(count),
        Err(_) => DateTime::parse_from_rfc2822(value).ok().map(|date| until(date.to_utc(), now)),
    }
}

/// The latest reset among the limits that are used up.
fn reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let is_used_up = |name: &str| text(headers, name) == Some("0");
    let of_openai = ["requests", "tokens"].into_iter().filter_map(|limit| {
        let reset = text(headers, &format!("x-ratelimit-reset-{limit}"))?;
        is_used_up(&format!("x-ratelimit-remaining-{limit}")).then(|| go_duration(reset))?
    });
    let of_others = is_used_up("x-ratelimit-remaining").then(|| moment(text(headers, "x-ratelimit-reset")?, now));
    of_openai.chain(of_others.flatten()).max()
}

/// A number that is a Unix time in milliseconds or seconds, or a count of seconds: its size tells.
fn moment(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let number: i64 = value.parse().ok()?;
    match number {
        1_000_000_000_000.. => DateTime::from_timestamp_millis(number).map(|moment| until(moment, now)),
        1_000_000_000.. => DateTime::from_timestamp_secs(number).map(|moment| until(moment, now)),
        count => u64::try_from(count).ok().map(Duration::from_secs),
    }
}

/// A duration as Go writes it, `1h2m3.5s` or `20ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.len()
            - rest.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.').len();
        let unit = rest[number..].find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len() - number);
        let count: f64 = rest[..number].parse().ok()?;
        let seconds_each = match &rest[number..number + unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(seconds(count * seconds_each)?)?;
        rest = &rest[number + unit..];
    }
    (!text.is_empty()).then_some(total)
}

fn seconds(count: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(count).ok()
}

fn until(moment: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (moment - now).to_std().unwrap_or_default()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn check(headers: &[(&'static str, &'static str)], body: &str, expected: Option<Duration>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(asked_for(&headers, &Told::by(body.as_bytes()), now), expected, "{headers:?} {body}");
    }

    const fn milliseconds(count: u64) -> Option<Duration> {
        Some(Duration::from_millis(count))
    }

    #[test]
    fn retry_after_comes_in_three_forms() {
        check(&[("retry-after", "20")], "", milliseconds(20_000));
        check(&[("retry-after", " 1.5 ")], "", milliseconds(1_500));
        check(&[("retry-after", "0")], "", milliseconds(0));
        check(&[("retry-after", "Sun, 22 Nov 2026 12:00:30 GMT")], "", milliseconds(30_000));
        check(&[("retry-after", "Sun, 22 Nov 2026 11:00:00 GMT")], "", milliseconds(0));
        check(&[("retry-after-ms", "250"), ("retry-after", "1")], "", milliseconds(250));
        check(&[("retry-after", "86400")], "", Some(REST_MAX));
        check(&[("retry-after", "1e300")], "", None);
        for nonsense in ["-1", "soon", "NaN", ""] {
            check(&[("retry-after", nonsense)], "", None);
        }
    }

    #[test]
    fn limits_count_only_when_they_are_used_up() {
        let limits = |requests, tokens| {
            [
                ("x-ratelimit-remaining-requests", requests),
                ("x-ratelimit-reset-requests", "6m0s"),
                ("x-ratelimit-remaining-tokens", tokens),
                ("x-ratelimit-reset-tokens", "20ms"),
            ]
        };
        check(&limits("0", "10"), "", milliseconds(360_000));
        check(&limits("1", "0"), "", milliseconds(20));
        check(&limits("0", "0"), "", milliseconds(360_000));
        check(&limits("1", "1"), "", None);
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795348810")], "", milliseconds(10_000));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795348800500")], "", milliseconds(500));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")], "", milliseconds(7_000));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "-7")], "", None);
    }

    #[test]
    fn google_says_it_in_the_body() {
        let body = |detail: &str| format!(r#"{{"error":{{"code":429,"details":[{detail}]}}}}"#);
        check(
            &[],
            &body(r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22.5s"}"#),
            milliseconds(22_500),
        );
        let daily =
            r#"{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"22s"}"#;
        check(&[], &body(daily), Some(REST_MAX));
        check(&[], &body(r#"{"retryDelay":22}"#), None);
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(go_duration(text), expected.map(Duration::from_millis), "{text}");
        };
        check("1h2m3.5s", Some(3_723_500));
        check("2m59.56s", Some(179_560));
        check("20ms", Some(20));
        check("1000us", Some(1));
        for nonsense in ["", "5", "s", "1x", "1.2.3s", "-1s", "99999999999999999999h"] {
            check(nonsense, None);
        }
    }
}
