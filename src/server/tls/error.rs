//! What can be wrong with a certificate or key, and how to mend it. Never holds bytes of a key.

use std::io;
use std::path::PathBuf;

use time::OffsetDateTime;

/// Why a pair of files cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It does not exist.
    #[error("`{}` does not exist; put the PEM file there or name another one", .0.display())]
    Missing(PathBuf),
    /// The system does not let us read or write it.
    #[error("`{}` cannot be read or written; give the server's user access to it", path.display())]
    Inaccessible {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has no bytes.
    #[error("`{}` is empty; write the PEM text into it", .0.display())]
    Empty(PathBuf),
    /// It is in the binary form.
    #[error(
        "`{}` is DER, not PEM; convert it with `openssl x509` or `openssl pkey` and `-inform DER`",
        .0.display()
    )]
    Der(PathBuf),
    /// It is not PEM, or its PEM is damaged.
    #[error("`{}` is not valid PEM; write it anew from its source", .0.display())]
    Garbage(PathBuf),
    /// It holds a key where certificates should be.
    #[error(
        "`{}` holds a key and no certificate; exchange the names of certificate and key",
        .0.display()
    )]
    KeyAsCertificate(PathBuf),
    /// It holds certificates where the key should be.
    #[error(
        "`{}` holds a certificate and no key; exchange the names of certificate and key",
        .0.display()
    )]
    CertificateAsKey(PathBuf),
    /// It holds PEM, but nothing of use here.
    #[error(
        "`{}` holds neither certificate nor key; a signing request, say, has to be signed first",
        .0.display()
    )]
    Useless(PathBuf),
    /// Its key needs a password.
    #[error(
        "the key in `{}` is encrypted; decrypt it with `openssl pkey` and protect the file by its mode",
        .0.display()
    )]
    EncryptedKey(PathBuf),
    /// Anyone on the machine may read the key.
    #[error(
        "the key in `{}` is open to every user (mode {mode:03o}); run `chmod 600` on it",
        path.display()
    )]
    ExposedKey {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key's kind or curve is not supported, or it is damaged.
    #[error(
        "the key in `{}` is damaged or of a kind that TLS here does not know; \
         make an ECDSA P-256 or RSA 2048 one",
        .0.display()
    )]
    UnsupportedKey(PathBuf),
    /// The certificate cannot be parsed.
    #[error("certificate {number} in `{}` is damaged; write it anew from its source", path.display())]
    BadCertificate {
        /// The certificate file.
        path: PathBuf,
        /// Its place in the file, from 1.
        number: usize,
    },
    /// An RSA key shorter than 2,048 bits.
    #[error(
        "certificate {number} in `{}` has an RSA key of {bits} bits; 2048 is the least, better ECDSA P-256",
        path.display()
    )]
    WeakKey {
        /// The certificate file.
        path: PathBuf,
        /// Its place in the file, from 1.
        number: usize,
        /// The key's length.
        bits: usize,
    },
    /// A signature over SHA-1 or MD5.
    #[error(
        "certificate {number} in `{}` is signed with SHA-1 or older; have it issued with SHA-256",
        path.display()
    )]
    WeakSignature {
        /// The certificate file.
        path: PathBuf,
        /// Its place in the file, from 1.
        number: usize,
    },
    /// The key is another certificate's.
    #[error(
        "the key in `{}` does not belong to the first certificate in `{}`; \
         the server's own certificate comes first",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// Clients would refuse it at this instant.
    #[error(
        "the certificate in `{}` is valid from {from} to {until}, not now; renew it",
        path.display()
    )]
    OutOfDate {
        /// The certificate file.
        path: PathBuf,
        /// When it begins.
        from: OffsetDateTime,
        /// When it ends.
        until: OffsetDateTime,
    },
    /// The ad-hoc pair could not be made.
    #[error("no ad-hoc certificate could be made")]
    AdHoc(#[source] rcgen::Error),
    /// The TLS library refuses its configuration.
    #[error("TLS could not be set up")]
    Library(#[source] rustls::Error),
}
