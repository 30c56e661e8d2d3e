//! The databases that the suite runs on.

use std::fmt;

/// Names the engine of a run; SQLite without it.
const VARIABLE: &str = "TEST_ENGINE";

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    /// MariaDB plays this part.
    MySql,
    PostgreSql,
}

impl Engine {
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::MySql, Self::PostgreSql];
    /// Those that several nodes can share.
    pub const SERVERS: [Self; 2] = [Self::MySql, Self::PostgreSql];

    /// What `TEST_ENGINE` says: `sqlite` (also when it is not set), `mysql` or `postgresql`.
    ///
    /// # Panics
    /// When it says anything else.
    pub fn of_this_run() -> Self {
        let Some(named) = std::env::var_os(VARIABLE) else { return Self::Sqlite };
        let named = named.to_string_lossy();
        let found = Self::ALL.into_iter().find(|engine| engine.name() == named);
        found.unwrap_or_else(|| panic!("{VARIABLE} is {named:?}; it may be sqlite, mysql or postgresql"))
    }

    /// As `TEST_ENGINE` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::MySql => "mysql",
            Self::PostgreSql => "postgresql",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
