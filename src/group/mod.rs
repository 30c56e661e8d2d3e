//! Groups: where a client's request is routed to, and the rules that go with it.

use std::{collections::HashMap, sync::Arc};

use crate::{
    channel::Channel,
    settings::{GroupSettings, Settings},
    upstream::{ClientOptions, Upstreams, WeightedChoice},
};

mod changes;
mod copy;
mod directory;
mod header_rules;
mod invalid;
mod key;
pub(crate) mod members;
mod proxy_keys;
pub(crate) mod queries;
mod record;
mod signing;
mod validation;

pub(crate) use self::{
    changes::{
        DESCRIPTION_CHARACTERS_MAX, DISPLAY_NAME_CHARACTERS_MAX, ENDPOINT_CHARACTERS_MAX, GroupPatch,
        MODEL_CHARACTERS_MAX, NewGroup, PROXY_KEYS_CHARACTERS_MAX, create, reorder, update,
    },
    copy::copy,
    directory::Directory,
    header_rules::{HeaderAction, HeaderRule},
    invalid::{Error, Fault, Invalid},
    key::Key,
    proxy_keys::ProxyKeys,
    record::{GroupType, Record},
    validation::HeaderRuleText,
};

pub(crate) type GroupId = i64;

/// All groups and settings as they are in effect now: one immutable snapshot, swapped whole on a change.
pub(crate) struct Snapshot {
    pub(crate) settings: Settings,
    pub(crate) by_name: HashMap<String, Arc<Group>>,
    pub(crate) global_proxy_keys: ProxyKeys,
}

/// One group, ready to serve: stored texts are parsed, settings are effective.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) name: Arc<str>,
    pub(crate) display_name: String,
    /// Position among the groups, as they are shown.
    pub(crate) sort: i64,
    pub(crate) channel: Channel,
    pub(crate) kind: Kind,
    pub(crate) settings: GroupSettings,
    /// Of `settings`, what outbound connections are made with.
    pub(crate) client: ClientOptions,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) test_model: String,
    /// The group's own, or its channel's default.
    pub(crate) validation_endpoint: String,
    /// A JSON Merge Patch for JSON bodies, in the order in which it is applied; under a name that begins with a slash, one
    /// for the paths that end with it.
    pub(crate) param_overrides: Vec<(String, serde_json::Value)>,
    pub(crate) header_rules: Vec<HeaderRule>,
    pub(crate) redirects: Redirects,
    /// Models that a list shows beside the upstream's own: the sources of the redirects, and for the members of an
    /// aggregate those of all of them.
    pub(crate) listed_models: Vec<String>,
    pub(crate) proxy_keys: ProxyKeys,
}

impl Group {
    /// The parameter overrides that hold for a path: those at the top, and those under a name that begins with a slash
    /// and that the path ends with, as in `{"temperature":0.2,"/embeddings":{"dimensions":256}}`.
    pub(crate) fn overrides_for(&self, path: &str) -> Vec<(&str, &serde_json::Value)> {
        let mut all = Vec::new();
        for (name, value) in &self.param_overrides {
            match value {
                serde_json::Value::Object(members) if name.starts_with('/') => {
                    if path.ends_with(name.as_str()) {
                        all.extend(members.iter().map(|(name, value)| (name.as_str(), value)));
                    }
                }
                value => all.push((name.as_str(), value)),
            }
        }
        all
    }

    /// The format that is spoken at a path. The base path counts as well: behind `…/v1beta/openai` Gemini speaks
    /// OpenAI's.
    pub(crate) fn dialect(&self, path: &str) -> Channel {
        let is_native = |base: &str| self.channel.takes_model_in_path(&[base, path].concat());
        match self.channel {
            Channel::Gemini if !is_native("") || !self.upstreams.base_paths().all(is_native) => Channel::OpenAi,
            channel => channel,
        }
    }
}

#[derive(Clone)]
pub(crate) enum Kind {
    /// Has upstreams and keys.
    Standard,
    /// Has members instead, in the order in which they were added; those of weight 0 are left out.
    Aggregate(Members),
}

#[derive(Clone)]
pub(crate) struct Members {
    pub(crate) entries: Vec<Member>,
    /// Of `entries`, in which order they are asked which models there are: always in the same one, so that the list does
    /// not change from call to call, and those that serve whatever their upstream has come first.
    pub(crate) listing_order: Vec<usize>,
    /// Over `entries`, by their weights; kept when the snapshot is made anew and the weights did not change.
    pub(crate) choice: Arc<WeightedChoice>,
}

#[derive(Clone)]
pub(crate) struct Member {
    /// As it serves through the aggregate, whose rules and settings are in it already.
    pub(crate) group: Arc<Group>,
    pub(crate) weight: u32,
}

/// Model names that are replaced on the way to the upstream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redirects {
    /// Source to target, in the order in which they are stored.
    pub(crate) rules: Vec<(String, String)>,
    /// Only models that are a rule's source may be asked for.
    pub(crate) strict: bool,
}

/// Strict mode does not serve this model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ModelNotConfigured;

impl Redirects {
    /// The model that is asked for instead; `None`: the one that was named.
    ///
    /// # Errors
    /// Where only configured models are served, and this is none of them.
    pub(crate) fn target(&self, channel: Channel, model: &str) -> Result<Option<&str>, ModelNotConfigured> {
        let bare = |name: &'_ str| name.strip_prefix("models/").unwrap_or(name).to_owned();
        // Gemini's own listing calls a model `models/x`, its paths call it `x`.
        let is_same = |source: &str| source == model || (channel == Channel::Gemini && bare(source) == bare(model));
        match self.rules.iter().find(|(source, _)| is_same(source)) {
            Some((_, target)) => Ok(Some(target)),
            None if self.strict => Err(ModelNotConfigured),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
