//! A server's table searched: entries by their times, the newest first, each filter along an index of its column and the
//! time.
//!
//! A filter that stands for several values, as a part of a name does, becomes a branch for each of them: within one value,
//! an index has the entries in the order of their times.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Cursor, Filter, Found, PAGE_TIME, Page, RowIds, Search, SearchError, Start, Total, rows,
    server_queries::{self as queries, Condition, Part, Test},
    terms,
};
use crate::{
    db::{self, Timestamp},
    request_log::{Kind, Verdict},
};

/// What counting may add to a page's time.
const COUNT_TIME: Duration = Duration::from_millis(500);
/// All of the log may be read for it.
const EXPORT_TIME: Duration = Duration::from_secs(120);
/// Names and models that a part of their text may stand for; beyond it entries are compared one by one.
const VALUES_MAX: usize = 1_000;
/// Values that are searched as branches.
const BRANCHES_MAX: usize = 16;
/// Times that MySQL knows, in milliseconds since 1970: from the year 1000 to the year 9999.
const TIMES_MILLISECONDS: (i64, i64) = (-30_610_137_600_000, 253_402_214_400_000);

/// A filter made ready.
pub(super) struct Plan {
    pub(super) conditions: Vec<Condition>,
    /// The one of the conditions that branches take the place of, and what each of them wants instead.
    branching: Option<(usize, Vec<Condition>)>,
}

impl Plan {
    fn branches(&self) -> Vec<Vec<Condition>> {
        let Some((at, instead)) = &self.branching else { return vec![self.conditions.clone()] };
        let branch = |condition: &Condition| {
            let mut conditions = self.conditions.clone();
            conditions[*at].clone_from(condition);
            conditions
        };
        instead.iter().map(branch).collect()
    }

    fn push(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    fn push_branching(&mut self, condition: Condition, instead: Vec<Condition>) {
        if self.branching.is_none() && (2..=BRANCHES_MAX).contains(&instead.len()) {
            self.branching = Some((self.conditions.len(), instead));
        }
        self.conditions.push(condition);
    }
}

impl Search {
    pub(super) async fn page_of_server(&self, filter: &Filter, start: Start, page: Page) -> Result<Found, SearchError> {
        let size = page.size;
        let Some(plan) = self.plan_for_server(filter).await? else { return Ok(Found::nothing(&start)) };
        let readers = self.shared.database.readers();
        let size_i64 = i64::try_from(size).unwrap_or(i64::MAX - 1);
        let (offset, below) = match &start {
            Start::Below(cursor) => (0, cursor.as_ref()),
            Start::Offset(offset) => (i64::try_from(*offset).unwrap_or(i64::MAX), None),
        };
        let part = Part { below, offset, limit: size_i64.saturating_add(1) };
        let mut found = queries::page(readers, &plan.branches(), part, PAGE_TIME).await?;
        let is_more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| is_more).map(|(id, time)| Cursor::Entry { time: *time, id: id.clone() });
        let total = match start {
            Start::Below(_) => None,
            Start::Offset(offset) => Some(self.total(&plan, offset, found.len(), is_more).await?),
        };
        let ids = RowIds::Texts(found.into_iter().map(|(id, _)| id).collect());
        let mut entries = rows::read(readers, &self.shared.cipher, &ids, page.bodies).await?;
        ids.sort(&mut entries);
        Ok(Found { entries, total, next })
    }

