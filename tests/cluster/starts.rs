//! Who starts first, and on what.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Engine, FreshDatabase, MockUpstream, TempServer};

use crate::support::{POLL_INTERVAL, ask, times};

/// operations.md S2, proxy.md 95
#[tokio::test]
async fn a_slave_that_comes_before_the_first_master_waits_and_says_so_once() {
    for engine in Engine::SERVERS {
        let database = FreshDatabase::create(engine).await;
        let builder = TempServer::builder().database(&database).env("IS_SLAVE", "true");
        let log = builder.directory().join("printed.log");
        let slave = tokio::spawn(builder.start());
        let begun = Instant::now();
        while !std::fs::read_to_string(&log).unwrap_or_default().contains("Waiting") {
            assert!(begun.elapsed() < Duration::from_secs(8), "it does not say that it waits");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let master = TempServer::builder().database(&database).start().await;
        let slave = slave.await.expect("it serves");
        assert_eq!(times(&slave, "Waiting"), 1, "{}", slave.log());
        let mock = MockUpstream::start().await;
        let group = slave.create_group("g", "openai", &mock.base_url(), json!({})).await;
        slave.add_keys(group, &["sk-a"]).await;
        assert_eq!(ask(&slave, "g").await.status, 200);
        drop(master);
    }
}

/// A schema of a later release is left alone.
#[tokio::test]
async fn a_database_of_a_later_release_is_refused_by_masters_and_slaves() {
    for engine in Engine::SERVERS {
        let database = FreshDatabase::create(engine).await;
        let mut server = TempServer::builder().database(&database).start().await;
        server.ask_to_stop();
        server.ended().await;
        database.execute("UPDATE gpt_load_state SET value = '999' WHERE name = 'schema_version'").await;
        for is_slave in ["false", "true"] {
            let builder = TempServer::builder().database(&database).env("IS_SLAVE", is_slave);
            let (status, printed) = builder.start_in_vain().await;
            assert_eq!(status.code(), Some(1), "{engine}");
            assert!(printed.contains("schema 999") && printed.contains("later release"), "{engine}: {printed}");
        }
    }
}

/// operations.md S9
#[tokio::test]
async fn masters_that_start_at_the_same_time_migrate_an_old_database_once() {
    let originals = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/originals");
    for (engine, file) in [(Engine::MySql, "mysql_1_0_13.sql"), (Engine::PostgreSql, "postgresql_1_0_13.sql")] {
        let database = FreshDatabase::create(engine).await;
        database.load(originals.join(file)).await;
        let keys = database.column("SELECT count(*) FROM api_keys").await;
        let start = || TempServer::builder().database(&database).start();
        let (one, two, three) = tokio::join!(start(), start(), start());
        for node in [&one, &two, &three] {
            let groups = node.managed("GET", "/api/groups/list", None).await;
            assert!(groups.as_array().is_some_and(|groups| !groups.is_empty()), "{engine}: {groups}");
        }
        assert_eq!(database.column("SELECT count(*) FROM api_keys").await, keys, "{engine}");
        let unhashed = "SELECT count(*) FROM api_keys WHERE key_hash IS NULL AND key_value <> ''";
        assert_eq!(database.column(unhashed).await, ["0"], "{engine}");
        let versions = database.column("SELECT value FROM gpt_load_state WHERE name = 'schema_version'").await;
        assert_eq!(versions, ["2"], "{engine}");
    }
}
