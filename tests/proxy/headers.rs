//! Which headers reach the upstream and the client: the client's own, the channel's credential, the group's rules.

use serde_json::json;
use testkit::{MockUpstream, Play, Seen, TempServer};

use crate::support::{CHAT, ask, house, post, request};

/// Names and values, lower-case and sorted, but for the address of the mock upstream.
fn sorted(seen: &Seen) -> Vec<(String, String)> {
    let mut headers: Vec<_> = seen.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    headers.retain(|(name, _)| name != "host");
    headers.sort();
    headers
}

/// proxy.md 41, 53: no name of ours, no encoding that the client did not ask for, nobody's address.
#[tokio::test]
async fn a_request_leaves_with_its_own_headers_and_nothing_is_added() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    let headers = "Content-Type: application/json\r\nX-Two: a\r\nX-Two: b\r\nX-Empty:\r\nConnection: keep-alive, X-Hop\r\n\
        Keep-Alive: timeout=5\r\nX-Hop: 1\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\
        Proxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\nCookie: session=1\r\n\
        X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nVia: 1.1 cdn\r\nCF-Connecting-IP: 203.0.113.9\r\n";
    server.exchange(post(&format!("/proxy/g{CHAT}"), headers, b"{}")).await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("authorization", "Bearer sk-up"),
        pair("content-length", "2"),
        pair("content-type", "application/json"),
        pair("x-empty", ""),
        pair("x-two", "a"),
        pair("x-two", "b"),
    ];
    assert_eq!(sorted(&mock.request()), expected);
    assert_eq!(mock.request().header("host"), Some(mock.address().to_string().as_str()));
}

#[tokio::test]
async fn a_clients_own_agent_and_encodings_pass_as_they_are() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    let headers = "User-Agent: OpenAI/Python 1.0\r\nAccept-Encoding: br;q=1.0, gzip\r\nAccept: text/event-stream\r\n";
    server.exchange(post(&format!("/proxy/g{CHAT}"), headers, b"{}")).await;
    let seen = mock.request();
    assert_eq!(seen.header("user-agent"), Some("OpenAI/Python 1.0"));
    assert_eq!(seen.headers("accept-encoding"), ["br;q=1.0, gzip"]);
    assert_eq!(seen.headers("accept"), ["text/event-stream"]);
}

/// proxy.md 51, 52
#[tokio::test]
async fn each_channel_sends_the_upstreams_key_in_its_own_place_only() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let bearer = [("authorization", Some("Bearer sk-up")), ("x-api-key", None), ("x-goog-api-key", None)];
    let goog = [("authorization", None), ("x-api-key", None), ("x-goog-api-key", Some("sk-up"))];
    let anthropic = [("authorization", None), ("x-api-key", Some("sk-up")), ("anthropic-version", Some("2023-06-01"))];
    let versioned = [("authorization", None), ("x-api-key", Some("sk-up")), ("anthropic-version", Some("2099-01-01"))];
    let client = TempServer::CLIENT_KEY;
    let cases = [
        ("openai", "", "/v1/chat/completions", format!("Authorization: Bearer {client}\r\n"), bearer),
        ("openai", "", "/v1/chat/completions", format!("X-Api-Key: {client}\r\nX-Goog-Api-Key: x\r\n"), bearer),
        ("openai-response", "", "/v1/responses", format!("Authorization: Bearer {client}\r\n"), bearer),
        ("gemini", "", "/v1beta/models/m:generateContent", format!("x-goog-api-key: {client}\r\n"), goog),
        ("gemini", "", "/v1beta/models/m:generateContent", format!("Authorization: Bearer {client}\r\n"), goog),
        ("gemini", "", "/v1beta/openai/chat/completions", format!("Authorization: Bearer {client}\r\n"), bearer),
        // The base path counts as well.
        ("gemini", "/v1beta/openai/", "/chat/completions", format!("Authorization: Bearer {client}\r\n"), bearer),
        ("anthropic", "", "/v1/messages", format!("x-api-key: {client}\r\n"), anthropic),
        ("anthropic", "", "/v1/messages", format!("Authorization: Bearer {client}\r\n"), anthropic),
        (
            "anthropic",
            "",
            "/v1/messages",
            format!("x-api-key: {client}\r\nanthropic-version: 2099-01-01\r\n"),
            versioned,
        ),
    ];
    for (index, (channel, base, path, headers, expected)) in cases.into_iter().enumerate() {
        let name = format!("g{index}");
        let group = server.create_group(&name, channel, &format!("{}{base}", mock.base_url()), json!({})).await;
        server.add_keys(group, &["sk-up"]).await;
        server.exchange(request("POST", &format!("/proxy/{name}{path}?alt=sse"), &headers, b"{\"model\":\"m\"}")).await;
        let seen = mock.request();
        assert_eq!(seen.target, format!("{}{path}?alt=sse", base.trim_end_matches('/')));
        for (header, value) in expected {
            assert_eq!(seen.headers(header), Vec::from_iter(value), "{channel} {base}{path} {header}");
        }
        mock.reset();
    }
}

