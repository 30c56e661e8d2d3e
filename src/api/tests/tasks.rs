//! Tasks: started, watched, cancelled, remembered; and what they do with keys.

use axum::body::Body;
use http::{Method, Request, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testkit::{MockUpstream, Play};
use tower::ServiceExt as _;

use super::{House, MANAGEMENT_KEY, Reply, without_time};

const IDLE: &str = r#"{"task_type":"","is_running":false,"processed":0,"total":0,"started_at":"0001-01-01T00:00:00Z"}"#;

impl House {
    async fn add(&self, group: i64, keys: &str) {
        self.post("/api/keys/add-multiple", json!({"group_id": group, "keys_text": keys})).await.data();
    }

    async fn import(&self, group: i64, keys: &str) -> Reply {
        self.post("/api/keys/add-async", json!({"group_id": group, "keys_text": keys})).await
    }

    /// Waits until a task is over, and until nothing keeps its group from starting another one.
    async fn over(&self, started: &Reply) -> Value {
        let id = started.data()["id"].as_i64().unwrap();
        loop {
            let task = self.get(&format!("/api/tasks/{id}")).await.data();
            if task["is_running"] == false
                && self.tasks.status().await.unwrap().is_none_or(|shown| shown.state.is_over())
            {
                return task;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn keys_of(&self, group: i64) -> Vec<String> {
        self.database.column_of(&format!("SELECT key_value FROM api_keys WHERE group_id = {group} ORDER BY id")).await
    }

    /// A group whose upstream does not answer, with these keys.
    async fn hanging_group(&self, name: &str, upstream: &MockUpstream, keys: &str) -> i64 {
        upstream.play_any_always(Play::hang());
        let group = self.group(name, json!({"upstreams": [{"url": upstream.base_url(), "weight": 1}]})).await;
        self.add(group, keys).await;
        group
    }

    async fn upload(&self, form: &Form) -> Reply {
        let request = Request::post("/api/keys/add-async")
            .header(AUTHORIZATION, format!("Bearer {MANAGEMENT_KEY}"))
            .header("accept-language", "en-US")
            .header("content-type", "multipart/form-data; boundary=B");
        self.send(request.body(Body::from(form.bytes())).unwrap()).await
    }
}

/// The parts of a form as they are sent.
#[derive(Default)]
struct Form(Vec<u8>);

impl Form {
    fn field(mut self, name: &str, value: &str) -> Self {
        let part = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        self.0.extend_from_slice(part.as_bytes());
        self
    }

    fn file(mut self, name: &str, content: &[u8]) -> Self {
        let head = format!("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.0[..], b"--B--\r\n"].concat()
    }
}

/// Times and the duration replaced by words.
fn timeless(mut task: Value) -> String {
    without_time(&mut task["started_at"]);
    if task.get("finished_at").is_some() {
        without_time(&mut task["finished_at"]);
        assert!(task["duration_seconds"].as_f64().unwrap() >= 0.0);
        task["duration_seconds"] = "time".into();
    }
    task.to_string()
}

#[tokio::test]
async fn without_a_task_the_status_is_idle() {
    let house = House::open().await;
    assert_eq!(house.get("/api/tasks/status").await.data().to_string(), IDLE);
    let expected = json!({"items": [], "pagination": {"page": 1, "page_size": 15, "total_items": 0, "total_pages": 0}});
    assert_eq!(house.get("/api/tasks").await.data(), expected);
}

#[tokio::test]
async fn an_import_says_what_it_ignored_and_why() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    house.add(group, "sk-1").await;
    let started = house.import(group, r#"["sk-1", "sk-2", "sk 3", "sk-2", "sk-\n4", "sk-5"]"#).await;
    assert_eq!(
        timeless(started.data()),
        concat!(
            r#"{"task_type":"KEY_IMPORT","is_running":true,"group_name":"team","processed":0,"total":6,"#,
            r#""started_at":"now","id":1,"group_id":1,"state":"running","cancellable":true}"#,
        )
    );
    let over = house.over(&started).await;
    assert_eq!(
        timeless(over.clone()),
        concat!(
            r#"{"task_type":"KEY_IMPORT","is_running":false,"group_name":"team","processed":6,"total":6,"#,
            r#""result":{"added_count":3,"ignored_count":3,"duplicate_in_input":1,"already_in_group":1,"#,
            r#""unsendable":1,"unsendable_positions":[5]},"started_at":"now","finished_at":"now","#,
            r#""duration_seconds":"time","id":1,"group_id":1,"state":"finished","cancellable":false}"#,
        )
    );
    assert_eq!(house.keys_of(group).await, ["sk-1", "sk-2", "sk 3", "sk-5"]);
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 4);
    assert_eq!(house.get("/api/tasks/status").await.data(), over, "the same text in every answer");
    assert_eq!(house.get("/api/tasks").await.data()["items"], json!([over]));
}

#[tokio::test]
async fn an_import_of_many_lots_with_duplicates_counts_every_text() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let texts: Vec<String> = (0..5_000).map(|number| format!("sk-{}", number % 3_500)).collect();
    let over = house.over(&house.import(group, &texts.join("\n")).await).await;
    assert_eq!((&over["processed"], &over["total"]), (&json!(5_000), &json!(5_000)));
    let expected = json!({"added_count": 3_500, "ignored_count": 1_500, "duplicate_in_input": 1_500,
        "already_in_group": 0, "unsendable": 0, "unsendable_positions": []});
    assert_eq!(over["result"], expected);
    assert_eq!(house.keys_of(group).await.len(), 3_500);
}

#[tokio::test]
async fn a_file_is_imported_whichever_field_comes_first() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    for (form, key) in [
        (Form::default().field("group_id", "1").file("keys.txt", b"\xef\xbb\xbfsk-1\r\nsk-2\r\n"), "sk-2"),
        (Form::default().file("KEYS.TXT", b"sk-3").field("group_id", "1").field("note", "x"), "sk-3"),
    ] {
        let over = house.over(&house.upload(&form).await).await;
        assert_eq!(over["state"], "finished");
        assert_eq!(house.keys_of(group).await.last().unwrap(), key);
    }
    assert_eq!(house.keys_of(group).await, ["sk-1", "sk-2", "sk-3"]);
}

#[tokio::test]
async fn a_form_is_checked_in_the_order_of_the_original() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await.to_string();
    house.group("all", json!({"group_type": "aggregate"})).await;
    let file = |form: Form| form.file("keys.txt", b"sk-1");
    for (form, status, code, message) in [
        (Form::default(), 400, "BAD_REQUEST", "A group id is required"),
        (file(Form::default().field("group_id", "")), 400, "BAD_REQUEST", "A group id is required"),
        (file(Form::default().field("group_id", "x")), 400, "BAD_REQUEST", "The group id must be a positive integer"),
        (file(Form::default().field("group_id", "0")), 400, "BAD_REQUEST", "The group id must be a positive integer"),
        (Form::default().field("group_id", "9"), 400, "BAD_REQUEST", "A file is required"),
        (Form::default().field("group_id", "9").field("file", "sk"), 400, "BAD_REQUEST", "A file is required"),
        (
            Form::default().field("group_id", "9").file("keys.csv", b"sk-1"),
            400,
            "VALIDATION_FAILED",
            "Only .txt files can be imported",
        ),
        (
            Form::default().field("group_id", &group).file("keys.txt", b"\xff\xfes\0k\0"),
            400,
            "BAD_REQUEST",
            "The file is not text in UTF-8",
        ),
        (file(Form::default().field("group_id", "9")), 404, "NOT_FOUND", "Resource not found"),
        (
            Form::default().field("group_id", &group).file("keys.txt", b" \n"),
            400,
            "VALIDATION_FAILED",
            "No keys were given",
        ),
        (
            Form::default().field("group_id", &group).file("keys.txt", b",;"),
            400,
            "VALIDATION_FAILED",
            "No key was found in the text",
        ),
        (
            file(Form::default().field("group_id", "2")),
            400,
            "VALIDATION_FAILED",
            "An aggregate group has no keys of its own; add them to a member",
        ),
    ] {
        house.upload(&form).await.refuses(status, code, message);
    }
    let send = async |content_type: &'static str, body: Body| {
        let request = Request::post("/api/keys/add-async?key=sk-management").header("accept-language", "en");
        house.send(request.header("content-type", content_type).body(body).unwrap()).await
    };
    let reply = send("multipart/form-data", Body::from("sk-1")).await;
    reply.refuses(400, "BAD_REQUEST", "A group id is required");
    let cut = Form::default().field("group_id", &group).file("keys.txt", b"sk-1").0;
    let reply = send("multipart/form-data; boundary=B", Body::from(cut[..cut.len() - 2].to_vec())).await;
    reply.refuses(400, "BAD_REQUEST", "The file did not arrive as a whole");
    let reply = send("multipart/form-data; boundary=B", Body::new(Huge)).await;
    reply.refuses(413, "PAYLOAD_TOO_LARGE", "The request body is larger than 268435456 bytes");
    assert_eq!(house.stored_keys().await, 0);
    assert_eq!(house.get("/api/tasks/status").await.data().to_string(), IDLE);
}

