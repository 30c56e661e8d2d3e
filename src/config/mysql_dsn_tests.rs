//! Forms and refusals of connection strings for MySQL.

use super::*;

fn parse(text: &str) -> Result<(MySqlDsn, Vec<String>), String> {
    if text.contains("://") { MySqlDsn::parse_url(text) } else { MySqlDsn::parse(text) }
}

#[track_caller]
fn check(text: &str, password: Option<&str>, shown: &str) -> MySqlDsn {
    let (dsn, warnings) = parse(text).unwrap();
    assert_eq!(dsn.password.as_ref().map(Secret::expose), password, "{text}");
    assert_eq!(dsn.to_string(), shown, "{text}");
    assert_eq!(format!("{dsn:?}"), shown, "{text}");
    assert!(warnings.is_empty(), "{text}: {warnings:?}");
    dsn
}

#[test]
fn the_forms_that_deployments_use() {
    check(
        "root:pw@tcp(mysql:3307)/gpt-load?charset=utf8mb4&parseTime=True&loc=Asia%2FShanghai",
        Some("pw"),
        "root:****@tcp(mysql:3307)/gpt-load?loc=Asia/Shanghai",
    );
    check("root@tcp(db)/app", None, "root@tcp(db:3306)/app?loc=UTC");
    check("root:@tcp()/app", None, "root@tcp(127.0.0.1:3306)/app?loc=UTC");
    check("root@tcp/app", None, "root@tcp(127.0.0.1:3306)/app?loc=UTC");
    check("root@tcp([::1]:1)/a%20b", None, "root@tcp([::1]:1)/a b?loc=UTC");
    check("u:a:b@c/d%41@tcp(db)/app", Some("a:b@c/d%41"), "u:****@tcp(db:3306)/app?loc=UTC");
    check("u:p@tcp(db)/app?tls=true", Some("p"), "u:****@tcp(db:3306)/app?loc=UTC&tls=true");
    check("u:p@tcp(db)/app?tls=false&loc=Local", Some("p"), "u:****@tcp(db:3306)/app?loc=Local");
    check(
        "u:p@tcp(db)/app?tls=skip-verify&timeout=5s&allowNativePasswords=true&maxAllowedPacket=0&charset=utf8mb4,utf8&collation=utf8mb4_bin",
        Some("p"),
        "u:****@tcp(db:3306)/app?loc=UTC&tls=skip-verify&collation=utf8mb4_bin&timeout=5s",
    );
}

#[test]
fn a_unix_socket_is_an_address_too() {
    let dsn = check(
        "u:p@unix(/run/mysqld/mysqld.sock)/app?loc=Local",
        Some("p"),
        "u:****@unix(/run/mysqld/mysqld.sock)/app?loc=Local",
    );
    assert_eq!(dsn.address, MySqlAddress::Unix { path: "/run/mysqld/mysqld.sock".into() });
    check("u@unix(/tmp/my@(1).sock)/app", None, "u@unix(/tmp/my@(1).sock)/app?loc=UTC");
}

#[test]
fn urls_are_percent_decoded() {
    check("mysql://u:p%40s%2F+@h:3307/d%20b", Some("p@s/+"), "u:****@tcp(h:3307)/d b?loc=UTC");
    check("mariadb://h/d", None, "root@tcp(h:3306)/d?loc=UTC");
    check("mysql://u:p@[::1]/d?ssl-mode=REQUIRED", Some("p"), "u:****@tcp([::1]:3306)/d?loc=UTC&tls=skip-verify");
    check("mysql://u:p@h/d?sslmode=verify_identity", Some("p"), "u:****@tcp(h:3306)/d?loc=UTC&tls=true");
    check("mysql://u:p@localhost/d?socket=/run/my.sock", Some("p"), "u:****@unix(/run/my.sock)/d?loc=UTC");
}

#[test]
fn certificates_are_named_by_their_files() {
    let text = "u:p@tcp(db)/app?tls=true&ssl-ca=%2Fetc%2Fca.pem&ssl-cert=c.pem&ssl-key=k.pem";
    let certificates = parse(text).unwrap().0.certificates;
    assert_eq!(certificates.authority, Some("/etc/ca.pem".into()));
    assert_eq!((certificates.certificate, certificates.key), (Some("c.pem".into()), Some("k.pem".into())));
}

