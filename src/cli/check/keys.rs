//! The stored keys and `ENCRYPTION_KEY`: whether they fit each other, key by key.

use super::findings::Findings;
use crate::{
    crypto::{Cipher, Reading, Secret},
    db::{self, Database, Outlook},
    keypool, rekey,
};

/// Keys that are read at once.
const KEYS_PER_LOT: u32 = 5_000;

#[derive(Default)]
struct Counts {
    readable: u64,
    in_clear: u64,
    foreign: u64,
    empty: u64,
    /// Readable, but not found by their texts.
    wrong_hash: u64,
}

pub(super) async fn examine(
    database: &Database,
    encryption_key: Option<&Secret>,
    outlook: &Outlook,
    findings: &mut Findings,
) -> Result<(), db::Error> {
    match rekey::has_unfinished(database).await {
        Ok(false) => {}
        Ok(true) => findings.problem(
            "keys",
            "a migration of the keys broke off; run migrate-keys once more with the same passphrases, no server starts before",
        ),
        Err(error) => findings.problem("keys", error.to_string()),
    }
    if outlook.missing_tables.contains(&"api_keys") {
        return Ok(());
    }
    let has_hashes = !outlook.missing_columns.iter().any(|column| column == "api_keys.key_hash");
    let cipher = Cipher::new(encryption_key);
    let counts = count(database, &cipher, has_hashes).await?;
    let Counts { readable, in_clear, foreign, empty, wrong_hash } = counts;
    findings.ok(
        "keys",
        format!(
            "{readable} can be read {}",
            if cipher.is_on() { "with ENCRYPTION_KEY" } else { "without ENCRYPTION_KEY" }
        ),
    );
    if in_clear > 0 {
        findings.problem("keys", format!("{in_clear} are stored in clear although ENCRYPTION_KEY is set"));
    }
    if foreign > 0 {
        findings.problem(
            "keys",
            format!("{foreign} cannot be read: stored with another ENCRYPTION_KEY, or damaged; they never serve"),
        );
    }
    if empty > 0 {
        findings.note("keys", format!("{empty} rows hold no key"));
    }
    if wrong_hash > 0 {
        findings.note("keys", format!("{wrong_hash} are not found by their texts, since their hash was made with another ENCRYPTION_KEY; migrate-keys makes it anew"));
    }
    if has_hashes {
        match keypool::check_passphrase(database, &cipher).await {
            Ok(()) => {}
            Err(refusal) => findings.problem("keys", format!("a start is refused: {refusal}")),
        }
    }
    let stored = rekey::stored_fingerprint(database).await;
    if let Ok(Some(stored)) = stored
        && stored != cipher.fingerprint()
    {
        findings
            .note("keys", "the servers had another ENCRYPTION_KEY last; while one of them runs, a start is refused");
    }
    Ok(())
}

async fn count(database: &Database, cipher: &Cipher, has_hashes: bool) -> Result<Counts, db::Error> {
    let mut counts = Counts::default();
    let mut last_id = i64::MIN;
    loop {
        let keys = rekey::keys_above(database.readers(), last_id, KEYS_PER_LOT, has_hashes).await?;
        let Some((id, ..)) = keys.last() else { return Ok(counts) };
        last_id = *id;
        for (_, text, hash) in &keys {
            match cipher.read(text, hash.as_deref()) {
                Reading::Readable(secret) => {
                    counts.readable += 1;
                    let hash = hash.as_deref().filter(|hash| !hash.is_empty());
                    counts.wrong_hash += u64::from(hash.is_some_and(|hash| hash != cipher.hash(secret.expose())));
                }
                Reading::InClear(_) => counts.in_clear += 1,
                Reading::Foreign => counts.foreign += 1,
                Reading::Empty => counts.empty += 1,
            }
        }
    }
}
