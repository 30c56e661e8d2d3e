//! The walls of the house: which room may use which, and which libraries stay out of which room.

#![expect(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// From the roof down. A room uses only rooms on lower levels; rooms on one level never meet.
const LEVELS: &[&[&str]] = &[
    &["cli"],
    &["app"],
    &["api", "proxy", "web"],
    &["rekey"],
    &["cluster", "metrics"],
    &["keypool", "request_log"],
    &["stats"],
    &["group"],
    &["channel", "upstream"],
    &["settings"],
    &["task"],
    &["db", "redis"],
    &["config", "telemetry"],
    &["crypto", "http1", "json"],
];

/// Libraries that a room must not know.
const STRANGERS: &[(&str, &[&str])] = &[
    ("proxy", &["axum", "redis", "sea_query", "sqlx"]),
    ("api", &["sqlx"]),
    ("web", &["axum", "hyper", "sqlx", "tokio"]),
    ("rekey", &["axum", "hyper", "sqlx"]),
    ("task", &["axum", "hyper"]),
    ("metrics", &["axum", "hyper", "sqlx"]),
    ("channel", &["axum", "hyper", "sqlx", "tokio"]),
    ("json", &["axum", "hyper", "sqlx", "tokio"]),
    ("crypto", &["axum", "hyper", "sqlx", "tokio"]),
    ("http1", &["axum", "rustls", "sqlx"]),
    ("config", &["axum", "hyper", "sqlx", "tokio"]),
];

/// Looks into every room, since it holds the properties of the parsers; exists only in tests.
const OUTSIDE: &[&str] = &["fuzzing"];

struct File {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for entry in fs::read_dir(&root).unwrap().map(Result::unwrap) {
        let name = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
        if name != "main" && name != "lib" && !OUTSIDE.contains(&name.as_str()) {
            collect(&entry.path(), &name, &mut files);
        }
    }
    files
}

fn collect(path: &Path, room: &str, files: &mut Vec<File>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            collect(&entry.path(), room, files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = without_comments(&fs::read_to_string(path).unwrap());
        files.push(File { path: path.to_owned(), room: room.to_owned(), text });
    }
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

/// The rooms that a file names: in `crate::room::…` anywhere, and in groups such as `use crate::{db, json::edit}`.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for (at, found) in text.match_indices("crate::") {
        let is_ours = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
        let rest = &text[at + found.len()..];
        if !is_ours {
            continue;
        }
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                _ if item && !c.is_whitespace() => {
                    rooms.insert(word(&group[at..]));
                    item = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

fn level(room: &str) -> Option<usize> {
    LEVELS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    let mut wrong = Vec::new();
    for file in sources() {
        let own = level(&file.room).unwrap_or_else(|| panic!("the room {} has no level", file.room));
        for used in rooms_used(&file.text) {
            let allowed = used == file.room || level(&used).is_some_and(|other| other > own);
            if !allowed {
                wrong.push(format!("{}: {} must not use {used}", file.path.display(), file.room));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn strangers_stay_out() {
    let mut wrong = Vec::new();
    for file in sources() {
        // Tests look behind the scenes.
        if file.path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let strangers =
            STRANGERS.iter().find(|(room, _)| *room == file.room).map_or(&[][..], |(_, strangers)| strangers);
        for stranger in strangers {
            if uses_library(&file.text, stranger) {
                wrong.push(format!("{}: {} must not know {stranger}", file.path.display(), file.room));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn uses_library(text: &str, library: &str) -> bool {
    let path = format!("{library}::");
    let named = text
        .match_indices(&path)
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
    named || text.contains(&format!("use {library};"))
}

#[test]
fn every_room_has_a_level_and_every_level_its_rooms() {
    let found: BTreeSet<String> = sources().into_iter().map(|file| file.room).collect();
    let listed: BTreeSet<String> = LEVELS.iter().flat_map(|rooms| rooms.iter().map(ToString::to_string)).collect();
    assert_eq!(found, listed);
}

#[test]
fn every_file_opens_with_a_sentence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "crates", "tests", "fuzz/fuzz_targets"] {
        if root.join(folder).exists() {
            collect(&root.join(folder), folder, &mut files);
        }
    }
    assert!(files.len() > 50, "the search goes wrong");
    for file in files {
        let text = fs::read_to_string(&file.path).unwrap();
        let opening = text.lines().next().unwrap_or_default().strip_prefix("//! ").unwrap_or_default();
        // One word is a name, not a sentence.
        assert!(opening.trim().contains(' '), "{} opens with no sentence", file.path.display());
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text = "use crate::{\n    db::{self, Database},\n    json, settings::{A, B},\n};\nuse crate::crypto::Secret;\n\
        fn f() { crate::config::g(); $crate::no(); other_crate::no(); }";
    let expected = ["config", "crypto", "db", "json", "settings"].map(String::from);
    assert_eq!(rooms_used(text), BTreeSet::from(expected));
    assert!(uses_library("fn f(p: sqlx::Pool)", "sqlx") && !uses_library("use sea_query_sqlx::X", "sqlx"));
}
