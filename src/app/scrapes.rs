//! The listener for scrapers (`METRICS_ADDRESS`): whoever reaches it sees the metrics, and nothing else is there.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::MapErr};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    http1::{self, BoxError, RequestBody},
    metrics::{self, Metrics},
};

/// More than these wait until one is closed: there are a few scrapers, and each keeps a connection.
const CONNECTIONS_MAX: usize = 32;
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Of a scraper that sends its request slowly, takes its answer slowly, or keeps its connection for nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a stop waits for answers in progress.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const LIMITS: http1::Limits = http1::Limits {
    head_bytes_max: HEAD_BYTES_MAX,
    head_timeout: Some(HEAD_TIMEOUT),
    idle_timeout: Some(IDLE_TIMEOUT),
    write_timeout: Some(WRITE_TIMEOUT),
};

type AnswerBody = MapErr<Full<Bytes>, fn(std::convert::Infallible) -> BoxError>;

/// Serves until told to stop.
pub(super) async fn serve(listener: TcpListener, metrics: Metrics, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let accepting = accept(&listener, &metrics, &connections, &stop, &cut);
    let _stopped = stop.run_until_cancelled(accepting).await;
    connections.close();
    // Who does not take the rest of an answer must not hold up the stop.
    if tokio::time::timeout(FAREWELL_TIMEOUT, connections.wait()).await.is_err() {
        cut.cancel();
        connections.wait().await;
    }
}

async fn accept(
    listener: &TcpListener,
    metrics: &Metrics,
    connections: &TaskTracker,
    stop: &CancellationToken,
    cut: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // It ends only when the places are closed, which nobody does.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (metrics, stop, cut) = (metrics.clone(), stop.clone(), cut.clone());
                connections.spawn(async move {
                    let _place = place;
                    let _cut = cut.run_until_cancelled(scraped(stream, &metrics, &stop)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "Cannot accept a connection of a scraper");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn scraped(stream: TcpStream, metrics: &Metrics, stop: &CancellationToken) {
    let service = |request| answer(metrics, request);
    if let Err(error) = http1::serve(stream, BytesMut::new(), service, &LIMITS, stop).await {
        tracing::debug!(%error, "A scraper's connection ended early");
    }
}

async fn answer(metrics: &Metrics, request: Request<RequestBody>) -> Response<AnswerBody> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, header, text) = match (request.uri().path(), is_read) {
        ("/metrics", true) => (StatusCode::OK, (header::CONTENT_TYPE, metrics::CONTENT_TYPE), metrics.render().await),
        ("/metrics", false) => (StatusCode::METHOD_NOT_ALLOWED, (header::ALLOW, "GET, HEAD"), String::new()),
        _ => {
            let text = "There is nothing here but /metrics\n".to_owned();
            (StatusCode::NOT_FOUND, (header::CONTENT_TYPE, "text/plain; charset=utf-8"), text)
        }
    };
    let never: fn(std::convert::Infallible) -> BoxError = |never| match never {};
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(never));
    *response.status_mut() = status;
    response.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
    response
}
