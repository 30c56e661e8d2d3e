//! Forms and refusals of connection strings for PostgreSQL.

use super::*;

fn parse(text: &str) -> Result<(PostgreSqlDsn, Vec<String>), String> {
    PostgreSqlDsn::parse(text, &|_| None)
}

#[track_caller]
fn check(text: &str, password: Option<&str>, shown: &str) -> PostgreSqlDsn {
    let (dsn, warnings) = parse(text).unwrap();
    assert_eq!(dsn.password.as_ref().map(Secret::expose), password, "{text}");
    assert_eq!(dsn.to_string(), shown, "{text}");
    assert_eq!(format!("{dsn:?}"), shown, "{text}");
    assert!(warnings.is_empty(), "{text}: {warnings:?}");
    dsn
}

#[test]
fn urls() {
    check("postgres://u:p@h:5433/d?sslmode=disable", Some("p"), "postgres://u:****@h:5433/d?sslmode=disable");
    check("postgresql://u@h/d", None, "postgres://u@h:5432/d?sslmode=prefer");
    check("postgres://h/d", None, "postgres://h:5432/d?sslmode=prefer");
    check("postgres:///d", None, "postgres://localhost:5432/d?sslmode=prefer");
    check("postgres://u:a%40b%2Fc+d@h/d", Some("a@b/c+d"), "postgres://u:****@h:5432/d?sslmode=prefer");
    check("postgres://u:p@a:1,b,[::1]:3/d", Some("p"), "postgres://u:****@a:1,b:5432,[::1]:3/d?sslmode=prefer");
    check("postgres://u:p@x/d?host=/run/pg&port=6000", Some("p"), "postgres://u:****@/run/pg:6000/d?sslmode=prefer");
    check("postgres://u@%2Frun%2Fpg/d", None, "postgres://u@/run/pg:5432/d?sslmode=prefer");
    check(
        "postgres://u:p@h/d?sslmode=verify-full&connect_timeout=7&target_session_attrs=read-write&timezone=Asia/Shanghai&search_path=x",
        Some("p"),
        "postgres://u:****@h:5432/d?sslmode=verify-full&connect_timeout=7&target_session_attrs=read-write&search_path=…",
    );
    check("postgres://h/?dbname=d&user=u&password=p", Some("p"), "postgres://u:****@h:5432/d?sslmode=prefer");
}

#[test]
fn keywords() {
    check(
        "host=db user=u password=p dbname=d port=9 sslmode=disable",
        Some("p"),
        "postgres://u:****@db:9/d?sslmode=disable",
    );
    check(
        r" host = db  user='it\'s me' password = 'a b\\c' dbname=x\ y ",
        Some(r"a b\c"),
        "postgres://it's me:****@db:5432/x y?sslmode=prefer",
    );
    check("host=/run/postgresql dbname=d user=u", None, "postgres://u@/run/postgresql:5432/d?sslmode=prefer");
    check("hostaddr=10.0.0.1 dbname=d", None, "postgres://10.0.0.1:5432/d?sslmode=prefer");
    check("host=a,b port=1,2 dbname=d password=''", None, "postgres://a:1,b:2/d?sslmode=prefer");
    check("host=a,b port=7 dbname=d", None, "postgres://a:7,b:7/d?sslmode=prefer");
    // The form that GORM's documents show.
    check(
        "host=localhost user=gorm password=gorm dbname=gorm port=9920 sslmode=disable TimeZone=Asia/Shanghai",
        Some("gorm"),
        "postgres://gorm:****@localhost:9920/gorm?sslmode=disable",
    );
}

#[test]
fn statements_are_prepared_and_poolers_must_know() {
    let read = |options: &str| {
        let (dsn, warnings) = parse(&format!("postgres://h/d?{options}")).unwrap();
        (dsn.statement_cache_capacity, warnings.concat())
    };
    assert_eq!(read(""), (None, String::new()));
    assert_eq!(read("statement_cache_capacity=50&default_query_exec_mode=cache_statement"), (Some(50), String::new()));
    for option in ["statement_cache_capacity=0", "default_query_exec_mode=simple_protocol"] {
        let (capacity, warning) = read(option);
        assert!(capacity.is_none() && warning.contains("max_prepared_statements"), "{option}: {warning}");
    }
}

