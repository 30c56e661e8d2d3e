//! The console's files as a browser gets them from the binary.

use serde_json::json;
use testkit::{MockUpstream, Play, RawConnection, RawResponse, TempServer};

use crate::support::{CHAT, ask, post, question, request};

const AS_BROWSER: &str = "Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n";

async fn get(server: &TempServer, target: &str, headers: &str) -> RawResponse {
    server.exchange(request("GET", target, headers, b"")).await
}

/// A page whose text can be read.
async fn page(server: &TempServer, target: &str) -> RawResponse {
    get(server, target, "Accept: text/html\r\n").await
}

/// What a page names between these and a quotation mark.
fn named<'p>(page: &'p str, before: &str) -> Vec<&'p str> {
    page.split(before).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

/// Fails where the binary was built without it: nobody is to be given such a one.
#[tokio::test]
async fn the_binary_has_its_console_in_it() {
    let server = TempServer::start().await;
    let page = page(&server, "/").await;
    assert_eq!(page.status, 200, "this binary was built without the console; `make console`, then build it again");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("script-src 'self'")));
    let files: Vec<_> = named(page.text(), "src=\"").into_iter().chain(named(page.text(), "href=\"")).collect();
    assert!(files.iter().any(|file| file.starts_with("/assets/") && file.contains(".js")), "{files:?}");
    for file in files {
        let plain = get(&server, file, "").await;
        let packed = get(&server, file, AS_BROWSER).await;
        assert_eq!((plain.status, packed.status), (200, 200), "{file}");
        if let Some(path) = file.strip_prefix("/assets/") {
            // Of a small file the headers weigh most.
            assert!(plain.body.len() < 1024 || packed.header("content-encoding") == Some("br"), "{path}");
            assert!(packed.body.len() <= plain.body.len(), "{path}");
            assert!(packed.header("cache-control").is_some_and(|kept| kept.contains("immutable")), "{path}");
        } else {
            let known = format!("If-None-Match: {}\r\n", plain.header("etag").unwrap());
            assert_eq!(get(&server, file, &known).await.status, 304, "{file}");
        }
    }
}

#[tokio::test]
async fn only_what_a_person_opens_is_the_page() {
    let server = TempServer::start().await;
    let whole = page(&server, "/").await;
    assert_eq!(page(&server, "/groups/1/keys?status=invalid").await.body, whole.body);
    let head = server.exchange(request("HEAD", "/", "Connection: close\r\n", b"")).await;
    assert_eq!((head.status, head.header("content-length")), (whole.status, whole.header("content-length")));

    let others = [
        ("GET", "/api/nothing", 404, "Not Found"),
        ("GET", "/proxy", 404, "Not Found"),
        ("PATCH", "/api/settings", 405, "Method Not Allowed"),
        ("GET", "/health/nothing", 404, "nothing at this address"),
        ("POST", "/", 404, "nothing at this address"),
        ("GET", "/assets/none.js", 404, "no such file"),
    ];
    for (method, target, status, text) in others {
        let answer = server.exchange(request(method, target, "Accept: text/html\r\n", b"")).await;
        assert_eq!(answer.status, status, "{method} {target}");
        assert!(answer.text().contains(text), "{method} {target}: {}", answer.text());
    }
    let lost = get(&server, "/v1/models", "Accept: */*\r\n").await;
    assert_eq!((lost.status, lost.text()), (404, "GPT-Load: there is nothing at this address\n"));
}

#[tokio::test]
async fn the_console_comes_while_both_planes_are_full() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("MAX_CONCURRENT_REQUESTS", "1").start().await;
    let group = server.create_group("g", "openai", &mock.base_url(), json!({})).await;
    server.add_keys(group, &["sk-a"]).await;
    mock.play_any_always(Play::hang());
    let mut stream = RawConnection::open(server.address()).await;
    stream.send(post(&format!("/proxy/g{CHAT}"), "", question().to_string().as_bytes())).await;
    mock.arrived(1).await;
    assert_eq!(ask(&server, "g").await.status, 503);

    // Log-ins that never end take what there is for requests without a credential.
    let mut logins = Vec::new();
    while get(&server, "/api/docs", "").await.status == 200 {
        let mut login = RawConnection::open(server.address()).await;
        login.send("POST /api/auth/login HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n").await;
        logins.push(login);
        assert!(logins.len() < 1000, "there is no limit");
    }
    assert_eq!(get(&server, "/api/docs", "").await.status, 503);
    let expected = page(&server, "/").await;
    assert_eq!(
        expected.header("content-type").map(|found| found.starts_with("text/html")),
        Some(expected.status == 200)
    );
    assert_ne!(expected.status, 503);
    for _ in 0..20 {
        assert_eq!(page(&server, "/groups").await.body, expected.body);
    }
}
