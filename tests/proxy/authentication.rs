//! Who may use a group, where a credential is looked for, and that it is neither passed on nor written down.

use serde_json::{Value, json};
use testkit::{MockUpstream, TempServer};

use crate::support::{house, records, request, stored};

const GLOBAL_KEY: &str = "sk-global-0123456789";

/// Every place where the original's clients put their key, and ours on purpose: a scheme in any case.
const PLACES: [(&str, &str); 6] = [
    ("?key=KEY", ""),
    ("?a=1&key=KEY", ""),
    ("", "Authorization: Bearer KEY\r\n"),
    ("", "Authorization: bearer KEY\r\n"),
    ("", "X-Api-Key: KEY\r\n"),
    ("", "X-Goog-Api-Key: KEY\r\n"),
];

#[tokio::test]
async fn every_place_of_a_credential_opens_a_group_and_no_credential_travels_on() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    server.change_settings(json!({ "proxy_keys": format!("sk-other, {GLOBAL_KEY}") })).await;
    for key in [TempServer::CLIENT_KEY, GLOBAL_KEY] {
        for (query, headers) in PLACES {
            let target = format!("/proxy/g/v1/models{}", query.replace("KEY", key));
            let answer = server.exchange(request("GET", &target, &headers.replace("KEY", key), b"")).await;
            assert_eq!(answer.status, 200, "{target} {headers}: {}", answer.text());
            let seen = mock.request();
            assert_eq!(seen.headers("authorization"), ["Bearer sk-up"]);
            assert_eq!((seen.header("x-api-key"), seen.header("x-goog-api-key")), (None, None));
            assert!(!format!("{seen:?}").contains(key), "{seen:?}");
            mock.reset();
        }
    }
}

