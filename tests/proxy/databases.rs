//! Database files that the original wrote: they open, they serve, and the original could go on with them.

use std::{fs, path::Path};

use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use testkit::{MockUpstream, TempServer, TempServerBuilder};

use crate::support::{ask, eventually_stored, keys_of, records, stored};

/// The definitions of a fresh database of version 1.4, one a line (database.md 4.1).
const DEFINITIONS: &str = include_str!("../golden/database/original_1_4.sql");
/// From database.md 9: what `PASSPHRASE` makes of the key `sk-test-0001`.
const PASSPHRASE: &str = "my-encryption-key-0123456789";
const ENCRYPTED: &str = "000102030405060708090a0be69b82e937cce05fc55132c41523428f8c82efc94381dd25b234851f";
const HASH_ENCRYPTED: &str = "e6a0005b928c815aa1dd3d771702b8b497bc30dd1db37292762817e5a6bcc550";
const HASH_IN_CLEAR: &str = "820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643";

/// What a fresh installation of the original seeds, with the management key as proxy key.
const SETTINGS: [(&str, &str); 18] = [
    ("app_url", "http://localhost:3001"),
    ("proxy_keys", "sk-global"),
    ("request_log_retention_days", "0"),
    ("request_log_write_interval_minutes", "1"),
    ("enable_request_body_logging", "false"),
    ("request_timeout", "600"),
    ("connect_timeout", "15"),
    ("idle_conn_timeout", "120"),
    ("response_header_timeout", "600"),
    ("max_idle_conns", "100"),
    ("max_idle_conns_per_host", "50"),
    ("proxy_url", ""),
    ("max_retries", "3"),
    ("blacklist_threshold", "3"),
    ("failover_status_codes", "400-403,405-999"),
    ("key_validation_interval_minutes", "60"),
    ("key_validation_concurrency", "10"),
    ("key_validation_timeout_seconds", "20"),
];

/// Rows as the original writes them in Shanghai: an own group, a group without rules whose
/// key was tested a moment ago, an aggregate, two keys, and
/// an hour that a change of zone split in two.
const ROWS: &str = r#"
INSERT INTO groups VALUES
 (1,'team','Team','sk-client','first','standard','[{"url":"MOCK/","weight":1}]','','openai',1,'mock-small','{"temperature":0.5}','{"max_retries":1}','[{"action":"set","key":"X-Group","value":"${GROUP_NAME}"}]','{"fast":"mock-small"}',0,'2026-11-23 05:18:54.156185388+08:00','2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00'),
 (2,'plain','','','','standard','[{"url":"MOCK","weight":1}]','','anthropic',2,'mock-small','null','null','[]','{}',0,strftime('%Y-%m-%d %H:%M:%S','now','+8 hours') || '+08:00','2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00'),
 (3,'all','','sk-client','','aggregate','[]','','openai',3,'-','null','null','[]','{}',0,NULL,'2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00');
INSERT INTO group_sub_groups VALUES (1,3,1,10,'2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00');
INSERT INTO api_keys VALUES
 (1,'KEY','HASH',1,'active','a note',7,1,'2026-11-23 05:18:54.156185388+08:00','2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00'),
 (2,'KEY','HASH',2,'invalid','',0,3,NULL,'2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00');
INSERT INTO request_logs VALUES
 ('0b9f6c1e-64c5-4b8e-9f0e-0c64c5a2b111','2026-11-23 05:18:54.156185388+08:00',1,'team',3,'all','KEY','HASH','fast',1,'203.0.113.9',200,'/proxy/all/v1/chat/completions',120,'','','final','MOCK/v1/chat/completions',0,'');
INSERT INTO group_hourly_stats VALUES
 (1,'2026-11-23 05:00:00+08:00',1,7,1,'2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00'),
 (2,'2026-11-22 21:00:00+00:00',1,2,0,'2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00');
"#;

