//! What the tests of the data plane share.

use serde_json::{Value, json};
use testkit::{MockUpstream, RawResponse, TempServer};

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
