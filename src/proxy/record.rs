//! The record of one request: opened when it arrives, one entry for each attempt, closed whatever happens.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::prepare::Prepared;
use crate::{
    group::{Group, Key},
    request_log::{Entry, GroupName, Kind, RequestLog, Verdict},
    upstream::Address,
};

/// nginx's code for a client that left before the answer was complete; nobody ever receives it.
pub(super) const STATUS_CLIENT_GONE: u16 = 499;
/// Parameters by which providers take credentials.
const SECRET_PARAMETERS: [&str; 5] = ["key", "api_key", "api-key", "access_token", "subscription-key"];

/// Longest texts of an entry, in bytes: what the widest column holds of the longest characters. Clients decide how long
/// these texts are, and an entry may wait in memory for as long as the database is away.
const PATH_BYTES_MAX: usize = 2_000;
const USER_AGENT_BYTES_MAX: usize = 2_048;
const MODEL_BYTES_MAX: usize = 1_024;
const ERROR_MESSAGE_BYTES_MAX: usize = 8 * 1024;
const UPSTREAM_ID_BYTES_MAX: usize = 128;
/// By which upstreams tell what they call a request: most of them, Anthropic, Amazon, Azure.
const UPSTREAM_IDS: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("apim-request-id"),
];

/// Where records go, and whether what is dropped from here on was cut by a stop.
pub(super) struct Recorder {
    log: RequestLog,
    is_cutting: AtomicBool,
}

impl Recorder {
    pub(super) fn new(log: RequestLog) -> Self {
        Self { log, is_cutting: AtomicBool::new(false) }
    }

    /// A stop waits no longer.
    pub(super) fn cut(&self) {
        self.is_cutting.store(true, Ordering::Relaxed);
    }
}

/// Dropping it unclosed means that the request ended midway: its client left, unless a stop cut it or a thread panicked.
pub(super) struct Record(Option<Box<Open>>);

struct Open {
    recorder: Arc<Recorder>,
    worker: usize,
    request_id: Uuid,
    started_at: Instant,
    clock: OverheadClock,
    first_byte: Option<Duration>,
    attempt: u32,
    group: Option<GroupName>,
    parent: Option<GroupName>,
    key: Option<Arc<Key>>,
    client_key: Option<Arc<str>>,
    model: String,
    sent_model: Option<String>,
    upstream_request_id: Option<Box<str>>,
    /// Of an answer that has begun: its status, and whose fault it is if it is none of success.
    answer: Option<(u16, Verdict)>,
    source_ip: IpAddr,
    request_path: String,
    user_agent: String,
    upstream_addr: String,
    is_stream: bool,
    request_body: Option<String>,
}

/// Adds up the time in which we, and not the client or the upstream, kept the request.
struct OverheadClock {
    total: Duration,
    since: Option<Instant>,
}

impl Record {
    pub(super) fn open(recorder: &Arc<Recorder>, worker: usize, parts: &Parts, source_ip: IpAddr) -> Self {
        let started_at = Instant::now();
        Self(Some(Box::new(Open {
            recorder: Arc::clone(recorder),
            worker,
            request_id: Uuid::now_v7(),
            started_at,
            clock: OverheadClock { total: Duration::ZERO, since: Some(started_at) },
            first_byte: None,
            attempt: 0,
            group: None,
            parent: None,
            key: None,
            client_key: None,
            model: String::new(),
            sent_model: None,
            upstream_request_id: None,
            answer: None,
            source_ip,
            // Without the query until the credential that may be in it is known.
            request_path: cut(parts.uri.path(), PATH_BYTES_MAX).to_owned(),
            user_agent: parts.headers.get(header::USER_AGENT).map_or_else(String::new, |value| {
                let start = &value.as_bytes()[..value.len().min(USER_AGENT_BYTES_MAX)];
                cut(&String::from_utf8_lossy(start), USER_AGENT_BYTES_MAX).to_owned()
            }),
            upstream_addr: String::new(),
            is_stream: false,
            request_body: None,
        })))
    }

    pub(super) fn request_id(&self) -> Uuid {
        self.0.as_ref().map_or_else(Uuid::nil, |open| open.request_id)
    }

    /// Hands the record to what outlives the handler: the body of the answer.
    pub(super) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// `client_key`: the label of the proxy key that opened the group.
    pub(super) fn asked(&mut self, group: &Group, query: Option<&str>, client_key: Arc<str>) {
        self.with(|open| {
            open.group = Some(name_of(group));
            open.client_key = Some(client_key);
            if let Some(query) = query {
                open.request_path.push('?');
                let room = PATH_BYTES_MAX.saturating_sub(open.request_path.len());
                open.request_path.push_str(cut(&without_secrets(query), room));
            }
        });
    }

