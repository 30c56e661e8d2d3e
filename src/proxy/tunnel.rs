//! After a 101: bytes both ways, until one side has enough.

use bytes::Bytes;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{in_flight::Slot, record::Record};
use crate::upstream::Stream;

/// The upstream's side of a tunnel, from its 101 on.
pub(super) struct Tunnel {
    pub(super) upstream: Stream,
    /// What the upstream sent right behind its 101.
    pub(super) received: Bytes,
    pub(super) record: Record,
    pub(super) slot: Slot,
    /// Cancelled when a stop waits no longer.
    pub(super) cut: CancellationToken,
}

impl Tunnel {
    /// Copies until one side ends; dropping it closes both.
    pub(super) async fn run(self, mut client: TcpStream, from_client: Bytes) {
        let Self { mut upstream, received, mut record, slot: _slot, cut } = self;
        let copying = async {
            client.write_all(&received).await?;
            upstream.write_all(&from_client).await?;
            copy_bidirectional(&mut client, &mut upstream).await
        };
        match cut.run_until_cancelled(copying).await {
            Some(Ok(_)) => record.close_answered(""),
            Some(Err(error)) => record.close_answered(format!("The tunnel broke: {error}")),
            None => record.close_answered("The tunnel was closed because this server stopped"),
        }
    }
}
