//! After a 101: bytes both ways, until one side has enough.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, Version, header, request};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};

use super::{failure::Failure, headers, in_flight::Slot, record::Record, relay::ResponseBody};
use crate::{
    http1::{TakeOver, has_token},
    upstream::{Answer, Stream},
};

/// How long one side may go on after the other has ended: long enough for what was under way.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);
/// Of each direction.
const BUFFER_BYTES: usize = 8 * 1024;

/// Only WebSocket is tunnelled (RFC 6455, 4.1), and only over HTTP/1.1.
pub(super) fn is_asked_for(parts: &request::Parts) -> bool {
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && has_token(&parts.headers, header::CONNECTION, "upgrade")
        && has_token(&parts.headers, header::UPGRADE, "websocket")
}

/// Passes the 101 on, and opens the tunnel behind it: the client's connection turns into it.
///
/// # Errors
/// 502 for an upstream that switches without being asked to.
pub(super) fn relay(
    answer: Answer,
    is_asked_for: bool,
    record: &mut Record,
    mut slot: Slot,
) -> Result<Response<ResponseBody>, Failure> {
    let (mut parts, body) = answer.into_parts();
    let Some((upstream, received)) = body.into_stream().filter(|_| is_asked_for) else {
        let inner = "The upstream switched protocols without being asked to".to_owned();
        return Err(Failure::bad_gateway("The upstream's answer makes no sense", inner));
    };
    let upgrade = parts.headers.get(header::UPGRADE).cloned();
    headers::clean_response(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(upgrade) = upgrade {
        parts.headers.insert(header::UPGRADE, upgrade);
    }
    let record = record.take();
    slot.streams();
    parts.extensions.insert(TakeOver::new(|client, from_client| async move {
        let _slot = slot;
        run(client, from_client, upstream, received, record).await;
    }));
    Ok(Response::from_parts(parts, ResponseBody::Whole(None)))
}

/// Copies until one side ends; dropping it closes both. `received`: what the upstream sent right behind its 101.
async fn run(mut client: TcpStream, from_client: Bytes, mut upstream: Stream, received: Bytes, mut record: Record) {
    let carrying = async {
        client.write_all(&received).await.map_err(Broken::Client)?;
        upstream.write_all(&from_client).await.map_err(Broken::Upstream)?;
        upstream.flush().await.map_err(Broken::Upstream)?;
        carry(client, upstream).await
    };
    match carrying.await {
        Ok(()) => record.close_answered(""),
        Err(Broken::Client(error)) => record.close_abandoned(format!("The client broke the tunnel: {error}")),
        Err(Broken::Upstream(error)) => record.close_broken(format!("The upstream broke the tunnel: {error}")),
    }
}

/// The side on which a tunnel broke.
enum Broken {
    Client(io::Error),
    Upstream(io::Error),
}

/// Returns when one side has ended and the other has followed, or had its time to.
async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), Broken> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let up = one_way((from_client, Broken::Client), (to_upstream, Broken::Upstream));
    let down = one_way((from_upstream, Broken::Upstream), (to_client, Broken::Client));
    tokio::pin!(up, down);
    // What breaks once a side has said its last word breaks nothing. Half a tunnel is of no use to either side, and would
    // hold its place for ever.
    tokio::select! {
        ended = &mut up => {
            ended?;
            drop(tokio::time::timeout(FAREWELL_TIMEOUT, down).await);
        }
        ended = &mut down => {
            ended?;
            drop(tokio::time::timeout(FAREWELL_TIMEOUT, up).await);
        }
    }
    Ok(())
}

/// Each side comes with the name of what breaks there: `tokio::io::copy` does not say which one did.
async fn one_way<R: AsyncRead, W: AsyncWrite>(
    (mut from, source): (ReadHalf<R>, fn(io::Error) -> Broken),
    (mut to, sink): (WriteHalf<W>, fn(io::Error) -> Broken),
) -> Result<(), Broken> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from.read(&mut buffer).await.map_err(source)?;
        if length == 0 {
            return to.shutdown().await.map_err(sink);
        }
        to.write_all(&buffer[..length]).await.map_err(sink)?;
        to.flush().await.map_err(sink)?;
    }
}
