//! SQLite: a file path or a `file:` URI, with options behind a `?`.

use std::path::{Path, PathBuf};

use super::query;

#[derive(Debug, Clone)]
pub(crate) struct SqliteDsn {
    pub(crate) path: PathBuf,
    /// `_pragma=name(value)` options of the DSN, in their order; `_txlock` is left out, since every writer locks at once.
    pub(crate) pragmas: Vec<(String, String)>,
}

impl SqliteDsn {
    pub(super) fn parse(text: &str) -> Result<(Self, Vec<String>), String> {
        let (name, options) = text.split_once('?').unwrap_or((text, ""));
        let path = match name.strip_prefix("file:") {
            Some(uri) => path_of_uri(uri)?,
            None => name.to_owned(),
        };
        if path == ":memory:" {
            return Err(in_memory());
        }
        if path.is_empty() {
            return Err("is empty before its options; write the path of a file, such as ./data/gpt-load.db".to_owned());
        }
        if path.ends_with('/') || path.contains('\0') {
            return Err("is no file name; write the path of a file, such as ./data/gpt-load.db".to_owned());
        }
        let mut dsn = Self { path: PathBuf::from(path), pragmas: Vec::new() };
        let mut warnings = Vec::new();
        for (name, value) in query::options(options) {
            dsn.take_option(&name, &value, &mut warnings)?;
        }
        Ok((dsn, warnings))
    }

    /// Where the files that go with the database are kept.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
    }

    fn take_option(&mut self, name: &str, value: &str, warnings: &mut Vec<String>) -> Result<(), String> {
        match (name, value) {
            ("_pragma", _) => self.pragmas.push(pragma(value)?),
            ("_txlock", "deferred" | "immediate" | "exclusive") | ("_time_format", "sqlite") => {}
            ("mode", "rw" | "rwc") | ("cache", "private" | "shared") => {}
            ("_txlock", _) => return Err("has an unknown _txlock; write _txlock=immediate, or leave it out".to_owned()),
            ("_time_format", _) => {
                return Err(
                    "has a _time_format in which the original's rows could not be read; leave it out".to_owned()
                );
            }
            ("mode", "memory") => return Err(in_memory()),
            ("mode" | "immutable", _) => {
                return Err("must be open for writing; leave out mode and immutable".to_owned());
            }
            _ => warnings.push(format!(
                "the option {name} of DATABASE_DSN has no effect; pragmas are written _pragma=name(value)"
            )),
        }
        Ok(())
    }
}

fn in_memory() -> String {
    "names a database in memory, which would lose all groups and keys at every stop; write the path of a file"
        .to_owned()
}

/// `data.db`, `/data.db`, `///data.db` or `//localhost/data.db`, percent-encoded.
fn path_of_uri(uri: &str) -> Result<String, String> {
    let path = match uri.strip_prefix("//") {
        None => uri,
        Some(rest) => rest
            .strip_prefix("localhost")
            .unwrap_or(rest)
            .strip_prefix('/')
            .map(|path| &uri[uri.len() - path.len() - 1..])
            .ok_or("names another host in a file: URI; write file:/path/to/file.db")?,
    };
    query::decode(path.split('#').next().unwrap_or(path))
}

/// `name(value)` or `name=value`. Only plain words pass, since SQLite has no placeholders here.
fn pragma(text: &str) -> Result<(String, String), String> {
    let problem = || "has a _pragma that is not written like _pragma=journal_mode(WAL)".to_owned();
    let (name, value) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(problem)?),
        None => text.split_once('=').ok_or_else(problem)?,
    };
    let (name, value) = (name.trim(), value.trim());
    let value = value.strip_prefix('\'').and_then(|inside| inside.strip_suffix('\'')).unwrap_or(value);
    let is_word = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || more.contains(c))
    };
    if is_word(name, "") && is_word(value, "-+.") { Ok((name.to_owned(), value.to_owned())) } else { Err(problem()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &str, pragmas: &[(&str, &str)], warned: bool) {
        let (dsn, warnings) = SqliteDsn::parse(text).unwrap();
        assert_eq!(dsn.path, Path::new(path), "{text}");
        let found: Vec<_> = dsn.pragmas.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, pragmas, "{text}");
        assert_eq!(!warnings.is_empty(), warned, "{text}: {warnings:?}");
    }

    #[test]
    fn paths_uris_and_options() {
        check("./data/gpt-load.db", "./data/gpt-load.db", &[], false);
        check("a%20b.db", "a%20b.db", &[], false);
        check("file:a%20b.db", "a b.db", &[], false);
        check("file:/srv/a.db?cache=shared&mode=rwc", "/srv/a.db", &[], false);
        check("file:///srv/a.db", "/srv/a.db", &[], false);
        check("file://localhost/srv/a.db", "/srv/a.db", &[], false);
        check(
            "a.db?_pragma=journal_mode(WAL)&_pragma=busy_timeout%3D9000&_txlock=immediate",
            "a.db",
            &[("journal_mode", "WAL"), ("busy_timeout", "9000")],
            false,
        );
        check("a.db?_pragma=cache_size(-2000)", "a.db", &[("cache_size", "-2000")], false);
        check("a.db?_busy_timeout=5000", "a.db", &[], true);
        check("a.db?", "a.db", &[], false);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, expected) in [
            (":memory:", "in memory"),
            ("file::memory:?cache=shared", "in memory"),
            ("file:a.db?mode=memory", "in memory"),
            ("file:a.db?mode=ro", "open for writing"),
            ("?_pragma=journal_mode(WAL)", "is empty"),
            ("./data/", "no file name"),
            ("file://elsewhere/a.db", "another host"),
            ("a.db?_pragma=journal_mode", "_pragma"),
            ("a.db?_pragma=user_version(1);drop table groups", "_pragma"),
            ("a.db?_txlock=never", "_txlock"),
            ("a.db?_time_format=datetime", "_time_format"),
        ] {
            let problem = SqliteDsn::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn the_data_directory_is_the_files_parent() {
        for (text, expected) in [("./data/gpt-load.db", "./data"), ("gpt-load.db", "."), ("/gpt-load.db", "/")] {
            assert_eq!(SqliteDsn::parse(text).unwrap().0.directory(), Path::new(expected), "{text}");
        }
    }
}
