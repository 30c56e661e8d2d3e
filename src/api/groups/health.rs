//! How well a group is, by what is known of its keys, upstreams, members and requests.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{keypool::KeyStates, stats::Counts};

/// Fewer requests than these say nothing about an error rate.
const REQUESTS_JUDGED_MIN: i64 = 20;
/// Failures of the last two hours, in percent of their requests.
const ERROR_RATE_WARNING_PERCENT: i64 = 10;
const ERROR_RATE_CRITICAL_PERCENT: i64 = 50;
/// Keys that serve, in percent of those that nobody took out by hand: fewer are few.
const KEYS_READY_PERCENT_MIN: u64 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GroupHealth)]
pub(super) enum Health {
    /// Nobody asked for it within a day.
    Idle,
    Good,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GroupHealthReason)]
pub(super) enum Reason {
    NoKeys,
    NoActiveKeys,
    NoUpstream,
    AllUpstreamsResting,
    NoUsableMember,
    HighErrorRate,
    FewActiveKeys,
}

/// What a group serves with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Means {
    Own { keys: KeyStates, upstreams: usize, upstreams_resting: usize },
    Members { usable: usize },
}

/// `day` and `lately` are what was asked within a day, and within the last two hours.
pub(super) fn of(means: Means, day: Counts, lately: Counts) -> (Health, Vec<Reason>) {
    let mut found = of_means(means);
    let requests = lately.requests();
    if requests >= REQUESTS_JUDGED_MIN {
        let is_at_least = |percent| lately.failures * 100 >= requests * percent;
        if is_at_least(ERROR_RATE_CRITICAL_PERCENT) {
            found.push((Health::Critical, Reason::HighErrorRate));
        } else if is_at_least(ERROR_RATE_WARNING_PERCENT) {
            found.push((Health::Warning, Reason::HighErrorRate));
        }
    }
    // The worst first.
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    let is_asked = day.requests() + day.aborted > 0;
    let health = found.first().map_or(if is_asked { Health::Good } else { Health::Idle }, |(worst, _)| *worst);
    (health, found.into_iter().map(|(_, reason)| reason).collect())
}

fn of_means(means: Means) -> Vec<(Health, Reason)> {
    let mut found = Vec::new();
    match means {
        Means::Members { usable } => {
            if usable == 0 {
                found.push((Health::Critical, Reason::NoUsableMember));
            }
        }
        Means::Own { keys, upstreams, upstreams_resting } => {
            let ready = keys.active.saturating_sub(keys.resting);
            if keys.total == 0 {
                found.push((Health::Critical, Reason::NoKeys));
            } else if keys.active == 0 {
                found.push((Health::Critical, Reason::NoActiveKeys));
            } else if ready * 100 < keys.total.saturating_sub(keys.disabled) * KEYS_READY_PERCENT_MIN {
                found.push((Health::Warning, Reason::FewActiveKeys));
            }
            if upstreams == 0 {
                found.push((Health::Critical, Reason::NoUpstream));
            } else if upstreams_resting == upstreams {
                found.push((Health::Critical, Reason::AllUpstreamsResting));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(total: u64, active: u64, resting: u64, disabled: u64) -> KeyStates {
        KeyStates { total, active, resting, invalid: total - active - disabled, disabled }
    }

    fn asked(successes: i64, failures: i64) -> Counts {
        Counts { successes, failures, ..Counts::default() }
    }

    #[track_caller]
    fn check(means: Means, lately: Counts, health: Health, reasons: &[Reason]) {
        assert_eq!(of(means, lately, lately), (health, reasons.to_vec()), "{means:?} {lately:?}");
    }

    #[test]
    fn a_group_is_as_well_as_its_worst_fault_lets_it() {
        use Reason as R;
        let own = |keys| Means::Own { keys, upstreams: 2, upstreams_resting: 1 };
        check(own(keys(5, 5, 0, 0)), asked(0, 0), Health::Idle, &[]);
        check(own(keys(5, 5, 0, 0)), asked(1, 0), Health::Good, &[]);
        check(own(keys(0, 0, 0, 0)), asked(0, 0), Health::Critical, &[R::NoKeys]);
        check(own(keys(5, 0, 0, 2)), asked(1, 0), Health::Critical, &[R::NoActiveKeys]);
        check(own(keys(10, 2, 0, 0)), asked(1, 0), Health::Good, &[]);
        check(own(keys(11, 2, 0, 0)), asked(1, 0), Health::Warning, &[R::FewActiveKeys]);
        check(own(keys(10, 5, 5, 0)), asked(1, 0), Health::Warning, &[R::FewActiveKeys]);
        // What was taken out by hand is missed by nobody.
        check(own(keys(10, 2, 0, 8)), asked(1, 0), Health::Good, &[]);
        let down = Means::Own { keys: keys(1, 1, 0, 0), upstreams: 2, upstreams_resting: 2 };
        check(down, asked(1, 0), Health::Critical, &[R::AllUpstreamsResting]);
        let none = Means::Own { keys: keys(1, 1, 0, 0), upstreams: 0, upstreams_resting: 0 };
        check(none, asked(1, 0), Health::Critical, &[R::NoUpstream]);
        check(Means::Members { usable: 0 }, asked(0, 0), Health::Critical, &[R::NoUsableMember]);
        check(Means::Members { usable: 1 }, asked(3, 0), Health::Good, &[]);
    }

    #[test]
    fn failures_count_where_there_are_enough_requests_to_judge() {
        let well = Means::Members { usable: 1 };
        check(well, asked(0, 19), Health::Good, &[]);
        check(well, asked(18, 2), Health::Warning, &[Reason::HighErrorRate]);
        check(well, asked(19, 2), Health::Good, &[]);
        check(well, asked(10, 10), Health::Critical, &[Reason::HighErrorRate]);
        let few = Means::Own { keys: keys(11, 2, 0, 0), upstreams: 1, upstreams_resting: 0 };
        check(few, asked(0, 20), Health::Critical, &[Reason::HighErrorRate, Reason::FewActiveKeys]);
        assert_eq!(of(well, asked(50, 50), asked(5, 0)).0, Health::Good, "what was long ago is over");
    }
}
