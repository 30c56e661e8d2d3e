//! The dumps of the original load on real servers, and say the same on all of them.

use std::path::PathBuf;

use testkit::{Engine, FreshDatabase};

/// Those whose servers this run has: all of them below `scripts/with-test-servers`.
fn engines() -> Vec<Engine> {
    let has = |engine: &Engine| match engine {
        Engine::Sqlite => true,
        Engine::MySql => std::env::var_os("TEST_MYSQL").is_some(),
        Engine::PostgreSql => std::env::var_os("TEST_POSTGRESQL").is_some(),
    };
    Engine::ALL.into_iter().filter(has).collect()
}

fn dump(engine: Engine, version: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/originals");
    folder.join(format!("{engine}_{version}.sql"))
}

/// A dump's rows of a query, joined; the query may quote with `"`.
async fn found(database: &FreshDatabase, query: &str) -> Vec<String> {
    let quote = if database.engine() == Engine::MySql { "`" } else { "\"" };
    let rows = database.rows(&query.replace('"', quote)).await;
    let text = |value: Option<String>| value.map_or("NULL".to_owned(), |text| text.replace(' ', ""));
    rows.into_iter().map(|row| row.into_iter().map(text).collect::<Vec<_>>().join("|")).collect()
}

#[tokio::test]
async fn the_dumps_of_1_4_hold_the_same_on_every_engine() {
    for engine in engines() {
        for version in ["1_4", "1_4_encrypted"] {
            let database = FreshDatabase::create(engine).await;
            database.load_replacing(dump(engine, version), &[("http://mock.invalid", "http://here")]).await;
            let groups = r#"SELECT id, name, upstreams, header_rules, config FROM "groups" ORDER BY id"#;
            let groups = found(&database, groups).await;
            assert_eq!(groups.len(), 5, "{engine}");
            assert!(groups[0].contains(r#""http://here/""#), "{engine}: {}", groups[0]);
            // Engines may keep the escapes or what they mean.
            assert!(
                groups[0].contains(r"a\u0026b\u003cc\u003e") || groups[0].contains("a&b<c>"),
                "{engine}: {}",
                groups[0]
            );
            assert!(groups[1].ends_with("|[]|null") && groups[2].ends_with("|NULL|NULL"), "{engine}: {groups:?}");
            assert_eq!(groups[4], "5|all-openai|[]|[]|null", "{engine}");
            let keys = "SELECT id, group_id, status, notes, failure_count FROM api_keys WHERE group_id < 6 ORDER BY id";
            let expected = ["1|1|active|主力key|0", "2|1|active||1", "3|1|invalid||2", "5|2|active|NULL|0"];
            let keys = found(&database, keys).await;
            assert_eq!(keys[..4], expected, "{engine}");
            assert_eq!(keys.len(), 7, "{engine}");
            let stored = found(&database, "SELECT key_value, key_hash FROM api_keys WHERE id = 1").await.remove(0);
            let (start, end) = match version {
                "1_4" => ("sk-test-0123456789abcdefghijklmnop|9a45", "3831fc"),
                _ => ("000102030405060708090a0bb40e9ebb", "641680d"),
            };
            assert!(stored.starts_with(start) && stored.ends_with(end), "{engine}: {stored}");
            let logs = "SELECT id, group_id, parent_group_id, status_code, request_body FROM request_logs ORDER BY id";
            let logs = found(&database, logs).await;
            assert_eq!((logs.len(), logs[6].ends_with("b107|3|NULL|200|NULL")), (7, true), "{engine}: {logs:?}");
            assert!(
                logs[4].ends_with(r#"{"contents":[{"parts":[{"text":"你好,\"it's\"\\me"}]}]}"#),
                "{engine}: {}",
                logs[4]
            );
            let hours = "SELECT group_id, sum(success_count), sum(failure_count) FROM group_hourly_stats \
                         GROUP BY group_id ORDER BY group_id";
            assert_eq!(found(&database, hours).await, ["1|17|1", "2|1|0", "3|0|2", "4|1|0", "5|4|1", "6|3|0", "7|3|0"]);
        }
    }
}

#[tokio::test]
async fn the_next_ids_are_those_after_deleted_rows() {
    for engine in engines() {
        let database = FreshDatabase::create(engine).await;
        database.load(dump(engine, "1_4")).await;
        let quote = if engine == Engine::MySql { "`" } else { "\"" };
        let group =
            r#"INSERT INTO "groups" (name, upstreams, channel_type, test_model) VALUES ('n', '[]', 'openai', 'm')"#;
        database.execute(&group.replace('"', quote)).await;
        database.execute("INSERT INTO api_keys (key_value, group_id) VALUES ('k', 1)").await;
        assert_eq!(found(&database, r#"SELECT max(id) FROM "groups""#).await, ["8"], "{engine}");
        assert_eq!(found(&database, "SELECT max(id) FROM api_keys").await, ["11"], "{engine}");
    }
}

#[tokio::test]
async fn instants_are_the_same_to_the_millisecond() {
    for engine in engines() {
        let database = FreshDatabase::create(engine).await;
        database.load(dump(engine, "1_4")).await;
        let millis = match engine {
            Engine::Sqlite => "round((julianday(timestamp) - julianday('2026-11-20T00:00:00Z')) * 86400000)",
            // Wall clocks of Shanghai.
            Engine::MySql => "round(timestampdiff(microsecond, '2026-11-20 08:00:00', timestamp) / 1000)",
            Engine::PostgreSql => "round(extract(epoch FROM timestamp - '2026-11-20 00:00:00+00') * 1000)",
        };
        let query = format!("SELECT {millis} FROM request_logs WHERE timestamp > '2026-11-01' ORDER BY id");
        let found: Vec<f64> = database.column(&query).await.iter().map(|text| text.parse().unwrap()).collect();
        let expected = [4_530_123.0, 4_799_500.0, 4_800_000.0, 7_500_000.0, 6_000_001.0, 5_400_500.0];
        assert_eq!(found, expected, "{engine}");
    }
}

#[tokio::test]
async fn the_dumps_of_1_0_13_are_as_strict_as_they_were() {
    for engine in engines().into_iter().filter(|engine| *engine != Engine::Sqlite) {
        let database = FreshDatabase::create(engine).await;
        database.load(dump(engine, "1_0_13")).await;
        let old = if engine == Engine::MySql { "key_id, retries" } else { "retries" };
        let rows = found(&database, &format!("SELECT {old} FROM request_logs ORDER BY id")).await;
        let expected: &[&str] = if engine == Engine::MySql { &["1|0", "2|1", "1|0"] } else { &["0", "1"] };
        assert_eq!(rows, expected, "{engine}");
        assert_eq!(found(&database, "SELECT key_value FROM api_keys WHERE id = 3").await, ["sk-test-0001"]);
    }
}
