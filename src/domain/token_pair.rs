//! The two tokens of one answer, as their client gets them, and how they are told once more where only
//! their keys are kept.

use std::fmt;

use super::token::TokenValue;

/// An access token and the refresh token that goes with it, as the client gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// The access token.
    pub access_token: TokenValue,
    /// The refresh token.
    pub refresh_token: Option<TokenValue>,
}

/// A pair, encrypted so that nobody can read it but who has the refresh token that was spent for it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPair(pub Box<[u8]>);

impl fmt::Debug for SealedPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
