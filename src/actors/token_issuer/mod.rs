//! `TokenIssuer` guards the life of a token: it is the only writer of tokens. Shape: batcher; what
//! arrives during one round trip is written with the next as one. Deadline: five seconds from the
//! request to the answer. When it dies, queued callers get [`IssueError::Unavailable`] at once;
//! what was in the air is finished and answered.

pub mod error;
pub mod request;

mod actor;
mod flight;
mod found;
mod job;
mod plan;
mod publish;
mod sessions;
mod settlement;
mod standing;
mod step;

use std::sync::Arc;
use std::time::Duration;

use super::handle::{AskError, Handle, within};
use super::password_pool::fair_queue::Requester;
use super::password_pool::{PasswordPool, PasswordPoolError};
use super::supervisor::Child;
use super::token_cache::TokenCache;
use super::user_registry::UserRegistry;
use crate::clock::Clock;
use crate::domain::client::{Client, GrantType};
use crate::domain::error::GrantError;
use crate::domain::grant::password::{self, PasswordRequest};
use crate::domain::grant::refresh_token::RefreshTokenRequest;
use crate::domain::token::TokenValue;
use crate::domain::user::{PasswordHash, UserId};
use crate::stores::Truth;
use actor::{TokenIssuerActor, TokenIssuerMessage};
use error::IssueError;
use flight::Flight;
use job::{Issue, Job};
use request::{ClientCredentials, IssuedTokens, TokenPolicy, TokenRequest};

/// The longest a caller waits for a write.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest a good login waits for a stronger hash of its password.
const STRENGTHEN_WITHIN: Duration = Duration::from_secs(1);
/// Most calls in flight.
const BOUND: usize = 1_024;

/// Issues, rotates and revokes tokens.
#[derive(Clone)]
pub struct TokenIssuer {
    logins: Handle<TokenIssuerMessage>,
    /// Of a bound of its own, as the next: a flood of logins must shed neither.
    refreshes: Handle<TokenIssuerMessage>,
    revocations: Handle<TokenIssuerMessage>,
    registry: UserRegistry,
    passwords: PasswordPool,
    flight: Flight,
}

impl TokenIssuer {
    /// The issuer before `truth`, and the actor to be supervised.
    pub fn new(
        (truth, caches): (Truth, TokenCache),
        (registry, passwords): (UserRegistry, PasswordPool),
        policy: TokenPolicy,
        clock: Clock,
    ) -> (Self, Child) {
        let (handle, published) = Handle::new(BOUND);
        let flight = Flight {
            truth,
            caches,
            clock,
            policy,
        };
        let child = Child::new(
            "token_issuer",
            (TokenIssuerActor, flight.clone()),
            (&handle, published),
        );
        (
            Self {
                refreshes: handle.beside(BOUND),
                revocations: handle.beside(BOUND),
                logins: handle,
                registry,
                passwords,
                flight,
            },
            child,
        )
    }

    /// Answers a token request.
    ///
    /// # Errors
    /// [`IssueError`]; after any but `Rejected` a repeat is safe.
    pub async fn issue(
        &self,
        credentials: ClientCredentials,
        request: TokenRequest,
    ) -> Result<IssuedTokens, IssueError> {
        // Each step has the deadline for itself; all of them together have no longer.
        tokio::time::timeout(DEADLINE, self.issue_unhurried(credentials, request))
            .await
            .unwrap_or_else(|_elapsed| Err(AskError::Timeout.into()))
    }

