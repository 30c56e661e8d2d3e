//! `DATABASE_DSN`: which engine it means, and the refusal of what would otherwise become a strangely named file.

use super::{mysql_dsn::MySqlDsn, postgresql_dsn::PostgreSqlDsn, sqlite_dsn::SqliteDsn};

const FORMS: &str = "write the path of a SQLite file (./data/gpt-load.db), \
    user:password@tcp(host:3306)/database for MySQL, or postgres://user:password@host:5432/database for PostgreSQL";

/// A database that this release can open.
#[derive(Debug, Clone)]
pub(crate) enum DatabaseDsn {
    Sqlite(SqliteDsn),
}

/// A connection string that was understood.
#[derive(Debug)]
pub(crate) enum Dsn {
    Sqlite(SqliteDsn),
    MySql(MySqlDsn),
    PostgreSql(PostgreSqlDsn),
}

/// Reads a connection string. Neither the warnings nor the error repeat any of its text that could be a password.
pub(crate) fn parse(text: &str) -> Result<(Dsn, Vec<String>), String> {
    if text.trim() != text {
        return Err("begins or ends with a blank; remove it".to_owned());
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let dsn = PostgreSqlDsn::parse(text).map_err(|problem| {
            format!("{problem}; the form is postgres://user:password@host:5432/database?sslmode=disable, special characters in user and password percent-encoded")
        })?;
        return Ok((Dsn::PostgreSql(dsn), Vec::new()));
    }
    if text.contains("@tcp") {
        let (dsn, warnings) = MySqlDsn::parse(text).map_err(|problem| {
            format!(
                "{problem}; the form is user:password@tcp(host:3306)/database?charset=utf8mb4&parseTime=True&loc=Local"
            )
        })?;
        return Ok((Dsn::MySql(dsn), warnings));
    }
    if let Some(form) = mistaken_for_a_path(text) {
        return Err(form);
    }
    let (dsn, warnings) = SqliteDsn::parse(text)?;
    Ok((Dsn::Sqlite(dsn), warnings))
}

/// Why a text that is no known form is probably no file name either. Paths that begin with `/` or `.` always are.
fn mistaken_for_a_path(text: &str) -> Option<String> {
    if text.starts_with(['/', '.']) || text.starts_with("file:") {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("mysql:") || lower.starts_with("mariadb:") {
        return Some(
            "is a MySQL URL, which is not supported; write user:password@tcp(host:3306)/database, without mysql://"
                .to_owned(),
        );
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
    if lower.contains("@unix(") {
        return Some(
            "names a Unix socket, which is not supported; write user:password@tcp(host:3306)/database for MySQL"
                .to_owned(),
        );
    }
    let keyword = |name: &str| lower.split([' ', ';']).any(|part| part.trim_start().starts_with(name));
    if ["host=", "hostaddr=", "dbname=", "user=", "user id=", "password=", "pwd=", "port=", "server=", "service="]
        .iter()
        .any(|name| keyword(name))
    {
        return Some(
            "is a list of keywords, which is not supported; write postgres://user:password@host:5432/database for PostgreSQL"
                .to_owned(),
        );
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

    fn engine(text: &str) -> &'static str {
        match parse(text).unwrap().0 {
            Dsn::Sqlite(_) => "sqlite",
            Dsn::MySql(_) => "mysql",
            Dsn::PostgreSql(_) => "postgresql",
        }
    }

    #[test]
    fn the_text_decides_the_engine() {
        for (text, expected) in [
            ("postgres://u:p@h/d", "postgresql"),
            ("postgresql://u:p@h/d", "postgresql"),
            ("u:p@tcp(h:3306)/d", "mysql"),
            ("u:p@tcp/d", "mysql"),
            ("./data/gpt-load.db", "sqlite"),
            ("/var/lib/gpt-load/a@b:c(d).db", "sqlite"),
            ("data.db", "sqlite"),
            ("team@home.db", "sqlite"),
            ("file:data.db", "sqlite"),
            ("./user=me", "sqlite"),
        ] {
            assert_eq!(engine(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_known_form_is_refused_with_the_right_one_and_without_the_password() {
        for (text, expected) in [
            ("mysql://root:hunter2@db/app", "without mysql://"),
            ("MySQL://root:hunter2@db/app", "without mysql://"),
            ("Postgres://root:hunter2@db/app", "in lower case"),
            ("postgres:root:hunter2@db/app", "must begin with postgres://"),
            ("host=db user=root password=hunter2 dbname=app", "list of keywords"),
            ("Server=db;Database=app;Uid=root;Pwd=hunter2;", "list of keywords"),
            ("root:hunter2@unix(/run/mysql.sock)/app", "Unix socket"),
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
            ("", "is empty"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
