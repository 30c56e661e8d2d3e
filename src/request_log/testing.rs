//! Entries for tests.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use chrono::{TimeZone, Utc};
use uuid::Uuid;

use super::{Entry, GroupName, Kind, Verdict};
use crate::{channel::Channel, crypto::Secret, group::Key};

pub(crate) fn group(id: i64, name: &str) -> GroupName {
    GroupName { id, name: Arc::from(name), channel: Channel::OpenAi }
}

pub(super) fn key(id: i64, group_id: i64, text: &str) -> Arc<Key> {
    Arc::new(Key { id, group_id, secret: Secret::new(text) })
}

/// The last attempt of a plain request to group 1 without a key.
pub(crate) fn entry(status: u16) -> Entry {
    Entry {
        request_id: Uuid::now_v7(),
        attempt: 1,
        kind: Kind::Final,
        ended_at: Utc.with_ymd_and_hms(2026, 11, 23, 10, 15, 30).unwrap(),
        duration: Duration::from_millis(250),
        first_byte: Some(Duration::from_millis(90)),
        overhead: Duration::from_micros(85),
        group: Some(group(1, "team")),
        parent: None,
        key: None,
        model: "gpt-4o".to_owned(),
        sent_model: None,
        upstream_request_id: None,
        status,
        verdict: match status {
            499 => Verdict::ClientGone,
            400.. => Verdict::Client,
            _ => Verdict::Success,
        },
        error_message: "".into(),
        source_ip: Some(Ipv4Addr::new(203, 0, 113, 9).into()),
        request_path: "/proxy/team/v1/chat/completions".to_owned(),
        user_agent: "sdk/1.0".to_owned(),
        client_key: None,
        upstream_addr: "https://api.example.com/v1/chat/completions".to_owned(),
        is_stream: false,
        request_body: None,
    }
}
