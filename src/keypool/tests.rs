//! Pools and their database together.

use std::time::Instant;

use super::*;
use crate::{
    crypto::Secret,
    db::{Source as _, testing},
};

const GROUP: GroupId = 1;

struct House {
    _place: testkit::FreshDatabase,
    database: Database,
    pools: KeyPools,
}

async fn house(cipher: Cipher) -> House {
    let (place, database) = testing::fresh().await;
    database
        .run(
            "INSERT INTO groups (id, name, channel_type, upstreams, test_model)
         VALUES (1, 'a', 'openai', '[]', 'm'), (2, 'b', 'openai', '[]', 'm')",
        )
        .await;
    let pools = KeyPools::open_with_lots_of(1_000, database.clone(), cipher).await.unwrap();
    House { _place: place, database, pools }
}

async fn house_with(count: usize) -> House {
    let house = house(Cipher::new(None)).await;
    house.pools.add(GROUP, &secrets(count), unwatched).await.unwrap();
    house
}

fn secrets(count: usize) -> Vec<Secret> {
    (1..=count).map(|number| Secret::new(format!("sk-{number}"))).collect()
}

fn cipher(passphrase: &str) -> Cipher {
    Cipher::new(Some(&Secret::new(passphrase)))
}

/// The next keys in their turn.
fn picks(pools: &KeyPools, count: usize) -> Vec<String> {
    let pool = pools.ensure(GROUP);
    (0..count).filter_map(|_| Some(pool.pick(&[], Instant::now())?.secret.expose().to_owned())).collect()
}

impl House {
    async fn execute(&self, statement: &str) {
        self.database.run(statement).await;
    }

    async fn rows(&self) -> Vec<(String, String, i64)> {
        self.database.rows_of("SELECT key_value, status, failure_count FROM api_keys ORDER BY id").await
    }

    /// What a start after this moment finds.
    async fn reopened(&self, cipher: Cipher) -> Result<KeyPools, OpenError> {
        KeyPools::open(self.database.clone(), cipher).await
    }

    fn fail(&self, id: i64, threshold: u32) -> bool {
        let key = Key { id, group_id: GROUP, secret: Secret::new(format!("sk-{id}")) };
        self.pools.ensure(GROUP).failed(&key, threshold, Failure::new(Some(401), "No such key"))
    }
}

#[tokio::test]
async fn the_order_is_ascending_and_the_same_after_a_restart() {
    let house = house_with(3).await;
    assert_eq!(picks(&house.pools, 4), ["sk-1", "sk-2", "sk-3", "sk-1"]);
    let reopened = house.reopened(Cipher::new(None)).await.unwrap();
    assert_eq!(picks(&reopened, 4), ["sk-1", "sk-2", "sk-3", "sk-1"]);
}

#[tokio::test]
async fn more_keys_than_one_piece_are_loaded_in_order() {
    let house = house(Cipher::new(None)).await;
    let count = 20_003;
    house
        .execute(&format!(
            "INSERT INTO api_keys (key_value, group_id) {}",
            testing::values(count, |number| format!("'sk-{number}', 1"))
        ))
        .await;
    let reopened = house.reopened(Cipher::new(None)).await.unwrap();
    let expected: Vec<String> = (1..=count).map(|number| format!("sk-{number}")).collect();
    assert_eq!(picks(&reopened, count), expected);
}

#[tokio::test]
async fn what_happened_to_keys_is_stored_and_loaded() {
    let house = house_with(3).await;
    assert!(house.fail(1, 1));
    assert!(!house.fail(2, 2));
    house.pools.store_changes().await.unwrap();
    let expected = [("sk-1", "invalid", 1), ("sk-2", "active", 1), ("sk-3", "active", 0)];
    assert_eq!(house.rows().await, expected.map(|(text, status, count)| (text.to_owned(), status.to_owned(), count)));
    let reopened = house.reopened(Cipher::new(None)).await.unwrap();
    assert_eq!(picks(&reopened, 2), ["sk-2", "sk-3"]);
    let second = reopened.ensure(GROUP).pick(&[], Instant::now()).unwrap();
    assert!(reopened.ensure(GROUP).failed(&second, 2, Failure::default()), "failures are counted on after a restart");
}

#[tokio::test]
async fn a_change_that_cannot_be_stored_is_kept_and_stored_later() {
    let house = house_with(2).await;
    house.fail(1, 1);
    house.execute("ALTER TABLE api_keys RENAME TO elsewhere").await;
    assert!(house.pools.store_changes().await.is_err());
    house.execute("ALTER TABLE elsewhere RENAME TO api_keys").await;
    house.pools.store_changes().await.unwrap();
    assert_eq!(house.rows().await[0].1, "invalid");
}

