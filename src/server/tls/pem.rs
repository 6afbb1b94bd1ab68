//! Reads PEM files and tells apart what people put there by mistake.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls_pemfile::Item;
use zeroize::Zeroizing;

use super::error::TlsError;

/// Larger files are no certificates.
const MOST_BYTES: u64 = 1024 * 1024;

/// A key and what is odd about its file.
pub(super) struct ReadKey {
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) warning: Option<String>,
}

/// The certificates of a file, in its order; at least one.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (text, _) = read(path)?;
    let items = items(path, &text)?;
    let has_key = items.iter().any(|item| as_key(item).is_some());
    let chain: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            Item::X509Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if !chain.is_empty() {
        Ok(chain)
    } else if has_key || is_encrypted(&text) {
        Err(TlsError::KeyAsCertificate(path.to_owned()))
    } else {
        Err(TlsError::Useless(path.to_owned()))
    }
}

/// The key of a file; the first one if there are several.
pub(super) fn read_key(path: &Path) -> Result<ReadKey, TlsError> {
    let (text, mode) = read(path)?;
    // Before parsing: the headers of an encrypted PKCS#1 key are not the PEM of RFC 7468.
    if is_encrypted(&text) {
        return Err(TlsError::EncryptedKey(path.to_owned()));
    }
    let items = items(path, &text)?;
    let Some(key) = items.iter().find_map(as_key) else {
        let is_certificate = |item: &Item| matches!(item, Item::X509Certificate(_));
        return Err(if items.iter().any(is_certificate) {
            TlsError::CertificateAsKey(path.to_owned())
        } else {
            TlsError::Useless(path.to_owned())
        });
    };
    if mode & 0o007 != 0 {
        let path = path.to_owned();
        return Err(TlsError::ExposedKey { path, mode });
    }
    let warning = (mode & 0o070 != 0).then(|| {
        let path = path.display();
        format!("the key in `{path}` is open to its group (mode {mode:03o}); is that meant?")
    });
    Ok(ReadKey { key, warning })
}

/// The bytes of a file and its permission bits, both of the same file even if it is being replaced.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), TlsError> {
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => TlsError::Missing(path.to_owned()),
        _ => TlsError::Inaccessible {
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(refused)?;
    let capacity = usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or_default();
    // Room for the whole, so that growing leaves no copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity + 1));
    file.take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    Ok((bytes, metadata.permissions().mode() & 0o777))
}

/// All PEM blocks of known kinds.
fn items(path: &Path, text: &[u8]) -> Result<Vec<Item>, TlsError> {
    if text.trim_ascii().is_empty() {
        return Err(TlsError::Empty(path.to_owned()));
    }
    // A DER certificate or key is a sequence with a long length.
    if let [0x30, 0x80..=0x84, ..] = text {
        return Err(TlsError::Der(path.to_owned()));
    }
    if !contains(text, b"-----BEGIN ") {
        return Err(TlsError::Garbage(path.to_owned()));
    }
    let mut reader = text;
    rustls_pemfile::read_all(&mut reader)
        .collect::<Result<_, _>>()
        .map_err(|_error| TlsError::Garbage(path.to_owned()))
}

fn as_key(item: &Item) -> Option<PrivateKeyDer<'static>> {
    match item {
        Item::Pkcs1Key(key) => Some(PrivateKeyDer::Pkcs1(key.clone_key())),
        Item::Pkcs8Key(key) => Some(PrivateKeyDer::Pkcs8(key.clone_key())),
        Item::Sec1Key(key) => Some(PrivateKeyDer::Sec1(key.clone_key())),
        _ => None,
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    contains(text, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(text, b"Proc-Type: 4,ENCRYPTED")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
