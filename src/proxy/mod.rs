//! The data plane: the path of one request, told as a story by [`Proxy::forward`].

mod admission;
mod attempt;
mod content;
mod failure;
mod headers;
mod in_flight;
mod model_list;
mod prepare;
mod received;
mod record;
mod relay;
mod route;
mod tries;
mod tunnel;
mod verdict;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};

pub(crate) use self::{admission::is_integration_info, in_flight::InFlight, relay::ResponseBody, tunnel::Tunnels};
use self::{
    attempt::{Attempt, Refusal},
    failure::Failure,
    in_flight::Slot,
    prepare::{Call, Prepared, prepare},
    received::{BodyLimits, MemoryBudget, Received},
    record::Record,
    relay::Patience,
    route::Route,
    tries::{Outcome, Tries, Used},
};
use crate::{
    channel::Channel,
    config,
    group::{Directory, Group},
    keypool::KeyPools,
    request_log::RequestLog,
    upstream::{Answer, Clients},
};

/// Tells the client under which id we have its request in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-gpt-load-request-id");
/// How many bodies of the largest size that is kept in memory may be there at once.
const BUFFERED_BODIES_MAX: u64 = 32;

/// What all data-plane threads share.
pub(crate) struct Proxy {
    directory: Directory,
    pools: KeyPools,
    log: RequestLog,
    in_flight: Arc<InFlight>,
    tunnels: Tunnels,
    body_limits: BodyLimits,
    trusted_proxies: Vec<config::IpBlock>,
    jitter: fn() -> f64,
}

/// What belongs to one data-plane thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) clients: Clients,
}

impl Proxy {
    /// `jitter` gives numbers from 0 to 1, for pauses that must not fall together.
    pub(crate) fn new(
        server: &config::Server,
        directory: Directory,
        pools: KeyPools,
        log: RequestLog,
        tunnels: Tunnels,
        jitter: fn() -> f64,
    ) -> Self {
        Self {
            directory,
            pools,
            log,
            in_flight: Arc::new(InFlight::new(server.requests_max)),
            tunnels,
            body_limits: BodyLimits {
                buffer_bytes_max: server.body_buffer_bytes_max,
                bytes_max: server.body_bytes_max,
                idle_timeout: server.read_timeout,
                memory: Arc::new(MemoryBudget::new(server.body_buffer_bytes_max.saturating_mul(BUFFERED_BODIES_MAX))),
            },
            trusted_proxies: server.trusted_proxies.clone(),
            jitter,
        }
    }

    /// A stop waits no longer: the records of what is dropped from here on say so.
    pub(crate) fn cut(&self) {
        self.log.cut();
    }

    /// Answers a request to `/proxy/{group}/…`. Whatever happens, and also if the client leaves midway, its record is
    /// closed.
    pub(crate) async fn forward(
        &self,
        worker: &Worker,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let client = admission::client_address(peer, &parts.headers, &self.trusted_proxies);
        let mut record = Record::open(&self.log, worker.index, &parts, client);
        let mut id_text = [0; uuid::fmt::Hyphenated::LENGTH];
        let request_id: &str = record.request_id().hyphenated().encode_lower(&mut id_text);
        let mut channel = None;
        let answer = self.serve(worker, parts, body, client, &mut record, &mut channel).await;
        let mut response = answer.unwrap_or_else(|failure| {
            let answer = failure.answer(channel.unwrap_or(Channel::OpenAi), request_id);
            record.close(failure.status.as_u16(), failure.inner);
            answer
        });
        if let Ok(value) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }

