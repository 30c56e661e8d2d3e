//! `check`: what it finds, and that it changes nothing.

use std::fs;

use crate::support::{NEW, OLD, Place};

#[tokio::test]
async fn a_check_says_what_a_start_would_do_and_changes_nothing() {
    let place = Place::of_the_original("1_4_encrypted").await;
    let folder = |place: &Place| -> Vec<(String, Vec<u8>)> {
        let Some(folder) = std::path::Path::new(&place.database.name()).parent().map(ToOwned::to_owned) else {
            return Vec::new();
        };
        if !place.is_sqlite() {
            return Vec::new();
        }
        let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = files
            .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let (before, rows) = (folder(&place), place.database.rows("SELECT * FROM api_keys ORDER BY id").await);
    let (status, printed) = place.check(&[], &[("ENCRYPTION_KEY", OLD)]).await;
    assert!(status == 0, "{printed}");
    for text in
        ["this is a database of the original", "request_logs.verdict", "5 groups", "can be read with ENCRYPTION_KEY"]
    {
        assert!(printed.contains(text), "{text}: {printed}");
    }
    assert!(
        printed.lines().all(|line| ["ok", "note", "0 problems"].iter().any(|start| line.starts_with(start))),
        "{printed}"
    );

    let (status, printed) = place.check(&["--json"], &[]).await;
    assert_eq!(status, 1, "{printed}");
    let found: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(found["problems"], 2, "unreadable keys, and a start that is refused: {printed}");
    let (status, printed) = place.check(&[], &[("ENCRYPTION_KEY", NEW)]).await;
    assert!(
        status == 1 && printed.contains("a start is refused: the stored keys are encrypted with another passphrase"),
        "{printed}"
    );
    assert!(folder(&place) == before, "nothing is written, and nothing is left beside the file");
    assert_eq!(place.database.rows("SELECT * FROM api_keys ORDER BY id").await, rows);

    // Beside a server, and of what it left.
    let mut server = place.server(OLD).start().await;
    let (status, printed) = place.check(&[], &[("ENCRYPTION_KEY", OLD)]).await;
    let running = if place.is_sqlite() { "a server runs on this file" } else { "nodes that run:" };
    assert!(status == 0 && printed.contains(running), "{printed}");
    server.ask_to_stop();
    server.ended().await;
    let (status, printed) = place.check(&[], &[("ENCRYPTION_KEY", OLD)]).await;
    assert!(status == 0 && printed.contains("all tables, columns and indexes are there"), "{printed}");
}

#[tokio::test]
async fn a_check_finds_what_is_out_of_the_ordinary() {
    let place = Place::of_the_original("1_4").await;
    let groups = if place.database.engine() == testkit::Engine::MySql { "`groups`" } else { "\"groups\"" };
    place.database.execute("CREATE TABLE temp_migration (id integer)").await;
    place.database.execute(&format!("UPDATE {groups} SET config = '[]' WHERE id = 1")).await;
    place.database.execute("INSERT INTO api_keys (key_value, key_hash, group_id) SELECT key_value, key_hash, group_id FROM api_keys WHERE id = 1").await;
    place.database.execute("INSERT INTO api_keys (key_value, group_id) VALUES ('sk-unhashed', 1)").await;
    let environment = [("REDIS_DSN", "redis://127.0.0.1:1"), ("IS_SLAVE", "ture")];
    let (status, printed) = place.check(&[], &environment).await;
    assert_eq!(status, 1, "{printed}");
    for text in [
        "problem  environment: IS_SLAVE is \"ture\"",
        "problem  groups: JSON that cannot be read: config of openai-main",
        "problem  keys: the table temp_migration was left",
        "note     rows: 1 keys are stored more than once in their group",
        "note     rows: 1 keys have no hash",
    ] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
    assert_eq!(
        printed.contains("note     rows: 1 keys belong to groups that are gone"),
        place.is_sqlite(),
        "{printed}"
    );
    assert_eq!(printed.contains("problem  redis: "), !place.is_sqlite(), "{printed}");
}
