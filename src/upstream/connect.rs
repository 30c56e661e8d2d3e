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
use rustls::pki_types::ServerName;
use tower_service::Service;

use super::{
    Address, ClientOptions, SendError,
    connection::{Stream, Tls},
};
use crate::config::OutboundProxy;

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
    Environment(Matcher),
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
            Proxies::Environment(
                Matcher::builder()
                    .http(environment.http.as_str())
                    .https(environment.https.as_str())
                    .no(environment.exceptions.as_str())
                    .build(),
            )
        } else {
            check_proxy_url(&options.proxy_url).map_or_else(Proxies::Unusable, |()| {
                Proxies::Configured(Matcher::builder().all(options.proxy_url.as_str()).build())
            })
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
        let proxy = self.proxy_for(&target, &address.host)?;
        let via_proxy = proxy
            .as_ref()
            .filter(|proxy| is_http_proxy(proxy) && !address.is_tls())
            .map(|proxy| ViaProxy { authorization: proxy.basic_auth().cloned() });
        let reach = async {
            match &proxy {
                None => self.first_hop(false).call(target).await,
                Some(proxy) if via_proxy.is_some() => self.first_hop(true).call(proxy.uri().clone()).await,
                Some(proxy) => self.through(proxy, target).await,
            }
        };
        let stream = tokio::time::timeout(self.connect_timeout, reach)
            .await
            .map_err(|_| SendError::ConnectTimeout(self.connect_timeout))??;
        if !address.is_tls() {
            return Ok(Connected { stream, is_http2: offer_http2, via_proxy });
        }
        let tls = secure(stream, &address.host, offer_http2).await?;
        let is_http2 = tls.inner().get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Connected { stream: Stream::layered(tls), is_http2, via_proxy: None })
    }

    fn proxy_for(&self, target: &Uri, host: &str) -> Result<Option<Intercept>, SendError> {
        match &self.proxies {
            Proxies::Configured(matcher) => Ok(matcher.intercept(target)),
            Proxies::Environment(_) if is_loopback(host) => Ok(None),
            Proxies::Environment(matcher) => Ok(matcher.intercept(target)),
            Proxies::Unusable(reason) => Err(SendError::Unsendable(reason.clone())),
        }
    }

    fn first_hop(&self, is_proxy: bool) -> FirstHop {
        FirstHop { tcp: self.tcp.clone(), connect_timeout: self.connect_timeout, is_proxy }
    }

    async fn through(&self, proxy: &Intercept, target: Uri) -> Result<Stream, SendError> {
        let refused = |error: &dyn std::error::Error| SendError::Proxy(chain(error));
        if is_http_proxy(proxy) {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), self.first_hop(true));
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            return tunnel.call(target).await.map_err(|error| refused(&error));
        }
        // The proxy resolves the name: neither `socks5` nor `socks5h` asks our resolver.
        let hop = with_port(proxy.uri(), SOCKS_PORT)?;
        let mut socks = SocksV5::new(hop, self.first_hop(true));
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(target).await.map_err(|error| refused(&error))
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
    type Response = Stream;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, hop: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let connect_timeout = self.connect_timeout;
        let tls_host = (self.is_proxy && hop.scheme_str() == Some("https"))
            .then(|| hop.host().unwrap_or_default().trim_matches(['[', ']']).to_owned());
        Box::pin(async move {
            let connected = tcp.call(hop).await.map_err(|error| {
                if is_timeout(&error) {
                    SendError::ConnectTimeout(connect_timeout)
                } else {
                    SendError::Connect(chain(&error))
                }
            });
            let stream = Stream::Plain(connected?);
            match tls_host {
                Some(host) => Ok(Stream::layered(secure(stream, &host, false).await?)),
                None => Ok(stream),
            }
        })
    }
}

/// The connector has its own clock, since it divides the time among the addresses of a name.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
    })
}

async fn secure(stream: Stream, host: &str, offer_http2: bool) -> Result<Tls, SendError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| SendError::Tls(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls_configuration(offer_http2)));
    let handshake = connector.connect(name, TokioIo::new(stream));
    match tokio::time::timeout(TLS_HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
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

/// # Errors
/// Why the URL cannot be a proxy; without its password.
fn check_proxy_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("proxy_url is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" if url.host().is_some() => Ok(()),
        "http" | "https" | "socks5" | "socks5h" => Err("proxy_url has no host".to_owned()),
        other => Err(format!("proxy_url must begin with http://, https://, socks5:// or socks5h://, not {other}:")),
    }
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
