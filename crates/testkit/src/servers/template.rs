//! Data directories that are initialised once and copied for each server: initialising takes a second, a copy a tenth.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use tempfile::TempDir;

use super::process::{hand_over, run};

/// Copies the data directory of a server program to `destination`, which must not be there yet. `make` initialises one
/// at the path that it gets when this version of the program has none.
pub(super) fn copy(program: &Path, destination: &Path, make: impl FnOnce(&Path)) {
    let template = path_for(program);
    if !template.exists() {
        let folder = temporary_folder();
        let made = folder.path().join("data");
        make(&made);
        let parent = template.parent().expect("it lies in a folder");
        fs::create_dir_all(parent).expect("the folder of build results can be written");
        let beside = parent.join(format!("{}.{}", std::process::id(), unique()));
        run(Command::new("cp").arg("-a").arg(&made).arg(&beside));
        // Someone else may have been quicker, and theirs is as good.
        if fs::rename(&beside, &template).is_err() {
            let _ = fs::remove_dir_all(&beside);
        }
    }
    run(Command::new("cp").arg("-a").arg(&template).arg(destination));
    hand_over(destination);
}

/// A temporary directory that servers may write to.
pub(super) fn temporary_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    hand_over(folder.path());
    folder
}

/// Below `target`, named after the program and its version.
fn path_for(program: &Path) -> PathBuf {
    let own = std::env::current_exe().expect("the test has a path");
    let profile = own.ancestors().find(|path| path.join("deps").is_dir()).expect("tests lie in target/PROFILE");
    let details = fs::metadata(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let changed = details.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or("server");
    let version = changed.map_or(0, |since| since.as_secs());
    profile.join("test-server-data").join(format!("{name}-{version}-{}", details.len()))
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
