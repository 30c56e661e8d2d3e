//! What the stored keys are to the two passphrases of a migration, before anything is changed.

use super::{
    Error,
    progress::{OTHERS_UNFINISHED, Unfinished},
    queries,
};
use crate::{
    cluster,
    crypto::{Cipher, Reading, Secret},
    db::Database,
};

/// Keys that are read at once.
pub(super) const KEYS_PER_LOT: u32 = 5_000;
/// Ids of keys that cannot be read, as far as they are named.
const IDS_NAMED_MAX: usize = 20;

/// What keys are stored with now, and what they shall be stored with.
#[derive(Clone)]
pub(crate) struct Passphrases {
    pub(crate) from: Cipher,
    pub(crate) to: Cipher,
}

/// How many keys there are of each kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) keys: u64,
    /// Stored with the old passphrase.
    pub(crate) old: u64,
    /// Stored with the new one already: what a change without a migration leaves.
    pub(crate) new: u64,
    /// In clear, although neither says so.
    pub(crate) in_clear: u64,
    /// Rows without a key.
    pub(crate) empty: u64,
    pub(crate) unreadable: u64,
    /// The first of those.
    pub(crate) unreadable_ids: Vec<i64>,
}

/// How a key was found.
pub(super) enum Kind {
    Old,
    New,
    InClear,
    Empty,
}

impl Passphrases {
    /// The key, however it is stored; `None`: nothing here can read it.
    pub(super) fn read(&self, text: &str, hash: Option<&str>) -> Option<(Secret, Kind)> {
        match self.from.read(text, hash) {
            Reading::Readable(secret) => Some((secret, Kind::Old)),
            Reading::InClear(secret) => Some((secret, if self.to.is_on() { Kind::InClear } else { Kind::New })),
            Reading::Empty => Some((Secret::new(""), Kind::Empty)),
            Reading::Foreign => match self.to.read(text, hash) {
                Reading::Readable(secret) => Some((secret, Kind::New)),
                Reading::InClear(_) | Reading::Foreign | Reading::Empty => None,
            },
        }
    }
}

impl Survey {
    pub(super) fn count(&mut self, id: i64, kind: Option<&Kind>) {
        self.keys += 1;
        match kind {
            Some(Kind::Old) => self.old += 1,
            Some(Kind::New) => self.new += 1,
            Some(Kind::InClear) => self.in_clear += 1,
            Some(Kind::Empty) => self.empty += 1,
            None => {
                self.unreadable += 1;
                if self.unreadable_ids.len() < IDS_NAMED_MAX {
                    self.unreadable_ids.push(id);
                }
            }
        }
    }

    /// # Errors
    /// There is a key that cannot be read.
    pub(crate) fn check(&self, passphrases: &Passphrases) -> Result<(), Error> {
        if self.unreadable == 0 {
            return Ok(());
        }
        let ids: Vec<String> = self.unreadable_ids.iter().map(ToString::to_string).collect();
        let more = if self.unreadable > ids.len() as u64 { ", …" } else { "" };
        let advice = if !passphrases.from.is_on() {
            "they are encrypted already: name the passphrase that they were stored with by --from-file, --from-env or --from"
        } else if self.unreadable == self.keys - self.empty {
            "check the passphrase after --from: it is the ENCRYPTION_KEY that they were stored with"
        } else {
            "they were stored with a third passphrase, or are damaged: migrate with that one first, or delete them by their ids"
        };
        Err(Error::Refused(format!(
            "{} of {} keys can be read with neither passphrase, so nothing was changed; {advice} (ids {}{more})",
            self.unreadable,
            self.keys,
            ids.join(", ")
        )))
    }
}

/// Reads every key.
///
/// # Errors
/// Those of the database.
pub(crate) async fn survey(
    database: &Database,
    passphrases: &Passphrases,
    say: &mut dyn FnMut(String),
) -> Result<Survey, Error> {
    let readers = database.readers();
    let mut survey = Survey::default();
    if !database.has_table("api_keys").await? {
        return Ok(survey);
    }
    let has_hashes = queries::has_hashes(database).await?;
    let all = queries::count_keys(readers).await?;
    let mut last_id = i64::MIN;
    loop {
        let keys = queries::keys_above(readers, last_id, KEYS_PER_LOT, has_hashes).await?;
        let Some((id, ..)) = keys.last() else { return Ok(survey) };
        last_id = *id;
        for (id, text, hash) in &keys {
            survey.count(*id, passphrases.read(text, hash.as_deref()).map(|(_, kind)| kind).as_ref());
        }
        say(format!("Read {} of {all} keys", survey.keys));
    }
}

/// Says what a migration would find and do.
///
/// # Errors
/// What would keep it from beginning.
pub(crate) async fn rehearse(
    database: &Database,
    passphrases: &Passphrases,
    say: &mut dyn FnMut(String),
) -> Result<(), Error> {
    let running = cluster::nodes_seen(database).await?;
    for node in running.iter().filter(|node| node.is_alive) {
        say(format!("A server runs on this database: {} ({}); it has to be stopped first", node.address, node.role));
    }
    match Unfinished::load(database).await? {
        Some(unfinished) if unfinished.is_of(passphrases) => {
            say("A migration with these passphrases broke off; it would be finished".to_owned());
        }
        Some(_) => return Err(Error::refused(OTHERS_UNFINISHED)),
        None => {}
    }
    let found = survey(database, passphrases, say).await?;
    found.check(passphrases)?;
    describe(&found, say);
    say(format!("All {} keys can be read, and would be stored anew", found.keys - found.empty));
    if database.has_table("request_logs").await? {
        let rows = queries::count_logged(database.readers()).await?;
        say(format!("{rows} entries of the request log would be looked at, and their keys masked"));
    }
    if let Some(rows) = queries::left_by_the_original(database).await? {
        let table = queries::LEFT_BY_THE_ORIGINAL;
        say(format!("The table {table}, which a migration of the original left with {rows} keys, would be removed"));
    }
    Ok(())
}

/// What is out of the ordinary about the keys.
pub(super) fn describe(found: &Survey, say: &mut dyn FnMut(String)) {
    if found.new > 0 {
        say(format!("{} of {} keys are stored with the new passphrase already", found.new, found.keys));
    }
    if found.in_clear > 0 {
        say(format!("{} of {} keys are stored in clear", found.in_clear, found.keys));
    }
    if found.empty > 0 {
        say(format!("{} rows hold no key and stay as they are", found.empty));
    }
}
