//! The steps of a migration, one lot at a time. Whatever ends the process, the next one goes on with the same steps.

use super::{
    Error, Passphrases,
    logged::{Converted, convert},
    progress::{OTHERS_UNFINISHED, Step, Unfinished},
    queries::{self, Copied},
    start,
    survey::{KEYS_PER_LOT, Kind, describe, survey},
};
use crate::{crypto::Secret, db::Database};

/// Rows of the request log that one transaction converts.
const LOGGED_PER_LOT: u32 = 2_000;
/// What is written anew at the end, so that nothing replaced can be read in the file or on the server's disk.
const COMPACTED_TABLES: [&str; 2] = ["api_keys", "request_logs"];

/// A migration that is under way. Nobody else may use the database.
pub(crate) struct Migration<'a> {
    database: &'a Database,
    passphrases: Passphrases,
    /// As the database has it.
    stored: Option<Unfinished>,
    pub(super) next: Next,
    keys_per_lot: u32,
}

pub(super) enum Next {
    Survey,
    Copy { last_id: i64, done: u64, all: u64 },
    Verify,
    Switch,
    Convert,
    Wipe,
    Nothing,
}

impl<'a> Migration<'a> {
    /// Begins, or goes on with what broke off.
    ///
    /// # Errors
    /// What broke off has other passphrases.
    pub(crate) async fn open(database: &'a Database, passphrases: Passphrases) -> Result<Self, Error> {
        Self::open_with_lots_of(KEYS_PER_LOT, database, passphrases).await
    }

    pub(super) async fn open_with_lots_of(
        keys_per_lot: u32,
        database: &'a Database,
        passphrases: Passphrases,
    ) -> Result<Self, Error> {
        let stored = Unfinished::load(database).await?;
        if stored.as_ref().is_some_and(|stored| !stored.is_of(&passphrases)) {
            return Err(Error::refused(OTHERS_UNFINISHED));
        }
        let next = match stored.as_ref().map(|stored| &stored.step) {
            None | Some(Step::Copying) => Next::Survey,
            Some(Step::Converting { .. }) => Next::Convert,
            Some(Step::Wiping) => Next::Wipe,
        };
        Ok(Self { database, passphrases, stored, next, keys_per_lot })
    }

    /// Whether an earlier run broke off.
    pub(crate) fn is_resumed(&self) -> bool {
        self.stored.is_some()
    }

    /// To the end.
    ///
    /// # Errors
    /// Until the keys are switched nothing but the helper table was touched; afterwards the same call finishes it.
    pub(crate) async fn run(mut self, say: &mut dyn FnMut(String)) -> Result<(), Error> {
        while self.step(say).await? {}
        Ok(())
    }

    /// The next lot. False: there was nothing left to do.
    pub(super) async fn step(&mut self, say: &mut dyn FnMut(String)) -> Result<bool, Error> {
        self.next = match self.next {
            Next::Survey => self.survey(say).await?,
            Next::Copy { last_id, done, all } => self.copy(last_id, done, all, say).await?,
            Next::Verify => self.verify(say).await?,
            Next::Switch => self.switch(say).await?,
            Next::Convert => self.convert(say).await?,
            Next::Wipe => self.wipe(say).await?,
            Next::Nothing => return Ok(false),
        };
        Ok(true)
    }

    async fn survey(&mut self, say: &mut dyn FnMut(String)) -> Result<Next, Error> {
        let found = survey(self.database, &self.passphrases, say).await?;
        found.check(&self.passphrases)?;
        describe(&found, say);
        if self.stored.is_none() {
            queries::make_helper(self.database).await?;
            self.advance(Step::Copying).await?;
        }
        let readers = self.database.readers();
        let last_id = queries::last_copied(readers).await?;
        Ok(Next::Copy { last_id, done: queries::count_copied(readers).await?, all: found.keys })
    }

