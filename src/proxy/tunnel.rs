//! After a 101: bytes both ways, until one side has enough.

use std::{io, time::Duration};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::task::TaskTracker;

use super::{in_flight::Slot, record::Record};

/// Both sides must follow the 101 at once.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one side may go on after the other has ended: long enough for what was under way.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// Tunnels that are open, so that a stop can wait for them.
#[derive(Clone, Default)]
pub(crate) struct Tunnels {
    pub(crate) tracker: TaskTracker,
}

impl Tunnels {
    /// Runs the tunnel on the current thread; the record is closed when it ends.
    pub(super) fn open(&self, client: OnUpgrade, upstream: OnUpgrade, mut record: Record, slot: Slot) {
        self.tracker.spawn(async move {
            let _slot = slot;
            let both = async { tokio::try_join!(client, upstream) };
            let (client, upstream) = match tokio::time::timeout(UPGRADE_TIMEOUT, both).await {
                Ok(Ok(both)) => both,
                Ok(Err(error)) => return record.close_answered(format!("The upgrade failed: {error}")),
                Err(_) => return record.close_answered("The upgrade did not finish"),
            };
            match carry(TokioIo::new(client), TokioIo::new(upstream)).await {
                Ok(()) => record.close_answered(""),
                Err(error) => record.close_answered(format!("The tunnel broke: {error}")),
            }
        });
    }
}

/// Returns when one side has ended and the other has followed, or had its time to.
async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let up = one_way(from_client, to_upstream);
    let down = one_way(from_upstream, to_client);
    tokio::pin!(up, down);
    let farewell = tokio::select! {
        ended = &mut up => {
            ended?;
            tokio::time::timeout(FAREWELL_TIMEOUT, down).await
        }
        ended = &mut down => {
            ended?;
            tokio::time::timeout(FAREWELL_TIMEOUT, up).await
        }
    };
    // Half a tunnel is of no use to either side, and would hold its place for ever.
    farewell.unwrap_or(Ok(()))
}

async fn one_way<R: AsyncRead, W: AsyncWrite>(mut from: ReadHalf<R>, mut to: WriteHalf<W>) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
