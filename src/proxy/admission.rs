//! Who is calling, and which group they may use.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::{HeaderMap, Method, header, request::Parts};
use percent_encoding::percent_decode_str;

use super::failure::Failure;
use crate::{
    channel::Channel,
    config::IpBlock,
    crypto,
    group::{Group, Snapshot},
};

const PREFIX: &str = "/proxy/";

/// A request that may use a group, with the target that is left for the upstream.
pub(super) struct Admitted {
    pub(super) group: Arc<Group>,
    /// The encoded path behind `/proxy/{group}`, as the client sent it.
    pub(super) path: String,
    /// The query as the client sent it, without the credential that was found in it.
    pub(super) query: Option<String>,
    /// The label of the proxy key that opened the group.
    pub(super) client_key: Arc<str>,
}

/// # Errors
/// 400 for a path that leaves the upstream's base, 401, 404, 405.
pub(super) fn admit(snapshot: &Snapshot, parts: &Parts) -> Result<Admitted, Failure> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        // TRACE would show the upstream key to the caller, CONNECT would make us an open relay.
        return Err(Failure::of_client(
            http::StatusCode::METHOD_NOT_ALLOWED,
            "BAD_REQUEST",
            "CONNECT and TRACE are not forwarded",
        ));
    }
    let (name, path) = split_target(parts.uri.path());
    let query = parts.uri.query();
    let group = snapshot.by_name.get(&*name);
    let opens = |credential: &str| {
        let digest = crypto::digest(credential);
        let own = group.and_then(|group| group.proxy_keys.label(&digest));
        own.or_else(|| snapshot.global_proxy_keys.label(&digest))
    };
    let in_query = query.into_iter().flat_map(key_parameters).find_map(|credential| opens(&credential));
    let client_key = in_query
        .or_else(|| header_credentials(&parts.headers).find_map(opens))
        .map(Arc::clone)
        .ok_or_else(Failure::unauthorized)?;
    // Only someone with a valid key learns which groups exist.
    let group = Arc::clone(group.ok_or_else(|| Failure::unknown_group(&name))?);
    if leaves_base(path) {
        return Err(Failure::bad_request("The path must not contain '.' or '..' segments"));
    }
    let query = match query {
        Some(query) if in_query.is_some() => without_parameters(query, |value| opens(value).is_some()),
        other => other.map(str::to_owned),
    };
    Ok(Admitted { path: if path.is_empty() { "/".to_owned() } else { path.to_owned() }, group, query, client_key })
}

/// The channel whose error shape an unknown caller most likely understands.
pub(super) fn likely_channel(parts: &Parts) -> Channel {
    let path = parts.uri.path();
    if parts.headers.contains_key("anthropic-version") || path.ends_with("/v1/messages") {
        Channel::Anthropic
    } else if parts.headers.contains_key("x-goog-api-key") || (path.contains("/v1beta/") && !path.contains("/openai/"))
    {
        Channel::Gemini
    } else {
        Channel::OpenAi
    }
}

/// Whether the target is `/proxy/{group}/api/integration/info`, which we answer ourselves.
pub(crate) fn is_integration_info(path: &str) -> bool {
    split_target(path).1 == "/api/integration/info"
}

/// The group's name and the encoded rest of the path.
fn split_target(path: &str) -> (Cow<'_, str>, &str) {
    let rest = path.strip_prefix(PREFIX).unwrap_or("");
    let end = rest.find('/').unwrap_or(rest.len());
    (percent_decode_str(&rest[..end]).decode_utf8_lossy(), &rest[end..])
}

/// Credentials in headers, in the order in which the original looks for them. All are tried: one that is meant for
/// the upstream must not defeat one that is meant for us.
fn header_credentials(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, credential) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
    });
    let plain = ["x-api-key", "x-goog-api-key"]
        .into_iter()
        .filter_map(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    bearer.into_iter().chain(plain).filter(|credential| !credential.is_empty())
}

fn key_parameters(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    query.split('&').filter_map(value_of_key).map(decoded_parameter).filter(|credential| !credential.is_empty())
}

/// The value of a parameter that is called `key`, however its name is spelled.
fn value_of_key(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=')?;
    (name == "key" || (name.contains('%') && decoded_parameter(name) == "key")).then_some(value)
}

/// The query without the `key` parameters whose value is a credential of ours; the rest is untouched, byte for byte.
fn without_parameters(query: &str, is_credential: impl Fn(&str) -> bool) -> Option<String> {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !value_of_key(pair).is_some_and(|value| is_credential(&decoded_parameter(value))))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn decoded_parameter(value: &str) -> Cow<'_, str> {
    if value.contains('+') {
        percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned().into()
    } else {
        percent_decode_str(value).decode_utf8_lossy()
    }
}