    async fn issue_unhurried(
        &self,
        credentials: ClientCredentials,
        request: TokenRequest,
    ) -> Result<IssuedTokens, IssueError> {
        match request {
            TokenRequest::Password {
                username,
                password,
                scope,
                network,
            } => {
                // Whoever would be refused later is so before a slow store is asked for anything;
                // known or not, so that it tells nothing of a user.
                let requester = Requester::client(credentials.client_id.clone(), network);
                self.passwords.check_room(&requester)?;
                let client = self.authenticate(&credentials, GrantType::Password).await?;
                let request = PasswordRequest {
                    client_id: credentials.client_id,
                    username,
                    password,
                    scope,
                };
                self.issue_for_password(&client, request, &requester).await
            }
            TokenRequest::RefreshToken {
                refresh_token,
                scope,
            } => {
                self.authenticate(&credentials, GrantType::RefreshToken)
                    .await?;
                let client_id = credentials.client_id;
                let refresh_token = refresh_token.ok_or(GrantError::InvalidGrant)?;
                let request = RefreshTokenRequest {
                    client_id,
                    refresh_token,
                    scope,
                };
                let message = |call| TokenIssuerMessage::Job(Job::Rotate(call));
                self.refreshes
                    .ask(request, within(DEADLINE), message)
                    .await?
            }
        }
    }

    /// Ends a token and its pair: in the truth, in Redis and in the local copy. An unknown token
    /// is no error (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`IssueError::Unavailable`] when a step could not be done: the token may live on until the
    /// call is repeated.
    pub async fn revoke(&self, token: TokenValue) -> Result<(), IssueError> {
        let message = |call| TokenIssuerMessage::Job(Job::Revoke(call));
        self.revocations
            .ask(token, within(DEADLINE), message)
            .await?
    }

    async fn authenticate(
        &self,
        credentials: &ClientCredentials,
        grant_type: GrantType,
    ) -> Result<Arc<Client>, IssueError> {
        let found = self.registry.find_client(&credentials.client_id).await?;
        let mut client = found.ok_or(GrantError::InvalidClient)?;
        let mut authenticated = client.authenticate(credentials.secret.as_ref());
        if authenticated.is_err() {
            // It may have been enabled, or been given a secret, since it was read.
            let found = self.registry.find_client_anew(&credentials.client_id);
            client = found.await?.ok_or(GrantError::InvalidClient)?;
            authenticated = client.authenticate(credentials.secret.as_ref());
        }
        if let Some(secret) = authenticated? {
            let now = self.flight.clock.now();
            self.registry.note_secret_use(&client.id, secret, now);
        }
        client.check_grant_type(grant_type)?;
        Ok(client)
    }

    async fn issue_for_password(
        &self,
        client: &Client,
        request: PasswordRequest,
        requester: &Requester,
    ) -> Result<IssuedTokens, IssueError> {
        request.check_lengths()?;
        let scope = client.grant_scope(&request.scope)?;
        let user = self.registry.find_user(request.username).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_match = self
            .passwords
            .verify(request.password.clone(), hash.clone(), requester)
            .await?;
        let sessions_ended = user.as_ref().map_or(0, |user| user.sessions_ended);
        let user = password::decide(user, is_match)?;
        let id = user.id;
        let issue = Issue {
            client_id: request.client_id,
            user,
            sessions_ended,
            scope,
        };
        let message = |call| TokenIssuerMessage::Job(Job::Issue(call));
        let issued = self.logins.ask(issue, within(DEADLINE), message).await??;
        if let Some(weak) = hash.filter(|hash| self.passwords.is_weak(hash)) {
            let strong = self.passwords.hash(request.password, requester);
            let strengthened = self.strengthen(id, weak, strong);
            let _next_time = tokio::time::timeout(STRENGTHEN_WITHIN, strengthened).await;
        }
        Ok(issued)
    }

    // Once per user. A password that is too long for a new hash keeps its old one, and a failure
    // is left to the next login: this one is good.
    async fn strengthen(
        &self,
        user: UserId,
        weak: PasswordHash,
        strong: impl Future<Output = Result<PasswordHash, PasswordPoolError>>,
    ) {
        let Ok(strong) = strong.await else {
            return;
        };
        let replaced = self
            .registry
            .replace_password_hash(user, weak, strong)
            .await;
        if replaced.is_ok() {
            tracing::info!(user.id = %user, "a password hash was made anew with more rounds");
        }
    }
}
