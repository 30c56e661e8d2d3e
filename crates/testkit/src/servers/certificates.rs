//! Certificates of the servers of tests, signed by an authority that nobody trusts unless told to.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::process::hand_over;

const AUTHORITY: &str = include_str!("../tls/authority.pem");
/// For `localhost` and `127.0.0.1`.
const CERTIFICATE: &str = include_str!("../tls/server.pem");
/// Worth nothing: nobody outside of the tests trusts the certificate.
const KEY: &str = include_str!("../tls/server.key.pem");

/// The certificates as files, in a folder that belongs to someone else.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Writes them into a folder.
    ///
    /// # Panics
    /// When it cannot be written to.
    pub(super) fn write(folder: &Path) -> Self {
        let certificates = Self { folder: folder.to_owned() };
        let files = [
            (certificates.authority_path(), AUTHORITY, 0o644),
            (certificates.certificate_path(), CERTIFICATE, 0o644),
            // Servers refuse a key that others may read.
            (certificates.key_path(), KEY, 0o600),
        ];
        for (path, text, mode) in files {
            fs::write(&path, text).expect("the folder is ours");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("the file is ours");
            hand_over(&path);
        }
        certificates
    }

    /// The authority's certificate as PEM, for those who are to trust it.
    pub fn authority() -> &'static str {
        AUTHORITY
    }

    /// The same, as a file.
    pub fn authority_path(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    pub(super) fn certificate_path(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    pub(super) fn key_path(&self) -> PathBuf {
        self.folder.join("server.key.pem")
    }
}
