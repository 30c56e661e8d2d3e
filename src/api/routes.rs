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
    Api, answer, authentication, channel_types, dashboard, download_tickets, groups, health, integration, keys, login,
    logs, metrics, ready, settings, tasks,
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
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests call every route of the table by its verb"))]
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    endpoint: MethodRouter<Api>,
}

#[rustfmt::skip]
pub(super) fn table() -> Vec<Route> {
    use Access::{Managed, Open};
    use Verb::{Any, Delete, Get, Post, Put};
    vec![
        route(Open, Get, "/health", health::read),
        route(Open, Get, "/ready", ready::read),
        route(Open, Post, "/api/auth/login", login::login),
        // It asks for a credential itself, since it takes another one as well.
        route(Open, Get, "/metrics", metrics::read),

        route(Open, Get, "/api/integration/info", integration::all),
        route(Open, Any, "/proxy/{group}/api/integration/info", integration::one),

        route(Managed, Post, "/api/download-tickets", download_tickets::create),

        route(Managed, Get, "/api/channel-types", channel_types::list),

        route(Managed, Post, "/api/groups", groups::create),
        route(Managed, Get, "/api/groups", groups::list),
        route(Managed, Get, "/api/groups/list", groups::list_brief),
        route(Managed, Get, "/api/groups/config-options", groups::config_options),
        route(Managed, Put, "/api/groups/reorder", groups::reorder),
        route(Managed, Put, "/api/groups/{id}", groups::update),
        route(Managed, Delete, "/api/groups/{id}", groups::delete),
        route(Managed, Post, "/api/groups/{id}/copy", groups::copy),
        route(Managed, Get, "/api/groups/{id}/stats", groups::stats),
        route(Managed, Get, "/api/groups/{id}/effective-config", groups::effective_config),
        route(Managed, Get, "/api/groups/{id}/sub-groups", groups::members::list),
        route(Managed, Post, "/api/groups/{id}/sub-groups", groups::members::add),
        route(Managed, Put, "/api/groups/{id}/sub-groups/{sub_group_id}/weight", groups::members::set_weight),
        route(Managed, Delete, "/api/groups/{id}/sub-groups/{sub_group_id}", groups::members::remove),
        route(Managed, Get, "/api/groups/{id}/parent-aggregate-groups", groups::members::parents),

        route(Managed, Get, "/api/keys", keys::list),
        route(Managed, Get, "/api/keys/export", keys::export),
        route(Managed, Post, "/api/keys/add-multiple", keys::add),
        route(Managed, Post, "/api/keys/add-async", keys::import),
        route(Managed, Post, "/api/keys/delete-multiple", keys::delete),
        route(Managed, Post, "/api/keys/delete-async", keys::delete_many),
        route(Managed, Post, "/api/keys/restore-multiple", keys::restore),
        route(Managed, Post, "/api/keys/restore-all-invalid", keys::restore_all_invalid),
        route(Managed, Post, "/api/keys/clear-all-invalid", keys::clear_all_invalid),
        route(Managed, Post, "/api/keys/clear-all", keys::clear_all),
        route(Managed, Post, "/api/keys/test-multiple", keys::test),
        route(Managed, Post, "/api/keys/validate-group", keys::validate),
        route(Managed, Put, "/api/keys/{id}/notes", keys::set_notes),

        route(Managed, Get, "/api/tasks/status", tasks::status),
        route(Managed, Get, "/api/tasks", tasks::list),
        route(Managed, Get, "/api/tasks/{id}", tasks::read),
        route(Managed, Post, "/api/tasks/{id}/cancel", tasks::cancel),

        route(Managed, Get, "/api/logs", logs::list),
        route(Managed, Get, "/api/logs/export", logs::export),
        route(Managed, Get, "/api/logs/live", logs::live),

        route(Managed, Get, "/api/dashboard/stats", dashboard::stats),
        route(Managed, Get, "/api/dashboard/chart", dashboard::chart),
        route(Managed, Get, "/api/dashboard/encryption-status", dashboard::encryption_status),

        route(Managed, Get, "/api/settings", settings::list),
        route(Managed, Put, "/api/settings", settings::update),
    ]
}

/// Whether a path is asked every few seconds by whoever watches over us.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/ready")
}

/// Whether a path leads to something that needs no management key.
pub(super) fn is_open(path: &str) -> bool {
    !path.starts_with("/api/") || ["/api/auth/", "/api/integration/"].iter().any(|open| path.starts_with(open))
}

fn route<T: 'static>(access: Access, verb: Verb, path: &'static str, handler: impl Handler<T, Api>) -> Route {
    let endpoint = match verb {
        Verb::Get => get(handler),
        Verb::Post => post(handler),
        Verb::Put => put(handler),
        Verb::Delete => delete(handler),
        Verb::Any => any(handler),
    };
    Route { access, verb, path, endpoint }
}

pub(super) fn router(api: &Api) -> Router<Api> {
    let mut router = Router::new();
    let mut paths = BTreeSet::new();
    for Route { access, path, endpoint, .. } in table() {
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