    async fn serve(
        &self,
        worker: &Worker,
        mut parts: http::request::Parts,
        body: Incoming,
        client: IpAddr,
        record: &mut Record,
        channel: &mut Option<Channel>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let admitted =
            self.in_flight.enter().and_then(|slot| Ok((slot, admission::admit(&self.directory.current(), &parts)?)));
        let (slot, admitted) = admitted.inspect_err(|_| *channel = Some(admission::likely_channel(&parts)))?;
        let asked = admitted.group;
        *channel = Some(asked.channel);
        record.asked(&asked, admitted.query.as_deref());

        let upgrade = take_upgrade(&mut parts);
        record.waiting();
        let body = Received::read(body, &self.body_limits).await?;
        record.working();
        let had_content_length = parts.headers.contains_key(header::CONTENT_LENGTH);
        headers::clean_request(&mut parts.headers);
        let call = Call {
            method: parts.method,
            path: admitted.path,
            query: admitted.query,
            headers: parts.headers,
            had_content_length,
            extensions: parts.extensions,
            body,
            is_upgrade: upgrade.is_some(),
        };

        let mut route = Route::choose(Arc::clone(&asked), &self.pools, Instant::now())?;
        let mut prepared = self.prepare(&asked, &route.serving, &call, record).await?;
        let mut tries = Tries::new(Instant::now(), &route.serving, &call);
        loop {
            let group = Arc::clone(&route.serving);
            let now = Instant::now();
            let key = route.pool.pick(tries.keys(), now).ok_or_else(Failure::no_keys)?;
            let upstream =
                group.upstreams.pick(tries.upstreams(), now).ok_or_else(|| Failure::no_upstream(&group.name))?;
            tries.begin(&key, upstream);
            let target = group.upstreams.address(upstream).path_and_query(&prepared.path, prepared.query.as_deref());
            record.attempting(tries.count(), &key, group.upstreams.address(upstream).display(&target));

            record.waiting();
            let attempt = Attempt {
                target: &target,
                group: &group,
                call: &call,
                prepared: &prepared,
                key: &key,
                upstream,
                client,
                deadline: tries.deadline(),
            };
            let outcome = match attempt::send(&worker.clients, &attempt).await {
                Ok(answer) if is_accepted(&group, &answer) => {
                    record.working();
                    if !call.body.is_complete() {
                        tries.uploaded(Instant::now(), &group);
                    }
                    group.upstreams.succeeded(upstream);
                    if answer.status().as_u16() < 400 {
                        route.pool.succeeded(&key);
                    }
                    record.answered(answer.status().as_u16(), is_stream(&answer, &prepared));
                    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return self.tunnel(answer, upgrade, record, slot);
                    }
                    if model_list::is_concerned(&group, &call, &prepared, &answer) {
                        return relay_model_list(&group, &prepared, answer, record, tries.deadline()).await;
                    }
                    return Ok(relay(&group, &prepared, answer, record, slot, &tries));
                }
                Ok(answer) => Outcome::Refused(Box::new(Refusal::read(answer, &key).await)),
                Err(error) => Outcome::Unanswered(error),
            };
            record.working();

            let used = Used { group: &group, pool: &route.pool, key: &key, upstream };
            let next = tries.judge(&outcome, &used, prepared.body.is_some() || call.body.is_complete());
            let moves_on = next.may_move && route.move_on(&self.pools, Instant::now());
            if !moves_on && !next.may_stay {
                return self.give_up(outcome, &group, &prepared, record, slot, &tries);
            }
            record.retry(outcome.status(), outcome.message());
            drop(outcome);
            if moves_on {
                tries.moved_to(&route.serving);
                prepared = self.prepare(&asked, &route.serving, &call, record).await?;
            } else if let Some(pause) = next.pause {
                record.waiting();
                tokio::time::sleep(pause.mul_f64(0.5 + (self.jitter)())).await;
                record.working();
            }
        }
    }

    async fn prepare(
        &self,
        asked: &Group,
        serving: &Group,
        call: &Call,
        record: &mut Record,
    ) -> Result<Prepared, Failure> {
        record.serving(asked, serving);
        let mut prepared = prepare(serving, call).await?;
        record.prepared(&prepared.model, prepared.wants_stream, prepared.logged_body.take());
        Ok(prepared)
    }

    /// The caller gets the outcome of the last attempt: the upstream's own words where there are any.
    fn give_up(
        &self,
        outcome: Outcome,
        group: &Group,
        prepared: &Prepared,
        record: &mut Record,
        slot: Slot,
        tries: &Tries,
    ) -> Result<Response<ResponseBody>, Failure> {
        match outcome {
            Outcome::Refused(refusal) => Ok(relay_refusal(group, prepared, *refusal, record, slot, tries)),
            Outcome::Unanswered(error) => Err(Failure::from_send_error(&error)),
        }
    }

    fn tunnel(
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
        self.tunnels.open(client, upstream, record.take(), slot);
        Ok(Response::from_parts(parts, ResponseBody::Whole(None)))
    }
}

