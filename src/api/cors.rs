//! Which pages of other origins may read our answers.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
    },
};

use crate::config::Cors;

const ANY: &str = "*";

/// The headers that grant what the operator configured. An origin that is merely covered by `*` never gets credentials:
/// every page of the web could act for whoever is signed in.
pub(crate) fn granted(cors: &Cors, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    // A cache must not show one origin's answer to another.
    let mut granted = vec![(VARY, HeaderValue::from_static("Origin"))];
    let Some(origin) = request.get(ORIGIN) else { return granted };
    let is_named = cors.origins.iter().any(|named| named.as_bytes() == origin.as_bytes());
    if is_named {
        granted.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        if cors.credentials {
            granted.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
    } else if cors.origins.iter().any(|named| named == ANY) {
        granted.push((ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(ANY)));
    } else {
        return granted;
    }
    granted.extend(listed(&cors.methods).map(|methods| (ACCESS_CONTROL_ALLOW_METHODS, methods)));
    // Browsers do not extend `*` to Authorization, so what was asked for is named.
    let headers = match request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        Some(wanted) if cors.headers.iter().any(|named| named == ANY) => Some(wanted.clone()),
        _ => listed(&cors.headers),
    };
    granted.extend(headers.map(|headers| (ACCESS_CONTROL_ALLOW_HEADERS, headers)));
    granted
}

fn listed(values: &[String]) -> Option<HeaderValue> {
    HeaderValue::from_str(&values.join(", ")).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[track_caller]
    fn check(origins: &[&str], credentials: bool, origin: &'static str, expected: &[(&str, &str)]) {
        let cors =
            Cors { origins: texts(origins), methods: texts(&["GET", "POST"]), headers: texts(&["*"]), credentials };
        let request = HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static(origin)),
            (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization")),
        ]);
        let granted = granted(&cors, &request);
        let granted: Vec<_> = granted.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(granted, expected);
    }

    #[test]
    fn a_named_origin_gets_credentials_and_any_other_under_the_star_does_not() {
        let rest = [("access-control-allow-methods", "GET, POST"), ("access-control-allow-headers", "authorization")];
        check(
            &["*", "https://a.example"],
            true,
            "https://a.example",
            &[
                ("vary", "Origin"),
                ("access-control-allow-origin", "https://a.example"),
                ("access-control-allow-credentials", "true"),
                rest[0],
                rest[1],
            ],
        );
        check(
            &["*", "https://a.example"],
            true,
            "https://b.example",
            &[("vary", "Origin"), ("access-control-allow-origin", "*"), rest[0], rest[1]],
        );
    }

    #[test]
    fn an_origin_that_is_not_named_gets_nothing() {
        check(&["https://a.example"], true, "https://b.example", &[("vary", "Origin")]);
    }
}
