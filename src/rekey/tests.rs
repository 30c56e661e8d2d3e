//! Migrations on every engine, broken off wherever they can be.

use super::{Error, Guard, Migration, Passphrases, agree_on_passphrase, has_unfinished, permit_start, rehearse};
use crate::{
    crypto::{Cipher, Secret},
    db::{Database, Engine, Source as _, testing},
};

const KEYS: [&str; 5] = [
    "sk-test-0123456789abcdefghijklmnop",
    "sk-2",
    "sk-\u{6d4b}\u{8bd5}-3",
    "sk-test-0123456789abcdefghijklmnop",
    "sk-5",
];
/// Of which one transaction copies, so that a migration has many steps.
const KEYS_PER_LOT: u32 = 2;

fn cipher(passphrase: &str) -> Cipher {
    Cipher::new((!passphrase.is_empty()).then(|| Secret::new(passphrase)).as_ref())
}

fn passphrases(from: &Cipher, to: &Cipher) -> Passphrases {
    Passphrases { from: from.clone(), to: to.clone() }
}

fn quiet(_line: String) {}

async fn execute(database: &Database, statements: &str) {
    database.run(statements).await;
}

/// Keys of one group, an empty row among them, and entries of the log: one of ours, two of the original.
async fn fill(database: &Database, stored_with: &Cipher) {
    let groups = database.engine().quoted("groups");
    execute(
        database,
        &format!(
            "INSERT INTO {groups} (id, name, upstreams, channel_type, test_model) VALUES (1, 'g', '[]', 'openai', 'm')"
        ),
    )
    .await;
    for key in KEYS {
        let (text, hash) = (stored_with.encrypt(key), stored_with.hash(key));
        execute(
            database,
            &format!("INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('{text}', '{hash}', 1)"),
        )
        .await;
    }
    execute(database, "INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('', '', 1)").await;
    let is_true = if database.engine().is_sqlite() { "1" } else { "true" };
    let log = async |id: &str, value: &str, hash: &str, request_id: &str| {
        execute(
            database,
            &format!(
                "INSERT INTO request_logs (id, timestamp, group_id, key_value, key_hash, is_success, status_code, duration, \
                 is_stream, request_id) VALUES ('{id}', '2026-11-20 01:00:00+00:00', 1, '{value}', '{hash}', {is_true}, 200, 1, \
                 {is_true}, {request_id})"
            )
            .replace("+00:00", if matches!(database.engine(), Engine::MySql(_)) { "" } else { "+00:00" }),
        )
        .await;
    };
    let masked = Secret::new(KEYS[0]).masked();
    log("a", &masked, &stored_with.hash(KEYS[0]), "'r'").await;
    log("b", &stored_with.encrypt(KEYS[0]), &stored_with.hash(KEYS[0]), "NULL").await;
    log("c", "sk-of-an-old-version-0001", "", "NULL").await;
    log("d", &cipher("a third one").encrypt("sk-lost"), "hash of a lost one", "NULL").await;
    log("e", "", "", "'r'").await;
}

/// What the keys are, read with this passphrase, and each must be found by its hash.
async fn keys(database: &Database, cipher: &Cipher) -> Vec<String> {
    let sql = database.sql("SELECT key_value, key_hash FROM api_keys ORDER BY id");
    let rows: Vec<(String, String)> = database.readers().all(sql).await.unwrap();
    let read = |(text, hash): (String, String)| {
        let clear = if text.is_empty() { String::new() } else { cipher.decrypt(&text).unwrap().expose().to_owned() };
        assert_eq!(hash, cipher.hash(&clear));
        clear
    };
    rows.into_iter().map(read).collect()
}

async fn logged(database: &Database) -> Vec<(String, String)> {
    let sql = database.sql("SELECT key_value, key_hash FROM request_logs ORDER BY id");
    database.readers().all(sql).await.unwrap()
}

