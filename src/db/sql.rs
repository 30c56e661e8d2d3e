//! A statement for whichever engine there is: its text with `?` where values go, and the values.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sea_query::QueryStatementWriter;
use serde::Serialize;
use sqlx::{
    Arguments as _, Encode, MySql, Postgres, Sqlite, Type, error::BoxDynError, mysql::MySqlArguments,
    postgres::PgArguments, sqlite::SqliteArguments,
};

use super::{Engine, Timestamp};

/// How long a server may take to answer. One that vanishes without a word would otherwise be waited for until the system
/// gives the connection up, a quarter of an hour or more.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A statement with its values. Values are bound, never spliced into the text.
pub(crate) struct Sql {
    engine: Engine,
    text: Text,
    arguments: Arguments,
    /// The first value that could not be bound; said when the statement runs.
    problem: Option<BoxDynError>,
    is_persistent: bool,
    time_max: Option<Duration>,
    answer_time_max: Duration,
}

enum Text {
    /// Prepared once a connection, and the same each time.
    Fixed(&'static str),
    Made(String),
    /// With numbered places already.
    Numbered(String),
}

pub(super) enum Arguments {
    Sqlite(SqliteArguments),
    MySql(MySqlArguments),
    PostgreSql(PgArguments),
}

/// What can be bound: each engine has its own form of some of it.
pub(crate) trait Value {
    fn bind_to(self, sql: &mut Sql);
}

impl Sql {
    pub(crate) fn new(engine: Engine, text: &'static str) -> Self {
        Self::of(engine, Text::Fixed(text))
    }

    /// For a text that is put together.
    pub(crate) fn made(engine: Engine, text: String) -> Self {
        Self::of(engine, Text::Made(text))
    }

    /// For a statement of `sea-query`.
    pub(crate) fn built(engine: Engine, statement: &impl QueryStatementWriter) -> Self {
        use sea_query::Value as V;
        let (text, values) = engine.build(statement);
        let mut sql = Self::of(engine, Text::Numbered(text));
        for value in values {
            match value {
                V::Bool(value) => sql.add(value),
                V::Int(value) => sql.add(value.map(i64::from)),
                V::BigInt(value) => sql.add(value),
                V::BigUnsigned(value) => sql.add(value.map(|value| i64::try_from(value).unwrap_or(i64::MAX))),
                V::String(value) => sql.add(value),
                V::ChronoDateTimeUtc(value) => sql.add(value.map(Timestamp)),
                other => sql.problem = Some(format!("no engine is told values such as {other:?}").into()),
            }
        }
        sql
    }