/// Only WebSocket is tunnelled (RFC 6455, 4.1), and only over HTTP/1.1.
fn take_upgrade(parts: &mut http::request::Parts) -> Option<OnUpgrade> {
    let upgrade = parts.extensions.remove::<OnUpgrade>()?;
    let names = |name: HeaderName, wanted: &str| {
        parts.headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
        })
    };
    (parts.method == Method::GET && names(header::CONNECTION, "upgrade") && names(header::UPGRADE, "websocket"))
        .then_some(upgrade)
}

/// An answer that goes to the client without being looked at. One of 400 and above is looked at for the log.
fn is_accepted(group: &Group, answer: &Answer) -> bool {
    let status = answer.status().as_u16();
    status < 400 && !group.settings.failover_status_codes.contains(status)
}

/// Whether the answer may take for ever: its own type says so, or the client asked for a stream and got success.
fn is_stream(answer: &Answer, prepared: &Prepared) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    is_stream_type(content_type) || (prepared.wants_stream && answer.status().is_success())
}

fn is_stream_type(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    ["text/event-stream", "application/x-ndjson", "application/jsonl", "application/vnd.amazon.eventstream"]
        .iter()
        .any(|stream| media_type.eq_ignore_ascii_case(stream))
}

fn relay(
    group: &Group,
    prepared: &Prepared,
    answer: Answer,
    record: &mut Record,
    slot: Slot,
    tries: &Tries,
) -> Response<ResponseBody> {
    let patience = patience(group, is_stream(&answer, prepared), tries);
    let (mut parts, body) = answer.into_parts();
    headers::clean_response(&mut parts.headers);
    unbuffered(&mut parts.headers);
    record.waiting();
    Response::from_parts(parts, ResponseBody::relayed(None, body, None, record.take(), String::new(), patience, slot))
}

fn relay_refusal(
    group: &Group,
    prepared: &Prepared,
    refusal: Refusal,
    record: &mut Record,
    slot: Slot,
    tries: &Tries,
) -> Response<ResponseBody> {
    let Refusal { mut parts, prefix, rest, broken, message, .. } = refusal;
    record.answered(parts.status.as_u16(), prepared.wants_stream);
    record.first_byte();
    headers::clean_response(&mut parts.headers);
    record.waiting();
    let patience = patience(group, false, tries);
    Response::from_parts(
        parts,
        ResponseBody::relayed(Some(prefix), rest, broken, record.take(), message, patience, slot),
    )
}

async fn relay_model_list(
    group: &Group,
    prepared: &Prepared,
    answer: Answer,
    record: &mut Record,
    deadline: Instant,
) -> Result<Response<ResponseBody>, Failure> {
    record.waiting();
    let merging = model_list::merge(group, prepared, answer);
    let merged = tokio::time::timeout_at(deadline.into(), merging).await.map_err(|_| Failure::deadline())?;
    let (mut parts, list) = merged?.into_parts();
    record.first_byte();
    headers::clean_response(&mut parts.headers);
    record.close_answered("");
    Ok(Response::from_parts(parts, ResponseBody::whole(list)))
}

fn patience(group: &Group, is_stream: bool, tries: &Tries) -> Patience {
    if is_stream {
        Patience::Silence(group.settings.stream_idle_timeout)
    } else {
        Patience::Until(tries.deadline().max(Instant::now() + Duration::from_secs(1)))
    }
}

/// Asks an nginx in front of us not to collect a stream.
fn unbuffered(headers: &mut HeaderMap) {
    let is_event_stream = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"));
    if is_event_stream && !headers.contains_key("x-accel-buffering") {
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
}
