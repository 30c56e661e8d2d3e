//! MySQL, MariaDB and PostgreSQL: pools of connections to a server that other nodes use as well.

use std::time::Duration;

use sqlx::{mysql::MySqlPoolOptions, pool::PoolOptions, postgres::PgPoolOptions};

use super::{Error, Readers, Writer, connect};
use crate::config::{DatabasePool, MySqlDsn, PostgreSqlDsn};

/// How long the question whether the database answers waits for its connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn open_mysql(dsn: &MySqlDsn, pool: &DatabasePool) -> Result<(Writer, Readers, Readers), Error> {
    let (options, zone) = connect::mysql_options(dsn).map_err(|problem| Error::Other(problem.into()))?;
    // One pool for both: no statement of a reader is told apart by the server.
    let connections = sized::<sqlx::MySql>(MySqlPoolOptions::new(), pool).connect_with(options.clone()).await?;
    let probe = MySqlPoolOptions::new().max_connections(1).acquire_timeout(PROBE_TIMEOUT).connect_lazy_with(options);
    Ok((
        Writer::MySql(connections.clone(), zone),
        Readers::MySql(connections, zone),
        Readers::MySql(probe, zone),
    ))
}

pub(super) async fn open_postgresql(
    dsn: &PostgreSqlDsn,
    pool: &DatabasePool,
) -> Result<(Writer, Readers, Readers), Error> {
    let options = connect::postgresql_options(dsn).map_err(|problem| Error::Other(problem.into()))?;
    let connections = sized::<sqlx::Postgres>(PgPoolOptions::new(), pool).connect_with(options.clone()).await?;
    let probe = PgPoolOptions::new().max_connections(1).acquire_timeout(PROBE_TIMEOUT).connect_lazy_with(options);
    Ok((Writer::PostgreSql(connections.clone()), Readers::PostgreSql(connections), Readers::PostgreSql(probe)))
}

fn sized<D: sqlx::Database>(options: PoolOptions<D>, pool: &DatabasePool) -> PoolOptions<D> {
    options
        .max_connections(pool.connections_max)
        .min_connections(pool.connections_min)
        .acquire_timeout(pool.acquire_timeout)
        .idle_timeout(pool.idle_timeout)
        .max_lifetime(pool.lifetime_max)
}