/// proxy.md 53
#[tokio::test]
async fn header_rules_have_the_last_word() {
    let rules = json!({ "header_rules": [
        { "key": "X-Trace", "value": "${GROUP_NAME}/${CLIENT_IP}/${FOO}/${GROUP_NAME}", "action": "set" },
        { "key": "X-Key", "value": "a ${API_KEY} b", "action": "set" },
        { "key": "X-Seconds", "value": "${TIMESTAMP_S}", "action": "set" },
        { "key": "X-Milliseconds", "value": "${TIMESTAMP_MS}", "action": "set" },
        { "key": "x-two", "value": "one", "action": "set" },
        { "key": "X-Drop", "value": "", "action": "remove" },
        { "key": "User-Agent", "value": "", "action": "remove" },
        { "key": "Host", "value": "virtual.example", "action": "set" },
        { "key": "Authorization", "value": "Token ${API_KEY}", "action": "set" },
        { "key": "X-Forwarded-For", "value": "${CLIENT_IP}", "action": "set" },
    ] });
    let (mock, server) = house(rules, &["sk-up"]).await;
    let headers = "X-Two: a\r\nX-Two: b\r\nX-Drop: 1\r\nX-Drop: 2\r\nUser-Agent: x\r\nX-Forwarded-For: 6.6.6.6\r\n\
        X-Client: ${API_KEY}\r\n";
    server.exchange(post(&format!("/proxy/g{CHAT}"), headers, b"{}")).await;
    let seen = mock.request();
    for (name, value) in [
        ("x-trace", Some("g/127.0.0.1/${FOO}/g")),
        ("x-key", Some("a sk-up b")),
        ("x-two", Some("one")),
        ("x-drop", None),
        ("user-agent", None),
        ("host", Some("virtual.example")),
        ("authorization", Some("Token sk-up")),
        ("x-forwarded-for", Some("127.0.0.1")),
        // Variables are the operator's, not the client's.
        ("x-client", Some("${API_KEY}")),
    ] {
        assert_eq!(seen.headers(name), Vec::from_iter(value), "{name}");
    }
    let number = |name: &str| seen.header(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let (seconds, milliseconds) = (number("x-seconds"), number("x-milliseconds"));
    assert!(seconds > 1_700_000_000 && milliseconds / 1000 >= seconds && milliseconds / 1000 <= seconds + 1);
}

#[tokio::test]
async fn in_an_aggregate_the_rules_are_those_of_the_member_that_serves() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let rule = json!({ "header_rules": [{ "key": "X-Group", "value": "${GROUP_NAME}", "action": "set" }] });
    let member = server.create_group("member", "openai", &mock.base_url(), rule).await;
    server.add_keys(member, &["sk-up"]).await;
    server.create_aggregate("all", "openai", &[(member, 1)]).await;
    assert_eq!(ask(&server, "all").await.status, 200);
    assert_eq!(mock.request().header("x-group"), Some("member"));
}

/// What a header may carry is more than ASCII (RFC 9110, 5.5).
#[tokio::test]
async fn a_key_is_sent_whatever_letters_it_has() {
    let (mock, server) = house(json!({}), &["sk-é-钥"]).await;
    assert_eq!(ask(&server, "g").await.status, 200);
    assert_eq!(mock.request().key, "sk-é-钥");
}

/// proxy.md 55, 56
#[tokio::test]
async fn an_answers_headers_come_back_but_for_those_of_its_connection_and_host() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    let mut play = Play::usual().body("{}");
    for (name, value) in [
        ("X-Request-Id", "req_1"),
        ("X-Ratelimit-Remaining", "7"),
        ("Link", "<a>"),
        ("Link", "<b>"),
        ("Keep-Alive", "timeout=5"),
        ("Alt-Svc", "h3=\":443\""),
        ("Strict-Transport-Security", "max-age=1"),
        ("Set-Cookie", "a=1"),
        ("Proxy-Authenticate", "Basic"),
        ("Connection", "X-Private"),
        ("X-Private", "1"),
    ] {
        play = play.header(name, value);
    }
    mock.play_any_always(play);
    let answer = ask(&server, "g").await;
    assert_eq!((answer.header("x-request-id"), answer.header("x-ratelimit-remaining")), (Some("req_1"), Some("7")));
    assert_eq!(answer.headers("link"), ["<a>", "<b>"]);
    assert_eq!(answer.headers("x-gpt-load-request-id").len(), 1);
    for gone in ["keep-alive", "alt-svc", "strict-transport-security", "set-cookie", "proxy-authenticate", "x-private"]
    {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
}
