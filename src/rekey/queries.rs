//! All SQL of a migration. Its helper table holds the new form of each key until the switch, and then what the request log
//! needs.

use std::collections::HashMap;

use serde::Serialize;

use crate::db::{self, Database, Engine, Readers, Source, Sql, Transaction};

/// The original's helper table, which a migration of its that broke off leaves behind, with all keys in it.
pub(crate) const LEFT_BY_THE_ORIGINAL: &str = "temp_migration";
const HELPER: &str = "gpt_load_key_migration";
/// Rows of one statement on MySQL, where each value has a place of its own.
const MYSQL_ROWS_PER_STATEMENT: usize = 200;

/// Id, stored text and hash.
pub(crate) type Key = (i64, String, Option<String>);

/// The new form of a key.
pub(super) struct Copied {
    pub(super) id: i64,
    /// By which the request log knows it.
    pub(super) old_hash: String,
    pub(super) new_value: String,
    pub(super) new_hash: String,
}

/// A row of the request log, as far as keys are concerned.
pub(super) struct Logged {
    /// The row's number in a file, its id on a server.
    pub(super) place: String,
    pub(super) value: Option<String>,
    pub(super) hash: Option<String>,
    /// The original wrote no request ids.
    pub(super) is_ours: bool,
}

pub(super) async fn count_keys(source: impl Source) -> Result<u64, db::Error> {
    let sql = Sql::new(source.engine(), "SELECT count(*) FROM api_keys");
    Ok(source.value::<i64>(sql).await?.unsigned_abs())
}

pub(super) async fn count_copied(source: impl Source) -> Result<u64, db::Error> {
    let sql = Sql::new(source.engine(), "SELECT count(*) FROM gpt_load_key_migration");
    Ok(source.value::<i64>(sql).await?.unsigned_abs())
}

pub(super) async fn last_copied(readers: &Readers) -> Result<i64, db::Error> {
    // MySQL would make a decimal number of a choice between an id and a zero.
    let last: Option<i64> =
        readers.value(Sql::new(readers.engine(), "SELECT max(id) FROM gpt_load_key_migration")).await?;
    Ok(last.unwrap_or_default())
}

/// Whether keys have hashes yet.
pub(super) async fn has_hashes(database: &Database) -> Result<bool, db::Error> {
    let text = match database.engine() {
        Engine::Sqlite => "SELECT count(*) FROM pragma_table_info('api_keys') WHERE name = 'key_hash'",
        Engine::MySql(_) => {
            "SELECT count(*) FROM information_schema.columns \
             WHERE table_schema = database() AND table_name = 'api_keys' AND column_name = 'key_hash'"
        }
        Engine::PostgreSql => {
            "SELECT count(*) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = 'api_keys' AND column_name = 'key_hash'"
        }
    };
    Ok(database.readers().value::<i64>(database.sql(text)).await? > 0)
}

/// The next keys above an id. Versions of the original before 1.1.0 had no hashes.
pub(crate) async fn keys_above(
    readers: &Readers,
    id: i64,
    limit: u32,
    has_hashes: bool,
) -> Result<Vec<Key>, db::Error> {
    let text = if has_hashes {
        "SELECT id, key_value, key_hash FROM api_keys WHERE id > ? ORDER BY id LIMIT ?"
    } else {
        "SELECT id, key_value, NULL FROM api_keys WHERE id > ? ORDER BY id LIMIT ?"
    };
    readers.all(Sql::new(readers.engine(), text).bind(id).bind(limit)).await
}

/// The next keys above an id, each with the new text and hash that were made of it.
pub(super) async fn pairs_above(
    readers: &Readers,
    id: i64,
    limit: u32,
) -> Result<Vec<(i64, String, Option<String>, Option<String>, Option<String>)>, db::Error> {
    let text = "SELECT api_keys.id, key_value, key_hash, new_value, new_hash FROM api_keys \
                LEFT JOIN gpt_load_key_migration AS made ON made.id = api_keys.id \
                WHERE api_keys.id > ? ORDER BY api_keys.id LIMIT ?";
    readers.all(Sql::new(readers.engine(), text).bind(id).bind(limit)).await
}

