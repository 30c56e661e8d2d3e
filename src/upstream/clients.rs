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
use http::{HeaderValue, Request, Response, StatusCode, Uri, header, request, response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use self::{
    idle::{Home, IdleConnections},
    multiplexed::{Multiplexed, StreamGuard},
};
use super::{
    Address, BoxError, ClientOptions, RequestBody, SendError,
    connect::{Connected, Connector, ViaProxy, chain},
    connection::Stream,
};
use crate::{
    config::OutboundProxy,
    http1::{self, Exchange, ExchangeError, Spelling},
};

/// Of HTTP/2: what may be under way to us per connection. Small windows make h2 answer many small frames with GOAWAY.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const HTTP2_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Connections of HTTP/2 that may close just as a request is to go out.
const UNSENT_TRIES_MAX: u32 = 3;
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

/// What one request may take, and who hears of interim answers.
pub(crate) struct Limits<'a> {
    /// Longest silence of the upstream: while it does not take the request, and from then on to the head of its answer.
    pub(crate) answer_timeout: Duration,
    /// The request asks for another protocol: it gets a connection of its own, which is not reused.
    pub(crate) is_upgrade: bool,
    /// How the client spelled the headers; `None`: they are ours.
    pub(crate) spelling: Option<&'a Spelling>,
    /// Hears of interim answers (1xx) of HTTP/1.1 upstreams.
    pub(crate) interim: &'a (dyn Fn(&response::Parts) + Sync),
}

pub(crate) type Answer = Response<AnswerBody>;

/// The body of an answer. The connection goes back to the pool when its last byte was read, and is closed when it is
/// dropped before.
pub(crate) struct AnswerBody(Source);

enum Source {
    Http1 {
        body: http1::AnswerBody<Stream, RequestBody>,
        via_proxy: Option<ViaProxy>,
        /// `None`: the connection is not used again.
        home: Option<Home>,
    },
    /// It was read to its end, and its connection went its way.
    Over,
    Http2 {
        body: Incoming,
        /// Counts this answer against its connection for as long as it lives.
        _stream: StreamGuard,
    },
}

/// A way to an upstream that may speak HTTP/2.
enum Link {
    Http2(http2::SendRequest<RequestBody>, StreamGuard),
    /// It does not. `None`: there is no connection yet.
    Http1(Option<Http1>),
}

