//! What the documents claim about the tests holds.

#![expect(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rows that are settled but not shown yet. The limit only falls.
const DEBTS_MAX: usize = 12;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn collect(path: &Path, names: &mut BTreeSet<String>) {
    if path.is_dir() && path.file_name().is_none_or(|name| name != "node_modules") {
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            collect(&entry.path(), names);
        }
        return;
    }
    // Tests of the console are sentences in quotes.
    let (keywords, is_of_name): (&[&str], fn(char) -> bool) =
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => (&["fn "], |c| c.is_alphanumeric() || c == '_'),
            Some("py") => (&["def "], |c| c.is_alphanumeric() || c == '_'),
            Some("ts") => (&["it('", "test('", ")('"], |c| c != '\''),
            _ => return,
        };
    let text = fs::read_to_string(path).unwrap();
    for keyword in keywords {
        for (at, _) in text.match_indices(keyword) {
            let rest = &text[at + keyword.len()..];
            names.insert(rest.chars().take_while(|&c| is_of_name(c)).collect());
        }
    }
}

/// The rows of the tables: first cell, last cell, and the whole line.
fn rows(text: &str) -> Vec<(&str, &str, &str)> {
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| |"))
        .map(|line| {
            let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
            let mut cells = inner.split('|').map(str::trim);
            let first = cells.next().unwrap_or_default();
            (first, cells.next_back().unwrap_or_default(), line)
        })
        .collect()
}

/// What stands between back-quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_differences_names_exists() {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "crates", "scripts", "web/src", "web/e2e"] {
        collect(&root().join(folder), &mut names);
    }
    let text = fs::read_to_string(root().join("docs/differences.md")).unwrap();
    let rows = rows(&text);
    assert!(rows.len() > 150, "the tables were not read: {} rows", rows.len());
    let mut problems = Vec::new();
    let mut debts = Vec::new();
    for (number, shown_by, line) in rows {
        for name in quoted(shown_by) {
            if !names.contains(name) {
                problems.push(format!("{number} names `{name}`, which is no test"));
            }
        }
        let is_shown = quoted(shown_by).next().is_some() || shown_by.starts_with("by construction");
        let refers = shown_by == "the same" || line.contains("as data plane");
        let is_open = line.contains("issue ");
        if shown_by == "no test yet" {
            debts.push(number);
        } else if !(is_shown || refers || is_open) {
            problems.push(format!("{number} is neither shown, nor by construction, nor open with its issue: {line}"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(debts.len() <= DEBTS_MAX, "show these, or say why not: {debts:?}");
}
