//! The management key of a node that stands alone and was given none: generated once, kept in a protected file.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::crypto::Secret;

const FILE_NAME: &str = "auth.key";
const RANDOM_BYTES: usize = 32;

/// Reads the key from the data directory, or makes one there. The note tells the operator where it is, never what.
pub(super) fn read_or_generate(directory: &Path) -> Result<(Secret, Vec<String>), String> {
    let path = directory.join(FILE_NAME);
    let failed = |verb: &str, error: &io::Error| {
        format!("AUTH_KEY is empty, and the generated key's file {} cannot be {verb}: {error}", path.display())
    };
    match fs::read_to_string(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            generate(directory, &path).map_err(|error| failed("written", &error))?;
        }
        Err(error) => return Err(failed("read", &error)),
    }
    // Read back even what was just written: of two processes that start together, the first file counts for both.
    let text = fs::read_to_string(&path).map_err(|error| failed("read", &error))?;
    let key = text.trim();
    if key.is_empty() {
        return Err(format!(
            "AUTH_KEY is empty, and so is {}; set AUTH_KEY, or delete that file to have a key generated",
            path.display()
        ));
    }
    let mut notes = vec![format!("AUTH_KEY is empty; the management key is in the file {}", path.display())];
    let mode = fs::metadata(&path).map_err(|error| failed("read", &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        notes.push(format!("other users can read the management key; run: chmod 600 {}", path.display()));
    }
    Ok((Secret::new(key), notes))
}

/// The same, but nothing is generated: then the key is empty.
pub(super) fn look(directory: &Path) -> Result<(Secret, Vec<String>), String> {
    let path = directory.join(FILE_NAME);
    if path.exists() {
        return read_or_generate(directory);
    }
    let note = format!("AUTH_KEY is empty; a start generates a management key into the file {}", path.display());
    Ok((Secret::new(""), vec![note]))
}

/// Written beside and linked into its place, so that a crash never leaves half a key, and nobody's key is replaced.
fn generate(directory: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let draft = directory.join(format!(".{FILE_NAME}.{}", hex::encode(rand::random::<[u8; 8]>())));
    let key = Secret::new(format!("sk-{}\n", hex::encode(rand::random::<[u8; RANDOM_BYTES]>())));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(key.expose().as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| put_in_place(&draft, path));
    // Nothing more can be done about a draft that cannot be removed.
    let _ = fs::remove_file(&draft);
    written
}

fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some network and foreign file systems know no links.
        Err(_) => fs::rename(draft, path),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_generated_once_and_protected() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("data");
        let (first, notes) = read_or_generate(&directory).unwrap();
        let (second, _) = read_or_generate(&directory).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert!(first.expose().len() >= 64);

        let path = directory.join("auth.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(notes[0].contains(path.to_str().unwrap()));
        assert!(!notes.concat().contains(first.expose()));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_that_another_process_has_read_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE_NAME);
        // Both found no file; the first has written its own and read it.
        generate(home.path(), &path).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        generate(home.path(), &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn two_nodes_get_two_keys() {
        let home = tempfile::tempdir().unwrap();
        let key = |name: &str| read_or_generate(&home.path().join(name)).unwrap().0;
        assert_ne!(key("a").expose(), key("b").expose());
    }

    #[test]
    fn a_readable_file_is_told_and_an_empty_one_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("auth.key");
        fs::write(&path, "chosen-by-hand\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let (key, notes) = read_or_generate(home.path()).unwrap();
        assert_eq!(key.expose(), "chosen-by-hand");
        assert!(notes[1].contains("chmod 600"));

        fs::write(&path, " \n").unwrap();
        assert!(read_or_generate(home.path()).unwrap_err().contains("delete that file"));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_a_problem() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(read_or_generate(&file.join("data")).unwrap_err().contains("auth.key"));
    }
}
