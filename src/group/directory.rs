//! All groups in memory, ready to serve: made from the stored rows, swapped whole on a change.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use serde::Deserialize;
use serde_json::{Map, Value as Json, value::RawValue};
use tokio::sync::Mutex;

use super::{
    Group, GroupId, HeaderAction, HeaderRule, Kind, Member, Members, ProxyKeys, Record, Redirects, Snapshot, queries,
    validation,
};
use crate::{
    channel::Channel,
    db::{self, Database},
    settings::{self, Settings},
    upstream::{ClientOptions, Upstreams, WeightedChoice},
};

/// Pause between two tries to read what is stored, after one failed.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// A cheap handle on the groups that are in effect.
#[derive(Clone)]
pub(crate) struct Directory(Arc<Inner>);

struct Inner {
    database: Database,
    current: ArcSwap<Snapshot>,
    /// What outlives a snapshot. The lock also lets only one reload run at a time, so that the newest one wins.
    lasting: Mutex<Lasting>,
    /// Somebody is in [`Directory::reload_until_it_works`].
    is_retrying: AtomicBool,
    /// The last reload failed.
    is_behind: AtomicBool,
}

/// Counters and rests that go on where a change does not concern them.
#[derive(Default)]
struct Lasting {
    upstreams: HashMap<GroupId, (Box<str>, Arc<Upstreams>)>,
    choices: HashMap<GroupId, (Vec<(GroupId, u32)>, Arc<WeightedChoice>)>,
}

impl Directory {
    pub(crate) async fn open(database: Database) -> Result<Self, db::Error> {
        let mut lasting = Lasting::default();
        let snapshot = read(&database, &mut lasting).await?;
        let current = ArcSwap::from_pointee(snapshot);
        Ok(Self(Arc::new(Inner {
            database,
            current,
            lasting: Mutex::new(lasting),
            is_retrying: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
        })))
    }

    /// What is in effect now. A request that took it keeps it until it ends.
    pub(crate) fn current(&self) -> Guard<Arc<Snapshot>> {
        self.0.current.load()
    }

    /// What is in effect is older than what is stored, because that could not be read.
    pub(crate) fn is_behind(&self) -> bool {
        self.0.is_behind.load(Ordering::Relaxed)
    }

    /// Puts into effect what is stored now.
    pub(crate) async fn reload(&self) -> Result<(), db::Error> {
        let mut lasting = self.0.lasting.lock().await;
        let snapshot = read(&self.0.database, &mut lasting).await;
        self.0.is_behind.store(snapshot.is_err(), Ordering::Relaxed);
        let snapshot = snapshot?;
        self.0.current.store(Arc::new(snapshot));
        Ok(())
    }

    /// After a reload that failed: tries again until one works. A second call leaves it to the first.
    pub(crate) async fn reload_until_it_works(self) {
        if self.0.is_retrying.swap(true, Ordering::Relaxed) {
            return;
        }
        loop {
            tokio::time::sleep(RELOAD_PAUSE).await;
            // Cleared before the reload: a change that is stored after this one was read starts a retry of its own.
            self.0.is_retrying.store(false, Ordering::Relaxed);
            match self.reload().await {
                Ok(()) => return tracing::info!("What was stored is in effect now"),
                Err(_) if self.0.is_retrying.swap(true, Ordering::Relaxed) => return,
                Err(error) => tracing::debug!(%error, "What is stored can still not be read"),
            }
        }
    }
}

/// Settings, groups and members as they were at one moment.
async fn read(database: &Database, lasting: &mut Lasting) -> Result<Snapshot, db::Error> {
    let mut reader = database.snapshot().await?;
    let settings = settings::load_from(&mut reader).await?;
    let records = queries::all(&mut reader).await?;
    let memberships = queries::memberships(&mut reader).await?;
    reader.rollback().await?;
    Ok(assemble(settings, &records, &memberships, lasting))
}