/// An empty helper table.
pub(super) async fn make_helper(database: &Database) -> Result<(), db::Error> {
    let create = match database.engine() {
        Engine::Sqlite => {
            "CREATE TABLE gpt_load_key_migration (id integer PRIMARY KEY, old_hash varchar(128) NOT NULL, \
             new_value text NOT NULL, new_hash varchar(128) NOT NULL); \
             CREATE INDEX idx_gpt_load_key_migration ON gpt_load_key_migration(old_hash)"
        }
        Engine::PostgreSql => {
            "CREATE TABLE gpt_load_key_migration (id bigint PRIMARY KEY, old_hash varchar(128) NOT NULL, \
             new_value text NOT NULL, new_hash varchar(128) NOT NULL); \
             CREATE INDEX idx_gpt_load_key_migration ON gpt_load_key_migration(old_hash)"
        }
        Engine::MySql(_) => {
            "CREATE TABLE gpt_load_key_migration (id bigint unsigned PRIMARY KEY, old_hash varchar(128) NOT NULL, \
             new_value text NOT NULL, new_hash varchar(128) NOT NULL, INDEX idx_gpt_load_key_migration (old_hash))"
        }
    };
    let mut transaction = database.begin().await?;
    transaction.run(format!("DROP TABLE IF EXISTS {HELPER}")).await?;
    transaction.run(create.to_owned()).await?;
    transaction.commit().await
}

