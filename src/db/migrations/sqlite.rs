//! The schema on SQLite, and how a file of any version of the original is brought up to it.
//!
//! The texts are those that the original stores, down to the quotes, because it compares them at its own start and
//! rebuilds a table that it finds different.

use std::collections::HashSet;

use super::{DROPPED_INDEXES, Table, columns, fill_hashes, record_version, refuse_newer, stored_version};
use crate::db::{Database, Engine, Error, Source, Sql, Transaction};

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "system_settings",
        create: "CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,`setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`))",
        own_columns: &[],
        indexes: &[],
    },
    Table {
        name: "groups",
        create: "CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),`proxy_keys` text,`description` varchar(512),`group_type` varchar(50) DEFAULT \"standard\",`upstreams` JSON NOT NULL,`validation_endpoint` varchar(255),`channel_type` varchar(50) NOT NULL,`sort` integer DEFAULT 0,`test_model` varchar(255) NOT NULL,`param_overrides` JSON,`config` JSON,`header_rules` JSON,`model_redirect_rules` JSON,`model_redirect_strict` numeric DEFAULT false,`last_validated_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_groups_name` UNIQUE (`name`))",
        own_columns: &[],
        indexes: &[],
    },
    Table {
        name: "group_sub_groups",
        create: "CREATE TABLE `group_sub_groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`group_id` integer NOT NULL,`sub_group_id` integer NOT NULL,`weight` integer DEFAULT 0,`created_at` datetime,`updated_at` datetime)",
        own_columns: &[],
        indexes: &[(
            "idx_group_sub",
            "CREATE UNIQUE INDEX `idx_group_sub` ON `group_sub_groups`(`group_id`,`sub_group_id`)",
        )],
    },
    Table {
        name: "api_keys",
        create: "CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` text NOT NULL,`key_hash` varchar(128),`group_id` integer NOT NULL,`status` varchar(50) NOT NULL DEFAULT \"active\",`notes` varchar(255) DEFAULT \"\",`request_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`last_used_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`))",
        own_columns: &[
            ("out_since", "`out_since` datetime"),
            ("failure_status", "`failure_status` integer"),
            ("failure_message", "`failure_message` varchar(512)"),
            ("failed_at", "`failed_at` datetime"),
        ],
        indexes: &[
            ("idx_api_keys_status", "CREATE INDEX `idx_api_keys_status` ON `api_keys`(`status`)"),
            ("idx_api_keys_group_id", "CREATE INDEX `idx_api_keys_group_id` ON `api_keys`(`group_id`)"),
            ("idx_api_keys_key_hash", "CREATE INDEX `idx_api_keys_key_hash` ON `api_keys`(`key_hash`)"),
            (
                "idx_api_keys_group_last_used_id",
                "CREATE INDEX `idx_api_keys_group_last_used_id` ON `api_keys`(`group_id`,`last_used_at`,`id`)",
            ),
            // Ours: a state of one group, without a look at its other keys.
            ("idx_gpt_load_keys_status", "CREATE INDEX `idx_gpt_load_keys_status` ON `api_keys`(`group_id`,`status`)"),
        ],
    },
    Table {
        name: "request_logs",
        create: "CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` datetime NOT NULL,`group_id` integer NOT NULL,`group_name` varchar(255),`parent_group_id` integer,`parent_group_name` varchar(255),`key_value` text,`key_hash` varchar(128),`model` varchar(255),`is_success` numeric NOT NULL,`source_ip` varchar(64),`status_code` integer NOT NULL,`request_path` varchar(500),`duration` integer NOT NULL,`error_message` text,`user_agent` varchar(512),`request_type` varchar(20) NOT NULL DEFAULT \"final\",`upstream_addr` varchar(500),`is_stream` numeric NOT NULL,`request_body` text,PRIMARY KEY (`id`))",
        own_columns: &[
            ("request_id", "`request_id` varchar(36)"),
            ("attempt", "`attempt` integer"),
            ("first_byte_ms", "`first_byte_ms` integer"),
            ("overhead_us", "`overhead_us` integer"),
            ("verdict", "`verdict` varchar(16)"),
            ("client_key", "`client_key` varchar(64)"),
            ("sent_model", "`sent_model` varchar(255)"),
            ("upstream_request_id", "`upstream_request_id` varchar(128)"),
        ],
        // Three of the original's have a condition of ours in a new file, since an index entry that is the same in nearly
        // every row costs as much as one that finds something. The original looks for an index by its name.
        indexes: &[
            (
                "idx_request_logs_request_type",
                "CREATE INDEX `idx_request_logs_request_type` ON `request_logs`(`request_type`) WHERE `request_type` <> 'final'",
            ),
            ("idx_request_logs_model", "CREATE INDEX `idx_request_logs_model` ON `request_logs`(`model`)"),
            ("idx_request_logs_key_hash", "CREATE INDEX `idx_request_logs_key_hash` ON `request_logs`(`key_hash`)"),
            (
                "idx_request_logs_parent_group_name",
                "CREATE INDEX `idx_request_logs_parent_group_name` ON `request_logs`(`parent_group_name`) WHERE `parent_group_name` <> ''",
            ),
            (
                "idx_request_logs_parent_group_id",
                "CREATE INDEX `idx_request_logs_parent_group_id` ON `request_logs`(`parent_group_id`) WHERE `parent_group_id` <> 0",
            ),
            (
                "idx_request_logs_group_name",
                "CREATE INDEX `idx_request_logs_group_name` ON `request_logs`(`group_name`)",
            ),
            ("idx_request_logs_group_id", "CREATE INDEX `idx_request_logs_group_id` ON `request_logs`(`group_id`)"),
            ("idx_request_logs_timestamp", "CREATE INDEX `idx_request_logs_timestamp` ON `request_logs`(`timestamp`)"),
            // Ours, for every filter of the log that the original's leave to a look at all rows.
            (
                "idx_gpt_load_logs_source_ip",
                "CREATE INDEX `idx_gpt_load_logs_source_ip` ON `request_logs`(`source_ip`)",
            ),
            (
                "idx_gpt_load_logs_client_key",
                "CREATE INDEX `idx_gpt_load_logs_client_key` ON `request_logs`(`client_key`) WHERE `client_key` IS NOT NULL",
            ),
            (
                "idx_gpt_load_logs_status",
                "CREATE INDEX `idx_gpt_load_logs_status` ON `request_logs`(`status_code`) WHERE `status_code` <> 200",
            ),
            (
                "idx_gpt_load_logs_verdict",
                "CREATE INDEX `idx_gpt_load_logs_verdict` ON `request_logs`(`verdict`) WHERE `verdict` <> 'success'",
            ),
            (
                "idx_gpt_load_logs_failed",
                "CREATE INDEX `idx_gpt_load_logs_failed` ON `request_logs`(`is_success`) WHERE `is_success` = 0",
            ),
            (
                "idx_gpt_load_logs_error",
                "CREATE INDEX `idx_gpt_load_logs_error` ON `request_logs`(`error_message`) WHERE `error_message` <> ''",
            ),
        ],
    },
    Table {
        name: "group_hourly_stats",
        create: "CREATE TABLE `group_hourly_stats` (`id` integer PRIMARY KEY AUTOINCREMENT,`time` datetime NOT NULL,`group_id` integer NOT NULL,`success_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`created_at` datetime,`updated_at` datetime)",
        own_columns: &[("retry_count", "`retry_count` integer"), ("aborted_count", "`aborted_count` integer")],
        indexes: &[
            ("idx_group_time", "CREATE UNIQUE INDEX `idx_group_time` ON `group_hourly_stats`(`time`,`group_id`)"),
            // Ours: a month of one group, without a look at the others.
            (
                "idx_gpt_load_hours_of_group",
                "CREATE INDEX `idx_gpt_load_hours_of_group` ON `group_hourly_stats`(`group_id`,`time`)",
            ),
        ],
    },
    // Ours alone; the original does not look at it.
    Table {
        name: "gpt_load_state",
        create: "CREATE TABLE `gpt_load_state` (`name` varchar(64) PRIMARY KEY,`value` text NOT NULL)",
        own_columns: &[],
        indexes: &[],
    },
    // Ours alone, too: long jobs, running and past.
    Table {
        name: "gpt_load_tasks",
        create: "CREATE TABLE `gpt_load_tasks` (`id` integer PRIMARY KEY AUTOINCREMENT,`task_type` varchar(32) NOT NULL,`group_id` integer NOT NULL,`group_name` varchar(255) NOT NULL,`state` varchar(16) NOT NULL,`processed` integer NOT NULL DEFAULT 0,`total` integer NOT NULL DEFAULT 0,`result` text,`error` text,`started_at` datetime NOT NULL,`finished_at` datetime)",
        own_columns: &[("node", "`node` varchar(36)")],
        indexes: &[],
    },
];

