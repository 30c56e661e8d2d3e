-- Made by tests/originals/make.py; what it holds stands in README.md.
CREATE TABLE `system_settings` (`id` bigint unsigned AUTO_INCREMENT,`setting_key` varchar(255) NOT NULL,`setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime(3) NULL,`updated_at` datetime(3) NULL,PRIMARY KEY (`id`),CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`));
CREATE TABLE `groups` (`id` bigint unsigned AUTO_INCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),`description` varchar(512),`upstreams` JSON NOT NULL,`channel_type` varchar(50) NOT NULL,`sort` bigint DEFAULT 0,`test_model` varchar(255) NOT NULL,`param_overrides` JSON,`config` JSON,`last_validated_at` datetime(3) NULL,`created_at` datetime(3) NULL,`updated_at` datetime(3) NULL,PRIMARY KEY (`id`),CONSTRAINT `uni_groups_name` UNIQUE (`name`));
CREATE TABLE `api_keys` (`id` bigint unsigned AUTO_INCREMENT,`key_value` varchar(512) NOT NULL,`group_id` bigint unsigned NOT NULL,`status` varchar(50) NOT NULL DEFAULT 'active',`request_count` bigint NOT NULL DEFAULT 0,`failure_count` bigint NOT NULL DEFAULT 0,`last_used_at` datetime(3) NULL,`created_at` datetime(3) NULL,`updated_at` datetime(3) NULL,PRIMARY KEY (`id`),UNIQUE INDEX `idx_group_key` (`key_value`,`group_id`),CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` datetime(3) NOT NULL,`group_id` bigint unsigned NOT NULL,`key_id` bigint unsigned NOT NULL,`is_success` boolean NOT NULL,`source_ip` varchar(45),`status_code` bigint NOT NULL,`request_path` varchar(500),`duration` bigint NOT NULL,`error_message` text,`user_agent` varchar(512),`retries` bigint NOT NULL,`upstream_addr` varchar(500),`is_stream` boolean NOT NULL,`group_name` varchar(255),`key_value` varchar(512),PRIMARY KEY (`id`),INDEX `idx_request_logs_timestamp` (`timestamp`),INDEX `idx_request_logs_group_id` (`group_id`),INDEX `idx_request_logs_key_id` (`key_id`),INDEX `idx_request_logs_group_name` (`group_name`));
CREATE TABLE `group_hourly_stats` (`id` bigint unsigned AUTO_INCREMENT,`time` datetime(3) NOT NULL,`group_id` bigint unsigned NOT NULL,`success_count` bigint NOT NULL DEFAULT 0,`failure_count` bigint NOT NULL DEFAULT 0,`created_at` datetime(3) NULL,`updated_at` datetime(3) NULL,PRIMARY KEY (`id`),UNIQUE INDEX `idx_group_time` (`time`,`group_id`));
INSERT INTO `system_settings` (`id`,`setting_key`,`setting_value`,`description`,`created_at`,`updated_at`) VALUES
 (1,'app_url','http://localhost:3001','config.app_url_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (2,'request_log_retention_days','0','config.log_retention_days_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (3,'request_log_write_interval_minutes','1','config.log_write_interval_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (4,'request_timeout','1e+06','config.request_timeout_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (5,'connect_timeout','15','config.connect_timeout_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (6,'idle_conn_timeout','120','config.idle_conn_timeout_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (7,'max_idle_conns','100','config.max_idle_conns_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (8,'max_idle_conns_per_host','50','config.max_idle_conns_per_host_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (9,'max_retries','3','config.max_retries_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (10,'blacklist_threshold','5','config.blacklist_threshold_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (11,'key_validation_interval_minutes','60','config.key_validation_interval_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (12,'key_validation_concurrency','10','config.key_validation_concurrency_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (13,'key_validation_timeout_seconds','20','config.key_validation_timeout_desc','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000');
INSERT INTO `groups` (`id`,`name`,`display_name`,`description`,`upstreams`,`channel_type`,`sort`,`test_model`,`param_overrides`,`config`,`last_validated_at`,`created_at`,`updated_at`) VALUES
 (1,'team','Team','','[{"url":"http://mock.invalid","weight":1}]','openai',1,'mock-small','null','{"max_retries":0}',NULL,'2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (2,'claude',NULL,NULL,'[{"url":"http://mock.invalid","weight":1}]','anthropic',2,'mock-small',NULL,NULL,NULL,'2025-07-01 09:00:00.000','2025-07-01 09:00:00.000');
ALTER TABLE `groups` AUTO_INCREMENT = 3;
INSERT INTO `api_keys` (`id`,`key_value`,`group_id`,`status`,`request_count`,`failure_count`,`last_used_at`,`created_at`,`updated_at`) VALUES
 (1,'sk-test-0001',1,'active',7,0,'2025-07-02 10:00:00.250','2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (2,'sk-test-0002',1,'invalid',0,3,NULL,'2025-07-01 09:00:00.000','2025-07-01 09:00:00.000'),
 (3,'sk-test-0001',2,'active',0,0,NULL,'2025-07-01 09:00:00.000','2025-07-01 09:00:00.000');
ALTER TABLE `api_keys` AUTO_INCREMENT = 4;
INSERT INTO `request_logs` (`id`,`timestamp`,`group_id`,`group_name`,`key_value`,`is_success`,`source_ip`,`status_code`,`request_path`,`duration`,`error_message`,`user_agent`,`retries`,`upstream_addr`,`is_stream`,`key_id`) VALUES
 ('2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b201','2025-07-02 10:00:00.250',1,'team','sk-test-0001',1,'203.0.113.9',200,'/proxy/team/v1/chat/completions',120,'','curl/8.5.0',0,'http://mock.invalid/v1/chat/completions',0,1),
 ('2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b202','2025-07-02 10:01:00.000',1,'team','sk-test-0002',0,'203.0.113.9',401,'/proxy/team/v1/chat/completions',20,'invalid key','',1,'http://mock.invalid/v1/chat/completions',0,2),
 ('2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b203','2025-06-15 12:00:00.000',1,NULL,NULL,1,'203.0.113.9',200,'/proxy/team/v1/chat/completions',99,'','',0,NULL,0,1);
INSERT INTO `group_hourly_stats` (`id`,`time`,`group_id`,`success_count`,`failure_count`,`created_at`,`updated_at`) VALUES
 (1,'2025-07-02 10:00:00.000',1,1,1,'2025-07-01 09:00:00.000','2025-07-01 09:00:00.000');
ALTER TABLE `group_hourly_stats` AUTO_INCREMENT = 2;
