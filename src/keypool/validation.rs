//! Whether a key works: one small request to its upstream, built as traffic would be, and a verdict that blames the
//! key only for what is the key's fault.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Failure, KeyPools, queries};
use crate::{
    channel::{self, Asked, Blame},
    crypto::{Secret, redact},
    db,
    group::{Directory, Group, Key},
    json,
    upstream::{AnswerBody, Clients, Limits, RequestBody, SendError},
};

/// Tests under way at once, over all groups.
const TESTS_MAX: usize = 64;
/// As much of an answer as is read to say what is wrong.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// As much of an answer as is read so that its connection can be used again.
const DRAINED_BYTES_MAX: usize = 1024 * 1024;
/// What `${CLIENT_IP}` stands for when nobody asked.
const OWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("gpt-load/", env!("CARGO_PKG_VERSION")));

/// Tests keys. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Validator {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) directory: Directory,
    pub(super) pools: KeyPools,
    clients: Clients,
    slots: Semaphore,
}

/// What a test says about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tested {
    /// `None`: the key works.
    pub(crate) failure: Option<Failure>,
}

impl Tested {
    pub(crate) fn is_valid(&self) -> bool {
        self.failure.is_none()
    }

    /// For another reason than what an upstream said.
    fn failed(message: String) -> Self {
        Self { failure: Some(Failure::new(None, &message)) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    /// The upstream refuses this key.
    Invalid(Failure),
    /// The answer says nothing about the key: a limit, an outage, a test that does not fit the upstream.
    Undecided {
        failure: Failure,
        rest: Option<Duration>,
    },
}

impl Validator {
    /// `clients` is for tests alone: they run beside the traffic.
    pub(crate) fn new(directory: Directory, pools: KeyPools, clients: Clients) -> Self {
        Self { shared: Arc::new(Shared { directory, pools, clients, slots: Semaphore::new(TESTS_MAX) }) }
    }

    /// Tests keys of a group by their texts and acts on the verdicts: one that works is in rotation afterwards, one
    /// that is refused is not. The answers are in the order of the texts, with repeated ones tested once.
    pub(crate) async fn test(&self, group: &Arc<Group>, texts: &[Secret]) -> Result<Vec<Tested>, db::Error> {
        let pools = &self.shared.pools;
        let hashes = pools.hashes(texts).await?;
        let stored = queries::ids_by_hash(pools.shared.database.readers(), group.id, &hashes).await?;
        let mut outcomes: std::collections::HashMap<String, Tested> = std::collections::HashMap::new();
        let mut tests = JoinSet::new();
        for (hash, text) in hashes.iter().zip(texts) {
            let Some(id) = stored.get(hash) else { continue };
            if outcomes.contains_key(hash) {
                continue;
            }
            outcomes.insert(hash.clone(), Tested::failed("the test of the key died".to_owned()));
            while tests.len() >= group.settings.key_validation_concurrency {
                note(&mut outcomes, tests.join_next().await);
            }
            let key = Arc::new(Key { id: *id, group_id: group.id, secret: text.clone() });
            let (validator, group, hash) = (self.clone(), group.clone(), hash.clone());
            tests.spawn(async move {
                let verdict = validator.probe(&group, &key).await;
                let tested = Tested::from(&verdict);
                (hash, validator.act(&group, key, verdict).await.map(|()| tested))
            });
        }
        while !tests.is_empty() {
            note(&mut outcomes, tests.join_next().await);
        }
        self.shared.clients.prune(Instant::now());
        let unknown = || Tested::failed("Key does not exist in this group or has been removed.".to_owned());
        Ok(hashes.iter().map(|hash| outcomes.get(hash).cloned().unwrap_or_else(unknown)).collect())
    }

    /// The same for one key.
    pub(crate) async fn test_one(&self, group: &Group, key: Arc<Key>) -> Result<Tested, db::Error> {
        let verdict = self.probe(group, &key).await;
        let tested = Tested::from(&verdict);
        self.act(group, key, verdict).await?;
        self.prune();
        Ok(tested)
    }

    /// One request. It waits for a slot first, which does not count against its time.
    pub(super) async fn probe(&self, group: &Group, key: &Key) -> Verdict {
        let _slot = self.shared.slots.acquire().await;
        let settings = &group.settings;
        let limit = settings.key_validation_timeout.min(settings.request_timeout);
        match tokio::time::timeout(limit, self.exchange(group, key, limit)).await {
            Ok(verdict) => verdict,
            Err(_) => undecided(&SendError::AnswerTimeout(limit), key),
        }
    }

    pub(super) fn prune(&self) {
        self.shared.clients.prune(Instant::now());
    }

    async fn exchange(&self, group: &Group, key: &Key, limit: Duration) -> Verdict {
        let upstreams = &group.upstreams;
        let Some(upstream) = upstreams.pick(&[], Instant::now()) else {
            let failure = Failure::new(None, "the group has no upstream");
            return Verdict::Undecided { failure, rest: None };
        };
        let address = upstreams.address(upstream);
        let limits = Limits {
            answer_timeout: limit.min(group.settings.response_header_timeout),
            is_upgrade: false,
            spelling: None,
            interim: &|_| {},
        };
        let request = match build(group, key, address) {
            Ok(request) => request,
            Err(error) => return undecided(&error, key),
        };
        let answer = match self.shared.clients.send(&group.client, address, request, limits).await {
            Ok(answer) => answer,
            Err(error) => {
                if error.is_outage() {
                    upstreams.failed(upstream, Instant::now());
                }
                return undecided(&error, key);
            }
        };
        let (head, body) = answer.into_parts();
        let body = read(body).await;
        if head.status.is_success() {
            return Verdict::Valid;
        }
        let status = head.status;
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
            upstreams.failed(upstream, Instant::now());
        }
        let message = redact(&channel::parsed_message(&body), &key.secret);
        let failure = Failure::new(Some(status.as_u16()), &message);
        // The operator chose place and model, so nothing in the answer is a client's.
        let asked = Asked { path: "", model: "" };
        match channel::blame(&asked, status.as_u16(), &head.headers, &body, chrono::Utc::now()) {
            Blame::Key => Verdict::Invalid(failure),
            Blame::KeyForNow(rest) => Verdict::Undecided { failure, rest: Some(rest) },
            Blame::Client | Blame::Upstream => Verdict::Undecided { failure, rest: None },
        }
    }

    /// What the operator asked for by testing a key by hand.
    pub(super) async fn act(&self, group: &Group, key: Arc<Key>, verdict: Verdict) -> Result<(), db::Error> {
        let pools = &self.shared.pools;
        match verdict {
            Verdict::Valid => {
                pools.revive_unless_sound(key).await?;
            }
            Verdict::Invalid(failure) => {
                // One test is as good as the threshold's number of requests, unless keys are never to be taken out.
                if let Some(pool) = pools.of(group.id) {
                    pool.failed(&key, group.settings.blacklist_threshold.min(1), failure);
                }
            }
            Verdict::Undecided { rest: Some(rest), .. } => {
                if let Some(pool) = pools.of(group.id) {
                    pool.rest(&key, Instant::now() + rest);
                }
            }
            Verdict::Undecided { rest: None, .. } => {}
        }
        Ok(())
    }
}

impl From<&Verdict> for Tested {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self { failure: None },
            Verdict::Invalid(failure) | Verdict::Undecided { failure, .. } => Self { failure: Some(failure.clone()) },
        }
    }
}

