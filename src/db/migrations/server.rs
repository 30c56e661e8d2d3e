//! The schema on a server: other nodes may start at the same time, so all of it happens under a lock.

use std::collections::{HashMap, HashSet};

use super::{DROPPED_INDEXES, Table, columns, fill_hashes, record_version, refuse_newer, stored_version};
use crate::db::{Database, Engine, Error, Source, Sql, Transaction};

/// What the lock is called: a number on PostgreSQL.
const LOCK_NUMBER: i64 = 0x0067_7074_6c6f_6164;
const LOCK_NAME: &str = "gpt_load_schema";
/// How long another node may take for its migrations.
const LOCK_SECONDS: i64 = 600;

/// Texts of a column that grew over the versions of the original: table, column, the type that it has now.
const WIDENED: &[(&str, &str, &str)] = &[
    ("api_keys", "key_value", "text NOT NULL"),
    ("request_logs", "key_value", "text"),
    ("request_logs", "source_ip", "varchar(64)"),
];

pub(super) struct Column {
    name: String,
    /// `None`: of any length.
    characters_max: Option<i64>,
    is_nullable: bool,
}

pub(super) async fn prepare(database: &Database) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    lock(&mut transaction).await?;
    // MySQL ends a transaction at each change of a table: what is done there stays done, and is found done the next time.
    let outcome = migrate(&mut transaction).await;
    unlock(&mut transaction).await?;
    outcome?;
    transaction.commit().await
}

async fn migrate(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    if !columns_of(transaction, "gpt_load_state").await?.is_empty() {
        refuse_newer(stored_version(transaction).await?)?;
    }
    drop_old_indexes(transaction).await?;
    for table in engine.tables() {
        extend(transaction, table).await?;
    }
    widen(transaction).await?;
    drop_old_columns(transaction).await?;
    fill_hashes(transaction).await?;
    for table in engine.tables() {
        complete_indexes(transaction, table).await?;
    }
    record_version(transaction).await
}

async fn lock(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    let is_ours = match engine {
        Engine::PostgreSql => {
            // Until the end of the transaction.
            transaction
                .execute(Sql::new(engine, "SELECT pg_advisory_xact_lock(?)").bind(LOCK_NUMBER).patiently())
                .await?;
            true
        }
        _ => {
            let sql =
                Sql::new(engine, "SELECT coalesce(GET_LOCK(?, ?), 0)").bind(LOCK_NAME).bind(LOCK_SECONDS).patiently();
            transaction.value::<i64>(sql).await? == 1
        }
    };
    if is_ours { Ok(()) } else { Err(Error::text("another node is changing the schema for more than ten minutes")) }
}

async fn unlock(transaction: &mut Transaction) -> Result<(), Error> {
    if let engine @ Engine::MySql(_) = transaction.engine() {
        transaction.rows(Sql::new(engine, "SELECT RELEASE_LOCK(?)").bind(LOCK_NAME)).await?;
    }
    Ok(())
}

async fn drop_old_indexes(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    let present = indexes_of(transaction, "api_keys").await?;
    for index in DROPPED_INDEXES.iter().filter(|index| present.contains_key(**index)) {
        let (name, table) = (engine.quoted(index), engine.quoted("api_keys"));
        let text = match engine {
            Engine::MySql(_) => format!("DROP INDEX {name} ON {table}"),
            // What the original made as a constraint has an index of its name that cannot go alone.
            _ => format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}; DROP INDEX IF EXISTS {name}"),
        };
        transaction.run(text).await?;
    }
    Ok(())
}

async fn extend(transaction: &mut Transaction, table: &Table) -> Result<(), Error> {
    let engine = transaction.engine();
    let mut present: HashSet<String> = columns_of(transaction, table.name).await?.into_keys().collect();
    let is_new = present.is_empty();
    if is_new {
        transaction.run(table.create.to_owned()).await?;
        present.extend(columns(table.create).map(|(name, _)| name.to_owned()));
    }
    let own = table.own_columns.iter().copied();
    for (name, definition) in columns(table.create).chain(own).filter(|(name, _)| !present.contains(*name)) {
        if !is_new {
            tracing::info!("Adding column {name} to table {}", table.name);
        }
        transaction.run(format!("ALTER TABLE {} ADD COLUMN {definition}", engine.quoted(table.name))).await?;
    }
    Ok(())
}

async fn widen(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    for (table, column, wanted) in WIDENED {
        let present = columns_of(transaction, table).await?;
        let Some(found) = present.get(*column) else { continue };
        let wanted_characters = wanted.strip_prefix("varchar(").and_then(|rest| rest.split(')').next()?.parse().ok());
        let is_narrow = match (found.characters_max, wanted_characters) {
            (Some(found), Some(wanted)) => found < wanted,
            // MySQL says of its texts how many bytes they take.
            (Some(found), None) => found < 65_535,
            (None, _) => false,
        };
        if !is_narrow {
            continue;
        }
        tracing::info!("Widening column {column} of table {table}");
        let (table, column) = (engine.quoted(table), engine.quoted(column));
        let text = match engine {
            Engine::MySql(_) => format!("ALTER TABLE {table} MODIFY COLUMN {column} {wanted}"),
            _ => format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {}", wanted.trim_end_matches(" NOT NULL")),
        };
        transaction.run(text).await?;
    }
    Ok(())
}

