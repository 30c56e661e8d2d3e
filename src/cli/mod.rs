//! What one can ask the binary to do.

mod check;
mod health;
mod migrate_keys;
mod serve;

use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{api, config::VARIABLES};

/// A transparent proxy for AI APIs: key pools, failover, request log.
#[derive(Debug, Parser)]
#[command(name = "gpt-load", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (this is what happens without a command)
    Serve {
        /// For a look at keys that do not fit ENCRYPTION_KEY: none serves, and none can be changed
        #[arg(long)]
        diagnose: bool,
    },
    /// Examine environment, database, keys and Redis, and say what a start would do; changes nothing
    Check {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Encrypt, decrypt or re-encrypt the stored keys; without flags it says how
    #[command(disable_help_flag = true)]
    MigrateKeys {
        /// As `gpt-load migrate-keys` explains them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Ask the server at HOST and PORT whether it is alive; the exit code is 0 if it is, else 1
    Health {
        /// Ask whether requests should go to it (/ready)
        #[arg(long)]
        ready: bool,
    },
    /// Print the OpenAPI document of the management API
    Openapi,
}

/// Runs what the command line asks for. The exit code is 0 after an orderly end, 1 when the server cannot run, and 2 for
/// a command line that was not understood.
pub fn run() -> ExitCode {
    match parse(std::env::args_os()) {
        Ok(Command::Serve { diagnose }) => serve::serve(diagnose),
        Ok(Command::Check { json }) => check::check(json),
        Ok(Command::MigrateKeys { arguments }) => migrate_keys::migrate_keys(&arguments),
        Ok(Command::Health { ready }) => health::health(ready),
        Ok(Command::Openapi) => print(api::document::text()),
        Err(refusal) => {
            // Help and version arrive here too; nothing can be done about a closed terminal.
            let _ = refusal.print();
            u8::try_from(refusal.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// A reader that closes early, like `head`, is no failure of ours; a full disk is.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("gpt-load: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Command, clap::Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    // Read as the original reads it, which no rule of ours is in the way of.
    if let Some((_, flags)) =
        arguments.split_first().and_then(|(_, rest)| rest.split_first()).filter(|(name, _)| *name == "migrate-keys")
    {
        return Ok(Command::MigrateKeys { arguments: flags.to_vec() });
    }
    let matches = Arguments::command().after_help(environment_help()).try_get_matches_from(arguments)?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    Ok(arguments.command.unwrap_or(Command::Serve { diagnose: false }))
}

fn environment_help() -> String {
    let width = VARIABLES.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    let mut help =
        "Settings come from environment variables, and from a file .env in the working directory:\n".to_owned();
    for (name, default, meaning) in VARIABLES {
        let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
        help.push_str(&format!("  {name:width$}  {meaning}{default}\n"));
    }
    help.push_str("\nEverything else is set while it runs, through the management API, with AUTH_KEY as its key.");
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, clap::Error> {
        parse(std::iter::once("gpt-load").chain(arguments.iter().copied()).map(Into::into))
    }

    #[test]
    fn serving_is_the_default() {
        assert!(matches!(parsed(&[]), Ok(Command::Serve { diagnose: false })));
        assert!(matches!(parsed(&["serve"]), Ok(Command::Serve { diagnose: false })));
        assert!(matches!(parsed(&["serve", "--diagnose"]), Ok(Command::Serve { diagnose: true })));
        assert!(matches!(parsed(&["health"]), Ok(Command::Health { ready: false })));
        assert!(matches!(parsed(&["health", "--ready"]), Ok(Command::Health { ready: true })));
        assert!(matches!(parsed(&["openapi"]), Ok(Command::Openapi)));
    }

    #[test]
    fn migrate_keys_reads_its_flags_itself() {
        for line in [&["migrate-keys"][..], &["migrate-keys", "-to=x", "--help", "-h"], &["migrate-keys", "--", "-x"]] {
            let Ok(Command::MigrateKeys { arguments }) = parsed(line) else { panic!("{line:?}") };
            let expected: Vec<_> = line[1..].iter().map(std::ffi::OsString::from).collect();
            assert_eq!(arguments, expected);
        }
    }

    #[test]
    fn an_unknown_command_is_refused_with_a_hint() {
        for arguments in [&["sevre"][..], &["--port", "3002"]] {
            let refusal = parsed(arguments).unwrap_err();
            assert_eq!(refusal.exit_code(), 2);
            assert!(refusal.to_string().contains("--help"), "{refusal}");
        }
        assert!(parsed(&["sevre"]).unwrap_err().to_string().contains("'serve'"));
    }

    #[test]
    fn help_and_version_are_answers_not_errors() {
        let help = parsed(&["--help"]).unwrap_err();
        assert_eq!(help.exit_code(), 0);
        for (name, ..) in VARIABLES {
            assert!(help.to_string().contains(name), "{name}");
        }
        let version = parsed(&["--version"]).unwrap_err();
        assert_eq!(version.exit_code(), 0);
        assert_eq!(version.to_string().trim(), concat!("gpt-load ", env!("CARGO_PKG_VERSION")));
    }
}
