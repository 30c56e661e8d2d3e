//! Sends requests over pooled connections. Each data-plane thread has its own pool, so that a request never changes
//! threads on its way.

mod idle;
mod multiplexed;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::{
    idle::{IdleConnections, Lease},
    multiplexed::{Multiplexed, StreamGuard},
};
use super::{
    Address, ClientOptions, RequestBody, SendError,
    connect::{Connected, Connector, ViaProxy, chain},
    connection::Stream,
};
use crate::config::OutboundProxy;

/// Of HTTP/2: what may be under way to us per connection. Small windows make h2 answer many small frames with GOAWAY.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const HTTP2_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// After a change of settings, connectors of the old ones are forgotten.
const CONNECTOR_UNUSED_MAX: Duration = Duration::from_secs(600);

/// Which connections can serve a request: the options they were made with, and the place that they go to.
pub(super) type PoolKey = (u128, u128);

pub(crate) struct Clients {
    idle: Arc<Mutex<IdleConnections>>,
    multiplexed: Arc<Mutex<Multiplexed>>,
    connectors: Mutex<HashMap<u128, (Arc<Connector>, Instant)>>,
    environment: OutboundProxy,
    /// How many pools share the operator's limits.
    sharers: usize,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the moment the last byte of the request was taken to the head of the answer.
    pub(crate) answer_timeout: Duration,
    /// The request asks for another protocol: it gets a connection of its own, which is not reused.
    pub(crate) is_upgrade: bool,
}

pub(crate) type Answer = Response<AnswerBody>;

/// The body of an answer. The connection goes back to the pool when its last byte was read, and is closed when it is
/// dropped before.
pub(crate) struct AnswerBody {
    inner: Incoming,
    lease: Option<Lease>,
    /// Counts this answer against its HTTP/2 connection for as long as it lives.
    _stream: Option<StreamGuard>,
}

impl Clients {
    /// `sharers`: how many pools share the operator's limits on idle connections.
    pub(crate) fn new(environment: OutboundProxy, sharers: usize) -> Self {
        Self { idle: Arc::default(), multiplexed: Arc::default(), connectors: Mutex::default(), environment, sharers }
    }

