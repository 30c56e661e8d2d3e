//! After a 101: bytes both ways, until one side has enough.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use super::{failure::Failure, headers, in_flight::Slot, record::Record, relay::ResponseBody};
use crate::upstream::Answer;

/// Both sides must follow the 101 at once.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Only WebSocket is tunnelled (RFC 6455, 4.1), and only over HTTP/1.1.
pub(super) fn take_upgrade(parts: &mut request::Parts) -> Option<OnUpgrade> {
    let upgrade = parts.extensions.remove::<OnUpgrade>()?;
    let names = |name: HeaderName, wanted: &str| {
        parts.headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
        })
    };
    (parts.method == Method::GET && names(header::CONNECTION, "upgrade") && names(header::UPGRADE, "websocket"))
        .then_some(upgrade)
}

/// The tunnels of one data-plane thread, so that a stop can wait for them.
#[derive(Default)]
pub(crate) struct Tunnels(TaskTracker);

impl Tunnels {
    /// Returns when the last one is closed. None may be opened any more.
    pub(crate) async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }

    /// Passes the 101 on and opens the tunnel behind it.
    ///
    /// # Errors
    /// 502 for an upstream that switches without being asked to.
    pub(super) fn relay(
        &self,
        mut answer: Answer,
        client: Option<OnUpgrade>,
        record: &mut Record,
        slot: Slot,
    ) -> Result<Response<ResponseBody>, Failure> {
        let Some(client) = client else {
            return Err(Failure {
                inner: "The upstream switched protocols without being asked to".to_owned(),
                ..Failure::new(StatusCode::BAD_GATEWAY, "UPSTREAM_ERROR", "The upstream's answer makes no sense")
            });
        };
        let upstream = hyper::upgrade::on(&mut answer);
        let (mut parts, _) = answer.into_parts();
        let upgrade = parts.headers.get(header::UPGRADE).cloned();
        headers::clean_response(&mut parts.headers);
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(upgrade) = upgrade {
            parts.headers.insert(header::UPGRADE, upgrade);
        }
        self.open(client, upstream, record.take(), slot);
        Ok(Response::from_parts(parts, ResponseBody::Whole(None)))
    }

    /// Runs the tunnel on the current thread; the record is closed when it ends.
    fn open(&self, client: OnUpgrade, upstream: OnUpgrade, mut record: Record, slot: Slot) {
        self.0.spawn(async move {
            let _slot = slot;
            let both = async { tokio::try_join!(client, upstream) };
            let (client, upstream) = match tokio::time::timeout(UPGRADE_TIMEOUT, both).await {
                Ok(Ok(both)) => both,
                Ok(Err(error)) => return record.close_answered(format!("The upgrade failed: {error}")),
                Err(_) => return record.close_answered("The upgrade did not finish"),
            };
            let mut client = TokioIo::new(client);
            let mut upstream = TokioIo::new(upstream);
            match tokio::io::copy_bidirectional(&mut client, &mut upstream).await {
                Ok(_) => record.close_answered(""),
                Err(error) => record.close_answered(format!("The tunnel broke: {error}")),
            }
        });
    }
}