fn assemble(
    settings: Settings,
    records: &[Record],
    memberships: &[(GroupId, GroupId, i64)],
    lasting: &mut Lasting,
) -> Snapshot {
    let mut before = std::mem::take(lasting);
    let (aggregates, standard): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.is_aggregate());

    let mut by_id = HashMap::new();
    for record in standard {
        let upstreams = upstreams_of(record, &mut before);
        lasting.upstreams.insert(record.id, (record.upstreams.get().into(), Arc::clone(&upstreams)));
        if let Some(group) = group(record, &settings, Kind::Standard, upstreams) {
            by_id.insert(record.id, Arc::new(group));
        }
    }

    let nowhere = Arc::new(Upstreams::empty());
    let mut by_name: HashMap<String, Arc<Group>> =
        by_id.values().map(|group| (group.name.to_string(), Arc::clone(group))).collect();
    for record in aggregates {
        let members = members_of(record, memberships, &by_id, &mut before);
        lasting.choices.insert(record.id, (shares(&members.entries), Arc::clone(&members.choice)));
        if let Some(group) = group(record, &settings, Kind::Aggregate(members), Arc::clone(&nowhere)) {
            by_name.insert(record.name.clone(), Arc::new(group));
        }
    }
    Snapshot { global_proxy_keys: ProxyKeys::parse_global(&settings.proxy_keys), settings, by_name }
}

fn upstreams_of(record: &Record, before: &mut Lasting) -> Arc<Upstreams> {
    match before.upstreams.remove(&record.id) {
        Some((text, upstreams)) if *text == *record.upstreams.get() => upstreams,
        _ => {
            let (upstreams, problems) = Upstreams::parse(record.upstreams.get())
                .unwrap_or_else(|problem| (Upstreams::empty(), vec![format!("it has no usable upstream: {problem}")]));
            for problem in problems {
                warn(record, &problem);
            }
            Arc::new(upstreams)
        }
    }
}

fn members_of(
    record: &Record,
    memberships: &[(GroupId, GroupId, i64)],
    groups: &HashMap<GroupId, Arc<Group>>,
    before: &mut Lasting,
) -> Members {
    let entries: Vec<Member> = memberships
        .iter()
        .filter(|(aggregate, _, _)| *aggregate == record.id)
        .filter_map(|(_, member, weight)| {
            let weight = u32::try_from(*weight).ok().filter(|weight| *weight > 0)?;
            Some(Member { group: Arc::clone(groups.get(member)?), weight })
        })
        .collect();
    let choice = match before.choices.remove(&record.id) {
        Some((known, choice)) if known == shares(&entries) => choice,
        _ => Arc::new(WeightedChoice::new(entries.iter().map(|member| member.weight).collect())),
    };
    let is_strict = |index: &usize| entries[*index].group.redirects.strict;
    let mut listing_order: Vec<usize> = (0..entries.len()).collect();
    listing_order.sort_by_key(is_strict);
    Members { entries: through(record, entries), listing_order, choice }
}

/// The members as they serve through the aggregate. Their own rules come first; the aggregate's, as the outer ones, have
/// the last word. Of its settings those count that concern the request as a whole; connections are the members' business.
fn through(aggregate: &Record, members: Vec<Member>) -> Vec<Member> {
    const OF_THE_REQUEST: [&str; 5] = [
        "enable_request_body_logging",
        "failover_status_codes",
        "max_retries",
        "request_timeout",
        "stream_idle_timeout",
    ];
    let overrides = object(aggregate, aggregate.param_overrides.as_deref(), "param_overrides");
    let rules = header_rules(aggregate);
    let mut config = object(aggregate, aggregate.config.as_deref(), "config");
    config.retain(|key, _| OF_THE_REQUEST.contains(&key.as_str()));
    let mut listed_models = Vec::new();
    for model in members.iter().flat_map(|member| &member.group.listed_models) {
        if !listed_models.contains(model) {
            listed_models.push(model.clone());
        }
    }
    let through = |member: &Group| {
        let mut group = member.clone();
        group.param_overrides.extend(overrides.clone());
        group.header_rules.extend(rules.iter().cloned());
        // What is wrong with them was told when the aggregate itself was made.
        (group.settings, _) = group.settings.overridden_by(&config);
        group.listed_models.clone_from(&listed_models);
        Arc::new(group)
    };
    let outer = |member: Member| Member { group: through(&member.group), ..member };
    members.into_iter().map(outer).collect()
}

