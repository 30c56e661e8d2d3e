//! Many keys at once: over the whole pool and the database.

use std::{collections::HashSet, time::Duration};

use super::*;
use crate::{
    crypto::Cipher,
    db::{
        Database,
        testing::{fresh, values},
    },
    keypool::{Failure, Pool, Statuses, unwatched},
};

struct House {
    _place: testkit::FreshDatabase,
    database: Database,
    pools: KeyPools,
}

/// Two groups, the first with so many keys.
async fn house_with(keys: usize) -> House {
    let (place, database) = fresh().await;
    let groups = database.engine().quoted("groups");
    let group = |name: &str| {
        format!(
            "INSERT INTO {groups} (name, group_type, upstreams, channel_type, test_model) VALUES ('{name}', 'standard', '[]', 'openai', 'm')"
        )
    };
    database.run(&format!("{}; {}", group("one"), group("two"))).await;
    let pools = KeyPools::open_with_lots_of(3, database.clone(), Cipher::new(None)).await.unwrap();
    let texts: Vec<Secret> = (1..=keys).map(|number| Secret::new(format!("sk-{number}"))).collect();
    pools.add(1, &texts, unwatched).await.unwrap();
    House { _place: place, database, pools }
}

impl House {
    async fn statuses(&self) -> Vec<(i64, String)> {
        self.database.rows_of("SELECT group_id, status FROM api_keys ORDER BY id").await
    }

    fn pool(&self, group_id: GroupId) -> Arc<Pool> {
        self.pools.ensure(group_id)
    }

    async fn change(&self, ids: &[i64], action: Action) -> (u64, u64) {
        let changes = self.pools.change(1, ids, &action, unwatched).await.unwrap();
        assert_eq!(changes.processed, ids.len());
        (changes.changed, changes.already_there)
    }

    /// What a start after this moment finds in rotation.
    async fn reopened(&self, group_id: GroupId) -> usize {
        let pools = KeyPools::open(self.database.clone(), Cipher::new(None)).await.unwrap();
        pools.of(group_id).map_or(0, |pool| pool.active_count())
    }

    fn fail(&self, id: i64) {
        let key = Key { id, group_id: 1, secret: Secret::new(format!("sk-{id}")) };
        assert!(self.pool(1).failed(&key, 1, Failure::new(Some(401), "No such key")));
    }
}

fn matching(state: Option<StateFilter>, part: &str, except_ids: &[i64]) -> Selection {
    let part = (!part.is_empty()).then(|| Secret::new(part));
    Selection::Matching { state, part, except_ids: except_ids.iter().copied().collect::<HashSet<_>>() }
}

