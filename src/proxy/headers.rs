//! Which headers travel on, in both directions.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Leaves the client's headers that may reach an upstream.
pub(super) fn clean_request(headers: &mut HeaderMap) {
    let wants_trailers = headers
        .get_all(header::TE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("trailers")));
    remove(headers, |name| is_connection_header(name) || is_client_secret(name) || is_about_the_client(name));
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Leaves the upstream's headers that may reach the client.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    // RFC 9112, 6.3: where there are chunks, they count, and a length beside them would cut the answer.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    remove(headers, |name| is_connection_header(name) || is_about_the_origin(name));
}

fn remove(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let named = connection_tokens(headers);
    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_unwanted(name) || named.iter().any(|token| *name == token.as_str()))
        .cloned()
        .collect();
    for name in removed {
        headers.remove(name);
    }
}

/// The headers that a `Connection` header declares as its own (RFC 9110, 7.6.1).
fn connection_tokens(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
        // A peer must not make us drop what the message itself is made of.
        .filter(|token| !matches!(token.as_str(), "" | "close" | "host" | "content-length" | "content-type"))
        .collect()
}

/// RFC 9110, 7.6.1, and the proxy headers that belong to one hop. `Expect` was answered by us when we read the body.
fn is_connection_header(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "expect"
    )
}

/// Credentials that open our door, and the host that names us: none of the upstream's business. The length is set
/// anew from the body that is sent.
fn is_client_secret(name: &HeaderName) -> bool {
    matches!(name.as_str(), "authorization" | "x-api-key" | "x-goog-api-key" | "cookie" | "host" | "content-length")
}

/// What proxies and content networks in front of us say about the client. A header rule can put any of it back.
fn is_about_the_client(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-")
        || name.starts_with("cf-")
        || matches!(
            name,
            "forwarded"
                | "via"
                | "x-real-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "x-original-forwarded-for"
                | "x-envoy-external-address"
                | "true-client-ip"
                | "fastly-client-ip"
                | "fly-client-ip"
                | "cdn-loop"
        )
}

/// What an upstream says about its own host name, and what a browser would take for ours.
fn is_about_the_origin(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "alt-svc" | "strict-transport-security" | "set-cookie" | "clear-site-data" | "nel" | "report-to" | "expect-ct"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn credentials_connection_headers_and_client_addresses_stay_here() {
        let mut kept = headers(&[
            ("Authorization", "Bearer ours"),
            ("Connection", "Upgrade, X-Private"),
            ("Upgrade", "h2c"),
            ("X-Private", "1"),
            ("Cookie", "session=1"),
            ("X-Forwarded-For", "203.0.113.9"),
            ("CF-Connecting-IP", "203.0.113.9"),
            ("Accept", "application/json"),
            ("X-Two", "a"),
            ("X-Two", "b"),
            ("TE", "trailers, deflate"),
        ]);
        clean_request(&mut kept);
        let mut names: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        names.sort_unstable();
        assert_eq!(names, [("accept", "application/json"), ("te", "trailers"), ("x-two", "a"), ("x-two", "b")]);
    }

    #[test]
    fn an_answer_keeps_repeated_headers_and_loses_what_belongs_to_the_upstreams_host() {
        let mut answer = headers(&[
            ("Vary", "a"),
            ("Vary", "b"),
            ("Set-Cookie", "c=1"),
            ("Alt-Svc", "h3"),
            ("Keep-Alive", "timeout=5"),
            ("Retry-After", "20"),
        ]);
        clean_response(&mut answer);
        let mut names: Vec<_> = answer.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        names.sort_unstable();
        assert_eq!(names, [("retry-after", "20"), ("vary", "a"), ("vary", "b")]);
    }
}
