//! What the issuer does, one at a time or many at once, and who is to be told.

use std::sync::Arc;

use super::error::IssueError;
use super::request::{IssuedTokens, RefreshGrant, TokenPolicy};
use crate::actors::handle::Call;
use crate::domain::client::ClientId;
use crate::domain::client::policy::Sessions;
use crate::domain::grant::refresh_token::RefreshTokenRequest;
use crate::domain::scope::Scope;
use crate::domain::token::{FamilyId, GrantUser, TokenValue};
use crate::domain::token_key::TokenKey;
use crate::domain::user::UserId;
use crate::stores::error::StoreError;

/// A request that passed: what tokens are to be issued for.
pub(super) struct Issue {
    pub(super) client_id: ClientId,
    /// How often the client's tokens had been ended when it was authenticated.
    pub(super) client_sessions_ended: u64,
    /// Who logged in; `None` where the client asks for itself.
    pub(super) user: Option<GrantUser>,
    /// How often the user's tokens had been ended when its password was read.
    pub(super) sessions_ended: Option<u64>,
    pub(super) scope: Scope,
    /// Whether a refresh token goes with the access token.
    pub(super) is_refreshable: bool,
    pub(super) sessions: Sessions,
    pub(super) policy: TokenPolicy,
}

impl Issue {
    /// The session whose record it takes the place of.
    pub(super) fn session(&self) -> Option<(ClientId, UserId)> {
        let user = self
            .user
            .as_ref()
            .filter(|_| self.sessions == Sessions::Single)?;
        Some((self.client_id.clone(), user.id))
    }
}

/// A refresh by an authenticated client.
pub(super) struct Rotate {
    pub(super) request: RefreshTokenRequest,
    /// The refresh token itself: what is told once more may be sealed with it.
    pub(super) presented: TokenValue,
    /// How often the client's tokens had been ended when it was authenticated; `None` for one without a
    /// secret, which can have lost none.
    pub(super) client_sessions_ended: Option<u64>,
    pub(super) policy: TokenPolicy,
}

/// A token to be ended.
pub(super) struct Revoke {
    pub(super) token: TokenKey,
    /// The client that asks for it, which may end its own only; `None` for the console.
    pub(super) client_id: Option<ClientId>,
}

/// A call that a round answers.
pub(super) type Asked<Q, A> = Call<Q, Result<A, IssueError>>;

/// One thing to do, and who asked for it.
pub(super) enum Job {
    Issue(Asked<Box<Issue>, IssuedTokens>),
    Rotate(Asked<Rotate, IssuedTokens>),
    Revoke(Asked<Revoke, ()>),
    Inspect(Asked<TokenKey, Option<RefreshGrant>>),
    /// Ends all pairs of these logins.
    EndFamilies(Asked<Vec<FamilyId>, ()>),
}

/// What a job that was carried out came to.
pub(super) enum Outcome {
    Issued(IssuedTokens),
    Ended,
    Inspected(Option<RefreshGrant>),
}

impl Job {
    /// Whether it is to be dropped unbegun.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Issue(call) => call.is_stale(),
            Self::Rotate(call) => call.is_stale(),
            Self::Revoke(call) => call.is_stale(),
            Self::Inspect(call) => call.is_stale(),
            Self::EndFamilies(call) => call.is_stale(),
        }
    }

    /// Answers it, and tells whether the answer was taken.
    pub(super) fn answer(self, answer: Result<Outcome, IssueError>) -> bool {
        match self {
            Self::Issue(call) => call.answer(answer.and_then(Outcome::issued)),
            Self::Rotate(call) => call.answer(answer.and_then(Outcome::issued)),
            Self::Revoke(call) => call.answer(answer.map(drop)),
            Self::Inspect(call) => call.answer(answer.and_then(Outcome::inspected)),
            Self::EndFamilies(call) => call.answer(answer.map(drop)),
        }
    }
}

impl Outcome {
    fn issued(self) -> Result<IssuedTokens, IssueError> {
        match self {
            Self::Issued(tokens) => Ok(tokens),
            Self::Ended | Self::Inspected(_) => Err(unfinished()),
        }
    }

    fn inspected(self) -> Result<Option<RefreshGrant>, IssueError> {
        match self {
            Self::Inspected(grant) => Ok(grant),
            Self::Ended | Self::Issued(_) => Err(unfinished()),
        }
    }
}

/// The answer when other writes came first too often.
pub(super) fn unfinished() -> IssueError {
    IssueError::Unavailable(Arc::new(StoreError::Timeout { store: "token" }))
}
