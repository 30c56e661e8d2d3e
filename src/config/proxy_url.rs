//! Outbound proxies: which URLs name one, and which hosts are reached without one.

use http::Uri;

/// The URL of a proxy in the one form that connections are made with: scheme in lower case, user and password encoded.
///
/// # Errors
/// Why it cannot be one; never with the password that may be in it.
pub(crate) fn proxy_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text.trim()).map_err(|error| format!("it is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
        return Err("it must begin with http://, https://, socks5:// or socks5h://".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("the host is missing".to_owned());
    }
    // What a proxy is asked for stands in the request, so nothing behind the host means anything.
    let place = format!("{}/", &url[..url::Position::BeforePath]);
    match place.parse::<Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(place),
        _ => Err("its host, user or password holds a character that must be percent-encoded".to_owned()),
    }
}

/// As `HTTP_PROXY` has it: the scheme may be missing and is `http` then.
pub(super) fn from_environment(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return proxy_url(text);
    }
    // `http//proxy` is a slip of the pen, and not a host named `http`.
    if text.trim_end_matches('/').contains('/') {
        return Err("it is not a URL".to_owned());
    }
    proxy_url(&format!("http://{}", text.trim()))
}

/// Splits `NO_PROXY` into hosts, and hosts that are excepted on one port only.
pub(super) fn exceptions(text: &str) -> (String, Vec<(String, u16)>) {
    let mut hosts = Vec::new();
    let mut on_port = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match with_port(entry) {
            Some((host, port)) => on_port.push((host.to_owned(), port)),
            None => hosts.push(entry),
        }
    }
    (hosts.join(","), on_port)
}

/// `host:443` and `[::1]:443`; an IPv6 address without brackets has no port.
fn with_port(entry: &str) -> Option<(&str, u16)> {
    let (host, port) = entry.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_one_form() {
        let check = |text: &str, expected: &str| assert_eq!(proxy_url(text).as_deref(), Ok(expected), "{text}");
        check(" http://proxy:8080 ", "http://proxy:8080/");
        check("SOCKS5://proxy:1080", "socks5://proxy:1080/");
        check("HTTPS://Proxy.Example/path?x", "https://proxy.example/");
        check("socks5h://me:p^ss@proxy:1080", "socks5h://me:p%5Ess@proxy:1080/");
        check("http://[::1]:8080", "http://[::1]:8080/");
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for text in
            ["127.0.0.1:8080", "proxy:8080", "proxy", "", "ftp://me:secret@proxy", "socks4://p", "http://", "socks5://"]
        {
            let problem = proxy_url(text).unwrap_err();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn the_environment_may_leave_the_scheme_out() {
        assert_eq!(from_environment("proxy:8080").as_deref(), Ok("http://proxy:8080/"));
        assert_eq!(from_environment("me:secret@proxy:8080").as_deref(), Ok("http://me:secret@proxy:8080/"));
        for text in ["htpp://proxy:8080", "http//proxy:8080", "http:/proxy:8080", "http:proxy:8080", "http://", " "] {
            assert!(from_environment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exceptions_may_name_a_port() {
        let (hosts, on_port) = exceptions(" a.example , b.example:8443,::1, [::1]:443,10.0.0.0/8,*,.c.example:80,d:x,");
        assert_eq!(hosts, "a.example,::1,10.0.0.0/8,*,d:x");
        let expected = [("b.example", 8443), ("::1", 443), (".c.example", 80)];
        assert_eq!(on_port, expected.map(|(host, port)| (host.to_owned(), port)));
    }
}
