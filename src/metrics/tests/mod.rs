//! What the text says of entries and of keys.

use std::time::Duration;

use super::*;
use crate::{
    channel::Channel,
    crypto::Cipher,
    db::{Database, testing},
    group::{self, NewGroup},
    request_log::{
        Entry, Kind, Verdict,
        testing::{entry, group},
    },
};

async fn open() -> (testkit::FreshDatabase, Database, Metrics) {
    let (folder, database) = testing::fresh().await;
    let wanted = NewGroup {
        name: "team".into(),
        channel_type: "openai".into(),
        test_model: "m".into(),
        upstreams: serde_json::value::RawValue::from_string(r#"[{"url":"https://a.example","weight":1}]"#.into()).ok(),
        ..NewGroup::default()
    };
    group::create(&database, wanted).await.unwrap();
    let directory = Directory::open(database.clone()).await.unwrap();
    let key_pools = KeyPools::open(database.clone(), Cipher::new(None)).await.unwrap();
    let metrics = Metrics::new(directory, key_pools, RequestLog::new(1), Instant::now());
    (folder, database, metrics)
}

/// The lines that begin like this, without what begins them.
fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(start)).collect()
}

#[tokio::test]
async fn entries_are_counted_by_group_channel_and_outcome() {
    let (_folder, _database, metrics) = open().await;
    let retry = Entry { kind: Kind::Retry, verdict: Verdict::KeyForNow, first_byte: None, ..entry(429) };
    let through_aggregate = Entry { attempt: 2, parent: Some(group(9, "all")), ..entry(200) };
    let refused = Entry {
        attempt: 0,
        verdict: Verdict::Client,
        group: None,
        first_byte: None,
        duration: Duration::ZERO,
        ..entry(404)
    };
    let mut other = group(2, "claude");
    other.channel = Channel::Anthropic;
    let elsewhere = Entry { group: Some(other), verdict: Verdict::ClientGone, ..entry(499) };
    metrics.observer().see(&[entry(200), retry, through_aggregate]);
    metrics.observer().see(&[refused, elsewhere]);
    let text = metrics.render().await;
    let expected = [
        r#"{group="(none)",channel="(none)",status="404"} 1"#,
        r#"{group="claude",channel="anthropic",status="499"} 1"#,
        r#"{group="team",channel="openai",status="200"} 1"#,
        r#"{group="team",channel="openai",aggregate="all",status="200"} 1"#,
    ];
    assert_eq!(lines(&text, "gpt_load_requests_total"), expected, "{text}");
    let expected = [
        r#"{group="claude",channel="anthropic",status="499"} 1"#,
        r#"{group="team",channel="openai",status="200"} 2"#,
        r#"{group="team",channel="openai",status="429"} 1"#,
    ];
    assert_eq!(lines(&text, "gpt_load_attempts_total"), expected);
    let verdicts = lines(&text, "gpt_load_verdicts_total");
    let some: Vec<_> = verdicts.iter().filter(|line| !line.ends_with("} 0")).copied().collect();
    let expected = [
        r#"{group="(none)",channel="(none)",verdict="client"} 1"#,
        r#"{group="claude",channel="anthropic",verdict="client_gone"} 1"#,
        r#"{group="team",channel="openai",verdict="success"} 2"#,
        r#"{group="team",channel="openai",verdict="key_for_now"} 1"#,
    ];
    assert_eq!((some, verdicts.len()), (expected.to_vec(), 21));
    let team = r#"{group="team",channel="openai"} "#;
    assert_eq!(lines(&text, &format!("gpt_load_request_duration_seconds_count{team}")), ["2"]);
    assert_eq!(lines(&text, &format!("gpt_load_request_duration_seconds_sum{team}")), ["0.5"]);
    let buckets = lines(&text, "gpt_load_time_to_first_byte_seconds_bucket{le=");
    assert!(buckets.contains(&r#""0.1",group="team",channel="openai"} 2"#), "{buckets:#?}");
    assert!(buckets.contains(&r#""0.05",group="team",channel="openai"} 0"#), "{buckets:#?}");
    assert_eq!(lines(&text, r#"gpt_load_own_overhead_seconds_count{channel="openai"} "#), ["2"]);
    for line in
        ["# TYPE gpt_load_request_duration_seconds histogram", "# UNIT gpt_load_request_duration_seconds seconds"]
    {
        assert!(text.contains(line), "{line}");
    }
}

#[tokio::test]
async fn names_without_end_share_one_row() {
    let (_folder, _database, metrics) = open().await;
    let named = |name: String| Entry { group: Some(group(1, &name)), ..entry(200) };
    let many: Vec<_> = (0..10_050).map(|number| named(format!("g{number}"))).collect();
    metrics.observer().see(&many);
    metrics.observer().see(&many[..1]);
    {
        let counts = metrics.0.tally.counts();
        assert_eq!(counts.groups.len(), 10_001);
        assert_eq!((counts.groups["(other)"][0].requests[0].count, counts.groups["g0"][0].requests[0].count), (50, 2));
    }

    let (_folder, _database, metrics) = open().await;
    let aggregates = (0..2_050).map(|number| Entry { parent: Some(group(1, &format!("a{number}"))), ..entry(201) });
    metrics.observer().see(&aggregates.collect::<Vec<_>>());
    let counts = metrics.0.tally.counts();
    let rows = &counts.groups["team"][0].requests;
    assert!(rows.len() <= 2_001, "{}", rows.len());
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 2_050);
    assert!(rows.iter().any(|row| row.aggregate.as_deref() == Some("(other)")));
}

#[tokio::test]
async fn keys_are_counted_by_their_state() {
    let (_folder, database, metrics) = open().await;
    database
        .run(
            "INSERT INTO api_keys (key_value, group_id, status) VALUES ('sk-a', 1, 'active'), ('sk-b', 1, 'active'), \
             ('sk-c', 1, 'invalid'), ('sk-d\n', 1, 'active'), ('sk-e', 1, 'disabled'), ('sk-f', 1, 'disabled')",
        )
        .await;
    let key_pools = KeyPools::open(database.clone(), Cipher::new(None)).await.unwrap();
    let key = key_pools.of(1).unwrap().pick(&[], Instant::now()).unwrap();
    key_pools.of(1).unwrap().rest(&key, Instant::now() + Duration::from_secs(60));
    let directory = metrics.0.directory.clone();
    let metrics = Metrics::new(directory, key_pools, RequestLog::new(1), Instant::now());
    let text = metrics.render().await;
    let counted = lines(&text, r#"gpt_load_keys{group="team",state="#);
    let expected = [r#""ready"} 1"#, r#""resting"} 1"#, r#""invalid"} 1"#, r#""disabled"} 2"#, r#""unusable"} 1"#];
    assert_eq!(counted, expected);
}

/// What nobody knows is no zero.
#[tokio::test]
async fn what_is_not_known_is_left_out() {
    let (_folder, _database, metrics) = open().await;
    let text = metrics.render().await;
    for absent in ["requests_in_flight", "connections", "last_write_timestamp_seconds "] {
        assert!(lines(&text, "gpt_load_").iter().all(|line| !line.contains(absent)), "{absent} in {text}");
    }
    let gauge = |number: usize| -> Reading { Box::new(move || number) };
    metrics.watch(Gauges {
        requests_in_flight: gauge(3),
        streams_in_flight: gauge(2),
        connections: gauge(5),
        requests_max: 100,
        connections_max: 200,
        on_duty: gauge(1),
        cluster_behind: gauge(0),
        redis_connected: Some(gauge(1)),
        redis_commands: gauge(7),
        database_uses: gauge(9),
    });
    let text = metrics.render().await;
    for line in [
        "requests_in_flight 3",
        "streams_in_flight 2",
        "connections 5",
        "connections_limit 200",
        "cluster_on_duty 1",
        "redis_commands_total 7",
    ] {
        assert!(text.contains(&format!("\ngpt_load_{line}\n")), "{line} in {text}");
    }
}

#[tokio::test]
async fn without_the_database_nobody_knows_how_many_keys_are_invalid() {
    let (_folder, database, metrics) = open().await;
    database.close().await;
    let text = metrics.render().await;
    assert_eq!(lines(&text, r#"gpt_load_keys{group="team",state="#), [r#""ready"} 0"#, r#""resting"} 0"#]);
}