fn shares(members: &[Member]) -> Vec<(GroupId, u32)> {
    members.iter().map(|member| (member.group.id, member.weight)).collect()
}

/// `None`: the row is of a kind that we do not speak.
fn group(record: &Record, settings: &Settings, kind: Kind, upstreams: Arc<Upstreams>) -> Option<Group> {
    let Some(channel) = Channel::parse(&record.channel_type) else {
        warn(record, &format!("its channel type {:?} is unknown, so it cannot be used", record.channel_type));
        return None;
    };
    let (settings, problems) = settings.group.overridden_by(&object(record, record.config.as_deref(), "config"));
    for problem in problems {
        warn(record, &format!("one of its settings is not used: {problem}"));
    }
    let redirects = redirects(record);
    Some(Group {
        id: record.id,
        name: record.name.as_str().into(),
        display_name: record.display_name.clone(),
        sort: record.sort,
        channel,
        kind,
        client: ClientOptions::new(&settings),
        settings,
        upstreams,
        test_model: record.test_model.clone(),
        validation_endpoint: record.effective_endpoint().to_owned(),
        param_overrides: object(record, record.param_overrides.as_deref(), "param_overrides").into_iter().collect(),
        header_rules: header_rules(record),
        listed_models: redirects.rules.iter().map(|(source, _)| source.clone()).collect(),
        redirects,
        proxy_keys: ProxyKeys::parse(&record.proxy_keys),
    })
}

fn object(record: &Record, stored: Option<&RawValue>, column: &str) -> Map<String, Json> {
    let Some(stored) = stored else { return Map::new() };
    serde_json::from_str(stored.get()).unwrap_or_else(|problem| {
        warn(record, &format!("its {column} cannot be read and is not used: {problem}"));
        Map::new()
    })
}

fn header_rules(record: &Record) -> Vec<HeaderRule> {
    let Some(stored) = &record.header_rules else { return Vec::new() };
    let rules: Vec<Box<RawValue>> = serde_json::from_str(stored.get()).unwrap_or_default();
    rules
        .iter()
        .filter_map(|rule| {
            let read = read_header_rule(rule);
            read.map_err(|problem| warn(record, &format!("one of its header rules is not used: {problem}"))).ok()
        })
        .collect()
}

fn read_header_rule(stored: &RawValue) -> Result<HeaderRule, String> {
    let rule = validation::HeaderRuleText::deserialize(stored).map_err(|problem| problem.to_string())?;
    let name = validation::check_header(&rule.key, &rule.value, &rule.action)?;
    let action = if rule.action == "remove" { HeaderAction::Remove } else { HeaderAction::Set(rule.value) };
    Ok(HeaderRule { name, action })
}

fn redirects(record: &Record) -> Redirects {
    let stored = object(record, record.model_redirect_rules.as_deref(), "model redirects");
    let rules = stored.into_iter().filter_map(|(source, target)| match target {
        Json::String(target) => Some((source, target)),
        _ => {
            warn(record, &format!("its redirect of model {source:?} is not used: the target is no text"));
            None
        }
    });
    Redirects { rules: rules.collect(), strict: record.model_redirect_strict }
}

/// What is wrong with a stored group, once at each reload, with the name that the operator knows it by.
fn warn(record: &Record, problem: &str) {
    tracing::warn!(group.name = %record.name, group.id = record.id, "Group {}: {problem}", record.name);
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