#[tokio::test]
async fn a_form_that_turns_out_too_large_is_refused() {
    let house = House::open().await;
    let piece = bytes::Bytes::from(vec![b'x'; 16 * 1024 * 1024]);
    let head = "--B\r\nContent-Disposition: form-data; name=\"nothing\"\r\n\r\n";
    let pieces = std::iter::once(bytes::Bytes::from_static(head.as_bytes())).chain(std::iter::repeat_n(piece, 17));
    let body = Body::from_stream(tokio_stream::iter(pieces.map(Ok::<_, std::convert::Infallible>)));
    let request = Request::post("/api/keys/add-async?key=sk-management").header("accept-language", "en");
    let request = request.header("content-type", "multipart/form-data; boundary=B").body(body).unwrap();
    let reply = house.send(request).await;
    reply.refuses(413, "PAYLOAD_TOO_LARGE", "The request body is larger than 268435456 bytes");
}

#[tokio::test]
async fn a_third_long_upload_waits_until_a_place_is_free_and_a_short_one_does_not() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let begin = |verb: &str| {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::convert::Infallible>>(1);
        sender.try_send(Ok(bytes::Bytes::from_static(b"{"))).unwrap();
        let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let request = Request::post(format!("/api/keys/{verb}-async?key=sk-management")).body(body).unwrap();
        (sender, tokio::spawn(house.router.clone().oneshot(request)))
    };
    let held = [begin("add"), begin("delete")];
    for (sender, _) in &held {
        // Once its first piece is taken, an upload has its place.
        let _ = sender.reserve().await.unwrap();
    }
    let (sender, third) = begin("add");
    house.import(group, " ").await.refuses(400, "VALIDATION_FAILED", "No keys were given");
    assert_eq!(sender.capacity(), 0, "nothing of it is taken");
    for (sender, answer) in held {
        drop(sender);
        assert_eq!(answer.await.unwrap().unwrap().status(), 400);
    }
    let rest = format!(r#""group_id": {group}, "keys_text": "sk-1"}}"#);
    sender.send(Ok(rest.into())).await.unwrap();
    drop(sender);
    assert_eq!(third.await.unwrap().unwrap().status(), 200);
}

