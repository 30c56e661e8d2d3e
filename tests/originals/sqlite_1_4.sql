-- Made by tests/originals/make.py; what it holds stands in README.md.
CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,`setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`));
CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),`proxy_keys` text,`description` varchar(512),`group_type` varchar(50) DEFAULT "standard",`upstreams` JSON NOT NULL,`validation_endpoint` varchar(255),`channel_type` varchar(50) NOT NULL,`sort` integer DEFAULT 0,`test_model` varchar(255) NOT NULL,`param_overrides` JSON,`config` JSON,`header_rules` JSON,`model_redirect_rules` JSON,`model_redirect_strict` numeric DEFAULT false,`last_validated_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `uni_groups_name` UNIQUE (`name`));
CREATE TABLE `group_sub_groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`group_id` integer NOT NULL,`sub_group_id` integer NOT NULL,`weight` integer DEFAULT 0,`created_at` datetime,`updated_at` datetime);
CREATE UNIQUE INDEX `idx_group_sub` ON `group_sub_groups`(`group_id`,`sub_group_id`);
CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` text NOT NULL,`key_hash` varchar(128),`group_id` integer NOT NULL,`status` varchar(50) NOT NULL DEFAULT "active",`notes` varchar(255) DEFAULT "",`request_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`last_used_at` datetime,`created_at` datetime,`updated_at` datetime,CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
CREATE INDEX `idx_api_keys_status` ON `api_keys`(`status`);
CREATE INDEX `idx_api_keys_group_id` ON `api_keys`(`group_id`);
CREATE INDEX `idx_api_keys_key_hash` ON `api_keys`(`key_hash`);
CREATE INDEX `idx_api_keys_group_last_used_id` ON `api_keys`(`group_id`,`last_used_at`,`id`);
CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` datetime NOT NULL,`group_id` integer NOT NULL,`group_name` varchar(255),`parent_group_id` integer,`parent_group_name` varchar(255),`key_value` text,`key_hash` varchar(128),`model` varchar(255),`is_success` numeric NOT NULL,`source_ip` varchar(64),`status_code` integer NOT NULL,`request_path` varchar(500),`duration` integer NOT NULL,`error_message` text,`user_agent` varchar(512),`request_type` varchar(20) NOT NULL DEFAULT "final",`upstream_addr` varchar(500),`is_stream` numeric NOT NULL,`request_body` text,PRIMARY KEY (`id`));
CREATE INDEX `idx_request_logs_request_type` ON `request_logs`(`request_type`);
CREATE INDEX `idx_request_logs_model` ON `request_logs`(`model`);
CREATE INDEX `idx_request_logs_key_hash` ON `request_logs`(`key_hash`);
CREATE INDEX `idx_request_logs_parent_group_name` ON `request_logs`(`parent_group_name`);
CREATE INDEX `idx_request_logs_parent_group_id` ON `request_logs`(`parent_group_id`);
CREATE INDEX `idx_request_logs_group_name` ON `request_logs`(`group_name`);
CREATE INDEX `idx_request_logs_group_id` ON `request_logs`(`group_id`);
CREATE INDEX `idx_request_logs_timestamp` ON `request_logs`(`timestamp`);
CREATE TABLE `group_hourly_stats` (`id` integer PRIMARY KEY AUTOINCREMENT,`time` datetime NOT NULL,`group_id` integer NOT NULL,`success_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,`created_at` datetime,`updated_at` datetime);
CREATE UNIQUE INDEX `idx_group_time` ON `group_hourly_stats`(`time`,`group_id`);
INSERT INTO `system_settings` (`id`,`setting_key`,`setting_value`,`description`,`created_at`,`updated_at`) VALUES
 (1,'app_url','http://localhost:3001','config.app_url_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (2,'proxy_keys','sk-global-1,sk-global-2','config.proxy_keys_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (3,'request_log_retention_days','0','config.log_retention_days_desc','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (4,'request_log_write_interval_minutes','1','config.log_write_interval_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (5,'enable_request_body_logging','false','config.enable_request_body_logging_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (6,'request_timeout','1e+06','config.request_timeout_desc','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (7,'connect_timeout','15','config.connect_timeout_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (8,'idle_conn_timeout','120','config.idle_conn_timeout_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (9,'response_header_timeout','600','config.response_header_timeout_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (10,'max_idle_conns','100','config.max_idle_conns_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (11,'max_idle_conns_per_host','50','config.max_idle_conns_per_host_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (12,'proxy_url','','config.proxy_url_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (13,'max_retries','3','config.max_retries_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (14,'blacklist_threshold','5','config.blacklist_threshold_desc','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (15,'key_validation_interval_minutes','60','config.key_validation_interval_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (16,'key_validation_concurrency','10','config.key_validation_concurrency_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (17,'key_validation_timeout_seconds','20','config.key_validation_timeout_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (18,'failover_status_codes','400-403,405-999','config.failover_status_codes_desc','2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00');
UPDATE sqlite_sequence SET seq = 18 WHERE name = 'system_settings';
INSERT INTO `groups` (`id`,`name`,`display_name`,`proxy_keys`,`description`,`group_type`,`upstreams`,`validation_endpoint`,`channel_type`,`sort`,`test_model`,`param_overrides`,`config`,`header_rules`,`model_redirect_rules`,`model_redirect_strict`,`last_validated_at`,`created_at`,`updated_at`) VALUES
 (1,'openai-main','OpenAI 主力','sk-client,sk-team-b','it''s the first','standard','[{"url":"http://mock.invalid/","weight":2},{"url":"http://unused.invalid","weight":0}]','','openai',1,'mock-small','{"temperature":0.5}','{"blacklist_threshold":2,"max_retries":1}','[{"action":"set","key":"X-Group","value":"${GROUP_NAME}"},{"action":"set","key":"X-Odd","value":"a\u0026b \u003cc\u003e"},{"action":"remove","key":"X-Secret","value":""}]','{"fast":"mock-small"}',0,'2026-11-20 09:25:00.125+08:00','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (2,'openai-spare','','sk-client','','standard','[{"url":"http://mock.invalid","weight":1}]','/v1/chat/completions','openai',2,'mock-small','null','null','[]','{}',0,NULL,'2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (3,'claude',NULL,NULL,NULL,NULL,'[{"url":"http://mock.invalid","weight":1}]',NULL,'anthropic',3,'mock-small',NULL,NULL,NULL,NULL,NULL,NULL,'2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (4,'gemini','Gemini','sk-client','','standard','[{"url":"http://mock.invalid","weight":1}]','','gemini',4,'mock-small','{}','{"enable_request_body_logging":true}','[]','{"gemini-fast":"mock-small"}',1,'2026-11-20 09:25:01+08:00','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (5,'all-openai','All','sk-client','','aggregate','[]','','openai',5,'-','null','null','[]','{}',0,NULL,'2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00');
UPDATE sqlite_sequence SET seq = 7 WHERE name = 'groups';
INSERT INTO `group_sub_groups` (`id`,`group_id`,`sub_group_id`,`weight`,`created_at`,`updated_at`) VALUES
 (1,5,1,10,'2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00'),
 (2,5,2,5,'2026-03-02 10:00:00.25+08:00','2026-03-02 10:00:00.25+08:00');
UPDATE sqlite_sequence SET seq = 3 WHERE name = 'group_sub_groups';
INSERT INTO `api_keys` (`id`,`key_value`,`key_hash`,`group_id`,`status`,`notes`,`request_count`,`failure_count`,`last_used_at`,`created_at`,`updated_at`) VALUES
 (1,'sk-test-0123456789abcdefghijklmnop','9a45518ce0669b481e610468259173e15c47184e6a0847a4673743867f3831fc',1,'active','主力 key',12,0,'2026-11-20 09:15:30.123456789+08:00','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (2,'sk-second-0002','ec4fae48839ae0243225bad541cf09f2438b626bee6be7520daf112e3489e7ba',1,'active','',3,1,'2026-11-20 09:20:00+08:00','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (3,'sk-dead-0003','8a3e1bacd5640d0f6320a5131c34188338c2cae37819734b63aa87a0b849f7b8',1,'invalid','',1,2,'2026-10-01 12:00:00.75+08:00','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (5,'sk-spare-0005','bdec64df873c425d77e775face8525cc9434a1e516e30d1acd42d4610fba545e',2,'active',NULL,0,0,NULL,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (6,'sk-test-0123456789abcdefghijklmnop','9a45518ce0669b481e610468259173e15c47184e6a0847a4673743867f3831fc',2,'active','',1,0,'2026-11-20 07:00:00.5+05:30','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (7,'sk-ant-0007','cfe32f3d79c1c787c00cfa7b0bd25ceb1f090a4c8f278f8c53ee5a34c4fee07d',3,'active','',0,4,NULL,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (8,'AIzaSyTestKey-000000000000000000000000','bf77492c19037c3fd7903dc207b79b53de570412a30d253c9619788e55675b28',4,'active','',1,0,'2026-11-20 09:40:00.001+08:00','2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (10,'sk-orphan-0010','e3a823ee9dabb3e5ddff037ed07dd3a009007b6d3e4b2ec3ac952f16cd1ec36d',6,'active','',9,0,NULL,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00');
UPDATE sqlite_sequence SET seq = 10 WHERE name = 'api_keys';
INSERT INTO `request_logs` (`id`,`timestamp`,`group_id`,`group_name`,`parent_group_id`,`parent_group_name`,`key_value`,`key_hash`,`model`,`is_success`,`source_ip`,`status_code`,`request_path`,`duration`,`error_message`,`user_agent`,`request_type`,`upstream_addr`,`is_stream`,`request_body`) VALUES
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b101','2026-11-20 09:15:30.123456789+08:00',1,'openai-main',0,'','sk-test-0123456789abcdefghijklmnop','9a45518ce0669b481e610468259173e15c47184e6a0847a4673743867f3831fc','fast',1,'203.0.113.9',200,'/proxy/openai-main/v1/chat/completions',120,'','','final','http://mock.invalid/v1/chat/completions',1,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b102','2026-11-20 09:19:59.5+08:00',2,'openai-spare',5,'all-openai','sk-spare-0005','bdec64df873c425d77e775face8525cc9434a1e516e30d1acd42d4610fba545e','mock-small',0,'203.0.113.9',429,'/proxy/all-openai/v1/chat/completions',35,'限流: it''s too much','','retry','http://mock.invalid/v1/chat/completions',0,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b103','2026-11-20 09:20:00+08:00',1,'openai-main',5,'all-openai','sk-second-0002','ec4fae48839ae0243225bad541cf09f2438b626bee6be7520daf112e3489e7ba','mock-small',1,'203.0.113.9',200,'/proxy/all-openai/v1/chat/completions',80,'','','final','http://mock.invalid/v1/chat/completions',0,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b104','2026-11-20 10:05:00+08:00',3,'claude',0,'','','','',0,'2001:db8::1',503,'/proxy/claude/v1/messages',0,'no key','','final','',0,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b105','2026-11-20 09:40:00.001+08:00',4,'gemini',0,'','AIzaSyTestKey-000000000000000000000000','bf77492c19037c3fd7903dc207b79b53de570412a30d253c9619788e55675b28','gemini-fast',1,'203.0.113.10',200,'/proxy/gemini/v1beta/models/gemini-fast:generateContent',300,'','curl/8.5.0','final','http://mock.invalid/v1beta/models/mock-small:generateContent',0,'{"contents":[{"parts":[{"text":"你好, \"it''s\" \\ me"}]}]}'),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b106','2026-11-20 07:00:00.5+05:30',2,'openai-spare',0,'','sk-test-0123456789abcdefghijklmnop','9a45518ce0669b481e610468259173e15c47184e6a0847a4673743867f3831fc','mock-small',1,'203.0.113.9',200,'/proxy/openai-spare/v1/chat/completions',64,'','','final','http://mock.invalid/v1/chat/completions',0,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b107','2026-03-02 10:30:00.25+08:00',3,'claude',NULL,NULL,'sk-ant-0007',NULL,NULL,1,'203.0.113.9',200,'/proxy/claude/v1/messages',210,'','','final','http://mock.invalid/v1/messages',0,NULL);
INSERT INTO `group_hourly_stats` (`id`,`time`,`group_id`,`success_count`,`failure_count`,`created_at`,`updated_at`) VALUES
 (1,'2026-11-20 00:00:00+08:00',1,10,0,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (2,'2026-11-20 09:00:00+08:00',1,5,1,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (3,'2026-11-20 06:30:00+05:30',1,2,0,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (4,'2026-11-20 06:30:00+05:30',2,1,0,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (5,'2026-11-20 09:00:00+08:00',5,4,1,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (6,'2026-11-20 09:00:00+08:00',4,1,0,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (7,'2026-11-20 10:00:00+08:00',3,0,2,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (8,'2026-11-20 10:00:00+08:00',6,3,0,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00'),
 (9,'2026-11-20 10:00:00+08:00',7,3,0,'2026-03-02 10:00:00.25+08:00','2026-11-20 09:30:00.5+08:00');
UPDATE sqlite_sequence SET seq = 9 WHERE name = 'group_hourly_stats';
