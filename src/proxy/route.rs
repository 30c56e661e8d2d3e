//! Which group serves: the one that was asked, or a member of it that still can.

use std::{sync::Arc, time::Instant};

use super::{failure::Failure, prepare::Call};
use crate::{
    group::{Group, Kind},
    keypool::{KeyPools, Pool},
};

/// A group that can serve, and its keys.
pub(super) type Member = (Arc<Group>, Arc<Pool>);

/// The way of one request through the groups. A standard group is its own and only member.
pub(super) struct Route {
    asked: Arc<Group>,
    /// It asks which models there are.
    is_listing: bool,
    tried_members: Vec<usize>,
    pub(super) serving: Arc<Group>,
    pub(super) pool: Arc<Pool>,
}

impl Route {
    /// # Errors
    /// 503 when the group has no active key, or no member that has one.
    pub(super) fn choose(asked: Arc<Group>, call: &Call, pools: &KeyPools, now: Instant) -> Result<Self, Failure> {
        let is_listing =
            matches!(asked.kind, Kind::Aggregate(_)) && asked.channel.is_model_list(&call.method, &call.path);
        let mut tried_members = Vec::new();
        let (serving, pool) = match &asked.kind {
            Kind::Standard => {
                let pool = pools.of(asked.id).filter(|pool| pool.active_count() > 0).ok_or_else(Failure::no_keys)?;
                (Arc::clone(&asked), pool)
            }
            Kind::Aggregate(_) => {
                next_member(&asked, is_listing, &mut tried_members, pools, now).ok_or_else(Failure::no_members)?
            }
        };
        Ok(Self { asked, is_listing, tried_members, serving, pool })
    }

    /// A member that this request did not try yet and that has a usable key. It is given once.
    pub(super) fn next(&mut self, pools: &KeyPools, now: Instant) -> Option<Member> {
        next_member(&self.asked, self.is_listing, &mut self.tried_members, pools, now)
    }

    pub(super) fn move_to(&mut self, (serving, pool): Member) {
        self.serving = serving;
        self.pool = pool;
    }
}

/// Members whose upstreams are all at rest are the last choice; those without an active key are none. Which models there
/// are is asked in a fixed order instead of by turns.
fn next_member(
    asked: &Group,
    is_listing: bool,
    tried: &mut Vec<usize>,
    pools: &KeyPools,
    now: Instant,
) -> Option<Member> {
    let Kind::Aggregate(members) = &asked.kind else { return None };
    let pool_of = |index: usize| pools.of(members.entries[index].group.id).filter(|pool| pool.active_count() > 0);
    let is_usable = |index: usize| !tried.contains(&index) && pool_of(index).is_some();
    let is_awake = |index: usize| members.entries[index].group.upstreams.is_any_awake(now);
    let pick = |is_eligible: &dyn Fn(usize) -> bool| {
        if is_listing {
            members.listing_order.iter().copied().find(|index| is_eligible(*index))
        } else {
            members.choice.pick(is_eligible)
        }
    };
    let index = pick(&|index| is_usable(index) && is_awake(index)).or_else(|| pick(&is_usable))?;
    let pool = pool_of(index)?;
    tried.push(index);
    Some((Arc::clone(&members.entries[index].group), pool))
}
