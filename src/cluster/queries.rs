//! All SQL of nodes and leases. Times are the database's: several clocks would not agree.

use std::time::Duration;

use super::{
    Node,
    nodes::{DEAD_AFTER, FORGOTTEN_AFTER},
};
use crate::db::{self, Database, FromRow, Readers, Row, Source, Sql};

/// Takes a lease that is free or ours already. Returns whether it is ours now.
pub(crate) async fn acquire(database: &Database, name: &str, time: Duration) -> Result<bool, db::Error> {
    let engine = database.engine();
    let now = engine.now_milliseconds();
    let mut transaction = database.begin().await?;
    let text = format!(
        "UPDATE gpt_load_leases SET node = ?, expires_at = {now} + ? WHERE name = ? AND (node = ? OR expires_at < {now})"
    );
    let update =
        Sql::made(engine, text).bind(database.node()).bind(milliseconds(time)).bind(name).bind(database.node());
    let mut is_ours = transaction.execute(update).await?.rows_affected > 0;
    if !is_ours {
        // Where there is a row, somebody else has it.
        let text = format!(
            "INSERT INTO gpt_load_leases (name, node, expires_at) SELECT ?, ?, {now} + ? \
             WHERE NOT EXISTS (SELECT 1 FROM gpt_load_leases AS present WHERE present.name = ?)"
        );
        let insert = Sql::made(engine, text).bind(name).bind(database.node()).bind(milliseconds(time)).bind(name);
        is_ours = match transaction.execute(insert).await {
            Ok(done) => done.rows_affected > 0,
            Err(db::Error::Duplicate) => false,
            Err(error) => return Err(error),
        };
    }
    transaction.commit().await?;
    Ok(is_ours)
}

/// Gives a lease back, if it is ours.
pub(crate) async fn release(database: &Database, name: &str) -> Result<(), db::Error> {
    let sql = database.sql("DELETE FROM gpt_load_leases WHERE name = ? AND node = ?").bind(name).bind(database.node());
    run(database, sql).await
}

/// Who has a lease now.
pub(crate) async fn holder(readers: &Readers, name: &str) -> Result<Option<String>, db::Error> {
    let engine = readers.engine();
    let text =
        format!("SELECT node FROM gpt_load_leases WHERE name = ? AND expires_at >= {}", engine.now_milliseconds());
    let node: Option<(String,)> = readers.optional(Sql::made(engine, text).bind(name)).await?;
    Ok(node.map(|(node,)| node))
}

pub(super) async fn beat(database: &Database, role: &str, address: &str) -> Result<(), db::Error> {
    let engine = database.engine();
    if engine.is_sqlite() {
        return Ok(());
    }
    let now = engine.now_milliseconds();
    let text = format!(
        "INSERT INTO gpt_load_nodes (node, role, release_name, address, started_at, seen_at) \
         VALUES (?, ?, ?, ?, {now}, {now}) {} seen_at = {}",
        engine.on_conflict("node"),
        engine.excluded("seen_at")
    );
    let sql = Sql::made(engine, text).bind(database.node()).bind(role).bind(env!("CARGO_PKG_VERSION")).bind(address);
    run(database, sql).await
}

pub(super) async fn sign_off(database: &Database) -> Result<(), db::Error> {
    run(database, database.sql("DELETE FROM gpt_load_nodes WHERE node = ?").bind(database.node())).await
}

pub(super) async fn nodes(readers: &Readers) -> Result<Vec<Node>, db::Error> {
    let engine = readers.engine();
    let text = format!(
        "SELECT node, role, release_name, address, started_at, seen_at, \
         CASE WHEN seen_at >= {} - ? THEN 1 ELSE 0 END AS is_alive FROM gpt_load_nodes ORDER BY started_at, node",
        engine.now_milliseconds()
    );
    readers.all(Sql::made(engine, text).bind(milliseconds(DEAD_AFTER))).await
}

pub(super) async fn forget_nodes(database: &Database) -> Result<(), db::Error> {
    let text = format!("DELETE FROM gpt_load_nodes WHERE seen_at < {} - ?", database.engine().now_milliseconds());
    run(database, Sql::made(database.engine(), text).bind(milliseconds(FORGOTTEN_AFTER))).await
}

impl FromRow for Node {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            name: row.get("node")?,
            role: row.get("role")?,
            release: row.get("release_name")?,
            address: row.get("address")?,
            started_at: row.get("started_at")?,
            seen_at: row.get("seen_at")?,
            is_alive: row.get::<i64>("is_alive")? == 1,
        })
    }
}

async fn run(database: &Database, sql: Sql) -> Result<(), db::Error> {
    let mut transaction = database.begin().await?;
    transaction.execute(sql).await?;
    transaction.commit().await
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