#[test]
fn unknown_names_are_parameters_of_the_session() {
    let (dsn, _) = parse("postgres://h/d?search_path=a,b&statement_timeout=5s&options=-c%20geqo%3Doff").unwrap();
    let expected = [("search_path", "a,b"), ("statement_timeout", "5s")];
    assert_eq!(dsn.parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(dsn.options.as_deref(), Some("-c geqo=off"));
    assert_eq!(dsn.application_name, "gpt-load");
    assert_eq!(parse("postgres://h/d?application_name=x").unwrap().0.application_name, "x");
}

#[test]
fn the_environment_fills_gaps_and_overrides_nothing() {
    let environment = |name: &str| {
        let value = match name {
            "PGHOST" => "envhost",
            "PGHOSTADDR" => "10.0.0.9",
            "PGPORT" => "7",
            "PGUSER" => "envuser",
            "PGPASSWORD" => "envpassword",
            "PGDATABASE" => "envdatabase",
            "PGSSLMODE" => "disable",
            "PGAPPNAME" => "envname",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let (dsn, _) = PostgreSqlDsn::parse("postgres://", &environment).unwrap();
    let shown = "postgres://envuser:****@envhost:7/envdatabase?sslmode=disable&application_name=envname";
    assert_eq!(dsn.to_string(), shown);
    assert_eq!(dsn.password.unwrap().expose(), "envpassword");
    let (dsn, _) = PostgreSqlDsn::parse("postgres://u:p@h:5432/d?sslmode=require", &environment).unwrap();
    assert_eq!(dsn.to_string(), "postgres://u:****@h:5432/d?sslmode=require&application_name=envname");
    assert_eq!(dsn.password.unwrap().expose(), "p");
}

#[test]
fn a_password_file_fills_the_last_gap() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".pgpass");
    std::fs::write(&path, "h:5432:d:u:hunter2").unwrap();
    let environment = |name: &str| (name == "HOME").then(|| home.path().to_string_lossy().into_owned());
    let password = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (dsn, warnings) = PostgreSqlDsn::parse("postgres://u@h/d", &environment).unwrap();
        (dsn.password.map(|password| password.expose().to_owned()), warnings.concat())
    };
    assert_eq!(password(0o600), (Some("hunter2".to_owned()), String::new()));
    let (none, warning) = password(0o644);
    assert!(none.is_none() && warning.contains("chmod 600"), "{warning}");
}

#[test]
fn what_the_client_does_not_do_is_told() {
    for (option, expected) in [
        ("sslmode=allow", "acts as prefer"),
        ("sslmode=verify-ca", "any host name"),
        ("keepalives=0", "keepalives of DATABASE_DSN has no effect"),
        ("load_balance_hosts=random", "no effect"),
    ] {
        let (dsn, warnings) = parse(&format!("postgres://h/d?{option}")).unwrap();
        assert!(warnings.concat().contains(expected), "{option}: {warnings:?}");
        assert!(dsn.parameters.is_empty());
    }
    for option in ["client_encoding=UTF8", "gssencmode=disable", "channel_binding=prefer", "sslsni=1"] {
        let (dsn, warnings) = parse(&format!("postgres://h/d?{option}")).unwrap();
        assert!(warnings.is_empty() && dsn.parameters.is_empty(), "{option}");
    }
    let (dsn, _) = parse("postgres://h/d?sslmode=require&sslrootcert=ca.pem").unwrap();
    assert_eq!(dsn.tls, PostgreSqlTls::VerifyAuthority);
    assert_eq!(dsn.certificates.authority, Some("ca.pem".into()));
}

#[test]
fn mistakes_are_named_and_values_are_not() {
    for (text, expected) in [
        ("postgres://u:hunter2@h", "names no database"),
        ("postgres://u:hunter2@h:x/d", "port"),
        ("postgres://u:hunter2@h/d?sslmode=off", "must be one of prefer, disable"),
        ("postgres://u:hunter2@h/d?connect_timeout=5s", "whole number of seconds"),
        ("postgres://u:hunter2@h/d?target_session_attrs=master", "must be one of any"),
        ("postgres://u:hunter2@h/d?target_session_attrs=standby", "this program writes"),
        ("postgres://u:hunter2@h/d?port=x", "port"),
        ("postgres://u:hunter2@a,b/d?port=1,2,3", "one for each"),
        ("postgres://u:hunter2%FF@h/d", "not UTF-8"),
        ("postgres://u@h/d?sslpassword=hunter2", "not supported"),
        ("postgres://u:hunter2@h/d?service=prod", "write its host"),
        ("postgres://u:hunter2@h/d?channel_binding=require", "verify-full"),
        ("postgres://u:hunter2@h/d?sslcert=c.pem", "together"),
        ("postgres://u:hunter2@h/d?TimeZone=Mars", "must name a time zone"),
        ("postgres://u:hunter2@h/d?client_encoding=LATIN1", "must be UTF8"),
        ("postgres://u:x@h/d?hunter2%20hunter2=1", "not made of letters"),
        ("postgres://u:hunter2@h/d?statement_cache_capacity=x", "whole number"),
        ("postgres://u:hunter2@h/d?default_query_exec_mode=fast", "must be one of cache_statement"),
        ("postgres://u:hunter2@h/d?host=a&hostaddr=1.2.3.4", "just one of them"),
        ("host=h password=hunter2 dbname", "no = behind it"),
        ("host=h password=a hunter2 dbname=d", "written in '…'"),
        ("host=h password='hunter2 dbname=d", "never closes it"),
        ("host=h password=hunter2", "names no database"),
        ("host=h = password=hunter2", "a word without a ="),
    ] {
        let problem = parse(text).unwrap_err();
        assert!(problem.contains(expected), "{text}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
