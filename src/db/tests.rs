//! The database as others see it: files of every age, one writer, a clean end.

use std::{collections::BTreeSet, fs};

use sqlx::Row;

use super::{testing::*, *};

async fn schema_texts(database: &Database) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY name",
    )
    .fetch_all(database.readers())
    .await
    .unwrap()
}

async fn column_names(database: &Database, table: &str) -> BTreeSet<String> {
    let rows = sqlx::query("SELECT name FROM pragma_table_info(?)").bind(table).fetch_all(database.readers()).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn index_names(database: &Database) -> BTreeSet<String> {
    let names = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .fetch_all(database.readers());
    names.await.unwrap().into_iter().collect()
}

#[tokio::test]
async fn a_fresh_file_has_the_texts_that_the_original_stores() {
    let (_folder, database) = fresh().await;
    let texts = schema_texts(&database).await;
    for line in include_str!("../../tests/golden/database/sqlite_schema.sql").lines() {
        assert!(texts.iter().any(|text| text == line), "missing: {line}\nin: {texts:#?}");
    }
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let (folder, database) = fresh().await;
    let before = schema_texts(&database).await;
    database.close().await;
    let database = Database::open(&dsn(&folder.path().join("gpt-load.db"))).await.unwrap();
    assert_eq!(schema_texts(&database).await, before);
}

#[tokio::test]
async fn an_old_file_gets_what_it_lacks() {
    let (_new_folder, new) = fresh().await;
    let (_old_folder, old) = upgraded_from_1_0_13().await;
    for table in ["system_settings", "groups", "group_sub_groups", "api_keys", "request_logs", "group_hourly_stats"] {
        assert_eq!(column_names(&old, table).await, column_names(&new, table).await, "{table}");
    }
    assert_eq!(index_names(&old).await, index_names(&new).await);
}

#[tokio::test]
async fn keys_without_a_hash_get_one_and_an_empty_key_does_not_stop_the_start() {
    let (_folder, database) = upgraded_from_1_0_13().await;
    let hashes: Vec<Option<String>> =
        sqlx::query_scalar("SELECT key_hash FROM api_keys ORDER BY id").fetch_all(database.readers()).await.unwrap();
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
    let database = Database::open(&dsn(&path)).await.unwrap();
    let without: i64 = sqlx::query_scalar("SELECT count(*) FROM api_keys WHERE length(key_hash) = 64")
        .fetch_one(database.readers())
        .await
        .unwrap();
    assert_eq!(without, 2501 + 2);
}

#[tokio::test]
async fn dropping_the_old_column_keeps_the_log_and_its_indexes() {
    let (_folder, database) = upgraded_from_1_0_13().await;
    let row = sqlx::query("SELECT timestamp, request_type, request_id FROM request_logs")
        .fetch_one(database.readers())
        .await
        .unwrap();
    assert_eq!(row.get::<Timestamp, _>(0).to_string(), "2025-07-02T02:00:00.25Z");
    assert_eq!(row.get::<String, _>(1), "final");
    assert_eq!(row.get::<Option<String>, _>(2), None);
    assert!(index_names(&database).await.contains("idx_request_logs_timestamp"));
}

#[tokio::test]
async fn what_is_written_is_one_file_after_closing() {
    let (folder, database) = fresh().await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("INSERT INTO gpt_load_state VALUES ('a', 'b')").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    database.close().await;
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["gpt-load.db"]);
    let database = Database::open(&dsn(&folder.path().join("gpt-load.db"))).await.unwrap();
    let value: String =
        sqlx::query_scalar("SELECT value FROM gpt_load_state").fetch_one(database.readers()).await.unwrap();
    assert_eq!(value, "b");
}

#[tokio::test]
async fn readers_cannot_write_and_do_not_wait_for_the_writer() {
    let (_folder, database) = fresh().await;
    let _transaction = database.begin().await.unwrap();
    assert!(sqlx::query("DELETE FROM groups").execute(database.readers()).await.is_err());
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM groups").fetch_one(database.readers()).await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn errors_are_told_apart() {
    let (_folder, database) = fresh().await;
    let mut transaction = database.begin().await.unwrap();
    let insert = "INSERT INTO system_settings (setting_key, setting_value) VALUES ('a', 'b')";
    sqlx::query(insert).execute(&mut *transaction).await.unwrap();
    let twice = sqlx::query(insert).execute(&mut *transaction).await.unwrap_err();
    assert!(matches!(Error::from(twice), Error::Duplicate));
    let absent = sqlx::query("SELECT id FROM groups WHERE id = 1").fetch_one(&mut *transaction).await.unwrap_err();
    assert!(matches!(Error::from(absent), Error::NotFound));
    let wrong = sqlx::query("SELECT nonsense FROM groups").fetch_one(&mut *transaction).await.unwrap_err();
    assert!(matches!(Error::from(wrong), Error::Other(_)));
}

#[tokio::test]
async fn orphaned_keys_do_not_forbid_changes() {
    let (_folder, database) = upgraded_from_1_0_13().await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("UPDATE api_keys SET notes = 'x' WHERE group_id = 99").execute(&mut *transaction).await.unwrap();
    sqlx::query("DELETE FROM groups WHERE id = 1").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_with_its_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "this is no database, however long one looks at it".repeat(100)).unwrap();
    let error = Database::open(&dsn(&path)).await.unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, _database) = fresh().await;
    let mode = fs::metadata(folder.path().join("gpt-load.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