    fn of(engine: Engine, text: Text) -> Self {
        let arguments = match engine {
            Engine::Sqlite => Arguments::Sqlite(SqliteArguments::default()),
            Engine::MySql(_) => Arguments::MySql(MySqlArguments::default()),
            Engine::PostgreSql => Arguments::PostgreSql(PgArguments::default()),
        };
        Self {
            engine,
            text,
            arguments,
            problem: None,
            is_persistent: true,
            time_max: None,
            answer_time_max: ANSWER_TIMEOUT,
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// For a text that does not come again: no connection remembers it.
    pub(crate) fn once(mut self) -> Self {
        self.is_persistent = false;
        self
    }

    /// On a server the statement ends as [`super::Error::TooLong`] when it takes longer; for readers, and for a `SELECT`.
    pub(crate) fn within(mut self, time_max: Duration) -> Self {
        self.time_max = Some(time_max);
        self
    }

    pub(super) fn time_max(&self) -> Option<Duration> {
        self.time_max
    }

    /// For what may take long in a large database: it is waited for as long as a server can be thought to be at work.
    pub(crate) fn patiently(mut self) -> Self {
        self.answer_time_max = LONG_ANSWER_TIMEOUT;
        self
    }

    /// How long a server may take to answer before it is taken for gone.
    pub(super) fn answer_time_max(&self) -> Duration {
        self.answer_time_max + self.time_max.unwrap_or_default()
    }

    /// Makes room for so many values.
    pub(crate) fn reserve(mut self, values: usize) -> Self {
        match &mut self.arguments {
            Arguments::Sqlite(arguments) => arguments.reserve(values, 0),
            Arguments::MySql(arguments) => arguments.reserve(values, 0),
            Arguments::PostgreSql(arguments) => arguments.reserve(values, 0),
        }
        self
    }

    /// The value of the next `?`.
    pub(crate) fn bind(mut self, value: impl Value) -> Self {
        self.add(value);
        self
    }

    pub(crate) fn add(&mut self, value: impl Value) {
        value.bind_to(self);
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        match &mut self.text {
            Text::Fixed(fixed) => self.text = Text::Made(format!("{fixed}{text}")),
            Text::Made(made) | Text::Numbered(made) => made.push_str(text),
        }
        self
    }

    /// Writes a `?` and binds its value.
    pub(crate) fn push_value(&mut self, value: impl Value) -> &mut Self {
        self.push("?");
        self.add(value);
        self
    }

    /// Writes ` IN (…)` for a list that may be long: one value where the engine can take a list apart.
    pub(crate) fn push_among<T: Value + Clone + Serialize>(&mut self, list: &[T]) -> &mut Self
    where
        Vec<T>: PostgreSqlList,
    {
        match self.engine {
            Engine::Sqlite => {
                // Building and binding a statement with thousands of values takes longer than running it.
                self.push(" IN (SELECT value FROM json_each(?))");
                self.add(serde_json::to_string(list).unwrap_or_default());
            }
            Engine::PostgreSql => {
                self.push(" = ANY(?)");
                let list = list.to_vec();
                self.add_native::<Vec<T>>(list);
            }
            Engine::MySql(_) if list.is_empty() => {
                self.push(" IN (NULL)");
            }
            Engine::MySql(_) => {
                let places = vec!["?"; list.len()].join(",");
                self.push(" IN (").push(&places).push(")");
                for value in list {
                    self.add(value.clone());
                }
                // There would be as many texts as there are lengths.
                self.is_persistent = false;
            }
        }
        self
    }

    fn add_native<T: PostgreSqlList>(&mut self, list: T) {
        if let Arguments::PostgreSql(arguments) = &mut self.arguments {
            let outcome = list.bind_list(arguments);
            self.note(outcome);
        }
    }

    /// Binds a list as one value; for PostgreSQL alone.
    pub(crate) fn bind_list(mut self, list: impl PostgreSqlList) -> Self {
        self.add_native(list);
        self
    }

    fn bind_plain<T>(&mut self, value: T)
    where
        T: for<'q> Encode<'q, Sqlite> + Type<Sqlite>,
        T: for<'q> Encode<'q, MySql> + Type<MySql>,
        T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
    {
        let outcome = match &mut self.arguments {
            Arguments::Sqlite(arguments) => arguments.add(value),
            Arguments::MySql(arguments) => arguments.add(value),
            Arguments::PostgreSql(arguments) => arguments.add(value),
        };
        self.note(outcome);
    }

    fn note(&mut self, outcome: Result<(), BoxDynError>) {
        if let Err(problem) = outcome {
            self.problem.get_or_insert(problem);
        }
    }

    /// The text as the engine takes it, the values, and whether the text comes again.
    pub(super) fn into_parts(self) -> Result<(Arc<str>, Arguments, bool), sqlx::Error> {
        if let Some(problem) = self.problem {
            return Err(sqlx::Error::Encode(problem));
        }
        if let (Engine::MySql(_), Some(time)) = (self.engine, self.time_max) {
            let text = match &self.text {
                Text::Fixed(text) => text,
                Text::Made(text) | Text::Numbered(text) => text.as_str(),
            };
            return Ok((timed(text, time).into(), self.arguments, self.is_persistent));
        }
        let text = match self.text {
            Text::Fixed(text) if self.engine == Engine::PostgreSql => self.engine.numbered(text.to_owned()).into(),
            Text::Fixed(text) => Arc::from(text),
            Text::Made(text) => self.engine.numbered(text).into(),
            Text::Numbered(text) => text.into(),
        };
        Ok((text, self.arguments, self.is_persistent))
    }
}

/// A `SELECT` with an end to its time: MariaDB reads what MySQL takes for a comment, and the other way round.
fn timed(text: &str, time: Duration) -> String {
    let Some(rest) = text.strip_prefix("SELECT ") else { return text.to_owned() };
    let milliseconds = time.as_millis().max(1);
    let seconds = time.as_secs_f64().max(0.001);
    format!(
        "/*M! SET STATEMENT max_statement_time={seconds:.3} FOR */ SELECT /*+ MAX_EXECUTION_TIME({milliseconds}) */ {rest}"
    )
}

/// A list that PostgreSQL takes as one value.
pub(crate) trait PostgreSqlList {
    fn bind_list(self, arguments: &mut PgArguments) -> Result<(), BoxDynError>;
}

macro_rules! lists {
    ($($kind:ty),+) => {$(
        impl PostgreSqlList for Vec<$kind> {
            fn bind_list(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
                arguments.add(self)
            }
        }
    )+};
}

lists!(i64, String, bool, DateTime<Utc>);

macro_rules! plain_values {
    ($($kind:ty),+ $(,)?) => {$(
        impl Value for $kind {
            fn bind_to(self, sql: &mut Sql) {
                sql.bind_plain(self);
            }
        }

        impl Value for Option<$kind> {
            fn bind_to(self, sql: &mut Sql) {
                sql.bind_plain(self);
            }
        }
    )+};
}

plain_values!(i64, bool, String);

impl Value for &str {
    fn bind_to(self, sql: &mut Sql) {
        sql.bind_plain(self.to_owned());
    }
}

impl Value for Option<&str> {
    fn bind_to(self, sql: &mut Sql) {
        sql.bind_plain(self.map(str::to_owned));
    }
}

impl Value for u32 {
    fn bind_to(self, sql: &mut Sql) {
        sql.bind_plain(i64::from(self));
    }
}

/// Shared texts are not copied on their way to SQLite, which stands in our own process.
impl Value for Arc<str> {
    fn bind_to(self, sql: &mut Sql) {
        let outcome = match &mut sql.arguments {
            Arguments::Sqlite(arguments) => arguments.add(self),
            Arguments::MySql(arguments) => arguments.add(&*self),
            Arguments::PostgreSql(arguments) => arguments.add(&*self),
        };
        sql.note(outcome);
    }
}

impl Value for Option<Arc<str>> {
    fn bind_to(self, sql: &mut Sql) {
        match self {
            Some(text) => text.bind_to(sql),
            None => sql.bind_plain(None::<String>),
        }
    }
}

impl Value for Timestamp {
    fn bind_to(self, sql: &mut Sql) {
        Some(self).bind_to(sql);
    }
}

impl Value for DateTime<Utc> {
    fn bind_to(self, sql: &mut Sql) {
        Timestamp(self).bind_to(sql);
    }
}

impl Value for Option<Timestamp> {
    fn bind_to(self, sql: &mut Sql) {
        let engine = sql.engine;
        let outcome = match &mut sql.arguments {
            Arguments::Sqlite(arguments) => arguments.add(self.map(Timestamp::to_stored)),
            Arguments::MySql(arguments) => match engine {
                Engine::MySql(zone) => arguments.add(self.map(|time| zone.to_wall(time.to_milliseconds().0))),
                _ => Ok(()),
            },
            Arguments::PostgreSql(arguments) => arguments.add(self.map(|time| time.0)),
        };
        sql.note(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_for_postgresql_alone() {
        let text = |engine| {
            let mut sql = Sql::new(engine, "SELECT 1 FROM t WHERE a = ?").bind(1_i64);
            sql.push(" AND b").push_among(&[1_i64, 2]).push(" LIMIT ").push_value(3_i64);
            sql.into_parts().unwrap().0.to_string()
        };
        let expected = "SELECT 1 FROM t WHERE a = ? AND b IN (SELECT value FROM json_each(?)) LIMIT ?";
        assert_eq!(text(Engine::Sqlite), expected);
        assert_eq!(text(Engine::PostgreSql), "SELECT 1 FROM t WHERE a = $1 AND b = ANY($2) LIMIT $3");
        let mysql = Engine::MySql(super::super::connect::Zone::Utc);
        assert_eq!(text(mysql), "SELECT 1 FROM t WHERE a = ? AND b IN (?,?) LIMIT ?");
    }
}
