//! `migrate-keys`, `check` and a start beside them: the real binary on the engine of this run.

#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod checking;
mod interruption;
mod support;

use serde_json::json;

use self::support::{NEW, OLD, Place};

const MAIN: &str = "sk-test-0123456789abcdefghijklmnop";

/// operations.md 10.1, and M4
#[tokio::test]
async fn the_exit_codes_are_those_of_the_original_but_nothing_is_done_silently() {
    let place = Place::of_the_original("1_4").await;
    for (line, expected, text) in [
        (&[][..], 0, "Usage:"),
        (&["-h"], 0, "--from PASSPHRASE"),
        (&["enable"], 0, "Usage:"),
        (&["--passphrase", "x"], 2, "there is no flag -passphrase"),
        (&["--to"], 2, "needs a value"),
        (&["--from", "same", "--to=same"], 1, "both passphrases are the same"),
        (&["--to", ""], 1, "--to is given, but empty"),
        (&["--to-env", "NOT_SET"], 1, "the variable NOT_SET is empty or not set"),
        (&["--to-file", "no-such-file"], 1, "no-such-file cannot be read"),
        (&["--from", "wrong one", "--to", "x"], 0, "8 of 8 keys are stored in clear"),
    ] {
        // The last line would be allowed to work, as the hashes show what is in clear; SQLite alone has an orphaned key.
        let line: Vec<&str> =
            if expected == 0 && line.len() == 4 { [line, &["--dry-run"]].concat() } else { line.to_vec() };
        let (status, printed) = place.migrate(&line, &[]).await;
        let text = if place.is_sqlite() { text.to_owned() } else { text.replace("8 of 8", "7 of 7") };
        assert!(status == expected && printed.contains(&text), "{line:?} ends with {status}: {printed}");
    }
    assert_eq!(place.database.column("SELECT key_value FROM api_keys WHERE id = 1").await, [MAIN]);
}

/// operations.md 9, 10; C4, DB8, DB16
#[tokio::test]
async fn encrypted_keys_serve_with_their_passphrase_and_no_other_start_is_possible() {
    let place = Place::of_the_original("1_4").await;
    place.database.execute("CREATE TABLE temp_migration (id integer, key_value_new varchar(255))").await;
    let (status, printed) = place.migrate(&["--to-env", "PASSPHRASE"], &[("PASSPHRASE", NEW)]).await;
    assert!(status == 0 && printed.contains("Set ENCRYPTION_KEY to the new passphrase"), "{printed}");
    assert!(printed.contains("Removing the table temp_migration") && !printed.contains(NEW), "{printed}");

    for (passphrase, remedy) in
        [("", "migrate-keys --from-file FILE`"), (OLD, "`gpt-load migrate-keys --from-file FILE --to-env")]
    {
        let (status, printed) = place.server(passphrase).start_in_vain().await;
        assert!(
            status.code() == Some(1) && printed.contains(remedy) && printed.contains("serve --diagnose"),
            "{printed}"
        );
    }
    let mut server = place.server(NEW).start().await;
    let body = json!({ "model": "fast", "messages": [] });
    assert_eq!(server.proxied("POST", "/proxy/openai-main/v1/chat/completions", Some(&body)).await.status, 200);
    // Keys that are out are tested at the start.
    let seen: Vec<String> = place.mock.requests().into_iter().map(|request| request.key).collect();
    assert!(seen.iter().any(|key| [MAIN, "sk-second-0002"].contains(&key.as_str())), "{seen:?}");
    // The log of the original is found by the key, and holds none.
    let found = server.managed("GET", &format!("/api/logs?key_value={MAIN}&request_type=final&model=fast"), None).await;
    assert!(found["pagination"]["total_items"].as_i64().unwrap() >= 1, "{found}");
    let log = server.managed("GET", "/api/logs?page_size=100", None).await["items"].take();
    let oldest = log.as_array().unwrap().last().unwrap();
    assert_eq!(oldest["key_value"], "sk-ant-0007", "logged without a hash, and found again");
    server.ask_to_stop();
    assert!(server.ended().await.success(), "{}", server.log());
    for table in ["api_keys", "request_logs"] {
        let stored = place.database.column(&format!("SELECT key_value FROM {table}")).await;
        assert!(stored.iter().all(|text| !text.contains("sk-ant-0007") && !text.contains("sk-second")), "{stored:?}");
    }

    // And back, with a file.
    let file = place.folder.path().join("passphrase");
    std::fs::write(&file, format!("{NEW}\n")).unwrap();
    let (status, printed) = place.migrate(&["-from-file", file.to_str().unwrap()], &[]).await;
    assert!(status == 0 && printed.contains("Unset ENCRYPTION_KEY"), "{printed}");
    assert_eq!(place.database.column("SELECT key_value FROM api_keys WHERE id = 1").await, [MAIN]);
    place.server("").start().await;
}

