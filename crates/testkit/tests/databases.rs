//! Databases of tests: on every engine that the run has, and gone afterwards.

use testkit::{DatabaseOptions, DatabaseServer, Engine, FreshDatabase};

/// Those whose servers this run has: all of them below `scripts/with-test-servers`.
fn engines() -> Vec<Engine> {
    let has = |engine: &Engine| match engine {
        Engine::Sqlite => true,
        Engine::MySql => std::env::var_os("TEST_MYSQL").is_some(),
        Engine::PostgreSql => std::env::var_os("TEST_POSTGRESQL").is_some(),
    };
    Engine::ALL.into_iter().filter(has).collect()
}

/// The databases on the server of this one.
async fn databases_beside(database: &FreshDatabase) -> Vec<String> {
    let query = match database.engine() {
        Engine::PostgreSql => "SELECT datname FROM pg_database",
        _ => "SHOW DATABASES",
    };
    database.column(query).await
}

#[tokio::test]
async fn a_fresh_database_is_empty_takes_statements_and_shows_rows_alike_on_every_engine() {
    for engine in engines() {
        let database = FreshDatabase::create(engine).await;
        let other = FreshDatabase::create(engine).await;
        database.execute("CREATE TABLE t (a integer, b varchar(9)); INSERT INTO t VALUES (1,'é'),(2,NULL)").await;
        let rows = database.rows("SELECT a, b FROM t ORDER BY a").await;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(rows, [[text("1"), text("é")], [text("2"), None]], "{engine}");
        other.execute("CREATE TABLE t (a integer)").await;
        assert_eq!(other.column("SELECT count(*) FROM t").await, ["0"], "{engine}: each has its own tables");
    }
}

#[tokio::test]
async fn a_database_goes_with_its_guard_also_when_the_test_panics_or_is_connected_elsewhere() {
    for engine in engines() {
        let witness = FreshDatabase::create(engine).await;
        let (name, path) = {
            let database = FreshDatabase::create(engine).await;
            database.execute("CREATE TABLE t (a integer)").await;
            let panicked = tokio::spawn(async move {
                let name = database.name();
                std::panic::panic_any(name);
            });
            let panic = panicked.await.unwrap_err().into_panic();
            let name = *panic.downcast::<String>().unwrap();
            (name.clone(), std::path::PathBuf::from(name))
        };
        if engine == Engine::Sqlite {
            assert!(!path.exists());
        } else {
            let found = databases_beside(&witness).await;
            assert!(found.contains(&witness.name()) && !found.contains(&name), "{engine}: {name} in {found:?}");
        }
    }
}

#[tokio::test]
async fn a_private_server_keeps_what_was_committed_when_it_is_stopped_and_when_it_is_killed() {
    for engine in Engine::SERVERS {
        let mut server = DatabaseServer::start(engine).await;
        let database = server.database().await;
        database.execute("CREATE TABLE t (a integer); INSERT INTO t VALUES (1)").await;
        let address = server.address();
        server.stop().await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{engine} is gone");
        server.start_again().await;
        assert_eq!(server.address(), address);
        database.execute("INSERT INTO t VALUES (2)").await;
        server.kill().await;
        server.start_again().await;
        assert_eq!(database.column("SELECT a FROM t ORDER BY a").await, ["1", "2"], "{engine}");
        assert!(server.unix_socket().exists(), "{engine}");
    }
}

#[tokio::test]
async fn a_paused_server_is_silent_and_goes_on_afterwards() {
    for engine in Engine::SERVERS {
        let mut server = DatabaseServer::start(engine).await;
        let database = server.database().await;
        database.execute("CREATE TABLE t (a integer)").await;
        server.pause();
        let inserting = database.execute("INSERT INTO t VALUES (1)");
        tokio::pin!(inserting);
        let soon = std::time::Duration::from_millis(300);
        assert!(tokio::time::timeout(soon, &mut inserting).await.is_err(), "{engine} is silent");
        server.resume();
        inserting.await;
        assert_eq!(database.column("SELECT count(*) FROM t").await, ["1"], "{engine}");
    }
}

#[tokio::test]
async fn a_server_may_insist_on_tls() {
    for engine in Engine::SERVERS {
        let server = DatabaseServer::start_with(engine, DatabaseOptions { require_tls: true }).await;
        let database = server.database().await;
        let query = match engine {
            Engine::PostgreSql => "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            _ => {
                "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name = 'ssl_cipher'"
            }
        };
        let encrypted = database.column(query).await.remove(0);
        assert!(["t", "1"].contains(&encrypted.as_str()), "{engine}: {encrypted}");
        assert!(server.dsn("d").contains("skip-verify") || server.dsn("d").contains("sslmode=require"));
        assert!(server.certificates().authority_path().exists());
    }
}

#[tokio::test]
async fn a_server_can_be_read_only_for_a_while() {
    for engine in Engine::SERVERS {
        let server = DatabaseServer::start(engine).await;
        let database = std::sync::Arc::new(server.database().await);
        database.execute("CREATE TABLE t (a integer); INSERT INTO t VALUES (1)").await;
        server.set_read_only(true).await;
        let writer = std::sync::Arc::clone(&database);
        let refused = tokio::spawn(async move { writer.execute("INSERT INTO t VALUES (2)").await }).await;
        assert!(refused.is_err(), "{engine}");
        assert_eq!(database.column("SELECT a FROM t").await, ["1"], "{engine} still reads");
        server.set_read_only(false).await;
        database.execute("INSERT INTO t VALUES (3)").await;
        assert_eq!(database.column("SELECT a FROM t ORDER BY a").await, ["1", "3"], "{engine}");
    }
}
