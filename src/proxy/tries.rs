//! How often a request may be tried, what was tried already, and what each outcome costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};

use super::{
    attempt::Refusal,
    prepare::Call,
    verdict::{Circumstances, KeyCost, Retry, Seen, UpstreamCost, Verdict, judge},
};
use crate::{
    channel::Blame,
    group::{Group, Key},
    keypool::{Failure, Pool},
    request_log,
    upstream::SendError,
};

/// First pause before the same upstream is asked again after a fault of its own; doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What an attempt led to, other than an answer that is simply passed on.
pub(super) enum Outcome {
    Refused(Box<Refusal>),
    Unanswered(SendError),
}

impl Outcome {
    /// For the log: the upstream's status, or the one that we would answer with.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.parts.status.as_u16(),
            Self::Unanswered(error) => super::failure::Failure::from_send_error(error).recorded_status(),
        }
    }

    /// Of the answer, without the key; `None`: there was none.
    pub(super) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Refused(refusal) => Some(&refusal.parts.headers),
            Self::Unanswered(_) => None,
        }
    }

    /// For the log: whose fault it was.
    pub(super) fn verdict(&self) -> request_log::Verdict {
        match self {
            Self::Refused(refusal) => refusal.blame.into(),
            Self::Unanswered(error) => super::failure::Failure::from_send_error(error).verdict,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.message.clone(),
            Self::Unanswered(error) => error.to_string(),
        }
    }

    /// For whoever asks later why a key is out of rotation.
    fn failure(&self) -> Failure {
        let status_code = match self {
            Self::Refused(refusal) => Some(refusal.parts.status.as_u16()),
            Self::Unanswered(_) => None,
        };
        Failure::new(status_code, &self.message())
    }
}

pub(super) struct Tries {
    deadline: Instant,
    is_repeatable: bool,
    retries_max: u32,
    count: u32,
    keys: Vec<i64>,
    /// Of the serving group.
    upstreams: Vec<usize>,
    /// Status of an earlier refusal that looked like the client's fault.
    client_fault: Option<u16>,
}

/// What an attempt was made with, and what its outcome is charged to.
pub(super) struct Used<'a> {
    pub(super) group: &'a Group,
    pub(super) pool: &'a Pool,
    pub(super) key: &'a Key,
    pub(super) upstream: usize,
}

/// Which ways are left.
pub(super) struct Next {
    /// Another attempt in the same group.
    pub(super) may_stay: bool,
    /// To another member, if the group that was asked is an aggregate and has one.
    pub(super) may_move: bool,
    /// Before asking the same upstream again.
    pub(super) pause: Option<Duration>,
}

impl Used<'_> {
    /// Whether the group retries answers of this status.
    pub(super) fn lists(&self, status: u16) -> bool {
        self.group.settings.failover_status_codes.contains(status)
    }

    /// Makes the key and the upstream bear what the verdict says.
    pub(super) fn charge(&self, verdict: &Verdict, outcome: Option<&Outcome>, now: Instant) {
        let &Self { group, pool, key, upstream } = self;
        match verdict.key {
            KeyCost::Nothing => {}
            KeyCost::Forgiven => pool.succeeded(key),
            KeyCost::Failure => {
                let failure = outcome.map(Outcome::failure).unwrap_or_default();
                if pool.failed(key, group.settings.blacklist_threshold, failure) {
                    tracing::warn!(
                        group.name = %group.name,
                        key.id,
                        "Took key {} of {} out of rotation",
                        key.id,
                        group.name
                    );
                }
            }
            KeyCost::Rest(rest) => pool.rest(key, now + rest),
        }
        match verdict.upstream {
            UpstreamCost::Nothing => {}
            UpstreamCost::Forgiven => group.upstreams.succeeded(upstream),
            UpstreamCost::Rest => group.upstreams.failed(upstream, now),
        }
    }
}

impl Tries {
    /// `received_at`: an upload takes the time that it takes, and what follows has all of its own.
    pub(super) fn new(received_at: Instant, group: &Group, call: &Call) -> Self {
        let is_idempotent =
            matches!(call.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
        Self {
            deadline: received_at + group.settings.request_timeout,
            is_repeatable: is_idempotent || call.headers.contains_key("idempotency-key"),
            retries_max: group.settings.max_retries,
            count: 0,
            keys: Vec::new(),
            upstreams: Vec::new(),
            client_fault: None,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn keys(&self) -> &[i64] {
        &self.keys
    }

    pub(super) fn upstreams(&self) -> &[usize] {
        &self.upstreams
    }

    /// All attempts together end by this time.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The body was streamed until `at`, which took some of the time that the answer is to have.
    pub(super) fn uploaded(&mut self, at: Instant, group: &Group) {
        self.deadline = self.deadline.max(at + group.settings.request_timeout);
    }

    pub(super) fn begin(&mut self, key: &Arc<Key>, upstream: usize) {
        self.count += 1;
        self.keys.push(key.id);
        self.upstreams.push(upstream);
    }

    pub(super) fn moved_to(&mut self, group: &Group) {
        self.upstreams.clear();
        self.retries_max = self.retries_max.max(group.settings.max_retries);
    }

    /// Charges the key and the upstream, and says what may come next.
    pub(super) fn settle(&mut self, outcome: &Outcome, used: &Used<'_>, is_body_complete: bool) -> Next {
        let now = Instant::now();
        let &Used { group, pool, .. } = used;
        let seen = match outcome {
            Outcome::Refused(refusal) if !used.lists(refusal.parts.status.as_u16()) => Seen::Unlisted,
            Outcome::Refused(refusal) => Seen::Refusal { status: refusal.parts.status.as_u16(), blame: refusal.blame },
            Outcome::Unanswered(error) => Seen::NoAnswer(error),
        };
        let verdict = judge(
            &seen,
            &Circumstances {
                is_repeatable: self.is_repeatable,
                is_body_complete,
                is_second_opinion: matches!(seen, Seen::Refusal { status, blame: Blame::Client }
                    if self.client_fault == Some(status)),
            },
        );
        if let Seen::Refusal { status, blame: Blame::Client } = seen {
            self.client_fault = Some(status);
        }
        used.charge(&verdict, Some(outcome), now);
        if verdict.retry == Retry::No || now >= self.deadline {
            return Next { may_stay: false, may_move: false, pause: None };
        }
        let has_attempts = self.count <= self.retries_max;
        let has_key = pool.has_untried(&self.keys);
        let is_upstream_down = verdict.upstream == UpstreamCost::Rest && !group.upstreams.is_any_awake(now);
        let may_stay = has_attempts && (has_key || (verdict.retry == Retry::Anything && pool.active_count() > 0));
        Next {
            may_stay,
            // A member that is down, or out of keys, must not fail a request that another member could serve: going
            // on to a member that was not tried needs no attempt left.
            may_move: is_upstream_down || !has_key,
            pause: (may_stay && verdict.retry == Retry::Anything && self.upstreams.len() >= group.upstreams.count())
                .then(|| PAUSE_MIN.saturating_mul(1 << (self.count - 1).min(8)).min(PAUSE_MAX)),
        }
    }
}
