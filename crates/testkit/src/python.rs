//! Tools written in Python, installed once beside the build.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python of its own at `place`, with the packages of the file `requirements`. It needs python3 with its `venv` module;
/// a second call with the same file does nothing.
///
/// # Panics
/// When it cannot be installed; the message holds what was printed.
pub fn python_with(requirements: &Path, place: &Path) -> PathBuf {
    let wanted = std::fs::read_to_string(requirements).expect("the file of requirements");
    let python = place.join("bin/python");
    // Written last, so that an installation that broke off is made again.
    let installed = place.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements));
    std::fs::write(installed, wanted).expect("a note of what is installed");
    python
}

fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
