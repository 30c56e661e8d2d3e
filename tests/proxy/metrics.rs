//! What Prometheus is told: under load as after it, the very figures of the request log; and who may ask.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    Ending, MockUpstream, Play, RawConnection, RawListener, TempServer, exchange, free_address,
    load::{self, Mode, Plan},
};

use crate::support::{CHAT, NOBODY, ask, keys_of, post, question, stored};

const TOKEN: &str = "Token-of-a-Scraper-1234567890";
/// How long a figure may take to become what it must be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows of one scrape: name and labels, and the value.
type Scrape = BTreeMap<String, f64>;

async fn scrape(address: SocketAddr) -> Scrape {
    let head = format!("GET /metrics HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let answer = exchange(address, head).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().ends_with("\n# EOF\n"), "{}", answer.text());
    let mut rows = Scrape::new();
    for line in answer.text().lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let twice = rows.insert(name.to_owned(), value.parse().unwrap());
        assert!(twice.is_none(), "{name} is there twice");
    }
    rows
}

/// Scrapes until it is as wanted.
async fn eventually(server: &TempServer, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = scrape(server.address()).await;
        if wanted(&rows) {
            return rows;
        }
        assert!(Instant::now() < deadline, "it stays at {rows:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The rows of one family by their labels.
fn family(rows: &Scrape, name: &str) -> BTreeMap<String, u64> {
    let of = |(row, value): (&String, &f64)| {
        let labels = row.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
        // What never happened is in no row of the log either.
        (*value != 0.0).then(|| (labels.to_owned(), *value as u64))
    };
    rows.iter().filter_map(of).collect()
}

fn sum(rows: &Scrape, name: &str) -> u64 {
    family(rows, name).values().sum()
}

/// The families with the statements that count the same in the log; each gives pairs of labels and a count.
const COUNTED: [(&str, &str); 6] = [
    (
        "gpt_load_requests_total",
        "SELECT json_array('group=\"' || iif(group_id = 0, '(none)', group_name) || '\",channel=\"' || \
         iif(group_id = 0, '(none)', 'openai') || '\"' || \
         iif(parent_group_id = 0, '', ',aggregate=\"' || parent_group_name || '\"') || ',status=\"' || status_code || '\"', \
         count(*)) FROM request_logs WHERE request_type = 'final' \
         GROUP BY group_id, group_name, parent_group_id, parent_group_name, status_code",
    ),
    (
        "gpt_load_attempts_total",
        "SELECT json_array('group=\"' || group_name || '\",channel=\"openai\",status=\"' || status_code || '\"', count(*)) \
         FROM request_logs WHERE attempt > 0 GROUP BY group_name, status_code",
    ),
    (
        "gpt_load_verdicts_total",
        "SELECT json_array('group=\"' || iif(group_id = 0, '(none)', group_name) || '\",channel=\"' || \
         iif(group_id = 0, '(none)', 'openai') || '\",verdict=\"' || verdict || '\"', count(*)) \
         FROM request_logs GROUP BY group_id, group_name, verdict",
    ),
    (
        "gpt_load_request_duration_seconds_count",
        "SELECT json_array('group=\"' || iif(group_id = 0, '(none)', group_name) || '\",channel=\"' || \
         iif(group_id = 0, '(none)', 'openai') || '\"', count(*)) FROM request_logs WHERE request_type = 'final' \
         GROUP BY group_id, group_name",
    ),
    (
        "gpt_load_time_to_first_byte_seconds_count",
        "SELECT json_array('group=\"' || group_name || '\",channel=\"openai\"', count(*)) FROM request_logs \
         WHERE request_type = 'final' AND first_byte_ms IS NOT NULL GROUP BY group_name",
    ),
    (
        "gpt_load_own_overhead_seconds_count",
        "SELECT json_array('channel=\"' || iif(group_id = 0, '(none)', 'openai') || '\"', count(*)) FROM request_logs \
         WHERE request_type = 'final' GROUP BY group_id = 0",
    ),
];

/// What the log says of one family.
async fn logged(server: &TempServer, statement: &'static str) -> BTreeMap<String, u64> {
    let pair = |row: Value| (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap());
    stored(server, statement).await.into_iter().map(pair).collect()
}

/// Waits until nothing is on its way and every family equals the log.
async fn agrees_with_the_log(server: &TempServer) -> Scrape {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = scrape(server.address()).await;
        let mut different = Vec::new();
        for gauge in ["gpt_load_requests_in_flight", "gpt_load_request_log_queue_entries"] {
            if rows[gauge] != 0.0 {
                different.push(format!("{gauge} is {}", rows[gauge]));
            }
        }
        for (name, statement) in COUNTED {
            let (told, logged) = (family(&rows, name), logged(server, statement).await);
            if told != logged {
                different.push(format!("{name}: told {told:#?}, logged {logged:#?}"));
            }
        }
        if different.is_empty() {
            return rows;
        }
        assert!(Instant::now() < deadline, "{}", different.join("\n"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn plan(address: SocketAddr, group: &str, mode: Mode) -> Plan {
    Plan {
        address,
        path: format!("/proxy/{group}{CHAT}"),
        key: TempServer::CLIENT_KEY.to_owned(),
        message_bytes: 100,
        mode,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(2),
        watched: Vec::new(),
    }
}

/// proxy.md 79, 80
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_and_after_it_the_figures_are_those_of_the_log() {
    let mock = MockUpstream::start().await;
    let scrapes = free_address();
    let builder = TempServer::builder().env("METRICS_TOKEN", TOKEN).env("METRICS_ADDRESS", &scrapes.to_string());
    let server = Arc::new(builder.env("MAX_CONCURRENT_REQUESTS", "24").start().await);
    server.change_settings(json!({ "proxy_keys": TempServer::CLIENT_KEY })).await;
    let config = json!({ "config": { "blacklist_threshold": 0 } });
    let mut ids = Vec::new();
    for (name, upstream, keys) in [
        ("mixed", mock.base_url(), &["sk-limited", "sk-refused", "sk-good"][..]),
        ("absent", mock.base_url(), &["sk-absent"]),
        ("streams", mock.base_url(), &["sk-good"]),
        ("member", mock.base_url(), &["sk-good"]),
        ("down", NOBODY.to_owned(), &["sk-good"]),
    ] {
        let id = server.create_group(name, "openai", &upstream, config.clone()).await;
        server.add_keys(id, keys).await;
        ids.push(id);
    }
    server.create_aggregate("all", "openai", &[(ids[3], 1), (ids[4], 1)]).await;
    mock.play_always("sk-limited", Play::status(429).header("Retry-After", "0"));
    mock.play_always("sk-refused", Play::status(401));
    mock.play_always("sk-absent", Play::status(404).body("{\"error\":{\"message\":\"no such thing\"}}"));

    let loads = [
        ("mixed", Mode::Closed { connections: 4 }),
        ("absent", Mode::Closed { connections: 2 }),
        ("nobody-knows", Mode::Closed { connections: 2 }),
        ("all", Mode::Closed { connections: 2 }),
        // More than there is room for: some are refused.
        (
            "streams",
            Mode::Streams {
                count: 20,
                rounds: 4,
                ramp: Duration::from_millis(200),
                chunks: 10,
                gap: Duration::from_millis(30),
            },
        ),
    ];
    let running: Vec<_> = loads
        .into_iter()
        .map(|(group, mode)| {
            let plan = plan(server.address(), group, mode);
            tokio::task::spawn_blocking(move || load::run(&plan).expect("the load can be made"))
        })
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let scraper = {
        let (server, is_over) = (Arc::clone(&server), Arc::clone(&is_over));
        tokio::spawn(async move {
            let (mut count, mut last, mut streams_seen, mut in_flight_seen) = (0, 0, 0.0_f64, 0.0_f64);
            while !is_over.load(Ordering::Relaxed) {
                for address in [server.address(), scrapes] {
                    let rows = scrape(address).await;
                    let requests = sum(&rows, "gpt_load_requests_total");
                    // Each scrape agrees with itself, and no counter moves back.
                    assert_eq!(requests, sum(&rows, "gpt_load_request_duration_seconds_count"));
                    assert_eq!(requests, sum(&rows, "gpt_load_own_overhead_seconds_count"));
                    assert!(requests >= last, "{requests} after {last}");
                    last = requests;
                    streams_seen = streams_seen.max(rows["gpt_load_streams_in_flight"]);
                    in_flight_seen = in_flight_seen.max(rows["gpt_load_requests_in_flight"]);
                    count += 1;
                }
            }
            (count, last, streams_seen, in_flight_seen)
        })
    };
    // Clients that leave in the middle of a stream.
    let mut stream = question();
    stream["stream"] = json!(true);
    mock.play("sk-good", (0..3).map(|_| Play::usual().then(Ending::HangAfter(2))));
    let mut left = 0;
    while left < 3 {
        let mut client = RawConnection::open(server.address()).await;
        client.send(post(&format!("/proxy/streams{CHAT}"), "", stream.to_string().as_bytes())).await;
        client.read_until(b"\r\n\r\n").await;
        left += 1;
    }
    for load in running {
        load.await.expect("a load ends");
    }
    is_over.store(true, Ordering::Relaxed);
    let (scrapes_made, _, streams_seen, in_flight_seen) = scraper.await.expect("every scrape is right");
    assert!(scrapes_made > 20 && streams_seen > 0.0 && in_flight_seen >= streams_seen, "{scrapes_made} {streams_seen}");

    let rows = agrees_with_the_log(&server).await;
    for row in [
        r#"gpt_load_requests_total{group="mixed",channel="openai",status="200"}"#,
        r#"gpt_load_requests_total{group="absent",channel="openai",status="404"}"#,
        r#"gpt_load_requests_total{group="streams",channel="openai",status="200"}"#,
        r#"gpt_load_requests_total{group="member",channel="openai",aggregate="all",status="200"}"#,
        r#"gpt_load_requests_total{group="(none)",channel="(none)",status="404"}"#,
        r#"gpt_load_attempts_total{group="mixed",channel="openai",status="429"}"#,
        r#"gpt_load_attempts_total{group="down",channel="openai",status="502"}"#,
        r#"gpt_load_verdicts_total{group="mixed",channel="openai",verdict="key"}"#,
        r#"gpt_load_verdicts_total{group="mixed",channel="openai",verdict="key_for_now"}"#,
        r#"gpt_load_verdicts_total{group="absent",channel="openai",verdict="client"}"#,
        r#"gpt_load_verdicts_total{group="down",channel="openai",verdict="upstream"}"#,
        r#"gpt_load_verdicts_total{group="streams",channel="openai",verdict="client_gone"}"#,
    ] {
        assert!(rows.get(row).is_some_and(|value| *value > 0.0), "{row} in {rows:#?}");
    }
    // Milliseconds are cut off in the log.
    let logged =
        stored(&server, "SELECT json_array(sum(duration), count(*)) FROM request_logs WHERE request_type = 'final'");
    let (milliseconds, count) = {
        let row = &logged.await[0];
        (row[0].as_f64().unwrap(), row[1].as_f64().unwrap())
    };
    let told: f64 =
        rows.iter().filter(|(name, _)| name.starts_with("gpt_load_request_duration_seconds_sum")).map(|(_, s)| s).sum();
    assert!(
        (milliseconds / 1e3..=(milliseconds + count) / 1e3 + 1e-6).contains(&told),
        "{told} {milliseconds} {count}"
    );
    assert_eq!((rows["gpt_load_streams_in_flight"], rows["gpt_load_requests_in_flight_limit"]), (0.0, 24.0));
    assert!(rows["gpt_load_request_log_last_write_timestamp_seconds"] > rows["process_start_time_seconds"]);
    assert!(rows["process_cpu_seconds_total"] > 0.0 && rows["process_resident_memory_bytes"] > 1e6);
    for counter in ["request_log_entries_dropped", "request_log_bodies_dropped", "log_lines_dropped"] {
        assert_eq!(rows[&format!("gpt_load_{counter}_total")], 0.0);
    }
}

#[tokio::test]
async fn a_stream_in_progress_and_its_connection_are_seen() {
    let (mock, server) = {
        let mock = MockUpstream::start().await;
        let server = TempServer::builder().env("METRICS_TOKEN", TOKEN).start().await;
        let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
        server.add_keys(group, &["sk-a"]).await;
        (mock, server)
    };
    mock.play_any([Play::usual().then(Ending::HangAfter(1)), Play::hang()]);
    let mut body = question();
    body["stream"] = json!(true);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", body.to_string().as_bytes())).await;
    client.read_until(b"data: ").await;
    let mut waiting = RawConnection::open(server.address()).await;
    waiting.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(2).await;
    let rows = scrape(server.address()).await;
    assert_eq!((rows["gpt_load_requests_in_flight"], rows["gpt_load_streams_in_flight"]), (2.0, 1.0));
    // Beside the two of them there is that of the scrape.
    assert!(rows["gpt_load_connections"] >= 3.0, "{}", rows["gpt_load_connections"]);
    drop((client, waiting));
    eventually(&server, |rows| rows["gpt_load_requests_in_flight"] == 0.0 && rows["gpt_load_streams_in_flight"] == 0.0)
        .await;
}

#[tokio::test]
async fn keys_are_counted_as_they_are_now() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("METRICS_TOKEN", TOKEN).start().await;
    let group =
        server.create_group("g", "openai", &mock.base_url(), json!({ "config": { "blacklist_threshold": 1 } })).await;
    server.add_keys(group, &["sk-a", "sk-b", "sk-c"]).await;
    mock.play_always("sk-a", Play::status(401));
    mock.play_always("sk-b", Play::status(429).header("Retry-After", "600"));
    // Each key has its turn.
    assert_eq!([ask(&server, "g").await.status, ask(&server, "g").await.status], [200, 200]);
    let keys = |rows: &Scrape, state: &str| rows[&format!("gpt_load_keys{{group=\"g\",state=\"{state}\"}}")];
    let rows = scrape(server.address()).await;
    let found = ["ready", "resting", "invalid", "unusable"].map(|state| keys(&rows, state));
    assert_eq!(found, [1.0, 1.0, 1.0, 0.0]);
    assert_eq!(keys_of(&server, group).await.len(), 3);
}

#[tokio::test]
async fn the_metrics_listener_serves_nothing_else_and_no_slow_client_holds_it_up() {
    let address = free_address();
    let mut server = TempServer::builder().env("METRICS_ADDRESS", &address.to_string()).start().await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut connection = RawConnection::open(address).await;
        connection.send("GET /met").await;
        slow.push(connection);
    }
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: here\r\n\r\n");
    for target in ["/", "/health", "/api/groups", "/proxy/g/v1/models", "/metrics/"] {
        assert_eq!(exchange(address, get(target)).await.status, 404, "{target}");
    }
    let answer = exchange(address, "POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    let answer = exchange(address, "HEAD /metrics HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert!(scrape(address).await.contains_key("process_start_time_seconds"));
    // The main port still asks for the management key.
    assert_eq!(server.exchange(get("/metrics")).await.status, 401);
    assert_eq!(server.manage("GET", "/metrics", None).await.status, 200);
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
}

/// As for the main port.
#[tokio::test]
async fn a_taken_metrics_port_stops_the_start_and_leaves_the_database_alone() {
    let taken = RawListener::open().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let database = elsewhere.path().join("never.db");
    let builder = TempServer::builder().env("METRICS_ADDRESS", &taken.address().to_string());
    let (status, printed) = builder.env("DATABASE_DSN", database.to_str().unwrap()).start_in_vain().await;
    assert_eq!(status.code(), Some(1));
    assert!(printed.contains(&taken.address().to_string()) && printed.contains("another program"), "{printed}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