#[tokio::test]
async fn the_last_changes_are_stored_at_stop() {
    let house = house_with(2).await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(house.pools.clone().run(stop.clone()));
    house.fail(1, 1);
    stop.cancel();
    task.await.unwrap();
    assert_eq!(house.rows().await[0].1, "invalid");
}

#[tokio::test]
async fn a_key_is_added_once() {
    let house = house_with(2).await;
    let texts = ["sk-2", "sk-3", "sk-3", "sk-4"].map(Secret::new);
    let added = house.pools.add(GROUP, &texts, unwatched).await.unwrap();
    let expected = ImportCounts {
        processed: 4,
        added: 2,
        added_ids: added.added_ids.clone(),
        duplicate_in_input: 1,
        already_in_group: 1,
        ..ImportCounts::default()
    };
    assert_eq!((added.ignored(), added), (2, expected));
    assert_eq!(picks(&house.pools, 4), ["sk-1", "sk-2", "sk-3", "sk-4"]);
    assert_eq!(house.pools.count(GROUP).await.unwrap(), 4);
    let elsewhere = house.pools.add(2, &texts[..1], unwatched).await.unwrap();
    assert_eq!(elsewhere.added, 1, "another group may have the same key");
}

#[tokio::test]
async fn two_imports_at_once_do_not_store_a_key_twice() {
    let house = house(Cipher::new(None)).await;
    let texts = secrets(2_500);
    let (first, second) =
        tokio::join!(house.pools.add(GROUP, &texts, unwatched), house.pools.add(GROUP, &texts, unwatched),);
    assert_eq!(first.unwrap().added + second.unwrap().added, 2_500);
    assert_eq!(house.rows().await.len(), 2_500);
    assert_eq!(house.pools.of(GROUP).unwrap().active_count(), 2_500);
}

#[tokio::test]
async fn a_key_that_was_not_stored_does_not_serve() {
    let house = house_with(1).await;
    house
        .execute(if house.database.engine().is_sqlite() {
            "CREATE TRIGGER refuse BEFORE INSERT ON api_keys WHEN NEW.key_value = 'sk-3'
                 BEGIN SELECT RAISE(ABORT, 'no'); END"
        } else {
            "ALTER TABLE api_keys ADD CONSTRAINT refuse CHECK (key_value <> 'sk-3')"
        })
        .await;
    assert!(house.pools.add(GROUP, &["sk-2", "sk-3"].map(Secret::new), unwatched).await.is_err());
    assert_eq!(picks(&house.pools, 2), ["sk-1", "sk-1"]);
    assert_eq!(house.rows().await.len(), 1);
}

