//! Which groups a proxy key opens.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use super::{House, Reply};

async fn ask(house: &House, method: Method, target: &str) -> Reply {
    let request = Request::builder().method(method).uri(target).header("accept-language", "en");
    house.send(request.body(Body::empty()).unwrap()).await
}

async fn house() -> House {
    let house = House::open().await;
    house.put("/api/settings", json!({"proxy_keys": "sk-global"})).await;
    house.group("team", json!({"proxy_keys": "sk-team, sk-both", "sort": 2, "display_name": "Team"})).await;
    let custom = json!({"proxy_keys": "sk-both", "sort": 1, "validation_endpoint": "/v1/rerank"});
    house.group("custom", custom).await;
    house.group("g", json!({"channel_type": "gemini", "validation_endpoint": "/v1/x", "sort": 3})).await;
    house
}

#[tokio::test]
async fn a_key_sees_the_groups_that_it_opens() {
    let house = house().await;
    let names = async |key: &str| -> Vec<Value> {
        let data = ask(&house, Method::GET, &format!("/api/integration/info?key={key}")).await.data();
        data.as_array().unwrap().iter().map(|group| group["name"].clone()).collect()
    };
    assert_eq!(names("sk-global").await, ["custom", "team", "g"]);
    assert_eq!(names("sk-both").await, ["custom", "team"]);
    let reply = ask(&house, Method::GET, "/api/integration/info?key=sk-both").await;
    reply.is(
        200,
        json!({"code": 0, "message": "Success", "data": [
            {"name": "custom", "display_name": "", "channel_type": "custom", "path": "/proxy/custom/v1/rerank"},
            {"name": "team", "display_name": "Team", "channel_type": "openai", "path": "/proxy/team"},
        ]}),
    );
}

#[tokio::test]
async fn below_a_group_only_that_group_is_shown() {
    let house = house().await;
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let reply = ask(&house, method, "/proxy/team/api/integration/info?key=sk-team").await;
        reply.is(
            200,
            json!({"code": 0, "message": "操作成功", "data": [
                {"name": "team", "display_name": "Team", "channel_type": "openai", "path": ""},
            ]}),
        );
    }
    let data = ask(&house, Method::GET, "/proxy/custom/api/integration/info?key=sk-global").await.data();
    assert_eq!(data[0]["path"], "/v1/rerank");
    let data = ask(&house, Method::GET, "/proxy/g/api/integration/info?key=sk-global").await.data();
    assert_eq!((&data[0]["channel_type"], &data[0]["path"]), (&json!("gemini"), &json!("")));
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused() {
    let house = house().await;
    for target in ["/api/integration/info", "/proxy/team/api/integration/info"] {
        ask(&house, Method::GET, target).await.refuses(400, "VALIDATION_FAILED", "Proxy key is required");
        let reply = ask(&house, Method::GET, &format!("{target}?key=sk-wrong")).await;
        reply.refuses(401, "UNAUTHORIZED", "Invalid or unauthorized proxy key");
    }
    let reply = ask(&house, Method::GET, "/proxy/none/api/integration/info?key=sk-global").await;
    reply.refuses(404, "NOT_FOUND", "Group not found");
}
