//! Users in the JSON API.

use serde::{Deserialize, Serialize};

use crate::domain::user::User;

/// A user, without anything of the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserRecord {
    /// Identifier, 24 hex digits.
    pub id: String,
    /// Login name.
    pub username: String,
    /// Whether logins are refused.
    pub disabled: bool,
    /// When the record was made (RFC 3339).
    pub created_at: String,
}

/// The body of `POST users`. Not `Debug`: it holds a password.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUserRequest {
    /// Login name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// The body of `PATCH users/{id}`. What is absent stays. Not `Debug`: it may hold a password.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPatchRequest {
    /// Whether the user is refused everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// A new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl From<&User> for UserRecord {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.clone(),
            disabled: user.is_disabled,
            created_at: super::instant(user.created_at),
        }
    }
}
