//! Migrations that are killed, paused, and begun twice.

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use testkit::Engine;

use crate::support::{NEW, Place};

/// Keys beside those of the original, so that a migration has something to do.
const MORE_KEYS: usize = 12_000;

async fn large() -> Place {
    let place = Place::of_the_original("1_4").await;
    let numbers = match place.database.engine() {
        Engine::Sqlite => {
            format!(
                "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {MORE_KEYS}) SELECT value FROM n)"
            )
        }
        Engine::MySql => format!("(SELECT seq AS value FROM seq_1_to_{MORE_KEYS})"),
        Engine::PostgreSql => format!("(SELECT * FROM generate_series(1, {MORE_KEYS}) AS n(value))"),
    };
    let text =
        if place.database.engine() == Engine::MySql { "concat('sk-many-', value)" } else { "'sk-many-' || value" };
    // Of equal hashes nothing depends here; an unknown one would make a ciphertext of them.
    let statement = format!(
        "INSERT INTO api_keys (key_value, group_id, key_hash) SELECT {text}, 2, NULL FROM {numbers} AS numbers"
    );
    place.database.execute(&statement).await;
    place
}

fn output(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// Reads until a line has this in it.
fn read_to(lines: &mut Lines<BufReader<ChildStdout>>, text: &str) {
    let found = lines.map(Result::unwrap).any(|line| line.contains(text));
    assert!(found, "it ends without saying {text:?}");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Either all keys are as they were, or all are encrypted; and each by itself is one or the other.
async fn encrypted(place: &Place) -> bool {
    let clear = place
        .database
        .column("SELECT count(*) FROM api_keys WHERE key_value LIKE 'sk-%' OR key_value LIKE 'AIza%'")
        .await;
    let all = place.database.column("SELECT count(*) FROM api_keys").await;
    assert!(clear[0] == "0" || clear == all, "{clear:?} of {all:?}");
    clear[0] == "0"
}

/// M1, C5
#[tokio::test]
async fn a_migration_killed_at_any_step_is_finished_by_the_next_one() {
    for (line, is_switched) in [
        ("Read 5000", Some(false)),
        ("Prepared 5000", Some(false)),
        ("Verified 5000", Some(false)),
        ("Switched", Some(true)),
        ("Converted", Some(true)),
        ("Writing the tables anew", Some(true)),
    ] {
        let place = large().await;
        let flags = ["--to", NEW];
        let mut child = place.begin(&flags);
        let mut lines = output(&mut child);
        read_to(&mut lines, line);
        signal(&child, "KILL");
        child.wait().unwrap();
        // It may have gone on a little before the signal came.
        let was_switched = encrypted(&place).await;
        assert!(Some(was_switched) == is_switched || was_switched, "killed at {line}");
        let is_over = {
            let states =
                place.database.column("SELECT count(*) FROM gpt_load_state WHERE name = 'key_migration'").await;
            states[0] == "0"
        };
        if !is_over {
            let (status, printed) = place.server(if was_switched { NEW } else { "" }).start_in_vain().await;
            assert_eq!(status.code(), Some(1), "{printed}");
            assert!(printed.contains("broke off") || printed.contains("migrate-keys is working"), "{printed}");
            let (status, printed) = place.migrate(&["--to", "yet another passphrase"], &[]).await;
            assert!(status == 1 && printed.contains("with other passphrases"), "{printed}");
        }
        let (status, printed) = place.migrate(&flags, &[]).await;
        assert!(status == 0, "after a kill at {line}: {printed}");
        assert_eq!(printed.contains("Going on with a migration that broke off"), !is_over, "{line}: {printed}");
        assert!(encrypted(&place).await);
        let server = place.server(NEW).start().await;
        let keys = server.managed("GET", "/api/keys?group_id=2&page_size=1&key_value=sk-many-12000", None).await;
        assert_eq!(keys["items"][0]["key_value"], "sk-many-12000", "after a kill at {line}");
    }
}

#[tokio::test]
async fn while_keys_are_migrated_no_server_starts_and_no_second_migration_runs() {
    let place = large().await;
    let flags = ["--to", NEW];
    let mut child = place.begin(&flags);
    let mut lines = output(&mut child);
    read_to(&mut lines, "Read 5000");
    signal(&child, "STOP");
    let (status, printed) = place.server("").start_in_vain().await;
    assert!(status.code() == Some(1) && printed.contains("migrate-keys is working on"), "{printed}");
    if place.is_sqlite() {
        let (status, printed) = place.migrate(&flags, &[]).await;
        assert!(status == 1 && printed.contains("or by another migrate-keys"), "{printed}");
    }
    signal(&child, "CONT");
    if !place.is_sqlite() {
        // It sees the other one renew its lease, or comes when that is done.
        let (status, printed) = place.migrate(&flags, &[]).await;
        let is_refused = status == 1 && printed.contains("another migrate-keys works on this database");
        assert!(is_refused || (status == 0 && printed.contains("with the new passphrase already")), "{printed}");
    }
    for line in lines {
        line.unwrap();
    }
    assert!(child.wait().unwrap().success());
    assert!(encrypted(&place).await);
    place.server(NEW).start().await;
}
