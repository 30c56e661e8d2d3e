//! GET /api/dashboard/encryption-status: whether the stored keys and ENCRYPTION_KEY fit each other.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    api::{answer::Answer, document::Shown, language::Language, refusal::Refusal},
    keypool::Mismatch,
};

#[derive(Serialize, Default, ToSchema)]
#[schema(as = EncryptionStatus)]
pub(in crate::api) struct Status {
    has_mismatch: bool,
    scenario_type: &'static str,
    message: String,
    suggestion: String,
}

impl Shown for Status {}

pub(in crate::api) async fn encryption_status(api: Api, language: Language) -> Result<Answer<Status>, Refusal> {
    let mismatch = api.key_pools.mismatch().await.unwrap_or_else(|error| {
        tracing::error!(%error, "Cannot look at a sample of the keys: {error}");
        None
    });
    Answer::with(&mismatch.map_or_else(Status::default, |mismatch| described(mismatch, language)))
}

fn described(mismatch: Mismatch, language: Language) -> Status {
    let (scenario_type, message, suggestion) = match mismatch {
        Mismatch::DataInClear => (
            "data_not_encrypted",
            "dashboard.encryption_key_configured_but_data_not_encrypted",
            "dashboard.encryption_key_migration_required",
        ),
        Mismatch::PassphraseMissing => (
            "key_not_configured",
            "dashboard.data_encrypted_but_key_not_configured",
            "dashboard.configure_same_encryption_key",
        ),
        Mismatch::PassphraseWrong => {
            ("key_mismatch", "dashboard.encryption_key_mismatch", "dashboard.use_correct_encryption_key")
        }
    };
    Status {
        has_mismatch: true,
        scenario_type,
        message: language.say(message, &[]),
        suggestion: language.say(suggestion, &[]),
    }
}
