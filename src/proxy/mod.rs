//! The data plane: the path of one request, told as a story by [`Proxy::serve`].

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

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};

pub(crate) use self::{admission::is_integration_info, in_flight::InFlight, relay::ResponseBody};
use self::{
    attempt::{Attempt, Refusal},
    failure::Failure,
    prepare::{Call, Prepared, prepare},
    received::{BodyLimits, MemoryBudget, Received},
    record::{Record, Recorder},
    route::{Member, Route},
    tries::{Outcome, Tries, Used},
    verdict::{Verdict, passes_unread},
};
use crate::{
    channel::Channel,
    config,
    group::Directory,
    http1,
    keypool::KeyPools,
    request_log::{self, RequestLog},
    upstream::Clients,
};

/// Tells the client under which id we have its request in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-gpt-load-request-id");
/// How many bodies of the largest size that is kept in memory may be there at once.
const BUFFERED_BODIES_MAX: u64 = 32;

/// What all data-plane threads share.
pub(crate) struct Proxy {
    directory: Directory,
    pools: KeyPools,
    recorder: Arc<Recorder>,
    in_flight: Arc<InFlight>,
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
        in_flight: Arc<InFlight>,
        directory: Directory,
        pools: KeyPools,
        log: RequestLog,
        jitter: fn() -> f64,
    ) -> Self {
        Self {
            directory,
            pools,
            recorder: Arc::new(Recorder::new(log)),
            in_flight,
            body_limits: BodyLimits {
                buffer_bytes_max: server.body_buffer_bytes_max,
                bytes_max: server.body_bytes_max,
                idle_timeout: server.read_timeout,
                memory: Arc::new(MemoryBudget::new(server.body_buffer_bytes_max, BUFFERED_BODIES_MAX)),
            },
            trusted_proxies: server.trusted_proxies.clone(),
            jitter,
        }
    }

    /// Where a request comes from, forwarding headers of trusted proxies considered.
    pub(crate) fn client_address(&self, peer: IpAddr, headers: &http::HeaderMap) -> IpAddr {
        admission::client_address(peer, headers, &self.trusted_proxies)
    }

    /// Whether a trusted proxy says that the client spoke HTTPS with it.
    pub(crate) fn came_over_https(&self, peer: IpAddr, headers: &http::HeaderMap) -> bool {
        admission::came_over_https(peer, headers, &self.trusted_proxies)
    }

    /// A stop waits no longer: the records of what is dropped from here on say so.
    pub(crate) fn cut(&self) {
        self.recorder.cut();
    }

    /// Answers a request to `/proxy/{group}/…`. Whatever happens, and also if the client leaves midway, its record is
    /// closed.
    pub(crate) async fn forward(
        &self,
        worker: &Worker,
        request: Request<http1::RequestBody>,
        peer: IpAddr,
    ) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let client = self.client_address(peer, &parts.headers);
        let mut record = Record::open(&self.recorder, worker.index, &parts, client);
        let mut id_text = [0; uuid::fmt::Hyphenated::LENGTH];
        let request_id: &str = record.request_id().hyphenated().encode_lower(&mut id_text);
        let mut channel = None;
        let answer = self.serve(worker, parts, body, client, &mut record, &mut channel).await;
        let mut response = answer.unwrap_or_else(|failure| {
            let answer = failure.answer(channel.unwrap_or(Channel::OpenAi), request_id);
            record.close(failure.recorded_status(), failure.verdict, failure.inner);
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
        body: http1::RequestBody,
        client: IpAddr,
        record: &mut Record,
        channel: &mut Option<Channel>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let admitted =
            self.in_flight.enter().and_then(|slot| Ok((slot, admission::admit(&self.directory.current(), &parts)?)));
        let (slot, admitted) = admitted.inspect_err(|_| *channel = Some(admission::likely_channel(&parts)))?;
        let asked = admitted.group;
        *channel = Some(asked.dialect(&admitted.path));
        record.asked(&asked, admitted.query.as_deref(), admitted.client_key);

        let is_upgrade = tunnel::is_asked_for(&parts);
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
            origin: parts.extensions.remove(),
            body,
            is_upgrade,
        };

        let mut route = Route::choose(Arc::clone(&asked), &call, &self.pools, Instant::now())?;
        let prepared = self.first_prepared(&mut route, &call).await;
        record.serving(&asked, &route.serving);
        let mut prepared = prepared?;
        record.prepared(&mut prepared);
        let mut tries = Tries::new(Instant::now(), &route.serving, &call);
        loop {
            let group = Arc::clone(&route.serving);
            let now = Instant::now();
            let key = route.pool.pick(tries.keys(), now).ok_or_else(Failure::no_keys)?;
            let upstream =
                group.upstreams.pick(tries.upstreams(), now).ok_or_else(|| Failure::no_upstream(&group.name))?;
            tries.begin(&key, upstream);
            let used = Used { group: &group, pool: &route.pool, key: &key, upstream };
            let address = group.upstreams.address(upstream);
            record.attempting(tries.count(), &key, address, &prepared);

            record.waiting();
            let attempt = Attempt {
                target: &address.path_and_query(&prepared.path, prepared.query.as_deref()),
                group: &group,
                call: &call,
                prepared: &prepared,
                key: &key,
                upstream,
                client,
                deadline: tries.deadline(),
            };
            let sent = attempt::send(&worker.clients, &attempt).await;
            if let Some(at) = call.body.uploaded_at() {
                tries.uploaded(at, &group);
            }
            let outcome = match sent {
                Ok(answer) if passes_unread(answer.status().as_u16(), used.lists(answer.status().as_u16())) => {
                    record.working();
                    record.named(Some(answer.headers()), &key);
                    used.charge(&Verdict::SUCCESS, None, now);
                    let is_stream = relay::is_stream(&answer, &prepared);
                    record.answered(answer.status().as_u16(), request_log::Verdict::Success, is_stream);
                    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return tunnel::relay(answer, is_upgrade, record, slot);
                    }
                    if model_list::is_concerned(&group, &call, &prepared, &answer) {
                        let list = relay::model_list(&group, &prepared, answer, record, tries.deadline());
                        return Box::pin(list).await;
                    }
                    return Ok(relay::answer(&group, &prepared, answer, record, slot, tries.deadline()));
                }
                Ok(answer) => Outcome::Refused(Box::new(Box::pin(Refusal::read(answer, &key, &prepared)).await)),
                Err(error) => Outcome::Unanswered(error),
            };
            record.working();
            record.named(outcome.headers(), &key);

            let next = tries.settle(&outcome, &used, prepared.body.is_some() || call.body.is_complete());
            let moved = if next.may_move { self.next_prepared(&mut route, &call).await } else { None };
            if moved.is_none() && !next.may_stay {
                // The caller gets the outcome of the last attempt: the upstream's own words where there are any.
                return match outcome {
                    Outcome::Refused(refusal) => {
                        Ok(relay::refusal(&prepared, *refusal, record, slot, tries.deadline()))
                    }
                    Outcome::Unanswered(error) => Err(Failure::from_send_error(&error)),
                };
            }
            record.retry(outcome.status(), outcome.verdict(), outcome.message());
            drop(outcome);
            if let Some((member, by_member)) = moved {
                route.move_to(member);
                prepared = by_member;
                tries.moved_to(&route.serving);
                record.serving(&asked, &route.serving);
                record.prepared(&mut prepared);
            } else if let Some(pause) = next.pause {
                record.waiting();
                tokio::time::sleep(pause.mul_f64(0.5 + (self.jitter)())).await;
                record.working();
            }
        }
    }

    /// The request as the member sends it whose turn it is, or else another one: what one must not serve, another may.
    async fn first_prepared(&self, route: &mut Route, call: &Call) -> Result<Prepared, Failure> {
        match prepare(&route.serving, call).await {
            Ok(prepared) => Ok(prepared),
            Err(failure) => {
                let (member, prepared) = Box::pin(self.next_prepared(route, call)).await.ok_or(failure)?;
                route.move_to(member);
                Ok(prepared)
            }
        }
    }

    /// The next member that can make something of the request. Why another one cannot, a strict one for example, is not
    /// why the request fails.
    async fn next_prepared(&self, route: &mut Route, call: &Call) -> Option<(Member, Prepared)> {
        while let Some(member) = route.next(&self.pools, Instant::now()) {
            if let Ok(prepared) = prepare(&member.0, call).await {
                return Some((member, prepared));
            }
        }
        None
    }
}