/// proxy.md 50: what is meant for the upstream does not defeat what is meant for us.
#[tokio::test]
async fn one_valid_credential_is_enough_wherever_it_stands() {
    let (mock, server) = house(json!({}), &["sk-up"]).await;
    let good = TempServer::CLIENT_KEY;
    for (query, headers, expected) in [
        ("?key=theirs&b=%20c&a", format!("Authorization: Bearer {good}\r\n"), "?key=theirs&b=%20c&a"),
        ("?key=theirs&key=sk-client&&x", String::new(), "?key=theirs&&x"),
        ("?z=1&key=sk%2Dclient&a=b%20c", String::new(), "?z=1&a=b%20c"),
        ("?%6bey=sk-client&z=2&z=1", String::new(), "?z=2&z=1"),
        ("?key=", format!("X-Api-Key: {good}\r\n"), "?key="),
        ("", format!("Authorization: Bearer theirs\r\nX-Api-Key: {good}\r\n"), ""),
        ("", format!("Authorization: Basic dTpw\r\nX-Goog-Api-Key: {good}\r\n"), ""),
    ] {
        let target = format!("/proxy/g/v1/models{query}");
        let answer = server.exchange(request("GET", &target, &headers, b"")).await;
        assert_eq!(answer.status, 200, "{target} {headers}: {}", answer.text());
        assert_eq!(mock.request().target, format!("/v1/models{expected}"));
        mock.reset();
    }
    for (query, headers) in [
        ("", ""),
        ("?key=", ""),
        ("?monkey=sk-client", ""),
        ("?key=sk-clien", "Authorization: Bearer sk-client2\r\nX-Api-Key: SK-CLIENT\r\n"),
        ("", "Authorization: sk-client\r\n"),
        ("", "Authorization: Basic sk-client\r\n"),
        ("", "Api-Key: sk-client\r\n"),
        ("", "Cookie: key=sk-client\r\n"),
    ] {
        let target = format!("/proxy/g/v1/models{query}");
        assert_eq!(server.exchange(request("GET", &target, headers, b"")).await.status, 401, "{target} {headers}");
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn an_aggregate_is_opened_by_its_own_keys_and_not_by_its_members() {
    let mock = MockUpstream::start().await;
    let server = TempServer::start().await;
    let member = server.create_group("member", "openai", &mock.base_url(), json!({ "proxy_keys": "sk-member" })).await;
    server.add_keys(member, &["sk-up"]).await;
    server.create_aggregate("all", "openai", &[(member, 1)]).await;
    server.change_settings(json!({ "proxy_keys": GLOBAL_KEY })).await;
    for (group, key, expected) in [
        ("all", TempServer::CLIENT_KEY, 200),
        ("all", GLOBAL_KEY, 200),
        ("all", "sk-member", 401),
        ("member", "sk-member", 200),
        ("member", GLOBAL_KEY, 200),
        ("member", TempServer::CLIENT_KEY, 401),
    ] {
        let authorization = format!("Authorization: Bearer {key}\r\n");
        let answer = server.exchange(request("GET", &format!("/proxy/{group}/v1/models"), &authorization, b"")).await;
        assert_eq!(answer.status, expected, "{group} {key}");
    }
}

/// proxy.md 36, 67
#[tokio::test]
async fn a_refusal_has_the_shape_that_the_channels_sdk_expects() {
    let server = TempServer::start().await;
    server.change_settings(json!({ "proxy_keys": GLOBAL_KEY })).await;
    for channel in ["openai", "openai-response", "gemini", "anthropic"] {
        server.create_group(channel, channel, "http://unused.invalid", json!({})).await;
    }
    let openai = |status: u16| match status {
        401 => json!({ "type": "authentication_error", "code": "unauthorized" }),
        404 => json!({ "type": "invalid_request_error", "code": "not_found" }),
        _ => json!({ "type": "server_error", "code": "no_keys_available" }),
    };
    let gemini = |status: u16| match status {
        401 => json!({ "code": 401, "status": "UNAUTHENTICATED" }),
        404 => json!({ "code": 404, "status": "NOT_FOUND" }),
        _ => json!({ "code": 503, "status": "UNAVAILABLE" }),
    };
    let anthropic = |status: u16| match status {
        401 => json!({ "type": "authentication_error" }),
        404 => json!({ "type": "not_found_error" }),
        _ => json!({ "type": "overloaded_error" }),
    };
    let forms: [(&str, &str, &str, &dyn Fn(u16) -> Value); 5] = [
        ("openai", "/v1/chat/completions", "Authorization: Bearer KEY\r\n", &openai),
        ("openai-response", "/v1/responses", "Authorization: Bearer KEY\r\n", &openai),
        ("gemini", "/v1beta/models/m:generateContent", "x-goog-api-key: KEY\r\n", &gemini),
        ("gemini", "/v1beta/openai/chat/completions", "Authorization: Bearer KEY\r\n", &openai),
        ("anthropic", "/v1/messages", "anthropic-version: 2023-06-01\r\nx-api-key: KEY\r\n", &anthropic),
    ];
    for (group, path, headers, shape) in forms {
        for (group, key, status, code) in [
            (group, "wrong", 401, "UNAUTHORIZED"),
            // Only who may use every group learns which groups there are.
            ("nope", "wrong", 401, "UNAUTHORIZED"),
            ("nope", GLOBAL_KEY, 404, "NOT_FOUND"),
            (group, GLOBAL_KEY, 503, "NO_KEYS_AVAILABLE"),
        ] {
            let headers = format!("{}Content-Type: application/json\r\n", headers.replace("KEY", key));
            let target = format!("/proxy/{group}{path}");
            let answer = server.exchange(request("POST", &target, &headers, b"{\"model\":\"m\"}")).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["code"]), (status, &json!(code)), "{target}: {body}");
            assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
            assert_eq!(body["message"], body["error"]["message"], "{body}");
            for (member, expected) in shape(status).as_object().expect("an object") {
                assert_eq!(&body["error"][member], expected, "{target} {member}: {body}");
            }
            let request_id = answer.header("x-gpt-load-request-id");
            assert_eq!(body["request_id"].as_str(), request_id, "{body}");
            assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
            if path == "/v1/messages" {
                assert_eq!(body["type"], "error");
            }
        }
    }
}

