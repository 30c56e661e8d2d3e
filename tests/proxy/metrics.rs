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
/// Of each stream.
const CHUNKS: usize = 10;
const GAP: Duration = Duration::from_millis(30);
/// How long a figure may take to become what it must be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows of one scrape: name and labels, and the value as it is written.
type Scrape = BTreeMap<String, String>;

async fn scrape(address: SocketAddr) -> Scrape {
    let head = format!("GET /metrics HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let answer = exchange(address, head).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().ends_with("\n# EOF\n"), "{}", answer.text());
    let mut rows = Scrape::new();
    for line in answer.text().lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let twice = rows.insert(name.to_owned(), value.to_owned());
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
    let of = |(row, value): (&String, &String)| {
        let labels = row.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
        Some((labels.to_owned(), value.parse().unwrap()))
    };
    // What never happened is in no row of the log either.
    rows.iter().filter_map(of).filter(|(_, count)| *count > 0).collect()
}

/// A row that is a whole number.
fn count(rows: &Scrape, row: &str) -> u64 {
    rows.get(row).unwrap_or_else(|| panic!("{row} in {rows:#?}")).parse().unwrap()
}

fn number(rows: &Scrape, row: &str) -> f64 {
    rows.get(row).unwrap_or_else(|| panic!("{row} in {rows:#?}")).parse().unwrap()
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
            if count(&rows, gauge) > 0 {
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

/// Groups for every outcome, and an aggregate with a member that is down.
async fn groups_for_a_load(server: &TempServer, mock: &MockUpstream) {
    server.change_settings(json!({ "proxy_keys": TempServer::CLIENT_KEY })).await;
    let config = json!({ "config": { "blacklist_threshold": 0 } });
    let mut ids = Vec::new();
    for (name, upstream, keys) in [
        ("mixed", mock.base_url(), &["sk-limited", "sk-refused", "sk-good"][..]),
        ("absent", mock.base_url(), &["sk-absent"]),
        ("streams", mock.base_url(), &["sk-streams"]),
        ("left", mock.base_url(), &["sk-left"]),
        ("member", mock.base_url(), &["sk-good"]),
        ("down", NOBODY.to_owned(), &["sk-good"]),
    ] {
        let id = server.create_group(name, "openai", &upstream, config.clone()).await;
        server.add_keys(id, keys).await;
        ids.push(id);
    }
    server.create_aggregate("all", "openai", &[(ids[4], 1), (ids[5], 1)]).await;
    mock.play_always("sk-limited", Play::status(429).header("Retry-After", "0"));
    mock.play_always("sk-streams", Play::usual().chunks(CHUNKS).gap(GAP));
    mock.play_always("sk-left", Play::usual().then(Ending::HangAfter(2)));
    mock.play_always("sk-refused", Play::status(401));
    mock.play_always("sk-absent", Play::status(404).body("{\"error\":{\"message\":\"no such thing\"}}"));
}

/// Loads of all kinds, and clients that leave in the middle of a stream.
async fn under_load(server: &TempServer) {
    let streams = Mode::Streams {
        // Together with the others more than there is room for: some are refused.
        count: 20,
        rounds: 4,
        ramp: Duration::from_millis(200),
        chunks: CHUNKS,
        gap: GAP,
    };
    let loads = [
        ("mixed", Mode::Closed { connections: 4 }),
        ("absent", Mode::Closed { connections: 2 }),
        ("nobody-knows", Mode::Closed { connections: 2 }),
        ("all", Mode::Closed { connections: 2 }),
        ("streams", streams),
    ];
    let run = |(group, mode)| {
        let plan = plan(server.address(), group, mode);
        tokio::task::spawn_blocking(move || load::run(&plan).expect("the load can be made"))
    };
    let running: Vec<_> = loads.into_iter().map(run).collect();
    let mut stream = question();
    stream["stream"] = json!(true);
    let mut left = 0;
    while left < 3 {
        let mut client = RawConnection::open(server.address()).await;
        client.send(post(&format!("/proxy/left{CHAT}"), "", stream.to_string().as_bytes())).await;
        // While there is no room, it is refused.
        if client.read_until(b"\r\n\r\n").await.starts_with(b"HTTP/1.1 200 ") {
            client.read_until(b"data: ").await;
            left += 1;
        }
    }
    for load in running {
        load.await.expect("a load ends");
    }
}

/// Scrapes until told to stop. Gives how often, and the most streams that were seen at once.
async fn scraped(addresses: [SocketAddr; 2], is_over: Arc<AtomicBool>) -> (u64, u64) {
    let (mut times, mut last, mut streams_max) = (0, 0, 0);
    while !is_over.load(Ordering::Relaxed) {
        for address in addresses {
            let rows = scrape(address).await;
            let requests = sum(&rows, "gpt_load_requests_total");
            // Each scrape agrees with itself, and no counter moves back.
            assert_eq!(requests, sum(&rows, "gpt_load_request_duration_seconds_count"));
            assert_eq!(requests, sum(&rows, "gpt_load_own_overhead_seconds_count"));
            assert!(requests >= last, "{requests} after {last}");
            last = requests;
            streams_max = streams_max.max(count(&rows, "gpt_load_streams_in_flight"));
            times += 1;
        }
    }
    (times, streams_max)
}

/// proxy.md 79, 80
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_and_after_it_the_figures_are_those_of_the_log() {
    let mock = MockUpstream::start().await;
    let scrapes = free_address();
    let builder = TempServer::builder().env("METRICS_TOKEN", TOKEN).env("METRICS_ADDRESS", &scrapes.to_string());
    let server = builder.env("MAX_CONCURRENT_REQUESTS", "24").start().await;
    groups_for_a_load(&server, &mock).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let scraper = tokio::spawn(scraped([server.address(), scrapes], Arc::clone(&is_over)));
    under_load(&server).await;
    is_over.store(true, Ordering::Relaxed);
    let (times, streams_max) = scraper.await.expect("every scrape is right");
    assert!(times > 20 && streams_max > 0, "{times} scrapes, {streams_max} streams at once");

    let rows = agrees_with_the_log(&server).await;
    for row in [
        r#"requests_total{group="mixed",channel="openai",status="200"}"#,
        r#"requests_total{group="absent",channel="openai",status="404"}"#,
        r#"requests_total{group="streams",channel="openai",status="200"}"#,
        r#"requests_total{group="member",channel="openai",aggregate="all",status="200"}"#,
        r#"requests_total{group="(none)",channel="(none)",status="404"}"#,
        r#"attempts_total{group="mixed",channel="openai",status="429"}"#,
        r#"attempts_total{group="down",channel="openai",status="502"}"#,
        r#"verdicts_total{group="mixed",channel="openai",verdict="key"}"#,
        r#"verdicts_total{group="mixed",channel="openai",verdict="key_for_now"}"#,
        r#"verdicts_total{group="absent",channel="openai",verdict="client"}"#,
        r#"verdicts_total{group="down",channel="openai",verdict="upstream"}"#,
        r#"verdicts_total{group="left",channel="openai",verdict="client_gone"}"#,
    ] {
        assert!(count(&rows, &format!("gpt_load_{row}")) > 0, "{row}");
    }
    // Milliseconds are cut off in the log.
    let durations = "SELECT json_array(sum(duration), count(*)) FROM request_logs WHERE request_type = 'final'";
    let logged = stored(&server, durations).await.remove(0);
    let (milliseconds, requests) = (logged[0].as_f64().unwrap(), logged[1].as_f64().unwrap());
    let sums = rows.iter().filter(|(row, _)| row.starts_with("gpt_load_request_duration_seconds_sum"));
    let told: f64 = sums.map(|(_, sum)| sum.parse::<f64>().unwrap() * 1e3).sum();
    assert!((milliseconds - 1e-3..=milliseconds + requests + 1e-3).contains(&told), "{told} {milliseconds} {requests}");

    let counts = ["streams_in_flight", "requests_in_flight_limit", "request_log_entries_dropped_total"];
    assert_eq!(counts.map(|row| count(&rows, &format!("gpt_load_{row}"))), [0, 24, 0]);
    let started_at = number(&rows, "process_start_time_seconds");
    assert!(number(&rows, "gpt_load_request_log_last_write_timestamp_seconds") > started_at);
    assert!(number(&rows, "process_cpu_seconds_total") > 0.0);
    assert!(count(&rows, "process_resident_memory_bytes") > 1_000_000);
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
    let in_flight = |rows: &Scrape| ["requests", "streams"].map(|of| count(rows, &format!("gpt_load_{of}_in_flight")));
    assert_eq!(in_flight(&rows), [2, 1]);
    // Beside the two of them there is that of the scrape.
    assert!(count(&rows, "gpt_load_connections") >= 3, "{}", rows["gpt_load_connections"]);
    drop((client, waiting));
    eventually(&server, |rows| in_flight(rows) == [0, 0]).await;
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
    let keys = |rows: &Scrape, state: &str| count(rows, &format!("gpt_load_keys{{group=\"g\",state=\"{state}\"}}"));
    let rows = scrape(server.address()).await;
    let found = ["ready", "resting", "invalid", "unusable"].map(|state| keys(&rows, state));
    assert_eq!(found, [1, 1, 1, 0]);
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
