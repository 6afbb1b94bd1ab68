//! Users: the stored record of a resource owner who logs in with a password (RFC 6749 §4.3).

use std::fmt;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::common_passwords;
use super::error::RecordError;
use super::standing::Standing;
use super::token::RecordId;

/// The longest username we look up or store, in bytes.
pub const MAX_USERNAME_BYTES: usize = 256;
/// The longest password we look at, in bytes; what is longer is refused before hashing.
pub const MAX_PASSWORD_BYTES: usize = 1_024;
/// The longest password a new hash is made of, in bytes: bcrypt reads 72 with the closing NUL.
pub const MAX_NEW_PASSWORD_BYTES: usize = 71;

/// A user's identifier: the document's `_id`, 24 hex digits where it is text.
pub type UserId = RecordId;

/// A stored user.
#[derive(Clone, Debug)]
pub struct User {
    /// Identifier; also the `sub` of introspection.
    pub id: UserId,
    /// Login name, compared byte for byte.
    pub username: String,
    /// The bcrypt hash; `None` when the stored one is missing or not text: no password matches.
    pub password_hash: Option<PasswordHash>,
    /// A disabled user cannot log in, refresh, or use a token.
    pub is_disabled: bool,
    /// How often all of its tokens were ended.
    pub sessions_ended: u64,
    /// When the record was made (for a taken-over record, what its identifier says).
    pub created_at: OffsetDateTime,
}

impl User {
    /// Whether it may have tokens.
    pub fn standing(&self) -> Standing {
        Standing {
            is_disabled: self.is_disabled,
            sessions_ended: self.sessions_ended,
        }
    }
}

/// A user to be stored, its parts already checked.
#[derive(Debug)]
pub struct NewUser {
    /// Login name.
    pub username: String,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// When it is made.
    pub created_at: OffsetDateTime,
}

/// A bcrypt hash as stored (`$2b$12$…`). It never leaves the stores but for comparison.
#[derive(Clone)]
pub struct PasswordHash {
    text: Zeroizing<String>,
    origin: HashOrigin,
}

/// Who made a hash decides how a password over 71 bytes is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashOrigin {
    /// Made by Flask-Sentinel: the first 72 bytes of the password decide.
    FlaskSentinel,
    /// Made by us: a password over 71 bytes never matches.
    Sentinel,
}

impl PasswordHash {
    /// Wraps a stored or freshly made hash.
    pub fn new(text: String, origin: HashOrigin) -> Self {
        Self {
            text: Zeroizing::new(text),
            origin,
        }
    }

    /// The hash in modular crypt format.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who made it.
    pub fn origin(&self) -> HashOrigin {
        self.origin
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// A password as somebody sent it. Zeroed when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a password of any length.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Its bytes, for the hash alone.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Its text, for the constant-time comparison of console credentials.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks it for use as the new password of a user of this name.
    ///
    /// # Errors
    /// As [`Password::check_hashable`]; [`RecordError::PasswordTooShort`] under `min_characters`;
    /// [`RecordError::PasswordIsUsername`] and [`RecordError::PasswordCommon`] in any case of its
    /// letters, and with blanks around it.
    pub fn check_new(&self, min_characters: usize, username: &str) -> Result<(), RecordError> {
        self.check_hashable()?;
        if self.0.chars().count() < min_characters {
            return Err(RecordError::PasswordTooShort);
        }
        let guess = Zeroizing::new(self.0.trim().to_lowercase());
        if *guess == username.trim().to_lowercase() {
            return Err(RecordError::PasswordIsUsername);
        }
        if common_passwords::contain(&guess) {
            return Err(RecordError::PasswordCommon);
        }
        Ok(())
    }

    /// Checks that a new hash of it tells it from all others.
    ///
    /// # Errors
    /// [`RecordError::PasswordTooLong`] over 71 bytes or with a NUL, where bcrypt would stop reading.
    pub fn check_hashable(&self) -> Result<(), RecordError> {
        if self.0.len() > MAX_NEW_PASSWORD_BYTES || self.0.contains('\0') {
            return Err(RecordError::PasswordTooLong);
        }
        Ok(())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// Checks the name of a new user.
///
/// # Errors
/// [`RecordError::Username`] when it is empty, over 256 bytes, or has a control character.
pub fn check_username(username: &str) -> Result<(), RecordError> {
    let is_good = !username.is_empty()
        && username.len() <= MAX_USERNAME_BYTES
        && !username.chars().any(char::is_control);
    if is_good {
        Ok(())
    } else {
        Err(RecordError::Username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_neither_short_nor_long_nor_easily_guessed() {
        let check = |text: &str| Password::new(text.to_owned()).check_new(8, "Jonas Doe");
        for (text, expected) in [
            ("seven s", Err(RecordError::PasswordTooShort)),
            (
                "\u{e9}\u{e9}\u{e9}\u{e9}",
                Err(RecordError::PasswordTooShort),
            ),
            ("eight ch", Ok(())),
            (&"p".repeat(72), Err(RecordError::PasswordTooLong)),
            ("with a\0NUL", Err(RecordError::PasswordTooLong)),
            ("password", Err(RecordError::PasswordCommon)),
            ("Password", Err(RecordError::PasswordCommon)),
            (" 12345678 ", Err(RecordError::PasswordCommon)),
            ("Jonas Doe", Err(RecordError::PasswordIsUsername)),
            ("jonas doe ", Err(RecordError::PasswordIsUsername)),
            ("jonas doe 1", Ok(())),
        ] {
            assert_eq!(check(text), expected, "{text:?}");
        }
    }
}