/// Columns of old versions that must not be NULL and that nobody fills any more.
async fn drop_old_columns(transaction: &mut Transaction) -> Result<(), Error> {
    let engine = transaction.engine();
    let present = columns_of(transaction, "request_logs").await?;
    let table = engine.quoted("request_logs");
    if present.contains_key("retries") {
        transaction.run(format!("ALTER TABLE {table} DROP COLUMN {}", engine.quoted("retries"))).await?;
    }
    // The key's id stays for whoever wants to look it up.
    if let Some(column) = present.get("key_id").filter(|column| !column.is_nullable) {
        let column = engine.quoted(&column.name);
        let text = match engine {
            Engine::MySql(_) => format!("ALTER TABLE {table} MODIFY COLUMN {column} bigint unsigned NULL"),
            _ => format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"),
        };
        transaction.run(text).await?;
    }
    Ok(())
}

async fn complete_indexes(transaction: &mut Transaction, table: &Table) -> Result<(), Error> {
    let engine = transaction.engine();
    let present = indexes_of(transaction, table.name).await?;
    for (name, create) in table.indexes {
        let wanted = columns_in(create);
        if let Some(found) = present.get(*name) {
            // The original's begin as ours do, and end before.
            if found.len() >= wanted.len() || !wanted.starts_with(found) {
                continue;
            }
            let (index, table) = (engine.quoted(name), engine.quoted(table.name));
            let drop = match engine {
                Engine::MySql(_) => format!("DROP INDEX {index} ON {table}"),
                _ => format!("DROP INDEX {index}"),
            };
            transaction.run(drop).await?;
        }
        tracing::debug!("Making the index {name}");
        transaction.run((*create).to_owned()).await?;
    }
    Ok(())
}

/// The columns in the text of a `CREATE INDEX`.
fn columns_in(create: &str) -> Vec<String> {
    let columns = create.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(columns, _)| columns);
    columns.split(',').map(|column| column.trim().trim_matches(['`', '"']).to_ascii_lowercase()).collect()
}

pub(super) async fn columns_of(transaction: &mut Transaction, table: &str) -> Result<HashMap<String, Column>, Error> {
    let engine = transaction.engine();
    let schema = if engine == Engine::PostgreSql { "current_schema()" } else { "database()" };
    let text = format!(
        "SELECT column_name, CAST(character_maximum_length AS {}), CASE WHEN is_nullable = 'YES' THEN 1 ELSE 0 END \
         FROM information_schema.columns WHERE table_schema = {schema} AND table_name = ?",
        if engine == Engine::PostgreSql { "bigint" } else { "SIGNED" }
    );
    let rows: Vec<(String, Option<i64>, i64)> = transaction.all(Sql::made(engine, text).bind(table)).await?;
    let columns = rows.into_iter().map(|(name, characters_max, is_nullable)| {
        let name = name.to_ascii_lowercase();
        (name.clone(), Column { name, characters_max, is_nullable: is_nullable == 1 })
    });
    Ok(columns.collect())
}

/// The indexes of a table, each with its columns.
pub(super) async fn indexes_of(
    transaction: &mut Transaction,
    table: &str,
) -> Result<HashMap<String, Vec<String>>, Error> {
    let engine = transaction.engine();
    if engine == Engine::PostgreSql {
        let text = "SELECT CAST(indexname AS text), indexdef FROM pg_indexes \
                    WHERE schemaname = current_schema() AND tablename = ?";
        let indexes: Vec<(String, String)> = transaction.all(Sql::new(engine, text).bind(table)).await?;
        return Ok(indexes.into_iter().map(|(name, text)| (name, columns_in(&text))).collect());
    }
    let text = "SELECT index_name, column_name FROM information_schema.statistics \
                WHERE table_schema = database() AND table_name = ? ORDER BY index_name, seq_in_index";
    let mut indexes: HashMap<String, Vec<String>> = HashMap::new();
    for (name, column) in transaction.all::<(String, Option<String>)>(Sql::new(engine, text).bind(table)).await? {
        indexes.entry(name).or_default().push(column.unwrap_or_default().to_ascii_lowercase());
    }
    Ok(indexes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::{fresh, open_again};

    #[tokio::test]
    async fn an_index_of_the_original_gets_the_time() {
        let (place, database) = fresh().await;
        let on_table = match database.engine() {
            Engine::Sqlite => return,
            Engine::MySql(_) => " ON request_logs",
            Engine::PostgreSql => "",
        };
        let index = "idx_request_logs_model";
        database.run(&format!("DROP INDEX {index}{on_table}; CREATE INDEX {index} ON request_logs (model)")).await;
        let database = open_again(&place).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        let indexes = indexes_of(&mut transaction, "request_logs").await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(indexes[index], ["model", "timestamp"]);
    }
}