/// A connection of HTTP/1.1, and how requests on it must be written.
struct Http1 {
    http1: Box<http1::Connection<Stream>>,
    via_proxy: Option<ViaProxy>,
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
        limits: Limits<'_>,
    ) -> Result<Answer, SendError> {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, address.host_header.clone());
        }
        let key = (options.identity, address.origin);
        if options.http2 && !limits.is_upgrade {
            return Box::pin(self.send_multiplexed(key, options, address, request, limits)).await;
        }
        let idle = if limits.is_upgrade { None } else { self.take_idle(key) };
        self.send_http1(idle, options, address, request, &limits).await
    }

    /// Closes what was idle for too long and forgets what is not used. To be called every few seconds.
    pub(crate) fn prune(&self, now: Instant) {
        lock(&self.idle).prune(now);
        lock(&self.multiplexed).prune(now);
        lock(&self.connectors).retain(|_, (_, used_at)| now.duration_since(*used_at) < CONNECTOR_UNUSED_MAX);
    }

    async fn send_multiplexed(
        &self,
        key: PoolKey,
        options: &ClientOptions,
        address: &Address,
        mut request: Request<RequestBody>,
        limits: Limits<'_>,
    ) -> Result<Answer, SendError> {
        for _ in 0..UNSENT_TRIES_MAX {
            let (sender, guard) = match self.link(key, options, address).await? {
                Link::Http2(sender, guard) => (sender, guard),
                Link::Http1(open) => return self.send_http1(open, options, address, request, &limits).await,
            };
            match exchange_multiplexed(sender, guard, address, request, &limits).await {
                Multiplexing::Over(result) => return result,
                // The upstream was just closing the connection (GOAWAY) and got nothing of the request.
                Multiplexing::Unsent(returned) => request = returned,
            }
        }
        Err(SendError::Stale { was_written: false })
    }

    /// A connection to an upstream that may speak HTTP/2.
    async fn link(&self, key: PoolKey, options: &ClientOptions, address: &Address) -> Result<Link, SendError> {
        if let Some((sender, guard)) = self.pick_multiplexed(key) {
            return Ok(Link::Http2(sender, guard));
        }
        if lock(&self.multiplexed).is_http1_only(key, Instant::now()) {
            return Ok(Link::Http1(self.take_idle(key)));
        }
        // One dial at a time: those who waited share the connection that it made.
        let dialing = lock(&self.multiplexed).dialing(key);
        let _turn = tokio::time::timeout(options.connect_timeout, dialing.lock())
            .await
            .map_err(|_| SendError::ConnectTimeout(options.connect_timeout))?;
        if let Some((sender, guard)) = self.pick_multiplexed(key) {
            return Ok(Link::Http2(sender, guard));
        }
        if lock(&self.multiplexed).is_http1_only(key, Instant::now()) {
            return Ok(Link::Http1(self.take_idle(key)));
        }
        let connected = self.connector(options).connect(address, true).await?;
        if connected.is_http2 {
            let sender = handshake_http2(connected.stream).await?;
            let guard = lock(&self.multiplexed).add(key, sender.clone());
            Ok(Link::Http2(sender, guard))
        } else {
            lock(&self.multiplexed).speaks_http1_only(key, Instant::now());
            Ok(Link::Http1(Some(connected.into_http1())))
        }
    }

    /// Sends over this connection; where it turns out to be closed, over the next idle one, or over a new one. What was
    /// written is written again only if that does no harm (RFC 9110, 9.2.2), and then over a new one at once: an upstream
    /// that ends with each request is not asked by each idle connection.
    async fn send_http1(
        &self,
        mut connection: Option<Http1>,
        options: &ClientOptions,
        address: &Address,
        request: Request<RequestBody>,
        limits: &Limits<'_>,
    ) -> Result<Answer, SendError> {
        let (mut parts, mut body) = request.into_parts();
        let is_repeatable = parts.method.is_idempotent() || parts.headers.contains_key("idempotency-key");
        while let Some(open) = connection {
            let again = body.copy();
            connection = match self.exchange(open, options, address, &mut parts, body, limits).await {
                Err(SendError::Stale { was_written })
                    if (is_repeatable || !was_written)
                        && let Some(again) = again =>
                {
                    body = again;
                    if was_written { None } else { self.take_idle((options.identity, address.origin)) }
                }
                other => return other,
            };
        }
        // Boxed, since a request that finds an idle connection need not have the room for this.
        let connected = Box::pin(async { self.connector(options).connect(address, false).await }).await?;
        self.exchange(connected.into_http1(), options, address, &mut parts, body, limits).await
    }

    async fn exchange(
        &self,
        connection: Http1,
        options: &ClientOptions,
        address: &Address,
        parts: &mut request::Parts,
        body: RequestBody,
        limits: &Limits<'_>,
    ) -> Result<Answer, SendError> {
        let Http1 { http1, via_proxy } = connection;
        let progress = body.progress();
        aim(parts, via_proxy.as_ref(), address)?;
        let exchange =
            Exchange { spelling: limits.spelling, silence_max: limits.answer_timeout, interim: limits.interim };
        let answer = http1.exchange(parts, body, &exchange).await.map_err(|error| match error {
            ExchangeError::Stale { was_written } => SendError::Stale { was_written },
            ExchangeError::Silent => SendError::AnswerTimeout(limits.answer_timeout),
            ExchangeError::Broken(reason) => SendError::Broken(reason),
            ExchangeError::RequestBody(error) => {
                SendError::ClientBody(progress.and_then(|progress| progress.failure()).unwrap_or(error))
            }
        })?;
        if via_proxy.is_some() && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            // It is between the proxy and us: a client would look for a proxy of its own.
            return Err(SendError::Proxy("it wants other credentials (407)".to_owned()));
        }
        let key = (options.identity, address.origin);
        let home = (!limits.is_upgrade).then(|| Home::new(key, Arc::clone(&self.idle), options, self.sharers));
        Ok(answer.map(|body| {
            let mut body = AnswerBody(Source::Http1 { body, via_proxy, home });
            // An answer without a body is already over.
            body.settle();
            body
        }))
    }

    fn take_idle(&self, key: PoolKey) -> Option<Http1> {
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

impl Connected {
    fn into_http1(self) -> Http1 {
        Http1 { http1: Box::new(http1::Connection::new(self.stream)), via_proxy: self.via_proxy }
    }
}

/// What became of a request over HTTP/2.
enum Multiplexing {
    Over(Result<Answer, SendError>),
    Unsent(Request<RequestBody>),
}

async fn exchange_multiplexed(
    mut sender: http2::SendRequest<RequestBody>,
    guard: StreamGuard,
    address: &Address,
    request: Request<RequestBody>,
    limits: &Limits<'_>,
) -> Multiplexing {
    let request = match for_http2(request, address) {
        Ok(request) => request,
        Err(error) => return Multiplexing::Over(Err(error)),
    };
    let progress = request.body().progress();
    let sending = sender.try_send_request(request);
    let result = match answer_in_time(sending, progress.as_deref(), limits.answer_timeout).await {
        Ok(Ok(answer)) => Ok(answer.map(|body| AnswerBody(Source::Http2 { body, _stream: guard }))),
        Ok(Err(mut error)) => match error.take_message() {
            Some(request) => return Multiplexing::Unsent(request),
            None => Err(match progress.and_then(|progress| progress.failure()) {
                Some(failure) => SendError::ClientBody(failure),
                None => SendError::Broken(chain(error.error())),
            }),
        },
        Err(timeout) => Err(timeout),
    };
    Multiplexing::Over(result)
}

/// HTTP/2 names the host in the target. A request that was not sent before has it there already.
fn for_http2(request: Request<RequestBody>, address: &Address) -> Result<Request<RequestBody>, SendError> {
    let (mut parts, body) = request.into_parts();
    parts.version = http::Version::HTTP_2;
    if parts.uri.authority().is_none() {
        let host = parts.headers.remove(header::HOST);
        let authority = host.as_ref().map_or(Ok(""), HeaderValue::to_str);
        let authority = authority.map_err(|error| SendError::Unsendable(error.to_string()))?;
        set_absolute(&mut parts, address, authority)?;
    }
    Ok(Request::from_parts(parts, body))
}

/// Waits for the head of the answer. The clock of a streamed request starts when its last frame was taken: an upload
/// may take its time.
async fn answer_in_time<T>(
    sending: impl Future<Output = T>,
    progress: Option<&super::body::Progress>,
    timeout: Duration,
) -> Result<T, SendError> {
    let clock = async {
        if let Some(progress) = progress {
            progress.ended().await;
        }
        tokio::time::sleep(timeout).await;
    };
    tokio::select! {
        biased;
        answer = sending => Ok(answer),
        () = clock => Err(SendError::AnswerTimeout(timeout)),
    }
}

/// Names the whole target where an HTTP proxy reads it first (RFC 9112, 3.2).
fn aim(parts: &mut request::Parts, via_proxy: Option<&ViaProxy>, address: &Address) -> Result<(), SendError> {
    let Some(via_proxy) = via_proxy else { return Ok(()) };
    if let Some(authorization) = &via_proxy.authorization {
        parts.headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    set_absolute(parts, address, address.host_header.to_str().unwrap_or_default())
}

fn set_absolute(parts: &mut request::Parts, address: &Address, authority: &str) -> Result<(), SendError> {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(address.scheme.clone());
    uri.authority = Some(authority.parse().map_err(|_| SendError::Unsendable("Host is not an authority".to_owned()))?);
    parts.uri = Uri::from_parts(uri).map_err(|error| SendError::Unsendable(error.to_string()))?;
    Ok(())
}

async fn handshake_http2(stream: Stream) -> Result<http2::SendRequest<RequestBody>, SendError> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .keep_alive_interval(Duration::from_secs(30))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| SendError::Broken(chain(&error)))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A poisoned lock guards plain collections, which are whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AnswerBody {
    /// The bare stream behind an answer that switched protocols, and what came on it already; `None`: it came over
    /// HTTP/2, which does not switch.
    pub(crate) fn into_stream(self) -> Option<(Stream, Bytes)> {
        match self.0 {
            Source::Http1 { body, .. } => Some(body.into_stream()),
            Source::Http2 { .. } | Source::Over => None,
        }
    }

    /// Gives the connection back once the answer was read to its end.
    fn settle(&mut self) {
        if let Source::Http1 { body, home: Some(_), .. } = &self.0
            && body.is_end_stream()
            && let Source::Http1 { body, via_proxy, home: Some(home) } = std::mem::replace(&mut self.0, Source::Over)
            && let Some(http1) = body.into_idle()
        {
            home.take_in(Http1 { http1, via_proxy });
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match &mut this.0 {
            Source::Http1 { body, .. } => {
                let polled = Pin::new(body).poll_frame(cx);
                if polled.is_ready() {
                    this.settle();
                }
                polled
            }
            Source::Over => Poll::Ready(None),
            Source::Http2 { body, .. } => match Pin::new(&mut *body).poll_frame(cx) {
                // A reset that gives no error as its reason ends the frames, but not the answer.
                Poll::Ready(None) if !body.is_end_stream() => {
                    Poll::Ready(Some(Err("the upstream reset the stream before its end".into())))
                }
                polled => polled.map_err(Into::into),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Http1 { body, .. } => body.is_end_stream(),
            Source::Over => true,
            Source::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Http1 { body, .. } => body.size_hint(),
            Source::Over => SizeHint::with_exact(0),
            Source::Http2 { body, .. } => body.size_hint(),
        }
    }
}
