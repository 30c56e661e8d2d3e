//! `DATABASE_DSN`: which engine it means, and the refusal of what would otherwise become a strangely named file.

use std::{fmt, path::PathBuf};

use super::{mysql_dsn::MySqlDsn, postgresql_dsn::PostgreSqlDsn, sqlite_dsn::SqliteDsn};

const FORMS: &str = "write the path of a SQLite file (./data/gpt-load.db), \
    user:password@tcp(host:3306)/database for MySQL, or postgres://user:password@host:5432/database for PostgreSQL";
const MYSQL_FORM: &str = "the form is user:password@tcp(host:3306)/database?charset=utf8mb4&parseTime=True&loc=Local, \
    or user:password@unix(/path/to/socket)/database";
const MYSQL_URL_FORM: &str = "the form is mysql://user:password@host:3306/database, special characters in user and \
    password percent-encoded";
const POSTGRESQL_FORM: &str = "the form is postgres://user:password@host:5432/database?sslmode=disable, special \
    characters in user and password percent-encoded";
const KEYWORD_FORM: &str = "the form is host=db port=5432 user=me password='my password' dbname=app sslmode=disable";

/// What a list of keywords for PostgreSQL may begin with.
const FIRST_KEYWORDS: [&str; 9] =
    ["host", "hostaddr", "port", "dbname", "database", "user", "password", "sslmode", "service"];

/// A connection string that was understood. `Debug` and `Display` never show a password.
#[derive(Debug, Clone)]
pub(crate) enum DatabaseDsn {
    Sqlite(SqliteDsn),
    MySql(MySqlDsn),
    PostgreSql(PostgreSqlDsn),
}

/// Files (PEM) for an encrypted connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Certificates {
    /// Whom to believe beside the well-known authorities.
    pub(crate) authority: Option<PathBuf>,
    /// Our own, for servers that ask; never without its key.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl DatabaseDsn {
    /// Reads a connection string. `gaps` looks up environment variables such as `PGPASSWORD` for what the text leaves open.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the variable's name. Neither the error nor the warnings
    /// repeat any of the text that could be a password.
    pub(crate) fn parse(text: &str, gaps: &dyn Fn(&str) -> Option<String>) -> Result<(Self, Vec<String>), String> {
        if text.trim() != text {
            return Err("begins or ends with a blank; remove it".to_owned());
        }
        let of_form = |form: &'static str| move |problem: String| format!("{problem}; {form}");
        let is_path = text.starts_with(['/', '.']);
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let (dsn, warnings) = PostgreSqlDsn::parse(text, gaps).map_err(of_form(POSTGRESQL_FORM))?;
            return Ok((Self::PostgreSql(dsn), warnings));
        }
        if has_scheme(text, "mysql://") || has_scheme(text, "mariadb://") {
            let (dsn, warnings) = MySqlDsn::parse_url(text).map_err(of_form(MYSQL_URL_FORM))?;
            return Ok((Self::MySql(dsn), warnings));
        }
        if text.contains("@tcp") || (text.contains("@unix(") && !is_path) {
            let (dsn, warnings) = MySqlDsn::parse(text).map_err(of_form(MYSQL_FORM))?;
            return Ok((Self::MySql(dsn), warnings));
        }
        if begins_with_keyword(text) {
            let (dsn, warnings) = PostgreSqlDsn::parse(text, gaps).map_err(of_form(KEYWORD_FORM))?;
            return Ok((Self::PostgreSql(dsn), warnings));
        }
        if let Some(form) = mistaken_for_a_path(text) {
            return Err(form);
        }
        let (dsn, warnings) = SqliteDsn::parse(text)?;
        Ok((Self::Sqlite(dsn), warnings))
    }
}

/// For people: the engine, and where it is.
impl fmt::Display for DatabaseDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(dsn) => write!(f, "SQLite file {}", dsn.path.display()),
            Self::MySql(dsn) => write!(f, "MySQL at {dsn}"),
            Self::PostgreSql(dsn) => write!(f, "PostgreSQL at {dsn}"),
        }
    }
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

/// `host=…` or `user = …`, but not the `Server=…;Database=…;` of other clients.
fn begins_with_keyword(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| FIRST_KEYWORDS.contains(&name.trim_end()))
}

