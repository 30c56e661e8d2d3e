//! One scrape: every figure under its name, with its unit and its labels.
//!
//! Names follow Prometheus' practice: base units, counters end with `_total`, gauges and limits have their own names.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::{Registry, Unit},
};

use super::{
    Inner,
    histogram::Histogram,
    process::Usage,
    stored_keys,
    tally::{Counts, GroupCounts},
};
use crate::{
    group::{Group, Kind},
    request_log::Verdict,
    telemetry,
};

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;

/// What is known at the time of a scrape.
pub(super) struct Exposition {
    pub(super) inner: Arc<Inner>,
    pub(super) stored_keys: Option<Arc<stored_keys::Counts>>,
    pub(super) process: Option<Usage>,
}

impl Exposition {
    pub(super) fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        if let Err(error) = text::encode(&mut text, &registry) {
            tracing::error!(%error, "The metrics could not be written");
        }
        text
    }

    fn requests(&self, to: &mut Families<'_>) -> fmt::Result {
        let counts = self.inner.tally.counts();
        let groups = sorted(&counts);
        let help = "Requests by the group that served, and the aggregate that was asked where it was one.";
        to.family("gpt_load_requests", help, None, MetricType::Counter, |family| {
            for (group, counts) in &groups {
                for row in &counts.requests {
                    let aggregate = row.aggregate.as_deref().map(|name| ("aggregate", name));
                    let named: Vec<_> = labels(group, counts).into_iter().chain(aggregate).collect();
                    counter(family, &(named, [("status", u64::from(row.status))]), row.count)?;
                }
            }
            Ok(())
        })?;
        let help = "Attempts at an upstream; 499 and 5xx may be ours, where no answer came.";
        to.family("gpt_load_attempts", help, None, MetricType::Counter, |family| {
            for (group, counts) in &groups {
                for (status, count) in &counts.attempts {
                    counter(family, &(labels(group, counts), [("status", u64::from(*status))]), *count)?;
                }
            }
            Ok(())
        })?;
        let help = "Attempts, and requests refused before the first, by whose fault the outcome was.";
        to.family("gpt_load_verdicts", help, None, MetricType::Counter, |family| {
            for (group, counts) in &groups {
                for (verdict, count) in Verdict::ALL.iter().zip(counts.verdicts) {
                    let [group, channel] = labels(group, counts);
                    counter(family, &[group, channel, ("verdict", verdict.name())], count)?;
                }
            }
            Ok(())
        })?;
        let help = "From a request's arrival to the last byte of its answer.";
        to.family("gpt_load_request_duration", help, Some(&Unit::Seconds), MetricType::Histogram, |family| {
            groups.iter().try_for_each(|(group, counts)| histogram(family, &labels(group, counts), &counts.durations))
        })?;
        let help = "From a request's arrival to the first byte of its answer's body, where there was one.";
        to.family("gpt_load_time_to_first_byte", help, Some(&Unit::Seconds), MetricType::Histogram, |family| {
            groups.iter().try_for_each(|(group, counts)| histogram(family, &labels(group, counts), &counts.first_bytes))
        })?;
        let help = "The part of a request's duration that was this server's own work.";
        to.family("gpt_load_own_overhead", help, Some(&Unit::Seconds), MetricType::Histogram, |family| {
            let overheads: BTreeMap<_, _> =
                counts.overheads.iter().map(|(channel, histogram)| (channel, histogram)).collect();
            overheads
                .into_iter()
                .try_for_each(|(channel, overhead)| histogram(family, &[("channel", *channel)], overhead))
        })
    }

    fn gauges(&self, to: &mut Families<'_>) -> fmt::Result {
        let Some(gauges) = self.inner.gauges.get() else { return Ok(()) };
        let help = "Proxied requests in progress.";
        to.gauge("gpt_load_requests_in_flight", help, None, (gauges.requests_in_flight)() as u64)?;
        let help = "Proxied requests that may be in progress at once (MAX_CONCURRENT_REQUESTS).";
        to.gauge("gpt_load_requests_in_flight_limit", help, None, gauges.requests_max as u64)?;
        let help = "Proxied requests in progress whose answer is a stream or a tunnel.";
        to.gauge("gpt_load_streams_in_flight", help, None, (gauges.streams_in_flight)() as u64)?;
        let help = "Open connections of clients, of the proxy and of the management API.";
        to.gauge("gpt_load_connections", help, None, (gauges.connections)() as u64)?;
        let help = "Connections of clients that may be open at once.";
        to.gauge("gpt_load_connections_limit", help, None, gauges.connections_max as u64)?;
        let help = "1 where this node tests invalid keys and deletes what is old; one node of a cluster does.";
        to.gauge("gpt_load_cluster_on_duty", help, None, (gauges.on_duty)() as u64)?;
        let help = "1 where the changes of other nodes cannot be followed, because the database is away.";
        to.gauge("gpt_load_cluster_behind", help, None, (gauges.cluster_behind)() as u64)?;
        if let Some(redis_connected) = &gauges.redis_connected {
            let help = "1 while connected to Redis.";
            to.gauge("gpt_load_redis_connected", help, None, redis_connected() as u64)?;
            let help = "Commands sent to Redis, log-ins and heartbeats among them; no proxied request sends one.";
            to.counter("gpt_load_redis_commands", help, (gauges.redis_commands)() as u64)?;
        }
        let help = "How often the database was turned to, for a look or a transaction; no proxied request does.";
        to.counter("gpt_load_database_uses", help, (gauges.database_uses)() as u64)
    }

    fn keys(&self, to: &mut Families<'_>) -> fmt::Result {
        let now = Instant::now();
        let snapshot = self.inner.directory.current().clone();
        let is_standard = |group: &&Arc<Group>| matches!(group.kind, Kind::Standard);
        let groups: BTreeMap<_, _> =
            snapshot.by_name.values().filter(is_standard).map(|group| (&*group.name, group.id)).collect();
        let help = "Upstream keys: ready, resting (after a rate limit), invalid, disabled (by hand), or unusable (active, but it cannot be \
                    decrypted or sent).";
        to.family("gpt_load_keys", help, None, MetricType::Gauge, |family| {
            for (name, id) in groups {
                let active = self.inner.key_pools.of(id).map(|pool| pool.active(now)).unwrap_or_default();
                let stored = self.stored_keys.as_ref().map(|counts| counts.get(&id).copied().unwrap_or_default());
                let known = [("ready", active.ready as u64), ("resting", active.resting as u64)];
                let stored = stored.into_iter().flat_map(|stored| {
                    [("invalid", stored.invalid), ("disabled", stored.disabled), ("unusable", stored.unusable)]
                });
                for (state, count) in known.into_iter().chain(stored) {
                    family.encode_family(&[("group", name), ("state", state)])?.encode_gauge(&count)?;
                }
            }
            Ok(())
        })
    }

    fn log(&self, to: &mut Families<'_>) -> fmt::Result {
        let log = &self.inner.log;
        let help = "Entries that wait to be written to the request log.";
        to.gauge("gpt_load_request_log_queue_entries", help, None, log.waiting() as u64)?;
        if let Some(at) = log.last_written_at() {
            let help = "When entries were last written to the request log.";
            to.gauge("gpt_load_request_log_last_write_timestamp", help, Some(&Unit::Seconds), seconds_of(at.into()))?;
        }
        let help = "Entries that the request log lost: too many waited, or the database refused them.";
        to.counter("gpt_load_request_log_entries_dropped", help, log.dropped())?;
        let help = "Request bodies that were left out of their entry, since too much waited.";
        to.counter("gpt_load_request_log_bodies_dropped", help, log.bodies_dropped())?;
        let help = "Lines of the program's own log that were dropped, since writing them could not keep up.";
        to.counter("gpt_load_log_lines_dropped", help, telemetry::lines_dropped() as u64)
    }

    fn program(&self, to: &mut Families<'_>) -> fmt::Result {
        let help = "What runs here; always 1.";
        to.family("gpt_load_build", help, None, MetricType::Info, |metric| {
            let labels = [
                ("version", env!("CARGO_PKG_VERSION")),
                ("os", std::env::consts::OS),
                ("architecture", std::env::consts::ARCH),
            ];
            metric.encode_info(&labels)
        })?;
        let help = "When the process was started.";
        to.gauge("process_start_time", help, Some(&Unit::Seconds), seconds_of(self.inner.started_at))?;
        let Some(usage) = self.process else { return Ok(()) };
        let help = "Time that the process spent on processors.";
        to.family("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter, |metric| {
            metric.encode_counter::<NoLabelSet, _, u64>(&usage.cpu.as_secs_f64(), None)
        })?;
        let help = "Memory that the process has in use.";
        to.gauge("process_resident_memory", help, Some(&Unit::Bytes), usage.resident_bytes)
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.program(&mut families)?;
        self.gauges(&mut families)?;
        self.keys(&mut families)?;
        self.log(&mut families)?;
        self.requests(&mut families)
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}

