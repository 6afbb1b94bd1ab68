//! Digests that stand for texts of any length where only sameness matters.

use sha2::{Digest, Sha256};

/// The SHA-256 of these parts, each told from the next whatever they hold.
pub fn of_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        assert_eq!(of_parts(&[b"a", b"bc"]), of_parts(&[b"a", b"bc"]));
        assert_ne!(of_parts(&[b"a", b"bc"]), of_parts(&[b"ab", b"c"]));
        assert_ne!(of_parts(&[b"a"]), of_parts(&[b"a", b""]));
    }
}