    /// Sends the request, whose URI must be the path and query for the upstream. `Host` is set here unless it is
    /// already there.
    ///
    /// # Errors
    /// [`SendError`] says whether the upstream may have seen the request.
    pub(crate) async fn send(
        &self,
        options: &ClientOptions,
        address: &Address,
        mut request: Request<RequestBody>,
        limits: Limits,
    ) -> Result<Answer, SendError> {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, address.host_header.clone());
        }
        let key = (options.identity, address.origin);
        if limits.is_upgrade {
            return self.send_alone(options, address, request, limits).await;
        }
        if options.http2 {
            if let Some((sender, guard)) = self.pick_multiplexed(key) {
                return send_multiplexed(sender, guard, address, request, limits).await;
            }
        } else {
            while let Some(sender) = self.take_idle(key) {
                match self.send_over(sender, options, address, request, limits).await {
                    Sent::Finished(result) => return result,
                    // The upstream had closed the idle connection: nothing was written, the next one is tried.
                    Sent::Returned(returned) => request = returned,
                }
            }
        }
        self.send_fresh(options, address, request, limits).await
    }

    /// Closes what was idle for too long and forgets what is not used. To be called every few seconds.
    pub(crate) fn prune(&self, now: Instant) {
        lock(&self.idle).prune(now);
        lock(&self.multiplexed).prune();
        lock(&self.connectors).retain(|_, (_, used_at)| now.duration_since(*used_at) < CONNECTOR_UNUSED_MAX);
    }

    async fn send_fresh(
        &self,
        options: &ClientOptions,
        address: &Address,
        mut request: Request<RequestBody>,
        limits: Limits,
    ) -> Result<Answer, SendError> {
        let key = (options.identity, address.origin);
        if options.http2 {
            // One dial at a time: those who waited share the connection that it made.
            let dialing = lock(&self.multiplexed).dialing(key);
            let turn = dialing.lock().await;
            if let Some((sender, guard)) = self.pick_multiplexed(key) {
                drop(turn);
                return send_multiplexed(sender, guard, address, request, limits).await;
            }
            let connected = self.connector(options).connect(address, true).await?;
            if connected.is_http2 {
                let sender = handshake_http2(connected.stream).await?;
                let guard = lock(&self.multiplexed).add(key, sender.clone());
                drop(turn);
                return send_multiplexed(sender, guard, address, request, limits).await;
            }
            drop(turn);
            while let Some(sender) = self.take_idle(key) {
                match self.send_over(sender, options, address, request, limits).await {
                    Sent::Finished(result) => return result,
                    Sent::Returned(returned) => request = returned,
                }
            }
            return self.send_first(connected, options, address, request, limits).await;
        }
        let connected = self.connector(options).connect(address, false).await?;
        self.send_first(connected, options, address, request, limits).await
    }

    async fn send_first(
        &self,
        connected: Connected,
        options: &ClientOptions,
        address: &Address,
        request: Request<RequestBody>,
        limits: Limits,
    ) -> Result<Answer, SendError> {
        let via_proxy = connected.via_proxy.clone();
        let (sender, connection) = handshake_http1(connected.stream).await?;
        tokio::spawn(connection);
        match self.send_over(Sender { http1: sender, via_proxy }, options, address, request, limits).await {
            Sent::Finished(result) => result,
            Sent::Returned(_) => Err(SendError::Broken("the upstream closed a new connection".to_owned())),
        }
    }

    async fn send_alone(
        &self,
        options: &ClientOptions,
        address: &Address,
        mut request: Request<RequestBody>,
        limits: Limits,
    ) -> Result<Answer, SendError> {
        let connected = self.connector(options).connect(address, false).await?;
        let (mut sender, connection) = handshake_http1(connected.stream).await?;
        tokio::spawn(connection.with_upgrades());
        write_target(&mut request, connected.via_proxy.as_ref(), address)?;
        let sending = sender.send_request(request);
        let answer = tokio::time::timeout(limits.answer_timeout, sending)
            .await
            .map_err(|_| SendError::AnswerTimeout(limits.answer_timeout))?
            .map_err(|error| SendError::Broken(chain(&error)))?;
        not_refused_by_proxy(connected.via_proxy.as_ref(), &answer)?;
        Ok(answer.map(|inner| AnswerBody { inner, lease: None, _stream: None }))
    }

    async fn send_over(
        &self,
        mut sender: Sender,
        options: &ClientOptions,
        address: &Address,
        mut request: Request<RequestBody>,
        limits: Limits,
    ) -> Sent {
        if let Err(error) = write_target(&mut request, sender.via_proxy.as_ref(), address) {
            return Sent::Finished(Err(error));
        }
        let progress = request.body().progress();
        let sending = sender.http1.try_send_request(request);
        let answer = match answer_in_time(sending, progress.as_deref(), limits.answer_timeout).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(mut error)) => {
                if let Some(request) = error.take_message() {
                    return Sent::Returned(request);
                }
                let failure = progress.and_then(|progress| progress.failure());
                return Sent::Finished(Err(match failure {
                    Some(failure) => SendError::ClientBody(failure),
                    None => SendError::Broken(chain(error.error())),
                }));
            }
            Err(timeout) => return Sent::Finished(Err(timeout)),
        };
        if let Err(error) = not_refused_by_proxy(sender.via_proxy.as_ref(), &answer) {
            return Sent::Finished(Err(error));
        }
        let key = (options.identity, address.origin);
        let mut lease = Lease::new(sender, key, Arc::clone(&self.idle), options, self.sharers);
        Sent::Finished(Ok(answer.map(|inner| {
            // An answer without a body is already over.
            let lease = if inner.is_end_stream() {
                lease.give_back();
                None
            } else {
                Some(lease)
            };
            AnswerBody { inner, lease, _stream: None }
        })))
    }

    fn take_idle(&self, key: PoolKey) -> Option<Sender> {
        lock(&self.idle).take(key)
    }

    fn pick_multiplexed(&self, key: PoolKey) -> Option<(http2::SendRequest<RequestBody>, StreamGuard)> {
        lock(&self.multiplexed).pick(key)
    }

    fn connector(&self, options: &ClientOptions) -> Arc<Connector> {
        let mut connectors = lock(&self.connectors);
        let (connector, used_at) = connectors
            .entry(options.identity)
            .or_insert_with(|| (Arc::new(Connector::new(options, &self.environment)), Instant::now()));
        *used_at = Instant::now();
        Arc::clone(connector)
    }
}

/// The sending half of an HTTP/1.1 connection.
struct Sender {
    http1: http1::SendRequest<RequestBody>,
    via_proxy: Option<ViaProxy>,
}

