//! One upstream key of a group, as the data plane holds it: in clear, in a type that does not print.

use super::GroupId;
use crate::crypto::Secret;

/// What it takes to sign a request and to say afterwards which key did. Shared by the pool, requests in flight and
/// their log entries, so it never changes; what changes about a key lives in the pool.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: i64,
    pub(crate) group_id: GroupId,
    pub(crate) secret: Secret,
}
