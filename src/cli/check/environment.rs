//! What surrounds the server: files, their rights, the port.

use std::{fs, io::ErrorKind, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path};

use super::findings::Findings;
use crate::config::{Log, Server};

pub(super) fn examine_dotenv(directory: &Path, findings: &mut Findings) {
    match fs::metadata(directory.join(".env")) {
        Ok(file) if file.permissions().mode() & 0o077 != 0 => {
            findings
                .note("environment", "other users can read the file .env, which may hold secrets; run: chmod 600 .env");
        }
        Ok(_) => findings.ok("environment", "a file .env is read"),
        Err(_) => findings.ok("environment", "there is no file .env in the working directory"),
    }
}

/// Whether there is a database file at all.
pub(super) fn examine_file(path: &Path, findings: &mut Findings) -> bool {
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            findings.note("database", format!("there is no file {}; a start makes it", path.display()));
            examine_folder_above(path, findings);
            return false;
        }
        Err(error) => {
            findings.problem("database", format!("the file {} cannot be looked at: {error}", path.display()));
            return false;
        }
    };
    if file.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        findings
            .note("database", format!("other users can read the file {path}, which holds keys; run: chmod 600 {path}"));
    }
    if fs::OpenOptions::new().write(true).open(path).is_err() {
        findings.problem("database", format!("the file {} cannot be written by this user", path.display()));
    }
    examine_folder_above(path, findings);
    true
}

/// SQLite keeps its journal beside the file.
fn examine_folder_above(path: &Path, findings: &mut Findings) {
    let mut folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    while !folder.exists() {
        let Some(above) = folder.parent() else { return };
        folder = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    }
    if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
        findings.problem("database", format!("this user cannot write into the folder {}", folder.display()));
    }
}

pub(super) fn examine_port(server: &Server, is_running: bool, findings: &mut Findings) {
    let address = format!("{}:{}", server.host, server.port);
    match TcpListener::bind(&address) {
        Ok(_) => findings.ok("port", format!("{address} is free")),
        Err(error) if is_running && error.kind() == ErrorKind::AddrInUse => {
            findings.ok("port", format!("{address} is in use, probably by the server that runs"));
        }
        Err(error) => findings.problem("port", format!("cannot listen on {address}: {error}; set HOST and PORT")),
    }
}

pub(super) fn examine_log_file(log: &Log, findings: &mut Findings) {
    let Some(path) = &log.file else { return };
    if path.exists() && fs::OpenOptions::new().append(true).open(path).is_err() {
        findings.note(
            "log",
            format!("the file {} cannot be written; the log goes to standard output only", path.display()),
        );
    }
}