/// proxy.md 64
#[tokio::test]
async fn a_credential_in_a_query_is_written_down_nowhere() {
    const WRONG: &str = "wrong-but-somebodys-0123456789";
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("LOG_LEVEL", "debug").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({ "proxy_keys": "sk-secret-client" })).await;
    server.add_keys(group, &["sk-up"]).await;
    let management = TempServer::AUTH_KEY;
    for (target, expected) in [
        ("/proxy/g/v1/models?a=1&key=sk-secret-client&b=2".to_owned(), 200),
        ("/proxy/g/v1/models?%6bey=sk-secret-client".to_owned(), 200),
        (format!("/proxy/g/v1/models?key={WRONG}"), 401),
        (format!("/proxy/nope/v1/models?key={WRONG}"), 401),
        ("/proxy/g/../x?key=sk-secret-client".to_owned(), 400),
        ("/proxy/g/api/integration/info?key=sk-secret-client".to_owned(), 200),
        ("/api/integration/info?key=sk-secret-client".to_owned(), 200),
        (format!("/api/integration/info?key={WRONG}"), 401),
        (format!("/api/groups?key={management}"), 200),
        (format!("/api/groups?key={WRONG}"), 401),
        (format!("/api/nothing?key={management}"), 404),
        (format!("/nothing?key={management}"), 404),
    ] {
        assert_eq!(server.exchange(request("GET", &target, "", b"")).await.status, expected, "{target}");
    }
    let rows = records(&server, 5).await;
    assert_eq!(rows[0]["request_path"], "/proxy/g/v1/models?a=1&b=2");
    let everything = stored(&server, "SELECT json_group_array(request_path || upstream_addr) FROM request_logs").await;
    let log = server.log();
    assert!(log.contains("/api/integration/info"), "the log shows requests: {log}");
    for secret in ["sk-secret-client", WRONG, management] {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!json!(rows).to_string().contains(secret), "{secret} in {rows:#?}");
        assert!(!json!(everything).to_string().contains(secret));
    }
}

/// proxy.md 68: a wrong key is 401 here as well.
#[tokio::test]
async fn integration_info_shows_what_a_key_opens_in_both_forms() {
    let server = TempServer::start().await;
    let own = json!({ "proxy_keys": "sk-one", "display_name": "One", "sort": 2 });
    server.create_group("one", "openai", "http://unused.invalid", own).await;
    let custom = json!({ "proxy_keys": "sk-two,sk-both", "sort": 1, "validation_endpoint": "/v1/embeddings" });
    server.create_group("two", "openai", "http://unused.invalid", custom).await;
    let other = json!({ "proxy_keys": "sk-both", "sort": 3, "validation_endpoint": "/v1/own" });
    let member = server.create_group("three", "anthropic", "http://unused.invalid", other).await;
    server.create_aggregate("all", "anthropic", &[(member, 1)]).await;

    let get = async |target: &str| server.exchange(request("GET", target, "Accept-Language: en-US\r\n", b"")).await;
    let both = get("/api/integration/info?key=sk-both").await.json();
    assert_eq!(
        both,
        json!({ "code": 0, "message": "Success", "data": [
            { "name": "two", "display_name": "", "channel_type": "custom", "path": "/proxy/two/v1/embeddings" },
            { "name": "three", "display_name": "", "channel_type": "anthropic", "path": "/proxy/three" },
        ] })
    );
    let aggregate = get(&format!("/api/integration/info?key={}", TempServer::CLIENT_KEY)).await.json();
    assert_eq!(
        aggregate["data"],
        json!([{ "name": "all", "display_name": "", "channel_type": "anthropic", "path": "/proxy/all" }])
    );
    for (target, data) in [
        (
            "/proxy/one/api/integration/info?key=sk-one",
            json!([{ "name": "one", "display_name": "One", "channel_type": "openai", "path": "" }]),
        ),
        (
            "/proxy/two/api/integration/info?key=sk-two",
            json!([{ "name": "two", "display_name": "", "channel_type": "custom", "path": "/v1/embeddings" }]),
        ),
    ] {
        for method in ["GET", "POST"] {
            let answer = server.exchange(request(method, target, "", b"")).await;
            assert_eq!((answer.status, &answer.json()["data"]), (200, &data), "{method} {target}");
        }
    }
    for (target, status, code, message) in [
        ("/api/integration/info", 400, "VALIDATION_FAILED", "Proxy key is required"),
        ("/api/integration/info?key=", 400, "VALIDATION_FAILED", "Proxy key is required"),
        ("/api/integration/info?key=no", 401, "UNAUTHORIZED", "Invalid or unauthorized proxy key"),
        ("/proxy/one/api/integration/info?key=sk-two", 401, "UNAUTHORIZED", "Invalid or unauthorized proxy key"),
        ("/proxy/nope/api/integration/info?key=sk-two", 404, "NOT_FOUND", "Group not found"),
    ] {
        let answer = get(target).await;
        assert_eq!((answer.status, answer.json()), (status, json!({ "code": code, "message": message })), "{target}");
    }
}
