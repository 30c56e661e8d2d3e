-- Made by tests/originals/make.py; what it holds stands in README.md.
CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,`setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`));
CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),`description` varchar(512),`upstreams` JSON NOT NULL,`channel_type` varchar(50) NOT NULL,`sort` integer DEFAULT 0,`test_model` varchar(255) NOT NULL,`param_overrides` JSON,`config` JSON,`last_validated_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_groups_name` UNIQUE (`name`));
CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` varchar(512) NOT NULL,`group_id` integer NOT NULL,`status` varchar(50) NOT NULL DEFAULT "active",`request_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`last_used_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
CREATE UNIQUE INDEX `idx_group_key` ON `api_keys`(`key_value`,`group_id`);
CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` datetime NOT NULL,`group_id` integer NOT NULL,`group_name` varchar(255),`key_value` varchar(512),`is_success` numeric NOT NULL,`source_ip` varchar(45),`status_code` integer NOT NULL,`request_path` varchar(500),`duration` integer NOT NULL,`error_message` text,`user_agent` varchar(512),`retries` integer NOT NULL,`upstream_addr` varchar(500),`is_stream` numeric NOT NULL,PRIMARY KEY (`id`));
CREATE INDEX `idx_request_logs_group_name` ON `request_logs`(`group_name`);
CREATE INDEX `idx_request_logs_group_id` ON `request_logs`(`group_id`);
CREATE INDEX `idx_request_logs_timestamp` ON `request_logs`(`timestamp`);
CREATE TABLE `group_hourly_stats` (`id` integer PRIMARY KEY AUTOINCREMENT,`time` datetime NOT NULL,`group_id` integer NOT NULL,`success_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`created_at` datetime,`updated_at` datetime);
CREATE UNIQUE INDEX `idx_group_time` ON `group_hourly_stats`(`time`,`group_id`);
INSERT INTO `system_settings` (`id`,`setting_key`,`setting_value`,`description`,`created_at`,`updated_at`) VALUES
 (1,'app_url','http://localhost:3001','config.app_url_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (2,'request_log_retention_days','0','config.log_retention_days_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (3,'request_log_write_interval_minutes','1','config.log_write_interval_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (4,'request_timeout','1e+06','config.request_timeout_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (5,'connect_timeout','15','config.connect_timeout_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (6,'idle_conn_timeout','120','config.idle_conn_timeout_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (7,'max_idle_conns','100','config.max_idle_conns_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (8,'max_idle_conns_per_host','50','config.max_idle_conns_per_host_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (9,'max_retries','3','config.max_retries_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (10,'blacklist_threshold','5','config.blacklist_threshold_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (11,'key_validation_interval_minutes','60','config.key_validation_interval_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (12,'key_validation_concurrency','10','config.key_validation_concurrency_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (13,'key_validation_timeout_seconds','20','config.key_validation_timeout_desc','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00');
INSERT INTO `groups` (`id`,`name`,`display_name`,`description`,`upstreams`,`channel_type`,`sort`,`test_model`,`param_overrides`,`config`,`last_validated_at`,`created_at`,`updated_at`) VALUES
 (1,'team','Team','','[{"url":"http://mock.invalid","weight":1}]','openai',1,'mock-small','null','{"max_retries":0}',NULL,'2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (2,'claude',NULL,NULL,'[{"url":"http://mock.invalid","weight":1}]','anthropic',2,'mock-small',NULL,NULL,NULL,'2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00');
UPDATE sqlite_sequence SET seq = 2 WHERE name = 'groups';
INSERT INTO `api_keys` (`id`,`key_value`,`group_id`,`status`,`request_count`,`failure_count`,`last_used_at`,`created_at`,`updated_at`) VALUES
 (1,'sk-test-0001',1,'active',7,0,'2025-07-02 10:00:00.25+08:00','2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (2,'sk-test-0002',1,'invalid',0,3,NULL,'2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00'),
 (3,'sk-test-0001',2,'active',0,0,NULL,'2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00');
UPDATE sqlite_sequence SET seq = 3 WHERE name = 'api_keys';
INSERT INTO `request_logs` (`id`,`timestamp`,`group_id`,`group_name`,`key_value`,`is_success`,`source_ip`,`status_code`,`request_path`,`duration`,`error_message`,`user_agent`,`retries`,`upstream_addr`,`is_stream`) VALUES
 ('2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b201','2025-07-02 10:00:00.25+08:00',1,'team','sk-test-0001',1,'203.0.113.9',200,'/proxy/team/v1/chat/completions',120,'','curl/8.5.0',0,'http://mock.invalid/v1/chat/completions',0),
 ('2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b202','2025-07-02 10:01:00+08:00',1,'team','sk-test-0002',0,'203.0.113.9',401,'/proxy/team/v1/chat/completions',20,'invalid key','',1,'http://mock.invalid/v1/chat/completions',0);
INSERT INTO `group_hourly_stats` (`id`,`time`,`group_id`,`success_count`,`failure_count`,`created_at`,`updated_at`) VALUES
 (1,'2025-07-02 10:00:00+08:00',1,1,1,'2025-07-01 09:00:00+08:00','2025-07-01 09:00:00+08:00');
UPDATE sqlite_sequence SET seq = 1 WHERE name = 'group_hourly_stats';
