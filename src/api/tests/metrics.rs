//! GET /metrics: who may read it.

use axum::body::Body;
use http::{Method, Request};

use super::{House, MANAGEMENT_KEY, METRICS_TOKEN};

#[tokio::test]
async fn the_token_and_the_management_key_open_the_metrics() {
    let house = House::open().await;
    let [token, key] = [METRICS_TOKEN, MANAGEMENT_KEY].map(|secret| format!("Bearer {secret}"));
    let by_query = format!("/metrics?key={MANAGEMENT_KEY}");
    let opening = [
        ("/metrics", vec![("authorization", &*token)]),
        ("/metrics", vec![("authorization", &*key)]),
        ("/metrics", vec![("x-api-key", MANAGEMENT_KEY)]),
        (&*by_query, vec![]),
        // Whoever has the token needs no management key, also beside a wrong one.
        ("/metrics?key=wrong", vec![("authorization", &*token)]),
    ];
    for (target, headers) in opening {
        let mut request = Request::get(target);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let reply = house.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 200, "{target} {headers:?}: {}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert!(reply.text.contains("gpt_load_build_info{") && reply.text.ends_with("# EOF\n"), "{}", reply.text);
    }
}

#[tokio::test]
async fn nobody_else_reads_them_and_the_token_opens_nothing_else() {
    let house = House::open().await;
    let scheme = format!("bearer {METRICS_TOKEN}");
    for header in ["Bearer wrong", "Bearer ", "Basic eDp5", &scheme, "Bearer scrape-me "] {
        let request = Request::get("/metrics").header("authorization", header).header("accept-language", "en");
        let reply = house.send(request.body(Body::empty()).unwrap()).await;
        reply.is(401, serde_json::json!({"code": "UNAUTHORIZED", "message": "Authentication failed"}));
    }
    let reply = house.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 401);
    let elsewhere = Request::get("/api/groups").header("authorization", format!("Bearer {METRICS_TOKEN}"));
    assert_eq!(house.send(elsewhere.body(Body::empty()).unwrap()).await.status, 401);
    assert_eq!(house.ask(Method::POST, "/metrics", Body::empty()).await.status, 405);
    assert_eq!(house.ask(Method::HEAD, "/metrics", Body::empty()).await.status, 200);
}

/// Whoever guesses the management key here is locked out like elsewhere.
#[tokio::test]
async fn wrong_keys_are_counted_at_the_metrics_too() {
    let house = House::open().await;
    let scrape = |key: &str| house.send(Request::get(format!("/metrics?key={key}")).body(Body::empty()).unwrap());
    for number in 0..10 {
        scrape(&format!("wrong{number}")).await.refuses(401, "UNAUTHORIZED", "Authentication failed");
    }
    let reply = scrape(MANAGEMENT_KEY).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (429, Some("TOO_MANY_FAILED_LOGINS")));
}

fn with_token(target: &str, token: &str) -> Request<Body> {
    Request::get(target).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn an_old_token_of_a_scraper_locks_nobody_out() {
    let house = House::open().await;
    for _ in 0..50 {
        assert_eq!(house.send(with_token("/metrics", "old")).await.status, 401);
    }
    assert_eq!(house.send(with_token("/metrics", METRICS_TOKEN)).await.status, 200);
    assert_eq!(house.send(with_token("/metrics", MANAGEMENT_KEY)).await.status, 200);
}

#[tokio::test]
async fn tokens_cannot_be_guessed_for_longer_than_keys() {
    // A wrong key that is repeated beside them hides nothing.
    for target in ["/metrics", "/metrics?key=wrong"] {
        let house = House::open().await;
        let mut answers = Vec::new();
        for number in 0..10 {
            answers.push(house.send(with_token(target, &format!("guess {number}"))).await.status);
        }
        assert!(answers[..8].iter().all(|status| *status == 401), "{answers:?}");
        let reply = house.send(with_token(target, METRICS_TOKEN)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (429, Some("TOO_MANY_FAILED_LOGINS")), "{target}");
    }
}