    /// The member of an aggregate that serves.
    pub(super) fn serving(&mut self, asked: &Group, serving: &Group) {
        self.with(|open| {
            open.group = Some(name_of(serving));
            open.parent = (asked.id != serving.id).then(|| name_of(asked));
        });
    }

    pub(super) fn prepared(&mut self, prepared: &mut Prepared) {
        self.with(|open| {
            cut(&prepared.model, MODEL_BYTES_MAX).clone_into(&mut open.model);
            open.sent_model = prepared.sent_model.take().map(|model| shortened(model, MODEL_BYTES_MAX));
            open.is_stream = prepared.wants_stream;
            open.request_body = prepared.logged_body.take();
        });
    }

    pub(super) fn attempting(&mut self, attempt: u32, key: &Arc<Key>, address: &Address, prepared: &Prepared) {
        self.with(|open| {
            open.attempt = attempt;
            open.key = Some(Arc::clone(key));
            let query = prepared.query.as_deref().map(without_secrets);
            open.upstream_addr = shortened(address.display(&prepared.path, query.as_deref()), PATH_BYTES_MAX);
        });
    }

    /// An answer has come: what the upstream calls the request, if it says so.
    pub(super) fn named(&mut self, headers: Option<&HeaderMap>, key: &Key) {
        let Some(headers) = headers else { return };
        let Some(id) = UPSTREAM_IDS.iter().find_map(|name| headers.get(name)) else { return };
        let start = &id.as_bytes()[..id.len().min(UPSTREAM_ID_BYTES_MAX)];
        // What is meant to be an id may be anything.
        let id = crate::crypto::redact(&String::from_utf8_lossy(start), &key.secret);
        self.with(|open| open.upstream_request_id = Some(id.into()));
    }

    /// An answer has begun that is passed on. The verdict stands unless it breaks off.
    pub(super) fn answered(&mut self, status: u16, verdict: Verdict, is_stream: bool) {
        self.with(|open| {
            open.answer = Some((status, verdict));
            open.is_stream = is_stream;
        });
    }

    pub(super) fn first_byte(&mut self) {
        self.with(|open| {
            if open.first_byte.is_none() {
                open.first_byte = Some(open.started_at.elapsed());
            }
        });
    }

    /// From here on the client or the upstream has the request.
    pub(super) fn waiting(&mut self) {
        self.with(|open| {
            if let Some(since) = open.clock.since.take() {
                open.clock.total += since.elapsed();
            }
        });
    }

    /// From here on we have it.
    pub(super) fn working(&mut self) {
        self.with(|open| {
            open.clock.since.get_or_insert_with(Instant::now);
        });
    }

    /// This attempt failed and another follows.
    pub(super) fn retry(&mut self, status: u16, verdict: Verdict, error_message: String) {
        self.with(|open| {
            let error_message = shortened(error_message, ERROR_MESSAGE_BYTES_MAX);
            let entry = open.entry(Kind::Retry, status, verdict, error_message.into());
            open.recorder.log.submit(open.worker, entry);
            // Should the request end before the next attempt begins, its last entry is none of this one's.
            open.answer = None;
            open.attempt = 0;
            open.key = None;
            open.upstream_request_id = None;
            open.upstream_addr.clear();
        });
    }

    /// The request is over. An empty message means that nothing went wrong on the way.
    pub(super) fn close(&mut self, status: u16, verdict: Verdict, error_message: impl Into<Cow<'static, str>>) {
        self.waiting();
        if let Some(mut open) = self.0.take() {
            let error_message = match error_message.into() {
                Cow::Owned(text) => shortened(text, ERROR_MESSAGE_BYTES_MAX).into(),
                fixed @ Cow::Borrowed(_) => fixed,
            };
            let entry = open.entry(Kind::Final, status, verdict, error_message);
            open.recorder.log.submit(open.worker, entry);
        }
    }

    /// The answer was handed on as it was; `error_message` is what an unsuccessful one said.
    pub(super) fn close_answered(&mut self, error_message: impl Into<Cow<'static, str>>) {
        let (status, verdict) = self.answer().unwrap_or((STATUS_CLIENT_GONE, Verdict::ClientGone));
        self.close(status, verdict, error_message);
    }