/// Whether any reading of the path has a segment that climbs out of the configured base path, also when it is
/// percent-encoded or hidden behind an encoded slash.
fn leaves_base(path: &str) -> bool {
    if !path.contains('.') && !path.contains('%') {
        return false;
    }
    let decoded = percent_decode_str(path).collect::<Vec<u8>>();
    decoded.split(|&byte| byte == b'/' || byte == b'\\').any(|segment| matches!(segment, b"." | b".."))
}

/// The client's address: the peer, or what a trusted proxy says it received the request from.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpBlock]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|block| block.contains(*address));
    if trusted.is_empty() || !is_trusted(&peer) {
        return peer;
    }
    // The right-most address that no trusted proxy owns: everything left of it is what the client claims.
    let mut hops = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        hops.extend(value.to_str().unwrap_or_default().split(',').map(|hop| hop.trim().parse::<IpAddr>()));
    }
    if hops.is_empty() {
        let real = headers.get("x-real-ip").and_then(|value| value.to_str().ok());
        return real.and_then(|text| text.trim().parse().ok()).unwrap_or(peer);
    }
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        let Ok(address) = hop else { break };
        client = address;
        if !is_trusted(&address) {
            break;
        }
    }
    client
}

/// Whether the client spoke HTTPS, as a trusted proxy says. Of several in a row the first one talked to the client.
pub(super) fn came_over_https(peer: IpAddr, headers: &HeaderMap, trusted: &[IpBlock]) -> bool {
    let is_trusted = trusted.iter().any(|block| block.contains(peer));
    let scheme = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()?.split(',').next());
    is_trusted && scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_behind_the_group() {
        let check = |path: &str, group: &str, rest: &str| {
            assert_eq!(split_target(path), (Cow::from(group), rest), "{path}");
        };
        check("/proxy/g/v1/models", "g", "/v1/models");
        check("/proxy/g", "g", "");
        check("/proxy/g/", "g", "/");
        check("/proxy/%67/a%2Fb", "g", "/a%2Fb");
        check("/proxy/", "", "");
    }

    #[test]
    fn a_credential_is_removed_from_the_query_and_nothing_else_changes() {
        let check = |query: &str, expected: Option<&str>| {
            assert_eq!(without_parameters(query, |value| value == "P").as_deref(), expected, "{query}");
        };
        check("key=P", None);
        check("z=1&key=P&a=b%20c", Some("z=1&a=b%20c"));
        check("key=theirs&key=P&&b", Some("key=theirs&&b"));
        check("key=%50&monkey=P", Some("monkey=P"));
        check("%6bey=P&%6b=P&ke%79=theirs", Some("%6b=P&ke%79=theirs"));
    }

    #[test]
    fn every_spelling_of_a_climbing_path_is_seen() {
        for path in ["/../admin", "/a/%2e%2e/b", "/a/..%2fb", "/a/%2E./b", "/a\\..\\b", "/a/..", "/./a", "/%5c..%5cb"] {
            assert!(leaves_base(path), "{path}");
        }
        for path in ["/v1/models/org%2Fname", "/v1/a..b", "/.well-known", "/v1/file.txt", "/"] {
            assert!(!leaves_base(path), "{path}");
        }
    }

    #[test]
    fn a_named_proxy_tells_whether_the_client_spoke_https() {
        #[track_caller]
        fn check(peer: &str, told: Option<&str>, trusted: &[IpBlock], expected: bool) {
            let headers = told.map(|told| ("x-forwarded-proto".parse().unwrap(), told.parse().unwrap()));
            let headers: HeaderMap = headers.into_iter().collect();
            assert_eq!(came_over_https(peer.parse().unwrap(), &headers, trusted), expected, "{peer} {told:?}");
        }
        let trusted = [IpBlock::parse("10.0.0.0/8").unwrap()];
        check("10.0.0.1", Some("https"), &trusted, true);
        check("10.0.0.1", Some("HTTPS, http"), &trusted, true);
        check("10.0.0.1", Some("http, https"), &trusted, false);
        check("10.0.0.1", None, &trusted, false);
        check("198.51.100.1", Some("https"), &trusted, false);
        check("10.0.0.1", Some("https"), &[], false);
    }

    #[test]
    fn forwarding_headers_are_believed_from_named_proxies_only() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [IpBlock::parse("10.0.0.0/8").unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.7".parse().unwrap());
        assert_eq!(client_address(address("10.0.0.1"), &headers, &trusted), address("203.0.113.9"));
        assert_eq!(client_address(address("198.51.100.1"), &headers, &trusted), address("198.51.100.1"));
        assert_eq!(client_address(address("10.0.0.1"), &headers, &[]), address("10.0.0.1"));
        headers.insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(client_address(address("10.0.0.1"), &headers, &trusted), address("10.0.0.1"));
    }
}
