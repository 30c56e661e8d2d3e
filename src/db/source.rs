//! Where statements run: readers, and transactions.

use std::{future::Future, time::Duration};

use sqlx::{AssertSqlSafe, Executor, MySql, MySqlPool, PgPool, Postgres, Sqlite, SqlitePool, query::Query, query_with};

use super::{
    Engine, Error, FromRow, Row,
    connect::Zone,
    row::Column,
    sql::{ANSWER_TIMEOUT, Arguments, Sql},
};

/// Connections for statements that only look. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Readers {
    Sqlite(SqlitePool),
    MySql(MySqlPool, Zone),
    PostgreSql(PgPool),
}

/// All of its statements take effect at its commit, or none; dropping it undoes them.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    MySql(sqlx::Transaction<'static, MySql>, Zone),
    PostgreSql(sqlx::Transaction<'static, Postgres>),
}

/// What a statement did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Rows that it found, changed or not.
    pub(crate) rows_affected: u64,
    /// The id of the row that it inserted, where the engine tells; not on PostgreSQL.
    pub(crate) last_insert_id: i64,
}

/// Where a statement that gives rows can run: `&readers`, or `&mut transaction`.
pub(crate) trait Source: Send + Sized {
    fn engine(&self) -> Engine;

    fn rows(self, sql: Sql) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;

    fn all<T: FromRow + Send>(self, sql: Sql) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        async { self.rows(sql).await?.iter().map(T::from_row).collect() }
    }

    /// The first row, if there is one.
    fn optional<T: FromRow + Send>(self, sql: Sql) -> impl Future<Output = Result<Option<T>, Error>> + Send {
        async { self.rows(sql).await?.first().map(T::from_row).transpose() }
    }

    /// # Errors
    /// [`Error::NotFound`] where there is no row.
    fn one<T: FromRow + Send>(self, sql: Sql) -> impl Future<Output = Result<T, Error>> + Send {
        async { self.optional(sql).await?.ok_or(Error::NotFound) }
    }

    /// The first column of the one row.
    fn value<T: Column + Send>(self, sql: Sql) -> impl Future<Output = Result<T, Error>> + Send {
        async { self.one::<(T,)>(sql).await.map(|(value,)| value) }
    }

    /// The first column of all rows.
    fn values<T: Column + Send>(self, sql: Sql) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        async { self.rows(sql).await?.iter().map(|row| row.get(0)).collect() }
    }
}

macro_rules! prepared {
    ($sql:expr, $kind:ident) => {{
        let (text, arguments, is_persistent) = $sql.into_parts()?;
        let Arguments::$kind(arguments) = arguments else {
            return Err(sqlx::Error::Configuration("a statement of another engine".into()).into());
        };
        // Values are bound, never spliced into the text.
        query_with(AssertSqlSafe(text), arguments).persistent(is_persistent)
    }};
}

impl Source for &Readers {
    fn engine(&self) -> Engine {
        match self {
            Readers::Sqlite(_) => Engine::Sqlite,
            Readers::MySql(_, zone) => Engine::MySql(*zone),
            Readers::PostgreSql(_) => Engine::PostgreSql,
        }
    }

    async fn rows(self, sql: Sql) -> Result<Vec<Row>, Error> {
        let (engine, time_max) = (self.engine(), sql.answer_time_max());
        // On the heap: three drivers' states in one are large.
        answered(engine, time_max, Box::pin(self.look(sql))).await
    }
}

impl Readers {
    async fn look(&self, sql: Sql) -> Result<Vec<Row>, Error> {
        Ok(match self {
            Readers::Sqlite(pool) => all(pool, prepared!(sql, Sqlite)).await?.into_iter().map(Row::Sqlite).collect(),
            Readers::MySql(pool, zone) => {
                all(pool, prepared!(sql, MySql)).await?.into_iter().map(|row| Row::MySql(row, *zone)).collect()
            }
            Readers::PostgreSql(pool) => {
                let rows = match sql.time_max() {
                    None => all(pool, prepared!(sql, PostgreSql)).await?,
                    Some(time) => {
                        let milliseconds = time.as_millis().max(1);
                        let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}");
                        let mut transaction = pool.begin_with(AssertSqlSafe(begin)).await?;
                        let rows = all(&mut *transaction, prepared!(sql, PostgreSql)).await?;
                        transaction.commit().await?;
                        rows
                    }
                };
                rows.into_iter().map(Row::PostgreSql).collect()
            }
        })
    }
}

