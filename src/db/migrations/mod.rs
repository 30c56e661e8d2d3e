//! How a database that any version of the original wrote is brought up to our schema, once, under a lock.
//!
//! What the original's versions left is found by looking, not by a number. The texts of tables are those that the original
//! writes, because it compares them at its own start. What we brought it to is recorded, for releases to come: one that
//! finds a higher number than its own does not touch the database.

mod mysql;
mod outlook;
mod postgresql;
mod server;
mod sqlite;

pub(crate) use self::outlook::Outlook;
use super::{Database, Engine, Error, Migrations, Source, Sql, Transaction};
use crate::crypto;

/// Counts up with every change of a table of ours that an older release could not work with.
const SCHEMA_VERSION: i64 = 2;
/// Its name in the table of states.
const SCHEMA_VERSION_NAME: &str = "schema_version";
/// Rows whose hash is filled in by one look at the table.
const HASH_FILL_ROWS: i64 = 1_000;

/// A table as the original makes it, and what we add.
struct Table {
    name: &'static str,
    create: &'static str,
    /// Columns of ours, behind those of the original; each may be NULL.
    own_columns: &'static [(&'static str, &'static str)],
    indexes: &'static [(&'static str, &'static str)],
}

/// Unique indexes of old versions that forbid what is allowed today.
const DROPPED_INDEXES: &[&str] = &["idx_group_key", "idx_api_keys_group_id_key_value"];

pub(super) async fn prepare(database: &Database, migrations: Migrations) -> Result<(), Error> {
    match migrations {
        Migrations::Leave => Ok(()),
        Migrations::Expect => expect(database).await,
        Migrations::Run | Migrations::RunAlone if database.engine().is_sqlite() => sqlite::prepare(database).await,
        Migrations::Run | Migrations::RunAlone => server::prepare(database).await,
    }
}

/// A slave touches no table: it waits for a master that does.
async fn expect(database: &Database) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    let stored = stored_version(&mut transaction).await;
    transaction.rollback().await?;
    match stored {
        Ok(Some(SCHEMA_VERSION)) => Ok(()),
        Ok(Some(stored)) if stored > SCHEMA_VERSION => Err(newer(stored)),
        Ok(_) => Err(Error::NotPrepared),
        // PostgreSQL and MySQL refuse a look at a table that is not there.
        Err(Error::Other(_)) => Err(Error::NotPrepared),
        Err(error) => Err(error),
    }
}

/// Refuses a database that a later release has changed. `None`: no release of ours was here yet.
async fn stored_version(transaction: &mut Transaction) -> Result<Option<i64>, Error> {
    let sql = Sql::new(transaction.engine(), "SELECT value FROM gpt_load_state WHERE name = ?");
    let stored: Option<(String,)> = transaction.optional(sql.bind(SCHEMA_VERSION_NAME)).await?;
    let Some((text,)) = stored else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| Error::text(format!("the recorded version of the schema, {text:?}, is no number")))
}

fn refuse_newer(stored: Option<i64>) -> Result<(), Error> {
    match stored {
        Some(stored) if stored > SCHEMA_VERSION => Err(newer(stored)),
        _ => Ok(()),
    }
}

fn newer(stored: i64) -> Error {
    Error::text(format!(
        "the database has schema {stored}, which a later release of GPT-Load wrote; this one knows schemas up to \
         {SCHEMA_VERSION}: start the later release, or restore the copy from before the upgrade"
    ))
}

async fn record_version(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    transaction.set_state(SCHEMA_VERSION_NAME, &SCHEMA_VERSION.to_string()).await?;
    if engine.is_sqlite() {
        return Ok(());
    }
    let text = "SELECT value FROM gpt_load_state WHERE name = ?";
    let sql = Sql::new(engine, text).bind(super::changes::LAST_NUMBER);
    if transaction.optional::<(String,)>(sql).await?.is_none() {
        transaction.set_state(super::changes::LAST_NUMBER, "0").await?;
    }
    Ok(())
}

/// Keys of versions before 1.1.0 have no hash; they were stored in clear, so it is the plain one.
async fn fill_hashes(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    let mut last_id = 0;
    loop {
        // An empty key has an empty hash: it is complete as it is.
        let select = Sql::new(
            engine,
            "SELECT id, key_value FROM api_keys \
             WHERE id > ? AND (key_hash IS NULL OR key_hash = '') AND key_value <> '' ORDER BY id LIMIT ?",
        );
        let keys: Vec<(i64, String)> = transaction.all(select.bind(last_id).bind(HASH_FILL_ROWS)).await?;
        let Some((id, _)) = keys.last() else {
            return Ok(());
        };
        last_id = *id;
        for (id, key) in &keys {
            let update = Sql::new(engine, "UPDATE api_keys SET key_hash = ? WHERE id = ?");
            transaction.execute(update.bind(hex::encode(crypto::digest(key))).bind(*id)).await?;
        }
    }
}

/// Names and definitions of the columns in the text of a `CREATE TABLE`, whichever quotes it has.
fn columns(create: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let body = create.split_once('(').and_then(|(_, body)| body.strip_suffix(')')).unwrap_or_default();
    let mut depth = 0_u32;
    body.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .filter_map(|definition| {
        let (name, _) = definition.strip_prefix(['`', '"'])?.split_once(['`', '"'])?;
        Some((name, definition))
    })
}

impl Engine {
    /// The tables of a server's database.
    fn tables(self) -> &'static [Table] {
        match self {
            Self::Sqlite => sqlite::TABLES,
            Self::MySql(_) => mysql::TABLES,
            Self::PostgreSql => postgresql::TABLES,
        }
    }
}
