//! Which engine a database runs on, and what the SQL of its kind looks like where the three differ.

use std::fmt::Write as _;

use sea_query::{
    Expr, ExprTrait, MysqlQueryBuilder, PostgresQueryBuilder, QueryStatementWriter, SqliteQueryBuilder, Values,
};

use super::connect::Zone;

/// An engine, with what one must know to write values for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    /// MySQL and MariaDB store times without a zone: they are meant in this one.
    MySql(Zone),
    PostgreSql,
}

impl Engine {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::MySql(_) => "MySQL",
            Self::PostgreSql => "PostgreSQL",
        }
    }

    /// A file of ours alone, rather than a server that other nodes may use as well.
    pub(crate) fn is_sqlite(self) -> bool {
        self == Self::Sqlite
    }

    /// The name of a table or column in quotes: `groups` is a word of MySQL's language.
    pub(crate) fn quoted(self, name: &str) -> String {
        match self {
            Self::PostgreSql => format!("\"{name}\""),
            Self::Sqlite | Self::MySql(_) => format!("`{name}`"),
        }
    }

    /// The operator that compares a text with a pattern without regard to the case of letters.
    pub(crate) fn like(self) -> &'static str {
        if self == Self::PostgreSql { "ILIKE" } else { "LIKE" }
    }

    /// A sum as an integer: the servers widen it to a decimal number.
    pub(crate) fn sum(self, expression: &str) -> String {
        match self {
            Self::Sqlite => format!("sum({expression})"),
            Self::MySql(_) => format!("CAST(sum({expression}) AS SIGNED)"),
            Self::PostgreSql => format!("CAST(sum({expression}) AS bigint)"),
        }
    }

    /// The text of a JSON column as such: PostgreSQL has a type for it.
    pub(crate) fn json(self, text: Expr) -> Expr {
        if self == Self::PostgreSql { text.cast_as("jsonb") } else { text }
    }

    /// What an upsert does with a row that is there; `key` are the columns of its unique index.
    pub(crate) fn on_conflict(self, key: &str) -> String {
        match self {
            Self::MySql(_) => "ON DUPLICATE KEY UPDATE".to_owned(),
            Self::Sqlite | Self::PostgreSql => format!("ON CONFLICT ({key}) DO UPDATE SET"),
        }
    }

    /// The value that an upsert wanted to insert.
    pub(crate) fn excluded(self, column: &str) -> String {
        match self {
            Self::MySql(_) => format!("VALUES({column})"),
            Self::Sqlite | Self::PostgreSql => format!("excluded.{column}"),
        }
    }

    /// The server's own clock, in milliseconds since 1970: what several nodes compare must not be told by several clocks.
    pub(crate) fn now_milliseconds(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS integer)",
            Self::MySql(_) => "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
            Self::PostgreSql => "CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint)",
        }
    }

    /// The text and values of a built statement.
    pub(super) fn build(self, statement: &impl QueryStatementWriter) -> (String, Values) {
        match self {
            Self::Sqlite => statement.build(SqliteQueryBuilder),
            Self::MySql(_) => statement.build(MysqlQueryBuilder),
            Self::PostgreSql => statement.build(PostgresQueryBuilder),
        }
    }

    /// Places for values as the engine's protocol has them: `?` becomes `$1`, `$2` … on PostgreSQL.
    pub(super) fn numbered(self, text: String) -> String {
        if self != Self::PostgreSql || !text.contains('?') {
            return text;
        }
        let mut numbered = String::with_capacity(text.len() + 64);
        for (index, part) in text.split('?').enumerate() {
            if index > 0 {
                // Writing to a string cannot fail.
                let _ = write!(numbered, "${index}");
            }
            numbered.push_str(part);
        }
        numbered
    }
}
