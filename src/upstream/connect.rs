//! Makes connections: name resolution, TCP, the outbound proxy, TLS.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Uri};
use hyper_util::{
    client::{
        legacy::connect::{
            HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::{Address, ClientOptions, SendError, connection::Stream};
use crate::config::{OutboundProxy, proxy_url};

const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// RFC 1928: where SOCKS proxies conventionally listen.
const SOCKS_PORT: u16 = 1080;

/// Connects with one set of options.
pub(super) struct Connector {
    tcp: HttpConnector,
    connect_timeout: Duration,
    proxies: Proxies,
    http2: bool,
}

enum Proxies {
    /// Named by the operator for this group: always used, loopback included.
    Configured(Matcher),
    /// `HTTP_PROXY` and its kin: `NO_PROXY` holds, and loopback is never proxied.
    Environment {
        matcher: Matcher,
        /// Intercepts what is *not* excepted on this port.
        on_port: Vec<(u16, Matcher)>,
    },
    /// A configured URL that cannot be used fails every attempt: going out directly instead could betray a client's
    /// location.
    Unusable(String),
}

/// A connection, and how requests on it must be written.
pub(super) struct Connected {
    pub(super) stream: Stream,
    /// The other side agreed to HTTP/2.
    pub(super) is_http2: bool,
    /// The other side is an HTTP proxy: requests name their whole target.
    pub(super) via_proxy: Option<ViaProxy>,
}

#[derive(Clone)]
pub(super) struct ViaProxy {
    pub(super) authorization: Option<HeaderValue>,
}

impl Connector {
    pub(super) fn new(options: &ClientOptions, environment: &OutboundProxy) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let proxies = if options.proxy_url.is_empty() {
            let builder = || Matcher::builder().http(environment.http.as_str()).https(environment.https.as_str());
            let on_port = environment.exceptions_on_port.iter();
            Proxies::Environment {
                matcher: builder().no(environment.exceptions.as_str()).build(),
                on_port: on_port.map(|(host, port)| (*port, builder().no(host.as_str()).build())).collect(),
            }
        } else {
            proxy_url(&options.proxy_url).map_or_else(
                |problem| Proxies::Unusable(format!("proxy_url cannot be used: {problem}")),
                |url| Proxies::Configured(Matcher::builder().all(url).build()),
            )
        };
        Self { tcp, connect_timeout: options.connect_timeout, proxies, http2: options.http2 }
    }

    /// # Errors
    /// Every error means that nothing was sent.
    pub(super) async fn connect(&self, address: &Address, http2_allowed: bool) -> Result<Connected, SendError> {
        let offer_http2 = self.http2 && http2_allowed;
        let target = Uri::builder()
            .scheme(address.scheme.clone())
            .authority(format!("{}:{}", bracketed(&address.host), address.port))
            .path_and_query("/")
            .build()
            .map_err(|error| SendError::Connect(error.to_string()))?;
        let proxy = self.proxy_for(&target, address)?;
        let via_proxy = proxy
            .as_ref()
            .filter(|proxy| is_http_proxy(proxy) && !address.is_tls())
            .map(|proxy| ViaProxy { authorization: proxy.basic_auth().cloned() });
        let reach = async {
            match &proxy {
                None => self.first_hop(false).call(target).await.map(TokioIo::into_inner),
                Some(proxy) if via_proxy.is_some() => {
                    self.first_hop(true).call(proxy.uri().clone()).await.map(TokioIo::into_inner)
                }
                Some(proxy) => self.through(proxy, target).await,
            }
        };
        let stream = tokio::time::timeout(self.connect_timeout, reach)
            .await
            .map_err(|_| SendError::ConnectTimeout(self.connect_timeout))??;
        if !address.is_tls() {
            // A proxy reads the requests itself, and in HTTP/1.1.
            return Ok(Connected { stream, is_http2: offer_http2 && via_proxy.is_none(), via_proxy });
        }
        let tls = secure(stream, &address.host, offer_http2).await?;
        let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Connected { stream: Stream::layered(tls), is_http2, via_proxy: None })
    }

    fn proxy_for(&self, target: &Uri, address: &Address) -> Result<Option<Intercept>, SendError> {
        match &self.proxies {
            // Never directly, whatever the matcher makes of the URL.
            Proxies::Configured(matcher) => match matcher.intercept(target) {
                Some(proxy) => Ok(Some(proxy)),
                None => Err(SendError::Unsendable("proxy_url cannot be used for this upstream".to_owned())),
            },
            Proxies::Environment { .. } if is_loopback(&address.host) => Ok(None),
            Proxies::Environment { matcher, on_port } => {
                let mut on_port = on_port.iter().filter(|(port, _)| *port == address.port);
                let is_excepted = on_port.any(|(_, excepting)| excepting.intercept(target).is_none());
                Ok(matcher.intercept(target).filter(|_| !is_excepted))
            }
            Proxies::Unusable(reason) => Err(SendError::Unsendable(reason.clone())),
        }
    }

    fn first_hop(&self, is_proxy: bool) -> FirstHop {
        FirstHop { tcp: self.tcp.clone(), connect_timeout: self.connect_timeout, is_proxy }
    }

    async fn through(&self, proxy: &Intercept, target: Uri) -> Result<Stream, SendError> {
        let refused = |error: &(dyn std::error::Error + 'static)| {
            shortage(error).unwrap_or_else(|| SendError::Proxy(chain(error)))
        };
        if is_http_proxy(proxy) {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), self.first_hop(true));
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            return tunnel.call(target).await.map(TokioIo::into_inner).map_err(|error| refused(&error));
        }
        // The proxy resolves the name: neither `socks5` nor `socks5h` asks our resolver.
        let hop = with_port(proxy.uri(), SOCKS_PORT)?;
        let mut socks = SocksV5::new(hop, self.first_hop(true));
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(target).await.map(TokioIo::into_inner).map_err(|error| refused(&error))
    }
}

