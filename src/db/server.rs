//! MySQL, MariaDB and PostgreSQL: pools of connections to a server that other nodes use as well.

use std::{sync::Arc, time::Duration};

use sqlx::{
    Executor as _, MySql, MySqlPool, Postgres, Row as _, mysql::MySqlPoolOptions, pool::PoolOptions,
    postgres::PgPoolOptions,
};

use super::{Error, Readers, Writer, connect};
use crate::config::{DatabasePool, MySqlDsn, PostgreSqlDsn};

/// How long the question whether the database answers waits for its connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A node that is frozen in the midst of a transaction, or lost its network, must not hold up the others for longer than
/// this: the server ends the transaction. (MySQL itself knows no such limit; the comment is a statement for MariaDB only.)
pub(super) const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 15000";
const MARIADB_LIMIT: &str = "SET @gpt_load = 1 /*M!, SESSION idle_transaction_timeout = 15 */";

pub(super) async fn open_mysql(dsn: &MySqlDsn, pool: &DatabasePool) -> Result<(Writer, Readers, Readers), Error> {
    let (options, zone) = connect::mysql_options(dsn).map_err(Error::text)?;
    let session: Arc<[String]> = connect::mysql_session(dsn).into();
    let greeted = |pool: PoolOptions<MySql>| {
        let session = Arc::clone(&session);
        pool.after_connect(move |connection, _| {
            let session = Arc::clone(&session);
            Box::pin(async move {
                connection.execute(MARIADB_LIMIT).await?;
                for statement in session.iter() {
                    connection.execute(sqlx::AssertSqlSafe(statement.clone())).await?;
                }
                Ok(())
            })
        })
    };
    let connections = greeted(sized(MySqlPoolOptions::new(), pool)).connect_with(options.clone()).await?;
    let probe = greeted(single(MySqlPoolOptions::new())).connect_lazy_with(options);
    // One pool for both: the server does not tell readers from writers.
    Ok((Writer::MySql(connections.clone(), zone), Readers::MySql(connections, zone), Readers::MySql(probe, zone)))
}

pub(super) async fn open_postgresql(
    dsn: &PostgreSqlDsn,
    pool: &DatabasePool,
) -> Result<(Writer, Readers, Readers), Error> {
    let servers = connect::Servers::new(dsn).map_err(Error::text)?;
    let options = servers.choose().await?;
    let must_be_writable = servers.must_be_writable();
    let checked = |pool: PoolOptions<Postgres>| {
        pool.after_connect(move |connection, _| {
            Box::pin(async move { if must_be_writable { connect::check_writable(connection).await } else { Ok(()) } })
        })
    };
    let connections = checked(sized(PgPoolOptions::new(), pool)).connect_with(options.clone()).await?;
    let probe = checked(single(PgPoolOptions::new())).connect_lazy_with(options);
    Ok((Writer::PostgreSql(connections.clone()), Readers::PostgreSql(connections), Readers::PostgreSql(probe)))
}

/// MySQL answers with a table of what it did, and what it could not.
pub(super) async fn optimize_mysql(pool: &MySqlPool, table: &str) -> Result<(), Error> {
    let text = format!("OPTIMIZE TABLE `{table}`");
    for row in sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_all(pool).await? {
        let kind: String = row.try_get_unchecked("Msg_type")?;
        if kind.eq_ignore_ascii_case("error") {
            return Err(Error::text(row.try_get_unchecked::<String, _>("Msg_text")?));
        }
    }
    Ok(())
}

fn sized<D: sqlx::Database>(options: PoolOptions<D>, pool: &DatabasePool) -> PoolOptions<D> {
    options
        .max_connections(pool.connections_max)
        .min_connections(pool.connections_min)
        .acquire_timeout(pool.acquire_timeout)
        .idle_timeout(pool.idle_timeout)
        .max_lifetime(pool.lifetime_max)
}

fn single<D: sqlx::Database>(options: PoolOptions<D>) -> PoolOptions<D> {
    options.max_connections(1).acquire_timeout(PROBE_TIMEOUT)
}
