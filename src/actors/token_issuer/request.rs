//! What the token issuer is asked, and what it answers.

use std::time::Duration;

use time::OffsetDateTime;

use crate::domain::client::policy::ClientPolicy;
use crate::domain::client::{ClientId, SecretHash};
use crate::domain::network::Network;
use crate::domain::scope::Scope;
use crate::domain::token::{GrantUser, TokenRecord, TokenValue};
use crate::domain::token_pair::TokenPair;
use crate::domain::user::Password;

/// How a client named itself, and by which secret it authenticates (RFC 6749 §2.3).
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Its identifier.
    pub client_id: ClientId,
    /// The hash of the secret it sent, if it sent any.
    pub secret: Option<SecretHash>,
    /// Where the request came from; `None` on a Unix socket.
    pub network: Option<Network>,
}

/// A token request as the endpoint read it, not yet checked against any record.
#[derive(Clone, Debug)]
pub enum TokenRequest {
    /// `grant_type=password` (RFC 6749 §4.3.2).
    Password {
        /// The resource owner's name.
        username: String,
        /// The resource owner's password.
        password: Password,
        /// The scope asked for.
        scope: Scope,
    },
    /// `grant_type=refresh_token` (RFC 6749 §6).
    RefreshToken {
        /// The refresh token as sent; `None` when it cannot be one of ours.
        refresh_token: Option<TokenValue>,
        /// The scope asked for.
        scope: Scope,
    },
    /// `grant_type=client_credentials` (RFC 6749 §4.4.2).
    ClientCredentials {
        /// The scope asked for.
        scope: Scope,
    },
}

/// A successful answer (RFC 6749 §5.1).
#[derive(Clone, Debug)]
pub struct IssuedTokens {
    /// The access token.
    pub access_token: TokenValue,
    /// The refresh token.
    pub refresh_token: Option<TokenValue>,
    /// When the access token ends.
    pub expires_at: OffsetDateTime,
    /// How long that is from now.
    pub expires_in: Duration,
    /// What it allows.
    pub scope: Scope,
}

/// What a live refresh token stands for.
#[derive(Clone, Debug)]
pub struct RefreshGrant {
    /// The resource owner.
    pub user: GrantUser,
    /// The client it was issued to.
    pub client_id: ClientId,
    /// The most that an access token got for it may allow.
    pub scope: Scope,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// When it ends; `None` is never.
    pub expires_at: Option<OffsetDateTime>,
}

impl IssuedTokens {
    /// The answer that tells of a record, whose tokens are these.
    pub(super) fn of(record: &TokenRecord, pair: TokenPair, now: OffsetDateTime) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            expires_at: record.expires_at,
            expires_in: Duration::try_from(record.expires_at - now).unwrap_or_default(),
            scope: record.scope.clone(),
        }
    }
}

/// How long tokens live.
#[derive(Clone, Copy, Debug)]
pub struct TokenPolicy {
    /// Access tokens.
    pub access_lifetime: Duration,
    /// Refresh tokens, from the login on, however often they are rotated; `None` is for ever.
    pub refresh_lifetime: Option<Duration>,
    /// A refresh token that is not used; `None` is as long as the login lasts.
    pub refresh_idle_lifetime: Option<Duration>,
}

impl TokenPolicy {
    /// The policy for a client, whose own record may say otherwise.
    #[must_use]
    pub fn of_client(&self, own: &ClientPolicy) -> Self {
        Self {
            access_lifetime: own.access_lifetime.unwrap_or(self.access_lifetime),
            refresh_lifetime: own.refresh_lifetime.or(self.refresh_lifetime),
            ..*self
        }
    }

    /// When a refresh token ends that is issued at `now` in a family that ends then.
    pub(super) fn refresh_end(
        &self,
        now: OffsetDateTime,
        family_end: Option<OffsetDateTime>,
    ) -> Option<OffsetDateTime> {
        let idle_end = self.refresh_idle_lifetime.map(|idle| now + idle);
        family_end.into_iter().chain(idle_end).min()
    }
}
