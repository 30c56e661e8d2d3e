//! Which entries are wanted: the same conditions for rows in the database and for entries as they come.

use chrono::{DateTime, Utc};

use crate::{
    crypto::Secret,
    group::GroupId,
    request_log::{Entry, GroupName, Kind, Verdict},
};

/// All conditions that are given must hold. Texts that an entry must contain are compared without regard to the case of
/// ASCII letters.
#[derive(Debug, Default)]
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
    pub(crate) verdict: Option<Verdict>,
}

impl Filter {
    /// Whether an entry that is still to be written will be found.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let kind = match entry.kind {
            Kind::Final => "final",
            Kind::Retry => "retry",
        };
        let (group, parent) = (entry.group.as_ref(), entry.parent.as_ref());
        contains(self.parent_group_name.as_deref(), name_of(parent))
            && contains(self.group_name.as_deref(), name_of(group))
            && self.group_id.is_none_or(|id| group.iter().chain(&parent).any(|group| group.id == id))
            && self
                .key
                .as_ref()
                .is_none_or(|wanted| entry.key.as_ref().is_some_and(|key| key.secret.expose() == wanted.expose()))
            && contains(self.model.as_deref(), &entry.model)
            && self.is_success.is_none_or(|wanted| entry.is_success() == wanted)
            && self.request_type.as_deref().is_none_or(|wanted| kind == wanted)
            && self.status_code.is_none_or(|wanted| i64::from(entry.status) == wanted)
            && self
                .source_ip
                .as_deref()
                .is_none_or(|wanted| entry.source_ip.is_some_and(|address| address.to_string() == wanted))
            && contains(self.error_contains.as_deref(), &entry.error_message)
            && self.start_time.is_none_or(|from| entry.ended_at >= from)
            && self.end_time.is_none_or(|to| entry.ended_at <= to)
            && self
                .request_id
                .as_deref()
                .is_none_or(|wanted| entry.request_id.to_string().eq_ignore_ascii_case(wanted))
            && self.client_key.as_deref().is_none_or(|wanted| entry.client_key.as_deref() == Some(wanted))
            && self.verdict.is_none_or(|wanted| entry.verdict == wanted)
    }
}

fn contains(wanted: Option<&str>, text: &str) -> bool {
    wanted.is_none_or(|wanted| text.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase()))
}

fn name_of(group: Option<&GroupName>) -> &str {
    group.map_or("", |group| &group.name)
}
