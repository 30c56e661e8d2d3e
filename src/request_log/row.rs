//! Entries become rows: what is formatted, encrypted or cut is so here, off the data plane.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    characters::Characters,
    entry::{
        ADDRESS_CHARACTERS_MAX, CLIENT_KEY_CHARACTERS_MAX, ERROR_MESSAGE_BYTES_MAX, Entry, GroupName, Kind,
        NAME_CHARACTERS_MAX, UPSTREAM_REQUEST_ID_CHARACTERS_MAX, USER_AGENT_CHARACTERS_MAX, cut_bytes, cut_characters,
    },
};
use crate::{
    crypto::Cipher,
    db::{RequestLogs, Sql, Timestamp},
    group::Key,
};

/// In the order in which [`Rows::add`] binds them.
#[rustfmt::skip]
pub(super) const COLUMNS: [RequestLogs; 28] = {
    use RequestLogs as L;
    [
        L::Id, L::Timestamp, L::GroupId, L::GroupName, L::ParentGroupId, L::ParentGroupName, L::KeyValue, L::KeyHash,
        L::Model, L::IsSuccess, L::SourceIp, L::StatusCode, L::RequestPath, L::Duration, L::ErrorMessage, L::UserAgent,
        L::RequestType, L::UpstreamAddr, L::IsStream, L::RequestBody, L::RequestId, L::Attempt, L::FirstByteMs,
        L::OverheadUs, L::Verdict, L::ClientKey, L::SentModel, L::UpstreamRequestId,
    ]
};

/// Keys whose stored form is remembered, so that a small group's keys are not encrypted for each of their rows.
const KEYS_KNOWN_MAX: usize = 1_024;

/// Binds entries to statements. It remembers what the rows before looked like, since most of a row is like the one
/// before: this is the dearest part of a request that its client does not wait for.
pub(super) struct Rows {
    cipher: Cipher,
    /// Those that the database can hold.
    pub(super) characters: Characters,
    keys: HashMap<i64, StoredForm>,
    second: Second,
    empty: Arc<str>,
    is_final: Arc<str>,
    is_retry: Arc<str>,
    model: Memo,
    sent_model: Memo,
    path: Memo,
    user_agent: Memo,
    upstream: Memo,
}

#[derive(Clone)]
struct StoredForm {
    text: Arc<str>,
    hash: Arc<str>,
}

/// The last value of a column: the next one is often the same.
struct Memo(Arc<str>);

/// The stored text of the last second.
#[derive(Default)]
struct Second {
    timestamp: Option<i64>,
    text: String,
}

impl Rows {
    pub(super) fn new(cipher: Cipher) -> Self {
        let empty: Arc<str> = Arc::from("");
        let memo = || Memo(empty.clone());
        Self {
            cipher,
            characters: Characters::All,
            keys: HashMap::new(),
            second: Second::default(),
            is_final: Arc::from(Kind::Final.name()),
            is_retry: Arc::from(Kind::Retry.name()),
            model: memo(),
            sent_model: memo(),
            path: memo(),
            user_agent: memo(),
            upstream: memo(),
            empty,
        }
    }

    pub(super) fn add(&mut self, entry: &Entry, to: &mut Sql) {
        let (group_id, group_name) = self.named(entry.group.as_ref());
        let (parent_id, parent_name) = self.named(entry.parent.as_ref());
        let key = self.stored_form(entry.key.as_deref());
        let fitting = self.characters;
        to.add(uuid_text(entry.row_uuid()));
        if to.engine().is_sqlite() {
            to.add(self.second.stored(entry.ended_at));
        } else {
            to.add(entry.ended_at);
        }
        to.add(group_id);
        to.add(group_name);
        to.add(parent_id);
        to.add(parent_name);
        to.add(key.text);
        to.add(key.hash);
        to.add(self.model.of(cut_characters(&fitting.only(&entry.model), NAME_CHARACTERS_MAX)));
        to.add(entry.is_success());
        to.add(entry.source_ip.map_or_else(|| self.empty.clone(), |address| Arc::from(address.to_string())));
        to.add(i64::from(entry.status));
        to.add(self.path.of(cut_characters(&fitting.only(&entry.request_path), ADDRESS_CHARACTERS_MAX)));
        to.add(count(entry.duration.as_millis()));
        to.add(self.rare(cut_bytes(&fitting.only(&entry.error_message), ERROR_MESSAGE_BYTES_MAX)));
        to.add(self.user_agent.of(cut_characters(&fitting.only(&entry.user_agent), USER_AGENT_CHARACTERS_MAX)));
        to.add(match entry.kind {
            Kind::Final => self.is_final.clone(),
            Kind::Retry => self.is_retry.clone(),
        });
        to.add(self.upstream.of(cut_characters(&fitting.only(&entry.upstream_addr), ADDRESS_CHARACTERS_MAX)));
        to.add(entry.is_stream);
        to.add(self.rare(&fitting.only(entry.request_body.as_deref().unwrap_or_default())));
        to.add(uuid_text(entry.request_id));
        to.add(i64::from(entry.attempt));
        to.add(entry.first_byte.map(|duration| count(duration.as_millis())));
        to.add(count(entry.overhead.as_micros()));
        to.add(entry.verdict.name());
        to.add(entry.client_key.as_ref().map(|label| self.fitting(label, CLIENT_KEY_CHARACTERS_MAX)));
        let sent = entry.sent_model.as_deref();
        to.add(sent.map(|model| self.sent_model.of(cut_characters(&fitting.only(model), NAME_CHARACTERS_MAX))));
        let id = entry.upstream_request_id.as_deref();
        to.add(id.map(|id| self.rare(cut_characters(&fitting.only(id), UPSTREAM_REQUEST_ID_CHARACTERS_MAX))));
    }

