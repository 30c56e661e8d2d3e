//! A database of the original, and the real binary beside it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;
use testkit::{Engine, FreshDatabase, MockUpstream, TempServer, TempServerBuilder};

/// What the encrypted dumps are encrypted with.
pub(crate) const OLD: &str = "correct horse battery staple";
pub(crate) const NEW: &str = "another long passphrase 7351";
/// Where the upstreams of the dumps are.
const UPSTREAM: &str = "http://mock.invalid";

pub(crate) struct Place {
    pub(crate) database: FreshDatabase,
    pub(crate) mock: MockUpstream,
    /// The working directory of commands.
    pub(crate) folder: TempDir,
}

impl Place {
    /// A copy of what the original left.
    pub(crate) async fn of_the_original(version: &str) -> Self {
        let mock = MockUpstream::start().await;
        let database = FreshDatabase::of_this_run().await;
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/originals");
        let dump = folder.join(format!("{}_{version}.sql", Engine::of_this_run()));
        database.load_replacing(dump, &[(UPSTREAM, &mock.base_url())]).await;
        Self { database, mock, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database.engine() == Engine::Sqlite
    }

    pub(crate) fn server(&self, passphrase: &str) -> TempServerBuilder {
        let builder = TempServer::builder().env("DATABASE_DSN", &self.dsn()).env("TZ", "Asia/Shanghai");
        builder.env("ENCRYPTION_KEY", passphrase)
    }

    fn dsn(&self) -> String {
        self.database.dsn_in_zone("Asia/Shanghai")
    }

    pub(crate) fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpt-load"));
        command.args(arguments).env_clear().env("DATABASE_DSN", self.dsn()).current_dir(self.folder.path());
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `migrate-keys` to its end; gives its status and all that it printed.
    pub(crate) async fn migrate(&self, flags: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let line = [&["migrate-keys"], flags].concat();
        printed(self.command(&line, environment)).await
    }

    /// Begins `migrate-keys`.
    pub(crate) fn begin(&self, flags: &[&str]) -> Child {
        self.command(&[&["migrate-keys"], flags].concat(), &[]).spawn().unwrap()
    }

    pub(crate) async fn check(&self, flags: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        // The port is one that the system gives, so that no other test has it.
        let environment = [&[("AUTH_KEY", TempServer::AUTH_KEY), ("HOST", "127.0.0.1")], environment].concat();
        let port = testkit::free_address().port().to_string();
        let environment = [&[("PORT", &*port)], &environment[..]].concat();
        printed(self.command(&[&["check"], flags].concat(), &environment)).await
    }

    /// The columns of the original's tables, `table.column`, with what the engine says of them.
    pub(crate) async fn columns(&self) -> BTreeMap<String, String> {
        let tables =
            ["system_settings", "groups", "group_sub_groups", "api_keys", "request_logs", "group_hourly_stats"];
        let mut columns = BTreeMap::new();
        for table in tables {
            let query = match self.database.engine() {
                Engine::Sqlite => format!(
                    "SELECT name, type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '-') FROM pragma_table_info('{table}')"
                ),
                Engine::MySql => format!(
                    "SELECT column_name, concat(column_type, ' ', is_nullable, ' ', coalesce(column_default, '-')) \
                     FROM information_schema.columns WHERE table_schema = database() AND table_name = '{table}'"
                ),
                Engine::PostgreSql => format!(
                    "SELECT column_name, concat(data_type, ' ', character_maximum_length, ' ', is_nullable, ' ', column_default) \
                     FROM information_schema.columns WHERE table_name = '{table}'"
                ),
            };
            for row in self.database.rows(&query).await {
                let mut row = row.into_iter().map(Option::unwrap_or_default);
                columns.insert(format!("{table}.{}", row.next().unwrap()), row.next().unwrap());
            }
        }
        columns
    }
}

/// Runs a command to its end; gives its status and all that it printed.
async fn printed(mut command: Command) -> (i32, String) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code().unwrap_or(-1), text(&stdout) + &text(&stderr))
}
