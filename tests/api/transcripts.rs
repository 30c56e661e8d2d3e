//! Every route of the management API, in conversations that an operator could have.

use serde_json::{Value, json};
use testkit::{Play, TempServer};

use crate::transcript::Conversation;

fn openai(conversation: &Conversation, name: &str, more: Value) -> Value {
    let mut group = json!({
        "name": name, "channel_type": "openai", "test_model": "mock-small",
        "upstreams": [{"url": conversation.upstream.base_url(), "weight": 1}],
    });
    for (member, value) in more.as_object().cloned().unwrap_or_default() {
        group[member] = value;
    }
    group
}

#[tokio::test]
async fn health_and_access() {
    let mut conversation = Conversation::begin("access").await;
    let bearer = format!("Authorization: Bearer {}", TempServer::AUTH_KEY);
    let english = "Accept-Language: en-US";
    conversation.remark("Open to everyone");
    conversation.say(&["GET /health HTTP/1.1"], "").await;
    conversation.say(&["GET /ready HTTP/1.1"], "").await;
    conversation.remark("Signing in");
    let key = format!(r#"{{"auth_key": "{}"}}"#, TempServer::AUTH_KEY);
    conversation.say(&["POST /api/auth/login HTTP/1.1", english], &key).await;
    conversation.say(&["POST /api/auth/login HTTP/1.1", english], r#"{"auth_key": "sk-guessed"}"#).await;
    conversation.say(&["POST /api/auth/login HTTP/1.1", english], "{}").await;
    conversation.remark("Every place for the key; the first one decides");
    conversation.say(&[&format!("GET /api/channel-types?key={} HTTP/1.1", TempServer::AUTH_KEY), english], "").await;
    conversation.say(&["GET /api/channel-types HTTP/1.1", &bearer, "Accept-Language: ja"], "").await;
    conversation.say(&["GET /api/channel-types HTTP/1.1", &format!("X-Api-Key: {}", TempServer::AUTH_KEY)], "").await;
    conversation
        .say(&["GET /api/channel-types HTTP/1.1", &format!("X-Goog-Api-Key: {}", TempServer::AUTH_KEY), english], "")
        .await;
    conversation.say(&["GET /api/channel-types?key=wrong HTTP/1.1", &bearer, english], "").await;
    conversation.say(&["GET /api/channel-types HTTP/1.1", english], "").await;
    conversation.remark("What is not there");
    conversation.say(&["GET /api/nothing HTTP/1.1"], "").await;
    conversation.say(&["POST /health HTTP/1.1"], "").await;
    conversation.say(&["GET /api/groups/?a=1 HTTP/1.1", &bearer], "").await;
    conversation.say(&["PUT /api/settings/ HTTP/1.1", &bearer], "{}").await;
    conversation.end();
}

#[tokio::test]
async fn groups_from_the_first_to_the_last() {
    let mut conversation = Conversation::begin("groups").await;
    conversation.get("/api/groups").await;
    let full = json!({
        "display_name": "Team", "description": "of Ann", "sort": 20, "proxy_keys": "sk-a, sk-b",
        "validation_endpoint": "/v1/models?x=1", "param_overrides": {"seed": 12_345_678_901_234_567_890_u64},
        "config": {"max_retries": 2, "proxy_url": "", "enable_request_body_logging": true, "connect_timeout": null},
        "header_rules": [{"key": "x-trace", "value": "${GROUP_NAME}", "action": "set"}, {"key": " ", "value": "", "action": ""}],
        "model_redirect_rules": {"gpt-5": "gpt-5-2025-08-07"}, "model_redirect_strict": true,
    });
    let group = openai(&conversation, "team", full);
    conversation.post("/api/groups", group).await;
    let group = openai(&conversation, "plain", json!({}));
    conversation.post("/api/groups", group).await;
    conversation.get("/api/groups").await;
    conversation.get("/api/groups/list").await;
    conversation.get("/api/groups/config-options").await;
    conversation.get("/api/groups/1/effective-config").await;
    conversation.remark("Changes");
    conversation
        .put("/api/groups/1", json!({"display_name": "", "config": {}, "sort": null, "group_type": "aggregate"}))
        .await;
    conversation.put("/api/groups/reorder", json!({"items": [{"id": 1, "sort": 10}, {"id": 2, "sort": 0}]})).await;
    conversation.get("/api/groups/1/stats").await;
    conversation.remark("Refusals");
    let group = openai(&conversation, "team", json!({}));
    conversation.post("/api/groups", group).await;
    for (field, value) in [
        ("name", json!("Team")),
        ("channel_type", json!("azure")),
        ("group_type", json!("both")),
        ("test_model", json!(" ")),
        ("upstreams", json!([])),
        ("validation_endpoint", json!("v1")),
        ("config", json!({"max_retries": 1.5})),
        ("header_rules", json!([{"key": "a", "action": "set"}, {"key": "A", "action": "set"}])),
        ("model_redirect_rules", json!({"": "x"})),
        ("sort", json!(1.0)),
        ("param_overrides", json!([])),
    ] {
        let group = openai(&conversation, "next", json!({field: value}));
        conversation.post("/api/groups", group).await;
    }
    conversation.put("/api/groups/9", json!({})).await;
    conversation.put("/api/groups/x", json!({})).await;
    conversation.put("/api/groups/reorder", json!({"items": [{"id": 9, "sort": 1}]})).await;
    conversation.remark("The end");
    conversation.delete("/api/groups/1").await;
    conversation.delete("/api/groups/1").await;
    conversation.end();
}

#[tokio::test]
async fn a_copy_takes_the_keys_along() {
    let mut conversation = Conversation::begin("copy").await;
    let group = openai(&conversation, "team", json!({"display_name": "Team"}));
    conversation.post("/api/groups", group).await;
    conversation.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": "[\"sk 1\", \"sk-2\"]"})).await;
    conversation.post("/api/groups/1/copy", json!({"copy_keys": "some"})).await;
    conversation.post("/api/groups/1/copy", json!({})).await;
    conversation.server.eventually("/api/tasks/status", |status| status["is_running"] == false).await;
    conversation.get("/api/tasks/status").await;
    conversation.get("/api/keys?group_id=2").await;
    conversation.post("/api/groups/1/copy", json!({"copy_keys": "none"})).await;
    conversation.post("/api/groups/9/copy", json!({})).await;
    conversation.end();
}

