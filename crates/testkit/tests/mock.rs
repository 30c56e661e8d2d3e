//! The mock upstream does what it is told, over real sockets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Encoding, Ending, MockUpstream, Play, RawConnection, RawResponse, Tail, exchange};

async fn post(mock: &MockUpstream, target: &str, key: &str, body: &str) -> RawResponse {
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: mock\r\nAuthorization: Bearer {key}\r\nX-ODD-Case: 1\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    exchange(mock.address(), request).await
}

fn events(response: &RawResponse) -> Vec<Value> {
    let data = response.text().lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_request_is_remembered_as_it_was_on_the_wire() {
    let mock = MockUpstream::start().await;
    let response = post(&mock, "/v1/echo?a=%2F&b", "sk-1", "héllo").await;
    let seen = mock.request();
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.key.as_str()), ("POST", "/v1/echo?a=%2F&b", "sk-1"));
    let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "Authorization", "X-ODD-Case", "Content-Length"]);
    assert_eq!(seen.text(), "héllo");
    assert_eq!(response.json()["body_sha256"], seen.body_sha256);
    assert_eq!(response.json()["headers"][2], json!(["X-ODD-Case", "1"]));
}

#[tokio::test]
async fn a_chunked_body_is_joined() {
    let mock = MockUpstream::start().await;
    let request =
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
    let response = exchange(mock.address(), request).await;
    assert_eq!(response.json()["body_bytes"], 13);
    assert_eq!(mock.request().text(), "abc0123456789");
}

