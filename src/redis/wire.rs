//! The way to a Redis server: a TCP connection, with TLS around it where wanted, or a Unix socket.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};

use super::{
    problem::Problem,
    target::{Address, Manners},
    tls,
};

/// Anything that carries bytes both ways.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Carrier for T {}

pub(super) type Wire = Box<dyn Carrier>;

/// Connects within the time limit of `manners`.
pub(super) async fn connect(address: &Address, manners: &Manners) -> Result<Wire, Problem> {
    let place = address.to_string();
    let deadline = Instant::now() + manners.dial_within;
    let too_late = |doing: &str| Problem::silent(&place, doing, manners.dial_within);
    match address {
        Address::Unix { path } => {
            let connected = timeout_at(deadline, UnixStream::connect(path)).await;
            let stream = connected.map_err(|_| too_late("a connection"))?;
            Ok(Box::new(stream.map_err(|error| Problem::not_reached(&place, &error))?))
        }
        Address::Tcp { host, port, tls } => {
            let resolved = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), *port))).await;
            let resolved = resolved.map_err(|_| {
                let what = format!("has a host name that was not resolved within {:?}", manners.dial_within);
                Problem::new(&place, what)
            })?;
            let candidates: Vec<_> = resolved.map_err(|error| Problem::unknown_host(&place, &error))?.collect();
            let stream = reach_one_of(&candidates, deadline).await;
            let stream = stream.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => too_late("a connection (a firewall, or a wrong address in REDIS_DSN?)"),
                _ => Problem::not_reached(&place, &error),
            })?;
            // A notice is a few bytes, which must not wait for more of them. Without it they are merely late.
            let _ = stream.set_nodelay(true);
            let Some(trust) = tls else {
                return Ok(Box::new(stream));
            };
            let secured = timeout_at(deadline, tls::secure(stream, host, trust.skip_verify)).await;
            let secured = secured.map_err(|_| too_late("the handshake of TLS (without TLS it is redis://)"))?;
            Ok(Box::new(secured.map_err(|error| Problem::insecure(&place, &error))?))
        }
    }
}

/// The first address that answers. Each has its share of the time that is left, so that a dead one leaves some to the next.
async fn reach_one_of(candidates: &[std::net::SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut left = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
    for candidate in candidates {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match tokio::time::timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}