enum Sent {
    Finished(Result<Answer, SendError>),
    /// The connection was already closed and nothing of the request was written.
    Returned(Request<RequestBody>),
}

async fn send_multiplexed(
    mut sender: http2::SendRequest<RequestBody>,
    guard: StreamGuard,
    address: &Address,
    request: Request<RequestBody>,
    limits: Limits,
) -> Result<Answer, SendError> {
    let (mut parts, body) = request.into_parts();
    let authority = match parts.headers.remove(header::HOST) {
        Some(host) => host.to_str().map_err(|error| SendError::Unsendable(error.to_string()))?.to_owned(),
        None => String::new(),
    };
    parts.version = http::Version::HTTP_2;
    set_absolute(&mut parts, address, &authority)?;
    let progress = body.progress();
    let sending = sender.send_request(Request::from_parts(parts, body));
    match answer_in_time(sending, progress.as_deref(), limits.answer_timeout).await? {
        Ok(answer) => Ok(answer.map(|inner| AnswerBody { inner, lease: None, _stream: Some(guard) })),
        Err(error) => Err(match progress.and_then(|progress| progress.failure()) {
            Some(failure) => SendError::ClientBody(failure),
            None => SendError::Broken(chain(&error)),
        }),
    }
}

/// Waits for the head of the answer. The clock of a streamed request starts when its last frame was taken: an upload
/// may take its time, as long as the upstream takes it.
async fn answer_in_time<T>(
    sending: impl Future<Output = T>,
    progress: Option<&super::body::Progress>,
    timeout: Duration,
) -> Result<T, SendError> {
    let clock = async {
        let is_taken = match progress {
            Some(progress) => progress.ended(timeout).await.is_ok(),
            None => true,
        };
        if is_taken {
            tokio::time::sleep(timeout).await;
        }
    };
    tokio::select! {
        biased;
        answer = sending => Ok(answer),
        () = clock => Err(SendError::AnswerTimeout(timeout)),
    }
}

/// Origin form for the upstream itself; absolute form where an HTTP proxy reads it first (RFC 9112, 3.2).
fn write_target(
    request: &mut Request<RequestBody>,
    via_proxy: Option<&ViaProxy>,
    address: &Address,
) -> Result<(), SendError> {
    *request.version_mut() = http::Version::HTTP_11;
    let Some(via_proxy) = via_proxy else { return Ok(()) };
    if let Some(authorization) = &via_proxy.authorization {
        request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    if request.uri().authority().is_some() {
        return Ok(());
    }
    let authority = address.host_header.to_str().unwrap_or_default();
    let mut uri = request.uri().clone().into_parts();
    uri.scheme = Some(address.scheme.clone());
    uri.authority = authority.parse().ok();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|error| SendError::Unsendable(error.to_string()))?;
    Ok(())
}

/// A proxy that does not know us is between it and us: a client would look for a proxy of its own.
fn not_refused_by_proxy(via_proxy: Option<&ViaProxy>, answer: &Response<Incoming>) -> Result<(), SendError> {
    if via_proxy.is_some() && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Err(SendError::Proxy("it wants other credentials (407)".to_owned()));
    }
    Ok(())
}

fn set_absolute(parts: &mut Parts, address: &Address, authority: &str) -> Result<(), SendError> {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(address.scheme.clone());
    uri.authority = Some(authority.parse().map_err(|_| SendError::Unsendable("Host is not an authority".to_owned()))?);
    parts.uri = Uri::from_parts(uri).map_err(|error| SendError::Unsendable(error.to_string()))?;
    Ok(())
}

type Handshake1 = (http1::SendRequest<RequestBody>, http1::Connection<Stream, RequestBody>);

async fn handshake_http1(stream: Stream) -> Result<Handshake1, SendError> {
    http1::Builder::new()
        .preserve_header_case(true)
        .title_case_headers(true)
        .handshake(stream)
        .await
        .map_err(|error| SendError::Broken(chain(&error)))
}

async fn handshake_http2(stream: Stream) -> Result<http2::SendRequest<RequestBody>, SendError> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .keep_alive_interval(Duration::from_secs(30))
        .handshake(stream)
        .await
        .map_err(|error| SendError::Broken(chain(&error)))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A poisoned lock guards plain collections, which are whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => this.inner.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if is_over && let Some(mut lease) = this.lease.take() {
            lease.give_back();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
