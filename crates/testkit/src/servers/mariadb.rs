//! MariaDB, as a server of tests.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::certificates::Certificates;
use super::process::{Program, as_servers, run};
use super::{PASSWORD, USER, WARDEN, template};

const PLACES: [&str; 3] = ["/usr/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/libexec/mariadbd"];
/// Bytes of the redo log; the template and each start must say the same.
const LOG_BYTES: u32 = 16 << 20;

/// Makes a data directory below this folder.
pub(super) fn prepare(folder: &Path) {
    template::copy(&binary(), &folder.join("data"), |data| {
        // It looks for helpers that are beside the server or not, depending on the distribution.
        let mut install = as_servers(Path::new("mariadb-install-db"));
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.args(["--skip-name-resolve", "--innodb-flush-method=nosync"]);
        install.arg(format!("--innodb-log-file-size={LOG_BYTES}")).arg(format!("--datadir={}", data.display()));
        run(install.current_dir("/"));
    });
    // A statement a line. Root without a password goes, so that nobody else on the machine is one.
    let accounts = format!(
        "CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n\
         REVOKE READ_ONLY ADMIN, SUPER ON *.* FROM '{USER}'@'%';\n\
         CREATE OR REPLACE USER '{WARDEN}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{WARDEN}'@'%';\n\
         DROP USER IF EXISTS 'root'@'localhost', 'root'@'127.0.0.1', 'root'@'::1';\n"
    );
    fs::write(folder.join("accounts.sql"), accounts).expect("the folder is ours");
}

pub(super) fn program(folder: &Path, port: u16, certificates: &Certificates, require_tls: bool) -> Program {
    let within = |name: &str| folder.join(name).display().to_string();
    let mut arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", within("data")),
        format!("--tmpdir={}", folder.display()),
        format!("--socket={}", socket(folder).display()),
        format!("--pid-file={}", within("server.pid")),
        format!("--init-file={}", within("accounts.sql")),
        format!("--port={port}"),
        format!("--innodb-log-file-size={LOG_BYTES}"),
        format!("--ssl-ca={}", certificates.authority_path().display()),
        format!("--ssl-cert={}", certificates.certificate_path().display()),
        format!("--ssl-key={}", certificates.key_path().display()),
    ];
    // At a commit the log goes to the system, not to the disk: nothing is lost when the server alone is killed.
    let fixed = "--bind-address=127.0.0.1 --skip-log-bin --skip-name-resolve --performance-schema=OFF \
                 --max-connections=400 --character-set-server=utf8mb4 --innodb-buffer-pool-size=64M \
                 --innodb-flush-method=nosync --innodb-flush-log-at-trx-commit=2 --innodb-doublewrite=OFF \
                 --innodb-buffer-pool-dump-at-shutdown=OFF --innodb-buffer-pool-load-at-startup=OFF";
    arguments.extend(fixed.split_whitespace().map(str::to_owned));
    if require_tls {
        arguments.push("--require-secure-transport=ON".to_owned());
    }
    let (stop_signal, end_signal) = (Signal::TERM, Signal::KILL);
    Program { path: binary(), arguments, directory: folder.to_owned(), stop_signal, end_signal }
}

/// The socket's file.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("mariadb.sock")
}

fn binary() -> PathBuf {
    let found = PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("MariaDB's server is not installed (Debian: mariadb-server); looked at {PLACES:?}"))
}
