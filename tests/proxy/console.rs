//! What the operator sees of it, and who is taken for the operator.

use serde_json::{Value, json};
use testkit::{Ending, MockUpstream, Play, RawConnection, TempServer};

use crate::support::{CHAT, ask, eventually_stored, post, question, request, stored};

/// The same requests, counted three times: in the log, in the hours of a group, on the first page.
#[tokio::test]
async fn the_figures_of_the_console_equal_the_log() {
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("TZ", "Asia/Kolkata").start().await;
    let no_threshold = json!({ "config": { "blacklist_threshold": 0 } });
    let group = server.create_group("g", "openai", &mock.base_url(), no_threshold).await;
    server.add_keys(group, &["sk-a", "sk-b"]).await;
    let all = server.create_aggregate("all", "openai", &[(group, 1)]).await;
    for name in ["g", "all", "g", "all", "g"] {
        assert_eq!(ask(&server, name).await.status, 200);
    }
    mock.play_any([Play::status(404)]);
    assert_eq!(ask(&server, "all").await.status, 404);
    // Another key is asked before the first one is believed to be bad.
    mock.play_any([Play::status(401)]);
    assert_eq!(ask(&server, "all").await.status, 200);
    mock.play_any([Play::usual().then(Ending::HangAfter(2))]);
    let mut stream = question();
    stream["stream"] = json!(true);
    let mut client = RawConnection::open(server.address()).await;
    client.send(post(&format!("/proxy/g{CHAT}"), "", stream.to_string().as_bytes())).await;
    client.read_until(b"data: ").await;
    drop(client);
    assert_eq!(server.proxied("POST", "/proxy/nothing/v1/x", Some(&json!({}))).await.status, 401);

    // Successes, failures, retries, requests whose client left; those to no group are in no group's figures.
    let of_rows = "SELECT json_array(sum(request_type = 'final' AND is_success AND status_code <> 499), \
        sum(request_type = 'final' AND NOT is_success AND status_code <> 499), sum(request_type = 'retry'), \
        sum(status_code = 499)) FROM request_logs WHERE group_id > 0";
    let rows = eventually_stored(&server, of_rows, |rows| rows[0][3] == 1).await;
    assert_eq!(rows[0], json!([6, 1, 1, 1]));
    let window = |total: i64, failed: i64, retried: i64, aborted: i64, rate: f64| {
        json!({
            "total_requests": total, "failed_requests": failed, "failure_rate": rate,
            "retried_requests": retried, "aborted_requests": aborted,
        })
    };
    let figures = async |id: i64| server.managed("GET", &format!("/api/groups/{id}/stats"), None).await;
    let of_group = figures(group).await;
    assert_eq!(
        of_group["key_stats"],
        json!({ "total_keys": 2, "active_keys": 2, "invalid_keys": 0, "disabled_keys": 0, "resting_keys": 0 })
    );
    for span in ["stats_24_hour", "stats_7_day", "stats_30_day"] {
        assert_eq!(of_group[span], window(7, 1, 1, 1, 0.1429), "{span}");
    }
    assert_eq!(figures(all).await["stats_24_hour"], window(4, 1, 1, 0, 0.25));

    let page = server.managed("GET", "/api/dashboard/stats", None).await;
    assert_eq!(page["request_count"], json!({ "value": 7, "trend": 100, "trend_is_growth": true }));
    assert_eq!(page["error_rate"]["value"].as_f64(), Some(1.0 / 7.0 * 100.0));
    let logged = stored(&server, "SELECT json(count(*)) FROM request_logs WHERE request_type = 'final'").await;
    let rate = page["rpm"]["value"].as_f64().unwrap_or_default();
    assert!((rate - logged[0].as_f64().unwrap_or_default() / 10.0).abs() < 1e-9, "{rate} {logged:?}");

    let chart = server.managed("GET", "/api/dashboard/chart", None).await;
    let labels = chart["labels"].as_array().cloned().unwrap_or_default();
    assert_eq!(labels.len(), 24);
    assert!(labels.iter().all(|label| label.as_str().is_some_and(|text| text.ends_with(":30:00+05:30"))), "{labels:?}");
    // An hour may have begun meanwhile.
    let total = |dataset: usize| -> i64 {
        let hours = chart["datasets"][dataset]["data"].as_array().cloned().unwrap_or_default();
        hours[22..].iter().filter_map(Value::as_i64).sum()
    };
    assert_eq!([total(0), total(1)], [6, 1]);
}

async fn guess(server: &TempServer, from: &str, key: &str) -> u16 {
    let headers = format!("X-Forwarded-For: {from}\r\nX-Api-Key: {key}\r\n");
    server.exchange(request("GET", "/api/channel-types", &headers, b"")).await.status
}

#[tokio::test]
async fn wrong_keys_count_for_the_client_that_a_trusted_proxy_names() {
    let server = TempServer::builder().env("TRUSTED_PROXIES", "127.0.0.1").start().await;
    for number in 0..10 {
        assert_eq!(guess(&server, "203.0.113.9", &format!("wrong-{number}")).await, 401);
    }
    assert_eq!(guess(&server, "203.0.113.9", TempServer::AUTH_KEY).await, 429);
    assert_eq!(guess(&server, "203.0.113.10", TempServer::AUTH_KEY).await, 200);
    assert!(server.log().contains("from 203.0.113.9"), "{}", server.log());
}

#[tokio::test]
async fn a_forged_forwarding_header_does_not_help_a_guesser() {
    let server = TempServer::start().await;
    for number in 0..10 {
        assert_eq!(guess(&server, &format!("203.0.113.{number}"), &format!("wrong-{number}")).await, 401);
    }
    assert_eq!(guess(&server, "203.0.113.99", "wrong").await, 429);
}