    async fn copy(&self, last_id: i64, done: u64, all: u64, say: &mut dyn FnMut(String)) -> Result<Next, Error> {
        let keys = queries::keys_above(self.database.readers(), last_id, self.keys_per_lot, true).await?;
        let Some((last_id, ..)) = keys.last() else { return Ok(Next::Verify) };
        let mut copies = Vec::with_capacity(keys.len());
        for (id, text, hash) in &keys {
            let (secret, _) = self.read(*id, text, hash.as_deref())?;
            let Passphrases { from, to } = &self.passphrases;
            let is_empty = secret.expose().is_empty();
            copies.push(Copied {
                id: *id,
                old_hash: from.hash(secret.expose()),
                new_value: if is_empty { String::new() } else { to.encrypt(secret.expose()) },
                new_hash: to.hash(secret.expose()),
            });
        }
        let mut transaction = self.database.begin().await?;
        // Nobody else goes on with it at the same time.
        Unfinished::advance(&mut transaction, self.stored.as_ref(), self.stored.as_ref()).await?;
        queries::keep_copies(&mut transaction, &copies).await?;
        transaction.commit().await?;
        let done = done + copies.len() as u64;
        say(format!("Prepared {done} of {all} keys"));
        Ok(Next::Copy { last_id: *last_id, done, all })
    }

    /// Every key must come out of its new form as it is in the old one, and be found by its new hash.
    async fn verify(&mut self, say: &mut dyn FnMut(String)) -> Result<Next, Error> {
        let readers = self.database.readers();
        let (all, copied) = (queries::count_keys(readers).await?, queries::count_copied(readers).await?);
        let mut wrong: Vec<i64> = Vec::new();
        let (mut last_id, mut verified) = (i64::MIN, 0_u64);
        loop {
            let pairs = queries::pairs_above(readers, last_id, self.keys_per_lot).await?;
            let Some((id, ..)) = pairs.last() else { break };
            last_id = *id;
            for (id, text, hash, new_text, new_hash) in &pairs {
                let is_right = match (new_text, new_hash) {
                    (Some(new_text), Some(new_hash)) => self.is_right((text, hash.as_deref()), new_text, new_hash),
                    _ => false,
                };
                if !is_right {
                    wrong.push(*id);
                }
            }
            verified += pairs.len() as u64;
            say(format!("Verified {verified} of {all} keys"));
        }
        if wrong.is_empty() && all == copied && verified == all {
            return Ok(Next::Switch);
        }
        // The next run begins anew; what there was is of no use to it.
        Unfinished::store(self.database, self.stored.as_ref(), None).await?;
        self.stored = None;
        let first = wrong.first().map(|id| format!(", the first of them {id}")).unwrap_or_default();
        Err(Error::Refused(format!(
            "the keys were changed meanwhile, so nothing was switched ({} of {all} differ from what was prepared{first}): \
             make sure that nothing else writes into this database, and run migrate-keys again",
            wrong.len()
        )))
    }

    fn is_right(&self, (text, hash): (&str, Option<&str>), new_text: &str, new_hash: &str) -> bool {
        let Some((secret, _)) = self.passphrases.read(text, hash) else { return false };
        let to = &self.passphrases.to;
        if secret.expose().is_empty() {
            return new_text.is_empty() && new_hash.is_empty();
        }
        let is_same = to.decrypt(new_text).is_ok_and(|new| new.expose() == secret.expose());
        is_same && to.hash(secret.expose()) == new_hash
    }

    async fn switch(&mut self, say: &mut dyn FnMut(String)) -> Result<Next, Error> {
        let step = Step::Converting { place: String::new(), converted: 0, unreadable: 0 };
        let next = Unfinished::new(&self.passphrases, step);
        let mut change = self.database.begin_change().await?;
        Unfinished::advance(&mut change, self.stored.as_ref(), Some(&next)).await?;
        let switched = queries::switch(&mut change).await?;
        let all = queries::count_keys(&mut *change).await?;
        if switched != all {
            // Dropping the change undoes it.
            return Err(Error::refused(
                "keys were added or deleted meanwhile, so nothing was switched: make sure that nothing else writes into this \
                 database, and run migrate-keys again",
            ));
        }
        start::store_fingerprint(&mut change, &self.passphrases.to).await?;
        change.commit().await?;
        self.stored = Some(next);
        say(format!("Switched {switched} keys; from now on the new passphrase holds"));
        Ok(Next::Convert)
    }

