//! The schema on PostgreSQL, in the texts of the original.

use super::Table;

#[rustfmt::skip]
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "system_settings",
        create: "CREATE TABLE \"system_settings\" (\"id\" bigserial,\"setting_key\" varchar(255) NOT NULL,\"setting_value\" text NOT NULL,\"description\" varchar(512),\"created_at\" timestamptz,\"updated_at\" timestamptz,PRIMARY KEY (\"id\"),CONSTRAINT \"uni_system_settings_setting_key\" UNIQUE (\"setting_key\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
    Table {
        name: "groups",
        create: "CREATE TABLE \"groups\" (\"id\" bigserial,\"name\" varchar(255) NOT NULL,\"display_name\" varchar(255),\"proxy_keys\" text,\"description\" varchar(512),\"group_type\" varchar(50) DEFAULT 'standard',\"upstreams\" JSONB NOT NULL,\"validation_endpoint\" varchar(255),\"channel_type\" varchar(50) NOT NULL,\"sort\" bigint DEFAULT 0,\"test_model\" varchar(255) NOT NULL,\"param_overrides\" JSONB,\"config\" JSONB,\"header_rules\" JSONB,\"model_redirect_rules\" JSONB,\"model_redirect_strict\" boolean DEFAULT false,\"last_validated_at\" timestamptz,\"created_at\" timestamptz,\"updated_at\" timestamptz,PRIMARY KEY (\"id\"),CONSTRAINT \"uni_groups_name\" UNIQUE (\"name\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
    Table {
        name: "group_sub_groups",
        create: "CREATE TABLE \"group_sub_groups\" (\"id\" bigserial,\"group_id\" bigint NOT NULL,\"sub_group_id\" bigint NOT NULL,\"weight\" bigint DEFAULT 0,\"created_at\" timestamptz,\"updated_at\" timestamptz,PRIMARY KEY (\"id\"))",
        own_columns: &[],
        indexes: &[
            ("idx_group_sub", "CREATE UNIQUE INDEX \"idx_group_sub\" ON \"group_sub_groups\" (\"group_id\",\"sub_group_id\")"),
        ],
    },
    Table {
        name: "api_keys",
        create: "CREATE TABLE \"api_keys\" (\"id\" bigserial,\"key_value\" text NOT NULL,\"key_hash\" varchar(128),\"group_id\" bigint NOT NULL,\"status\" varchar(50) NOT NULL DEFAULT 'active',\"notes\" varchar(255) DEFAULT '',\"request_count\" bigint NOT NULL DEFAULT 0,\"failure_count\" bigint NOT NULL DEFAULT 0,\"last_used_at\" timestamptz,\"created_at\" timestamptz,\"updated_at\" timestamptz,PRIMARY KEY (\"id\"),CONSTRAINT \"fk_groups_api_keys\" FOREIGN KEY (\"group_id\") REFERENCES \"groups\"(\"id\"))",
        own_columns: &[("out_since", "\"out_since\" timestamptz"), ("failure_status", "\"failure_status\" bigint"), ("failure_message", "\"failure_message\" varchar(512)"), ("failed_at", "\"failed_at\" timestamptz")],
        indexes: &[
            ("idx_api_keys_status", "CREATE INDEX \"idx_api_keys_status\" ON \"api_keys\" (\"status\")"),
            ("idx_api_keys_group_id", "CREATE INDEX \"idx_api_keys_group_id\" ON \"api_keys\" (\"group_id\")"),
            ("idx_api_keys_key_hash", "CREATE INDEX \"idx_api_keys_key_hash\" ON \"api_keys\" (\"key_hash\")"),
            ("idx_api_keys_group_last_used_id", "CREATE INDEX \"idx_api_keys_group_last_used_id\" ON \"api_keys\" (\"group_id\",\"last_used_at\",\"id\")"),
            ("idx_gpt_load_keys_status", "CREATE INDEX \"idx_gpt_load_keys_status\" ON \"api_keys\" (\"group_id\",\"status\")"),
        ],
    },
    Table {
        name: "request_logs",
        create: "CREATE TABLE \"request_logs\" (\"id\" varchar(36),\"timestamp\" timestamptz NOT NULL,\"group_id\" bigint NOT NULL,\"group_name\" varchar(255),\"parent_group_id\" bigint,\"parent_group_name\" varchar(255),\"key_value\" text,\"key_hash\" varchar(128),\"model\" varchar(255),\"is_success\" boolean NOT NULL,\"source_ip\" varchar(64),\"status_code\" bigint NOT NULL,\"request_path\" varchar(500),\"duration\" bigint NOT NULL,\"error_message\" text,\"user_agent\" varchar(512),\"request_type\" varchar(20) NOT NULL DEFAULT 'final',\"upstream_addr\" varchar(500),\"is_stream\" boolean NOT NULL,\"request_body\" text,PRIMARY KEY (\"id\"))",
        own_columns: &[("request_id", "\"request_id\" varchar(36)"), ("attempt", "\"attempt\" bigint"), ("first_byte_ms", "\"first_byte_ms\" bigint"), ("overhead_us", "\"overhead_us\" bigint"), ("verdict", "\"verdict\" varchar(16)"), ("client_key", "\"client_key\" varchar(64)"), ("sent_model", "\"sent_model\" varchar(255)"), ("upstream_request_id", "\"upstream_request_id\" varchar(128)")],
        // An index of the original has the time as well: within one value, the newest come first without being sorted.
        // Where nearly all rows have the same value, those are left out.
        indexes: &[
            ("idx_request_logs_request_type", "CREATE INDEX \"idx_request_logs_request_type\" ON \"request_logs\" (\"request_type\",\"timestamp\") WHERE request_type <> 'final'"),
            ("idx_request_logs_model", "CREATE INDEX \"idx_request_logs_model\" ON \"request_logs\" (\"model\",\"timestamp\")"),
            ("idx_request_logs_key_hash", "CREATE INDEX \"idx_request_logs_key_hash\" ON \"request_logs\" (\"key_hash\",\"timestamp\")"),
            ("idx_request_logs_parent_group_name", "CREATE INDEX \"idx_request_logs_parent_group_name\" ON \"request_logs\" (\"parent_group_name\",\"timestamp\") WHERE parent_group_name <> ''"),
            ("idx_request_logs_parent_group_id", "CREATE INDEX \"idx_request_logs_parent_group_id\" ON \"request_logs\" (\"parent_group_id\",\"timestamp\") WHERE parent_group_id <> 0"),
            ("idx_request_logs_group_name", "CREATE INDEX \"idx_request_logs_group_name\" ON \"request_logs\" (\"group_name\",\"timestamp\")"),
            ("idx_request_logs_group_id", "CREATE INDEX \"idx_request_logs_group_id\" ON \"request_logs\" (\"group_id\",\"timestamp\")"),
            ("idx_request_logs_timestamp", "CREATE INDEX \"idx_request_logs_timestamp\" ON \"request_logs\" (\"timestamp\")"),
            ("idx_gpt_load_logs_source_ip", "CREATE INDEX \"idx_gpt_load_logs_source_ip\" ON \"request_logs\" (\"source_ip\",\"timestamp\")"),
            ("idx_gpt_load_logs_client_key", "CREATE INDEX \"idx_gpt_load_logs_client_key\" ON \"request_logs\" (\"client_key\",\"timestamp\") WHERE client_key IS NOT NULL"),
            ("idx_gpt_load_logs_status", "CREATE INDEX \"idx_gpt_load_logs_status\" ON \"request_logs\" (\"status_code\",\"timestamp\") WHERE status_code <> 200"),
            ("idx_gpt_load_logs_verdict", "CREATE INDEX \"idx_gpt_load_logs_verdict\" ON \"request_logs\" (\"verdict\",\"timestamp\") WHERE verdict <> 'success'"),
            ("idx_gpt_load_logs_failed", "CREATE INDEX \"idx_gpt_load_logs_failed\" ON \"request_logs\" (\"timestamp\") WHERE is_success = false"),
        ],
    },
    Table {
        name: "group_hourly_stats",
        create: "CREATE TABLE \"group_hourly_stats\" (\"id\" bigserial,\"time\" timestamptz NOT NULL,\"group_id\" bigint NOT NULL,\"success_count\" bigint NOT NULL DEFAULT 0,\"failure_count\" bigint NOT NULL DEFAULT 0,\"created_at\" timestamptz,\"updated_at\" timestamptz,PRIMARY KEY (\"id\"))",
        own_columns: &[("retry_count", "\"retry_count\" bigint"), ("aborted_count", "\"aborted_count\" bigint")],
        indexes: &[
            ("idx_group_time", "CREATE UNIQUE INDEX \"idx_group_time\" ON \"group_hourly_stats\" (\"time\",\"group_id\")"),
            ("idx_gpt_load_hours_of_group", "CREATE INDEX \"idx_gpt_load_hours_of_group\" ON \"group_hourly_stats\" (\"group_id\",\"time\")"),
        ],
    },
    Table {
        name: "gpt_load_state",
        create: "CREATE TABLE \"gpt_load_state\" (\"name\" varchar(64) NOT NULL,\"value\" text NOT NULL,PRIMARY KEY (\"name\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
    Table {
        name: "gpt_load_tasks",
        create: "CREATE TABLE \"gpt_load_tasks\" (\"id\" bigserial,\"task_type\" varchar(32) NOT NULL,\"group_id\" bigint NOT NULL,\"group_name\" varchar(255) NOT NULL,\"state\" varchar(16) NOT NULL,\"processed\" bigint NOT NULL DEFAULT 0,\"total\" bigint NOT NULL DEFAULT 0,\"result\" text,\"error\" text,\"started_at\" timestamptz NOT NULL,\"finished_at\" timestamptz,\"node\" varchar(36),PRIMARY KEY (\"id\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
    Table {
        name: "gpt_load_changes",
        create: "CREATE TABLE \"gpt_load_changes\" (\"number\" bigint NOT NULL,\"node\" varchar(36) NOT NULL,\"kind\" varchar(16) NOT NULL,\"group_id\" bigint,\"first_id\" bigint,\"last_id\" bigint,\"ids\" text,\"created_at\" bigint NOT NULL,PRIMARY KEY (\"number\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
    Table {
        name: "gpt_load_leases",
        create: "CREATE TABLE \"gpt_load_leases\" (\"name\" varchar(64) NOT NULL,\"node\" varchar(36) NOT NULL,\"expires_at\" bigint NOT NULL,PRIMARY KEY (\"name\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
    Table {
        name: "gpt_load_nodes",
        create: "CREATE TABLE \"gpt_load_nodes\" (\"node\" varchar(36) NOT NULL,\"role\" varchar(16) NOT NULL,\"release_name\" varchar(32) NOT NULL,\"address\" varchar(255) NOT NULL,\"started_at\" bigint NOT NULL,\"seen_at\" bigint NOT NULL,PRIMARY KEY (\"node\"))",
        own_columns: &[],
        indexes: &[
        ],
    },
];
