//! The base URL of an upstream, taken apart once so that no request parses it again.

use base64::Engine as _;
use http::{HeaderValue, uri::Scheme};
use sha2::{Digest, Sha256};

/// A base URL such as `https://user:password@host/base?api-version=1`.
pub(crate) struct Address {
    pub(crate) scheme: Scheme,
    /// Host without brackets, for TLS and for name resolution.
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// Value of the `Host` header: the port is left out where it is the scheme's own.
    pub(crate) host_header: HeaderValue,
    /// Scheme, host and port, for people to read.
    shown: Box<str>,
    /// Encoded path without trailing slashes.
    path: Box<str>,
    query: Option<Box<str>>,
    /// `Basic …` from the URL's user information; sent where nothing else sets `Authorization`.
    pub(crate) basic_authorization: Option<HeaderValue>,
    /// Tells connections to different places apart: scheme, host and port.
    pub(crate) origin: u128,
}

impl Address {
    /// # Errors
    /// A text that says what is wrong with the URL; it never contains the URL's password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text.trim()).map_err(|error| format!("not a URL: {error}"))?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            other => return Err(format!("the scheme must be http or https, not {other}")),
        };
        let host = match url.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(address)) => address.to_string(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
            None => return Err("the host is missing".to_owned()),
        };
        let port = url.port_or_known_default().ok_or("the port is missing")?;
        let shown_host = url.host_str().unwrap_or(&host);
        let host_header = match url.port() {
            Some(port) => format!("{shown_host}:{port}"),
            None => shown_host.to_owned(),
        };
        let basic_authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
                let pair = format!("{}:{}", decode(user), decode(password.unwrap_or("")));
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
                    .map_err(|_| "the user information cannot be sent".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            host_header: HeaderValue::try_from(&host_header)
                .map_err(|_| "the host cannot be sent in a header".to_owned())?,
            path: url.path().trim_end_matches('/').into(),
            query: url.query().filter(|query| !query.is_empty()).map(Into::into),
            basic_authorization,
            shown: format!("{scheme}://{host_header}").into(),
            origin: identity(&format!("{scheme}://{host_header}:{port}")),
            scheme,
            host: host.into(),
            port,
        })
    }

    /// The upstream's path and query for a request: `path` is appended as it is, never decoded, de-duplicated or
    /// normalised; the base's own query comes first.
    pub(crate) fn path_and_query(&self, path: &str, query: Option<&str>) -> String {
        let mut text = String::with_capacity(self.path.len() + path.len() + query.map_or(0, str::len) + 16);
        text.push_str(&self.path);
        if !path.starts_with('/') {
            text.push('/');
        }
        text.push_str(path);
        let mut separator = '?';
        for part in [self.query.as_deref(), query].into_iter().flatten() {
            text.push(separator);
            text.push_str(part);
            separator = '&';
        }
        text
    }

    /// The encoded base path, without slashes at its end.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// How the log shows a target: without the base's user information and query, either of which may hold a credential.
    pub(crate) fn display(&self, path: &str, query: Option<&str>) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (mark, query) = query.map_or(("", ""), |query| ("?", query));
        [&self.shown, &self.path, slash, path, mark, query].concat()
    }

    /// How the log shows every target below this address: it begins like this, and goes on with a slash or a question mark.
    pub(crate) fn shown_base(&self) -> String {
        [&*self.shown, &self.path].concat()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

/// A number that stands for a text: the first half of its SHA-256.
pub(super) fn identity(text: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_appended_as_it_is() {
        let check = |base: &str, path: &str, query: Option<&str>, expected: &str| {
            assert_eq!(Address::parse(base).unwrap().path_and_query(path, query), expected, "{base} {path}");
        };
        check("https://api.example.com", "/v1/chat/completions", None, "/v1/chat/completions");
        check("https://host/openai/", "/v1/models", Some("limit=5"), "/openai/v1/models?limit=5");
        check("https://host/v1", "/v1/models", None, "/v1/v1/models");
        check("https://host/x?api-version=2", "/y", Some("a=1"), "/x/y?api-version=2&a=1");
        check("https://host", "/v1/models/org%2Fname", None, "/v1/models/org%2Fname");
        check("https://host///", "/", None, "/");
        check("https://host/base", "//a//b", None, "/base//a//b");
    }

    #[test]
    fn user_information_becomes_a_basic_credential_and_is_never_shown() {
        let address = Address::parse("https://me:p%40ss@host:8443/a?api-key=secret").unwrap();
        assert_eq!(address.basic_authorization.as_ref().unwrap(), "Basic bWU6cEBzcw==");
        assert_eq!(address.display("/b", Some("c=1")), "https://host:8443/a/b?c=1");
        assert_eq!(address.display("/b", None), "https://host:8443/a/b");
        assert_eq!(address.shown_base(), "https://host:8443/a");
        assert_eq!(address.host_header, "host:8443");
    }

    #[test]
    fn other_schemes_and_missing_hosts_are_refused() {
        for text in ["ftp://host", "http://", "host:80", ""] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_ipv6_host_keeps_its_brackets_in_the_header_only() {
        let address = Address::parse("http://[::1]:8080").unwrap();
        assert_eq!((&*address.host, address.host_header.to_str().unwrap()), ("::1", "[::1]:8080"));
    }
}