/// A body that tells a length beyond every limit, and never comes.
struct Huge;

impl http_body::Body for Huge {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(300 * 1024 * 1024)
    }
}

#[tokio::test]
async fn calls_that_start_a_task_are_checked_alike() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    for verb in ["add", "delete"] {
        let call = async |body: Value| house.post(&format!("/api/keys/{verb}-async"), body).await;
        call(json!({"keys_text": "sk"})).await.refuses_naming(400, "INVALID_JSON", "group_id");
        call(json!({"group_id": group})).await.refuses_naming(400, "INVALID_JSON", "keys_text");
        call(json!({"group_id": 99, "keys_text": " "})).await.refuses(404, "NOT_FOUND", "Resource not found");
        let given = async |text: &str| call(json!({"group_id": group, "keys_text": text})).await;
        given(" \n").await.refuses(400, "VALIDATION_FAILED", "No keys were given");
        given(",;").await.refuses(400, "VALIDATION_FAILED", "No key was found in the text");
        given(r#"["sk", 5]"#).await.refuses_naming(400, "VALIDATION_FAILED", "position 2");
        given(r#"["sk" "sk-2"]"#).await.refuses_naming(400, "VALIDATION_FAILED", "line 1, column 7");
        let message = "At most 2000000 keys can be handled at once, 2000001 were given";
        given(&"k ".repeat(2_000_001)).await.refuses(400, "VALIDATION_FAILED", message);
    }
    let validate = async |body: Value| house.post("/api/keys/validate-group", body).await;
    validate(json!({})).await.refuses_naming(400, "INVALID_JSON", "group_id");
    validate(json!({"group_id": group, "status": 5})).await.refuses_naming(400, "INVALID_JSON", "status");
    let reply = validate(json!({"group_id": 99, "status": "all"})).await;
    reply.refuses(400, "VALIDATION_FAILED", "The status can be active or invalid");
    validate(json!({"group_id": 99, "status": ""})).await.refuses(404, "NOT_FOUND", "Resource not found");
    let reply = validate(json!({"group_id": group})).await;
    reply.refuses(400, "VALIDATION_FAILED", "The group team has no keys to test");
    house
        .execute("INSERT INTO groups (name, channel_type, upstreams, test_model) VALUES ('odd', 'x', '[]', 'm')")
        .await;
    let reply = validate(json!({"group_id": 2})).await;
    reply.refuses(404, "NOT_FOUND", "This group is not being served, so its keys cannot be tested");
    assert_eq!(house.get("/api/tasks").await.data()["items"], json!([]), "none of it started a task");
}

#[tokio::test]
async fn keys_are_deleted_by_a_task() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    house.add(group, r#"["sk-1", "sk-2", "sk a,b"]"#).await;
    let delete = async |text: &str| {
        let body = json!({"group_id": group, "keys_text": text});
        let started = house.post("/api/keys/delete-async", body).await;
        assert_eq!(started.data()["task_type"], "KEY_DELETE");
        house.over(&started).await
    };
    let over = delete("sk-1 sk-1 sk-9").await;
    assert_eq!((&over["total"], &over["processed"]), (&json!(3), &json!(3)));
    assert_eq!(over["result"].to_string(), r#"{"deleted_count":1,"ignored_count":2}"#);
    let over = delete("sk a,b").await;
    assert_eq!(over["result"], json!({"deleted_count": 1, "ignored_count": 0}), "one key, not two");
    assert_eq!(house.keys_of(group).await, ["sk-2"]);
    assert_eq!(house.key_pools.of(group).unwrap().active_count(), 1);
}

#[tokio::test]
async fn a_group_is_validated_and_what_is_unknown_is_said() {
    let house = House::open().await;
    let upstream = MockUpstream::start().await;
    upstream.play_always("sk-bad", Play::status(401));
    upstream.play_always("sk-busy", Play::status(500));
    let group = house.group("team", json!({"upstreams": [{"url": upstream.base_url(), "weight": 1}]})).await;
    house.add(group, "sk-good sk-bad sk-busy sk-unreadable sk-back").await;
    house.invalidate(group, &["sk-back"]);
    // Without a passphrase, this is how a ciphertext is told.
    house.execute("UPDATE api_keys SET key_hash = 'other' WHERE key_value = 'sk-unreadable'").await;
    let started = house.post("/api/keys/validate-group", json!({"group_id": group})).await;
    assert_eq!((&started.data()["task_type"], &started.data()["total"]), (&json!("KEY_VALIDATION"), &json!(5)));
    let over = house.over(&started).await;
    assert_eq!(over["processed"], 5);
    let expected = r#"{"total_keys":5,"valid_keys":2,"invalid_keys":3,"undecided_keys":1}"#;
    assert_eq!(over["result"].to_string(), expected);
    assert_eq!(upstream.count("sk-unreadable"), 0, "never sent");
    let statuses: Vec<String> = house.database.column_of("SELECT status FROM api_keys ORDER BY id").await;
    assert_eq!(statuses, ["active", "invalid", "active", "active", "active"], "stored when the task is over");

    let body = json!({"group_id": group, "status": "invalid"});
    let over = house.over(&house.post("/api/keys/validate-group", body).await).await;
    assert_eq!(over["result"], json!({"total_keys": 1, "valid_keys": 0, "invalid_keys": 1, "undecided_keys": 0}));
}

#[tokio::test]
async fn a_group_has_one_task_at_a_time_and_other_groups_do_not_wait() {
    let house = House::open().await;
    let upstream = MockUpstream::start().await;
    let held = house.hanging_group("held", &upstream, "sk-1").await;
    let other = house.group("other", json!({})).await;
    let validation = house.post("/api/keys/validate-group", json!({"group_id": held})).await;
    upstream.arrived(1).await;
    let message = "A task of this group is running. Wait until it has ended, or cancel it";
    house.import(held, "sk-2").await.refuses(409, "TASK_IN_PROGRESS", message);
    let body = json!({"group_id": held, "keys_text": "sk-1"});
    house.post("/api/keys/delete-async", body).await.refuses(409, "TASK_IN_PROGRESS", message);
    let body = json!({"group_id": held});
    house.post("/api/keys/validate-group", body).await.refuses(409, "TASK_IN_PROGRESS", message);
    house.import(held, ",").await.refuses(400, "VALIDATION_FAILED", "No key was found in the text");

    let import = house.import(other, "sk-3").await.data();
    assert_eq!(import["is_running"], true);
    while house.get(&format!("/api/tasks/{}", import["id"])).await.data()["is_running"] == true {
        tokio::task::yield_now().await;
    }
    while house.tasks.status().await.unwrap().unwrap().id != 1 {
        tokio::task::yield_now().await;
    }
    let status = house.get("/api/tasks/status").await.data();
    assert_eq!((&status["group_name"], &status["state"]), (&json!("held"), &json!("running")));
    let listed = house.get("/api/tasks?page_size=1").await.data();
    assert_eq!((&listed["items"][0]["group_name"], &listed["pagination"]["total_items"]), (&json!("other"), &json!(2)));
    let listed = house.get(&format!("/api/tasks?group_id={held}")).await.data();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["state"]), (1, &json!("running")));

    let reply = house.post(&format!("/api/tasks/{}/cancel", validation.data()["id"]), json!({})).await.data();
    assert_eq!((&reply["is_running"], &reply["state"]), (&json!(true), &json!("cancelling")));
    assert_eq!(reply["cancellable"], false);
    let over = house.over(&validation).await;
    assert_eq!((&over["state"], &over["processed"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(over["result"], json!({"total_keys": 0, "valid_keys": 0, "invalid_keys": 0, "undecided_keys": 0}));
    assert!(over.get("error").is_none());
    upstream.cancelled().await;
    let reply = house.post(&format!("/api/tasks/{}/cancel", over["id"]), json!({})).await;
    reply.refuses(409, "TASK_OVER", "The task is over and can no longer be cancelled");
}

#[tokio::test]
async fn a_task_that_does_not_exist_is_not_found() {
    let house = House::open().await;
    house.get("/api/tasks/1").await.refuses(404, "NOT_FOUND", "Resource not found");
    house.post("/api/tasks/1/cancel", json!({})).await.refuses(404, "NOT_FOUND", "Resource not found");
    for id in ["x", "0", "-1"] {
        house.get(&format!("/api/tasks/{id}")).await.refuses(400, "BAD_REQUEST", "The task id is not valid");
        let reply = house.get(&format!("/api/tasks?group_id={id}")).await;
        reply.refuses(400, "BAD_REQUEST", "The group id must be a positive integer");
    }
}

#[tokio::test]
async fn a_failed_task_shows_its_error_and_no_result() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    house
        .execute(if house.database.engine().is_sqlite() {
            "CREATE TRIGGER refuse BEFORE INSERT ON api_keys BEGIN SELECT RAISE(ABORT, 'no room'); END"
        } else {
            "ALTER TABLE api_keys ADD CONSTRAINT no_room CHECK (key_value <> 'sk-1')"
        })
        .await;
    let over = house.over(&house.import(group, "sk-1").await).await;
    assert_eq!((&over["state"], over.get("result")), (&json!("failed"), None));
    let error = over["error"].as_str().unwrap();
    assert!(
        error.starts_with("Database operation failed: ") && (error.contains("no room") || error.contains("no_room")),
        "{error}"
    );
}

#[tokio::test]
async fn a_group_that_is_deleted_ends_its_task_first() {
    let house = House::open().await;
    if !house.database.engine().is_sqlite() {
        // The trigger below is in SQLite's language, and what it watches happens on all engines alike.
        return;
    }
    let upstream = MockUpstream::start().await;
    let group = house.hanging_group("held", &upstream, "sk-1").await;
    let started = house.post("/api/keys/validate-group", json!({"group_id": group})).await;
    upstream.arrived(1).await;
    house
        .execute(
            "CREATE TABLE seen (state TEXT);
             CREATE TRIGGER look BEFORE DELETE ON api_keys
             BEGIN INSERT INTO seen SELECT state FROM gpt_load_tasks; END",
        )
        .await;
    house.delete(&format!("/api/groups/{group}")).await.says("The group and all of its keys have been deleted");
    let seen: String = house.database.value_of("SELECT state FROM seen").await;
    assert_eq!(seen, "cancelled", "before anything of the group was deleted");
    assert_eq!(house.over(&started).await["state"], "cancelled");
}

#[tokio::test]
async fn an_export_has_one_key_a_line_in_the_order_of_their_ids() {
    let house = House::open().await;
    let group = house.group("team", json!({})).await;
    let export = async |query: &str| house.get(&format!("/api/keys/export?{query}")).await;
    assert_eq!(export("group_id=1").await.text, "");
    house.add(group, r#"["sk-2", "sk 1", "sk-3"]"#).await;
    house.invalidate(group, &["sk 1"]);
    for (query, name, body) in [
        ("group_id=1", "all", "sk-2\nsk 1\nsk-3\n"),
        ("group_id=1&status=all", "all", "sk-2\nsk 1\nsk-3\n"),
        ("group_id=1&status=active", "active", "sk-2\nsk-3\n"),
        ("group_id=1&status=invalid", "invalid", "sk 1\n"),
    ] {
        let reply = export(query).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, body));
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        let disposition = format!("attachment; filename=keys-team-{name}.txt");
        assert_eq!(reply.header("content-disposition"), Some(disposition.as_str()));
    }
    house.execute("UPDATE api_keys SET key_hash = 'other' WHERE id = 1").await;
    assert_eq!(export("group_id=1").await.text, "sk 1\nsk-3\n", "what cannot be decrypted is left out");
    export("").await.refuses(400, "BAD_REQUEST", "A group id is required");
    export("group_id=-1").await.refuses(400, "BAD_REQUEST", "The group id must be a positive integer");
    export("group_id=9&status=x").await.refuses(
        400,
        "VALIDATION_FAILED",
        "status must be one of: active, invalid, disabled, all",
    );
    export("group_id=9").await.refuses(404, "NOT_FOUND", "Resource not found");
}

#[tokio::test]
async fn an_export_that_fails_midway_is_broken_off() {
    let house = House::open().await;
    house.group("team", json!({})).await;
    house
        .execute(&format!(
            "INSERT INTO api_keys (key_value, group_id) {}",
            crate::db::testing::values(9_000, |number| format!("'sk-{number}', 1"))
        ))
        .await;
    let request = Request::get("/api/keys/export?group_id=1&key=sk-management").body(Body::empty()).unwrap();
    let response = house.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().unwrap().into_data().unwrap().starts_with(b"sk-1\nsk-2\n"));
    house.execute("ALTER TABLE api_keys RENAME TO elsewhere").await;
    assert!(body.collect().await.is_err());
    house.execute("ALTER TABLE elsewhere RENAME TO api_keys").await;
    assert_eq!(house.get("/api/keys/export?group_id=1").await.text.lines().count(), 9_000);
}