/// Why a text that is no known form is probably no file name either. Paths that begin with `/` or `.` always are.
fn mistaken_for_a_path(text: &str) -> Option<String> {
    if text.starts_with(['/', '.']) || text.starts_with("file:") {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("mysql:") || lower.starts_with("mariadb:") {
        return Some(format!("must begin with mysql:// or mariadb:// for MySQL; {MYSQL_URL_FORM}"));
    }
    if lower.starts_with("postgres:") || lower.starts_with("postgresql:") {
        return Some("must begin with postgres:// or postgresql://, in lower case, for PostgreSQL".to_owned());
    }
    if lower.starts_with("sqlite:") || lower.starts_with("sqlite3:") {
        return Some("names SQLite by a URL; write just the path of the file, such as ./data/gpt-load.db".to_owned());
    }
    if lower.contains("://") {
        return Some(format!("is a URL of an unknown kind; {FORMS}"));
    }
    let keyword = |name: &str| lower.split([' ', ';']).any(|part| part.trim_start().starts_with(name));
    if ["host=", "hostaddr=", "dbname=", "user=", "user id=", "password=", "pwd=", "port=", "server=", "service="]
        .iter()
        .any(|name| keyword(name))
    {
        return Some(format!("is a list of keywords that no client here knows; {KEYWORD_FORM}, for PostgreSQL"));
    }
    // `root:secret@/app` or a misspelt `@tpc(…)`.
    if lower.contains("@/") || lower.contains('(') && lower.contains('@') || credentials(&lower) {
        return Some(format!(
            "looks like user and password of a database server, but is none of the known forms; {FORMS}; a file of that name is written with ./ before it"
        ));
    }
    None
}

/// Whether something like `name:text@` comes before the options.
fn credentials(text: &str) -> bool {
    let before_options = text.split('?').next().unwrap_or(text);
    before_options.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(DatabaseDsn, Vec<String>), String> {
        DatabaseDsn::parse(text, &|_| None)
    }

    #[test]
    fn the_text_decides_the_engine() {
        for (text, expected) in [
            ("postgres://u:p@h/d", "PostgreSQL at postgres://u:****@h:5432/d"),
            ("postgresql://u:p@h/d", "PostgreSQL at postgres://u:****@h:5432/d"),
            ("host=h user=u password=p@tcp dbname=d", "MySQL"),
            ("host=h user=u password=p dbname=d", "PostgreSQL at postgres://u:****@h:5432/d"),
            ("user = u dbname = d", "PostgreSQL at postgres://u@localhost:5432/d"),
            ("u:p@tcp(h:3306)/d", "MySQL at u:****@tcp(h:3306)/d"),
            ("u:p@tcp/d", "MySQL at u:****@tcp(127.0.0.1:3306)/d"),
            ("u:p@unix(/run/my.sock)/d", "MySQL at u:****@unix(/run/my.sock)/d"),
            ("mysql://u:p@h/d", "MySQL at u:****@tcp(h:3306)/d"),
            ("MariaDB://u:p@h/d", "MySQL at u:****@tcp(h:3306)/d"),
            ("./data/gpt-load.db", "SQLite file ./data/gpt-load.db"),
            ("/var/lib/gpt-load/a@b:c(d).db", "SQLite file /var/lib/gpt-load/a@b:c(d).db"),
            ("./a@unix(b).db", "SQLite file ./a@unix(b).db"),
            ("data.db", "SQLite file data.db"),
            ("team@home.db", "SQLite file team@home.db"),
            ("file:data.db", "SQLite file data.db"),
            ("./user=me", "SQLite file ./user=me"),
            ("data=me.db", "SQLite file data=me.db"),
        ] {
            match parse(text) {
                Ok((dsn, _)) => assert!(dsn.to_string().starts_with(expected), "{text}: {dsn}"),
                // The original takes every text with an @tcp for MySQL's.
                Err(problem) => assert!(expected == "MySQL" && problem.contains("tcp(host:3306)"), "{text}: {problem}"),
            }
        }
    }

    #[test]
    fn what_is_no_known_form_is_refused_with_the_right_one_and_without_the_password() {
        for (text, expected) in [
            ("mysql:root:hunter2@db/app", "must begin with mysql://"),
            ("Postgres://root:hunter2@db/app", "in lower case"),
            ("postgres:root:hunter2@db/app", "must begin with postgres://"),
            ("Server=db;Database=app;Uid=root;Pwd=hunter2;", "list of keywords"),
            ("Host=db Password=hunter2 Dbname=app", "list of keywords"),
            ("host=db password=hunter2", "names no database; the form is host="),
            ("root:hunter2@unix(run/mysql.sock)/app", "absolute path"),
            ("root:hunter2@tpc(db:3306)/app", "looks like user and password"),
            ("root:hunter2@/app", "looks like user and password"),
            ("root:hunter2@db/app", "looks like user and password"),
            ("mongodb://root:hunter2@db/app", "unknown kind"),
            ("sqlite:///data/hunter2.db", "just the path"),
            (" ./hunter2.db", "begins or ends with a blank"),
            ("postgres://root:hunter2@db:x/app", "no number"),
            ("postgres://root:hunter2", "no number"),
            ("postgres://root:hunter2/3@db/app", "no number"),
            ("root:hunter2@tcp(db:x)/app", "no number"),
            ("root:hunter2@tcp(db)", "names no database"),
            ("root:hunter2@tcp(db:3306/app", "no ) after"),
            ("mysql://root:hunter2@db", "the form is mysql://"),
            ("", "is empty"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