/// Writes a file where the server will look for its own.
async fn write(builder: &TempServerBuilder, statements: &str) {
    let folder = builder.directory().join("data");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let options = SqliteConnectOptions::new()
        .filename(folder.join("gpt-load.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Delete)
        .foreign_keys(false);
    let mut connection = options.connect().await.expect("a file can be made");
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&mut connection)
        .await
        .expect("the statements are right");
    connection.close().await.expect("it can be closed");
}

fn file_of_1_4(mock: &MockUpstream, key: &str, hash: &str) -> String {
    let definitions: String = DEFINITIONS.lines().map(|line| format!("{line};\n")).collect();
    let settings: String = SETTINGS
        .iter()
        .map(|(name, value)| {
            format!(
                "INSERT INTO system_settings (setting_key, setting_value, description, created_at, updated_at) VALUES \
                 ('{name}','{value}','config.{name}_desc','2026-11-23 05:00:00+08:00','2026-11-23 05:00:00+08:00');\n"
            )
        })
        .collect();
    let rows = ROWS.replace("MOCK", &mock.base_url()).replace("KEY", key).replace("HASH", hash);
    format!("{definitions}{settings}{rows}")
}

/// Every definition in a file, by the name of what it defines.
async fn definitions(path: &Path) -> Vec<(String, String)> {
    let mut connection =
        SqliteConnectOptions::new().filename(path).read_only(true).connect().await.expect("the file can be opened");
    let query = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY name";
    let found = sqlx::query_as(query).fetch_all(&mut connection).await.expect("it has a schema");
    connection.close().await.expect("it can be closed");
    found
}

/// database.md 4.1, 12: with and without encryption.
#[tokio::test]
async fn a_file_of_the_original_opens_serves_and_stays_the_originals() {
    for (passphrase, key, hash) in [("", "sk-test-0001", HASH_IN_CLEAR), (PASSPHRASE, ENCRYPTED, HASH_ENCRYPTED)] {
        let mock = MockUpstream::start().await;
        let builder = TempServer::builder().env("ENCRYPTION_KEY", passphrase).env("TZ", "Asia/Shanghai");
        write(&builder, &file_of_1_4(&mock, key, hash)).await;
        let mut server = builder.start().await;

        for group in ["team", "all"] {
            let body = json!({ "model": "fast", "messages": [] });
            let target = format!("/proxy/{group}/v1/chat/completions");
            assert_eq!(server.proxied("POST", &target, Some(&body)).await.status, 200, "{group}");
            let seen = mock.request();
            assert_eq!((seen.key.as_str(), seen.header("x-group")), ("sk-test-0001", Some("team")));
            assert_eq!(seen.json(), json!({ "model": "mock-small", "messages": [], "temperature": 0.5 }));
            mock.reset();
        }
        // The global key of the stored settings, and a key that is out.
        let headers = "x-api-key: sk-global\r\n";
        let refused =
            server.exchange(crate::support::request("POST", "/proxy/plain/v1/messages", headers, b"{}")).await;
        assert_eq!(refused.status, 503);
        let own = keys_of(&server, 1).await.remove(0);
        assert_eq!(
            (&own["key_value"], &own["notes"], &own["key_hash"]),
            (&json!("sk-test-0001"), &json!("a note"), &json!(hash))
        );

        let groups = server.managed("GET", "/api/groups", None).await;
        assert_eq!((&groups[1]["param_overrides"], &groups[1]["config"]), (&Value::Null, &Value::Null));
        assert_eq!((&groups[2]["group_type"], &groups[2]["upstreams"]), (&json!("aggregate"), &json!([])));
        assert_eq!(groups[0]["created_at"], "2026-11-22T21:00:00Z");

        let rows = records(&server, 4).await;
        assert_eq!((&rows[0]["request_id"], &rows[0]["key_value"]), (&Value::Null, &json!(key)));
        assert_eq!((&rows[2]["parent_group_name"], &rows[2]["key_hash"]), (&json!("all"), &json!(hash)));
        // Times are UTC after a while, and the split hour is one.
        let hours = "SELECT json_array(time, group_id, success_count, failure_count) FROM group_hourly_stats \
                     WHERE time < '2026-11-24' ORDER BY 1";
        let merged = json!(["2026-11-22 21:00:00+00:00", 1, 9, 1]);
        eventually_stored(&server, hours, |rows| rows == [merged.clone()]).await;
        let local = "SELECT json(count(*)) FROM request_logs WHERE timestamp NOT LIKE '%+00:00'";
        eventually_stored(&server, local, |rows| rows == [json!(0)]).await;
        let time = stored(&server, "SELECT json_quote(timestamp) FROM request_logs ORDER BY rowid LIMIT 1").await;
        assert_eq!(time, [json!("2026-11-22 21:18:54.156185388+00:00")]);

        server.ask_to_stop();
        assert!(server.ended().await.success(), "{}", server.log());
        stays_the_originals(&server).await;

        // It opens again, and nothing that was counted is lost.
        server.start_again().await;
        assert_eq!(keys_of(&server, 1).await[0]["request_count"], 9);
        assert_eq!(ask(&server, "team").await.status, 200);
    }
}

/// Tables of the original with columns of ours.
const OWN_COLUMNS: [(&str, &[&str]); 2] = [
    ("api_keys", &["out_since", "failure_status", "failure_message", "failed_at"]),
    (
        "request_logs",
        &[
            "request_id",
            "attempt",
            "first_byte_ms",
            "overhead_us",
            "verdict",
            "client_key",
            "sent_model",
            "upstream_request_id",
        ],
    ),
];

/// One file, the original's definitions, and of ours only what the original does not mind.
async fn stays_the_originals(server: &TempServer) {
    let path = server.database_path();
    let folder = path.parent().expect("it lies in a folder");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    files.sort();
    assert_eq!(files, ["gpt-load.db", "gpt-load.db.lock"], "no journal is left beside the file");
    let mut found = definitions(&path).await;
    found.retain(|(name, _)| !name.starts_with("gpt_load_") && !name.starts_with("idx_gpt_load_"));
    let mut expected: Vec<&str> = DEFINITIONS.lines().collect();
    for (name, text) in &found {
        if let Some((_, own_columns)) = OWN_COLUMNS.iter().find(|(table, _)| table == name) {
            // Ours come last, before the keys or behind them, and may be NULL: the original's rows lack them.
            let create = format!("CREATE TABLE `{name}`");
            let original = expected.iter().find(|line| line.starts_with(&create)).expect("it is there");
            let (columns, keys) = [",PRIMARY KEY", ",CONSTRAINT"]
                .iter()
                .find_map(|keys| original.split_at_checked(original.find(keys)?))
                .expect("it has a key");
            let own = text.strip_prefix(columns).and_then(|rest| rest.strip_suffix(keys));
            let own = own.unwrap_or_else(|| {
                text.strip_prefix(&original[..original.len() - 1]).unwrap_or_else(|| panic!("{text}"))
            });
            for column in *own_columns {
                assert!(own.contains(&format!("`{column}`")), "{text}");
            }
            assert!(!own.contains("NOT NULL"), "{text}");
            expected.retain(|line| !line.starts_with(&create));
        } else if name == "group_hourly_stats" {
            let start = text.strip_suffix(", `retry_count` integer, `aborted_count` integer)");
            let original = format!("{})", start.unwrap_or_else(|| panic!("{text}")));
            assert!(expected.contains(&original.as_str()), "{text}");
            expected.retain(|line| *line != original);
        } else {
            assert!(expected.contains(&text.as_str()), "{name} is not the original's: {text}");
            expected.retain(|line| line != text);
        }
    }
    assert!(expected.is_empty(), "missing: {expected:#?}");
}

/// Version 1.0.15: no aggregates, no hashes, no redirects, and a column that nobody fills any more.
const OLD: &str = r#"
CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,`setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`));
CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),`description` varchar(512),`upstreams` JSON NOT NULL,`channel_type` varchar(50) NOT NULL,`sort` integer DEFAULT 0,`test_model` varchar(255) NOT NULL,`param_overrides` JSON,`config` JSON,`last_validated_at` datetime,`created_at` datetime,`updated_at` datetime, `validation_endpoint` varchar(255),CONSTRAINT `uni_groups_name` UNIQUE (`name`));
CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` varchar(512) NOT NULL,`group_id` integer NOT NULL,`status` varchar(50) NOT NULL DEFAULT "active",`request_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`last_used_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
CREATE UNIQUE INDEX `idx_group_key` ON `api_keys`(`key_value`,`group_id`);
CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` datetime NOT NULL,`group_id` integer NOT NULL,`group_name` varchar(255),`key_value` varchar(512),`is_success` numeric NOT NULL,`source_ip` varchar(45),`status_code` integer NOT NULL,`request_path` varchar(500),`duration` integer NOT NULL,`error_message` text,`user_agent` varchar(512),`retries` integer NOT NULL,`upstream_addr` varchar(500),`is_stream` numeric NOT NULL,PRIMARY KEY (`id`));
CREATE TABLE `group_hourly_stats` (`id` integer PRIMARY KEY AUTOINCREMENT,`time` datetime NOT NULL,`group_id` integer NOT NULL,`success_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`created_at` datetime,`updated_at` datetime);
INSERT INTO system_settings (setting_key, setting_value) VALUES ('proxy_keys','sk-client'),('request_timeout','1e+06'),('blacklist_threshold','5');
INSERT INTO groups (id, name, upstreams, channel_type, test_model, param_overrides, config) VALUES
 (1,'team','[{"url":"MOCK","weight":1}]','openai','mock-small','null','{"max_retries":0}');
INSERT INTO api_keys (id, key_value, group_id, created_at) VALUES (1,'sk-test-0001',1,'2025-07-01 09:00:00+08:00'),(2,'',1,NULL);
INSERT INTO request_logs VALUES ('a','2025-07-02 10:00:00.25+08:00',1,'team','sk-test-0001',1,'203.0.113.9',200,'/proxy/team/v1/models',120,'','',0,'MOCK/v1/models',0);
"#;

/// database.md 11
#[tokio::test]
async fn a_file_of_an_old_version_gets_what_it_lacks_and_serves() {
    let mock = MockUpstream::start().await;
    let builder = TempServer::builder();
    write(&builder, &OLD.replace("MOCK", &mock.base_url())).await;
    let mut server = builder.start().await;
    server.change_settings(json!({ "request_log_retention_days": 0 })).await;
    for _ in 0..2 {
        assert_eq!(ask(&server, "team").await.status, 200);
    }
    assert_eq!(mock.keys_seen(), ["sk-test-0001"; 2], "an empty key is never sent");
    let keys = keys_of(&server, 1).await;
    assert_eq!((&keys[0]["key_hash"], &keys[0]["notes"]), (&json!(HASH_IN_CLEAR), &json!("")));
    let group = server.managed("GET", "/api/groups", None).await[0].clone();
    assert_eq!(
        (&group["group_type"], &group["proxy_keys"], &group["display_name"]),
        (&json!("standard"), &json!(""), &json!(""))
    );
    let settings = server.managed("GET", "/api/settings", None).await.to_string();
    assert!(settings.contains(r#""key":"blacklist_threshold""#), "{settings}");

    server.ask_to_stop();
    assert!(server.ended().await.success(), "{}", server.log());
    let after = definitions(&server.database_path()).await;
    let log = after.iter().find(|(name, _)| name == "request_logs").map(|(_, text)| text.as_str()).unwrap_or_default();
    assert!(!log.contains("retries") && log.contains("request_type") && log.contains("parent_group_id"), "{log}");
    for line in DEFINITIONS.lines().filter(|line| line.contains(" INDEX ")) {
        // Of an index that was missing, the original cares for the name; ours may leave out what is the same everywhere.
        assert!(after.iter().any(|(_, text)| text.starts_with(line)), "missing: {line}");
    }
    assert!(!after.iter().any(|(name, _)| name == "idx_group_key"), "{after:#?}");
    server.start_again().await;
    assert_eq!(ask(&server, "team").await.status, 200);
}
