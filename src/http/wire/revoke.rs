//! The end of a token in the JSON API.

use serde::{Deserialize, Serialize};

/// The body of `POST tokens/revoke`. Not `Debug`: it holds a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// An access or refresh token.
    pub token: String,
}

/// The body of `POST tokens/revoke-all`: one of its members.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllRequest {
    /// The tokens of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The tokens of this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// All tokens; only `true` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everyone: Option<bool>,
}