#[tokio::test]
async fn a_copy_has_everything_but_the_name_and_the_memberships() {
    let house = House::open().await;
    let more = json!({
        "display_name": "Team", "description": "d", "sort": 7, "validation_endpoint": "/v1/x", "proxy_keys": "pk",
        "param_overrides": {"n": 1.50}, "config": {"max_retries": 1}, "model_redirect_rules": {"a": "b"},
        "model_redirect_strict": true, "header_rules": [{"key": "X-A", "value": "1", "action": "set"}],
    });
    let source = house.group("team", more).await;
    house.execute("UPDATE groups SET last_validated_at = '2026-11-01 00:00:00+00:00'").await;
    let all = house.group("all", json!({"group_type": "aggregate"})).await;
    let members = json!({"sub_groups": [{"group_id": source, "weight": 1}]});
    house.post(&format!("/api/groups/{all}/sub-groups"), members).await;
    let groups = house.get("/api/groups").await.data();
    let mut expected = groups.as_array().unwrap().iter().find(|group| group["name"] == "team").unwrap().clone();
    let mut copy = house.post(&format!("/api/groups/{source}/copy"), json!({})).await.data();
    assert_eq!(copy.as_object().unwrap().len(), 1, "no keys, no task");
    for time in ["created_at", "updated_at"] {
        without_time(&mut copy["group"][time]);
        expected[time] = "now".into();
    }
    expected["id"] = 3.into();
    expected["name"] = "team_copy".into();
    expected["display_name"] = "Team Copy".into();
    expected["endpoint"] = "http://localhost:3001/proxy/team_copy".into();
    expected["last_validated_at"] = Value::Null;
    assert_eq!(copy["group"].to_string(), expected.to_string());
    assert!(house.directory.current().by_name.contains_key("team_copy"), "at once in effect");
    assert_eq!(house.get("/api/groups/3/parent-aggregate-groups").await.data(), json!([]));
    let second = house.post(&format!("/api/groups/{source}/copy"), json!({"copy_keys": " none "})).await.data();
    assert_eq!(second["group"]["name"], "team_copy_2");
}