async fn check_result(database: &Database, to: &Cipher) {
    let expected: Vec<&str> = KEYS.into_iter().chain([""]).collect();
    assert_eq!(keys(database, to).await, expected);
    let masked = Secret::new(KEYS[0]).masked();
    let old = "sk-of-an-old-version-0001";
    let expected = [
        (masked.clone(), to.hash(KEYS[0])),
        (masked, to.hash(KEYS[0])),
        (Secret::new(old).masked(), to.hash(old)),
        ("failed-to-decrypt".to_owned(), "hash of a lost one".to_owned()),
        (String::new(), String::new()),
    ];
    assert_eq!(logged(database).await, expected);
    for table in ["gpt_load_key_migration", "temp_migration"] {
        assert!(!database.has_table(table).await.unwrap(), "{table} is left");
    }
    assert!(!has_unfinished(database).await.unwrap());
    permit_start(database, false).await.unwrap();
}

async fn migrate(database: &Database, from: &Cipher, to: &Cipher) -> Result<(), Error> {
    Migration::open(database, passphrases(from, to)).await?.run(&mut quiet).await
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    outcome.unwrap_err().to_string()
}

#[tokio::test]
async fn keys_and_their_log_get_encryption_lose_it_and_change_it() {
    let (none, one, two) = (cipher(""), cipher("one"), cipher("two"));
    for (from, to) in [(&none, &one), (&one, &none), (&one, &two)] {
        let (_place, database) = testing::fresh().await;
        fill(&database, from).await;
        execute(&database, "CREATE TABLE temp_migration (id integer, key_value_new varchar(99))").await;
        migrate(&database, from, to).await.unwrap();
        check_result(&database, to).await;
        if to.is_on() {
            let refused = refusal(migrate(&database, from, &cipher("three")).await);
            assert!(refused.contains("nothing was changed"), "{refused}");
            check_result(&database, to).await;
        }
    }
}

/// Whatever a `kill -9` leaves is what the steps before it have committed.
#[tokio::test]
async fn a_migration_that_breaks_off_after_any_step_is_finished_by_the_next_one() {
    let (from, to) = (cipher("one"), cipher("two"));
    let mut broken_off_after = 0;
    loop {
        let (_place, database) = testing::fresh().await;
        fill(&database, &from).await;
        let mut first = Migration::open_with_lots_of(KEYS_PER_LOT, &database, passphrases(&from, &to)).await.unwrap();
        let mut is_over = false;
        for _ in 0..broken_off_after {
            is_over = !first.step(&mut quiet).await.unwrap();
        }
        drop(first);
        if is_over {
            break;
        }
        if has_unfinished(&database).await.unwrap() {
            assert!(refusal(permit_start(&database, false).await).contains("run `gpt-load migrate-keys` once more"));
            permit_start(&database, true).await.unwrap();
            let other = refusal(migrate(&database, &from, &cipher("three")).await);
            assert!(other.contains("with other passphrases"), "{other}");
            let swapped = refusal(migrate(&database, &to, &from).await);
            assert!(swapped.contains("with other passphrases"), "{swapped}");
        }
        migrate(&database, &from, &to).await.unwrap();
        check_result(&database, &to).await;
        broken_off_after += 1;
    }
    assert!(broken_off_after > 8, "{broken_off_after}");
}

#[tokio::test]
async fn until_the_switch_the_old_passphrase_holds_and_from_then_on_the_new_one() {
    let (_place, database) = testing::fresh().await;
    let (from, to) = (cipher("one"), cipher("two"));
    fill(&database, &from).await;
    let mut migration = Migration::open_with_lots_of(KEYS_PER_LOT, &database, passphrases(&from, &to)).await.unwrap();
    while !matches!(migration.next, super::migration::Next::Switch) {
        assert_eq!(keys(&database, &from).await.len(), 6);
        assert!(migration.step(&mut quiet).await.unwrap());
    }
    assert_eq!(keys(&database, &from).await.len(), 6);
    migration.step(&mut quiet).await.unwrap();
    assert_eq!(keys(&database, &to).await.len(), 6);
}