#[tokio::test]
async fn keys_are_chosen_by_ids_or_by_what_they_are() {
    let house = house_with(12).await;
    house.fail(2);
    house.change(&[4, 5], Action::Disable).await;
    let pool = house.pool(1);
    let key = Key { id: 7, group_id: 1, secret: Secret::new("sk-7") };
    pool.rest(&key, Instant::now() + Duration::from_secs(60));
    let chosen = async |selection: Selection| house.pools.select(1, &selection).await.unwrap();
    assert_eq!(chosen(Selection::Ids(vec![12, 3, 3, 99])).await, [3, 12]);
    assert_eq!(chosen(matching(None, "", &[])).await, (1..=12).collect::<Vec<_>>());
    assert_eq!(chosen(matching(None, "SK-1", &[11])).await, [1, 10, 12]);
    let stored = |status| Some(StateFilter::Stored(status));
    assert_eq!(chosen(matching(stored(KeyStatus::Invalid), "", &[])).await, [2]);
    assert_eq!(chosen(matching(stored(KeyStatus::Disabled), "", &[4])).await, [5]);
    assert_eq!(chosen(matching(stored(KeyStatus::Active), "", &[])).await, [1, 3, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(chosen(matching(Some(StateFilter::Resting), "", &[])).await, [7]);
    assert_eq!(house.pools.select(2, &matching(None, "", &[])).await.unwrap(), [0_i64; 0]);
}

#[tokio::test]
async fn a_disabled_key_is_out_until_it_is_enabled_by_hand() {
    let house = house_with(7).await;
    house.fail(2);
    assert_eq!(house.change(&[1, 2, 3, 4], Action::Disable).await, (4, 0));
    assert_eq!(house.change(&[4, 5], Action::Disable).await, (1, 0), "one was so already");
    assert_eq!((house.pool(1).active_count(), house.reopened(1).await), (2, 2));
    // Nothing else brings it back.
    assert_eq!(house.pools.restore_all_invalid(1).await.unwrap(), 0);
    assert_eq!(house.change(&[1, 2], Action::Restore).await, (0, 0));
    let texts = [Secret::new("sk-1")];
    assert_eq!(house.pools.restore(1, &texts).await.unwrap(), 0);
    let key = Arc::new(Key { id: 1, group_id: 1, secret: Secret::new("sk-1") });
    assert!(!house.pools.revive(key).await.unwrap(), "a passed test");
    assert_eq!(house.pools.clear_invalid(1).await.unwrap(), 0);
    assert_eq!(house.pool(1).active_count(), 2);
    assert_eq!(house.change(&[1, 2, 6], Action::Enable).await, (2, 0));
    assert_eq!((house.pool(1).active_count(), house.reopened(1).await), (4, 4));
    let states = house.pools.states_of(1, Instant::now()).await.unwrap();
    assert_eq!((states.total, states.active, states.invalid, states.disabled), (7, 4, 0, 3));
}

#[tokio::test]
async fn what_happened_before_a_key_was_disabled_does_not_make_it_invalid() {
    let house = house_with(3).await;
    house.fail(1);
    house.change(&[1], Action::Disable).await;
    // A node that had not heard of it yet.
    house.pool(1).insert([(Arc::new(Key { id: 1, group_id: 1, secret: Secret::new("sk-1") }), 0)]);
    house.fail(1);
    house.pools.store_changes().await.unwrap();
    assert_eq!(house.statuses().await[0].1, "disabled");
}

#[tokio::test]
async fn only_invalid_keys_are_restored() {
    let house = house_with(8).await;
    for id in [1, 4, 7] {
        house.fail(id);
    }
    assert_eq!(house.change(&[1, 2, 3, 4, 5], Action::Restore).await, (2, 0));
    assert_eq!((house.pool(1).active_count(), house.reopened(1).await), (7, 7));
}

#[tokio::test]
async fn keys_are_deleted_by_their_ids() {
    let house = house_with(8).await;
    assert_eq!(house.change(&[1, 2, 3, 4, 99], Action::Delete).await, (4, 0));
    assert_eq!((house.pool(1).active_count(), house.reopened(1).await), (4, 4));
}

#[tokio::test]
async fn moved_keys_keep_what_is_known_of_them() {
    let house = house_with(6).await;
    house.pools.add(2, &[Secret::new("sk-3"), Secret::new("sk-9")], unwatched).await.unwrap();
    house.database.run("UPDATE api_keys SET notes = 'of Ann', request_count = 7 WHERE id = 1").await;
    house.fail(2);
    let pool = house.pool(1);
    let key = Key { id: 1, group_id: 1, secret: Secret::new("sk-1") };
    assert!(!pool.failed(&key, 9, Failure::default()));
    pool.rest(&key, Instant::now() + Duration::from_secs(60));
    house.change(&[4], Action::Disable).await;
    assert_eq!(house.change(&[1, 2, 3, 4], Action::Move { to: 2 }).await, (3, 1));
    let groups: Vec<_> = house.statuses().await;
    let expected = [
        (2, "active"),
        (2, "invalid"),
        (1, "active"),
        (2, "disabled"),
        (1, "active"),
        (1, "active"),
        (2, "active"),
        (2, "active"),
    ];
    assert_eq!(groups, expected.map(|(group, status)| (group, status.to_owned())));
    let first: Vec<(String, i64, i64)> =
        house.database.rows_of("SELECT notes, request_count, failure_count FROM api_keys WHERE id = 1").await;
    assert_eq!(first, [("of Ann".to_owned(), 7, 1)]);
    assert_eq!((house.pool(1).active_count(), house.reopened(1).await), (3, 3));
    assert_eq!((house.pool(2).active_count(), house.reopened(2).await), (3, 3));
    assert_eq!(house.pool(2).active(Instant::now()).resting, 1, "it still waits out its limit");
    let picked = house.pool(2).pick(&[], Instant::now()).unwrap();
    assert_eq!(picked.group_id, 2);
    let gone = house.pools.change(1, &[5], &Action::Move { to: 9 }, unwatched).await;
    assert!(matches!(gone, Err(db::Error::NotFound)));
}

#[tokio::test]
async fn notes_are_set_for_many_keys() {
    let house = house_with(7).await;
    assert_eq!(house.change(&[1, 2, 3, 4, 5], Action::SetNotes("of Ann".to_owned())).await, (5, 0));
    assert_eq!(house.change(&[5, 6], Action::SetNotes("of Ann".to_owned())).await, (1, 0));
    let noted: i64 = house.database.value_of("SELECT count(*) FROM api_keys WHERE notes = 'of Ann'").await;
    assert_eq!(noted, 6);
}

#[tokio::test]
async fn work_that_is_cut_short_keeps_what_it_did() {
    let house = house_with(8).await;
    let ids: Vec<i64> = (1..=8).collect();
    let changes = house.pools.change(1, &ids, &Action::Disable, |_| ControlFlow::Break(())).await.unwrap();
    assert_eq!(changes, Changes { processed: 3, changed: 3, already_there: 0 });
    assert_eq!(house.pool(1).active_count(), 5);
}

#[tokio::test]
async fn an_outlook_says_what_would_come_of_it_and_does_nothing() {
    let house = house_with(8).await;
    house.pools.add(2, &[Secret::new("sk-3")], unwatched).await.unwrap();
    house.fail(2);
    house.change(&[4, 5], Action::Disable).await;
    house.change(&[1], Action::SetNotes("of Ann".to_owned())).await;
    house
        .database
        .run(&format!(
            "INSERT INTO api_keys (key_value, key_hash, group_id) {}",
            values(1, |_| "'x', 'y', 1".to_owned())
        ))
        .await;
    let key = Key { id: 7, group_id: 1, secret: Secret::new("sk-7") };
    house.pool(1).rest(&key, Instant::now() + Duration::from_secs(60));
    let before = house.statuses().await;
    let ids = house.pools.select(1, &matching(None, "", &[])).await.unwrap();
    let would_change = async |action: Option<Action>| {
        let outlook = house.pools.outlook(1, &ids, action.as_ref()).await.unwrap();
        let states = [
            (KeyState::Active, 4),
            (KeyState::Resting, 1),
            (KeyState::Invalid, 1),
            (KeyState::Disabled, 2),
            (KeyState::Unreadable, 1),
        ];
        assert_eq!((outlook.matching, outlook.by_state), (9, BTreeMap::from(states)));
        outlook.would_change
    };
    assert_eq!(would_change(None).await, 9);
    assert_eq!(would_change(Some(Action::Delete)).await, 9);
    assert_eq!(would_change(Some(Action::Restore)).await, 1);
    assert_eq!(would_change(Some(Action::Enable)).await, 2);
    assert_eq!(would_change(Some(Action::Disable)).await, 7);
    assert_eq!(would_change(Some(Action::Move { to: 2 })).await, 8);
    assert_eq!(would_change(Some(Action::SetNotes("of Ann".to_owned()))).await, 8);
    assert_eq!(house.statuses().await, before);
    assert_eq!(house.pools.count(1).await.unwrap(), 9);
    let (count, _) = house.pools.extent(1, Statuses::AllBut(KeyStatus::Disabled)).await.unwrap();
    assert_eq!(count, 7);
}

/// Another node holds its own picture of the pools, and hears afterwards where to look.
#[tokio::test]
async fn another_node_follows_what_is_done_to_many_keys() {
    let house = house_with(6).await;
    let other = KeyPools::open(house.database.clone(), Cipher::new(None)).await.unwrap();
    let count = |group_id| other.of(group_id).map_or(0, |pool| pool.active_count());
    house.change(&[1], Action::Disable).await;
    house.change(&[2, 3], Action::Move { to: 2 }).await;
    for group_id in [1, 2] {
        other.look_again(&db::Changed::Keys { group_id, ids: vec![1, 2, 3] }).await.unwrap();
    }
    assert_eq!((count(1), count(2)), (3, 2));
    assert_eq!(other.of(2).unwrap().pick(&[], Instant::now()).unwrap().group_id, 2);
    house.change(&[1], Action::Enable).await;
    other.look_again(&db::Changed::Keys { group_id: 1, ids: vec![1] }).await.unwrap();
    assert_eq!(count(1), 4);
    // A test that began before the key was moved does not bring it back where it was.
    let key = Arc::new(Key { id: 2, group_id: 1, secret: Secret::new("sk-2") });
    assert!(!house.pools.revive(key).await.unwrap());
    assert_eq!(house.pool(1).active_count(), 4);
}
