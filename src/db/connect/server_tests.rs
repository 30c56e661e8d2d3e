//! Connection strings against real servers: encryption, sockets, sessions, and several hosts.

use sqlx::{Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _};
use testkit::{DatabaseOptions, DatabaseServer, Engine, FreshDatabase};

use super::*;
use crate::config::DatabaseDsn;

struct Place {
    server: DatabaseServer,
    database: FreshDatabase,
}

async fn place(engine: Engine) -> Place {
    let server = DatabaseServer::start_with(engine, DatabaseOptions { require_tls: true }).await;
    let database = server.database().await;
    Place { server, database }
}

impl Place {
    /// User and password, as both forms of URLs have them.
    fn login(&self) -> String {
        self.server.credentials().rsplit_once('@').unwrap().0.to_owned()
    }

    fn port(&self) -> u16 {
        self.server.address().port()
    }

    fn authority(&self) -> String {
        self.server.certificates().authority_path().display().to_string()
    }

    fn socket(&self) -> String {
        self.server.unix_socket().display().to_string()
    }
}

fn parse(text: &str) -> DatabaseDsn {
    DatabaseDsn::parse(text, &|_| None).unwrap().0
}

async fn mysql(text: &str) -> Result<MySqlConnection, sqlx::Error> {
    let DatabaseDsn::MySql(dsn) = parse(text) else { panic!("not MySQL") };
    let mut connection = MySqlConnection::connect_with(&mysql_options(&dsn).unwrap().0).await?;
    for statement in mysql_session(&dsn) {
        connection.execute(sqlx::AssertSqlSafe(statement)).await?;
    }
    Ok(connection)
}

async fn postgresql(text: &str) -> Result<PgConnection, sqlx::Error> {
    let DatabaseDsn::PostgreSql(dsn) = parse(text) else { panic!("not PostgreSQL") };
    PgConnection::connect_with(&Servers::new(&dsn).unwrap().choose().await?).await
}

#[tokio::test]
async fn mysql_is_reached_in_every_form() {
    let place = place(Engine::MySql).await;
    let (login, port, name) = (place.login(), place.port(), place.database.name());
    let authority = place.authority().replace('/', "%2F");
    let encrypted = |text: String| async move {
        let row = mysql(&text).await?.fetch_one("SHOW SESSION STATUS LIKE 'Ssl_cipher'").await?;
        Ok::<_, sqlx::Error>(!row.get::<String, _>(1).is_empty())
    };
    let checked = format!("{login}@tcp(localhost:{port})/{name}?tls=true&ssl-ca={authority}");
    assert!(encrypted(checked).await.unwrap());
    assert!(encrypted(format!("{login}@tcp(127.0.0.1:{port})/{name}?tls=skip-verify")).await.unwrap());
    assert!(encrypted(format!("mariadb://{login}@127.0.0.1:{port}/{name}?tls=preferred")).await.unwrap());
    assert!(!encrypted(format!("{login}@unix({})/{name}?loc=Local", place.socket())).await.unwrap());
    assert!(!encrypted(format!("mysql://{login}@localhost/{name}?socket={}", place.socket())).await.unwrap());

    let stranger = encrypted(format!("{login}@tcp(localhost:{port})/{name}?tls=true")).await.unwrap_err();
    assert!(stranger.to_string().to_lowercase().contains("certificate"), "{stranger}");
    encrypted(format!("{login}@tcp(127.0.0.1:{port})/{name}?tls=false")).await.unwrap_err();
}

#[tokio::test]
async fn a_session_of_mysql_is_as_the_text_says() {
    let place = place(Engine::MySql).await;
    let text = format!(
        "{}@unix({})/{}?sql_mode=%27ANSI_QUOTES%27&innodb_lock_wait_timeout=7&collation=utf8mb4_bin",
        place.login(),
        place.socket(),
        place.database.name()
    );
    let mut connection = mysql(&text).await.unwrap();
    let asked = "SELECT @@session.tx_isolation, @@session.sql_mode, @@session.innodb_lock_wait_timeout, \
                 @@session.character_set_client, @@session.collation_connection";
    let row = connection.fetch_one(asked).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "READ-COMMITTED");
    let modes = row.get::<String, _>(1);
    assert!(["ANSI_QUOTES", "PIPES_AS_CONCAT"].iter().all(|mode| modes.contains(mode)), "{modes}");
    assert_eq!(row.get::<u64, _>(2), 7);
    assert_eq!((row.get::<String, _>(3), row.get::<String, _>(4)), ("utf8mb4".to_owned(), "utf8mb4_bin".to_owned()));
}

#[tokio::test]
async fn postgresql_is_reached_in_every_form() {
    let place = place(Engine::PostgreSql).await;
    let (login, port, name) = (place.login(), place.port(), place.database.name());
    let (user, password) = login.split_once(':').unwrap();
    let (authority, socket) = (place.authority(), place.socket());
    let encrypted = |text: String| async move {
        let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        sqlx::query_scalar::<_, bool>(asked).fetch_one(&mut postgresql(&text).await?).await
    };
    let url = format!("postgres://{login}@localhost:{port}/{name}");
    for mode in ["verify-full", "verify-ca"] {
        assert!(encrypted(format!("{url}?sslmode={mode}&sslrootcert={authority}")).await.unwrap(), "{mode}");
        let stranger = encrypted(format!("{url}?sslmode={mode}")).await.unwrap_err();
        assert!(stranger.to_string().to_lowercase().contains("certificate"), "{stranger}");
    }
    assert!(encrypted(format!("{url}?sslmode=require")).await.unwrap());
    assert!(encrypted(url.clone()).await.unwrap(), "encrypted where the server can");
    encrypted(format!("{url}?sslmode=disable")).await.unwrap_err();
    let keywords = format!("host={socket} port={port} user={user} password='{password}' dbname={name}");
    assert!(!encrypted(format!("{keywords} sslmode=verify-full")).await.unwrap());
}

#[tokio::test]
async fn a_session_of_postgresql_is_as_the_text_says() {
    let place = place(Engine::PostgreSql).await;
    let text = format!(
        "postgres://{}@127.0.0.1:{}/{}?statement_timeout=7s&search_path=a,%20b&options=-c%20work_mem%3D5MB",
        place.login(),
        place.port(),
        place.database.name()
    );
    let mut connection = postgresql(&text).await.unwrap();
    for (name, expected) in
        [("statement_timeout", "7s"), ("search_path", "a, b"), ("work_mem", "5MB"), ("application_name", "gpt-load")]
    {
        let found: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn of_several_hosts_the_first_one_that_will_do_is_taken() {
    let place = place(Engine::PostgreSql).await;
    let (login, port, name) = (place.login(), place.port(), place.database.name());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("postgres://{login}@127.0.0.1:{gone},127.0.0.1:{port}/{name}?target_session_attrs=read-write");
    postgresql(&text).await.unwrap();
    let read_only = postgresql(&format!("{text}&default_transaction_read_only=on")).await.unwrap_err();
    assert!(read_only.to_string().contains("takes no writes"), "{read_only}");
    postgresql(&format!("{text}&default_transaction_read_only=on&target_session_attrs=any")).await.unwrap();
}
