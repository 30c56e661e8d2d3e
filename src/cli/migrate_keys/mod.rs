//! `gpt-load migrate-keys`: encrypts, decrypts or re-encrypts the stored keys while no server runs.

mod flags;

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::ExitCode,
};

use tracing::level_filters::LevelFilter;

use self::flags::{Asked, Flags, Place, Wrong};
use crate::{
    config::{DatabaseDsn, Offline, RedisDsn, weaknesses},
    crypto::{Cipher, Secret},
    db::{Database, Migrations},
    redis::Notices,
    rekey::{self, Guard, Migration, Passphrases},
    telemetry,
};

/// A longer first line is no passphrase.
const PASSPHRASE_BYTES_MAX: u64 = 64 * 1024;
/// For a command line that was not understood.
const EXIT_NOT_UNDERSTOOD: u8 = 2;

const USAGE: &str = "\
Encrypts, decrypts or re-encrypts the stored keys, and what the request log knows of them.

Usage:
  gpt-load migrate-keys --to-file NEW                     encrypt keys that are stored in clear
  gpt-load migrate-keys --from-file OLD                   store keys in clear
  gpt-load migrate-keys --from-file OLD --to-file NEW     change the passphrase

  1. Make a copy of the database first.
  2. Stop all servers: the command refuses to run beside one.
  3. Afterwards set ENCRYPTION_KEY to the new passphrase (or unset it), and start the servers.

What breaks off half-way is finished by the same command. DATABASE_DSN is read from the environment or from .env, as by the
server; ENCRYPTION_KEY plays no part.
";

const FLAGS: &str = "\
Flags:
  --from PASSPHRASE     what the keys are stored with now; left out: they are in clear
  --to PASSPHRASE       what they shall be stored with; left out: in clear
  --from-file FILE      the same, the first line of a file: a command line is seen by other users, and kept by shells
  --to-file FILE
  --from-env NAME       the same, the value of an environment variable, or of one in .env
  --to-env NAME
  --dry-run             only read the keys, and say what would be done
";

pub(super) fn migrate_keys(arguments: &[OsString]) -> ExitCode {
    let flags = match flags::parse(arguments) {
        Ok(Asked::Run(flags)) => flags,
        Ok(Asked::Usage) => {
            eprint!("{FLAGS}");
            return super::print(USAGE);
        }
        Err(Wrong::Syntax(problem)) => {
            eprintln!("gpt-load migrate-keys: {problem}\n{FLAGS}");
            return ExitCode::from(EXIT_NOT_UNDERSTOOD);
        }
        Err(Wrong::Meaning(problem)) => return refuse(&problem),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(&flags)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => refuse(&problem),
    }
}

fn refuse(problem: &str) -> ExitCode {
    eprintln!("gpt-load migrate-keys: {problem}");
    ExitCode::FAILURE
}

/// A line of progress, at once: whoever watches a pipe sees it too. A reader that went away does not stop the work.
fn say(line: String) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

async fn run(flags: &Flags) -> Result<(), String> {
    let directory =
        std::env::current_dir().map_err(|error| format!("the working directory cannot be read: {error}"))?;
    let (config, warnings) = Offline::load(&directory, std::env::vars_os()).map_err(|problems| problems.join("; "))?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    if flags.ignored > 0 {
        eprintln!(
            "warning: {} argument(s) behind the flags are not read; quote a passphrase that holds blanks",
            flags.ignored
        );
    }
    let (from, to) = (passphrase(flags.from.as_ref(), &config)?, passphrase(flags.to.as_ref(), &config)?);
    if from.as_ref().map(Secret::expose) == to.as_ref().map(Secret::expose) {
        return Err("both passphrases are the same, so there is nothing to change".to_owned());
    }
    for weakness in to.iter().flat_map(|to| weaknesses("the new passphrase", to)) {
        eprintln!("warning: {weakness}");
    }
    let _flush_at_the_end = telemetry::start(LevelFilter::WARN, false, None);
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err("the TLS provider cannot be installed".to_owned());
    }
    say(match (&from, &to) {
        (None, _) => "Encrypting keys that are stored in clear",
        (_, None) => "Decrypting keys, to store them in clear",
        _ => "Changing the passphrase of the stored keys",
    }
    .to_owned());
    let is_encrypted_afterwards = to.is_some();
    let passphrases = Passphrases { from: Cipher::new(from.as_ref()), to: Cipher::new(to.as_ref()) };
    if let Some(redis) = &config.redis {
        tell_of_redis(redis).await;
    }
    if flags.is_dry_run {
        return rehearse(&config, &passphrases).await;
    }
    let opened = Database::open(&config.database, &config.database_pool, Migrations::RunAlone).await;
    let database = opened.map_err(|error| format!("cannot open the database: {error}"))?;
    let outcome = Box::pin(migrate(&database, passphrases)).await;
    database.close().await;
    outcome.map_err(|error| error.to_string())?;
    say(if is_encrypted_afterwards {
        "Done. Set ENCRYPTION_KEY to the new passphrase, on every node, and start the server"
    } else {
        "Done. Unset ENCRYPTION_KEY, on every node, and start the server"
    }
    .to_owned());
    Ok(())
}