#[tokio::test]
async fn a_copy_takes_keys_one_by_one_as_it_is_told() {
    let house = House::open().await;
    let source = house.group("team", json!({})).await;
    house.add(source, r#"["sk-1", "sk a,b", "sk-3", "sk-4"]"#).await;
    house.invalidate(source, &["sk-3"]);
    house.execute("UPDATE api_keys SET key_hash = 'other', notes = 'n' WHERE key_value = 'sk-4'").await;
    for (body, expected, count) in [
        (json!({}), vec!["sk-1", "sk a,b", "sk-3"], 4),
        (json!({"copy_keys": "all"}), vec!["sk-1", "sk a,b", "sk-3"], 4),
        (json!({"copy_keys": "valid_only"}), vec!["sk-1", "sk a,b"], 3),
    ] {
        let copied = house.post(&format!("/api/groups/{source}/copy"), body).await.data();
        let (group, task) = (&copied["group"], &copied["task"]);
        assert_eq!((&task["task_type"], &task["group_name"]), (&json!("KEY_IMPORT"), &group["name"]));
        assert_eq!((&task["group_id"], &task["total"]), (&group["id"], &json!(count)));
        let over = loop {
            let task = house.get(&format!("/api/tasks/{}", task["id"])).await.data();
            if task["is_running"] == false {
                break task;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(over["processed"], count);
        let expected_result = json!({"added_count": expected.len(), "ignored_count": 1, "duplicate_in_input": 0,
            "already_in_group": 0, "unsendable": 0, "unsendable_positions": [], "unreadable": 1});
        assert_eq!(over["result"], expected_result);
        let id = group["id"].as_i64().unwrap();
        assert_eq!(house.keys_of(id).await, expected);
        assert_eq!(house.key_pools.of(id).unwrap().active_count(), expected.len(), "all are active");
    }
    let none = house.post(&format!("/api/groups/{source}/copy"), json!({"copy_keys": "none"})).await.data();
    assert_eq!((&none["group"]["name"], none.get("task")), (&json!("team_copy_4"), None));
    assert_eq!(house.keys_of(none["group"]["id"].as_i64().unwrap()).await, [""; 0]);
}

#[tokio::test]
async fn a_copy_is_checked_and_keys_that_cannot_be_copied_are_told() {
    let house = House::open().await;
    let copy =
        async |id: &str, body: &'static str| house.ask(Method::POST, &format!("/api/groups/{id}/copy"), body).await;
    copy("x", "{}").await.refuses(400, "BAD_REQUEST", "The group id is not valid");
    copy("9", "").await.refuses(400, "INVALID_JSON", "The request body is empty");
    copy("9", r#"{"copy_keys": 1}"#).await.refuses_naming(400, "INVALID_JSON", "copy_keys");
    let reply = copy("9", r#"{"copy_keys": "some"}"#).await;
    reply.refuses(400, "VALIDATION_FAILED", "copy_keys can be all, valid_only or none");
    copy("9", "{}").await.refuses(404, "NOT_FOUND", "Resource not found");

    let source = house.group("team", json!({})).await;
    house.add(source, "sk-1").await;
    house.execute("ALTER TABLE gpt_load_tasks RENAME TO elsewhere").await;
    let copied = copy("1", "{}").await.data();
    assert_eq!(copied["group"]["name"], "team_copy");
    assert_eq!(copied["task_error"], "The keys were not copied: the task that copies them could not be started");
    assert!(copied.get("task").is_none());
    assert!(house.directory.current().by_name.contains_key("team_copy"));
}

#[tokio::test]
async fn two_copies_at_once_both_get_their_keys() {
    let house = House::open().await;
    let source = house.group("team", json!({})).await;
    let texts: Vec<String> = (0..2_500).map(|number| format!("sk-{number}")).collect();
    house.add(source, &texts.join(" ")).await;
    let path = format!("/api/groups/{source}/copy");
    let (first, second) = tokio::join!(house.post(&path, json!({})), house.post(&path, json!({})));
    for copied in [first.data(), second.data()] {
        let task = format!("/api/tasks/{}", copied["task"]["id"]);
        while house.get(&task).await.data()["is_running"] == true {
            tokio::task::yield_now().await;
        }
        assert_eq!(house.keys_of(copied["group"]["id"].as_i64().unwrap()).await.len(), 2_500);
    }
}
