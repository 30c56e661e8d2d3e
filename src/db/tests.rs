//! The database as others see it: files of every age, one writer, a clean end.

use std::{collections::BTreeSet, fs, path::Path};

use super::{testing::*, *};

async fn schema_texts(database: &Database) -> Vec<String> {
    database
        .column_of("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY name")
        .await
}

async fn column_names(database: &Database, table: &str) -> BTreeSet<String> {
    let sql = database.sql("SELECT name FROM pragma_table_info(?)").bind(table);
    database.readers().values(sql).await.unwrap().into_iter().collect()
}

async fn index_names(database: &Database) -> BTreeSet<String> {
    let names = database.column_of("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").await;
    names.into_iter().collect()
}

#[tokio::test]
async fn a_fresh_file_has_the_texts_that_the_original_stores() {
    let (_folder, database) = fresh_file().await;
    let texts = schema_texts(&database).await;
    for line in include_str!("../../tests/golden/database/sqlite_schema.sql").lines() {
        assert!(texts.iter().any(|text| text == line), "missing: {line}\nin: {texts:#?}");
    }
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let (place, database) = fresh_file().await;
    let before = schema_texts(&database).await;
    database.close().await;
    let database = open_again(&place).await.unwrap();
    assert_eq!(schema_texts(&database).await, before);
}

#[tokio::test]
async fn an_old_file_gets_what_it_lacks() {
    let (_new_folder, new) = fresh_file().await;
    let (_old_folder, old) = upgraded_from_1_0_13().await;
    for table in ["system_settings", "groups", "group_sub_groups", "api_keys", "request_logs", "group_hourly_stats"] {
        assert_eq!(column_names(&old, table).await, column_names(&new, table).await, "{table}");
    }
    assert_eq!(index_names(&old).await, index_names(&new).await);
}

#[tokio::test]
async fn keys_without_a_hash_get_one_and_an_empty_key_does_not_stop_the_start() {
    let (_folder, database) = upgraded_from_1_0_13().await;
    let hashes: Vec<Option<String>> = database.column_of("SELECT key_hash FROM api_keys ORDER BY id").await;
    assert_eq!(hashes[0].as_deref(), Some("820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643"));
    assert_eq!(hashes[1].as_deref().unwrap_or_default(), "");
    assert_eq!(hashes[2].as_ref().map(String::len), Some(64));
}

#[tokio::test]
async fn more_keys_than_one_lot_get_their_hashes() {
    let (_folder, path) = file_of_1_0_13().await;
    write_file(
        &path,
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 2510)
         INSERT INTO api_keys (id, key_value, group_id) SELECT i, 'sk-' || i, 1 FROM n",
    )
    .await;
    let database = open_file(&path).await.unwrap();
    let without: i64 = database.value_of("SELECT count(*) FROM api_keys WHERE length(key_hash) = 64").await;
    assert_eq!(without, 2501 + 2);
}

#[tokio::test]
async fn dropping_the_old_column_keeps_the_log_and_its_indexes() {
    let (_folder, database) = upgraded_from_1_0_13().await;
    let rows: Vec<(Timestamp, String, Option<String>)> =
        database.rows_of("SELECT timestamp, request_type, request_id FROM request_logs").await;
    assert_eq!(rows[0].0.to_string(), "2025-07-02T02:00:00.25Z");
    assert_eq!((&*rows[0].1, &rows[0].2), ("final", &None));
    assert!(index_names(&database).await.contains("idx_request_logs_timestamp"));
}

#[tokio::test]
async fn what_is_written_is_one_file_after_closing() {
    let (place, database) = fresh_file().await;
    database.run("INSERT INTO gpt_load_state VALUES ('a', 'b')").await;
    database.close().await;
    let names: Vec<_> = fs::read_dir(Path::new(place.dsn()).parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // The lock stays: whoever removed it could remove it from under the next one.
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), ["gpt-load.db", "gpt-load.db.lock"].map(Into::into).into());
    let database = open_again(&place).await.unwrap();
    let value: String = database.value_of("SELECT value FROM gpt_load_state WHERE name = 'a'").await;
    assert_eq!(value, "b");
}

#[tokio::test]
async fn readers_cannot_write_and_do_not_wait_for_the_writer() {
    let (_folder, database) = fresh_file().await;
    let _transaction = database.begin().await.unwrap();
    assert!(database.readers().rows(database.sql("DELETE FROM groups")).await.is_err());
    let count: i64 = database.value_of("SELECT count(*) FROM groups").await;
    assert_eq!(count, 0);
}

#[tokio::test]
async fn errors_are_told_apart() {
    let (_place, database) = fresh().await;
    let mut transaction = database.begin().await.unwrap();
    let insert = || database.sql("INSERT INTO system_settings (setting_key, setting_value) VALUES ('a', 'b')");
    transaction.execute(insert()).await.unwrap();
    assert!(matches!(transaction.execute(insert()).await.unwrap_err(), Error::Duplicate));
    transaction.rollback().await.unwrap();
    let absent = database.sql("SELECT setting_key FROM system_settings WHERE id = 1");
    assert!(matches!(database.readers().value::<String>(absent).await.unwrap_err(), Error::NotFound));
    let wrong = database.sql("SELECT nonsense FROM system_settings");
    assert!(matches!(database.readers().rows(wrong).await.unwrap_err(), Error::Other(_)));
    let mut transaction = database.begin().await.unwrap();
    let nothing = database.sql("INSERT INTO system_settings (setting_key, setting_value) VALUES ('c', NULL)");
    assert!(matches!(transaction.execute(nothing).await.unwrap_err(), Error::Values(_)));
}

#[tokio::test]
async fn orphaned_keys_do_not_forbid_changes() {
    let (_folder, database) = upgraded_from_1_0_13().await;
    database.run("UPDATE api_keys SET notes = 'x' WHERE group_id = 99; DELETE FROM groups WHERE id = 1").await;
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_with_its_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "this is no database, however long one looks at it".repeat(100)).unwrap();
    let error = open_file(&path).await.unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (place, _database) = fresh_file().await;
    let mode = fs::metadata(place.dsn()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
