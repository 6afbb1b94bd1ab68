//! The end of a token in the JSON API.

use serde::{Deserialize, Serialize};

/// The body of `POST tokens/revoke`. Not `Debug`: it holds a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// An access or refresh token.
    pub token: String,
}