/// Reaches the next machine: TCP, and TLS where it is an `https` proxy.
#[derive(Clone)]
struct FirstHop {
    tcp: HttpConnector,
    connect_timeout: Duration,
    is_proxy: bool,
}

impl Service<Uri> for FirstHop {
    type Response = TokioIo<Stream>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, hop: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let connect_timeout = self.connect_timeout;
        let tls_host = (self.is_proxy && hop.scheme_str() == Some("https"))
            .then(|| hop.host().unwrap_or_default().trim_matches(['[', ']']).to_owned());
        Box::pin(async move {
            let tcp = tcp.call(hop).await.map_err(|error| {
                shortage(&error).unwrap_or_else(|| {
                    if is_timeout(&error) {
                        SendError::ConnectTimeout(connect_timeout)
                    } else {
                        SendError::Connect(chain(&error))
                    }
                })
            })?;
            let stream = Stream::Plain(tcp.into_inner());
            Ok(TokioIo::new(match tls_host {
                Some(host) => Stream::layered(secure(stream, &host, false).await?),
                None => stream,
            }))
        })
    }
}

async fn secure(stream: Stream, host: &str, offer_http2: bool) -> Result<TlsStream<Stream>, SendError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| SendError::Tls(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls_configuration(offer_http2)));
    let handshake = connector.connect(name, stream);
    match tokio::time::timeout(TLS_HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(SendError::Tls(error.to_string())),
        Err(_) => Err(SendError::Tls(format!("no handshake within {TLS_HANDSHAKE_TIMEOUT:?}"))),
    }
}

/// Trust in the system's roots and in the web's; made at first need, since reading the system's takes tens of
/// milliseconds that a start does not have.
fn tls_configuration(offer_http2: bool) -> &'static Arc<rustls::ClientConfig> {
    static CONFIGURATIONS: OnceLock<[Arc<rustls::ClientConfig>; 2]> = OnceLock::new();
    let configurations = CONFIGURATIONS.get_or_init(|| {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "A root certificate of the system cannot be read");
        }
        roots.add_parsable_certificates(native.certs);
        let mut http1 = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        [Arc::new(http1), Arc::new(http2)]
    });
    &configurations[usize::from(offer_http2)]
}

/// Reads the system's root certificates, so that no request has to wait for it.
pub(crate) fn load_root_certificates() {
    tls_configuration(false);
}

/// Whether a connection failed for want of something of this machine's own: descriptors, ports, buffers, memory.
fn shortage(error: &(dyn std::error::Error + 'static)) -> Option<SendError> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let is_ours = causes.any(|cause| {
        let errno = cause.downcast_ref::<std::io::Error>().and_then(Errno::from_io_error);
        let is_passed_on = matches!(cause.downcast_ref(), Some(SendError::Shortage(_)));
        is_passed_on
            || matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM))
    });
    is_ours.then(|| SendError::Shortage(chain(error)))
}

