//! Every endpoint on one page.

use std::collections::BTreeSet;

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, delete, get, post, put},
};
use http::{Method, StatusCode, Uri, header::LOCATION};
use serde::Serialize;

use super::{
    Api, answer, authentication, channel_types, cluster, dashboard,
    document::{self, Described, Stated},
    download_tickets, groups, health, integration, keys, login, logs, metrics, ready,
    refusal::Reason,
    search, session, settings, system, tasks,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    Managed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
    Any,
}

pub(super) struct Route {
    pub(super) access: Access,
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    /// What the API document calls the operation: a verb and its object, `restore_keys`.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// Refusals that the types of the handler do not tell.
    pub(super) refusals: &'static [Reason],
    /// What those types do tell.
    pub(super) state: fn(&mut Stated),
    endpoint: MethodRouter<Api>,
}

impl Route {
    fn called(self, name: &'static str, summary: &'static str, refusals: &'static [Reason]) -> Self {
        Self { name, summary, refusals, ..self }
    }
}

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "every endpoint is on one page")]
pub(super) fn table() -> Vec<Route> {
    use Access::{Managed, Open};
    use Verb::{Any, Delete, Get, Post, Put};
    const CHANGED_MEANWHILE: Reason = Reason::CHANGED_MEANWHILE;
    const DATABASE: Reason = Reason::DATABASE;
    const DUPLICATE: Reason = Reason::DUPLICATE;
    const INVALID: Reason = Reason::INVALID;
    const KEY_UNREADABLE: Reason = Reason::KEY_UNREADABLE;
    const NOT_FOUND: Reason = Reason::NOT_FOUND;
    const NOT_YET_IN_EFFECT: Reason = Reason::NOT_YET_IN_EFFECT;
    const SEARCH_TOO_LONG: Reason = Reason::SEARCH_TOO_LONG;
    const TASK_IN_PROGRESS: Reason = Reason::TASK_IN_PROGRESS;
    const TOO_MANY_FAILED_LOGINS: Reason = Reason::TOO_MANY_FAILED_LOGINS;
    const TASK_OVER: Reason = Reason::TASK_OVER;
    const UNAUTHORIZED: Reason = Reason::UNAUTHORIZED;
    vec![
        route(Open, Get, "/health", health::read)
            .called("check_health", "Says that the server is alive, and since when; nothing else is looked at", &[]),
        route(Open, Get, "/ready", ready::read)
            .called("check_readiness", "Says whether the server can serve, and if not, why", &[]),
        route(Open, Post, "/api/auth/login", login::login)
            .called("check_key", "Says whether a key is the management key; opens no session", &[]),
        route(Open, Post, "/api/session", session::create)
            .called("begin_session", "Signs the console in: the answer has a cookie that opens every route", &[UNAUTHORIZED, TOO_MANY_FAILED_LOGINS]),
        route(Managed, Get, "/api/session", session::read)
            .called("show_session", "Until when the caller is signed in", &[]),
        route(Open, Delete, "/api/session", session::delete)
            .called("end_session", "Signs the console out", &[]),
        // It asks for a credential itself, since it takes another one as well.
        route(Open, Get, "/metrics", metrics::read)
            .called("read_metrics", "Everything that is measured, for Prometheus", &[]),

        route(Open, Get, "/api/integration/info", integration::all)
            .called("list_opened_groups", "The groups that a proxy key opens", &[INVALID, UNAUTHORIZED]),
        route(Open, Any, "/proxy/{group}/api/integration/info", integration::one)
            .called("show_opened_group", "The same for one group", &[INVALID, UNAUTHORIZED]),

        route(Managed, Post, "/api/download-tickets", download_tickets::create)
            .called("create_download_ticket", "Makes a link to a download that works for a minute without the key", &[INVALID]),

        route(Managed, Get, "/api/channel-types", channel_types::list)
            .called("list_channel_types", "The API formats that a group can speak", &[]),

        route(Managed, Get, "/api/cluster", cluster::show)
            .called("show_cluster", "The nodes that share the database, and how this one gets on with what they share", &[DATABASE]),

        route(Managed, Post, "/api/groups", groups::create)
            .called("create_group", "Creates a group, which is at once in effect", &[INVALID, DUPLICATE, DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Get, "/api/groups", groups::list)
            .called("list_groups", "All groups as they are edited, by their position", &[DATABASE]),
        route(Managed, Get, "/api/groups/list", groups::list_brief)
            .called("list_group_names", "Ids and names of all groups, oldest first; nothing else is filled in", &[DATABASE]),
        route(Managed, Get, "/api/groups/summary", groups::summary)
            .called("summarize_groups", "How each group is: its keys, requests, upstreams and members, and what is wrong", &[DATABASE]),
        route(Managed, Get, "/api/groups/config-options", groups::config_options)
            .called("list_config_options", "Settings that a group may override, with what it would inherit", &[]),
        route(Managed, Put, "/api/groups/reorder", groups::reorder)
            .called("reorder_groups", "Gives several groups their positions, all of them or none", &[INVALID, DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Put, "/api/groups/{id}", groups::update)
            .called("update_group", "Changes what is given about a group and leaves the rest", &[INVALID, DUPLICATE, CHANGED_MEANWHILE, DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Delete, "/api/groups/{id}", groups::delete)
            .called("delete_group", "Deletes a group with its keys and memberships; its log stays", &[DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Post, "/api/groups/{id}/copy", groups::copy)
            .called("copy_group", "Makes a group like another one; a task copies its keys", &[INVALID, DUPLICATE, DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Get, "/api/groups/{id}/stats", groups::stats)
            .called("show_group_stats", "Keys of a group, and requests to it in a day, a week and a month", &[DATABASE]),
        route(Managed, Get, "/api/groups/{id}/upstreams", groups::upstreams)
            .called("list_upstreams", "Where requests of a group go, and how they fared there within the last hour", &[SEARCH_TOO_LONG, DATABASE]),
        route(Managed, Get, "/api/groups/{id}/effective-config", groups::effective_config)
            .called("show_effective_config", "Settings of a group as they are in effect, and where each comes from", &[DATABASE]),
        route(Managed, Get, "/api/groups/{id}/sub-groups", groups::members::list)
            .called("list_members", "The members of an aggregate group, with their weights and keys", &[DATABASE]),
        route(Managed, Post, "/api/groups/{id}/sub-groups", groups::members::add)
            .called("add_members", "Makes standard groups members of an aggregate group, all of them or none", &[INVALID, DUPLICATE, DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Put, "/api/groups/{id}/sub-groups/{sub_group_id}/weight", groups::members::set_weight)
            .called("set_member_weight", "Changes how large a share of requests a member takes", &[INVALID, DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Delete, "/api/groups/{id}/sub-groups/{sub_group_id}", groups::members::remove)
            .called("remove_member", "Takes a member out of an aggregate group", &[DATABASE, NOT_YET_IN_EFFECT]),
        route(Managed, Get, "/api/groups/{id}/parent-aggregate-groups", groups::members::parents)
            .called("list_parent_groups", "The aggregate groups that a group is a member of", &[DATABASE]),

        route(Managed, Get, "/api/keys", keys::list)
            .called("list_keys", "The keys of a group, those used last first", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Get, "/api/keys/export", keys::export)
            .called("export_keys", "The keys of a group as a file, one a line", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/add-multiple", keys::add)
            .called("add_keys", "Adds keys to a group, those that it has already aside", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/add-async", keys::import)
            .called("import_keys", "Starts a task that adds any number of keys to a group", &[INVALID, NOT_FOUND, TASK_IN_PROGRESS, DATABASE]),
        route(Managed, Post, "/api/keys/import-preview", keys::preview)
            .called("preview_import", "Says what an import would add, and what it would leave out and why; changes nothing", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/delete-multiple", keys::delete)
            .called("delete_keys", "Deletes keys by their texts", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/delete-async", keys::delete_many)
            .called("delete_many_keys", "Starts a task that deletes any number of keys by their texts", &[INVALID, NOT_FOUND, TASK_IN_PROGRESS, DATABASE]),
        route(Managed, Post, "/api/keys/restore-multiple", keys::restore)
            .called("restore_keys", "Puts invalid keys back into rotation", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/restore-all-invalid", keys::restore_all_invalid)
            .called("restore_invalid_keys", "Puts all invalid keys of a group back into rotation", &[NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/clear-all-invalid", keys::clear_all_invalid)
            .called("clear_invalid_keys", "Deletes all invalid keys of a group", &[NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/clear-all", keys::clear_all)
            .called("clear_keys", "Deletes all keys of a group", &[NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/test-multiple", keys::test)
            .called("test_keys", "Tests keys with one real request each, and acts on what the upstream says", &[INVALID, NOT_FOUND, DATABASE]),
        route(Managed, Post, "/api/keys/validate-group", keys::validate)
            .called("validate_keys", "Starts a task that tests all keys of a group, or those of one status", &[INVALID, NOT_FOUND, TASK_IN_PROGRESS, DATABASE]),
        route(Managed, Post, "/api/keys/bulk", keys::bulk)
            .called("change_many_keys", "Starts a task that tests, restores, disables, moves … the keys that are named or match; or says what it would do", &[INVALID, NOT_FOUND, TASK_IN_PROGRESS, DATABASE]),
        route(Managed, Get, "/api/keys/{id}", keys::read)
            .called("show_key", "One key, by its ends unless it is asked for in clear", &[DATABASE]),
        route(Managed, Post, "/api/keys/{id}/reveal", keys::reveal)
            .called("reveal_key", "Shows one key in clear, and leaves a line in the server's log about it", &[KEY_UNREADABLE, DATABASE]),
        route(Managed, Post, "/api/keys/{id}/test", keys::test_one)
            .called("test_key", "Tests one key with a real request, and acts on what the upstream says", &[KEY_UNREADABLE, DATABASE]),
        route(Managed, Put, "/api/keys/{id}/notes", keys::set_notes)
            .called("set_key_notes", "Keeps a remark beside a key", &[INVALID, DATABASE]),

        route(Managed, Get, "/api/tasks/status", tasks::status)
            .called("show_latest_task", "The task that runs, or ran last, as the only one there is", &[]),
        route(Managed, Get, "/api/tasks", tasks::list)
            .called("list_tasks", "Running and past tasks, newest first", &[DATABASE]),
        route(Managed, Get, "/api/tasks/{id}", tasks::read)
            .called("show_task", "One task, running or past", &[DATABASE]),
        route(Managed, Post, "/api/tasks/{id}/cancel", tasks::cancel)
            .called("cancel_task", "Stops a running task at its next occasion; what it has done stays", &[TASK_OVER, DATABASE]),

        route(Managed, Get, "/api/logs", logs::list)
            .called("list_logs", "Entries of the request log that match, newest first; by page number, or by cursor", &[SEARCH_TOO_LONG, DATABASE]),
        route(Managed, Get, "/api/logs/export", logs::export)
            .called("export_log_keys", "The keys of the entries that match, each with its newest one, as a file", &[SEARCH_TOO_LONG, DATABASE]),
        route(Managed, Get, "/api/logs/summary", logs::summary)
            .called("summarize_logs", "What the entries of a span that match add up to, of a sample where they are many", &[SEARCH_TOO_LONG, DATABASE]),
        route(Managed, Get, "/api/logs/values", logs::values)
            .called("list_log_values", "The values that a field has among the entries that match, the most frequent first", &[SEARCH_TOO_LONG, DATABASE]),
        route(Managed, Get, "/api/logs/entries/export", logs::export_entries)
            .called("export_log_entries", "The entries that match as a file, newest first", &[SEARCH_TOO_LONG, DATABASE]),
        route(Managed, Get, "/api/logs/live", logs::live)
            .called("watch_logs", "Entries that match, as they happen", &[]),
        route(Managed, Get, "/api/logs/{id}", logs::entry)
            .called("show_log_entry", "One entry of the request log, whole", &[DATABASE]),

        route(Managed, Get, "/api/dashboard/stats", dashboard::stats)
            .called("show_dashboard", "Figures of the last hours, and which secrets are weak", &[DATABASE]),
        route(Managed, Get, "/api/dashboard/chart", dashboard::chart)
            .called("show_chart", "Requests of the last 24 hours, hour by hour", &[DATABASE]),
        route(Managed, Get, "/api/dashboard/encryption-status", dashboard::encryption_status)
            .called("show_encryption_status", "Whether stored keys fit to the encryption key, by a sample of them", &[]),

        route(Managed, Get, "/api/search", search::search)
            .called("search_everything", "Groups, keys, requests and settings by a part of what they are called", &[SEARCH_TOO_LONG, DATABASE]),

        // Of most use when something is away, so it waits for nothing.
        route(Managed, Get, "/api/system", system::show)
            .called("show_system", "This node, what it runs on, and the limits that an operator meets", &[]),

        route(Managed, Get, "/api/settings", settings::list)
            .called("list_settings", "All settings by category, with their values, bounds and texts", &[]),
        route(Managed, Put, "/api/settings", settings::update)
            .called("update_settings", "Changes the settings that are given, all of them or none", &[INVALID, DATABASE, NOT_YET_IN_EFFECT]),

        route(Managed, Get, "/api/openapi.json", document::read)
            .called("read_document", "This description of the API", &[]),
        route(Open, Get, "/api/docs", document::show)
            .called("show_document", "The same as a page for people", &[]),
    ]
}

/// Whether a path is asked every few seconds by whoever watches over us.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/ready")
}

/// Whether something needs no management key.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    !path.starts_with("/api/")
        || (path == "/api/session" && matches!(*method, Method::POST | Method::DELETE))
        || ["/api/auth/", "/api/integration/", "/api/docs"].iter().any(|open| path.starts_with(open))
}

fn route<T: 'static, H>(access: Access, verb: Verb, path: &'static str, handler: H) -> Route
where
    H: Handler<T, Api> + Described<T>,
{
    let endpoint = match verb {
        Verb::Get => get(handler),
        Verb::Post => post(handler),
        Verb::Put => put(handler),
        Verb::Delete => delete(handler),
        Verb::Any => any(handler),
    };
    Route { access, verb, path, name: "", summary: "", refusals: &[], state: <H as Described<T>>::state, endpoint }
}

pub(super) fn router(api: &Api) -> Router<Api> {
    let mut router = Router::new();
    let mut paths = BTreeSet::new();
    for Route { access, path, endpoint, refusals, .. } in table() {
        let endpoint = if refusals.contains(&Reason::DATABASE) {
            endpoint.route_layer(from_fn_with_state(api.clone(), ready::database_answers))
        } else {
            endpoint
        };
        let endpoint = match access {
            Access::Open => endpoint,
            Access::Managed => endpoint.route_layer(from_fn_with_state(api.clone(), authentication::required)),
        };
        router = router.route(path, endpoint);
        paths.insert(path);
    }
    for path in paths.into_iter().filter(|path| !path.starts_with("/proxy")) {
        router = router.route(&format!("{path}/"), any(without_trailing_slash));
    }
    router.fallback(nowhere).method_not_allowed_fallback(wrong_method)
}

#[derive(Serialize)]
struct Nowhere {
    error: &'static str,
}

async fn nowhere(uri: Uri) -> Response {
    if ["/api", "/proxy"].iter().any(|prefix| uri.path().starts_with(prefix)) {
        return answer::json(StatusCode::NOT_FOUND, &Nowhere { error: "Not Found" });
    }
    (StatusCode::NOT_FOUND, "GPT-Load: there is nothing at this address\n").into_response()
}

/// The router adds which methods there are.
async fn wrong_method() -> Response {
    answer::json(StatusCode::METHOD_NOT_ALLOWED, &Nowhere { error: "Method Not Allowed" })
}

async fn without_trailing_slash(method: Method, uri: Uri) -> Response {
    let mut target = uri.path().trim_end_matches('/').to_owned();
    if let Some(query) = uri.query() {
        target = format!("{target}?{query}");
    }
    let keeps_method = if matches!(method, Method::GET | Method::HEAD) {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    (keeps_method, [(LOCATION, target)]).into_response()
}
