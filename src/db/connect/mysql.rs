//! MySQL and MariaDB: options of the driver, and the variables of a session.

use sqlx::{
    ConnectOptions as _,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use super::{Zone, authorities};
use crate::config::{MySqlAddress, MySqlDsn, MySqlTls};

/// How the driver connects, and the zone that times are stored in.
///
/// # Errors
/// A file of certificates cannot be used, or the zone is unknown.
pub(crate) fn mysql_options(dsn: &MySqlDsn) -> Result<(MySqlConnectOptions, Zone), String> {
    let zone = Zone::of_name(&dsn.location).ok_or("DATABASE_DSN names an unknown time zone (loc)")?;
    let mut options = MySqlConnectOptions::new()
        .username(&dsn.user)
        .database(&dsn.database)
        .charset("utf8mb4")
        .enable_cleartext_plugin(dsn.cleartext_password)
        // Statements of bulk work are long, and a log is no place for them.
        .disable_statement_logging();
    if let Some(collation) = &dsn.collation {
        options = options.collation(collation);
    }
    if let Some(password) = &dsn.password {
        options = options.password(password.expose());
    }
    options = match &dsn.address {
        MySqlAddress::Tcp { host, port } => options.host(host).port(*port),
        // What does not leave the machine needs no encryption, and a socket has no name to check.
        MySqlAddress::Unix { path } => return Ok((options.socket(path).ssl_mode(MySqlSslMode::Disabled), zone)),
    };
    options = options.ssl_mode(match dsn.tls {
        MySqlTls::Off => MySqlSslMode::Disabled,
        MySqlTls::Preferred => MySqlSslMode::Preferred,
        MySqlTls::SkipVerify => MySqlSslMode::Required,
        MySqlTls::Verified => MySqlSslMode::VerifyIdentity,
    });
    if dsn.tls == MySqlTls::Verified {
        options = options.ssl_ca_from_pem(authorities::authorities(dsn.certificates.authority.as_deref(), "ssl-ca")?);
    }
    if dsn.tls != MySqlTls::Off
        && let Some((certificate, key)) = authorities::own(&dsn.certificates, ["ssl-cert", "ssl-key"])?
    {
        options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
    }
    Ok((options, zone))
}

/// What each new session is told, one statement after the other.
pub(crate) fn mysql_session(dsn: &MySqlDsn) -> Vec<String> {
    // The default of InnoDB reads what was true when a transaction began, and locks gaps between rows: rules that are
    // checked under a lock must see what the holder before us wrote.
    let mut statements = vec!["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned()];
    if !dsn.session.is_empty() {
        let assignments: Vec<_> = dsn.session.iter().map(|(name, value)| format!("{name}={value}")).collect();
        statements.push(format!("SET {}", assignments.join(", ")));
    }
    if dsn.session.iter().any(|(name, _)| name.to_ascii_lowercase().ends_with("sql_mode")) {
        // A text that does not fit is cut before it is sent; another engine for a table would break what we rely on.
        statements.push("SET sql_mode=CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION')".to_owned());
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseDsn;

    fn dsn(text: &str) -> MySqlDsn {
        let DatabaseDsn::MySql(dsn) = DatabaseDsn::parse(text, &|_| None).unwrap().0 else { panic!("not MySQL") };
        dsn
    }

    #[test]
    fn the_driver_gets_what_the_text_says() {
        let (options, zone) =
            mysql_options(&dsn("me:p@tcp([::1]:3307)/app?loc=Asia%2FShanghai&collation=utf8mb4_bin")).unwrap();
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("::1", 3307, "me"));
        assert_eq!((options.get_database(), options.get_collation()), (Some("app"), Some("utf8mb4_bin")));
        assert_eq!(options.get_charset(), "utf8mb4");
        assert_eq!(zone, Zone::Named(chrono_tz::Asia::Shanghai));
        assert_eq!(mysql_options(&dsn("me@tcp(db)/app")).unwrap().1, Zone::Utc);
    }

    #[test]
    fn a_socket_is_not_encrypted() {
        let (options, _) = mysql_options(&dsn("me@unix(/run/my.sock)/app?tls=true")).unwrap();
        assert_eq!(options.get_socket().map(std::path::PathBuf::as_path), Some(std::path::Path::new("/run/my.sock")));
        assert!(matches!(options.get_ssl_mode(), MySqlSslMode::Disabled));
    }

    #[test]
    fn encryption_is_as_strict_as_asked() {
        let mode = |tls: &str| mysql_options(&dsn(&format!("me@tcp(db)/app?tls={tls}"))).unwrap().0.get_ssl_mode();
        assert!(matches!(mode("false"), MySqlSslMode::Disabled));
        assert!(matches!(mode("preferred"), MySqlSslMode::Preferred));
        assert!(matches!(mode("skip-verify"), MySqlSslMode::Required));
        assert!(matches!(mode("true"), MySqlSslMode::VerifyIdentity));
        let problem = mysql_options(&dsn("me@tcp(db)/app?tls=true&ssl-ca=%2Fnonexistent")).unwrap_err();
        assert!(problem.contains("ssl-ca of DATABASE_DSN: cannot read /nonexistent"), "{problem}");
    }

    #[test]
    fn a_session_reads_what_is_committed_and_keeps_our_modes() {
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
        assert_eq!(mysql_session(&dsn("me@tcp(db)/app")), [isolation]);
        let session = mysql_session(&dsn("me@tcp(db)/app?sql_mode=%27ANSI%27&innodb_lock_wait_timeout=7"));
        assert_eq!(session[..2], [isolation, "SET sql_mode='ANSI', innodb_lock_wait_timeout=7"]);
        assert!(session[2].contains("NO_ENGINE_SUBSTITUTION"));
    }
}
