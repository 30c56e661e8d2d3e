//! Entries on their way to a server that other nodes write to as well.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    config::DatabaseDsn,
    db::testing::{POOL, open_again},
};

/// For what is about servers alone; `None` on SQLite.
async fn house_of_server() -> Option<House> {
    if testkit::Engine::of_this_run() == testkit::Engine::Sqlite {
        return None;
    }
    Some(house().await)
}

/// Two nodes that write at once, and meet in the same keys and the same hour.
#[tokio::test]
async fn what_several_nodes_count_adds_up() {
    const ENTRIES: i64 = 3_000;
    let Some(house) = house_of_server().await else { return };
    house.add_keys(50).await;
    let node = async |direction: i64| {
        let database = open_again(&house.place).await.unwrap();
        let log = RequestLog::new(1);
        let mut writer = Writer::new(log.clone(), database, Cipher::new(None));
        for number in 0..ENTRIES {
            log.submit(0, use_of((number * direction).rem_euclid(50) + 1));
            if number % 100 == 99 {
                writer.write(false).await.unwrap();
            }
        }
    };
    tokio::join!(node(1), node(-1), node(7));
    assert_eq!(house.count().await, 3 * ENTRIES);
    assert_eq!(house.requests_of_keys().await, vec![3 * ENTRIES / 50; 50]);
    assert_eq!(house.tallies().await, [("2026-11-23 10:00:00+00:00".to_owned(), 1, 3 * ENTRIES, 0)]);
}

/// Hands connections on to a server, and cuts each one after its first commit was done, before the answer comes back.
async fn losing_answers_to_commits(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move {
                let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
                loop {
                    tokio::select! {
                        Ok(length @ 1..) = client.read(&mut up) => {
                            let is_commit = up[..length].ends_with(b"COMMIT") || up[..length].ends_with(b"COMMIT\0");
                            server.write_all(&up[..length]).await.unwrap();
                            if is_commit {
                                // The answer says that it is done.
                                drop(server.read(&mut down).await);
                                return;
                            }
                        }
                        Ok(length @ 1..) = server.read(&mut down) => client.write_all(&down[..length]).await.unwrap(),
                        else => return,
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_counts_once() {
    let Some(house) = house_of_server().await else { return };
    house.add_keys(2).await;
    let dsn = house.place.dsn().to_owned();
    let server: SocketAddr = {
        let start = dsn.find("127.0.0.1:").unwrap();
        let end = dsn[start..].find([')', '/']).unwrap();
        dsn[start..start + end].parse().unwrap()
    };
    let proxy = losing_answers_to_commits(server).await;
    let dsn = dsn.replace(&server.to_string(), &proxy.to_string());
    let (dsn, _) = DatabaseDsn::parse(&dsn, &|_| None).unwrap();
    let lossy = Database::open(&dsn, &POOL, db::Migrations::Leave).await.unwrap();
    let mut writer = Writer::new(house.log.clone(), lossy, Cipher::new(None));
    house.log.submit(0, use_of(1));
    house.log.submit(0, use_of(2));
    writer.write(false).await.unwrap_err();
    assert_eq!(house.count().await, 2, "it was done");
    house.log.submit(0, use_of(1));
    // The next commit has no answer either; the one after it is not lost, since nothing is left to be written.
    writer.write(false).await.unwrap_err();
    writer.write(false).await.unwrap();
    assert_eq!((house.count().await, house.log.waiting(), house.log.dropped()), (3, 0, 0));
    assert_eq!(house.requests_of_keys().await, [2, 1]);
    assert_eq!(house.tallies().await, [("2026-11-23 10:00:00+00:00".to_owned(), 1, 3, 0)]);
}

#[tokio::test]
async fn characters_that_a_server_cannot_hold_leave_a_mark() {
    let Some(mut house) = house_of_server().await else { return };
    if !matches!(house.database.engine(), db::Engine::MySql(_)) {
        return;
    }
    house.execute("ALTER TABLE request_logs CONVERT TO CHARACTER SET utf8mb3").await;
    house.restart_after_kill().await;
    house.write([Entry { model: "é€😀".to_owned(), request_body: Some("😀!".to_owned()), ..entry(200) }]).await;
    let row = house.row().await;
    assert_eq!(row.get::<String>("model").unwrap(), "é€\u{fffd}");
    assert_eq!(row.get::<String>("request_body").unwrap(), "\u{fffd}!");
    assert_eq!(house.log.dropped(), 0);
}
