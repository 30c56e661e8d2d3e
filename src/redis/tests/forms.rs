//! Every form of a connection string leads to its server, and what is wrong with it is told without a secret.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use testkit::TlsFront;

use super::{
    Node, Notices, parse,
    servers::{Network, PATIENCE, Server, ask},
    two_nodes, until,
};

/// That the DSN fails with words such as these, and without its password.
async fn refused(dsn: &str, expected: &str) {
    let problem = Notices::probe(&parse(dsn)).await.unwrap_err().to_string();
    assert!(problem.contains(expected), "{dsn}: {problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[tokio::test]
async fn a_probe_tells_what_is_there() {
    let server = Server::start().await;
    let found = Notices::probe(&parse(&server.dsn())).await.unwrap();
    assert_eq!((found.place, found.pending_log_entries), (server.address.to_string(), Some(0)));
    let _: u64 = server.ask("SADD gpt-load:pending_log_keys request_log:1 request_log:2").await;
    let found = Notices::probe(&parse(&server.dsn())).await.unwrap();
    assert_eq!(found.pending_log_entries, Some(2));
    assert_eq!(server.ask::<Vec<String>>("KEYS *").await, ["gpt-load:pending_log_keys"]);
}

#[tokio::test]
async fn passwords() {
    let server = Server::start_with(&["--requirepass", "hunter2"]).await;
    let place = server.address;
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
    let server = Server::start().await;
    Notices::probe(&parse(&format!("redis://:hunter2@{}", server.address))).await.unwrap();
}

#[tokio::test]
async fn users_need_few_rights_and_those_that_lack_are_named() {
    let server = Server::start().await;
    let mut admin = server.connection().await;
    let dsn = format!("redis://node:hunter2@{}", server.address);
    for (rights, is_enough) in [
        ("+ping", false),
        ("+ping +subscribe +publish resetchannels", false),
        ("+ping +subscribe resetchannels &gpt-load:*", false),
        ("+ping +subscribe +publish resetchannels &gpt-load:*", true),
    ] {
        let _: String = ask(&mut admin, &format!("ACL SETUSER node reset on >hunter2 {rights}")).await.unwrap();
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
    let server = Server::start().await;
    let dsn = format!("redis://{}/3?client_name=node-one", server.address);
    two_nodes(&dsn).await;
    let _node = Node::connected("first", &dsn).await;
    let clients: String = server.ask("CLIENT LIST").await;
    let ours = clients.lines().filter(|line| line.contains(" name=node-one ") && line.contains(" db=3 "));
    assert!(ours.count() >= 2, "{clients}");
    refused(&format!("redis://{}/99", server.address), "no database of that number").await;
}

#[tokio::test]
async fn places_where_nobody_is() {
    let free = testkit::free_address();
    refused(&format!("redis://:hunter2@{free}"), "nothing listens there").await;
    refused("redis://:hunter2@redis.invalid", "host name that cannot be resolved").await;
    refused("unix://:hunter2@/nowhere/redis.sock", "no such socket").await;

    let network = Network::before(free).await;
    refused(&format!("redis://:hunter2@{}", network.address), "closes the connection without an answer").await;

    let server = Server::start().await;
    let network = Network::before(server.address).await;
    network.cut();
    let dsn = format!("redis://:hunter2@{}?read_timeout=100ms", network.address);
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
    let server = Server::start().await;
    let mut only = server.connection().await;
    let _: String = ask(&mut only, "CONFIG SET maxclients 1").await.unwrap();
    refused(&server.dsn(), "maxclients").await;
}

#[tokio::test]
async fn unix_sockets() {
    let mut server = Server::prepare(&[]);
    let path = server.directory.path().join("redis.sock");
    server.add_arguments(&["--unixsocket", path.to_str().unwrap(), "--requirepass", "hunter2"]);
    server.start_again().await;
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    let dsn = format!("unix://:hunter2@{}?db=2", path.display());
    let (first, mut second) = two_nodes(&dsn).await;
    first.notices.send();
    second.hears().await;
    refused(&format!("unix://{}", path.display()), "REDIS_DSN names none").await;
}

#[tokio::test]
async fn tls() {
    let server = Server::start_with(&["--requirepass", "hunter2"]).await;
    let front = TlsFront::before(server.address).await;
    let place = format!(":hunter2@localhost:{}", front.address().port());
    refused(&format!("rediss://{place}"), "no authority known here").await;
    refused(&format!("redis://{place}"), "rediss://").await;
    refused(&format!("rediss://:hunter2@{}", server.address), "redis://").await;
    let (first, mut second) = two_nodes(&format!("rediss://{place}?skip_verify=true")).await;
    first.notices.send();
    second.hears().await;
}

/// Authorities are read once a process, from where `SSL_CERT_FILE` says: this runs the next test in a process of its own.
#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let server = Server::start().await;
    let front = TlsFront::before(server.address).await;
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, TlsFront::certificate()).unwrap();
    let port = front.address().port();
    for (host, expected) in [("localhost", "probe: found"), ("127.0.0.1", "certificate for another host name")] {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([
            "redis::tests::forms::probes_the_server_of_the_test_above",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.env("SSL_CERT_FILE", &authority).env("PROBED_DSN", format!("rediss://{host}:{port}"));
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(expected), "{host}: {printed}");
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
    let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
    let mut one = Server::start_with(&arguments).await;
    let two = Server::start_with(&arguments).await;
    let _: String = one.ask("CLUSTER ADDSLOTSRANGE 0 8191").await;
    let _: String = two.ask("CLUSTER ADDSLOTSRANGE 8192 16383").await;
    let _: String = one.ask(&format!("CLUSTER MEET {} {}", two.address.ip(), two.address.port())).await;
    for server in [&one, &two] {
        let begin = std::time::Instant::now();
        while !server.ask::<String>("CLUSTER INFO").await.contains("cluster_state:ok") {
            assert!(begin.elapsed() < PATIENCE, "no cluster comes to be");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let first = Node::connected("first", &format!("redis-cluster://{},{}", one.address, two.address)).await;
    let mut second = Node::connected("second", &format!("redis-cluster://{}", two.address)).await;
    until("the link between the servers carries notices", || {
        first.notices.send();
        second.times_heard() > 1
    })
    .await;
    second.hears().await;
    // One server of the cluster owns the original's key, the other says so.
    Notices::probe(&parse(&format!("redis-cluster://{}", one.address))).await.unwrap();
    Notices::probe(&parse(&format!("redis-cluster://{}", two.address))).await.unwrap();
    refused(&format!("redis://{}/1", one.address), "database 0 only").await;

    one.stop();
    first.is_away().await;
    first.is_connected().await;
    let before = second.times_heard();
    first.notices.send();
    until("it is heard over the other server", || second.times_heard() > before).await;
}

#[tokio::test]
async fn sentinels_lead_to_the_new_master() {
    let mut master = Server::start().await;
    let (ip, port) = (master.address.ip().to_string(), master.address.port().to_string());
    let replica = Server::start_with(&["--replicaof", &format!("{ip} {port}")]).await;
    let mut sentinel = Server::prepare(&[]);
    let configuration = sentinel.directory.path().join("sentinel.conf");
    let text = format!(
        "sentinel monitor mymaster {ip} {port} 1\nsentinel down-after-milliseconds mymaster 500\n\
        sentinel failover-timeout mymaster 3000\nrequirepass hunter2\n"
    );
    std::fs::write(&configuration, text).unwrap();
    sentinel.become_sentinel(&configuration);
    sentinel.start_again().await;
    let mut asked = sentinel.connection().await;
    let begin = std::time::Instant::now();
    while ask::<Vec<redis::Value>>(&mut asked, "SENTINEL REPLICAS mymaster").await.unwrap().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the sentinel knows no replica");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let nowhere = testkit::free_address();
    let place = format!("redis-sentinel://{nowhere},{}", sentinel.address);
    refused(&format!("{place}/mymaster"), "wants a password").await;
    refused(&format!("{place}/other?sentinel_password=hunter2"), "knows no master other").await;
    let dsn = format!("{place}/mymaster?sentinel_password=hunter2");
    let found = Notices::probe(&parse(&dsn)).await.unwrap();
    assert_eq!(found.place, master.address.to_string());

    let (first, second) = two_nodes(&dsn).await;
    master.stop();
    tokio::join!(first.is_away(), second.is_away());
    tokio::join!(first.is_connected(), second.is_connected());
    let before = second.times_heard();
    first.notices.send();
    until("it is heard over the new master", || second.times_heard() > before).await;
    assert_eq!(Notices::probe(&parse(&dsn)).await.unwrap().place, replica.address.to_string());
}
