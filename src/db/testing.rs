//! Databases for tests: fresh ones, and files as versions of the original left them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;
use testkit::FreshDatabase;

use super::{Database, Engine, Error, FromRow, Migrations, Source as _, Sql, row::Column};
use crate::config::{DatabaseDsn, DatabasePool, SqliteDsn};

/// A fresh database on the engine of this run (`TEST_ENGINE`), which goes away with the guard.
pub(crate) async fn fresh() -> (FreshDatabase, Database) {
    on(FreshDatabase::of_this_run().await).await
}

/// For what is about files.
pub(crate) async fn fresh_file() -> (FreshDatabase, Database) {
    on(FreshDatabase::create(testkit::Engine::Sqlite).await).await
}

async fn on(place: FreshDatabase) -> (FreshDatabase, Database) {
    let database = open_again(&place).await.unwrap();
    (place, database)
}

/// As another start, or another node, finds it.
pub(crate) async fn open_again(place: &FreshDatabase) -> Result<Database, Error> {
    let (dsn, _) = DatabaseDsn::parse(place.dsn(), &|_| None).unwrap();
    Database::open(&dsn, &POOL, Migrations::Run).await
}

/// Opens a file, and brings it up to date.
pub(crate) async fn open_file(path: &Path) -> Result<Database, Error> {
    Database::open(&dsn(path), &POOL, Migrations::Run).await
}

/// Small, since many tests run at once.
pub(crate) const POOL: DatabasePool = DatabasePool {
    connections_max: 5,
    connections_min: 0,
    acquire_timeout: Duration::from_secs(30),
    idle_timeout: None,
    lifetime_max: None,
};

pub(crate) fn dsn(path: &Path) -> DatabaseDsn {
    DatabaseDsn::Sqlite(SqliteDsn { path: path.to_owned(), pragmas: Vec::new() })
}

/// `VALUES` of this many rows, which every engine reads alike.
pub(crate) fn values(count: usize, row: impl Fn(usize) -> String) -> String {
    format!("VALUES {}", (1..=count).map(|number| format!("({})", row(number))).collect::<Vec<_>>().join(","))
}

impl Database {
    /// Runs statements behind everyone's back. Times in them are in UTC, and written as SQLite has them.
    pub(crate) async fn run(&self, statements: &str) {
        let statements = match self.engine() {
            // Its wall clock is that of UTC in tests.
            Engine::MySql(_) => statements.replace("+00:00'", "'").replace(" groups ", " `groups` "),
            _ => statements.to_owned(),
        };
        let mut transaction = self.begin().await.unwrap();
        transaction.run(statements).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn rows_of<T: FromRow + Send>(&self, text: &str) -> Vec<T> {
        self.readers().all(Sql::made(self.engine(), text.to_owned())).await.unwrap()
    }

    pub(crate) async fn column_of<T: Column + Send>(&self, text: &str) -> Vec<T> {
        self.readers().values(Sql::made(self.engine(), text.to_owned())).await.unwrap()
    }

    pub(crate) async fn value_of<T: Column + Send>(&self, text: &str) -> T {
        self.readers().value(Sql::made(self.engine(), text.to_owned())).await.unwrap()
    }
}

/// Runs statements on a file without any of our own start-up work.
pub(crate) async fn write_file(path: &Path, statements: &'static str) {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Delete)
        .foreign_keys(false)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A file of version 1.0.13 with groups, keys, logs and settings in it, opened by us.
pub(crate) async fn upgraded_from_1_0_13() -> (TempDir, Database) {
    let (folder, path) = file_of_1_0_13().await;
    let database = open_file(&path).await.unwrap();
    (folder, database)
}

pub(crate) async fn file_of_1_0_13() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gpt-load.db");
    write_file(&path, VERSION_1_0_13).await;
    (folder, path)
}

/// Before `validation_endpoint`, `proxy_keys`, hashes, aggregate groups; with `retries`, and times of a zone at +08:00.
const VERSION_1_0_13: &str = r#"
CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,`setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`));
CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),`description` varchar(512),`upstreams` JSON NOT NULL,`channel_type` varchar(50) NOT NULL,`sort` integer DEFAULT 0,`test_model` varchar(255) NOT NULL,`param_overrides` JSON,`config` JSON,`last_validated_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_groups_name` UNIQUE (`name`));
CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` varchar(512) NOT NULL,`group_id` integer NOT NULL,`status` varchar(50) NOT NULL DEFAULT "active",`request_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`last_used_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
CREATE UNIQUE INDEX `idx_group_key` ON `api_keys`(`key_value`,`group_id`);
CREATE TABLE "request_logs"  (`id` varchar(36),`timestamp` datetime NOT NULL,`group_id` integer NOT NULL,`group_name` varchar(255),`key_value` varchar(512),`is_success` numeric NOT NULL,`source_ip` varchar(45),`status_code` integer NOT NULL,`request_path` varchar(500),`duration` integer NOT NULL,`error_message` text,`user_agent` varchar(512),`retries` integer NOT NULL,`upstream_addr` varchar(500),`is_stream` numeric NOT NULL,PRIMARY KEY (`id`));
CREATE INDEX `idx_request_logs_timestamp` ON `request_logs`(`timestamp`);
CREATE TABLE `group_hourly_stats` (`id` integer PRIMARY KEY AUTOINCREMENT,`time` datetime NOT NULL,`group_id` integer NOT NULL,`success_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`created_at` datetime,`updated_at` datetime);
CREATE UNIQUE INDEX `idx_group_time` ON `group_hourly_stats`(`time`,`group_id`);

INSERT INTO system_settings VALUES
    (1,'app_url','http://10.0.0.7:3001','config.app_url_desc','2025-07-01 09:00:00.123456789+08:00','2025-07-01 09:00:00.123456789+08:00'),
    (2,'proxy_keys','sk-global','config.proxy_keys_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
    (3,'request_timeout','1e+06','config.request_timeout_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
    (4,'max_retries','5','config.max_retries_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
    (5,'of_a_later_version','whatever','',NULL,NULL);
INSERT INTO groups VALUES
    (1,'openai-main',NULL,NULL,'[{"url":"https://api.openai.com","weight":1}]','openai',10,'gpt-4.1-nano','null','{"max_retries":2}','2025-07-02 09:30:00.5+08:00','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
    (2,'claude','Claude','second', '[ {"weight": 3, "url": "https://api.anthropic.com"} ]','anthropic',NULL,'claude-3-haiku',NULL,'null',NULL,NULL,NULL);
INSERT INTO api_keys VALUES
    (1,'sk-test-0001',1,'active',7,0,'2025-07-02 10:00:00+08:00','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
    (2,'',1,'invalid',0,3,NULL,'2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
    (3,'sk-orphan',99,'active',0,0,NULL,NULL,NULL);
INSERT INTO request_logs VALUES
    ('0b9f6c1e-64c5-4b8e-9f0e-0c64c5a2b111','2025-07-02 10:00:00.25+08:00',1,'openai-main','sk-test-0001',1,'203.0.113.9',200,'/proxy/openai-main/v1/models',120,'','',0,'https://api.openai.com/v1/models',0);
INSERT INTO group_hourly_stats VALUES (1,'2025-07-02 10:00:00+08:00',1,1,0,'2025-07-02 10:01:00+08:00','2025-07-02 10:01:00+08:00');
"#;
