//! Whom an encrypted connection believes: a file of the operator, or the system's authorities.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::config::Certificates;

/// Characters of base64 in a line of a PEM file.
const PEM_LINE_CHARACTERS: usize = 64;

/// Certificates (PEM) to believe beside the ones that the driver brings. The driver refuses all of them for one that it
/// cannot use, so the system's are sorted out first.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub(super) fn authorities(file: Option<&Path>, option: &str) -> Result<Vec<u8>, String> {
    let Some(path) = file else { return Ok(of_system()) };
    let pem = read(path, option)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect();
    if certificates.is_empty() || certificates.iter().any(Result::is_err) {
        return Err(format!("{option} of DATABASE_DSN: {} holds no certificate in PEM form", path.display()));
    }
    Ok(pem)
}

/// Our own certificate and its key (PEM), where the operator named them.
///
/// # Errors
/// A file cannot be read, or holds something else.
pub(super) fn own(certificates: &Certificates, options: [&str; 2]) -> Result<Option<(Vec<u8>, Vec<u8>)>, String> {
    let (Some(certificate), Some(key)) = (&certificates.certificate, &certificates.key) else { return Ok(None) };
    let chain = authorities(Some(certificate), options[0])?;
    let pem = read(key, options[1])?;
    if PrivateKeyDer::from_pem_slice(&pem).is_err() {
        return Err(format!(
            "{} of DATABASE_DSN: {} holds no private key in PEM form without a password",
            options[1],
            key.display()
        ));
    }
    Ok(Some((chain, pem)))
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{option} of DATABASE_DSN: cannot read {}: {error}", path.display()))
}

fn of_system() -> Vec<u8> {
    let mut store = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "Could not read some of the system's certificate authorities");
    }
    let usable = found.certs.into_iter().filter(|certificate| store.add(certificate.clone()).is_ok());
    usable.flat_map(|certificate| pem(&certificate).into_bytes()).collect()
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARACTERS));
        pem.extend([line, "\n"]);
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("ca.pem");
        let problem = authorities(Some(&file), "sslrootcert").unwrap_err();
        assert!(problem.starts_with("sslrootcert of DATABASE_DSN: cannot read"), "{problem}");
        fs::write(&file, "hello").unwrap();
        assert!(authorities(Some(&file), "ssl-ca").unwrap_err().contains("no certificate"));
    }

    #[test]
    fn a_certificate_is_written_as_it_is_read() {
        let bytes: Vec<u8> = (0..=255).collect();
        let read: Vec<_> = CertificateDer::pem_slice_iter(pem(&bytes).as_bytes()).map(Result::unwrap).collect();
        assert_eq!(read, [CertificateDer::from(bytes)]);
    }

    #[test]
    fn a_key_stands_beside_its_certificate() {
        let home = tempfile::tempdir().unwrap();
        let (certificate, key) = (home.path().join("c.pem"), home.path().join("k.pem"));
        fs::write(&certificate, pem(b"anything")).unwrap();
        fs::write(&key, "no key").unwrap();
        assert!(own(&Certificates::default(), ["sslcert", "sslkey"]).unwrap().is_none());
        let named = Certificates { authority: None, certificate: Some(certificate), key: Some(key) };
        assert!(own(&named, ["sslcert", "sslkey"]).unwrap_err().starts_with("sslkey of DATABASE_DSN"));
    }
}
