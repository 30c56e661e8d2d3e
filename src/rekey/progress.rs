//! How far a migration has come, as the database remembers it.

use serde::{Deserialize, Serialize};

use super::{Error, Passphrases};
use crate::db::{Database, Transaction};

/// Its name among the states.
const NAME: &str = "key_migration";

pub(super) const OTHERS_UNFINISHED: &str = "an unfinished migration of the keys with other passphrases is in this database: run migrate-keys with the passphrases \
     that it was begun with, which finishes it";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unfinished {
    /// Fingerprints of the passphrases.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) step: Step,
}

/// What is under way. Everything before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "doing")]
pub(super) enum Step {
    /// Nothing but the helper table is touched yet.
    Copying,
    /// The keys are switched; the request log is converted up to this place.
    Converting { place: String, converted: u64, unreadable: u64 },
    /// Nothing is left but to remove the traces.
    Wiping,
}

impl Unfinished {
    pub(super) fn new(passphrases: &Passphrases, step: Step) -> Self {
        Self { from: passphrases.from.fingerprint(), to: passphrases.to.fingerprint(), step }
    }

    pub(super) async fn load(database: &Database) -> Result<Option<Self>, Error> {
        let Some(text) = database.state(NAME).await? else { return Ok(None) };
        let unfinished = serde_json::from_str(&text);
        unfinished.map(Some).map_err(|_| {
            Error::refused(
                "a migration of the keys was begun by a release that this one does not understand: finish it with that release",
            )
        })
    }

    pub(super) fn is_of(&self, passphrases: &Passphrases) -> bool {
        self.from == passphrases.from.fingerprint() && self.to == passphrases.to.fingerprint()
    }

    /// Keeps what is next in the place of what was.
    ///
    /// # Errors
    /// Somebody else has gone on with it meanwhile.
    pub(super) async fn advance(
        transaction: &mut Transaction,
        present: Option<&Self>,
        next: Option<&Self>,
    ) -> Result<(), Error> {
        let (present, next) = (present.map(text), next.map(text));
        if transaction.swap_state(NAME, present.as_deref(), next.as_deref()).await? {
            return Ok(());
        }
        Err(Error::refused("another migrate-keys works on this database: let one of them finish"))
    }

    pub(super) async fn store(database: &Database, present: Option<&Self>, next: Option<&Self>) -> Result<(), Error> {
        let mut transaction = database.begin().await?;
        Self::advance(&mut transaction, present, next).await?;
        Ok(transaction.commit().await?)
    }
}

/// Texts of plain values always can be made.
fn text(unfinished: &Unfinished) -> String {
    serde_json::to_string(unfinished).unwrap_or_default()
}
