//! Groups, and the members of those that are aggregates.

mod body;
mod config_options;
mod copy;
mod create;
mod delete;
mod effective_config;
mod health;
mod list;
mod list_brief;
pub(super) mod members;
mod reorder;
mod shown;
mod stats;
mod summary;
mod update;
mod upstreams;

use super::Api;

pub(super) use self::{
    config_options::config_options, copy::copy, create::create, delete::delete, effective_config::effective_config,
    list::list, list_brief::list_brief, reorder::reorder, stats::stats, summary::summary, update::update,
    upstreams::upstreams,
};

/// Where clients reach the groups.
fn app_url(api: &Api) -> String {
    match api.directory.current().settings.app_url.trim() {
        "" => api.own_url.clone(),
        url => url.to_owned(),
    }
}