#[tokio::test]
async fn keys_of_both_passphrases_and_in_clear_come_to_the_new_one() {
    let (from, to, none) = (cipher("one"), cipher("two"), cipher(""));
    let (_place, database) = testing::fresh().await;
    fill(&database, &from).await;
    // A server ran with the new passphrase, and once with none.
    for (id, kept) in [(2, &to), (3, &none)] {
        let (text, hash) = (kept.encrypt(KEYS[id - 1]), kept.hash(KEYS[id - 1]));
        execute(&database, &format!("UPDATE api_keys SET key_value = '{text}', key_hash = '{hash}' WHERE id = {id}"))
            .await;
    }
    let mut said = Vec::new();
    let migration = Migration::open(&database, passphrases(&from, &to)).await.unwrap();
    migration.run(&mut |line| said.push(line)).await.unwrap();
    check_result(&database, &to).await;
    let said = said.join("\n");
    assert!(said.contains("1 of 6 keys are stored with the new passphrase already"), "{said}");
    assert!(said.contains("1 of 6 keys are stored in clear"), "{said}");
}

#[tokio::test]
async fn a_key_that_nothing_can_read_stops_the_migration_before_anything_is_changed() {
    let (from, to) = (cipher("one"), cipher("two"));
    let (_place, database) = testing::fresh().await;
    fill(&database, &from).await;
    let wrong = refusal(migrate(&database, &cipher("wrong"), &to).await);
    assert!(wrong.contains("5 of 6 keys") && wrong.contains("check the passphrase after --from"), "{wrong}");
    let encrypted = refusal(migrate(&database, &cipher(""), &to).await);
    assert!(encrypted.contains("they are encrypted already"), "{encrypted}");
    let lost = cipher("a third one").encrypt("sk-2");
    execute(&database, &format!("UPDATE api_keys SET key_value = '{lost}' WHERE id = 2")).await;
    let one = refusal(migrate(&database, &from, &to).await);
    assert!(one.contains("1 of 6 keys") && one.contains("(ids 2)") && one.contains("a third passphrase"), "{one}");
    assert!(!has_unfinished(&database).await.unwrap());
    assert!(!database.has_table("gpt_load_key_migration").await.unwrap());
}