    async fn convert(&mut self, say: &mut dyn FnMut(String)) -> Result<Next, Error> {
        let Some(Unfinished { step: Step::Converting { place, converted, unreadable }, .. }) = &self.stored else {
            return Ok(Next::Wipe);
        };
        let (mut converted, mut unreadable) = (*converted, *unreadable);
        let readers = self.database.readers();
        let rows = queries::logged_behind(readers, place, LOGGED_PER_LOT).await?;
        let Some(last) = rows.last() else {
            if converted > 0 {
                say(format!("Converted the request log, {converted} entries"));
            }
            if unreadable > 0 {
                say(format!(
                    "{unreadable} entries of the request log name keys that no passphrase here can read; they say so"
                ));
            }
            self.advance(Step::Wiping).await?;
            return Ok(Next::Wipe);
        };
        let place = last.place.clone();
        let mut hashes: Vec<String> = rows.iter().filter_map(|row| row.hash.clone()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let new_hashes = queries::new_hashes(readers, &hashes).await?;
        let mut changed = Vec::new();
        for row in rows {
            match convert(&row, &self.passphrases, &new_hashes) {
                Converted::Same => {}
                Converted::To { value, hash } => changed.push((row.place, value, hash)),
                Converted::Unreadable { value, hash } => {
                    unreadable += 1;
                    changed.push((row.place, value.to_owned(), hash));
                }
            }
        }
        converted += changed.len() as u64;
        let next = Unfinished::new(&self.passphrases, Step::Converting { place, converted, unreadable });
        let mut transaction = self.database.begin().await?;
        Unfinished::advance(&mut transaction, self.stored.as_ref(), Some(&next)).await?;
        queries::change_logged(&mut transaction, &changed).await?;
        transaction.commit().await?;
        self.stored = Some(next);
        say(format!("Converted {converted} entries of the request log"));
        Ok(Next::Convert)
    }

    async fn wipe(&mut self, say: &mut dyn FnMut(String)) -> Result<Next, Error> {
        if let Some(rows) = queries::left_by_the_original(self.database).await? {
            say(format!(
                "Removing the table {}, which a migration of the original left, with {rows} keys",
                queries::LEFT_BY_THE_ORIGINAL
            ));
        }
        queries::drop_helpers(self.database).await?;
        say("Writing the tables anew, so that nothing of the old keys is left in them".to_owned());
        if let Err(error) = self.database.compact(&COMPACTED_TABLES).await {
            // The keys are safe where they are; a server that does not start for this would help nobody.
            say(format!(
                "Warning: {} could not be written anew, so parts of what was stored before may still be on the disk: {error}",
                COMPACTED_TABLES.join(" and ")
            ));
        }
        Unfinished::store(self.database, self.stored.as_ref(), None).await?;
        self.stored = None;
        Ok(Next::Nothing)
    }

    async fn advance(&mut self, step: Step) -> Result<(), Error> {
        let next = Unfinished::new(&self.passphrases, step);
        Unfinished::store(self.database, self.stored.as_ref(), Some(&next)).await?;
        self.stored = Some(next);
        Ok(())
    }

    fn read(&self, id: i64, text: &str, hash: Option<&str>) -> Result<(Secret, Kind), Error> {
        self.passphrases.read(text, hash).ok_or_else(|| {
            Error::Refused(format!(
                "key {id} was stored meanwhile with another passphrase: make sure that nothing else writes into this \
                 database, and run migrate-keys again"
            ))
        })
    }
}