/// Either all tables and columns are in place afterwards, or the file is as it was. Indexes follow one by one.
pub(super) async fn prepare(database: &Database) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    if !column_names(&mut transaction, "gpt_load_state").await?.is_empty() {
        refuse_newer(stored_version(&mut transaction).await?)?;
    }
    for index in DROPPED_INDEXES {
        execute(&mut transaction, format!("DROP INDEX IF EXISTS `{index}`")).await?;
    }
    for table in TABLES {
        extend(&mut transaction, table).await?;
    }
    drop_retries(&mut transaction).await?;
    fill_hashes(&mut transaction).await?;
    record_version(&mut transaction).await?;
    transaction.commit().await?;
    for table in TABLES {
        complete_indexes(database, table).await?;
    }
    Ok(())
}

async fn extend(transaction: &mut Transaction, table: &Table) -> Result<(), Error> {
    let mut present = column_names(transaction, table.name).await?;
    let is_new = present.is_empty();
    if is_new {
        execute(transaction, table.create).await?;
        present.extend(columns(table.create).map(|(name, _)| name.to_owned()));
    }
    let own = table.own_columns.iter().copied();
    for (name, definition) in columns(table.create).chain(own).filter(|(name, _)| !present.contains(*name)) {
        if !is_new {
            tracing::info!("Adding column {name} to table {}", table.name);
        }
        execute(transaction, format!("ALTER TABLE `{}` ADD {definition}", table.name)).await?;
    }
    if is_new {
        for (_, create) in table.indexes {
            execute(transaction, *create).await?;
        }
    }
    Ok(())
}