#[tokio::test]
async fn progress_counts_every_text() {
    let house = house_with(1_000).await;
    let mut heard = Vec::new();
    house
        .pools
        .add(GROUP, &secrets(2_100), |done| {
            heard.push(done);
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert_eq!(heard, [1_000, 2_000, 2_100]);
    heard.clear();
    house
        .pools
        .delete(GROUP, &secrets(2_100), |done| {
            heard.push(done);
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert_eq!(heard, [1_000, 2_000, 2_100]);
}

#[tokio::test]
async fn bulk_work_that_is_told_to_stop_stops_between_two_lots() {
    let house = house_with(0).await;
    let stop_at = |at: usize| move |done| if done >= at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let added = house.pools.add(GROUP, &secrets(3_500), stop_at(2_000)).await.unwrap();
    assert_eq!((added.processed, added.added, added.added_ids.len()), (2_000, 2_000, 2_000));
    assert_eq!(house.pools.count(GROUP).await.unwrap(), 2_000, "what was done stays");
    let (_, last_id) = house.pools.extent(GROUP, Statuses::All).await.unwrap();
    let (copied, unreadable) = house.pools.copy((GROUP, Statuses::All, last_id), 2, stop_at(1)).await.unwrap();
    assert_eq!((copied.processed, copied.added, unreadable), (1_000, 1_000, 0));
    assert_eq!(house.pools.delete(GROUP, &secrets(2_000), stop_at(1_000)).await.unwrap(), 1_000);
    assert_eq!(house.pools.of(GROUP).unwrap().active_count(), 1_000);
}

#[tokio::test]
async fn an_import_names_the_first_keys_that_cannot_be_sent() {
    let house = house_with(1).await;
    let mut texts = secrets(2_000);
    for index in (5..1_905).step_by(19) {
        texts[index] = Secret::new(format!("sk\n{index}"));
    }
    let added = house.pools.add(GROUP, &texts, unwatched).await.unwrap();
    assert_eq!((added.added, added.already_in_group, added.unsendable), (1_899, 1, 100));
    let expected: Vec<usize> = (6..).step_by(19).take(20).collect();
    assert_eq!(added.unsendable_positions, expected);
}

#[tokio::test]
async fn a_search_finds_encrypted_keys_wherever_they_are() {
    let house = house(cipher("a passphrase")).await;
    house.pools.add(GROUP, &secrets(1_250), unwatched).await.unwrap();
    house.execute("UPDATE api_keys SET key_value = 'zz' WHERE id = 1200").await;
    // More than one query names at once.
    house
        .execute(&format!(
            "INSERT INTO api_keys (key_value, group_id) {}",
            testing::values(10_000, |_| "'zz', 1".to_owned())
        ))
        .await;
    house.pools.add(GROUP, &[Secret::new("last-sk-120")], unwatched).await.unwrap();
    let reopened = house.reopened(cipher("a passphrase")).await.unwrap();
    let key = Key { id: 120, group_id: GROUP, secret: Secret::new("sk-120") };
    assert!(reopened.of(GROUP).unwrap().failed(&key, 1, Failure::default()));
    let rests = Key { id: 1_201, group_id: GROUP, secret: Secret::new("sk-1201") };
    reopened.of(GROUP).unwrap().rest(&rests, Instant::now() + Duration::from_secs(60));
    let filter = ListFilter {
        part: Some(Secret::new("SK-120")),
        sort: Sort { by: SortBy::Id, is_descending: false },
        ..ListFilter::of(GROUP)
    };
    let found = async |filter: &ListFilter, offset, limit| {
        let (keys, total) = reopened.list(filter, offset, limit).await.unwrap();
        (keys.iter().map(|key| key.id).collect::<Vec<_>>(), total)
    };
    // 120, 1201 to 1209 and the last: 1200 cannot be read.
    assert_eq!(found(&filter, 0, 3).await, (vec![120, 1_201, 1_202], 11));
    assert_eq!(found(&filter, 9, 3).await, (vec![1_209, 11_251], 11));
    let filter = ListFilter { part: Some(Secret::new("sk")), ..filter };
    assert_eq!(found(&filter, 1_249, 3).await, (vec![11_251], 1_250));
}

/// A restored ciphertext would be sent to an upstream otherwise.
#[tokio::test]
async fn a_ciphertext_is_not_restored_into_rotation() {
    let house = house_with(1).await;
    house
        .execute(
            "INSERT INTO api_keys (key_value, key_hash, group_id, status) VALUES ('abcd', 'of another', 1, 'invalid')",
        )
        .await;
    assert_eq!(house.pools.restore_all_invalid(GROUP).await.unwrap(), 1);
    assert_eq!(picks(&house.pools, 2), ["sk-1", "sk-1"]);
}

#[tokio::test]
async fn deleted_keys_leave_rotation_and_database() {
    let house = house_with(3).await;
    let deleted =
        house.pools.delete(GROUP, &["sk-1", "sk-3", "sk-3", "sk-9"].map(Secret::new), unwatched).await.unwrap();
    assert_eq!(deleted, 2);
    assert_eq!(picks(&house.pools, 2), ["sk-2", "sk-2"]);
    assert_eq!(house.rows().await.len(), 1);
}

#[tokio::test]
async fn keys_are_restored_by_their_texts_even_if_they_failed_a_moment_ago() {
    let house = house_with(3).await;
    assert!(house.fail(1, 1));
    assert!(house.fail(2, 1));
    let restored = house.pools.restore(GROUP, &["sk-1", "sk-3", "sk-9"].map(Secret::new)).await.unwrap();
    assert_eq!(restored, 1, "sk-2 is not asked for, sk-3 is not invalid");
    let mut active = picks(&house.pools, 2);
    active.sort();
    assert_eq!(active, ["sk-1", "sk-3"]);
    house.pools.store_changes().await.unwrap();
    assert_eq!(house.rows().await[0], ("sk-1".to_owned(), "active".to_owned(), 0));
    assert_eq!(house.rows().await[1].1, "invalid");
}

#[tokio::test]
async fn all_invalid_keys_are_restored_or_cleared() {
    let house = house_with(2_100).await;
    for id in 1..=2_050 {
        house.fail(id, 1);
    }
    assert_eq!(house.pools.of(GROUP).unwrap().active_count(), 50);
    assert_eq!(house.pools.restore_all_invalid(GROUP).await.unwrap(), 2_050);
    assert_eq!(house.pools.of(GROUP).unwrap().active_count(), 2_100);
    for id in 1..=2_050 {
        house.fail(id, 1);
    }
    assert_eq!(house.pools.clear_invalid(GROUP).await.unwrap(), 2_050);
    assert_eq!(house.pools.count(GROUP).await.unwrap(), 50);
    assert_eq!(house.pools.clear_all(GROUP).await.unwrap(), 50);
    assert_eq!(house.pools.count(GROUP).await.unwrap(), 0);
    assert!(house.pools.of(GROUP).unwrap().pick(&[], Instant::now()).is_none());
}

#[tokio::test]
async fn a_key_that_was_deleted_while_it_was_tested_stays_away() {
    let house = house_with(2).await;
    let key = house.pools.ensure(GROUP).pick(&[], Instant::now()).unwrap();
    house.pools.delete(GROUP, std::slice::from_ref(&key.secret), unwatched).await.unwrap();
    assert!(!house.pools.revive(key).await.unwrap());
    assert_eq!(picks(&house.pools, 2), ["sk-2", "sk-2"]);
}

#[tokio::test]
async fn the_list_shows_those_used_last_first_and_finds_a_key_by_its_text() {
    let house = house(cipher("a passphrase")).await;
    house.pools.add(GROUP, &secrets(4), unwatched).await.unwrap();
    house.execute("UPDATE api_keys SET last_used_at = '2026-11-22 10:00:00+00:00' WHERE id = 1").await;
    house.execute("UPDATE api_keys SET last_used_at = '2026-11-22 11:00:00+00:00' WHERE id = 3").await;
    house.execute("UPDATE api_keys SET key_value = 'zz' WHERE id = 4").await;
    house.execute("UPDATE api_keys SET status = 'invalid' WHERE id = 2").await;
    let ids = |keys: &[StoredKey]| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    let mut filter = ListFilter::of(GROUP);

    let (keys, total) = house.pools.list(&filter, 0, 3).await.unwrap();
    assert_eq!((ids(&keys), total), (vec![3, 1, 4], 4));
    assert_eq!(keys[0].secret.as_ref().unwrap().expose(), "sk-3");
    assert!(keys[2].secret.is_none());
    let (keys, _) = house.pools.list(&filter, 3, 3).await.unwrap();
    assert_eq!(ids(&keys), [2]);

    filter.state = Some(StateFilter::Stored(KeyStatus::Invalid));
    let (keys, total) = house.pools.list(&filter, 0, 10).await.unwrap();
    assert_eq!((ids(&keys), total), (vec![2], 1));
    filter = ListFilter { text: Some(Secret::new("sk-3")), ..ListFilter::of(GROUP) };
    assert_eq!(ids(&house.pools.list(&filter, 0, 10).await.unwrap().0), [3]);
    let (none, total) = house.pools.list(&filter, u64::MAX, 10).await.unwrap();
    assert_eq!((none.len(), total), (0, 1));
}

#[tokio::test]
async fn notes_are_kept() {
    let house = house_with(1).await;
    assert!(house.pools.set_notes(1, "paid by the team").await.unwrap());
    assert!(!house.pools.set_notes(2, "nobody").await.unwrap());
    let filter = ListFilter::of(GROUP);
    assert_eq!(house.pools.list(&filter, 0, 1).await.unwrap().0[0].notes, "paid by the team");
}

#[tokio::test]
async fn encrypted_keys_are_used_in_clear_and_stored_encrypted() {
    let house = house(cipher("a passphrase")).await;
    house.pools.add(GROUP, &secrets(2), unwatched).await.unwrap();
    assert!(house.rows().await.iter().all(|(stored, _, _)| !stored.contains("sk-")));
    let reopened = house.reopened(cipher("a passphrase")).await.unwrap();
    assert_eq!(picks(&reopened, 2), ["sk-1", "sk-2"]);
}

#[tokio::test]
async fn a_start_with_the_wrong_passphrase_is_refused() {
    let encrypted = house(cipher("a passphrase")).await;
    encrypted.pools.add(GROUP, &secrets(3), unwatched).await.unwrap();
    assert!(matches!(encrypted.reopened(cipher("another")).await, Err(OpenError::EncryptionKeyWrong)));
    assert!(matches!(encrypted.reopened(Cipher::new(None)).await, Err(OpenError::EncryptionKeyMissing)));
    let in_clear = house_with(3).await;
    assert!(matches!(in_clear.reopened(cipher("a passphrase")).await, Err(OpenError::KeysInClear)));
}

#[tokio::test]
async fn a_key_that_cannot_be_decrypted_never_serves() {
    let house = house(cipher("a passphrase")).await;
    house.pools.add(GROUP, &secrets(3), unwatched).await.unwrap();
    house
        .execute("UPDATE api_keys SET key_value = replace(key_value, substr(key_value, 30, 2), 'zz') WHERE id = 2")
        .await;
    let reopened = house.reopened(cipher("a passphrase")).await.unwrap();
    assert_eq!(picks(&reopened, 3), ["sk-1", "sk-3", "sk-1"]);

    // Encryption was switched off, and keys were added since.
    let plain = KeyPools::open(house.database.clone(), Cipher::new(None)).await;
    assert!(matches!(plain, Err(OpenError::EncryptionKeyMissing)));
    for _ in 0..3 {
        house.execute("INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('sk-test-0001', '820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643', 1)").await;
    }
    let plain = house.reopened(Cipher::new(None)).await.unwrap();
    assert_eq!(picks(&plain, 2), ["sk-test-0001", "sk-test-0001"]);
}

#[tokio::test]
async fn a_deleted_group_takes_its_keys_its_memberships_and_its_pool_along() {
    let house = house_with(2).await;
    house.pools.add(2, &secrets(1), unwatched).await.unwrap();
    house.execute("INSERT INTO group_sub_groups (group_id, sub_group_id) VALUES (2, 1)").await;
    house.pools.delete_group(GROUP).await.unwrap();
    assert!(house.pools.of(GROUP).is_none());
    assert_eq!(house.rows().await.len(), 1, "another group's keys stay");
    let left: Vec<i64> =
        house.database.column_of("SELECT id FROM groups UNION ALL SELECT id FROM group_sub_groups").await;
    assert_eq!(left, [2]);
    assert!(matches!(house.pools.delete_group(GROUP).await, Err(db::Error::NotFound)));
}

#[tokio::test]
async fn a_copy_of_a_group_that_was_deleted_meanwhile_fails() {
    let house = house_with(3).await;
    let (_, last_id) = house.pools.extent(GROUP, Statuses::All).await.unwrap();
    let copy = async || house.pools.copy((GROUP, Statuses::All, last_id), 2, unwatched).await;
    assert_eq!(copy().await.unwrap().0.added, 3);
    house.pools.delete_group(GROUP).await.unwrap();
    assert!(matches!(copy().await, Err(db::Error::NotFound)));
}

#[tokio::test]
async fn nothing_brings_a_deleted_group_back() {
    let house = house_with(2).await;
    let key = house.pools.ensure(GROUP).pick(&[], Instant::now()).unwrap();
    let late = secrets(5_000);
    let (added, deleted) = tokio::join!(house.pools.add(GROUP, &late, unwatched), house.pools.delete_group(GROUP));
    deleted.unwrap();
    assert!(matches!(added, Err(db::Error::NotFound)), "{added:?}");
    assert!(!house.pools.revive(key).await.unwrap());
    house.pools.restore_all_invalid(GROUP).await.unwrap();
    house.pools.clear_all(GROUP).await.unwrap();
    house.pools.delete(GROUP, &late, unwatched).await.unwrap();
    assert!(matches!(house.pools.add(GROUP, &late, unwatched).await, Err(db::Error::NotFound)));
    assert!(house.pools.of(GROUP).is_none());
    assert!(house.rows().await.is_empty());
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_never_serves() {
    let house = house(Cipher::new(None)).await;
    house
        .execute(
            "INSERT INTO api_keys (key_value, group_id, status) VALUES
             ('sk-a\nsk-b', 1, 'active'), ('sk-c', 1, 'active'), ('sk-d\n', 1, 'invalid')",
        )
        .await;
    let reopened = house.reopened(Cipher::new(None)).await.unwrap();
    assert_eq!(picks(&reopened, 2), ["sk-c", "sk-c"]);
    assert_eq!(reopened.restore_all_invalid(GROUP).await.unwrap(), 1);
    assert_eq!(picks(&reopened, 2), ["sk-c", "sk-c"]);
}

/// Without this, deleting by text from a group of a million keys reads all of them for each lot.
#[tokio::test]
async fn on_sqlite_a_lot_of_hashes_is_found_by_the_hashes() {
    let (_place, database) = testing::fresh_file().await;
    for before in ["SELECT id FROM api_keys WHERE ", "DELETE FROM api_keys WHERE "] {
        let before: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {before}").into_boxed_str());
        let sql = queries::by_hash(database.engine(), before, GROUP, &["a".to_owned(), "b".to_owned()]);
        let plan: Vec<(i64, i64, i64, String)> = database.readers().all(sql).await.unwrap();
        assert!(plan.iter().any(|(_, _, _, step)| step.contains("idx_api_keys_key_hash")), "{plan:?}");
    }
}
