//! GET /api/channel-types: the API formats that a group can speak, in a fixed order.

use super::{answer::Answer, refusal::Refusal};
use crate::channel::Channel;

pub(super) async fn list() -> Result<Answer, Refusal> {
    Answer::with(&Channel::ALL.map(Channel::name))
}
