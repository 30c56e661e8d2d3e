//! After a 101: bytes both ways, until one side has enough.

use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{in_flight::Slot, record::Record};

/// Both sides must follow the 101 at once.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Tunnels that are open, so that a stop can wait for them.
#[derive(Clone, Default)]
pub(crate) struct Tunnels {
    pub(crate) tracker: TaskTracker,
    /// Cancelled when the stop will wait no longer.
    pub(crate) end: CancellationToken,
}

impl Tunnels {
    /// Runs the tunnel on the current thread; the record is closed when it ends.
    pub(super) fn open(&self, client: OnUpgrade, upstream: OnUpgrade, mut record: Record, slot: Slot) {
        let end = self.end.clone();
        self.tracker.spawn(async move {
            let _slot = slot;
            let both = async { tokio::try_join!(client, upstream) };
            let (client, upstream) = match tokio::time::timeout(UPGRADE_TIMEOUT, both).await {
                Ok(Ok(both)) => both,
                Ok(Err(error)) => return record.close_answered(format!("The upgrade failed: {error}")),
                Err(_) => return record.close_answered("The upgrade did not finish"),
            };
            let mut client = TokioIo::new(client);
            let mut upstream = TokioIo::new(upstream);
            tokio::select! {
                copied = tokio::io::copy_bidirectional(&mut client, &mut upstream) => match copied {
                    Ok(_) => record.close_answered(""),
                    Err(error) => record.close_answered(format!("The tunnel broke: {error}")),
                },
                () = end.cancelled() => record.close_answered("The tunnel was closed because this server stopped"),
            }
        });
    }
}