#[test]
fn unknown_options_are_variables_of_the_session_and_shown_without_their_values() {
    let text = "u:p@tcp(db)/app?innodb_lock_wait_timeout=7&sql_mode=%27ANSI,TRADITIONAL%27";
    let dsn = check(text, Some("p"), "u:****@tcp(db:3306)/app?loc=UTC&innodb_lock_wait_timeout=…&sql_mode=…");
    let expected = [("innodb_lock_wait_timeout", "7"), ("sql_mode", "'ANSI,TRADITIONAL'")];
    assert_eq!(dsn.session, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for value in ["ANSI", "-1", "CONCAT(@@sql_mode,',ANSI')", "DEFAULT", "'a b'"] {
        assert_eq!(sql_value(value.to_owned()).as_deref(), Ok(value));
    }
    for value in ["", " ", "1;DROP TABLE x", "1,x=2", "'", "'\\'", "(", ")", "1--", "1/*", "1#", "1\n"] {
        assert!(sql_value(value.to_owned()).unwrap_err().contains("as SQL has it"), "{value}");
    }
}

#[test]
fn what_the_client_does_not_do_is_told() {
    for option in [
        "parseTime=false",
        "charset=latin1",
        "charset=utf8",
        "collation=utf8_general_ci",
        "readTimeout=30s",
        "writeTimeout=30s",
        "time_zone=%27%2B08:00%27",
        "tx_isolation=%27SERIALIZABLE%27",
        "rejectReadOnly=true",
        "allowNativePasswords=false",
        "compress=true",
        "allowAllFiles=true",
        "connectionAttributes=a:b",
    ] {
        let (dsn, warnings) = parse(&format!("u:p@tcp(db)/app?{option}")).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("has no effect: "), "{option}: {warnings:?}");
        assert!(dsn.session.is_empty());
    }
    for option in ["interpolateParams=true", "multiStatements=true", "rejectReadOnly=false", "clientFoundRows=true"] {
        assert!(parse(&format!("u:p@tcp(db)/app?{option}")).unwrap().1.is_empty(), "{option}");
    }
    assert!(parse("u:p@tcp(db)/app?allowCleartextPasswords=true").unwrap().0.cleartext_password);
}

#[test]
fn mistakes_are_named_and_values_are_not() {
    for (text, expected) in [
        ("u:hunter2@tcp(db:3306)/", "names no database after the /"),
        ("u:hunter2@tcp(db:3306)/app?loc=Asia/Shanghai", "must be written %2F"),
        ("u:hunter2@tcp(db:port)/app", "port"),
        ("u:hunter2@tcp(db/app", "no ) after"),
        ("u:hunter2@tcpdb/app", "must name its server"),
        ("u:hunter2@unix(run/my.sock)/app", "absolute path"),
        ("u:hunter2@unix(/run/my.sock/app", "no ) after"),
        ("u:hunter2@unix/app", "must name its socket"),
        ("u:hunter2@tcp(db)/app?timeout=5", "option timeout that must be a time with its unit"),
        ("u:hunter2@tcp(db)/app?tls=maybe", "must be true, false, skip-verify or preferred"),
        ("u:hunter2@tcp(db)/app?ssl-mode=VERIFY_CA", "VERIFY_IDENTITY"),
        ("u:hunter2@tcp(db)/app?parseTime=yes", "must be true or false"),
        ("u:hunter2@tcp(db)/app?loc=", "must name a time zone"),
        ("u:hunter2@tcp(db)/app?loc=Asia%2FShanghia", "must name a time zone"),
        ("u:hunter2@tcp(db)/app?maxAllowedPacket=big", "whole number"),
        ("u:hunter2@tcp(db)/app?collation=utf8mb4_x;y", "plain name"),
        ("u:hunter2@tcp(db)/app?allowOldPasswords=true", "not supported"),
        ("u:hunter2@tcp(db)/app?serverPubKey=x", "not supported"),
        ("u:hunter2@tcp(db)/app?ssl-cert=c.pem", "together"),
        ("u:hunter2@tcp(db)/app?ssl-ca=", "must name a file"),
        ("u:hunter2@tcp(db)/app?socket=my.sock", "absolute path"),
        ("u:x@tcp(db)/app?hunter2%20=1", "not made of letters"),
        ("u:x@tcp(db)/app?hunter=;hunter2", "as SQL has it"),
        ("mysql://u:hunter2@h", "names no database"),
        ("mysql://u:hunter2@h/", "names no database"),
        ("mysql://u:hunter2@h:x/d", "port"),
        ("mysql://u:hunter2%FF@h/d", "not UTF-8"),
    ] {
        let problem = parse(text).unwrap_err();
        assert!(problem.contains(expected), "{text}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
