//! Password hashes: bcrypt, as Flask-Sentinel made them, made and compared.
//!
//! Everything here but `dummy` and the inspections holds its thread for the time of a hash.

#[cfg(test)]
mod tests;

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use thiserror::Error;

use super::random;
use crate::domain::user::{HashOrigin, MAX_NEW_PASSWORD_BYTES, Password, PasswordHash};

/// Log2 of the fewest rounds that bcrypt knows.
pub const MIN_COST: u32 = 4;
/// Log2 of the most rounds we compute. One more doubles the time, so a stored hash that asks for
/// more could hold a thread for hours; it counts as corrupt.
pub const MAX_COST: u32 = 15;

/// What comparing a password with a stored hash told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the password.
    Match,
    /// It is not.
    Mismatch,
    /// The stored hash is malformed or its cost out of range: no password matches.
    Corrupt,
}

/// Why a password cannot be hashed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HashError {
    /// It is over 71 bytes or has a NUL.
    #[error("a password has at most 71 bytes and no NUL")]
    Password,
    /// The cost is not from 4 to 15.
    #[error("the cost of a password hash is from 4 to 15")]
    Cost,
}

/// Hashes a new password (`$2b$`).
///
/// # Errors
/// [`HashError::Password`] and [`HashError::Cost`], as they say.
pub fn hash(password: &Password, cost: u32) -> Result<PasswordHash, HashError> {
    password.check_new(0).map_err(|_| HashError::Password)?;
    if !(MIN_COST..=MAX_COST).contains(&cost) {
        return Err(HashError::Cost);
    }
    let parts = bcrypt::non_truncating_hash_with_salt(password.as_bytes(), cost, salt())
        .map_err(|_| HashError::Password)?;
    Ok(PasswordHash::new(parts.to_string(), HashOrigin::Sentinel))
}

/// Compares a password with a stored hash. It takes the time of that hash's cost whatever the
/// outcome; for a corrupt hash it takes the time of `dummy`, so that nobody can tell it from an
/// unknown user.
pub fn compare(password: &Password, stored: &PasswordHash, dummy: &PasswordHash) -> Comparison {
    compare_bytes(password.as_bytes(), stored, dummy)
}

// Bytes, since the published vectors are not all UTF-8. They are taken as they are, NULs included.
fn compare_bytes(password: &[u8], stored: &PasswordHash, dummy: &PasswordHash) -> Comparison {
    let hash = stored.as_str();
    // `verify` reads the first 72 bytes, as bcrypt did that Flask-Sentinel used.
    let Some(is_equal) = cost_of(stored).and_then(|_| bcrypt::verify(password, hash).ok()) else {
        // Computed for its time alone.
        let _ = bcrypt::verify(password, dummy.as_str());
        return Comparison::Corrupt;
    };
    let is_whole = match stored.origin() {
        HashOrigin::FlaskSentinel => true,
        // We hash no longer password, so what is longer only begins like the right one.
        HashOrigin::Sentinel => password.len() <= MAX_NEW_PASSWORD_BYTES,
    };
    if is_equal && is_whole {
        Comparison::Match
    } else {
        Comparison::Mismatch
    }
}

/// A hash that no password is known to match. It is drawn, not computed, and comparing with it
/// takes as long as with any of its cost (brought within 4 to 15).
pub fn dummy(cost: u32) -> PasswordHash {
    let cost = cost.clamp(MIN_COST, MAX_COST);
    let mut digest = [0; 23];
    random::fill(&mut digest);
    let salt = BASE_64.encode(salt());
    let digest = BASE_64.encode(digest);
    PasswordHash::new(
        format!("$2b${cost:02}${salt}{digest}"),
        HashOrigin::Sentinel,
    )
}

/// Log2 of the rounds of a hash; `None` when it is malformed or its cost is not from 4 to 15.
pub fn cost_of(hash: &PasswordHash) -> Option<u32> {
    parse_cost(hash.as_str())
}

/// Whether `text` is a bcrypt hash that we can compare with, and not a password.
pub fn looks_like_hash(text: &str) -> bool {
    parse_cost(text).is_some()
}

fn parse_cost(text: &str) -> Option<u32> {
    // `$2x$` marks hashes of a broken implementation, which the library would compare wrongly.
    let rest = ["$2a$", "$2b$", "$2y$"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    // The library would take a sign.
    let is_number = rest.bytes().take(2).all(|byte| byte.is_ascii_digit());
    let cost = text.parse::<HashParts>().ok()?.get_cost();
    (is_number && (MIN_COST..=MAX_COST).contains(&cost)).then_some(cost)
}

fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    random::fill(&mut salt);
    salt
}
