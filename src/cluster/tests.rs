//! Leases, nodes and the feed of changes between two nodes. On a file there is one node, and everything is its own.

use std::time::{Duration, Instant};

use testkit::FreshDatabase;

use super::{
    Cluster, Heartbeat, Role,
    duty::{Duty, LEASE},
    queries,
};
use crate::db::{Changed, Changes, Database, testing};

const LONG: Duration = Duration::from_secs(60);

/// `None`: of a file there is no second node.
async fn two_nodes() -> Option<(FreshDatabase, Database, Database)> {
    let (place, one) = testing::fresh().await;
    if one.engine().is_sqlite() {
        let cluster = Cluster::open(one.clone(), None).await.unwrap();
        assert!(cluster.duty.is_ours() && cluster.members().await.unwrap().nodes.is_empty());
        assert_eq!(one.changes_since(0).await.unwrap(), Changes::New(Vec::new(), 0));
        return None;
    }
    let two = testing::open_again(&place).await.unwrap();
    assert!(!Duty::new(&one).is_ours(), "whose it is, the database says");
    Some((place, one, two))
}

#[tokio::test]
async fn a_lease_is_one_nodes_until_it_gives_it_back() {
    let Some((_place, one, two)) = two_nodes().await else { return };
    let holder = async || queries::holder(one.readers(), LEASE).await.unwrap();
    assert_eq!(holder().await, None);
    assert!(queries::acquire(&one, LEASE, LONG).await.unwrap());
    assert!(!queries::acquire(&two, LEASE, LONG).await.unwrap());
    assert!(queries::acquire(&one, LEASE, LONG).await.unwrap(), "it is renewed");
    queries::release(&two, LEASE).await.unwrap();
    assert_eq!(holder().await.as_deref(), Some(one.node()), "only its holder gives it back");
    queries::release(&one, LEASE).await.unwrap();
    assert!(queries::acquire(&two, LEASE, LONG).await.unwrap());
    assert_eq!(holder().await.as_deref(), Some(two.node()));
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_by_the_databases_clock() {
    let Some((_place, one, two)) = two_nodes().await else { return };
    assert!(queries::acquire(&one, LEASE, Duration::from_millis(300)).await.unwrap());
    let begun = Instant::now();
    while !queries::acquire(&two, LEASE, LONG).await.unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not end");
    }
    assert!(!queries::acquire(&one, LEASE, LONG).await.unwrap(), "whoever was late has lost it");
}

#[tokio::test]
async fn of_many_who_want_a_lease_at_once_one_gets_it() {
    let Some((_place, one, two)) = two_nodes().await else { return };
    for round in 0..10 {
        let name = format!("lease-{round}");
        let (first, second) = tokio::join!(queries::acquire(&one, &name, LONG), queries::acquire(&two, &name, LONG));
        // Who meets the other one half-way may also be told to try again.
        let got = [first, second].into_iter().filter(|got| got.as_ref().is_ok_and(|got| *got)).count();
        assert_eq!(got, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_node_is_seen_until_it_signs_off_dead_when_it_is_silent_and_forgotten_at_last() {
    let Some((_place, one, two)) = two_nodes().await else { return };
    for (database, role) in [(&one, Role::Master), (&two, Role::Slave)] {
        Heartbeat::new(database.clone(), role, format!("{}:3001", role.name())).beat().await.unwrap();
    }
    let seen = async || {
        let nodes = queries::nodes(one.readers()).await.unwrap();
        nodes.into_iter().map(|node| (node.name, node.role, node.is_alive)).collect::<Vec<_>>()
    };
    let [master, slave] = [(&one, "master"), (&two, "slave")].map(|(database, role)| (database.node(), role));
    let of = |(name, role): (&str, &str), is_alive| (name.to_owned(), role.to_owned(), is_alive);
    let mut found = seen().await;
    found.sort_by(|one, two| one.1.cmp(&two.1));
    assert_eq!(found, [of(master, true), of(slave, true)]);
    one.run(&format!("UPDATE gpt_load_nodes SET seen_at = seen_at - 21000 WHERE node = '{}'", two.node())).await;
    assert!(seen().await.contains(&of(slave, false)));
    queries::forget_nodes(&one).await.unwrap();
    assert_eq!(seen().await.len(), 2, "the dead are shown for a while");
    one.run(&format!("UPDATE gpt_load_nodes SET seen_at = seen_at - 3600000 WHERE node = '{}'", two.node())).await;
    queries::forget_nodes(&one).await.unwrap();
    assert_eq!(seen().await, [of(master, true)]);
    queries::sign_off(&one).await.unwrap();
    assert_eq!(seen().await, []);
}

#[tokio::test]
async fn a_committed_change_is_news_to_the_others_in_the_order_of_the_commits() {
    let Some((_place, one, two)) = two_nodes().await else { return };
    let begin = one.last_change().await.unwrap();
    let keys = |ids: &[i64]| Changed::Keys { group_id: 7, ids: ids.to_vec() };
    let mut change = one.begin_change().await.unwrap();
    change.note(Changed::Configuration);
    change.note(Changed::Configuration);
    change.note_keys(7, &[5, 900, 3]);
    change.commit().await.unwrap();
    let mut undone = one.begin_change().await.unwrap();
    undone.note(Changed::Configuration);
    drop(undone);
    let mut change = two.begin_change().await.unwrap();
    change.note_keys(7, &[4]);
    change.note_keys(7, &[]);
    change.commit().await.unwrap();
    let mut change = one.begin_change().await.unwrap();
    change.note_keys(7, &(100..200).collect::<Vec<_>>());
    change.commit().await.unwrap();

    let span = Changed::KeysBetween { group_id: 7, first_id: 100, last_id: 199 };
    let to_two = vec![Changed::Configuration, keys(&[5, 900, 3]), span];
    assert_eq!(two.changes_since(begin).await.unwrap(), Changes::New(to_two, begin + 4));
    assert_eq!(one.changes_since(begin).await.unwrap(), Changes::New(vec![keys(&[4])], begin + 4));
    assert_eq!(one.changes_since(begin + 4).await.unwrap(), Changes::New(Vec::new(), begin + 4));
}

#[tokio::test]
async fn who_has_missed_more_than_is_kept_or_is_ahead_of_a_restored_database_loads_anew() {
    let Some((_place, one, two)) = two_nodes().await else { return };
    for _ in 0..3 {
        let mut change = one.begin_change().await.unwrap();
        change.note(Changed::Configuration);
        change.commit().await.unwrap();
    }
    one.forget_changes().await.unwrap();
    assert_eq!(two.changes_since(0).await.unwrap(), Changes::New(vec![Changed::Configuration; 3], 3));
    one.run("UPDATE gpt_load_changes SET created_at = created_at - 3700000 WHERE number < 3").await;
    one.forget_changes().await.unwrap();
    assert_eq!(two.changes_since(0).await.unwrap(), Changes::TooMany(3));
    assert_eq!(two.changes_since(2).await.unwrap(), Changes::New(vec![Changed::Configuration], 3));
    assert_eq!(two.changes_since(9).await.unwrap(), Changes::TooMany(3));
}