#[tokio::test]
async fn members_of_an_aggregate() {
    let mut conversation = Conversation::begin("members").await;
    for name in ["one", "two"] {
        let group = openai(&conversation, name, json!({}));
        conversation.post("/api/groups", group).await;
    }
    conversation.post("/api/groups", json!({"name": "all", "group_type": "aggregate", "channel_type": "openai"})).await;
    let members = json!({"sub_groups": [{"group_id": 1, "weight": 10}, {"group_id": 2}]});
    conversation.post("/api/groups/3/sub-groups", members.clone()).await;
    conversation.get("/api/groups/3/sub-groups").await;
    conversation.get("/api/groups/1/parent-aggregate-groups").await;
    conversation.put("/api/groups/3/sub-groups/2/weight", json!({"weight": 5})).await;
    conversation.delete("/api/groups/3/sub-groups/1").await;
    conversation.remark("Refusals");
    conversation.post("/api/groups/3/sub-groups", members).await;
    conversation.post("/api/groups/3/sub-groups", json!({"sub_groups": [{"group_id": 3}]})).await;
    conversation.post("/api/groups/1/sub-groups", json!({"sub_groups": [{"group_id": 2}]})).await;
    conversation.put("/api/groups/3/sub-groups/2/weight", json!({"weight": 1001})).await;
    conversation.put("/api/groups/3/sub-groups/1/weight", json!({"weight": 1})).await;
    conversation.delete("/api/groups/3/sub-groups/x").await;
    conversation.get("/api/groups/9/sub-groups").await;
    conversation.put("/api/groups/2", json!({"channel_type": "gemini"})).await;
    conversation.end();
}