/// Where metrics are written, one after another.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric_type: MetricType,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(&mut self.0.encode_descriptor(name, help, unit, metric_type)?)
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: impl EncodeGaugeValue) -> fmt::Result {
        self.family(name, help, unit, MetricType::Gauge, |metric| metric.encode_gauge(&value))
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.family(name, help, None, MetricType::Counter, |metric| metric.encode_counter(&count, NO_EXEMPLAR))
    }
}

fn counter(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, count: u64) -> fmt::Result {
    family.encode_family(labels)?.encode_counter(&count, NO_EXEMPLAR)
}

fn histogram(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, histogram: &Histogram) -> fmt::Result {
    let (sum, count, buckets) = (histogram.sum(), histogram.count(), histogram.buckets());
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

/// In the order of names, so that two scrapes can be compared.
fn sorted(counts: &Counts) -> Vec<(&str, &GroupCounts)> {
    let mut groups: Vec<_> =
        counts.groups.iter().flat_map(|(name, rows)| rows.iter().map(|row| (&**name, row))).collect();
    groups.sort_unstable_by_key(|(name, row)| (*name, row.channel));
    groups
}

fn labels<'a>(group: &'a str, counts: &GroupCounts) -> [(&'static str, &'a str); 2] {
    [("group", group), ("channel", counts.channel)]
}

/// Since the beginning of 1970.
fn seconds_of(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
