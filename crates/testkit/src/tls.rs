//! TLS in front of an upstream that speaks none, with a certificate that nobody trusts unless told to.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Signed by itself, for `localhost` and `upstream.invalid`.
const CERTIFICATE: &str = include_str!("tls/certificate.pem");
/// Worth nothing: nobody outside of the tests trusts the certificate.
const KEY: &str = include_str!("tls/key.pem");

/// A running TLS terminator. Dropping it closes its listener; connections in progress go on.
pub struct TlsFront {
    address: SocketAddr,
    acceptor: JoinHandle<()>,
}

impl TlsFront {
    /// Listens on a free loopback port and hands everything on to `destination`. It agrees to HTTP/2 and to HTTP/1.1,
    /// and ends when the destination does, without the farewell of TLS.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn before(destination: SocketAddr) -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut configuration = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key fits the certificate");
        configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(configuration));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tls = tls.clone();
                // A client that finds the certificate wrong leaves, which concerns nobody else.
                tokio::spawn(async move {
                    let (client, mut upstream) = tokio::try_join!(tls.accept(client), TcpStream::connect(destination))?;
                    let (mut from_client, mut to_client) = tokio::io::split(client);
                    let (mut from_upstream, mut to_upstream) = upstream.split();
                    tokio::select! {
                        copied = copy(&mut from_client, &mut to_upstream) => copied,
                        copied = copy(&mut from_upstream, &mut to_client) => copied,
                    }
                });
            }
        });
        Self { address, acceptor }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Its certificate as PEM, for those who are to trust it.
    pub fn certificate() -> &'static str {
        CERTIFICATE
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}