impl Source for &mut Transaction {
    fn engine(&self) -> Engine {
        match self {
            Transaction::Sqlite(_) => Engine::Sqlite,
            Transaction::MySql(_, zone) => Engine::MySql(*zone),
            Transaction::PostgreSql(_) => Engine::PostgreSql,
        }
    }

    async fn rows(self, sql: Sql) -> Result<Vec<Row>, Error> {
        let (engine, time_max) = (self.engine(), sql.answer_time_max());
        answered(engine, time_max, Box::pin(self.look(sql))).await
    }
}

impl Transaction {
    async fn look(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        Ok(match self {
            Transaction::Sqlite(inner) => {
                all(&mut **inner, prepared!(sql, Sqlite)).await?.into_iter().map(Row::Sqlite).collect()
            }
            Transaction::MySql(inner, zone) => {
                let rows = all(&mut **inner, prepared!(sql, MySql)).await?;
                rows.into_iter().map(|row| Row::MySql(row, *zone)).collect()
            }
            Transaction::PostgreSql(inner) => {
                all(&mut **inner, prepared!(sql, PostgreSql)).await?.into_iter().map(Row::PostgreSql).collect()
            }
        })
    }
}

/// Gives up on a server that does not answer; dropping the statement closes its connection. A file is always there.
pub(super) async fn answered<T>(
    engine: Engine,
    time_max: Duration,
    work: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    if engine.is_sqlite() {
        return work.await;
    }
    let outcome = tokio::time::timeout(time_max, work).await;
    outcome.unwrap_or_else(|_| Err(Error::text(format!("the database server did not answer within {time_max:?}"))))
}

async fn all<'c, D: sqlx::Database>(
    executor: impl Executor<'c, Database = D>,
    query: Query<'_, D, D::Arguments>,
) -> Result<Vec<D::Row>, sqlx::Error>
where
    D::Arguments: sqlx::IntoArguments<D>,
{
    query.fetch_all(executor).await
}

impl Readers {
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::MySql(pool, _) => pool.close().await,
            Self::PostgreSql(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::MySql(_, zone) => Engine::MySql(*zone),
            Self::PostgreSql(_) => Engine::PostgreSql,
        }
    }

    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<Done, Error> {
        let (engine, time_max) = (self.engine(), sql.answer_time_max());
        answered(engine, time_max, Box::pin(self.change(sql))).await
    }

    async fn change(&mut self, sql: Sql) -> Result<Done, Error> {
        Ok(match self {
            Self::Sqlite(inner) => {
                let done = prepared!(sql, Sqlite).execute(&mut **inner).await?;
                Done { rows_affected: done.rows_affected(), last_insert_id: done.last_insert_rowid() }
            }
            Self::MySql(inner, _) => {
                let done = prepared!(sql, MySql).execute(&mut **inner).await?;
                let last_insert_id = i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX);
                Done { rows_affected: done.rows_affected(), last_insert_id }
            }
            Self::PostgreSql(inner) => {
                let done = prepared!(sql, PostgreSql).execute(&mut **inner).await?;
                Done { rows_affected: done.rows_affected(), last_insert_id: 0 }
            }
        })
    }

    /// Inserts one row into a table whose ids the database gives. Returns its id.
    pub(crate) async fn insert(&mut self, mut sql: Sql) -> Result<i64, Error> {
        if self.engine() == Engine::PostgreSql {
            sql.push(" RETURNING id");
            return self.value(sql).await;
        }
        Ok(self.execute(sql).await?.last_insert_id)
    }

    /// Statements without values, several of them if need be; their text is a constant of ours.
    pub(crate) async fn run(&mut self, text: String) -> Result<(), Error> {
        let text = AssertSqlSafe(text);
        match self {
            Self::Sqlite(inner) => sqlx::raw_sql(text).execute(&mut **inner).await.map(drop)?,
            Self::MySql(inner, _) => sqlx::raw_sql(text).execute(&mut **inner).await.map(drop)?,
            Self::PostgreSql(inner) => sqlx::raw_sql(text).execute(&mut **inner).await.map(drop)?,
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        let engine = self.engine();
        let work = async {
            match self {
                Self::Sqlite(inner) => inner.commit().await?,
                Self::MySql(inner, _) => inner.commit().await?,
                Self::PostgreSql(inner) => inner.commit().await?,
            }
            Ok(())
        };
        answered(engine, ANSWER_TIMEOUT, Box::pin(work)).await
    }

    pub(crate) async fn rollback(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(inner) => inner.rollback().await?,
            Self::MySql(inner, _) => inner.rollback().await?,
            Self::PostgreSql(inner) => inner.rollback().await?,
        }
        Ok(())
    }
}
