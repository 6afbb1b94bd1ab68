//! Password hashes: bcrypt, as Flask-Sentinel made them, made and compared.
//!
//! A hash is computed in three steps, since the middle one takes so long: what is to be computed
//! ([`Comparing`], [`Making`]), the digest, and what it tells. Where the digest is computed is the
//! caller's choice; `digest_alone` holds its thread for the time of a hash.

#[cfg(test)]
mod tests;

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use bcrypt_lanes::{Cost, Digest, Salt};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::random;
use crate::domain::user::{HashOrigin, MAX_NEW_PASSWORD_BYTES, Password, PasswordHash};

/// Log2 of the fewest rounds that bcrypt knows.
pub const MIN_COST: u32 = 4;
/// Log2 of the most rounds we compute. One more doubles the time, so a stored hash that asks for
/// more could hold a thread for hours; it counts as corrupt.
pub const MAX_COST: u32 = 15;
/// The bytes of a password that bcrypt reads.
const READ_BYTES: usize = 72;

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

/// With what a password is to be hashed.
#[derive(Clone, Copy)]
pub struct Recipe {
    /// Log2 of the rounds.
    pub cost: Cost,
    /// What is mixed in.
    pub salt: Salt,
}

/// A comparison with a stored hash. It takes the time of that hash's cost whatever the outcome; for
/// a corrupt hash it takes the time of the dummy, so that nobody can tell it from an unknown user.
pub struct Comparing {
    /// What is to be computed.
    pub recipe: Recipe,
    expected: Digest,
    /// What it means that the digest is the expected one.
    if_equal: Comparison,
    if_other: Comparison,
}

/// A hash of a new password.
pub struct Making {
    /// What is to be computed.
    pub recipe: Recipe,
}

impl Comparing {
    /// A comparison of `password` with `stored`; `dummy` must be good. The password is taken as it
    /// is, NULs included.
    pub fn new(password: &[u8], stored: &PasswordHash, dummy: &PasswordHash) -> Self {
        let read = |hash: &PasswordHash| read(hash.as_str());
        let Some((recipe, expected)) = read(stored) else {
            // Computed for its time alone.
            let (recipe, expected) = read(dummy).unwrap_or_else(|| (Recipe::any(), [0; 23]));
            return Self {
                recipe,
                expected,
                if_equal: Comparison::Corrupt,
                if_other: Comparison::Corrupt,
            };
        };
        let is_whole = match stored.origin() {
            // The first 72 bytes decide, as they did for Flask-Sentinel's bcrypt.
            HashOrigin::FlaskSentinel => true,
            // We hash no longer password, so what is longer only begins like the right one.
            HashOrigin::Sentinel => password.len() <= MAX_NEW_PASSWORD_BYTES,
        };
        let if_equal = if is_whole {
            Comparison::Match
        } else {
            Comparison::Mismatch
        };
        Self {
            recipe,
            expected,
            if_equal,
            if_other: Comparison::Mismatch,
        }
    }

    /// What the digest of the password tells.
    pub fn decide(&self, digest: &Digest) -> Comparison {
        if digest.ct_eq(&self.expected).into() {
            self.if_equal
        } else {
            self.if_other
        }
    }
}

impl Making {
    /// A hash of a new password, with a salt of its own.
    ///
    /// # Errors
    /// [`HashError::Password`] and [`HashError::Cost`], as they say.
    pub fn new(password: &Password, cost: u32) -> Result<Self, HashError> {
        password.check_hashable().map_err(|_| HashError::Password)?;
        let cost = checked(cost).ok_or(HashError::Cost)?;
        let salt = salt();
        Ok(Self {
            recipe: Recipe { cost, salt },
        })
    }

    /// The hash (`$2b$`) of this digest.
    pub fn finish(&self, digest: &Digest) -> PasswordHash {
        write(self.recipe, digest)
    }
}

impl Recipe {
    fn any() -> Self {
        Self {
            cost: Cost::MIN,
            salt: [0; 16],
        }
    }
}

/// The digest of one password, computed by itself.
pub fn digest_alone(password: &[u8], recipe: Recipe) -> Digest {
    let read = &password[..password.len().min(READ_BYTES)];
    let mut key = Zeroizing::new(Vec::with_capacity(READ_BYTES));
    key.extend_from_slice(read);
    if read.len() < READ_BYTES {
        key.push(0);
    }
    let [digest @ .., _unused] = bcrypt::bcrypt(recipe.cost.log2().into(), recipe.salt, &key);
    digest
}

/// A hash that no password is known to match. It is drawn, not computed, and comparing with it
/// takes as long as with any of its cost (brought within 4 to 15).
pub fn dummy(cost: u32) -> PasswordHash {
    let mut digest = [0; 23];
    random::fill(&mut digest);
    let cost = checked(cost.clamp(MIN_COST, MAX_COST)).unwrap_or(Cost::MIN);
    let salt = salt();
    write(Recipe { cost, salt }, &digest)
}

/// Log2 of the rounds of a hash; `None` when it is malformed or its cost is not from 4 to 15.
pub fn cost_of(hash: &PasswordHash) -> Option<u32> {
    read(hash.as_str()).map(|(recipe, _)| recipe.cost.log2().into())
}

/// Whether `text` is a bcrypt hash that we can compare with, and not a password.
pub fn looks_like_hash(text: &str) -> bool {
    read(text).is_some()
}

fn read(text: &str) -> Option<(Recipe, Digest)> {
    // `$2x$` marks hashes of a broken implementation, which would be compared wrongly.
    let rest = ["$2a$", "$2b$", "$2y$"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    // The library would take a sign.
    let is_number = rest.bytes().take(2).all(|byte| byte.is_ascii_digit());
    let parts = text.parse::<HashParts>().ok().filter(|_| is_number)?;
    let cost = checked(parts.get_cost())?;
    // `$`, two digits and `$`, then the salt.
    let (salt, digest) = rest.get(3..)?.split_at_checked(parts.get_salt().len())?;
    let salt = BASE_64.decode(salt).ok()?.try_into().ok()?;
    let digest = BASE_64.decode(digest).ok()?.try_into().ok()?;
    Some((Recipe { cost, salt }, digest))
}

fn write(recipe: Recipe, digest: &Digest) -> PasswordHash {
    let cost = recipe.cost.log2();
    let salt = BASE_64.encode(recipe.salt);
    let digest = BASE_64.encode(digest);
    PasswordHash::new(
        format!("$2b${cost:02}${salt}{digest}"),
        HashOrigin::Sentinel,
    )
}

fn checked(cost: u32) -> Option<Cost> {
    let is_ours = (MIN_COST..=MAX_COST).contains(&cost);
    Cost::new(cost).ok().filter(|_| is_ours)
}

fn salt() -> Salt {
    let mut salt = [0; 16];
    random::fill(&mut salt);
    salt
}
