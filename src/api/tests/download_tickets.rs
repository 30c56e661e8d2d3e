//! Links to downloads that work without the management key.

use serde_json::json;

use super::House;

#[tokio::test]
async fn a_ticket_is_made_for_a_download() {
    let house = House::open().await;
    let reply = house.post("/api/download-tickets", json!({"path": "/api/keys/export?group_id=1"})).await;
    let data = reply.data();
    let ticket = data["ticket"].as_str().unwrap();
    let url = format!("/api/keys/export?group_id=1&ticket={ticket}");
    assert_eq!(data, json!({"url": url, "ticket": ticket, "expires_in_seconds": 60}));
}

#[tokio::test]
async fn nothing_but_a_download_gets_a_ticket() {
    let house = House::open().await;
    for path in ["/api/groups", "/api/keys/export?key=sk-1", "https://example.com/api/keys/export", "x"] {
        house.post("/api/download-tickets", json!({"path": path})).await.refuses(
            400,
            "VALIDATION_FAILED",
            "The field path must be one of these downloads with its filters, without a key: \
             /api/keys/export, /api/logs/export",
        );
    }
    for body in [json!({}), json!({"path": ""}), json!({"path": 1})] {
        house.post("/api/download-tickets", body).await.refuses_naming(400, "INVALID_JSON", "path");
    }
}
