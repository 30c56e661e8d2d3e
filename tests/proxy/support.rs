//! What the tests of the data plane share.

use std::time::{Duration, Instant};

use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use testkit::{Engine, MockUpstream, RawResponse, TempServer};
use tokio::io::{AsyncRead, AsyncReadExt};

pub const CHAT: &str = "/v1/chat/completions";
/// Nothing listens on the discard port of the loopback address.
pub const NOBODY: &str = "http://127.0.0.1:9";

/// A group `g` of OpenAI's format towards a mock upstream, with these keys.
pub async fn house(more: Value, keys: &[&str]) -> (MockUpstream, TempServer) {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), more).await;
    server.add_keys(group, keys).await;
    (mock, server)
}

pub fn question() -> Value {
    json!({ "model": "mock-small", "messages": [{ "role": "user", "content": "hi" }] })
}

pub async fn ask(server: &TempServer, group: &str) -> RawResponse {
    server.proxied("POST", &format!("/proxy/{group}{CHAT}"), Some(&question())).await
}

/// The bytes of a request with the client's key; each line of `headers` ends with CRLF.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n{headers}\r\n",
        TempServer::CLIENT_KEY,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// The bytes of a request that holds no credential but those in `target` and `headers`; each line of `headers` ends with
/// CRLF.
pub fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: here\r\n{headers}").into_bytes();
    if !body.is_empty() {
        request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    request
}

/// The content encodings that are read where a rule or an error has to be.
pub const ENCODINGS: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

pub async fn encoded(encoding: &str, clear: &[u8]) -> Vec<u8> {
    async fn read(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
        let mut packed = Vec::new();
        encoder.read_to_end(&mut packed).await.expect("memory can be read");
        packed
    }
    match encoding {
        "gzip" => read(GzipEncoder::new(clear)).await,
        "br" => read(BrotliEncoder::new(clear)).await,
        "zstd" => read(ZstdEncoder::new(clear)).await,
        "deflate" => read(ZlibEncoder::new(clear)).await,
        other => panic!("no such encoding: {other}"),
    }
}

/// What a query of one column of JSON text, in SQLite's language, finds in the server's database.
pub async fn stored(server: &TempServer, query: &'static str) -> Vec<Value> {
    let mut connection = SqliteConnectOptions::new()
        .filename(server.database_path())
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .connect()
        .await
        .expect("the database can be opened");
    let rows: Vec<String> =
        sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    connection.close().await.expect("the database can be closed");
    rows.iter().map(|row| serde_json::from_str(row).expect("the column is JSON")).collect()
}

/// The same, once it is as wanted.
pub async fn eventually_stored(
    server: &TempServer,
    query: &'static str,
    wanted: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let rows = stored(server, query).await;
        if wanted(&rows) {
            return rows;
        }
        assert!(Instant::now() < deadline, "{query} stays at {rows:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Columns of the request log, and what they hold: `t`ext, `i`nteger, `b`oolean.
const LOGGED: [(&str, char); 28] = [
    ("id", 't'),
    ("timestamp", 't'),
    ("group_id", 'i'),
    ("group_name", 't'),
    ("parent_group_id", 'i'),
    ("parent_group_name", 't'),
    ("key_value", 't'),
    ("key_hash", 't'),
    ("model", 't'),
    ("is_success", 'b'),
    ("source_ip", 't'),
    ("status_code", 'i'),
    ("request_path", 't'),
    ("duration", 'i'),
    ("error_message", 't'),
    ("user_agent", 't'),
    ("request_type", 't'),
    ("upstream_addr", 't'),
    ("is_stream", 'b'),
    ("request_body", 't'),
    ("request_id", 't'),
    ("attempt", 'i'),
    ("first_byte_ms", 'i'),
    ("overhead_us", 'i'),
    ("verdict", 't'),
    ("client_key", 't'),
    ("sent_model", 't'),
    ("upstream_request_id", 't'),
];

/// The rows of the request log in the order of their times, once there are this many. Those of different threads are
/// stored in no order.
pub async fn records(server: &TempServer, count: usize) -> Vec<Value> {
    let columns = LOGGED.map(|(name, _)| name).join(", ");
    let rowid = if server.database().engine() == Engine::Sqlite { "rowid" } else { "id" };
    let query = format!("SELECT {columns} FROM request_logs ORDER BY timestamp, {rowid}");
    let deadline = Instant::now() + Duration::from_secs(20);
    let rows = loop {
        let rows = server.database().rows(&query).await;
        if rows.len() >= count {
            break rows;
        }
        assert!(Instant::now() < deadline, "{} of {count} rows", rows.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(rows.len(), count, "{rows:#?}");
    let value = |text: Option<String>, kind: char| match (text, kind) {
        (None, _) => Value::Null,
        (Some(text), 'i') => json!(text.parse::<i64>().expect("a number")),
        (Some(text), 'b') => json!(i64::from(["1", "t", "true"].contains(&&*text))),
        (Some(text), _) => json!(text),
    };
    let row = |row: Vec<Option<String>>| -> Value {
        LOGGED.iter().zip(row).map(|((name, kind), text)| ((*name).to_owned(), value(text, *kind))).collect()
    };
    rows.into_iter().map(row).collect()
}

/// The keys of a group as the operator sees them, in the order in which they were added.
pub async fn keys_of(server: &TempServer, group: i64) -> Vec<Value> {
    let listed = server.managed("GET", &format!("/api/keys?group_id={group}&page_size=100"), None).await;
    let mut keys = listed["items"].as_array().cloned().unwrap_or_default();
    keys.sort_by_key(|key| key["id"].as_i64());
    keys
}
