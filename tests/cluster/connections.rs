//! The connection strings of docs/OPERATIONS.md, against servers that mean it.

use serde_json::json;
use testkit::{DatabaseOptions, DatabaseServer, Engine, RedisOptions, RedisServer, TempServer};

/// Starts on this DSN, stores something and sees it.
async fn works(dsn: &str) {
    let server = TempServer::builder().env("DATABASE_DSN", dsn).start().await;
    let name = format!("g{}", server.process_id());
    server.create_group(&name, "openai", "http://unused.invalid", json!({})).await;
    let listed = server.managed("GET", "/api/groups/list", None).await;
    assert!(listed.as_array().unwrap().iter().any(|group| group["name"] == name.as_str()), "{dsn}: {listed}");
}

/// Refuses this DSN with a text that holds `reason` and no password.
async fn is_refused(dsn: &str, reason: &str) {
    let (status, printed) = TempServer::builder().env("DATABASE_DSN", dsn).start_in_vain().await;
    assert_eq!(status.code(), Some(1), "{dsn}: {printed}");
    assert!(printed.to_lowercase().contains(reason), "{dsn}: {printed}");
    assert!(!printed.contains("Password"), "{dsn}: {printed}");
}

/// Of `user:password@host:port`.
fn parts(server: &DatabaseServer) -> (String, String) {
    let credentials = server.credentials();
    let (account, _) = credentials.rsplit_once('@').expect("credentials");
    let (user, password) = account.split_once(':').expect("a password");
    (user.to_owned(), password.to_owned())
}

#[tokio::test]
async fn postgresql_is_reached_by_every_form_with_and_without_tls() {
    let server = DatabaseServer::start_with(Engine::PostgreSql, DatabaseOptions { require_tls: true }).await;
    let database = server.database().await;
    let (user, password) = parts(&server);
    let (name, port, authority) =
        (database.name(), server.address().port(), server.certificates().authority_path().display().to_string());
    let folder = server.unix_socket().display().to_string();
    let url = |host: &str, more: &str| format!("postgres://{user}:{password}@{host}:{port}/{name}?{more}");
    works(&url("127.0.0.1", "sslmode=require")).await;
    works(&url("localhost", &format!("sslmode=verify-full&sslrootcert={authority}"))).await;
    works(&format!(
        "host=localhost port={port} user={user} password='{password}' dbname={name} sslmode=verify-ca sslrootcert={authority}"
    ))
    .await;
    works(&format!("host={folder} port={port} user={user} password={password} dbname={name}")).await;
    works(&url("127.0.0.1:1,127.0.0.1", "sslmode=require&target_session_attrs=read-write")).await;
    is_refused(&url("localhost", "sslmode=verify-full"), "certificate").await;
    is_refused(&url("127.0.0.1", "sslmode=disable"), "pg_hba").await;
    is_refused(
        &url("127.0.0.1", "sslmode=require").replace(&password, "Password-that-is-wrong"),
        "authentication failed",
    )
    .await;
}

#[tokio::test]
async fn mariadb_is_reached_by_every_form_with_and_without_tls() {
    let server = DatabaseServer::start_with(Engine::MySql, DatabaseOptions { require_tls: true }).await;
    let database = server.database().await;
    let (user, password) = parts(&server);
    let (name, port, authority) = (
        database.name(),
        server.address().port(),
        server.certificates().authority_path().display().to_string().replace('/', "%2F"),
    );
    let socket = server.unix_socket().display().to_string();
    let go = |host: &str, more: &str| format!("{user}:{password}@tcp({host}:{port})/{name}?{more}");
    works(&go("127.0.0.1", "tls=skip-verify&parseTime=True&loc=Local")).await;
    works(&go("localhost", &format!("tls=true&ssl-ca={authority}"))).await;
    works(&format!("{user}:{password}@unix({socket})/{name}")).await;
    works(&format!("mysql://{user}:{password}@localhost:{port}/{name}?ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}"))
        .await;
    works(&format!("mariadb://{user}:{password}@127.0.0.1:{port}/{name}?ssl-mode=REQUIRED")).await;
    is_refused(&go("localhost", "tls=true"), "certificate").await;
    is_refused(&go("127.0.0.1", ""), "access denied").await;
    is_refused(&go("127.0.0.1", "tls=skip-verify").replace(&password, "Password-that-is-wrong"), "access denied").await;
}

#[tokio::test]
async fn redis_is_reached_over_tls_and_a_socket_and_a_wrong_password_is_told_and_stops_nothing() {
    let database = testkit::FreshDatabase::create(Engine::PostgreSql).await;
    let password = Some("Password-of-Redis-1234".to_owned());
    let secure =
        RedisServer::start(RedisOptions { password: password.clone(), tls: true, ..RedisOptions::default() }).await;
    let plain = RedisServer::start(RedisOptions { password, ..RedisOptions::default() }).await;
    let skipping = format!("{}?skip_verify=true", secure.dsn());
    for dsn in [skipping, plain.dsn(), plain.unix_dsn()] {
        let server = TempServer::builder().database(&database).env("REDIS_DSN", &dsn).start().await;
        server.eventually("/api/cluster", |seen| seen["redis"] == "connected").await;
        assert!(!server.log().contains("Password-of-Redis"), "{}", server.log());
    }
    let wrong = plain.dsn().replace("Password-of-Redis", "Password-that-is-wrong");
    for (dsn, reason) in [(wrong, "password"), (secure.dsn(), "certificate")] {
        let server = TempServer::builder().database(&database).env("REDIS_DSN", &dsn).start().await;
        let seen = server.eventually("/api/cluster", |seen| seen["redis"] == "away").await;
        server.says("Started without Redis").await;
        assert!(server.log().to_lowercase().contains(reason), "{}", server.log());
        for text in [server.log(), seen.to_string()] {
            assert!(!text.contains("Password-"), "{text}");
        }
    }
}
