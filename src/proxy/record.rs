//! The record of one request: opened when it arrives, one entry for each attempt, closed whatever happens.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use http::{header, request::Parts};
use uuid::Uuid;

use crate::{
    group::{Group, Key},
    request_log::{Entry, GroupName, Kind, RequestLog},
};

/// nginx's code for a client that left before the answer was complete; nobody ever receives it.
const STATUS_CLIENT_GONE: u16 = 499;

/// Dropping it unclosed says that the client left, or that this server stops: nothing else drops a request midway.
pub(super) struct Record(Option<Box<Open>>);

struct Open {
    log: RequestLog,
    worker: usize,
    request_id: Uuid,
    started_at: Instant,
    clock: OverheadClock,
    first_byte: Option<Duration>,
    attempt: u32,
    group: Option<GroupName>,
    parent: Option<GroupName>,
    key: Option<Arc<Key>>,
    model: String,
    status: Option<u16>,
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
    pub(super) fn open(log: &RequestLog, worker: usize, parts: &Parts, source_ip: IpAddr) -> Self {
        let started_at = Instant::now();
        Self(Some(Box::new(Open {
            log: log.clone(),
            worker,
            request_id: Uuid::now_v7(),
            started_at,
            clock: OverheadClock { total: Duration::ZERO, since: Some(started_at) },
            first_byte: None,
            attempt: 0,
            group: None,
            parent: None,
            key: None,
            model: String::new(),
            status: None,
            source_ip,
            // Without the query until the credential that may be in it is known.
            request_path: parts.uri.path().to_owned(),
            user_agent: parts
                .headers
                .get(header::USER_AGENT)
                .map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
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

    pub(super) fn asked(&mut self, group: &Group, query: Option<&str>) {
        self.with(|open| {
            open.group = Some(name_of(group));
            if let Some(query) = query {
                open.request_path.push('?');
                open.request_path.push_str(query);
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

    pub(super) fn prepared(&mut self, model: &str, is_stream: bool, request_body: Option<String>) {
        self.with(|open| {
            model.clone_into(&mut open.model);
            open.is_stream = is_stream;
            open.request_body = request_body;
        });
    }

    pub(super) fn attempting(&mut self, attempt: u32, key: &Arc<Key>, upstream_addr: String) {
        self.with(|open| {
            open.attempt = attempt;
            open.key = Some(Arc::clone(key));
            open.upstream_addr = upstream_addr;
        });
    }

    pub(super) fn answered(&mut self, status: u16, is_stream: bool) {
        self.with(|open| {
            open.status = Some(status);
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
    pub(super) fn retry(&mut self, status: u16, error_message: String) {
        self.with(|open| {
            let entry = open.entry(Kind::Retry, status, error_message.into());
            open.log.submit(open.worker, entry);
            open.status = None;
        });
    }

    /// The request is over. An empty message means that nothing went wrong on the way.
    pub(super) fn close(&mut self, status: u16, error_message: impl Into<Cow<'static, str>>) {
        self.waiting();
        if let Some(mut open) = self.0.take() {
            let entry = open.entry(Kind::Final, status, error_message.into());
            open.log.submit(open.worker, entry);
        }
    }

    /// The answer was handed on as it was; `error_message` is what an unsuccessful one said.
    pub(super) fn close_answered(&mut self, error_message: impl Into<Cow<'static, str>>) {
        let status = self.0.as_ref().and_then(|open| open.status).unwrap_or(STATUS_CLIENT_GONE);
        self.close(status, error_message);
    }

    fn with(&mut self, change: impl FnOnce(&mut Open)) {
        if let Some(open) = &mut self.0 {
            change(open);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match &self.0 {
            None => {}
            Some(open) if open.log.is_cutting() => self.close_answered("It was cut because this server stopped"),
            Some(_) => {
                self.close(STATUS_CLIENT_GONE, "The client closed the connection before the answer was complete");
            }
        }
    }
}

impl Open {
    fn entry(&mut self, kind: Kind, status: u16, error_message: Cow<'static, str>) -> Entry {
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
            status,
            error_message,
            source_ip: Some(self.source_ip),
            request_path: text(&mut self.request_path),
            user_agent: text(&mut self.user_agent),
            upstream_addr: text(&mut self.upstream_addr),
            is_stream: self.is_stream,
            request_body: if is_final { self.request_body.take() } else { self.request_body.clone() },
        }
    }
}

fn name_of(group: &Group) -> GroupName {
    GroupName { id: group.id, name: Arc::clone(&group.name) }
}
