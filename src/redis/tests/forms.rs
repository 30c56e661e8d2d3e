//! Every form of a connection string leads to its server, and what is wrong with it is told without a secret.

use testkit::{Cut, FaultProxy, RedisCluster, RedisOptions, RedisSentinel, RedisServer};

use super::{Node, Notices, guarded_server, parse, plain_server, two_nodes, until};

/// That the DSN fails with words such as these, and without its password.
async fn refused(dsn: &str, expected: &str) {
    let problem = Notices::probe(&parse(dsn)).await.unwrap_err().to_string();
    assert!(problem.contains(expected), "{dsn}: {problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[tokio::test]
async fn a_probe_tells_what_is_there() {
    let server = plain_server().await;
    let found = Notices::probe(&parse(&server.dsn())).await.unwrap();
    assert_eq!((found.place, found.pending_log_entries), (server.address().to_string(), Some(0)));
    server.command(&["SADD", "gpt-load:pending_log_keys", "request_log:1", "request_log:2"]).await;
    let found = Notices::probe(&parse(&server.dsn())).await.unwrap();
    assert_eq!(found.pending_log_entries, Some(2));
    assert_eq!(server.command(&["DBSIZE"]).await, "1");
}

#[tokio::test]
async fn passwords() {
    let server = guarded_server().await;
    let place = server.address();
    refused(&format!("redis://{place}"), "REDIS_DSN names none").await;
    refused(&format!("redis://:hunter2x@{place}"), "refuses the user or the password").await;
    refused(&format!("redis://nobody:hunter2@{place}"), "refuses the user or the password").await;
    for right in [format!("redis://:hunter2@{place}"), format!("redis://default:hunter2@{place}")] {
        Notices::probe(&parse(&right)).await.unwrap();
    }
    two_nodes(&format!("redis://:hunter2@{place}")).await;
}

#[tokio::test]
async fn a_password_that_nobody_wants_does_no_harm() {
    let server = plain_server().await;
    Notices::probe(&parse(&format!("redis://:hunter2@{}", server.address()))).await.unwrap();
}

#[tokio::test]
async fn users_need_few_rights_and_those_that_lack_are_named() {
    let server = plain_server().await;
    let dsn = format!("redis://node:hunter2@{}", server.address());
    for (rights, is_enough) in [
        ("+ping", false),
        ("+ping +subscribe +publish resetchannels", false),
        ("+ping +subscribe resetchannels &gpt-load:*", false),
        ("+ping +subscribe +publish resetchannels &gpt-load:*", true),
    ] {
        let words = format!("ACL SETUSER node reset on >hunter2 {rights}");
        server.command(&words.split(' ').collect::<Vec<_>>()).await;
        if is_enough {
            let found = Notices::probe(&parse(&dsn)).await.unwrap();
            assert_eq!(found.pending_log_entries, None);
        } else {
            refused(&dsn, "&gpt-load:*").await;
        }
    }
    two_nodes(&dsn).await;
}

#[tokio::test]
async fn a_database_and_a_name() {
    let server = plain_server().await;
    let dsn = format!("redis://{}/3?client_name=node-one", server.address());
    two_nodes(&dsn).await;
    let _node = Node::connected("first", &dsn).await;
    let clients = server.command(&["CLIENT", "LIST"]).await;
    let ours = clients.lines().filter(|line| line.contains(" name=node-one ") && line.contains(" db=3 "));
    assert!(ours.count() >= 2, "{clients}");
    refused(&format!("redis://{}/99", server.address()), "no database of that number").await;
}

#[tokio::test]
async fn places_where_nobody_is() {
    let free = testkit::free_address();
    refused(&format!("redis://:hunter2@{free}"), "nothing listens there").await;
    refused("redis://:hunter2@redis.invalid", "host name that cannot be resolved").await;
    refused("unix://:hunter2@/nowhere/redis.sock", "no such socket").await;

    let network = FaultProxy::before(free).await;
    refused(&format!("redis://:hunter2@{}", network.address()), "closes the connection without an answer").await;

    let server = plain_server().await;
    let network = FaultProxy::before(server.address()).await;
    network.cut(Cut::Silent).await;
    let dsn = format!("redis://:hunter2@{}?read_timeout=100ms", network.address());
    refused(&dsn, "does not answer the command AUTH within 100ms").await;
}

#[tokio::test]
async fn a_server_of_another_kind_is_told_from_redis() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _other = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    }));
    refused(&format!("redis://:hunter2@{address}"), "something that Redis does not say").await;
}

#[tokio::test]
async fn a_full_server_says_so() {
    let server = plain_server().await;
    let _only = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    server.command(&["CONFIG", "SET", "maxclients", "1"]).await;
    refused(&server.dsn(), "maxclients").await;
}

