//! Whose fault an outcome is, what it costs the key and the upstream, and whether another try makes sense. Pure.

use std::time::Duration;

use crate::{channel::Blame, request_log, upstream::SendError};

/// What is known about an attempt that did not simply succeed.
pub(super) enum Seen<'a> {
    /// An unsuccessful answer that is passed on too, since the group does not list its status.
    Unlisted,
    /// An answer whose status the group lists.
    Refusal {
        status: u16,
        blame: Blame,
    },
    NoAnswer(&'a SendError),
}

/// Whether an answer goes to the client without being looked at. One of 400 and above is read, if only for the log.
pub(super) fn passes_unread(status: u16, is_listed: bool) -> bool {
    status < 400 && !is_listed
}

/// The circumstances of the request that the rules depend on.
pub(super) struct Circumstances {
    /// Doing it twice does no harm: an idempotent method (RFC 9110, 9.2.2), or an `Idempotency-Key`.
    pub(super) is_repeatable: bool,
    /// The body can still be sent whole.
    pub(super) is_body_complete: bool,
    /// An earlier attempt of this request, with another key, was refused with the same status as the client's fault.
    pub(super) is_second_opinion: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) retry: Retry,
    pub(super) key: KeyCost,
    pub(super) upstream: UpstreamCost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The caller gets this outcome.
    No,
    /// With a key that this request did not try yet; without one, the caller gets this outcome.
    OtherKey,
    /// With any key, another upstream preferred.
    Anything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyCost {
    Nothing,
    /// Less than nothing: earlier failures are forgotten, since only those in a row count.
    Forgiven,
    Failure,
    Rest(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpstreamCost {
    Nothing,
    /// It answered, if only to refuse: earlier outages are forgotten.
    Forgiven,
    Rest,
}

impl Verdict {
    /// On an answer that goes to the client without being looked at.
    pub(super) const SUCCESS: Self =
        Self { retry: Retry::No, key: KeyCost::Forgiven, upstream: UpstreamCost::Forgiven };
}

pub(super) fn judge(seen: &Seen<'_>, circumstances: &Circumstances) -> Verdict {
    let mut verdict = match *seen {
        // It is the answer, whatever it means, and costs nobody anything.
        Seen::Unlisted => Verdict { retry: Retry::No, key: KeyCost::Nothing, upstream: UpstreamCost::Forgiven },
        Seen::Refusal { blame: Blame::Key, .. } => {
            Verdict { retry: Retry::OtherKey, key: KeyCost::Failure, upstream: UpstreamCost::Forgiven }
        }
        Seen::Refusal { blame: Blame::KeyForNow(rest), .. } => {
            Verdict { retry: Retry::OtherKey, key: KeyCost::Rest(rest), upstream: UpstreamCost::Forgiven }
        }
        Seen::Refusal { blame: Blame::Upstream, status } => {
            let upstream = if is_outage(status) { UpstreamCost::Rest } else { UpstreamCost::Forgiven };
            Verdict { retry: Retry::Anything, key: KeyCost::Nothing, upstream }
        }
        // The operator listed this status, so another key is asked once: the fault may be one of an account after all.
        Seen::Refusal { blame: Blame::Client, .. } => {
            let retry = if circumstances.is_second_opinion { Retry::No } else { Retry::OtherKey };
            Verdict { retry, key: KeyCost::Nothing, upstream: UpstreamCost::Forgiven }
        }
        // Such a key stays out of the pool; one that comes in all the same must not fail every request of its turn.
        Seen::NoAnswer(SendError::UnsendableKey) => {
            Verdict { retry: Retry::OtherKey, key: KeyCost::Failure, upstream: UpstreamCost::Nothing }
        }
        Seen::NoAnswer(error) => {
            let is_safe = circumstances.is_repeatable || !error.may_have_been_processed();
            let (retry, upstream) = match error.is_outage() {
                true if is_safe => (Retry::Anything, UpstreamCost::Rest),
                true => (Retry::No, UpstreamCost::Rest),
                false => (Retry::No, UpstreamCost::Nothing),
            };
            Verdict { retry, key: KeyCost::Nothing, upstream }
        }
    };
    if !circumstances.is_body_complete {
        verdict.retry = Retry::No;
    }
    verdict
}

/// For the record.
impl From<Blame> for request_log::Verdict {
    fn from(blame: Blame) -> Self {
        match blame {
            Blame::Key => Self::Key,
            Blame::KeyForNow(_) => Self::KeyForNow,
            Blame::Client => Self::Client,
            Blame::Upstream => Self::Upstream,
        }
    }
}

/// Statuses by which a gateway in front of the provider says that it is not reachable; 52x are Cloudflare's.
fn is_outage(status: u16) -> bool {
    matches!(status, 502..=504 | 520..=527 | 530)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Circumstances =
        Circumstances { is_repeatable: false, is_body_complete: true, is_second_opinion: false };

    #[track_caller]
    fn check(seen: &Seen<'_>, circumstances: &Circumstances, retry: Retry, key: KeyCost, upstream: UpstreamCost) {
        assert_eq!(judge(seen, circumstances), Verdict { retry, key, upstream });
    }

    fn refusal(status: u16, blame: Blame) -> Seen<'static> {
        Seen::Refusal { status, blame }
    }

    #[test]
    fn what_the_group_does_not_list_is_the_answer() {
        check(&Seen::Unlisted, &USUAL, Retry::No, KeyCost::Nothing, UpstreamCost::Forgiven);
        assert!(passes_unread(200, false) && passes_unread(302, false));
        assert!(!passes_unread(404, false) && !passes_unread(200, true));
    }

    #[test]
    fn a_bad_key_costs_the_key_and_another_one_is_tried() {
        check(&refusal(401, Blame::Key), &USUAL, Retry::OtherKey, KeyCost::Failure, UpstreamCost::Forgiven);
    }

    #[test]
    fn a_rate_limit_rests_the_key_and_counts_nothing() {
        let rest = Duration::from_secs(20);
        let seen = refusal(429, Blame::KeyForNow(rest));
        check(&seen, &USUAL, Retry::OtherKey, KeyCost::Rest(rest), UpstreamCost::Forgiven);
    }

    #[test]
    fn an_outage_rests_the_upstream_and_never_the_key() {
        for status in [502, 503, 504, 522] {
            let seen = refusal(status, Blame::Upstream);
            check(&seen, &USUAL, Retry::Anything, KeyCost::Nothing, UpstreamCost::Rest);
        }
        check(&refusal(500, Blame::Upstream), &USUAL, Retry::Anything, KeyCost::Nothing, UpstreamCost::Forgiven);
    }

    #[test]
    fn a_clients_mistake_costs_nothing_and_is_confirmed_by_one_other_key() {
        let seen = refusal(400, Blame::Client);
        check(&seen, &USUAL, Retry::OtherKey, KeyCost::Nothing, UpstreamCost::Forgiven);
        let again = Circumstances { is_second_opinion: true, ..USUAL };
        check(&seen, &again, Retry::No, KeyCost::Nothing, UpstreamCost::Forgiven);
    }

    #[test]
    fn what_may_have_been_done_is_not_done_twice() {
        let repeatable = Circumstances { is_repeatable: true, ..USUAL };
        let lost = SendError::Broken(String::new());
        let unreached = SendError::Connect(String::new());
        check(&Seen::NoAnswer(&lost), &USUAL, Retry::No, KeyCost::Nothing, UpstreamCost::Rest);
        check(&Seen::NoAnswer(&lost), &repeatable, Retry::Anything, KeyCost::Nothing, UpstreamCost::Rest);
        check(&Seen::NoAnswer(&unreached), &USUAL, Retry::Anything, KeyCost::Nothing, UpstreamCost::Rest);
    }

    #[test]
    fn our_own_and_the_clients_failures_cost_nobody_anything() {
        let errors = [
            SendError::Unsendable(String::new()),
            SendError::ClientBody("".into()),
            SendError::Shortage(String::new()),
            SendError::Late,
        ];
        for error in errors {
            check(&Seen::NoAnswer(&error), &USUAL, Retry::No, KeyCost::Nothing, UpstreamCost::Nothing);
        }
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_at_fault_itself() {
        let seen = Seen::NoAnswer(&SendError::UnsendableKey);
        check(&seen, &USUAL, Retry::OtherKey, KeyCost::Failure, UpstreamCost::Nothing);
    }

    #[test]
    fn a_body_that_is_half_sent_is_not_sent_again() {
        let half = Circumstances { is_body_complete: false, ..USUAL };
        check(&refusal(401, Blame::Key), &half, Retry::No, KeyCost::Failure, UpstreamCost::Forgiven);
    }
}
