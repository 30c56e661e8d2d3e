//! What a server looks at before it serves: whether a migration of the keys is under way, and whether all nodes have the same
//! passphrase.

use super::{Error, guard, progress::Unfinished, queries};
use crate::{
    cluster,
    crypto::Cipher,
    db::{Database, Transaction},
};

/// The name of the fingerprint of the passphrase among the states.
const FINGERPRINT: &str = "encryption_fingerprint";

/// `is_diagnosis`: no key will be used or changed.
///
/// # Errors
/// A migration is under way, or broke off.
pub(crate) async fn permit_start(database: &Database, is_diagnosis: bool) -> Result<(), Error> {
    if guard::is_taken(database).await? {
        return Err(Error::refused(
            "migrate-keys is working on this database; start the server when it is done (a migrate-keys that was killed \
             counts as working for 20 s)",
        ));
    }
    if is_diagnosis || Unfinished::load(database).await?.is_none() {
        return Ok(());
    }
    Err(Error::refused(
        "a migration of the stored keys to another ENCRYPTION_KEY broke off before its end: run \
         `gpt-load migrate-keys` once more with the same passphrases as then, which finishes it",
    ))
}

/// Nodes that share a database must have the same passphrase. To be called when the stored keys are known to fit it.
///
/// # Errors
/// Another node runs with another one.
pub(crate) async fn agree_on_passphrase(database: &Database, cipher: &Cipher) -> Result<(), Error> {
    if let Some(rows) = queries::left_by_the_original(database).await? {
        tracing::warn!(
            rows,
            "The table {} was left by a migrate-keys of the original that broke off; it holds {rows} keys, perhaps in clear. \
             A run of migrate-keys removes it, and so does DROP TABLE",
            queries::LEFT_BY_THE_ORIGINAL
        );
    }
    let ours = cipher.fingerprint();
    let mut stored = database.state(FINGERPRINT).await?;
    if stored.as_deref() != Some(&*ours) && !do_others_run(database).await? {
        // What it was before is of no matter: the keys fit, so it was changed in order, perhaps by the original.
        let mut transaction = database.begin().await?;
        if transaction.swap_state(FINGERPRINT, stored.as_deref(), Some(&ours)).await? {
            transaction.commit().await?;
            return Ok(());
        }
        transaction.rollback().await?;
        stored = database.state(FINGERPRINT).await?;
    }
    match stored {
        Some(stored) if stored != ours => Err(Error::refused(
            "another node runs on this database with another ENCRYPTION_KEY: all nodes need the same one (to change it, stop \
             all of them and run migrate-keys)",
        )),
        Some(_) => Ok(()),
        // Nodes of an earlier release do not tell.
        None => {
            let mut transaction = database.begin().await?;
            store_fingerprint(&mut transaction, cipher).await?;
            Ok(transaction.commit().await?)
        }
    }
}

/// Whether a migration broke off.
pub(crate) async fn has_unfinished(database: &Database) -> Result<bool, Error> {
    Ok(Unfinished::load(database).await?.is_some())
}

/// Of the passphrase that the servers had last; `None`: no server of ours was here yet.
pub(crate) async fn stored_fingerprint(database: &Database) -> Result<Option<String>, Error> {
    Ok(database.state(FINGERPRINT).await?)
}

async fn do_others_run(database: &Database) -> Result<bool, Error> {
    let nodes = cluster::nodes_seen(database).await?;
    Ok(nodes.iter().any(|node| node.is_alive && node.name != database.node()))
}

pub(super) async fn store_fingerprint(transaction: &mut Transaction, cipher: &Cipher) -> Result<(), Error> {
    Ok(transaction.set_state(FINGERPRINT, &cipher.fingerprint()).await?)
}
