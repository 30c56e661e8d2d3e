//! What we remember beside the original's tables: short texts by their names, in the table `gpt_load_state`.

use super::{Database, Engine, Error, Source, Sql, Transaction};

pub(super) const TABLE: &str = "gpt_load_state";

impl Database {
    /// The text that is kept under a name; `None` where there is none, or not even the table.
    pub(crate) async fn state(&self, name: &str) -> Result<Option<String>, Error> {
        if !self.has_table(TABLE).await? {
            return Ok(None);
        }
        let text = "SELECT value FROM gpt_load_state WHERE name = ?";
        let value: Option<(String,)> = self.readers().optional(self.sql(text).bind(name)).await?;
        Ok(value.map(|(value,)| value))
    }

    /// Whether there is a table of this name.
    pub(crate) async fn has_table(&self, name: &str) -> Result<bool, Error> {
        let text = match self.engine() {
            Engine::Sqlite => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
            Engine::MySql(_) => {
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = ?"
            }
            Engine::PostgreSql => {
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = ?"
            }
        };
        Ok(self.readers().value::<i64>(self.sql(text).bind(name)).await? > 0)
    }
}

impl Transaction {
    pub(crate) async fn set_state(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let engine = self.engine();
        let text = format!(
            "INSERT INTO gpt_load_state (name, value) VALUES (?, ?) {} value = {}",
            engine.on_conflict("name"),
            engine.excluded("value")
        );
        self.execute(Sql::made(engine, text).bind(name).bind(value)).await?;
        Ok(())
    }

    /// Keeps another text under a name, or none any more, if it is still this one. False: somebody was faster.
    pub(crate) async fn swap_state(
        &mut self,
        name: &str,
        present: Option<&str>,
        next: Option<&str>,
    ) -> Result<bool, Error> {
        let engine = self.engine();
        let sql = match (present, next) {
            (None, None) => return Ok(true),
            (None, Some(next)) => {
                Sql::new(engine, "INSERT INTO gpt_load_state (name, value) VALUES (?, ?)").bind(name).bind(next)
            }
            (Some(present), Some(next)) => {
                Sql::new(engine, "UPDATE gpt_load_state SET value = ? WHERE name = ? AND value = ?")
                    .bind(next)
                    .bind(name)
                    .bind(present)
            }
            (Some(present), None) => {
                Sql::new(engine, "DELETE FROM gpt_load_state WHERE name = ? AND value = ?").bind(name).bind(present)
            }
        };
        match self.execute(sql).await {
            Ok(done) => Ok(done.rows_affected > 0),
            Err(Error::Duplicate) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
