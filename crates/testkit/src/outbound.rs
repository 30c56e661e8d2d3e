//! A proxy on the way to an upstream, HTTP and SOCKS5 on one port, which remembers what it was asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

// RFC 1928 and RFC 1929.
const SOCKS_VERSION: u8 = 5;
const SOCKS_WITHOUT_CREDENTIALS: u8 = 0;
const SOCKS_USER_AND_PASSWORD: u8 = 2;
const SOCKS_IPV4: u8 = 1;
const SOCKS_NAME: u8 = 3;
const SOCKS_GRANTED: [u8; 10] = [SOCKS_VERSION, 0, 0, SOCKS_IPV4, 0, 0, 0, 0, 0, 0];

/// What a client asked the proxy for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// `GET http://host/path`, `CONNECT host:port` or `SOCKS5 host:port`.
    pub wanted: String,
    /// The value of `Proxy-Authorization`, or `user:password` of SOCKS5.
    pub credentials: Option<String>,
}

/// A running proxy. Dropping it closes its listener; connections in progress go on.
pub struct OutboundProxy {
    address: SocketAddr,
    hops: Arc<Mutex<Vec<Hop>>>,
    acceptor: JoinHandle<()>,
}

impl OutboundProxy {
    /// A proxy that reaches `destination` whatever it is asked for: the only place where made-up names mean something.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn towards(destination: SocketAddr) -> Self {
        Self::start(Some(destination)).await
    }

    /// A proxy that finds every credential wrong.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn refusing() -> Self {
        Self::start(None).await
    }

    async fn start(destination: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let hops = Arc::<Mutex<Vec<Hop>>>::default();
        let seen = Arc::clone(&hops);
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A broken connection concerns nobody else.
                tokio::spawn(serve(client, destination, Arc::clone(&seen)));
            }
        });
        Self { address, hops, acceptor }
    }

    /// `HOST:PORT`, to be put behind a scheme and credentials.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked for so far, in order.
    pub fn hops(&self) -> Vec<Hop> {
        lock(&self.hops).clone()
    }
}

impl Drop for OutboundProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn serve(mut client: TcpStream, destination: Option<SocketAddr>, hops: Arc<Mutex<Vec<Hop>>>) -> io::Result<()> {
    let mut first = [0];
    client.read_exact(&mut first).await?;
    if first[0] == SOCKS_VERSION {
        socks(client, destination, &hops).await
    } else {
        http(client, first, destination, &hops).await
    }
}

async fn http(
    mut client: TcpStream,
    first: [u8; 1],
    destination: Option<SocketAddr>,
    hops: &Mutex<Vec<Hop>>,
) -> io::Result<()> {
    let mut head = first.to_vec();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (line, rest) = head.split_once("\r\n").unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = rest.lines().filter_map(|line| line.split_once(": "));
    let credentials = header.clone().find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let credentials = credentials.map(|(_, value)| value.to_owned());
    lock(hops).push(Hop { wanted: format!("{method} {target}"), credentials });
    let Some(destination) = destination else {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    };
    let mut upstream = TcpStream::connect(destination).await?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        let path = target.splitn(4, '/').nth(3).unwrap_or_default();
        upstream.write_all(format!("{method} /{path} HTTP/1.1\r\n{rest}").as_bytes()).await?;
    }
    copy_bidirectional(&mut client, &mut upstream).await.map(drop)
}

async fn socks(mut client: TcpStream, destination: Option<SocketAddr>, hops: &Mutex<Vec<Hop>>) -> io::Result<()> {
    let methods = read_counted(&mut client).await?;
    let has_credentials = methods.contains(&SOCKS_USER_AND_PASSWORD);
    let method = if has_credentials { SOCKS_USER_AND_PASSWORD } else { SOCKS_WITHOUT_CREDENTIALS };
    client.write_all(&[SOCKS_VERSION, method]).await?;
    let mut credentials = None;
    if has_credentials {
        client.read_u8().await?;
        let user = read_counted(&mut client).await?;
        let password = read_counted(&mut client).await?;
        credentials = Some(format!("{}:{}", String::from_utf8_lossy(&user), String::from_utf8_lossy(&password)));
        client.write_all(&[1, u8::from(destination.is_none())]).await?;
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = if request[3] == SOCKS_NAME {
        String::from_utf8_lossy(&read_counted(&mut client).await?).into_owned()
    } else {
        let mut address = [0; 4];
        client.read_exact(&mut address).await?;
        std::net::Ipv4Addr::from(address).to_string()
    };
    let port = client.read_u16().await?;
    lock(hops).push(Hop { wanted: format!("SOCKS5 {host}:{port}"), credentials });
    let Some(destination) = destination else { return Ok(()) };
    let mut upstream = TcpStream::connect(destination).await?;
    client.write_all(&SOCKS_GRANTED).await?;
    copy_bidirectional(&mut client, &mut upstream).await.map(drop)
}

/// A length in one byte, and that many bytes.
async fn read_counted(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A test that panicked while it held the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
