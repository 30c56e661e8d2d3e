-- Made by tests/originals/make.py; what it holds stands in README.md.
CREATE TABLE "system_settings" ("id" bigserial,"setting_key" varchar(255) NOT NULL,"setting_value" text NOT NULL,"description" varchar(512),"created_at" timestamptz,"updated_at" timestamptz,PRIMARY KEY ("id"),CONSTRAINT "uni_system_settings_setting_key" UNIQUE ("setting_key"));
CREATE TABLE "groups" ("id" bigserial,"name" varchar(255) NOT NULL,"display_name" varchar(255),"proxy_keys" text,"description" varchar(512),"group_type" varchar(50) DEFAULT 'standard',"upstreams" JSONB NOT NULL,"validation_endpoint" varchar(255),"channel_type" varchar(50) NOT NULL,"sort" bigint DEFAULT 0,"test_model" varchar(255) NOT NULL,"param_overrides" JSONB,"config" JSONB,"header_rules" JSONB,"model_redirect_rules" JSONB,"model_redirect_strict" boolean DEFAULT false,"last_validated_at" timestamptz,"created_at" timestamptz,"updated_at" timestamptz,PRIMARY KEY ("id"),CONSTRAINT "uni_groups_name" UNIQUE ("name"));
CREATE TABLE "group_sub_groups" ("id" bigserial,"group_id" bigint NOT NULL,"sub_group_id" bigint NOT NULL,"weight" bigint DEFAULT 0,"created_at" timestamptz,"updated_at" timestamptz,PRIMARY KEY ("id"));
CREATE UNIQUE INDEX "idx_group_sub" ON "group_sub_groups" ("group_id","sub_group_id");
CREATE TABLE "api_keys" ("id" bigserial,"key_value" text NOT NULL,"key_hash" varchar(128),"group_id" bigint NOT NULL,"status" varchar(50) NOT NULL DEFAULT 'active',"notes" varchar(255) DEFAULT '',"request_count" bigint NOT NULL DEFAULT 0,"failure_count" bigint NOT NULL DEFAULT 0,"last_used_at" timestamptz,"created_at" timestamptz,"updated_at" timestamptz,PRIMARY KEY ("id"),CONSTRAINT "fk_groups_api_keys" FOREIGN KEY ("group_id") REFERENCES "groups"("id"));
CREATE INDEX "idx_api_keys_status" ON "api_keys" ("status");
CREATE INDEX "idx_api_keys_group_id" ON "api_keys" ("group_id");
CREATE INDEX "idx_api_keys_key_hash" ON "api_keys" ("key_hash");
CREATE INDEX "idx_api_keys_group_last_used_id" ON "api_keys" ("group_id","last_used_at","id");
CREATE TABLE "request_logs" ("id" varchar(36),"timestamp" timestamptz NOT NULL,"group_id" bigint NOT NULL,"group_name" varchar(255),"parent_group_id" bigint,"parent_group_name" varchar(255),"key_value" text,"key_hash" varchar(128),"model" varchar(255),"is_success" boolean NOT NULL,"source_ip" varchar(64),"status_code" bigint NOT NULL,"request_path" varchar(500),"duration" bigint NOT NULL,"error_message" text,"user_agent" varchar(512),"request_type" varchar(20) NOT NULL DEFAULT 'final',"upstream_addr" varchar(500),"is_stream" boolean NOT NULL,"request_body" text,PRIMARY KEY ("id"));
CREATE INDEX "idx_request_logs_timestamp" ON "request_logs" ("timestamp");
CREATE INDEX "idx_request_logs_group_id" ON "request_logs" ("group_id");
CREATE INDEX "idx_request_logs_group_name" ON "request_logs" ("group_name");
CREATE INDEX "idx_request_logs_parent_group_id" ON "request_logs" ("parent_group_id");
CREATE INDEX "idx_request_logs_parent_group_name" ON "request_logs" ("parent_group_name");
CREATE INDEX "idx_request_logs_key_hash" ON "request_logs" ("key_hash");
CREATE INDEX "idx_request_logs_model" ON "request_logs" ("model");
CREATE INDEX "idx_request_logs_request_type" ON "request_logs" ("request_type");
CREATE TABLE "group_hourly_stats" ("id" bigserial,"time" timestamptz NOT NULL,"group_id" bigint NOT NULL,"success_count" bigint NOT NULL DEFAULT 0,"failure_count" bigint NOT NULL DEFAULT 0,"created_at" timestamptz,"updated_at" timestamptz,PRIMARY KEY ("id"));
CREATE UNIQUE INDEX "idx_group_time" ON "group_hourly_stats" ("time","group_id");
INSERT INTO "system_settings" ("id","setting_key","setting_value","description","created_at","updated_at") VALUES
 (1,'app_url','http://localhost:3001','config.app_url_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (2,'proxy_keys','sk-global-1,sk-global-2','config.proxy_keys_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (3,'request_log_retention_days','0','config.log_retention_days_desc','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (4,'request_log_write_interval_minutes','1','config.log_write_interval_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (5,'enable_request_body_logging','false','config.enable_request_body_logging_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (6,'request_timeout','1e+06','config.request_timeout_desc','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (7,'connect_timeout','15','config.connect_timeout_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (8,'idle_conn_timeout','120','config.idle_conn_timeout_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (9,'response_header_timeout','600','config.response_header_timeout_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (10,'max_idle_conns','100','config.max_idle_conns_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (11,'max_idle_conns_per_host','50','config.max_idle_conns_per_host_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (12,'proxy_url','','config.proxy_url_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (13,'max_retries','3','config.max_retries_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (14,'blacklist_threshold','5','config.blacklist_threshold_desc','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (15,'key_validation_interval_minutes','60','config.key_validation_interval_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (16,'key_validation_concurrency','10','config.key_validation_concurrency_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (17,'key_validation_timeout_seconds','20','config.key_validation_timeout_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (18,'failover_status_codes','400-403,405-999','config.failover_status_codes_desc','2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08');
SELECT setval('system_settings_id_seq', 18);
INSERT INTO "groups" ("id","name","display_name","proxy_keys","description","group_type","upstreams","validation_endpoint","channel_type","sort","test_model","param_overrides","config","header_rules","model_redirect_rules","model_redirect_strict","last_validated_at","created_at","updated_at") VALUES
 (1,'openai-main','OpenAI 主力','sk-client,sk-team-b','it''s the first','standard','[{"url":"http://mock.invalid/","weight":2},{"url":"http://unused.invalid","weight":0}]','','openai',1,'mock-small','{"temperature":0.5}','{"blacklist_threshold":2,"max_retries":1}','[{"action":"set","key":"X-Group","value":"${GROUP_NAME}"},{"action":"set","key":"X-Odd","value":"a\u0026b \u003cc\u003e"},{"action":"remove","key":"X-Secret","value":""}]','{"fast":"mock-small"}',false,'2026-11-20 09:25:00.125000+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (2,'openai-spare','','sk-client','','standard','[{"url":"http://mock.invalid","weight":1}]','/v1/chat/completions','openai',2,'mock-small','null','null','[]','{}',false,NULL,'2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (3,'claude',NULL,NULL,NULL,NULL,'[{"url":"http://mock.invalid","weight":1}]',NULL,'anthropic',3,'mock-small',NULL,NULL,NULL,NULL,NULL,NULL,'2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (4,'gemini','Gemini','sk-client','','standard','[{"url":"http://mock.invalid","weight":1}]','','gemini',4,'mock-small','{}','{"enable_request_body_logging":true}','[]','{"gemini-fast":"mock-small"}',true,'2026-11-20 09:25:01.000000+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (5,'all-openai','All','sk-client','','aggregate','[]','','openai',5,'-','null','null','[]','{}',false,NULL,'2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08');
SELECT setval('groups_id_seq', 7);
INSERT INTO "group_sub_groups" ("id","group_id","sub_group_id","weight","created_at","updated_at") VALUES
 (1,5,1,10,'2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08'),
 (2,5,2,5,'2026-03-02 10:00:00.250000+08','2026-03-02 10:00:00.250000+08');
SELECT setval('group_sub_groups_id_seq', 3);
INSERT INTO "api_keys" ("id","key_value","key_hash","group_id","status","notes","request_count","failure_count","last_used_at","created_at","updated_at") VALUES
 (1,'000102030405060708090a0bb40e9ebb2d52c7775c753903af094e0b2567f1f254062a9966e374c5bf67490873f26cbaa092444f04e36097604c6cc78d01','4071bfaf8fe9b3dac041d5a5ae222138c6832f720278d7b469364021c641680d',1,'active','主力 key',12,0,'2026-11-20 09:15:30.123457+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (2,'e889d30b85421e8cc830d15f8850ca63d9ddbebfc0fceac43d0b30f7583ccc1df3e40303f14ca498f36e','d6889a8c8543bc5568d23d37e20b576109327f5e13dcafba1d4a66d54cfca6fe',1,'active','',3,1,'2026-11-20 09:20:00.000000+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (3,'801125136d32a6287ce42b2662a187dc8c706d4994283ddeb4410fadac8071f199ab098bb8aeb2f9','c488a48a9b39991c1018aecf2313a49f7249193c985ea3fa9cbb2f5b937dcb26',1,'invalid','',1,2,'2026-10-01 12:00:00.750000+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (5,'f5429debab559ab33bd308821e0dedcdcddf2dbc7b479c4cf1294016180b59123d85552eda6075c8bd','6cf46a9271c490dd7964e8e68a6b512cf3b4fc92e91450a1d9d83ba224b416e0',2,'active',NULL,0,0,NULL,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (6,'84227633ddd095ca62bcee3b06d9d94f7ba6a9681bc22132a39dcf4d113e1edbde2b7b8d1a45a514d264336c3c315f9ff88d9d0c1893844d428b8b5cbc79','4071bfaf8fe9b3dac041d5a5ae222138c6832f720278d7b469364021c641680d',2,'active','',1,0,'2026-11-20 09:30:00.500000+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (7,'1a48cc77f42ba0a7770bb1e9ad68eece34536eab5280408634f22e280df5cfcf253f00da457130','02d05009d6598f264cca0c450c9722b20c667894ceda7d61c5f90c9eee7ea37e',3,'active','',0,4,NULL,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (8,'ffeeddccbbaa9988776655448f205084d3ce2f1dc3776301f2b72043f2cf7fce5f0a4cd5be8ccf958de305781f7d599fb618a52a3099554f2602a4788da22b646331','6731a883f813335502ca4de0480920ddaa8f00a0bf603fc9af4334d8a05d276c',4,'active','',1,0,'2026-11-20 09:40:00.001000+08','2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08');
SELECT setval('api_keys_id_seq', 10);
INSERT INTO "request_logs" ("id","timestamp","group_id","group_name","parent_group_id","parent_group_name","key_value","key_hash","model","is_success","source_ip","status_code","request_path","duration","error_message","user_agent","request_type","upstream_addr","is_stream","request_body") VALUES
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b101','2026-11-20 09:15:30.123457+08',1,'openai-main',0,'','bf9a5af884ab1d517753a950fa04d07f2a69f6dff033a51cf0fc1f0b5f46fded9b8d7476138d39639365198736e1e8d71e5b6aa3aca801801d868afe6312','4071bfaf8fe9b3dac041d5a5ae222138c6832f720278d7b469364021c641680d','fast',true,'203.0.113.9',200,'/proxy/openai-main/v1/chat/completions',120,'','','final','http://mock.invalid/v1/chat/completions',true,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b102','2026-11-20 09:19:59.500000+08',2,'openai-spare',5,'all-openai','7d3743b0df823711ee3b530d25895a6b4c04e2990ae432d5f973a1085a9cc58b43c2a4e0464e139877','6cf46a9271c490dd7964e8e68a6b512cf3b4fc92e91450a1d9d83ba224b416e0','mock-small',false,'203.0.113.9',429,'/proxy/all-openai/v1/chat/completions',35,'限流: it''s too much','','retry','http://mock.invalid/v1/chat/completions',false,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b103','2026-11-20 09:20:00.000000+08',1,'openai-main',5,'all-openai','3f3d26047ccc2b9d58d7f3f62f4ed2b6caa9bbab32274abe4e2d2cec73b7aa4ca69b0904db8e6e897fb3','d6889a8c8543bc5568d23d37e20b576109327f5e13dcafba1d4a66d54cfca6fe','mock-small',true,'203.0.113.9',200,'/proxy/all-openai/v1/chat/completions',80,'','','final','http://mock.invalid/v1/chat/completions',false,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b104','2026-11-20 10:05:00.000000+08',3,'claude',0,'','','','',false,'2001:db8::1',503,'/proxy/claude/v1/messages',0,'no key','','final','',false,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b105','2026-11-20 09:40:00.001000+08',4,'gemini',0,'','b49e46a4698f2cf484dc7a2c5a1aedfa01d77ecbce788158761d011133ec65307763dc611ab8f7c6e203b9d178a5c43d5536fbb48a076c685457c15c0ad8250411d0','6731a883f813335502ca4de0480920ddaa8f00a0bf603fc9af4334d8a05d276c','gemini-fast',true,'203.0.113.10',200,'/proxy/gemini/v1beta/models/gemini-fast:generateContent',300,'','curl/8.5.0','final','http://mock.invalid/v1beta/models/mock-small:generateContent',false,'{"contents":[{"parts":[{"text":"你好, \"it''s\" \\ me"}]}]}'),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b106','2026-11-20 09:30:00.500000+08',2,'openai-spare',0,'','831bea7e23844a43a1b03969530f9b6129088300a057ebc22eb90546a500689299d1777ae193fe8191202033d94acf3b8649fe816cd608cc2b4bb3b37f97','4071bfaf8fe9b3dac041d5a5ae222138c6832f720278d7b469364021c641680d','mock-small',true,'203.0.113.9',200,'/proxy/openai-spare/v1/chat/completions',64,'','','final','http://mock.invalid/v1/chat/completions',false,''),
 ('1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b107','2026-03-02 10:30:00.250000+08',3,'claude',NULL,NULL,'sk-ant-0007',NULL,NULL,true,'203.0.113.9',200,'/proxy/claude/v1/messages',210,'','','final','http://mock.invalid/v1/messages',false,NULL);
INSERT INTO "group_hourly_stats" ("id","time","group_id","success_count","failure_count","created_at","updated_at") VALUES
 (1,'2026-11-20 00:00:00.000000+08',1,10,0,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (2,'2026-11-20 09:00:00.000000+08',1,7,1,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (3,'2026-11-20 09:00:00.000000+08',2,1,0,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (4,'2026-11-20 09:00:00.000000+08',5,4,1,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (5,'2026-11-20 09:00:00.000000+08',4,1,0,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (6,'2026-11-20 10:00:00.000000+08',3,0,2,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (7,'2026-11-20 10:00:00.000000+08',6,3,0,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08'),
 (8,'2026-11-20 10:00:00.000000+08',7,3,0,'2026-03-02 10:00:00.250000+08','2026-11-20 09:30:00.500000+08');
SELECT setval('group_hourly_stats_id_seq', 9);
