//! PostgreSQL's password file: one line a server, `host:port:database:user:password`.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use crate::crypto::Secret;

/// The password of the first line that fits the first of the hosts. A file that is missing is no problem; one that others
/// can read is not used, as PostgreSQL's own programs have it, and the error says so.
pub(super) fn look_up(
    file: &str,
    hosts: &[(String, u16)],
    database: &str,
    user: &str,
) -> Result<Option<Secret>, String> {
    let unreadable = |error| format!("the password file {file} cannot be read and is not used: {error}");
    let path = Path::new(file);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("others can read the password file {file}, so it is not used; run: chmod 600 {file}"));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let Some((host, port)) = hosts.first() else { return Ok(None) };
    // A socket is looked up by the name of this machine.
    let host = if host.starts_with('/') { "localhost" } else { host };
    let wanted = [host, &port.to_string(), database, user];
    let fitting = text.lines().filter(|line| !line.starts_with('#')).map(fields).find(|fields| {
        fields.len() == 5 && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted)
    });
    Ok(fitting.and_then(|fields| fields.into_iter().nth(4)).map(Secret::new))
}

/// A `\` takes the meaning from the `:` or `\` behind it.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            // The password is the rest of the line, but for its escapes.
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            '\\' => field.extend(rest.next()),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn looked_up(text: &str, mode: u32, host: &str) -> Result<Option<String>, String> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pgpass");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = look_up(path.to_str().unwrap(), &[(host.to_owned(), 5432)], "app", "me")?;
        Ok(found.map(|password| password.expose().to_owned()))
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# h:5432:app:me:no\nother:5432:app:me:a\nh:1:app:me:b\nh:5432:*:me:p\\:q\\\\r\n*:*:*:*:last\n";
        assert_eq!(looked_up(text, 0o600, "h").unwrap().as_deref(), Some("p:q\\r"));
        assert_eq!(looked_up(text, 0o600, "else").unwrap().as_deref(), Some("last"));
        assert_eq!(looked_up("localhost:5432:app:me:s", 0o600, "/run/pg").unwrap().as_deref(), Some("s"));
        assert_eq!(looked_up("h:5432:app:you:s\nh:5432", 0o600, "h").unwrap(), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_a_missing_one_is_not() {
        let problem = looked_up("*:*:*:*:hunter2", 0o640, "h").unwrap_err();
        assert!(problem.contains("chmod 600") && !problem.contains("hunter2"), "{problem}");
        let hosts = [("h".to_owned(), 1)];
        assert!(look_up("/nonexistent/pgpass", &hosts, "app", "me").unwrap().is_none());
    }
}