#[tokio::test]
async fn keys_that_change_meanwhile_are_noticed_before_the_switch() {
    let (from, to) = (cipher("one"), cipher("two"));
    let (_place, database) = testing::fresh().await;
    fill(&database, &from).await;
    let changes = [
        format!("UPDATE api_keys SET key_value = '{}', key_hash = 'x' WHERE id = 1", from.encrypt("sk-other")),
        "DELETE FROM api_keys WHERE id = 2".to_owned(),
        format!("INSERT INTO api_keys (key_value, group_id) VALUES ('{}', 1)", from.encrypt("sk-late")),
    ];
    for change in changes {
        let mut migration = Migration::open(&database, passphrases(&from, &to)).await.unwrap();
        while !matches!(migration.next, super::migration::Next::Verify) {
            migration.step(&mut quiet).await.unwrap();
        }
        execute(&database, &change).await;
        let refused = refusal(migration.run(&mut quiet).await);
        assert!(refused.contains("nothing was switched"), "{refused}");
        assert!(!has_unfinished(&database).await.unwrap(), "the next run begins anew");
    }
    migrate(&database, &from, &to).await.unwrap();
    assert_eq!(keys(&database, &to).await, ["sk-other", KEYS[2], KEYS[3], KEYS[4], "", "sk-late"]);
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_done_and_does_nothing() {
    let (from, to) = (cipher(""), cipher("two"));
    let (_place, database) = testing::fresh().await;
    fill(&database, &from).await;
    let (before, log) = (keys(&database, &from).await, logged(&database).await);
    let mut said = Vec::new();
    rehearse(&database, &passphrases(&from, &to), &mut |line| said.push(line)).await.unwrap();
    assert!(said.contains(&"All 5 keys can be read, and would be stored anew".to_owned()), "{said:?}");
    assert_eq!((keys(&database, &from).await, logged(&database).await), (before, log));
    assert!(!has_unfinished(&database).await.unwrap());
    assert!(
        rehearse(&database, &passphrases(&cipher("wrong"), &to), &mut quiet).await.is_ok(),
        "in clear, as the hashes show"
    );
    let (_place, encrypted) = testing::fresh().await;
    fill(&encrypted, &to).await;
    let refused = refusal(rehearse(&encrypted, &passphrases(&from, &cipher("three")), &mut quiet).await);
    assert!(refused.contains("encrypted already"), "{refused}");
}

#[tokio::test]
async fn two_migrations_at_once_do_not_cross() {
    let (from, to) = (cipher("one"), cipher("two"));
    let (_place, database) = testing::fresh().await;
    fill(&database, &from).await;
    // Both begin, as after a lease that was lost.
    let mut first = Migration::open_with_lots_of(KEYS_PER_LOT, &database, passphrases(&from, &to)).await.unwrap();
    while !matches!(first.next, super::migration::Next::Switch) {
        first.step(&mut quiet).await.unwrap();
    }
    let second = Migration::open(&database, passphrases(&from, &to)).await.unwrap();
    second.run(&mut quiet).await.unwrap();
    let refused = refusal(first.run(&mut quiet).await);
    assert!(refused.contains("another migrate-keys"), "{refused}");
    check_result(&database, &to).await;
}

#[tokio::test]
async fn nodes_agree_on_one_passphrase() {
    let (place, database) = testing::fresh().await;
    let (one, two) = (cipher("one"), cipher("two"));
    agree_on_passphrase(&database, &one).await.unwrap();
    agree_on_passphrase(&database, &one).await.unwrap();
    // Nobody else runs: it was changed in order.
    agree_on_passphrase(&database, &two).await.unwrap();
    if database.engine().is_sqlite() {
        return;
    }
    let other = testing::open_again(&place).await.unwrap();
    let heartbeat = crate::cluster::Heartbeat::new(other, crate::cluster::Role::Master, "elsewhere:3001".to_owned());
    heartbeat.beat().await.unwrap();
    agree_on_passphrase(&database, &two).await.unwrap();
    let refused = refusal(agree_on_passphrase(&database, &one).await);
    assert!(refused.contains("another node runs"), "{refused}");
    // Nor does a migration begin beside it.
    let refused = refusal(Guard::take(&database, &mut quiet).await.map(drop));
    assert!(refused.contains("elsewhere:3001 (master)"), "{refused}");
    permit_start(&database, false).await.unwrap();
    heartbeat.sign_off().await;
    let guard = Guard::take(&database, &mut quiet).await.unwrap();
    assert!(refusal(permit_start(&database, true).await).contains("migrate-keys is working"));
    guard.give_back().await.unwrap();
    permit_start(&database, false).await.unwrap();
    agree_on_passphrase(&database, &one).await.unwrap();
}

/// The file, and what SQLite keeps beside it, byte by byte.
#[tokio::test]
async fn on_sqlite_nothing_of_a_key_is_left_in_the_file() {
    let (place, database) = testing::fresh_file().await;
    let (from, to) = (cipher(""), cipher("two"));
    fill(&database, &from).await;
    // Pages full of keys, some deleted before.
    for number in 0..400 {
        let key = format!("sk-readable-{number:06}-{}", "x".repeat(200));
        let (text, hash) = (from.encrypt(&key), from.hash(&key));
        execute(
            &database,
            &format!("INSERT INTO api_keys (key_value, key_hash, group_id) VALUES ('{text}', '{hash}', 1)"),
        )
        .await;
    }
    execute(&database, "DELETE FROM api_keys WHERE key_value LIKE 'sk-readable-0001%'").await;
    let readable = |place: &std::path::Path| {
        let bytes: Vec<u8> =
            std::fs::read_dir(place).unwrap().flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        memchr::memmem::find_iter(&bytes, b"sk-readable-").count()
            + memchr::memmem::find_iter(&bytes, b"sk-of-an-old").count()
    };
    let name = place.name();
    let folder = std::path::Path::new(&name).parent().unwrap();
    assert!(readable(folder) > 400);
    migrate(&database, &from, &to).await.unwrap();
    assert_eq!(readable(folder), 0);
    database.close().await;
    assert_eq!(readable(folder), 0);
    let reopened = testing::open_again(&place).await.unwrap();
    assert_eq!(keys(&reopened, &to).await.len(), 6 + 300);
}
