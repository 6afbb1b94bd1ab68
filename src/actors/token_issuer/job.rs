//! What the issuer does, one at a time or many at once, and who is to be told.

use std::sync::Arc;

use super::error::IssueError;
use super::request::IssuedTokens;
use crate::actors::handle::Call;
use crate::domain::client::ClientId;
use crate::domain::grant::refresh_token::RefreshTokenRequest;
use crate::domain::scope::Scope;
use crate::domain::token::{FamilyId, GrantUser, TokenValue};
use crate::stores::error::StoreError;

/// A login that passed: what the pair is to be issued for.
pub(super) struct Issue {
    pub(super) client_id: ClientId,
    pub(super) user: GrantUser,
    /// How often the user's tokens had been ended when its password was read.
    pub(super) sessions_ended: u64,
    pub(super) scope: Scope,
}

type Asked<Q, A> = Call<Q, Result<A, IssueError>>;

/// One thing to do, and who asked for it.
pub(super) enum Job {
    Issue(Asked<Issue, IssuedTokens>),
    Rotate(Asked<RefreshTokenRequest, IssuedTokens>),
    Revoke(Asked<TokenValue, ()>),
    /// Ends all pairs of these logins.
    EndFamilies(Asked<Vec<FamilyId>, ()>),
}

impl Job {
    /// Whether it is to be dropped unbegun.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Issue(call) => call.is_stale(),
            Self::Rotate(call) => call.is_stale(),
            Self::Revoke(call) => call.is_stale(),
            Self::EndFamilies(call) => call.is_stale(),
        }
    }

    /// Answers it, and tells whether the answer was taken.
    pub(super) fn answer(self, answer: Result<Option<IssuedTokens>, IssueError>) -> bool {
        match self {
            Self::Issue(call) => call.answer(answer.and_then(|some| some.ok_or_else(unfinished))),
            Self::Rotate(call) => call.answer(answer.and_then(|some| some.ok_or_else(unfinished))),
            Self::Revoke(call) => call.answer(answer.map(|_| ())),
            Self::EndFamilies(call) => call.answer(answer.map(|_| ())),
        }
    }
}

/// The answer when other writes came first too often.
pub(super) fn unfinished() -> IssueError {
    IssueError::Unavailable(Arc::new(StoreError::Timeout { store: "token" }))
}
