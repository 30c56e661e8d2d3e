//! Names of the tables and columns, for statements that are built by `sea-query`.

use std::borrow::Cow;

use sea_query::Iden;

/// One enum a table: `Table` is its name, the other variants are its columns.
macro_rules! tables {
    ($($name:ident $table:literal { $($variant:ident $column:literal),+ $(,)? })+) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { Table, $($variant),+ }

        impl $name {
            pub(crate) const fn name(self) -> &'static str {
                match self { Self::Table => $table, $(Self::$variant => $column),+ }
            }
        }

        impl Iden for $name {
            fn quoted(&self) -> Cow<'static, str> {
                Cow::Borrowed(self.name())
            }

            fn unquoted(&self) -> &str {
                self.name()
            }
        }
    )+};
}

tables! {
    SystemSettings "system_settings" {
        SettingKey "setting_key",
        SettingValue "setting_value",
        Description "description",
        CreatedAt "created_at",
        UpdatedAt "updated_at",
    }
    Groups "groups" {
        Id "id",
        Name "name",
        DisplayName "display_name",
        ProxyKeys "proxy_keys",
        Description "description",
        GroupType "group_type",
        Upstreams "upstreams",
        ValidationEndpoint "validation_endpoint",
        ChannelType "channel_type",
        Sort "sort",
        TestModel "test_model",
        ParamOverrides "param_overrides",
        Config "config",
        HeaderRules "header_rules",
        ModelRedirectRules "model_redirect_rules",
        ModelRedirectStrict "model_redirect_strict",
        LastValidatedAt "last_validated_at",
        CreatedAt "created_at",
        UpdatedAt "updated_at",
    }
    GroupSubGroups "group_sub_groups" {
        Id "id",
        GroupId "group_id",
        SubGroupId "sub_group_id",
        Weight "weight",
        CreatedAt "created_at",
        UpdatedAt "updated_at",
    }
    ApiKeys "api_keys" {
        Id "id",
        KeyValue "key_value",
        KeyHash "key_hash",
        GroupId "group_id",
        Status "status",
        Notes "notes",
        RequestCount "request_count",
        FailureCount "failure_count",
        LastUsedAt "last_used_at",
        CreatedAt "created_at",
        UpdatedAt "updated_at",
        OutSince "out_since",
        FailureStatus "failure_status",
        FailureMessage "failure_message",
        FailedAt "failed_at",
    }
    RequestLogs "request_logs" {
        Id "id",
        Timestamp "timestamp",
        GroupId "group_id",
        GroupName "group_name",
        ParentGroupId "parent_group_id",
        ParentGroupName "parent_group_name",
        KeyValue "key_value",
        KeyHash "key_hash",
        Model "model",
        IsSuccess "is_success",
        SourceIp "source_ip",
        StatusCode "status_code",
        RequestPath "request_path",
        Duration "duration",
        ErrorMessage "error_message",
        UserAgent "user_agent",
        RequestType "request_type",
        UpstreamAddr "upstream_addr",
        IsStream "is_stream",
        RequestBody "request_body",
        RequestId "request_id",
        Attempt "attempt",
        FirstByteMs "first_byte_ms",
        OverheadUs "overhead_us",
        Verdict "verdict",
        ClientKey "client_key",
        SentModel "sent_model",
        UpstreamRequestId "upstream_request_id",
    }
    Tasks "gpt_load_tasks" {
        Id "id",
        TaskType "task_type",
        GroupId "group_id",
        GroupName "group_name",
        State "state",
        Processed "processed",
        Total "total",
        Result "result",
        Error "error",
        StartedAt "started_at",
        FinishedAt "finished_at",
        Node "node",
    }
    GroupHourlyStats "group_hourly_stats" {
        Time "time",
        GroupId "group_id",
        SuccessCount "success_count",
        FailureCount "failure_count",
        CreatedAt "created_at",
        UpdatedAt "updated_at",
        RetryCount "retry_count",
        AbortedCount "aborted_count",
    }
}
