//! A self-signed certificate for this machine alone, made once; for development.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use time::Duration;

use super::tls::Loaded;
use super::tls::error::TlsError;
use crate::clock::Clock;

#[cfg(test)]
mod tests;

/// The names that a browser or `curl` on this machine dials.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long a pair is used; browsers refuse more than 398 days.
const VALIDITY: Duration = Duration::days(365);

/// Where the pair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdHocFiles {
    /// The certificate, `adhoc-cert.pem`: what `curl --cacert` wants.
    pub certificate: PathBuf,
    /// The key, `adhoc-key.pem`, for its owner's eyes alone.
    pub key: PathBuf,
}

/// Finds the pair in a folder, or makes it there if there is none, it has expired, or it is
/// damaged. The folder is made too, closed to other users.
///
/// # Errors
/// `Inaccessible` if folder or files cannot be written, `AdHoc` if no pair can be made.
pub fn ensure(folder: &Path, clock: &Clock) -> Result<AdHocFiles, TlsError> {
    let files = AdHocFiles {
        certificate: folder.join("adhoc-cert.pem"),
        key: folder.join("adhoc-key.pem"),
    };
    match Loaded::from_files(&files.certificate, &files.key, None, clock) {
        Ok(loaded) if clock.now() < loaded.certificates.not_after() => return Ok(files),
        Err(error @ TlsError::Inaccessible { .. }) => return Err(error),
        // The pair is ours: a half-written or exposed one is replaced, nobody has to mend it.
        _ => {}
    }
    make(folder, &files, clock)?;
    Ok(files)
}

fn make(folder: &Path, files: &AdHocFiles, clock: &Clock) -> Result<(), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::AdHoc)?;
    let certificate = parameters(clock)
        .and_then(|parameters| parameters.self_signed(&key))
        .map_err(TlsError::AdHoc)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| inaccessible(folder, source))?;
    replace(&files.key, &key.serialize_pem(), 0o600)?;
    replace(&files.certificate, &certificate.pem(), 0o644)
}

fn parameters(clock: &Clock) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(NAMES.map(str::to_owned))?;
    // A little in the past, for clients whose clock is behind.
    parameters.not_before = clock.now() - Duration::hours(1);
    parameters.not_after = clock.now() + VALIDITY;
    parameters
        .distinguished_name
        .push(DnType::CommonName, "localhost (ad hoc)");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

/// Puts a file in place at once, so that no reader meets half of it.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = write_new(&draft, text, mode).and_then(|()| fs::rename(&draft, path));
    written.map_err(|source| {
        // What is left of the draft is of no use; that it cannot be removed is no worse.
        let _ = fs::remove_file(&draft);
        inaccessible(path, source)
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn inaccessible(path: &Path, source: io::Error) -> TlsError {
    TlsError::Inaccessible {
        path: path.to_owned(),
        source,
    }
}
