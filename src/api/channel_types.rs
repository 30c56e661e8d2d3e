//! GET /api/channel-types: the API formats that a group can speak, in a fixed order.

use super::{answer::Answer, refusal::Refusal};
use crate::channel::Channel;

pub(super) async fn list() -> Result<Answer<[&'static str; Channel::ALL.len()]>, Refusal> {
    Answer::with(&Channel::ALL.map(Channel::name))
}
