//! The flags of `migrate-keys`, read as the original reads its own: one dash or two, the value after `=` or a blank.

use std::ffi::OsString;

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing, or for help.
    Usage,
    Run(Flags),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) from: Option<Place>,
    pub(super) to: Option<Place>,
    pub(super) is_dry_run: bool,
    /// Arguments behind the flags, which nobody reads.
    pub(super) ignored: usize,
}

/// Where a passphrase is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here(String),
    File(String),
    Variable(String),
}

/// What is wrong with the command line, and how grave it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The original ends with 2 as well.
    Syntax(String),
    /// It was understood, and makes no sense.
    Meaning(String),
}

const FLAGS: [&str; 7] = ["from", "to", "from-file", "to-file", "from-env", "to-env", "dry-run"];

pub(super) fn parse(arguments: &[OsString]) -> Result<Asked, Wrong> {
    let mut texts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let text = argument.to_str();
        texts.push(
            text.ok_or_else(|| {
                Wrong::Syntax("an argument is not UTF-8 text; use --from-file and --to-file".to_owned())
            })?,
        );
    }
    let mut flags = Flags::default();
    let mut rest = texts.into_iter().peekable();
    let mut has_flags = false;
    while let Some(argument) = rest.peek().copied() {
        let Some(flag) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else { break };
        if argument == "-" {
            break;
        }
        rest.next();
        if flag.is_empty() {
            // Two dashes alone end the flags.
            break;
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        if ["h", "help"].contains(&name) {
            return Ok(Asked::Usage);
        }
        if !FLAGS.contains(&name) {
            return Err(Wrong::Syntax(format!("there is no flag -{}", shown(name))));
        }
        has_flags = true;
        if name == "dry-run" {
            flags.is_dry_run = match value {
                None | Some("true" | "1") => true,
                Some("false" | "0") => false,
                Some(_) => return Err(Wrong::Syntax("-dry-run may be true or false".to_owned())),
            };
            continue;
        }
        let value = match value {
            Some(value) => value,
            None => rest.next().ok_or_else(|| Wrong::Syntax(format!("the flag -{name} needs a value")))?,
        };
        flags.set(name, value)?;
    }
    let ignored: Vec<&str> = rest.collect();
    if !has_flags && ignored.iter().any(|argument| argument.starts_with('-') && *argument != "-") {
        return Err(Wrong::Meaning(
            "flags stand behind an argument that is none, so nobody reads them; begin with the flags".to_owned(),
        ));
    }
    if !has_flags {
        return Ok(Asked::Usage);
    }
    flags.ignored = ignored.len();
    if flags.from.is_none() && flags.to.is_none() {
        return Err(Wrong::Meaning("name the passphrases, with --to-file for example".to_owned()));
    }
    Ok(Asked::Run(flags))
}

impl Flags {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let (side, kind) = name.split_once('-').unwrap_or((name, ""));
        let target = if side == "from" { &mut self.from } else { &mut self.to };
        if value.is_empty() {
            let absent = if side == "from" { "keys are stored in clear" } else { "keys shall be stored in clear" };
            return Err(Wrong::Meaning(format!(
                "--{name} is given, but empty: perhaps a variable is not set. Leave --{side} out altogether if the {absent}"
            )));
        }
        let place = match kind {
            "file" => Place::File(value.to_owned()),
            "env" => Place::Variable(value.to_owned()),
            _ => Place::Here(value.to_owned()),
        };
        match target.replace(place) {
            // The original takes the last of several.
            Some(Place::Here(_)) if kind.is_empty() => Ok(()),
            None => Ok(()),
            Some(_) => Err(Wrong::Meaning(format!("the passphrase of --{side} is given more than once"))),
        }
    }
}

/// Whoever forgets the name of a flag may have written a passphrase in its place.
fn shown(name: &str) -> &str {
    let is_a_name = name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if is_a_name { name } else { "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Asked, Wrong> {
        parse(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn here(text: &str) -> Option<Place> {
        Some(Place::Here(text.to_owned()))
    }

    #[track_caller]
    fn check(line: &[&str], from: Option<Place>, to: Option<Place>) {
        match parsed(line) {
            Ok(Asked::Run(flags)) => assert_eq!((flags.from, flags.to), (from, to), "{line:?}"),
            other => panic!("{line:?}: {other:?}"),
        }
    }

    /// operations.md 10.1
    #[test]
    fn flags_are_read_as_the_original_reads_them() {
        check(&["--to", "new"], None, here("new"));
        check(&["-to", "new"], None, here("new"));
        check(&["--to=new"], None, here("new"));
        check(&["-from=old", "--to", "new"], here("old"), here("new"));
        check(&["--to", "new", "--from", "--odd"], here("--odd"), here("new"));
        check(&["--to=a=b"], None, here("a=b"));
        check(&["--to", "new", "ignored", "--from", "not read"], None, here("new"));
        check(&["--to", "new", "--", "--from", "not read"], None, here("new"));
        check(&["--to", "one", "--to", "two"], None, here("two"));
    }

    #[test]
    fn passphrases_may_be_in_files_and_variables() {
        check(
            &["--to-file", "new.txt", "--from-env=OLD"],
            Some(Place::Variable("OLD".to_owned())),
            Some(Place::File("new.txt".to_owned())),
        );
        assert!(matches!(parsed(&["--to", "new", "--to-file", "f"]), Err(Wrong::Meaning(_))));
        assert!(matches!(parsed(&["--to-file", "f", "--to", "new"]), Err(Wrong::Meaning(_))));
        assert!(matches!(parsed(&["--to-file", "f", "--dry-run"]), Ok(Asked::Run(Flags { is_dry_run: true, .. }))));
        assert!(matches!(
            parsed(&["--dry-run=false", "--to-file", "f"]),
            Ok(Asked::Run(Flags { is_dry_run: false, .. }))
        ));
    }

    #[test]
    fn without_flags_there_is_usage() {
        for line in [&[][..], &["enable"], &["-h"], &["--help"], &["--to", "new", "--help"], &["-"]] {
            assert_eq!(parsed(line), Ok(Asked::Usage), "{line:?}");
        }
    }

    #[test]
    fn what_would_silently_do_nothing_is_refused() {
        for line in
            [&["--to", ""][..], &["--to="], &["--from", "", "--to", "new"], &["enable", "--to", "new"], &["--dry-run"]]
        {
            assert!(matches!(parsed(line), Err(Wrong::Meaning(_))), "{line:?}");
        }
    }

    #[test]
    fn an_unknown_flag_is_named_unless_it_may_be_a_secret() {
        let wrong = |line: &[&str]| match parsed(line) {
            Err(Wrong::Syntax(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(wrong(&["--form", "old"]).contains("-form"));
        assert!(!wrong(&["--S3cret-Passphrase", "old"]).contains("S3cret"));
        assert!(wrong(&["--to"]).contains("needs a value"));
        assert!(wrong(&["--dry-run=perhaps", "--to", "new"]).contains("true or false"));
    }
}