#[tokio::test]
async fn unix_sockets() {
    let server = guarded_server().await;
    let (first, mut second) = two_nodes(&format!("{}?db=2", server.unix_dsn())).await;
    first.notices.send();
    second.hears().await;
    refused(&format!("unix://{}", server.unix_socket().display()), "REDIS_DSN names none").await;
}

async fn tls_server() -> RedisServer {
    let more = ["--bind", "127.0.0.1", "127.0.0.2"].map(str::to_owned).to_vec();
    RedisServer::start(RedisOptions { password: Some("hunter2".to_owned()), tls: true, more }).await
}

#[tokio::test]
async fn tls() {
    let server = tls_server().await;
    let place = format!(":hunter2@{}", server.address());
    refused(&server.dsn(), "no authority known here").await;
    refused(&format!("redis://{place}"), "rediss://").await;
    let plain = guarded_server().await;
    refused(&format!("rediss://:hunter2@{}", plain.address()), "redis://").await;
    let (first, mut second) = two_nodes(&format!("rediss://{place}?skip_verify=true")).await;
    first.notices.send();
    second.hears().await;
}

/// Authorities are read once a process, from where `SSL_CERT_FILE` says: this runs the next test in processes of its own.
#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let server = tls_server().await;
    // The certificate is not for this one of the loopback addresses.
    let elsewhere = server.dsn().replace("localhost", "127.0.0.2");
    for (dsn, expected) in [(server.dsn(), "probe: found"), (elsewhere, "certificate for another host name")] {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([
            "redis::tests::forms::probes_the_server_of_the_test_above",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.env("SSL_CERT_FILE", server.certificates().authority_path()).env("PROBED_DSN", &dsn);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(expected), "{dsn}: {printed}");
    }
}

#[tokio::test]
#[ignore = "a part of the test above, which runs it"]
#[expect(clippy::disallowed_methods, reason = "the way in for what the test above wants")]
async fn probes_the_server_of_the_test_above() {
    match Notices::probe(&parse(&std::env::var("PROBED_DSN").unwrap())).await {
        Ok(_) => println!("probe: found"),
        Err(problem) => println!("probe: {problem}"),
    }
}

#[tokio::test]
async fn the_nodes_of_a_cluster_hear_each_other_over_any_of_its_servers() {
    let mut cluster = RedisCluster::start().await;
    let place: Vec<_> = cluster.nodes.iter().map(|server| server.address().to_string()).collect();
    let first = Node::connected("first", &format!("redis-cluster://{},{}", place[0], place[1])).await;
    let second = Node::connected("second", &format!("redis-cluster://{}", place[2])).await;
    let before = second.times_heard();
    first.notices.send();
    until("it is heard over another server", || second.times_heard() > before).await;
    // One of them has the original's key, the others point to it.
    for place in &place {
        Notices::probe(&parse(&format!("redis-cluster://{place}"))).await.unwrap();
    }
    refused(&format!("redis://{}/1", place[0]), "database 0 only").await;

    cluster.nodes[0].kill().await;
    first.is_away().await;
    first.is_connected().await;
    let before = second.times_heard();
    first.notices.send();
    until("it is heard over the next server", || second.times_heard() > before).await;
}

#[tokio::test]
async fn sentinels_lead_to_the_new_primary() {
    let mut servers = RedisSentinel::start().await;
    let nowhere = testkit::free_address();
    let place = format!("redis-sentinel://{nowhere},{}", servers.address());
    refused(&format!("{place}/other"), "knows no master other").await;
    let dsn = format!("{place}/main");
    assert_eq!(Notices::probe(&parse(&dsn)).await.unwrap().place, servers.primary.address().to_string());

    let (first, second) = two_nodes(&dsn).await;
    servers.primary.kill().await;
    tokio::join!(first.is_away(), second.is_away());
    tokio::join!(first.is_connected(), second.is_connected());
    let before = second.times_heard();
    first.notices.send();
    until("it is heard over the new primary", || second.times_heard() > before).await;
    assert_eq!(Notices::probe(&parse(&dsn)).await.unwrap().place, servers.replica.address().to_string());

    let sentinel = redis::Client::open(format!("redis://{}", servers.address())).unwrap();
    let mut sentinel = sentinel.get_multiplexed_async_connection().await.unwrap();
    let mut guard = redis::cmd("ACL");
    let _: () = guard.arg(&["SETUSER", "default", ">hunter2"]).query_async(&mut sentinel).await.unwrap();
    refused(&dsn, "wants a password").await;
    Notices::probe(&parse(&format!("{dsn}?sentinel_password=hunter2"))).await.unwrap();
}
