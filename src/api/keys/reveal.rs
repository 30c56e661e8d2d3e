//! POST /api/keys/{id}/reveal: shows one key in clear, and leaves a line in the log about it.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{ClientAddress, answer::Answer, document::Shown, path::KeyInPath, refusal::Refusal},
    crypto::Secret,
};

#[derive(Serialize, ToSchema)]
#[schema(as = KeyRevealed)]
pub(in crate::api) struct Revealed<'a> {
    key_value: &'a str,
}

impl Shown for Revealed<'_> {}

pub(in crate::api) async fn reveal(
    api: Api,
    ClientAddress(address): ClientAddress,
    KeyInPath(id): KeyInPath,
) -> Result<Answer<Revealed<'static>>, Refusal> {
    let key = api.key_pools.find(id).await?;
    let secret = key.secret.ok_or_else(Refusal::key_unreadable)?;
    tracing::info!(key.id = id, client.address = %address, "Key {id} was revealed to {address}");
    Answer::with(&Revealed { key_value: Secret::expose(&secret) })
}