#[tokio::test]
async fn keys_one_by_one() {
    let mut conversation = Conversation::begin("keys").await;
    let group = openai(&conversation, "team", json!({"config": {"blacklist_threshold": 1}}));
    conversation.post("/api/groups", group).await;
    conversation.upstream.play_always("sk-bad", Play::status(401).body(r#"{"error": {"message": "No such key"}}"#));
    conversation.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": "sk-1, sk-bad;sk-1\nsk-3"})).await;
    conversation.post("/api/keys/test-multiple", json!({"group_id": 1, "keys_text": "sk-bad sk-3 sk-9"})).await;
    conversation.get("/api/keys?group_id=1&page_size=2").await;
    conversation.get("/api/keys?group_id=1&status=invalid").await;
    conversation.get("/api/keys?group_id=1&key_value=sk-3").await;
    conversation.get("/api/keys?group_id=1&search=SK-b&sort=id&order=asc").await;
    conversation.put("/api/keys/3/notes", json!({"notes": "of Ann"})).await;
    conversation.get("/api/keys/export?group_id=1&status=active").await;
    conversation.post("/api/keys/restore-multiple", json!({"group_id": 1, "keys_text": "sk-bad sk-1"})).await;
    conversation.post("/api/keys/restore-all-invalid", json!({"group_id": 1})).await;
    conversation.post("/api/keys/delete-multiple", json!({"group_id": 1, "keys_text": "sk-1 sk-9"})).await;
    conversation.post("/api/keys/clear-all-invalid", json!({"group_id": 1})).await;
    conversation.post("/api/keys/clear-all", json!({"group_id": 1})).await;
    conversation.remark("Refusals");
    conversation.get("/api/keys").await;
    conversation.get("/api/keys?group_id=1&status=odd").await;
    conversation.get("/api/keys?group_id=1&sort=odd").await;
    conversation.get("/api/keys/export?group_id=2").await;
    conversation.post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": ",;"})).await;
    conversation.post("/api/keys/add-multiple", json!({"keys_text": "sk-1"})).await;
    conversation.put("/api/keys/1/notes", json!({"notes": "x".repeat(256)})).await;
    conversation.end();
}

#[tokio::test]
async fn what_the_console_asks_beside() {
    let mut conversation = Conversation::begin("console").await;
    let bearer = format!("Authorization: Bearer {}", TempServer::AUTH_KEY);
    let english = "Accept-Language: en-US";
    conversation.remark("Sessions");
    let key = format!(r#"{{"auth_key": "{}"}}"#, TempServer::AUTH_KEY);
    conversation.say(&["POST /api/session HTTP/1.1", english], &key).await;
    conversation.say(&["POST /api/session HTTP/1.1", english], r#"{"auth_key": "sk-guessed"}"#).await;
    conversation.say(&["GET /api/session HTTP/1.1", &bearer, english], "").await;
    conversation.say(&["DELETE /api/session HTTP/1.1", english], "").await;
    conversation.remark("Keys");
    for name in ["team", "other"] {
        let group = openai(&conversation, name, json!({}));
        conversation.post("/api/groups", group).await;
    }
    let keys = json!({"group_id": 1, "keys_text": "sk-of-the-team-0001 sk-of-the-team-0002 sk-of-the-team-0001"});
    conversation.post("/api/keys/import-preview", keys.clone()).await;
    conversation.post("/api/keys/add-multiple", keys).await;
    conversation
        .upstream
        .play_always("sk-of-the-team-0002", Play::status(401).body(r#"{"error": {"message": "No such key"}}"#));
    conversation.post("/api/keys/2/test", json!({})).await;
    conversation.get("/api/keys/2").await;
    conversation.post("/api/keys/1/reveal", json!({})).await;
    conversation.remark("Many at once");
    let disable = |more: Value| {
        let mut body = json!({"group_id": 1, "action": "disable", "filter": {"status": "active"}});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        body
    };
    conversation.post("/api/keys/bulk", disable(json!({"dry_run": true}))).await;
    conversation.post("/api/keys/bulk", disable(json!({"action": "burn"}))).await;
    conversation.post("/api/keys/bulk", disable(json!({}))).await;
    conversation.server.eventually("/api/tasks/status", |status| status["is_running"] == false).await;
    conversation.get("/api/keys?group_id=1&status=disabled&masked=true").await;
    conversation.remark("Everything by a part");
    conversation.get("/api/search?q=team").await;
    conversation.remark("Nothing of others is undone");
    conversation
        .put("/api/groups/1", json!({"description": "mine", "expected_updated_at": "2026-11-25T10:00:00Z"}))
        .await;
    conversation
        .say(&["PUT /api/settings HTTP/1.1", &bearer, english, "If-Match: \"0\""], r#"{"max_retries": 9}"#)
        .await;
    conversation.end();
}

#[tokio::test]
async fn tasks_of_keys() {
    let mut conversation = Conversation::begin("tasks").await;
    let group = openai(&conversation, "team", json!({"config": {"blacklist_threshold": 1}}));
    conversation.post("/api/groups", group).await;
    conversation.upstream.play_always("sk-bad", Play::status(401).body(r#"{"error": {"message": "No such key"}}"#));
    conversation.get("/api/tasks/status").await;
    let done = async |conversation: &mut Conversation| {
        conversation.server.eventually("/api/tasks/status", |status| status["is_running"] == false).await;
        conversation.get("/api/tasks/status").await
    };
    let mut ids = Vec::new();
    for (route, body) in [
        ("add-async", json!({"group_id": 1, "keys_text": "sk-1 sk-bad sk-1 sk-3"})),
        ("validate-group", json!({"group_id": 1})),
        ("delete-async", json!({"group_id": 1, "keys_text": "sk-1 sk-9"})),
    ] {
        let started = conversation.post(&format!("/api/keys/{route}"), body).await;
        ids.push(started["data"]["id"].as_i64().unwrap());
        done(&mut conversation).await;
    }
    conversation.get("/api/tasks?page_size=2").await;
    conversation.get(&format!("/api/tasks/{}", ids[0])).await;
    conversation.post(&format!("/api/tasks/{}/cancel", ids[0]), Value::Null).await;
    conversation.remark("Refusals");
    conversation.post("/api/keys/add-async", json!({"group_id": 1, "keys_text": ",;"})).await;
    conversation.post("/api/keys/validate-group", json!({"group_id": 1, "status": "odd"})).await;
    conversation.post("/api/keys/validate-group", json!({"group_id": 9})).await;
    conversation.get("/api/tasks/999").await;
    let bearer = format!("Authorization: Bearer {}", TempServer::AUTH_KEY);
    conversation
        .say(
            &["POST /api/keys/add-async HTTP/1.1", &bearer, "Accept-Language: en-US", "Content-Type: multipart/form-data; boundary=b"],
            "--b\r\nContent-Disposition: form-data; name=\"group_id\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"keys.csv\"\r\n\r\nsk-5\r\n--b--\r\n",
        )
        .await;
    conversation.end();
}

#[tokio::test]
async fn log_and_dashboard_after_some_requests() {
    let mut conversation = Conversation::begin("log").await;
    conversation.get("/api/logs").await;
    conversation.get("/api/dashboard/stats").await;
    let group = openai(&conversation, "team", json!({"proxy_keys": "sk-client"}));
    conversation.post("/api/groups", group).await;
    conversation
        .upstream
        .play_always("sk-bad-0123456789abcdef", Play::status(401).body(r#"{"error": {"message": "No such key"}}"#));
    conversation
        .post("/api/keys/add-multiple", json!({"group_id": 1, "keys_text": "sk-bad-0123456789abcdef sk-good"}))
        .await;
    let question = json!({"model": "mock-small", "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..2 {
        conversation.server.proxied("POST", "/proxy/team/v1/chat/completions", Some(&question)).await;
    }
    conversation.server.eventually("/api/logs", |data| data["pagination"]["total_items"] == 4).await;
    conversation.server.eventually("/api/dashboard/stats", |data| data["request_count"]["value"] == 2).await;
    conversation.get("/api/logs?page_size=2").await;
    conversation.get("/api/logs?cursor=newest&page_size=1&is_success=false").await;
    conversation.get("/api/logs?page_size=1&bodies=false&masked=true").await;
    conversation.get("/api/logs/export?is_success=false").await;
    let columns = "status_code,request_type,model,key_value,error_message";
    conversation.get(&format!("/api/logs/entries/export?columns={columns}")).await;
    conversation.get(&format!("/api/logs/entries/export?format=jsonl&columns={columns}&request_type=retry")).await;
    conversation.get("/api/logs/summary?buckets=1").await;
    conversation.get("/api/logs/values?field=status_code").await;
    conversation.get("/api/groups/summary").await;
    conversation.get("/api/groups/1/upstreams").await;
    conversation.get("/api/dashboard/stats").await;
    conversation.get("/api/dashboard/chart?groupId=1").await;
    conversation.get("/api/dashboard/encryption-status").await;
    conversation.get("/api/groups/1/stats").await;
    conversation.post("/api/download-tickets", json!({"path": "/api/logs/export?is_success=false"})).await;
    conversation.remark("Refusals");
    conversation.get("/api/logs?start_time=yesterday").await;
    conversation.get("/api/logs/export?status_code=x").await;
    conversation.get("/api/logs/entries/export?columns=secret").await;
    conversation.get("/api/logs/summary?buckets=0").await;
    conversation.get("/api/logs/values?field=secret").await;
    conversation.get("/api/logs/x").await;
    conversation.get("/api/logs/00000000-0000-7000-8000-000000000000").await;
    conversation.get("/api/groups/9/upstreams").await;
    conversation.get("/api/logs/live?verdict=guilty").await;
    conversation.get("/api/dashboard/chart?groupId=x").await;
    conversation.get("/api/groups/9/stats").await;
    conversation.post("/api/download-tickets", json!({"path": "/api/groups"})).await;
    conversation.end();
}

#[tokio::test]
async fn settings_and_what_they_refuse() {
    let mut conversation = Conversation::begin("settings").await;
    conversation.get("/api/settings").await;
    let wanted = json!({"request_timeout": 1_000_000.0, "enable_request_body_logging": true, "proxy_keys": " a ,, b "});
    conversation.put("/api/settings", wanted).await;
    conversation.put("/api/settings", json!({})).await;
    conversation.remark("Refusals");
    for (key, value) in [
        ("request_timeout", json!(0)),
        ("request_timeout", json!(1.5)),
        ("request_timeout", json!("10")),
        ("request_timeout", json!(1e30)),
        ("enable_request_body_logging", json!("true")),
        ("app_url", json!("")),
        ("proxy_keys", json!(" , ")),
        ("failover_status_codes", json!("500-400")),
        ("nothing", json!(1)),
    ] {
        conversation.put("/api/settings", json!({key: value})).await;
    }
    conversation.put("/api/settings", json!([])).await;
    conversation.get("/api/groups/config-options").await;
    conversation.end();
}

#[tokio::test]
async fn what_a_proxy_key_opens() {
    let mut conversation = Conversation::begin("integration").await;
    let group = openai(&conversation, "team", json!({"proxy_keys": "sk-team", "sort": 2}));
    conversation.post("/api/groups", group).await;
    let group = openai(&conversation, "other", json!({"validation_endpoint": "/v2/chat", "sort": 1}));
    conversation.post("/api/groups", group).await;
    for target in [
        "/api/integration/info?key=sk-team",
        "/api/integration/info?key=Global-Proxy-Q7x!fmZ2%23vLr9Wd8-PnB4",
        "/proxy/other/api/integration/info?key=Global-Proxy-Q7x!fmZ2%23vLr9Wd8-PnB4",
        "/api/integration/info",
        "/api/integration/info?key=wrong",
        "/proxy/other/api/integration/info?key=sk-team",
        "/proxy/nothing/api/integration/info?key=sk-team",
    ] {
        conversation.say(&[&format!("GET {target} HTTP/1.1"), "Accept-Language: en-US"], "").await;
    }
    conversation.end();
}
