//! Client secrets, and comparison in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::client::SecretHash;

/// A client secret as its owner is told it, once (RFC 6749 §2.3.1). Never printed.
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself, for the answer to the one who made the client.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// The form in which a client secret is stored and compared.
pub fn hash_client_secret(secret: &str) -> SecretHash {
    SecretHash(Sha256::digest(secret).into())
}

/// Whether both are the same. Takes the same time wherever they differ; their hashes are compared,
/// so it ends no earlier for a wrong length either.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    let one: [u8; 32] = Sha256::digest(one).into();
    let other: [u8; 32] = Sha256::digest(other).into();
    one.ct_eq(&other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha256() {
        // FIPS 180-2 appendix B.1.
        let hash = hash_client_secret("abc").0;
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(hash[28..], [0xf2, 0x00, 0x15, 0xad]);
    }

    #[test]
    fn only_the_same_bytes_are_equal() {
        assert!(equal(b"secret", b"secret"));
        assert!(equal(b"", b""));
        for other in [&b"Secret"[..], b"secre", b"secret\0", b""] {
            assert!(!equal(b"secret", other));
        }
    }

    #[test]
    fn a_client_secret_never_prints_itself() {
        assert_eq!(format!("{:?}", ClientSecret::new("s".to_owned())), "***");
    }
}