/// Both helper tables, ours and the original's.
pub(super) async fn drop_helpers(database: &Database) -> Result<(), db::Error> {
    let mut transaction = database.begin().await?;
    for table in [HELPER, LEFT_BY_THE_ORIGINAL] {
        transaction.run(format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    transaction.commit().await
}

/// How many rows the original's helper table holds; `None`: there is none.
pub(crate) async fn left_by_the_original(database: &Database) -> Result<Option<u64>, db::Error> {
    if !database.has_table(LEFT_BY_THE_ORIGINAL).await? {
        return Ok(None);
    }
    let count: i64 = database.readers().value(database.sql("SELECT count(*) FROM temp_migration")).await?;
    Ok(Some(count.unsigned_abs()))
}

pub(super) async fn keep_copies(transaction: &mut Transaction, copies: &[Copied]) -> Result<(), db::Error> {
    let engine = transaction.engine();
    match engine {
        Engine::Sqlite => {
            let rows: Vec<_> =
                copies.iter().map(|copy| (copy.id, &copy.old_hash, &copy.new_value, &copy.new_hash)).collect();
            let text = "INSERT INTO gpt_load_key_migration (id, old_hash, new_value, new_hash) \
                        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)";
            transaction.execute(Sql::new(engine, text).bind(json(&rows))).await?;
        }
        Engine::PostgreSql => {
            let texts =
                |of: fn(&Copied) -> &String| copies.iter().map(|copy| of(copy).clone()).collect::<Vec<String>>();
            let text = "INSERT INTO gpt_load_key_migration (id, old_hash, new_value, new_hash) \
                        SELECT * FROM unnest(?, ?, ?, ?)";
            let sql = Sql::new(engine, text)
                .bind_list(copies.iter().map(|copy| copy.id).collect::<Vec<i64>>())
                .bind_list(texts(|copy| &copy.old_hash))
                .bind_list(texts(|copy| &copy.new_value))
                .bind_list(texts(|copy| &copy.new_hash));
            transaction.execute(sql).await?;
        }
        Engine::MySql(_) => {
            for lot in copies.chunks(MYSQL_ROWS_PER_STATEMENT) {
                let places = vec!["(?, ?, ?, ?)"; lot.len()].join(", ");
                let text =
                    format!("INSERT INTO gpt_load_key_migration (id, old_hash, new_value, new_hash) VALUES {places}");
                let mut sql = Sql::made(engine, text).once();
                for copy in lot {
                    sql = sql.bind(copy.id).bind(&*copy.old_hash).bind(&*copy.new_value).bind(&*copy.new_hash);
                }
                transaction.execute(sql).await?;
            }
        }
    }
    Ok(())
}

/// Puts the new texts and hashes into the keys. Returns how many there were.
pub(super) async fn switch(transaction: &mut Transaction) -> Result<u64, db::Error> {
    let engine = transaction.engine();
    let text = match engine {
        Engine::MySql(_) => {
            "UPDATE api_keys JOIN gpt_load_key_migration AS made ON made.id = api_keys.id \
             SET api_keys.key_value = made.new_value, api_keys.key_hash = made.new_hash"
        }
        Engine::Sqlite | Engine::PostgreSql => {
            "UPDATE api_keys SET key_value = made.new_value, key_hash = made.new_hash \
             FROM gpt_load_key_migration AS made WHERE made.id = api_keys.id"
        }
    };
    Ok(transaction.execute(Sql::new(engine, text).patiently()).await?.rows_affected)
}

pub(super) async fn count_logged(readers: &Readers) -> Result<u64, db::Error> {
    let sql = Sql::new(readers.engine(), "SELECT count(*) FROM request_logs");
    Ok(readers.value::<i64>(sql).await?.unsigned_abs())
}

/// The next rows of the request log behind a place; the empty place is before all of them.
pub(super) async fn logged_behind(readers: &Readers, place: &str, limit: u32) -> Result<Vec<Logged>, db::Error> {
    let engine = readers.engine();
    let rows: Vec<(String, Option<String>, Option<String>, i64)> = if engine.is_sqlite() {
        let text = "SELECT CAST(rowid AS text), key_value, key_hash, request_id IS NOT NULL FROM request_logs \
                    WHERE rowid > ? ORDER BY rowid LIMIT ?";
        // Row numbers begin at 1 unless somebody chose them.
        readers.all(Sql::new(engine, text).bind(place.parse().unwrap_or(i64::MIN)).bind(limit)).await?
    } else {
        let text = "SELECT id, key_value, key_hash, CASE WHEN request_id IS NULL THEN 0 ELSE 1 END FROM request_logs \
                    WHERE id > ? ORDER BY id LIMIT ?";
        readers.all(Sql::new(engine, text).bind(place).bind(limit)).await?
    };
    let logged = |(place, value, hash, is_ours)| Logged { place, value, hash, is_ours: is_ours == 1 };
    Ok(rows.into_iter().map(logged).collect())
}

/// The new hashes of keys by their old ones, as far as the keys are still there.
pub(super) async fn new_hashes(readers: &Readers, old: &[String]) -> Result<HashMap<String, String>, db::Error> {
    if old.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql =
        Sql::new(readers.engine(), "SELECT DISTINCT old_hash, new_hash FROM gpt_load_key_migration WHERE old_hash");
    sql.push_among(old);
    Ok(readers.all::<(String, String)>(sql).await?.into_iter().collect())
}

/// Gives rows of the request log the text and hash that stand beside their places.
pub(super) async fn change_logged(
    transaction: &mut Transaction,
    changed: &[(String, String, String)],
) -> Result<(), db::Error> {
    let engine = transaction.engine();
    if changed.is_empty() {
        return Ok(());
    }
    match engine {
        Engine::Sqlite => {
            let text = "UPDATE request_logs SET key_value = changed.value, key_hash = changed.hash \
                        FROM (SELECT CAST(value ->> 0 AS integer) AS place, value ->> 1 AS value, value ->> 2 AS hash \
                              FROM json_each(?)) AS changed WHERE request_logs.rowid = changed.place";
            transaction.execute(Sql::new(engine, text).bind(json(changed))).await?;
        }
        Engine::PostgreSql => {
            let text = "UPDATE request_logs SET key_value = changed.value, key_hash = changed.hash \
                        FROM unnest(?, ?, ?) AS changed (id, value, hash) WHERE request_logs.id = changed.id";
            let sql = Sql::new(engine, text)
                .bind_list(changed.iter().map(|(id, ..)| id.clone()).collect::<Vec<String>>())
                .bind_list(changed.iter().map(|(_, value, _)| value.clone()).collect::<Vec<String>>())
                .bind_list(changed.iter().map(|(.., hash)| hash.clone()).collect::<Vec<String>>());
            transaction.execute(sql).await?;
        }
        Engine::MySql(_) => {
            for lot in changed.chunks(MYSQL_ROWS_PER_STATEMENT) {
                // Texts of a table made on the way would have another collation than the column.
                let cases = vec!["WHEN ? THEN ?"; lot.len()].join(" ");
                let places = vec!["?"; lot.len()].join(", ");
                let text = format!(
                    "UPDATE request_logs SET key_value = CASE id {cases} END, key_hash = CASE id {cases} END \
                     WHERE id IN ({places})"
                );
                let mut sql = Sql::made(engine, text).once();
                for (id, value, _) in lot {
                    sql = sql.bind(&**id).bind(&**value);
                }
                for (id, _, hash) in lot {
                    sql = sql.bind(&**id).bind(&**hash);
                }
                for (id, ..) in lot {
                    sql = sql.bind(&**id);
                }
                transaction.execute(sql).await?;
            }
        }
    }
    Ok(())
}

/// When a lease ends, in milliseconds since 1970 by the database's clock.
pub(super) async fn end_of_lease(readers: &Readers, name: &str) -> Result<Option<i64>, db::Error> {
    let sql = Sql::new(readers.engine(), "SELECT expires_at FROM gpt_load_leases WHERE name = ?");
    Ok(readers.optional::<(i64,)>(sql.bind(name)).await?.map(|(end,)| end))
}

/// A list of plain values always has a text.
fn json(values: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(values).unwrap_or_default()
}
