//! PostgreSQL, as a server of tests.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::certificates::Certificates;
use super::process::{Program, as_servers, hand_over, run};
use super::{PASSWORD, USER, template};

/// Makes a data directory below this folder.
pub(super) fn prepare(folder: &Path, require_tls: bool) {
    template::copy(&binary(), &folder.join("data"), |data| {
        let password = data.with_extension("password");
        fs::write(&password, PASSWORD).expect("the folder is ours");
        hand_over(&password);
        let mut initialise = as_servers(&binary().with_file_name("initdb"));
        initialise.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username", USER]);
        initialise.arg("--pwfile").arg(&password).arg("-D").arg(data);
        run(initialise.current_dir("/"));
    });
    let host = if require_tls { "hostssl" } else { "host" };
    let admission = format!("local all all scram-sha-256\n{host} all all 127.0.0.1/32 scram-sha-256\n");
    fs::write(folder.join("admission.conf"), admission).expect("the folder is ours");
}

pub(super) fn program(folder: &Path, port: u16, certificates: &Certificates) -> Program {
    let data = folder.join("data").display().to_string();
    let mut arguments = vec!["-D".to_owned(), data, "-p".to_owned(), port.to_string()];
    arguments.extend(["-k".to_owned(), folder.display().to_string()]);
    let mut set = |name: &str, value: &str| arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    set("hba_file", &folder.join("admission.conf").display().to_string());
    set("ssl", "on");
    set("ssl_cert_file", &certificates.certificate_path().display().to_string());
    set("ssl_key_file", &certificates.key_path().display().to_string());
    // At a commit the log goes to the system, not to the disk: nothing is lost when the server alone is killed.
    let fixed = "listen_addresses=127.0.0.1 fsync=off full_page_writes=off wal_level=minimal max_wal_senders=0 \
                 max_connections=400 shared_buffers=64MB max_wal_size=512MB dynamic_shared_memory_type=mmap jit=off \
                 autovacuum_naptime=3600 log_min_messages=warning";
    for (name, value) in fixed.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        set(name, value);
    }
    // Of its signals the interrupt is the one that does not wait for clients to leave.
    let (stop_signal, end_signal) = (Signal::INT, Signal::QUIT);
    Program { path: binary(), arguments, directory: folder.to_owned(), stop_signal, end_signal }
}

/// The newest that is installed.
fn binary() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let path = entry.path().join("bin/postgres");
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        versions.extend(version.filter(|_| path.exists()).map(|version| (version, path)));
    }
    let newest = versions.into_iter().max();
    newest.expect("PostgreSQL's server is not installed (Debian: postgresql); looked below /usr/lib/postgresql").1
}