    fn fitting(&self, text: &Arc<str>, characters_max: usize) -> Arc<str> {
        let stored = self.characters.only(text);
        let cut = cut_characters(&stored, characters_max);
        if cut.len() == text.len() { text.clone() } else { Arc::from(cut) }
    }

    fn named(&self, group: Option<&GroupName>) -> (i64, Arc<str>) {
        group
            .map_or_else(|| (0, self.empty.clone()), |group| (group.id, self.fitting(&group.name, NAME_CHARACTERS_MAX)))
    }

    fn rare(&self, text: &str) -> Arc<str> {
        if text.is_empty() { self.empty.clone() } else { Arc::from(text) }
    }

    fn stored_form(&mut self, key: Option<&Key>) -> StoredForm {
        let Some(key) = key else {
            return StoredForm { text: self.empty.clone(), hash: self.empty.clone() };
        };
        if let Some(known) = self.keys.get(&key.id) {
            return known.clone();
        }
        // A log needs no copy of the key: whoever reads it finds the key itself by the hash, as long as it is there.
        let form = StoredForm { text: key.secret.masked().into(), hash: self.cipher.hash(key.secret.expose()).into() };
        if self.keys.len() >= KEYS_KNOWN_MAX {
            self.keys.clear();
        }
        self.keys.insert(key.id, form.clone());
        form
    }
}

impl Memo {
    fn of(&mut self, text: &str) -> Arc<str> {
        if *self.0 != *text {
            self.0 = Arc::from(text);
        }
        self.0.clone()
    }
}

impl Second {
    /// The stored form of an instant, to the microsecond.
    fn stored(&mut self, at: DateTime<Utc>) -> Arc<str> {
        if self.timestamp != Some(at.timestamp()) {
            self.timestamp = Some(at.timestamp());
            self.text = DateTime::from_timestamp(at.timestamp(), 0)
                .map_or_else(String::new, |whole| Timestamp(whole).to_stored());
        }
        // A leap second counts on beyond a whole second.
        let mut microseconds = at.timestamp_subsec_micros().min(999_999);
        if microseconds == 0 {
            return Arc::from(self.text.as_str());
        }
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit += (microseconds % 10) as u8;
            microseconds /= 10;
        }
        let used = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let (date_and_time, offset) = self.text.split_at(self.text.len().saturating_sub("+00:00".len()));
        let mut text = String::with_capacity(self.text.len() + 1 + used);
        text.push_str(date_and_time);
        text.push('.');
        text.extend(digits[..used].iter().map(|digit| char::from(*digit)));
        text.push_str(offset);
        Arc::from(text)
    }
}

fn uuid_text(id: Uuid) -> Arc<str> {
    Arc::from(&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

fn count(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn an_instant_is_stored_as_everywhere_else() {
        let mut second = Second::default();
        for (seconds, nanoseconds) in [
            (1_714_528_800, 0),
            (1_714_528_800, 120_000_000),
            (1_714_528_800, 1_000),
            (1_714_528_801, 999_999_000),
            (1_714_528_800, 500_000_000),
            (-1, 20_000_000),
        ] {
            let at = Utc.timestamp_opt(seconds, nanoseconds).unwrap();
            assert_eq!(*second.stored(at), *Timestamp(at).to_stored());
        }
        let finer = Utc.timestamp_opt(1_714_528_800, 123_456_789).unwrap();
        assert_eq!(&*second.stored(finer), "2024-05-01 02:00:00.123456+00:00");
    }

    #[test]
    fn a_value_is_kept_while_it_stays_the_same() {
        let mut memo = Memo(Arc::from(""));
        let first = memo.of("gpt-4o");
        assert!(Arc::ptr_eq(&first, &memo.of("gpt-4o")));
        assert_eq!(&*memo.of("o3"), "o3");
        assert_eq!(&*first, "gpt-4o");
    }
}
