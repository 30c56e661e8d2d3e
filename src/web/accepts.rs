//! What a client's headers say that it takes, and that it has (RFC 9110, sections 12.5 and 13.1.2).

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether a list such as `br;q=0.9, gzip` names something, and does not refuse it by a weight of zero. Wildcards name
/// nothing: whoever takes anything takes what we would rather send.
pub(super) fn accepts(headers: &HeaderMap, list: HeaderName, name: &str) -> bool {
    items(headers, list).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        is_named && !parts.any(is_zero_weight)
    })
}

/// Whether a list of tags holds ours, or any will do.
pub(super) fn is_known(headers: &HeaderMap, list: HeaderName, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
    let Ok(ours) = tag.to_str().map(opaque) else { return false };
    items(headers, list).any(|item| item == "*" || opaque(item) == ours)
}

fn items(headers: &HeaderMap, list: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(list)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}
