//! Which entries are wanted: the same conditions for rows in the database and for entries as they come.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::LoggedEntry;
use crate::{crypto::Secret, db::Timestamp, group::GroupId, request_log::Verdict};

/// All conditions that are given must hold. Texts that an entry must contain are compared without regard to the case of
/// ASCII letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Contained in the name of the aggregate that was asked.
    pub(crate) parent_group_name: Option<String>,
    /// Contained in the name of the group that served.
    pub(crate) group_name: Option<String>,
    /// The group that served, or the aggregate that was asked.
    pub(crate) group_id: Option<GroupId>,
    /// The whole upstream key.
    pub(crate) key: Option<Secret>,
    /// Contained in the model's name.
    pub(crate) model: Option<String>,
    pub(crate) is_success: Option<bool>,
    /// `final` or `retry`; nothing is of another type.
    pub(crate) request_type: Option<String>,
    pub(crate) status_code: Option<i64>,
    pub(crate) source_ip: Option<String>,
    /// Contained in the address that the attempt went to.
    pub(crate) upstream_addr: Option<String>,
    /// Contained in the error message.
    pub(crate) error_contains: Option<String>,
    /// Not before, by the end of the attempt.
    pub(crate) start_time: Option<DateTime<Utc>>,
    /// Not after.
    pub(crate) end_time: Option<DateTime<Utc>>,
    /// As told to the client; all attempts of a request have it.
    pub(crate) request_id: Option<String>,
    /// The label of the proxy key that opened the group.
    pub(crate) client_key: Option<String>,
    /// That of the upstream key, as entries have it.
    pub(crate) key_hash: Option<String>,
    pub(crate) verdict: Option<Verdict>,
}

impl Filter {
    /// Whether an entry passes. `key_hash` is that of the wanted key, where one is wanted.
    pub(crate) fn matches(&self, entry: &LoggedEntry, key_hash: Option<&str>) -> bool {
        let is_timely = |time: Timestamp| {
            self.start_time.is_none_or(|from| time.0 >= from) && self.end_time.is_none_or(|to| time.0 <= to)
        };
        contains(self.parent_group_name.as_deref(), &entry.parent_group_name)
            && contains(self.group_name.as_deref(), &entry.group_name)
            && self.group_id.is_none_or(|id| entry.group_id == id || entry.parent_group_id == id)
            && key_hash.is_none_or(|wanted| entry.key_hash == wanted)
            && contains(self.model.as_deref(), &entry.model)
            && self.is_success.is_none_or(|wanted| entry.is_success == wanted)
            && self.request_type.as_deref().is_none_or(|wanted| entry.request_type == wanted)
            && self.status_code.is_none_or(|wanted| entry.status_code == wanted)
            && self.source_ip.as_deref().is_none_or(|wanted| entry.source_ip == wanted)
            && contains(self.upstream_addr.as_deref(), &entry.upstream_addr)
            && contains(self.error_contains.as_deref(), &entry.error_message)
            && entry.timestamp.is_some_and(is_timely)
            && self.request_id.as_deref().is_none_or(|wanted| is_id(entry.request_id.as_deref(), wanted))
            && self.client_key.as_deref().is_none_or(|wanted| entry.client_key.as_deref() == Some(wanted))
            && self.key_hash.as_deref().is_none_or(|wanted| entry.key_hash == wanted)
            && self.verdict.is_none_or(|wanted| entry.verdict.as_deref() == Some(wanted.name()))
    }
}

fn contains(wanted: Option<&str>, text: &str) -> bool {
    wanted.is_none_or(|wanted| text.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase()))
}

/// However the wanted one is spelled.
fn is_id(id: Option<&str>, wanted: &str) -> bool {
    let wanted = Uuid::try_parse(wanted).ok();
    wanted.is_some() && id.and_then(|id| Uuid::try_parse(id).ok()) == wanted
}