    /// How many entries match, of which so many are shown behind so many others.
    async fn total(&self, plan: &Plan, offset: u64, shown: usize, is_more: bool) -> Result<Total, SearchError> {
        let readers = self.shared.database.readers();
        let end = offset.saturating_add(shown as u64);
        if !is_more && (shown > 0 || offset == 0) {
            return Ok(Total { count: end, is_exact: true });
        }
        if !is_more {
            // A page beyond the end, of which nobody knows where it is.
            let count = queries::count(readers, &plan.conditions, i64::MAX, PAGE_TIME).await?;
            return Ok(Total { count: count.unsigned_abs(), is_exact: true });
        }
        // Where there is more, the number says so, since a console offers as many pages as it tells.
        let least = end.saturating_add(1);
        let most = least.max(self.shared.limits.counted_max as u64);
        let counted_to = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
        match queries::count(readers, &plan.conditions, counted_to, COUNT_TIME).await {
            Ok(count) => {
                let count = count.unsigned_abs();
                // Entries may have been deleted since the page was read.
                Ok(Total { count: count.clamp(least, most), is_exact: count <= most })
            }
            Err(db::Error::TooLong) => Ok(Total { count: least, is_exact: false }),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn newest_of_each_key_on_server(&self, filter: &Filter) -> Result<Vec<String>, SearchError> {
        let Some(plan) = self.plan_for_server(filter).await? else { return Ok(Vec::new()) };
        Ok(queries::newest_of_each_key(self.shared.database.readers(), &plan.conditions, EXPORT_TIME).await?)
    }

    /// `None`: nothing can match.
    pub(super) async fn plan_for_server(&self, filter: &Filter) -> Result<Option<Plan>, SearchError> {
        let readers = self.shared.database.readers();
        let mut plan = Plan { conditions: Vec::new(), branching: None };
        let text = |column, text: &str| Condition::new(column, Test::Text(text.to_owned()));
        if let Some(id) = &filter.request_id {
            let Ok(id) = Uuid::try_parse(id) else { return Ok(None) };
            // So that the table's own index finds them.
            let (first, last) = terms::row_ids_of_request(id);
            plan.push(Condition::new("id", Test::Between(first, last)));
            plan.push(text("request_id", &id.hyphenated().to_string()));
        }
        if let Some(key) = &filter.key {
            plan.push(text("key_hash", &self.shared.cipher.hash(key.expose())));
        }
        if let Some(hash) = &filter.key_hash {
            plan.push(text("key_hash", hash));
        }
        if let Some(id) = filter.group_id {
            if queries::is_parent(readers, id).await? {
                let through = Condition::new("parent_group_id", Test::Integer(id)).only("parent_group_id <> 0");
                let alone = Condition::new("group_id", Test::OfAggregateAlone(id));
                plan.push_branching(Condition::new("group_id", Test::OfGroup(id)), vec![through, alone]);
            } else {
                plan.push(Condition::new("group_id", Test::Integer(id)));
            }
        }
        for (part, column, only) in [
            (&filter.parent_group_name, "parent_group_name", "parent_group_name <> ''"),
            (&filter.group_name, "group_name", ""),
            (&filter.model, "model", ""),
        ] {
            let Some(part) = part else { continue };
            let wanted = part.to_lowercase();
            let values = queries::values(readers, column, only, PAGE_TIME).await?;
            let values: Option<Vec<String>> = values
                .map(|all| all.into_iter().filter(|value| value.to_lowercase().contains(&wanted)).collect())
                .filter(|some: &Vec<String>| some.len() <= VALUES_MAX);
            match values {
                Some(values) if values.is_empty() => return Ok(None),
                Some(values) => {
                    let one = |value: &String| Condition::new(column, Test::Among(vec![value.clone()])).only(only);
                    let instead = values.iter().map(one).collect();
                    plan.push_branching(Condition::new(column, Test::Among(values)).only(only), instead);
                }
                None => plan.push(Condition::new(column, Test::Contains(part.clone()))),
            }
        }
        if let Some(is_success) = filter.is_success {
            plan.push(Condition::new("is_success", Test::Flag(is_success)));
        }
        // What nearly all rows are is in no partial index.
        if let Some(kind) = &filter.request_type {
            let only = if kind == Kind::Final.name() { "" } else { "request_type <> 'final'" };
            plan.push(text("request_type", kind).only(only));
        }
        if let Some(status) = filter.status_code {
            let only = if status == 200 { "" } else { "status_code <> 200" };
            plan.push(Condition::new("status_code", Test::Integer(status)).only(only));
        }
        if let Some(address) = &filter.source_ip {
            plan.push(text("source_ip", address));
        }
        if let Some(part) = &filter.upstream_addr {
            plan.push(Condition::new("upstream_addr", Test::Contains(part.clone())));
        }
        if let Some(label) = &filter.client_key {
            plan.push(text("client_key", label).only("client_key IS NOT NULL"));
        }
        if let Some(verdict) = filter.verdict {
            let only = if verdict == Verdict::Success { "" } else { "verdict <> 'success'" };
            plan.push(text("verdict", verdict.name()).only(only));
        }
        if let Some(part) = &filter.error_contains {
            // Only what failed has an error.
            plan.push(Condition::new("is_success", Test::Flag(false)));
            plan.push(Condition::new("error_message", Test::Contains(part.clone())));
        }
        if let Some(from) = filter.start_time {
            plan.push(Condition::new("timestamp", Test::From(known_time(from))));
        }
        if let Some(to) = filter.end_time {
            plan.push(Condition::new("timestamp", Test::To(known_time(to))));
        }
        Ok(Some(plan))
    }
}

pub(super) fn known_time(at: DateTime<Utc>) -> Timestamp {
    let (first, last) = TIMES_MILLISECONDS;
    if (first..last).contains(&at.timestamp_millis()) {
        return Timestamp(at);
    }
    let nearest = at.timestamp_millis().clamp(first, last);
    Timestamp(DateTime::from_timestamp_millis(nearest).unwrap_or(at))
}