#[tokio::test]
async fn a_script_is_played_once_and_then_the_endpoint_answers_as_usual() {
    let mock = MockUpstream::start().await;
    mock.play("sk-1", [Play::status(429).header("Retry-After", "7"), Play::status(500)]);
    mock.play_always("sk-2", Play::status(401));
    let first = post(&mock, "/v1/chat/completions", "sk-1", "{}").await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    assert_eq!(first.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(post(&mock, "/v1/chat/completions", "sk-1", "{}").await.status, 500);
    assert_eq!(post(&mock, "/v1/chat/completions", "sk-1", "{}").await.status, 200);
    for _ in 0..3 {
        assert_eq!(post(&mock, "/v1/chat/completions", "sk-2", "{}").await.status, 401);
    }
    assert_eq!((mock.count("sk-1"), mock.count("sk-2")), (3, 3));
}

#[tokio::test]
async fn connections_break_where_they_are_told_to() {
    let mock = MockUpstream::start().await;
    let body = r#"{"stream":true}"#;
    mock.play("reset", [Play::reset()]);
    let mut connection = RawConnection::open(mock.address()).await;
    connection.send("GET /v1/models HTTP/1.1\r\nAuthorization: Bearer reset\r\n\r\n").await;
    assert!(connection.closes_with_reset().await);

    mock.play("close", [Play::close()]);
    let mut connection = RawConnection::open(mock.address()).await;
    connection.send("GET /v1/models HTTP/1.1\r\nAuthorization: Bearer close\r\n\r\n").await;
    assert!(!connection.closes_with_reset().await);

    mock.play("cut", [Play::ending(Ending::CloseAfter(2)), Play::ending(Ending::ResetAfter(2))]);
    let cut = post(&mock, "/v1/chat/completions", "cut", body).await;
    assert_eq!((cut.status, cut.chunks.len(), cut.tail), (200, 2, Tail::Closed));
    let cut = post(&mock, "/v1/chat/completions", "cut", body).await;
    assert_eq!((cut.status, cut.chunks.len(), cut.tail), (200, 2, Tail::Reset));
    assert_eq!(post(&mock, "/v1/chat/completions", "cut", body).await.tail, Tail::Complete);
}

#[tokio::test]
async fn a_client_that_leaves_a_hanging_or_streaming_answer_is_noticed() {
    let mock = MockUpstream::start().await;
    mock.play("sk-1", [Play::hang(), Play::usual().chunks(100).gap(Duration::from_secs(60))]);
    for expected in 1..=2 {
        let mut connection = RawConnection::open(mock.address()).await;
        let body = r#"{"stream":true}"#;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer sk-1\r\nContent-Length: 15\r\n\r\n";
        connection.send(format!("{head}{body}")).await;
        if expected == 2 {
            connection.read_until(b"\"0 \"").await;
        }
        mock.arrived(expected).await;
        assert_eq!(mock.cancellations(), expected - 1);
        drop(connection);
        while mock.cancellations() < expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn delays_and_gaps_are_kept() {
    let mock = MockUpstream::start().await;
    mock.play("sk-1", [Play::usual().chunks(4).gap(Duration::from_millis(30)).delay(Duration::from_millis(50))]);
    let start = Instant::now();
    let response = post(&mock, "/v1/chat/completions", "sk-1", r#"{"stream":true}"#).await;
    assert!(start.elapsed() >= Duration::from_millis(50 + 3 * 30), "too early: {:?}", start.elapsed());
    assert_eq!(response.chunks.len(), 4);
}

#[tokio::test]
async fn a_body_is_compressed_cut_into_pieces_or_ended_by_the_connection() {
    let mock = MockUpstream::start().await;
    let odd = Play::usual().body("x").then(Ending::UntilClose);
    mock.play("sk-1", [Play::usual().encoded(Encoding::Gzip), Play::usual().pieces(["ab", "c"]), odd]);
    let packed = post(&mock, "/v1/models", "sk-1", "").await;
    assert_eq!((packed.header("content-encoding"), &packed.body[..2]), (Some("gzip"), &[0x1f, 0x8b][..]));
    let pieces = post(&mock, "/v1/models", "sk-1", "").await;
    assert_eq!(pieces.chunks, [b"ab".to_vec(), b"c".to_vec()]);
    let odd = post(&mock, "/v1/models", "sk-1", "").await;
    assert_eq!((odd.text(), odd.tail, odd.header("content-length")), ("x", Tail::Closed, None));
}

#[tokio::test]
async fn an_answer_can_come_before_the_body() {
    let mock = MockUpstream::start().await;
    mock.play("sk-1", [Play::status(413).before_body()]);
    let request = "POST /v1/files HTTP/1.1\r\nAuthorization: Bearer sk-1\r\nContent-Length: 1000000\r\n\r\nbeginning";
    let response = exchange(mock.address(), request).await;
    assert_eq!((response.status, response.header("connection")), (413, Some("close")));
    assert!(!mock.request().complete);
}

#[tokio::test]
async fn every_format_streams_the_chunks_that_were_asked_for() {
    let mock = MockUpstream::start().await;
    let body = r#"{"model":"m","stream":true}"#;
    let chat = events(&post(&mock, "/v1/chat/completions?chunks=3", "k", body).await);
    let text: String = chat.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "0 1 2 ");
    let responses = events(&post(&mock, "/v1/responses?chunks=3", "k", body).await);
    assert_eq!(responses.last().unwrap()["response"]["output"][0]["content"][0]["text"], "0 1 2 ");
    let messages = events(&post(&mock, "/v1/messages?chunks=3", "k", body).await);
    let text: String = messages.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "0 1 2 ");
    let target = "/v1beta/models/m:streamGenerateContent?chunks=3";
    let gemini = events(&post(&mock, &format!("{target}&alt=sse"), "k", "{}").await);
    let part = |event: &Value| event["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(gemini.iter().map(part).collect::<String>(), "0 1 2 ");
    let array = post(&mock, target, "k", "{}").await.json();
    assert_eq!(array.as_array().unwrap().iter().map(part).collect::<String>(), "0 1 2 ");
}

#[tokio::test]
async fn tools_are_called_until_their_result_is_there() {
    let mock = MockUpstream::start().await;
    let tools = json!([{ "type": "function", "function": { "name": "weather" } }]);
    let ask = json!({ "tools": tools, "messages": [{ "role": "user", "content": "?" }] }).to_string();
    let answer = post(&mock, "/v1/chat/completions", "k", &ask).await.json();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "weather");
    let told = json!({ "tools": tools, "messages": [{ "role": "tool", "content": "sunny" }] }).to_string();
    let answer = post(&mock, "/v1/chat/completions", "k", &told).await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn an_uploaded_file_comes_back_as_its_hash() {
    let mock = MockUpstream::start().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; \
                name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nabc\r\n--b--\r\n";
    let length = form.len();
    let head = "POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b";
    let file = exchange(mock.address(), format!("{head}\r\nContent-Length: {length}\r\n\r\n{form}")).await.json();
    let hash_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((&file["sha256"], &file["filename"], &file["bytes"]), (&json!(hash_of_abc), &json!("a.txt"), &json!(3)));
}

#[tokio::test]
async fn a_resumable_upload_is_put_together() {
    let mock = MockUpstream::start().await;
    let send = |target: String, command: &str, offset: usize, body: &str| {
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nX-Goog-Upload-Command: {command}\r\nX-Goog-Upload-Offset: {offset}\r\nContent-Length: {length}\r\n\r\n{body}",
            mock.address()
        );
        exchange(mock.address(), request)
    };
    let started = send("/upload/v1beta/files".to_owned(), "start", 0, r#"{"file":{"displayName":"d"}}"#).await;
    let url = started.header("x-goog-upload-url").unwrap().to_owned();
    let target = url.strip_prefix(&mock.base_url()).unwrap().to_owned();
    assert_eq!(send(target.clone(), "upload", 0, "ab").await.header("x-goog-upload-status"), Some("active"));
    assert_eq!(send(target.clone(), "upload, finalize", 0, "c").await.status, 400);
    let file = send(target, "upload, finalize", 2, "c").await.json();
    assert_eq!((&file["file"]["sizeBytes"], &file["file"]["displayName"]), (&json!("3"), &json!("d")));
}

#[tokio::test]
async fn a_websocket_echoes() {
    let mock = MockUpstream::start().await;
    let mut connection = RawConnection::open(mock.address()).await;
    // The example handshake of RFC 6455.
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    connection
        .send(format!("GET /v1/echo-socket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\r\n"))
        .await;
    let answer = connection.response_to("GET").await;
    assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    let mask = [1, 2, 3, 4];
    let masked: Vec<u8> = b"Hello".iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    connection.send([&[0x81, 0x85], &mask[..], &masked[..]].concat()).await;
    assert_eq!(connection.read_exactly(7).await, [&[0x81, 5], &b"Hello"[..]].concat());
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken_and_can_break() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let mock = MockUpstream::start().await;
    mock.play("sk-2", [Play::ending(Ending::ResetAfter(1))]);
    let stream = tokio::net::TcpStream::connect(mock.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async |key: &str, target: &str| {
        let uri = format!("{}{target}", mock.base_url());
        let request = http::Request::post(uri).header("x-api-key", key).body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        (response.status(), response.into_body().collect().await.map(|body| body.to_bytes()))
    };
    let (status, body) = ask("sk-1", "/v1/echo?x=1").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&body.unwrap()).unwrap()["target"], "/v1/echo?x=1");
    assert_eq!((mock.requests()[0].version.as_str(), mock.count("sk-1")), ("HTTP/2.0", 1));
    let (status, body) = ask("sk-2", "/v1beta/models/m:streamGenerateContent").await;
    assert!(status == 200 && body.is_err(), "the stream must end in an error: {body:?}");
    assert_eq!(mock.cancellations(), 0);
}

#[tokio::test]
async fn scripts_and_memory_are_reached_over_http() {
    let mock = MockUpstream::start().await;
    let order = r#"{"times":1,"play":{"status":403,"headers":[["X-A","1"],["X-A","2"]],"body":"{}"}}"#;
    assert_eq!(post(&mock, "/__mock/keys/sk-1", "", order).await.status, 200);
    let refused = post(&mock, "/v1/models", "sk-1", "").await;
    assert_eq!((refused.status, refused.headers("x-a")), (403, vec!["1", "2"]));
    let order = r#"{"play":{"ending":{"close_after":1}}}"#;
    assert_eq!(post(&mock, "/__mock/keys/sk-1", "", order).await.status, 200);
    assert_eq!(post(&mock, "/v1/models", "sk-1", "").await.tail, Tail::Closed);
    let seen = exchange(mock.address(), "GET /__mock/requests HTTP/1.1\r\n\r\n").await.json();
    assert_eq!((seen["requests"].as_array().unwrap().len(), &seen["requests"][0]["key"]), (2, &json!("sk-1")));
    exchange(mock.address(), "DELETE /__mock HTTP/1.1\r\n\r\n").await;
    assert!(mock.requests().is_empty());
}
