//! `grant_type=password`: resource owner password credentials (RFC 6749 §4.3).

use crate::domain::client::ClientId;
use crate::domain::error::GrantError;
use crate::domain::scope::Scope;
use crate::domain::token::GrantUser;
use crate::domain::user::{MAX_PASSWORD_BYTES, MAX_USERNAME_BYTES, Password, User};

/// A checked request: the client is known and authenticated.
#[derive(Clone, Debug)]
pub struct PasswordRequest {
    /// The client that asks.
    pub client_id: ClientId,
    /// The resource owner's name.
    pub username: String,
    /// The resource owner's password.
    pub password: Password,
    /// The scope asked for.
    pub scope: Scope,
}

impl PasswordRequest {
    /// Refuses credentials that are too long to look at, before anything is hashed.
    ///
    /// # Errors
    /// [`GrantError::InvalidRequest`] for a username over 256 or a password over 1,024 bytes.
    pub fn check_lengths(&self) -> Result<(), GrantError> {
        if self.username.len() > MAX_USERNAME_BYTES {
            return Err(GrantError::InvalidRequest(
                "username is longer than 256 bytes",
            ));
        }
        if self.password.as_bytes().len() > MAX_PASSWORD_BYTES {
            return Err(GrantError::InvalidRequest(
                "password is longer than 1024 bytes",
            ));
        }
        Ok(())
    }
}

/// Decides on a request after the password was compared. An unknown user, a wrong password and a
/// disabled user are told apart by nobody.
///
/// # Errors
/// [`GrantError::InvalidGrant`] for each of them.
pub fn decide(user: Option<User>, is_match: bool) -> Result<GrantUser, GrantError> {
    match user {
        Some(user) if is_match && !user.is_disabled => Ok(GrantUser {
            id: user.id,
            username: user.username,
        }),
        _ => Err(GrantError::InvalidGrant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::RecordId;

    fn user(is_disabled: bool) -> User {
        User {
            id: RecordId([1; 12]),
            username: "jonas".into(),
            password_hash: None,
            is_disabled,
            sessions_ended: 0,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_an_enabled_user_with_the_right_password_is_granted() {
        assert!(decide(Some(user(false)), true).is_ok());
        assert_eq!(
            decide(Some(user(false)), false),
            Err(GrantError::InvalidGrant)
        );
        assert_eq!(
            decide(Some(user(true)), true),
            Err(GrantError::InvalidGrant)
        );
        assert_eq!(decide(None, true), Err(GrantError::InvalidGrant));
    }

    #[test]
    fn overlong_credentials_are_refused_before_hashing() {
        let request = |name: usize, password: usize| PasswordRequest {
            client_id: ClientId::new("c"),
            username: "u".repeat(name),
            password: Password::new("p".repeat(password)),
            scope: Scope::default(),
        };
        assert!(request(256, 1_024).check_lengths().is_ok());
        assert!(request(257, 1).check_lengths().is_err());
        assert!(request(1, 1_025).check_lengths().is_err());
    }
}
