//! GET /api/logs/live: entries that match, as they happen, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::{
    IntoResponse as _,
    sse::{Event, KeepAlive, Sse},
};
use http::{HeaderValue, header::CACHE_CONTROL};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{Api, Entry, Wanted, filter};
use crate::{
    api::{
        answer::{Content, Sent},
        query::Query,
        refusal::Refusal,
    },
    request_log::{Watched, Watching},
};

/// Events that may wait for a client that reads slowly; entries behind them wait in the log, and are missed at last.
const EVENTS_PENDING_MAX: usize = 64;
/// So often a silent stream shows that it is alive.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long, while there is something to take, has lost its place.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client is to wait before it connects again.
const RETRY: Duration = Duration::from_secs(2);

pub(in crate::api) struct Events;

impl Content for Events {
    const TYPE: &'static str = "text/event-stream";
    const DESCRIPTION: &'static str = "Server-sent events without an end: `open` once, then `entry` with an entry as it is \
                                       listed, and `missed` with a `count` where the client read too slowly";
}

pub(in crate::api) async fn live(api: Api, query: Query<Wanted>) -> Result<Sent<Events>, Refusal> {
    let watching = api.log_live.watch(filter(&query)?);
    let place = Arc::clone(&api.0.live_places).try_acquire_owned().map_err(|_| Refusal::too_busy())?;
    let (sender, events) = mpsc::channel(EVENTS_PENDING_MAX);
    tokio::spawn(send(watching, sender, api.stopping.clone(), PATIENCE, place));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_INTERVAL);
    let mut response = Sse::new(ReceiverStream::new(events)).keep_alive(keep_alive).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx collects an answer unless it is told not to.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(Sent::new(response))
}

/// Until the client leaves or takes nothing any more, or the server stops: a stop waits for streams, and this one has no end of its own.
async fn send(
    mut watching: Watching,
    to: mpsc::Sender<Result<Event, Infallible>>,
    stopping: CancellationToken,
    patience: Duration,
    _place: OwnedSemaphorePermit,
) {
    let mut event = Event::default().event("open").retry(RETRY).data("{}");
    loop {
        let is_sent = tokio::select! {
            sent = tokio::time::timeout(patience, to.send(Ok(event))) => matches!(sent, Ok(Ok(()))),
            () = stopping.cancelled() => false,
        };
        if !is_sent {
            return;
        }
        let watched = tokio::select! {
            watched = watching.next() => watched,
            () = to.closed() => None,
            () = stopping.cancelled() => None,
        };
        event = match watched {
            Some(Watched::Entry(entry)) => {
                let event = Event::default().event("entry").id(&entry.id);
                match event.json_data(Entry::of(&entry, true)) {
                    Ok(event) => event,
                    Err(error) => return tracing::error!(%error, "An entry of the log cannot be shown live"),
                }
            }
            Some(Watched::Missed(count)) => Event::default().event("missed").data(format!("{{\"count\":{count}}}")),
            None => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{
        crypto::Cipher,
        request_log::{Filter, Live, Observer as _, testing::entry},
    };

    /// Sends to a client that has room for one event and takes none, until the server stops or patience ends.
    async fn send_to_a_sleeper(patience: Duration, stopping: CancellationToken) {
        let mut live = Live::new(Cipher::new(None));
        let watching = live.watch(Filter::default());
        live.see(&[entry(200), entry(201)]);
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (sender, mut events) = mpsc::channel(1);
        let sending = send(watching, sender, stopping, patience, place);
        tokio::time::timeout(Duration::from_secs(30), sending).await.expect("the sending ends");
        assert_eq!(places.available_permits(), 1);
        assert!(events.recv().await.is_some(), "the first event was sent");
        assert!(events.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_place() {
        send_to_a_sleeper(Duration::from_millis(1), CancellationToken::new()).await;
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_client_that_takes_nothing() {
        let stopping = CancellationToken::new();
        let stop = async {
            tokio::task::yield_now().await;
            stopping.cancel();
        };
        tokio::join!(send_to_a_sleeper(PATIENCE, stopping.clone()), stop);
    }
}
