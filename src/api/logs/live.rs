//! GET /api/logs/live: entries that match, as they happen, as server-sent events.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    response::{
        IntoResponse as _,
        sse::{Event, KeepAlive, Sse},
    },
};
use http::{HeaderValue, header::CACHE_CONTROL, request::Parts};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Api, Entry, Wanted, filter};
use crate::{
    api::{
        answer::{Content, Sent},
        query::Query,
        refusal::Refusal,
    },
    request_log::{Bodies, Filter, LoggedEntry, Since, Watched, Watching},
};

/// Events that may wait for a client that reads slowly; entries behind them wait in the log, and are missed at last.
const EVENTS_PENDING_MAX: usize = 64;
/// Entries that whoever comes back gets of what passed meanwhile.
const ENTRIES_RESUMED_MAX: usize = 1_000;
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
                                       listed, and `missed` with a `count` where the client read too slowly, or `null` where \
                                       more passed than is sent again";
}

/// The header `Last-Event-ID`, as browsers send it when they connect again.
pub(in crate::api) struct LastEventId(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let id = parts.headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        Ok(Self(id.filter(|id| !id.is_empty())))
    }
}

/// What passed before the stream began, for whoever watched before.
#[derive(Default)]
struct Passed {
    entries: Vec<LoggedEntry>,
    /// More passed, and nobody says how much.
    is_more: bool,
}

impl Passed {
    async fn since(api: &Api, filter: &Filter, last_id: &str) -> Self {
        let unknown = Self { entries: Vec::new(), is_more: true };
        let Ok(id) = Uuid::try_parse(last_id) else { return unknown };
        match api.log_search.since(filter, id, ENTRIES_RESUMED_MAX).await {
            Ok(Some(Since { entries, is_complete })) => Self { entries, is_more: !is_complete },
            Ok(None) => unknown,
            Err(error) => {
                // A stream with a gap is better than none.
                tracing::warn!(%error, "Entries that a watcher missed cannot be read: {error}");
                unknown
            }
        }
    }
}

pub(in crate::api) async fn live(
    api: Api,
    LastEventId(last_id): LastEventId,
    query: Query<Wanted>,
) -> Result<Sent<Events>, Refusal> {
    let filter = filter(&query)?;
    let place = Arc::clone(&api.0.live_places).try_acquire_owned().map_err(|_| Refusal::too_busy())?;
    // Watched first: what comes while the past is read is not lost.
    let watching = api.log_live.watch(filter.clone());
    let passed = match last_id {
        None => Passed::default(),
        Some(last_id) => Passed::since(&api, &filter, &last_id).await,
    };
    let (sender, events) = mpsc::channel(EVENTS_PENDING_MAX);
    tokio::spawn(send(watching, passed, sender, api.stopping.clone(), PATIENCE, place));
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
    passed: Passed,
    to: mpsc::Sender<Result<Event, Infallible>>,
    stopping: CancellationToken,
    patience: Duration,
    _place: OwnedSemaphorePermit,
) {
    let mut event = Event::default().event("open").retry(RETRY).data("{}");
    let seen: HashSet<String> = passed.entries.iter().map(|entry| entry.id.clone()).collect();
    let gap = passed.is_more.then(|| Ok(missed(None)));
    let mut waiting = gap.into_iter().chain(passed.entries.iter().map(shown));
    loop {
        let is_sent = tokio::select! {
            sent = tokio::time::timeout(patience, to.send(Ok(event))) => matches!(sent, Ok(Ok(()))),
            () = stopping.cancelled() => false,
        };
        if !is_sent {
            return;
        }
        let next = match waiting.next() {
            Some(passed) => Some(passed),
            None => {
                tokio::select! {
                    next = new(&mut watching, &seen) => next,
                    () = to.closed() => None,
                    () = stopping.cancelled() => None,
                }
            }
        };
        event = match next {
            Some(Ok(event)) => event,
            Some(Err(error)) => return tracing::error!(%error, "An entry of the log cannot be shown live"),
            None => return,
        };
    }
}

/// What comes and was not sent already.
async fn new(watching: &mut Watching, seen: &HashSet<String>) -> Option<Result<Event, axum::Error>> {
    loop {
        match watching.next().await? {
            Watched::Entry(entry) if seen.contains(&entry.id) => {}
            Watched::Entry(entry) => return Some(shown(&entry)),
            Watched::Missed(count) => return Some(Ok(missed(Some(count)))),
        }
    }
}

fn shown(entry: &LoggedEntry) -> Result<Event, axum::Error> {
    Event::default().event("entry").id(&entry.id).json_data(Entry::with(entry, Bodies::Shown, true))
}

fn missed(count: Option<u64>) -> Event {
    let count = count.map_or_else(|| "null".to_owned(), |count| count.to_string());
    Event::default().event("missed").data(format!("{{\"count\":{count}}}"))
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
        let sending = send(watching, Passed::default(), sender, stopping, patience, place);
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