async fn migrate(database: &Database, passphrases: Passphrases) -> Result<(), rekey::Error> {
    let guard = Guard::take(database, &mut say).await?;
    let work = async {
        let migration = Migration::open(database, passphrases).await?;
        if migration.is_resumed() {
            say("Going on with a migration that broke off".to_owned());
        }
        migration.run(&mut say).await
    };
    let outcome = guard.during(Box::pin(work)).await;
    let given_back = guard.give_back().await;
    outcome.and(given_back)
}

/// Reads and changes nothing.
async fn rehearse(config: &Offline, passphrases: &Passphrases) -> Result<(), String> {
    let opened = Database::open(&config.database, &config.database_pool, Migrations::Leave).await;
    let database = opened.map_err(|error| format!("cannot open the database: {error}"))?;
    if let DatabaseDsn::Sqlite(file) = &config.database
        && crate::db::is_in_use(&file.path)
    {
        say("A server runs on this file: it has to be stopped first".to_owned());
    }
    let outcome = rekey::rehearse(&database, passphrases, &mut say).await;
    outcome.map_err(|error| error.to_string())?;
    say("Nothing was changed (--dry-run)".to_owned());
    Ok(())
}

async fn tell_of_redis(redis: &RedisDsn) {
    match Notices::probe(redis).await {
        Ok(found) => {
            if let Some(count) = found.pending_log_entries.filter(|count| *count > 0) {
                eprintln!(
                    "warning: {count} log entries of the original wait in Redis at {}; they hold keys as they were stored then. \
                     Let the original write them first (its master does so within a minute), or they are lost",
                    found.place
                );
            }
        }
        Err(problem) => eprintln!("warning: Redis was not looked at: {problem}"),
    }
}

/// `None`: there is none, keys are in clear.
fn passphrase(place: Option<&Place>, config: &Offline) -> Result<Option<Secret>, String> {
    match place {
        None => Ok(None),
        Some(Place::Here(text)) => Ok(Some(Secret::new(text.as_str()))),
        Some(Place::Variable(name)) => match config.secret(name) {
            Some(secret) => Ok(Some(secret)),
            None => Err(format!("the variable {name} is empty or not set, neither in the environment nor in .env")),
        },
        Some(Place::File(path)) => first_line(path).map(Some),
    }
}

/// The first line of a file, without its end.
fn first_line(path: &str) -> Result<Secret, String> {
    let failed = |error: std::io::Error| format!("the passphrase file {path} cannot be read: {error}");
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 && mode & 0o170_000 == 0o100_000 {
        eprintln!("warning: other users can read the passphrase file {path}; run: chmod 600 {path}");
    }
    let mut line = zeroize::Zeroizing::new(String::new());
    BufReader::new(file.take(PASSPHRASE_BYTES_MAX)).read_line(&mut line).map_err(failed)?;
    let text = line.strip_suffix('\n').map_or(&**line, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(format!("the first line of the passphrase file {path} is empty"));
    }
    if line.len() as u64 == PASSPHRASE_BYTES_MAX {
        return Err(format!("the first line of {path} is longer than any passphrase; is it the right file?"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        let path_text = path.to_str().unwrap();
        for (content, expected) in
            [("old", "old"), (" o ld \nsecond\n", " o ld "), ("old\r\n", "old"), ("密钥\n", "密钥")]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(first_line(path_text).unwrap().expose(), expected);
        }
        for (content, problem) in [("\nsecond", "is empty"), ("", "is empty"), (&*"x".repeat(70_000), "longer than")] {
            fs::write(&path, content).unwrap();
            assert!(first_line(path_text).unwrap_err().contains(problem), "{problem}");
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(first_line(path_text).unwrap_err().contains("cannot be read"));
        assert!(first_line("/no/such/file").unwrap_err().contains("/no/such/file"));
    }
}
