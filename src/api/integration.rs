//! GET /api/integration/info and /proxy/{group}/api/integration/info: which groups a proxy key opens, for the programs
//! that hold one.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    answer::{Answer, Message},
    document::{Shape, Shown, shape::some_text},
    path::GroupNameInPath,
    query::{Parameters, Query},
    refusal::Refusal,
};
use crate::{
    channel::Channel,
    crypto,
    group::{Group, Snapshot},
};

#[derive(Serialize, ToSchema)]
#[schema(as = OpenedGroup)]
pub(super) struct Opened<'a> {
    name: &'a str,
    display_name: &'a str,
    /// `custom` where programs must use the whole path as their endpoint.
    channel_type: &'static str,
    /// Where the group is reached, below this server's address.
    path: String,
}

impl Shown for Opened<'_> {}

pub(super) struct ProxyKey;

impl Parameters for ProxyKey {
    fn shape() -> Shape {
        Shape::default().needed("key", some_text(), "A proxy key, of the whole installation or of a group")
    }
}

pub(super) async fn all(api: Api, query: Query<ProxyKey>) -> Result<Answer<Vec<Opened<'static>>>, Refusal> {
    let key = proxy_key(&query)?;
    let snapshot = api.directory.current();
    let mut groups: Vec<&Group> = snapshot.by_name.values().map(AsRef::as_ref).collect();
    groups.sort_by_key(|group| (group.sort, std::cmp::Reverse(group.id)));
    let opened: Vec<_> = groups
        .into_iter()
        .filter(|group| opens(&key, group, &snapshot))
        .map(|group| described(group, &format!("/proxy/{}", group.name)))
        .collect();
    if opened.is_empty() {
        return Err(wrong_key());
    }
    Answer::with(&opened)
}

pub(super) async fn one(
    api: Api,
    GroupNameInPath(name): GroupNameInPath,
    query: Query<ProxyKey>,
) -> Result<Answer<Vec<Opened<'static>>>, Refusal> {
    let key = proxy_key(&query)?;
    let snapshot = api.directory.current();
    let Some(group) = snapshot.by_name.get(&name) else {
        return Err(Refusal::absent(Message::verbatim("Group not found")));
    };
    if !opens(&key, group, &snapshot) {
        return Err(wrong_key());
    }
    // Whoever asks below the group's own path already knows it.
    Answer::with(&vec![described(group, "")])
}

fn proxy_key(query: &Query<ProxyKey>) -> Result<[u8; 32], Refusal> {
    let key = query.first("key").map(crypto::digest);
    key.ok_or_else(|| Refusal::invalid(Message::verbatim("Proxy key is required")))
}

fn wrong_key() -> Refusal {
    Refusal::unauthorized(Message::verbatim("Invalid or unauthorized proxy key"))
}

fn opens(key: &[u8; 32], group: &Group, snapshot: &Snapshot) -> bool {
    group.proxy_keys.contains(key) || snapshot.global_proxy_keys.contains(key)
}

fn described<'a>(group: &'a Group, path: &str) -> Opened<'a> {
    // Only these two kinds of program address their endpoint as a whole.
    let is_custom = matches!(group.channel, Channel::OpenAi | Channel::OpenAiResponse)
        && group.validation_endpoint != group.channel.default_validation_endpoint();
    Opened {
        name: &group.name,
        display_name: &group.display_name,
        channel_type: if is_custom { "custom" } else { group.channel.name() },
        path: if is_custom { format!("{path}{}", group.validation_endpoint) } else { path.to_owned() },
    }
}