fn with_port(hop: &Uri, default_port: u16) -> Result<Uri, SendError> {
    if hop.port().is_some() {
        return Ok(hop.clone());
    }
    let mut parts = hop.clone().into_parts();
    parts.authority = format!("{}:{default_port}", hop.host().unwrap_or_default()).parse().ok();
    Uri::from_parts(parts).map_err(|error| SendError::Proxy(error.to_string()))
}

fn is_http_proxy(proxy: &Intercept) -> bool {
    matches!(proxy.uri().scheme_str(), Some("http" | "https"))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn bracketed(host: &str) -> std::borrow::Cow<'_, str> {
    if host.contains(':') { format!("[{host}]").into() } else { host.into() }
}

/// Whether a timer, the connector's or the system's, ended it.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_own =
        error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
    is_own || error.source().is_some_and(is_timeout)
}

/// An error with its causes: libraries tend to keep the interesting part in the source.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::GroupSettings;

    fn connector(proxy_url: &str, environment: &OutboundProxy) -> Connector {
        let settings = GroupSettings { proxy_url: proxy_url.to_owned(), ..GroupSettings::default() };
        Connector::new(&ClientOptions::new(&settings), environment)
    }

    /// Where a connection to an upstream would go; `None`: straight there.
    fn hop(connector: &Connector, upstream: &str) -> Result<Option<String>, SendError> {
        let address = Address::parse(upstream).unwrap();
        let proxy = connector.proxy_for(&upstream.parse().unwrap(), &address)?;
        Ok(proxy.map(|proxy| proxy.uri().to_string()))
    }

    #[test]
    fn a_configured_proxy_is_always_used_however_it_is_written() {
        let check = |configured: &str, expected: &str| {
            let connector = connector(configured, &OutboundProxy::default());
            for upstream in ["https://api.example.com", "http://127.0.0.1:1"] {
                assert_eq!(hop(&connector, upstream).unwrap().as_deref(), Some(expected), "{configured}");
            }
        };
        check("SOCKS5://proxy:1080", "socks5://proxy:1080/");
        check(" http://me:p^ss@proxy:8080/x ", "http://proxy:8080/");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_not_bypassed() {
        for configured in ["127.0.0.1:8080", "socks4://proxy", "http://"] {
            let connector = connector(configured, &OutboundProxy::default());
            assert!(
                matches!(hop(&connector, "https://api.example.com"), Err(SendError::Unsendable(_))),
                "{configured}"
            );
        }
    }

    #[test]
    fn the_environment_s_exceptions_hold_for_all_ports_or_for_one() {
        let environment = OutboundProxy {
            http: "http://proxy:1/".to_owned(),
            https: "http://proxy:2/".to_owned(),
            exceptions: "a.example".to_owned(),
            exceptions_on_port: vec![("b.example".to_owned(), 8443)],
        };
        let connector = connector("", &environment);
        let check = |upstream: &str, expected: Option<&str>| {
            assert_eq!(hop(&connector, upstream).unwrap().as_deref(), expected, "{upstream}");
        };
        check("http://c.example", Some("http://proxy:1/"));
        check("https://c.example:8443", Some("http://proxy:2/"));
        check("https://a.example:8443", None);
        check("https://b.example", Some("http://proxy:2/"));
        check("https://b.example:8443", None);
        check("https://x.b.example:8443", None);
        check("http://localhost:9", None);
    }

    proptest! {
        /// What may be saved is what connections are made with.
        #[test]
        fn whatever_is_accepted_as_a_proxy_is_used(text in "(http|HTTP|https|socks5|SOCKS5h)://([!-~é]{0,8}(:[!-~]{0,8})?@)?[!-~]{0,12}(:[0-9]{0,5})?[!-~]{0,4}") {
            if proxy_url(&text).is_ok() {
                let connector = connector(&text, &OutboundProxy::default());
                prop_assert!(hop(&connector, "https://api.example.com").is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn a_shortage_of_ours_is_no_outage_of_the_upstream() {
        #[derive(Debug, thiserror::Error)]
        #[error("tcp connect error")]
        struct Wrapped(#[source] std::io::Error);
        let judged = |errno: Errno| shortage(&Wrapped(errno.into())).map(|error| error.is_outage());
        assert_eq!(judged(Errno::MFILE), Some(false));
        assert_eq!(judged(Errno::ADDRNOTAVAIL), Some(false));
        assert_eq!(judged(Errno::CONNREFUSED), None);
        let through_a_proxy = SendError::Shortage(String::new());
        assert!(shortage(&through_a_proxy).is_some());
    }
}