/// M3
#[tokio::test]
async fn beside_a_running_server_nothing_is_migrated() {
    let place = Place::of_the_original("1_4_encrypted").await;
    let mut server = place.server(OLD).start().await;
    let line = ["--from", OLD, "--to", NEW];
    let (status, printed) = place.migrate(&line, &[]).await;
    let named = if place.is_sqlite() { "in use by a running server" } else { "servers run on this database:" };
    assert!(status == 1 && printed.contains(named), "{printed}");
    server.ask_to_stop();
    server.ended().await;
    let (status, printed) = place.migrate(&line, &[]).await;
    assert!(status == 0, "{printed}");
    place.server(NEW).start().await;
}

#[tokio::test]
async fn keys_of_two_passphrases_start_with_those_that_can_be_read_and_are_told_of() {
    let place = Place::of_the_original("1_4_encrypted").await;
    // The original ran without a passphrase once, when this key was added: its hash is the plain one.
    let hash = "820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643";
    place
        .database
        .execute(&format!("UPDATE api_keys SET key_value = 'sk-test-0001', key_hash = '{hash}' WHERE id = 7"))
        .await;
    place.database.execute("UPDATE api_keys SET key_value = '00ff' WHERE id = 3").await;
    let server = place.server(OLD).start().await;
    server.says("1 stored keys are in clear although ENCRYPTION_KEY is set").await;
    let claude = "POST /proxy/claude/v1/messages HTTP/1.1\r\nHost: here\r\nx-api-key: sk-global-2\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(server.exchange(claude).await.status, 200);
    assert!(place.mock.requests().iter().any(|request| request.key == "sk-test-0001"));
    let keys = server.managed("GET", "/api/keys?group_id=1", None).await;
    assert!(keys["items"].to_string().contains("failed-to-decrypt"), "{keys}");
    drop(server);
}

#[tokio::test]
async fn a_diagnosing_server_shows_the_keys_and_changes_none() {
    let place = Place::of_the_original("1_4_encrypted").await;
    // What the original stores; columns of ours come with the start.
    let keys = "SELECT id, key_value, key_hash, group_id, status, notes, request_count, failure_count, last_used_at, \
                created_at, updated_at FROM api_keys ORDER BY id";
    let before = place.database.rows(keys).await;
    let server = place.server("").arguments(&["serve", "--diagnose"]).start().await;
    let shown = server.managed("GET", "/api/keys?group_id=1", None).await;
    assert_eq!(shown["items"][0]["key_value"], "failed-to-decrypt");
    let status = server.managed("GET", "/api/dashboard/encryption-status", None).await;
    assert_eq!(status["scenario_type"], "key_not_configured");
    let body = json!({ "group_id": 1, "keys_text": "sk-new" });
    for (method, target, body) in [
        ("POST", "/api/keys/add-multiple", Some(&body)),
        ("POST", "/api/keys/add-async", Some(&body)),
        ("POST", "/api/keys/delete-async", Some(&body)),
        ("POST", "/api/keys/restore-all-invalid", Some(&json!({ "group_id": 1 }))),
        ("POST", "/api/keys/bulk", Some(&json!({ "group_id": 1, "action": "disable", "ids": [1] }))),
        ("POST", "/api/keys/clear-all", Some(&json!({ "group_id": 1 }))),
        ("POST", "/api/keys/validate-group", Some(&json!({ "group_id": 1 }))),
        ("PUT", "/api/keys/1/notes", Some(&json!({ "notes": "x" }))),
        ("DELETE", "/api/groups/1", None),
    ] {
        let refused = server.manage(method, target, body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("READ_ONLY")), "{method} {target}");
        assert!(refused.text().contains("serve --diagnose"), "{}", refused.text());
    }
    let request = json!({ "model": "fast", "messages": [] });
    let answer = server.proxied("POST", "/proxy/openai-main/v1/chat/completions", Some(&request)).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(place.mock.requests().len(), 0, "no key is sent");
    assert_eq!(place.database.rows(keys).await, before);
}

/// What the original finds when it comes back: its columns as they were, and ours left to themselves.
#[tokio::test]
async fn the_original_finds_its_columns_as_they_were_and_may_leave_out_ours() {
    let place = Place::of_the_original("1_4").await;
    let before = place.columns().await;
    let mut server = place.server("").start().await;
    server.ask_to_stop();
    server.ended().await;
    let after = place.columns().await;
    for (column, definition) in &before {
        assert_eq!(after.get(column), Some(definition), "{column}");
    }
    // What the original writes names its own columns only.
    for statement in [
        "INSERT INTO request_logs (id, timestamp, group_id, is_success, status_code, duration, is_stream) \
         SELECT 'of the original', timestamp, group_id, is_success, status_code, duration, is_stream FROM request_logs \
         WHERE id LIKE '%b101'",
        "INSERT INTO group_hourly_stats (time, group_id) SELECT max(time), 99 FROM group_hourly_stats",
        "INSERT INTO api_keys (key_value, group_id) VALUES ('sk-of-the-original', 1)",
    ] {
        place.database.execute(statement).await;
    }
    place.server("").start().await;
}
