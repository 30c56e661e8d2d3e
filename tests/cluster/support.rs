//! What these tests share.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Cluster, MockUpstream, RawResponse, TempServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const CHAT: &str = "/v1/chat/completions";
/// How long a test waits for something that must happen before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const POLL_INTERVAL: Duration = Duration::from_millis(10);

pub fn question() -> Value {
    json!({ "model": "mock-small", "messages": [{ "role": "user", "content": "hi" }] })
}

/// A request to a group.
pub async fn ask(node: &TempServer, group: &str) -> RawResponse {
    node.proxied("POST", &format!("/proxy/{group}{CHAT}"), Some(&question())).await
}

/// The same with another proxy key; gives the status.
pub async fn ask_as(node: &TempServer, group: &str, proxy_key: &str) -> u16 {
    let body = question().to_string();
    let request = format!(
        "POST /proxy/{group}{CHAT} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {proxy_key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    node.exchange(request).await.status
}

/// Waits until this is true.
///
/// # Panics
/// When it does not become true in time.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    begun.elapsed()
}

/// Waits until a group answers with this status on every node; gives how long the last one took.
pub async fn answers_everywhere(cluster: &Cluster, group: &str, status: u16) -> Duration {
    let begun = Instant::now();
    for (number, node) in cluster.nodes().iter().enumerate() {
        until(&format!("group {group} answers with {status} on node {number}"), || async {
            ask(node, group).await.status == status
        })
        .await;
    }
    begun.elapsed()
}

/// A group `g` with these keys, known to every node.
pub async fn group_everywhere(cluster: &Cluster, mock: &MockUpstream, more: Value, keys: &[&str]) -> i64 {
    let id = cluster.node(0).create_group("g", "openai", &mock.base_url(), more).await;
    cluster.node(0).add_keys(id, keys).await;
    answers_everywhere(cluster, "g", 200).await;
    id
}

/// The name of the node that is on duty, as this node sees it.
pub async fn on_duty(node: &TempServer) -> Option<String> {
    let seen = node.managed("GET", "/api/cluster", None).await;
    let nodes = seen["nodes"].as_array().expect("a list").clone();
    let on_duty: Vec<_> = nodes.iter().filter(|node| node["is_on_duty"] == true).collect();
    assert!(on_duty.len() <= 1, "{seen:#}");
    on_duty.first().map(|node| node["id"].as_str().expect("a text").to_owned())
}

/// A management call that may take its time; gives its status.
pub async fn call_patiently(node: &TempServer, method: &str, target: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        TempServer::AUTH_KEY,
        body.len()
    );
    let asked = async {
        let mut connection = TcpStream::connect(node.address()).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(2 * PATIENCE, asked).await.expect("an answer comes").expect("it is whole");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// What a node is called among the others.
pub async fn name_of(node: &TempServer) -> String {
    let seen = node.managed("GET", "/api/cluster", None).await;
    let own = seen["nodes"].as_array().expect("a list").iter().find(|node| node["is_this_one"] == true).cloned();
    own.expect("it sees itself")["id"].as_str().expect("a text").to_owned()
}

/// What `/ready` says: the status, and each check.
pub async fn readiness(node: &TempServer, strict: bool) -> (u16, Value) {
    let query = if strict { "?strict=true" } else { "" };
    let answer = node.exchange(format!("GET /ready{query} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
    let said = answer.json();
    (answer.status, said)
}

/// Waits until a node calls itself ready.
pub async fn ready_again(node: &TempServer) {
    let begun = Instant::now();
    loop {
        let (_, said) = readiness(node, false).await;
        if said["status"] == "ready" {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it stays at {said:#}: {}", node.log());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// How often a text is in what a node printed.
pub fn times(node: &TempServer, text: &str) -> usize {
    node.log().matches(text).count()
}

/// Lines of a node's log from warnings up, since so many lines.
pub fn complaints(node: &TempServer, since: usize) -> Vec<String> {
    let log = node.log();
    // Management calls have a line each, whatever becomes of them.
    let is_of_a_call = |line: &&str| line.contains("api::around") || line.contains("api::refusal");
    let is_complaint = |line: &&str| (line.contains("WARN") || line.contains("ERROR")) && !is_of_a_call(line);
    log.lines().skip(since).filter(is_complaint).map(str::to_owned).collect()
}

pub fn lines(node: &TempServer) -> usize {
    node.log().lines().count()
}