type Outcome = Result<(String, Result<Tested, db::Error>), tokio::task::JoinError>;

fn note(outcomes: &mut std::collections::HashMap<String, Tested>, outcome: Option<Outcome>) {
    match outcome {
        Some(Ok((hash, Ok(tested)))) => {
            outcomes.insert(hash, tested);
        }
        Some(Ok((hash, Err(error)))) => {
            let message = format!("the key was tested, but its state cannot be stored: {error}");
            outcomes.insert(hash, Tested::failed(message));
        }
        Some(Err(error)) => tracing::error!(%error, "The test of a key died"),
        None => {}
    }
}

fn undecided(error: &SendError, key: &Key) -> Verdict {
    let message = redact(&format!("failed to send validation request: {error}"), &key.secret);
    Verdict::Undecided { failure: Failure::new(None, &message), rest: None }
}

/// The channel's own test, with the group's rules applied as to any request.
fn build(group: &Group, key: &Key, address: &crate::upstream::Address) -> Result<Request<RequestBody>, SendError> {
    let redirected = |model: &str| match group.redirects.target(group.channel, model) {
        Ok(Some(target)) => target.to_owned(),
        // Strict mode is about what clients may ask for.
        Ok(None) | Err(_) => model.to_owned(),
    };
    let model = redirected(&group.test_model);
    let test = group.channel.test_request(&model, &group.validation_endpoint);
    let (path, query) = match test.path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (test.path_and_query.as_str(), None),
    };
    let mut body = test.body;
    if !body.is_empty()
        && let Some(overridden) = json::merge_patch(&body, group.overrides_for(path))
    {
        body = overridden;
        let named = json::top_level(&body, &["model"]).and_then(|members| json::string(members[0]?));
        if let Some(named) = named.filter(|named| *named != model) {
            let target = json::quoted(&redirected(&named));
            body = json::edit(&body, &[("model", &target)]).unwrap_or(body);
        }
    }
    let target = address.path_and_query(path, query);
    let unsendable = |what: &str| SendError::Unsendable(what.to_owned());
    let uri: Uri = target.parse().map_err(|_| unsendable("the validation endpoint is no valid target"))?;
    let mut headers = test.headers;
    headers.insert(header::USER_AGENT, USER_AGENT);
    group.sign(&mut headers, address, uri.path(), key, OWN_ADDRESS)?;
    let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(Bytes::from(body)) };
    let mut request = Request::new(body);
    *request.method_mut() = test.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The beginning of a body. The rest is read and dropped, so that the connection is free again.
async fn read(mut body: AnswerBody) -> Bytes {
    let mut start = BytesMut::new();
    let mut seen = 0;
    while seen < DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            seen += data.len();
            let room = MESSAGE_BYTES_MAX - start.len();
            start.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    start.freeze()
}

#[cfg(test)]
#[path = "validation_tests.rs"]
pub(super) mod tests;