/// Each index of a table that was there in a transaction of its own: with many rows it takes a while, and what was made
/// need not be made again if the start is cut short.
async fn complete_indexes(database: &Database, table: &Table) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    let present = index_names(&mut transaction, table.name).await?;
    transaction.rollback().await?;
    for (name, create) in table.indexes.iter().filter(|(name, _)| !present.contains(*name)) {
        tracing::info!("Making the index {name}, once; with many rows this takes some seconds");
        let mut transaction = database.begin().await?;
        execute(&mut transaction, *create).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// A column of versions before 1.0.22 that must not be NULL and that nobody fills any more.
async fn drop_retries(transaction: &mut Transaction) -> Result<(), Error> {
    if column_names(transaction, "request_logs").await?.contains("retries") {
        execute(transaction, "ALTER TABLE `request_logs` DROP COLUMN `retries`").await?;
    }
    Ok(())
}

pub(super) async fn column_names(transaction: &mut Transaction, table: &str) -> Result<HashSet<String>, Error> {
    names(transaction, "SELECT `name` FROM pragma_table_info(?)", table).await
}

pub(super) async fn index_names(transaction: &mut Transaction, table: &str) -> Result<HashSet<String>, Error> {
    names(transaction, "SELECT `name` FROM pragma_index_list(?)", table).await
}

async fn names(transaction: &mut Transaction, query: &'static str, table: &str) -> Result<HashSet<String>, Error> {
    let names: Vec<String> = transaction.values(Sql::new(Engine::Sqlite, query).bind(table)).await?;
    Ok(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
}

async fn execute(transaction: &mut Transaction, text: impl Into<String>) -> Result<(), Error> {
    // Every text is made of constants of this file.
    transaction.execute(Sql::made(Engine::Sqlite, text.into()).once()).await?;
    Ok(())
}
