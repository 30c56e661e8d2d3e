//! What the option parts of connection strings have in common.

use std::time::Duration;

/// The `name=value&…` behind a `?`, percent-decoded.
pub(super) fn options(query: &str) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned()
}

/// Percent-decodes text of a URL in which `+` is a plus.
pub(super) fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| "has a percent-encoded part that is not UTF-8".to_owned())
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
pub(super) fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or("opens [ around an IPv6 address and never closes it")?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| "has something else than an IPv6 address in [ ]")?;
            (address, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("has an IPv6 address without [ ] around it".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port {
        Some("") => default_port,
        Some(digits) => {
            digits.parse().ok().filter(|&port| port > 0).ok_or("has a port that is no number from 1 to 65535")?
        }
        None => return Err("has text between ] and the port".to_owned()),
    };
    Ok((host.to_owned(), port))
}

/// An address for people, IPv6 in brackets.
pub(super) fn show_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `true` and `false` in the spellings that Go's programs take.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub(super) fn count(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "must be a whole number".to_owned())
}

/// A time as Go writes it: `300ms`, `1.5h`, `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 8] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let problem = || "must be a time with its unit, such as 500ms, 5s or 1m30s".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(problem)?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let &(_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
        seconds += number.parse::<f64>().map_err(|_| problem())? * scale;
        rest = after;
    }
    if text.is_empty() {
        return Err(problem());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| problem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_units() {
        for (text, milliseconds) in [
            ("0", 0),
            ("300ms", 300),
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("2000us", 2),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-5s", "5d", "1..5s", "99999999999999999999999h"] {
            assert!(duration(text).unwrap_err().contains("with its unit"), "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (text, host, port) in [
            ("db", "db", 1),
            ("db:2", "db", 2),
            ("", "", 1),
            ("[::1]:3", "::1", 3),
            ("[::1]", "::1", 1),
            ("db:", "db", 1),
        ] {
            assert_eq!(host_and_port(text, 1).unwrap(), (host.to_owned(), port), "{text}");
        }
        for text in ["db:x", "db:0", "db:65536", "::1", "[::1", "[::1]x", "[db]:1"] {
            host_and_port(text, 1).unwrap_err();
        }
        assert_eq!(show_address("::1", 3), "[::1]:3");
    }
}
