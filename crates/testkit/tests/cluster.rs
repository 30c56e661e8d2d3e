//! Temporary servers and clusters of them: the binary that cargo built for the workspace.

use std::time::Duration;

use testkit::{Cluster, Engine, Signal, TempServer};

#[tokio::test]
async fn a_cluster_is_a_master_and_slaves_on_one_database() {
    // A single node, because only server engines take several.
    let mut cluster = Cluster::start(1, Engine::Sqlite, false, |number, builder| {
        builder.env("AUTH_KEY", &format!("Another-Key-1234567890-{number}"))
    })
    .await;
    let id = cluster.node(0).create_group("team", "openai", "http://127.0.0.1:9", serde_json::json!({})).await;
    assert_eq!(cluster.database().column("SELECT name FROM groups").await, ["team"]);
    cluster.eventually("/api/groups", |groups| groups[0]["id"] == id).await;
    cluster.node_mut(0).kill_and_restart().await;
    cluster.eventually("/api/groups", |groups| groups[0]["id"] == id).await;
}

#[tokio::test]
async fn a_server_is_paused_signalled_and_restarted_with_another_environment() {
    let mut server = TempServer::start().await;
    server.pause();
    let asking = server.managed("GET", "/api/groups", None);
    let mut asking = Box::pin(asking);
    assert!(tokio::time::timeout(Duration::from_millis(300), asking.as_mut()).await.is_err(), "it is silent");
    server.resume();
    asking.await;
    server.restart_with(&[("AUTH_KEY", "Another-Key-of-a-Test-1234567890")]).await;
    server.managed("GET", "/api/groups", None).await;
    server.signal(Signal::TERM);
    assert!(server.ended().await.success());
    server.start_again().await;
    server.kill();
    assert!(tokio::net::TcpStream::connect(server.address()).await.is_err());
    server.start_again().await;
    assert_eq!(server.database().column("SELECT count(*) FROM groups").await, ["0"]);
}

/// Those whose servers this run has: both of them below `scripts/with-test-servers`.
fn engines() -> Vec<Engine> {
    let variables = [(Engine::MySql, "TEST_MYSQL"), (Engine::PostgreSql, "TEST_POSTGRESQL")];
    variables.into_iter().filter(|(_, name)| std::env::var_os(name).is_some()).map(|(engine, _)| engine).collect()
}

#[tokio::test]
async fn three_nodes_share_what_is_changed_on_one_of_them() {
    for engine in engines() {
        let cluster = Cluster::start(3, engine, true, |_, builder| builder).await;
        let id = cluster.node(2).create_group("team", "openai", "http://127.0.0.1:9", serde_json::json!({})).await;
        let took = cluster.eventually("/api/groups", |groups| groups[0]["id"] == id).await;
        assert!(took < Duration::from_secs(5), "{engine}: {took:?}");
    }
}