    /// The upstream broke the answer off.
    pub(super) fn close_broken(&mut self, error_message: String) {
        let (status, verdict) = self.answer().unwrap_or((StatusCode::BAD_GATEWAY.as_u16(), Verdict::Upstream));
        // What was a refusal already is still the fault of whom it was refused for.
        let verdict = if verdict == Verdict::Success { Verdict::Upstream } else { verdict };
        self.close(status, verdict, error_message);
    }

    /// The client left before the answer was complete.
    pub(super) fn close_abandoned(&mut self, error_message: impl Into<Cow<'static, str>>) {
        self.close(STATUS_CLIENT_GONE, Verdict::ClientGone, error_message);
    }

    /// A fault of ours. `status`: where no answer had begun.
    fn close_at_fault(&mut self, status: StatusCode, error_message: &'static str) {
        let status = self.answer().map_or(status.as_u16(), |(status, _)| status);
        self.close(status, Verdict::Ourselves, error_message);
    }

    fn answer(&self) -> Option<(u16, Verdict)> {
        self.0.as_ref().and_then(|open| open.answer)
    }

    fn with(&mut self, change: impl FnOnce(&mut Open)) {
        if let Some(open) = &mut self.0 {
            change(open);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(open) = &self.0 else { return };
        if open.recorder.is_cutting.load(Ordering::Relaxed) {
            self.close_at_fault(StatusCode::SERVICE_UNAVAILABLE, "The request was cut because this server stopped");
        } else if std::thread::panicking() {
            let message = "The request ended in a fault of this server; the log says which";
            self.close_at_fault(StatusCode::INTERNAL_SERVER_ERROR, message);
        } else {
            self.close_abandoned("The client closed the connection before the answer was complete");
        }
    }
}

impl Open {
    fn entry(&mut self, kind: Kind, status: u16, verdict: Verdict, error_message: Cow<'static, str>) -> Entry {
        let is_final = kind == Kind::Final;
        // The last entry may have the texts; a retry needs them again.
        let text = |text: &mut String| if is_final { std::mem::take(text) } else { text.clone() };
        Entry {
            request_id: self.request_id,
            attempt: self.attempt,
            kind,
            ended_at: Utc::now(),
            duration: self.started_at.elapsed(),
            first_byte: self.first_byte,
            overhead: self.clock.total,
            group: self.group.clone(),
            parent: self.parent.clone(),
            key: self.key.clone(),
            model: text(&mut self.model),
            sent_model: if is_final { self.sent_model.take() } else { self.sent_model.clone() },
            upstream_request_id: self.upstream_request_id.take(),
            status,
            verdict,
            error_message,
            source_ip: Some(self.source_ip),
            request_path: text(&mut self.request_path),
            user_agent: text(&mut self.user_agent),
            client_key: self.client_key.clone(),
            upstream_addr: text(&mut self.upstream_addr),
            is_stream: self.is_stream,
            request_body: if is_final { self.request_body.take() } else { self.request_body.clone() },
        }
    }
}

/// A text of at most so many bytes, ended between two characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The same for a text that is ours already; one that is too long gives all of its room back.
fn shortened(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max { text } else { cut(&text, bytes_max).to_owned() }
}

fn name_of(group: &Group) -> GroupName {
    GroupName { id: group.id, name: Arc::clone(&group.name), channel: group.channel }
}

/// A query as it may be stored: what the client meant for the upstream may be a credential all the same.
pub(super) fn without_secrets(query: &str) -> Cow<'_, str> {
    let secret_name = |pair: &'_ str| {
        let (name, _) = pair.split_once('=')?;
        let decoded = percent_decode_str(name).decode_utf8_lossy();
        SECRET_PARAMETERS.iter().any(|secret| decoded.eq_ignore_ascii_case(secret)).then_some(name.len())
    };
    if query.split('&').all(|pair| secret_name(pair).is_none()) {
        return Cow::Borrowed(query);
    }
    let shown = query.split('&').map(|pair| match secret_name(pair) {
        Some(length) => Cow::Owned(format!("{}=***", &pair[..length])),
        None => Cow::Borrowed(pair),
    });
    Cow::Owned(shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(text: &str) -> Arc<Key> {
        Arc::new(Key { id: 1, group_id: 1, secret: crate::crypto::Secret::new(text) })
    }

    #[test]
    fn what_the_upstream_calls_a_request_is_kept_without_the_key_and_for_that_attempt_alone() {
        let recorder = Arc::new(Recorder::new(RequestLog::new(1)));
        let (parts, ()) = http::Request::get("/proxy/g/x").body(()).unwrap().into_parts();
        let mut record = Record::open(&recorder, 0, &parts, IpAddr::from([127, 0, 0, 1]));
        let key = key_of("sk-0123456789abcdef");
        let mut id_of = |name: &'static str, value: &'static str, is_retry: bool| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            record.named(Some(&headers), &key);
            if is_retry {
                record.retry(503, Verdict::Upstream, String::new());
            }
            let open = record.0.as_mut().unwrap();
            open.entry(Kind::Final, 200, Verdict::Success, Cow::Borrowed("")).upstream_request_id
        };
        assert_eq!(id_of("x-request-id", "req_1", false).as_deref(), Some("req_1"));
        assert_eq!(id_of("date", "today", false), None);
        assert_eq!(id_of("request-id", "req_2", true), None);
        let told = id_of("apim-request-id", "for-sk-0123456789abcdef", false).unwrap();
        assert!(!told.contains("0123456789"), "{told}");
    }

    #[test]
    fn texts_of_clients_are_cut_before_they_wait() {
        let recorder = Arc::new(Recorder::new(RequestLog::new(1)));
        let long = "ü".repeat(1 << 20);
        let (parts, ()) = http::Request::get(format!("/proxy/g/{}", "a".repeat(60_000)))
            .header(header::USER_AGENT, http::HeaderValue::from_bytes(&vec![0xfc; 1 << 20]).unwrap())
            .body(())
            .unwrap()
            .into_parts();
        let mut record = Record::open(&recorder, 0, &parts, IpAddr::from([127, 0, 0, 1]));
        let mut wanted = Prepared::default();
        wanted.model.clone_from(&long);
        wanted.sent_model = Some(long.clone());
        record.prepared(&mut wanted);
        let id = http::HeaderValue::from_bytes(&vec![0xfc; 1 << 20]).unwrap();
        record.named(Some(&HeaderMap::from_iter([(UPSTREAM_IDS[1].clone(), id)])), &key_of("sk-1"));
        let key = Arc::new(Key { id: 1, group_id: 1, secret: crate::crypto::Secret::new("sk-1") });
        let address = Address::parse("http://upstream").unwrap();
        let mut prepared = Prepared::default();
        prepared.path.clone_from(&long);
        record.attempting(1, &key, &address, &prepared);
        let open = record.0.as_mut().unwrap();
        let entry = open.entry(Kind::Retry, 500, Verdict::Upstream, Cow::Borrowed(""));
        let sent_model = entry.sent_model.unwrap();
        for text in [&entry.model, &sent_model, &entry.user_agent, &entry.request_path, &entry.upstream_addr] {
            assert!((500..=2_048).contains(&text.len()), "{}", text.len());
        }
        assert!(entry.upstream_request_id.unwrap().chars().count() <= UPSTREAM_ID_BYTES_MAX);
        record.close(500, Verdict::Upstream, long);
    }

    #[test]
    fn what_ends_before_the_next_attempt_began_is_no_attempt() {
        let recorder = Arc::new(Recorder::new(RequestLog::new(1)));
        let (parts, ()) = http::Request::get("/proxy/g/x").body(()).unwrap().into_parts();
        let mut record = Record::open(&recorder, 0, &parts, IpAddr::from([127, 0, 0, 1]));
        let key = Arc::new(Key { id: 1, group_id: 1, secret: crate::crypto::Secret::new("sk-1") });
        let address = Address::parse("http://upstream").unwrap();
        record.attempting(1, &key, &address, &Prepared::default());
        record.retry(502, Verdict::Upstream, "Bad gateway".to_owned());
        let open = record.0.as_mut().unwrap();
        let last = open.entry(Kind::Final, 499, Verdict::ClientGone, Cow::Borrowed("It left"));
        assert_eq!((last.attempt, last.key.is_none(), &*last.upstream_addr), (0, true, ""));
        record.attempting(2, &key, &address, &Prepared::default());
        let open = record.0.as_mut().unwrap();
        let last = open.entry(Kind::Final, 200, Verdict::Success, Cow::Borrowed(""));
        assert_eq!((last.attempt, last.key.is_some()), (2, true));
    }

    #[test]
    fn credentials_in_a_query_are_not_stored() {
        let check = |query: &str, expected: &str| assert_eq!(without_secrets(query), expected);
        check("a=1&key=AIzaReal&b", "a=1&key=***&b");
        check("%6bEy=x&API-Key=y&access_token=", "%6bEy=***&API-Key=***&access_token=***");
        check("monkey=1&keys=2&key", "monkey=1&keys=2&key");
        check("", "");
    }
}
